//! Programs of others: Node.js and Python with the libraries that `tests/clients` lists.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::workspace;

/// `node tests/clients/SCRIPT`.
///
/// # Panics
/// If the npm packages are not there, with the command that installs them.
pub fn node(script: &str) -> Command {
    let folder = workspace::root().join("tests/clients");
    assert!(
        folder.join("node_modules").is_dir(),
        "tests/clients/node_modules is not there: run `cargo xtask test`, or `npm ci` in tests/clients"
    );
    let mut command = Command::new("node");
    command.arg(folder.join(script));
    command
}

/// `python tests/clients/SCRIPT`, with the interpreter of `HOOKWRIGHT_PYTHON` or of `target/venv`.
///
/// # Panics
/// If it is not there, with the command that makes it.
pub fn python(script: &str) -> Command {
    let default = || workspace::root().join("target/venv/bin/python3");
    let python = std::env::var_os("HOOKWRIGHT_PYTHON").map_or_else(default, PathBuf::from);
    assert!(
        python.exists(),
        "there is no {}: run `cargo xtask test`, or make the environment with `python3 -m venv target/venv` and \
         `target/venv/bin/pip install -r tests/clients/requirements.txt`",
        python.display()
    );
    let mut command = Command::new(python);
    command.arg(workspace::root().join("tests/clients").join(script));
    command
}

/// Runs a program that reads nothing more than `input` and prints JSON, one value a line.
#[track_caller]
pub fn lines(command: &mut Command, input: &str) -> Vec<Value> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{said}\n{errors}", output.status);
    said.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
}

/// A program that goes on: it prints JSON, one value a line, and is killed when this is dropped.
pub struct Program {
    child: Child,
    input: ChildStdin,
    lines: BufReader<ChildStdout>,
}

impl Program {
    /// Starts it.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, lines) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, lines }
    }

    /// Gives it a line to read.
    pub fn tell(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }

    /// The next value that it prints.
    #[track_caller]
    pub fn line(&mut self) -> Value {
        let mut line = String::new();
        let count = self.lines.read_line(&mut line).unwrap();
        assert!(count > 0, "the program ended");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
