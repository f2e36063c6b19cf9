//! Log lines for operators.

use std::fmt::Write as _;

use wasmtime::component::HasSelf;

use super::definition::{Capability, EVERY_KIND, Link};
use crate::exchange::Pairs;
use crate::state::State;
use crate::v0_1_0::log;

pub(super) const CAPABILITY: Capability = Capability {
    interface: "log",
    kinds: EVERY_KIND,
    links: &[Link { version: "0.1.0", add: |linker| log::add_to_linker::<_, HasSelf<State>>(linker, |state| state) }],
};

impl log::Host for State {
    fn write(&mut self, level: String, message: String, fields: Pairs) -> wasmtime::Result<()> {
        self.host_call()?;
        let line = line(&level, &message, &fields);
        if let Some(message) = line.strip_prefix("error ") {
            self.log.explain(message);
        }
        self.log.add(&line);
        Ok(())
    }

    fn print(&mut self, output: Vec<u8>) -> wasmtime::Result<()> {
        self.host_call()?;
        self.log.print(&output);
        Ok(())
    }
}

/// One line: the level, the message and the fields, with control characters made visible.
fn line(level: &str, message: &str, fields: &Pairs) -> String {
    let level = match level {
        "trace" | "debug" | "warn" | "error" => level,
        _ => "info",
    };
    let mut line = String::with_capacity(level.len() + message.len() + 1);
    let _ = write!(line, "{level} {message}");
    for (name, value) in fields {
        let _ = write!(line, " {name}={value}");
    }
    if line.chars().any(char::is_control) {
        line = line
            .chars()
            .flat_map(|c| {
                let (escaped, plain) = if c.is_control() { (Some(c.escape_default()), None) } else { (None, Some(c)) };
                escaped.into_iter().flatten().chain(plain)
            })
            .collect();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn control_characters_do_not_break_a_log_line() {
        let fields = vec![("a".to_owned(), "1\n2".to_owned())];
        assert_eq!(line("warn", "x", &fields), "warn x a=1\\n2");
        assert_eq!(line("fatal", "ä\r", &Vec::new()), "info ä\\r");
    }
}
