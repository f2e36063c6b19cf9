//! `hookwright` as a command, and what it did.

use std::process::{Command, Output};

use serde_json::Value;

use crate::{ADMIN_KEY, workspace};

/// `hookwright` with these arguments, without the settings of whoever runs the tests.
pub fn hookwright<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(workspace::binary());
    without_settings(&mut command);
    command.args(arguments);
    command
}

/// Keeps the settings of whoever runs the tests from a program.
pub fn without_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("HOOKWRIGHT_") {
            command.env_remove(name);
        }
    }
}

/// What a command did: how it ended, and what it showed.
#[derive(Debug)]
pub struct Ran {
    /// The exit code; -1 if a signal ended it.
    pub code: i32,
    /// What it wrote to standard output.
    pub out: String,
    /// What it wrote to standard error.
    pub err: String,
}

impl Ran {
    /// Of a process that has ended. Whatever the command was, it showed neither the administrator's key nor `secret`.
    #[track_caller]
    pub fn of(output: Output, secret: &str) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let (code, out, err) = (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr));
        for hidden in [secret, ADMIN_KEY] {
            assert!(!out.contains(hidden) && !err.contains(hidden), "it shows {hidden}: {out}{err}");
        }
        Self { code, out, err }
    }

    /// What it wrote to standard output, if it succeeded.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}\n{}", self.out, self.err);
        self.out
    }

    /// All that it showed, if it ended with this code.
    #[track_caller]
    pub fn ends(self, code: i32) -> String {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        format!("{}{}", self.out, self.err)
    }

    /// What it wrote to standard output as JSON, if it succeeded.
    #[track_caller]
    pub fn json(self) -> Value {
        let text = self.ok();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}

/// Fails unless all of `parts` are in the text.
#[track_caller]
pub fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
}
