//! Running other programs, with what they say shown as they say it.

use std::process::{Command, Stdio};

use crate::checkout::{self, Checkout};
use crate::stop::Stop;

/// Variables that cargo set for this program and that would mislead the cargo started from here.
const OWN_VARIABLES: [&str; 3] = ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "LD_LIBRARY_PATH"];

/// What `cargo clippy -- -D warnings` tells the linter, in the form in which it passes it on.
const DENY_WARNINGS: &str = "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__";

/// Cargo in the checkout.
pub(crate) fn cargo(checkout: &Checkout) -> Command {
    let mut command = Command::new(checkout::cargo());
    command.current_dir(&checkout.root).env("CARGO_TARGET_DIR", &checkout.target);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| OWN_VARIABLES.contains(&name) || name.starts_with("CARGO_PKG_")) {
            command.env_remove(name);
        }
    }
    if let Some(linter) = &checkout.linter {
        command.env("RUSTC_WORKSPACE_WRAPPER", linter).env("CLIPPY_ARGS", DENY_WARNINGS);
    }
    command
}

/// Runs a program after showing its command line.
pub(crate) fn run(command: &mut Command) -> Result<(), Stop> {
    let line = line(command);
    println!("    $ {line}");
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|error| Stop::new(format!("`{line}` could not be started: {error}")))?;
    if status.success() {
        return Ok(());
    }
    Err(Stop::new(format!("`{line}` failed ({status}); see its output above")))
}

/// The command line as a person would type it, the program without its folder.
fn line(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let program = program.file_name().unwrap_or(command.get_program());
    let mut line = program.to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_line() {
        let stop = run(Command::new("/bin/sh").args(["-c", "exit 3"])).unwrap_err().to_string();
        assert!(stop.contains("`sh -c exit 3` failed") && stop.contains('3'), "{stop}");
        let stop = run(&mut Command::new("/nowhere/at-all")).unwrap_err().to_string();
        assert!(stop.contains("could not be started"), "{stop}");
    }
}
