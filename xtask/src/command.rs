//! Running other programs, with what they say shown as they say it.

use std::process::{Command, Stdio};

use crate::place::{self, Place};
use crate::stop::Stop;

/// Variables that cargo set for this program and that would mislead the cargo started from here.
const OURS: [&str; 3] = ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "LD_LIBRARY_PATH"];

/// Cargo in the checkout.
pub(crate) fn cargo(place: &Place) -> Command {
    let mut command = Command::new(place::cargo());
    command.current_dir(&place.root).env("CARGO_TARGET_DIR", &place.target);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| OURS.contains(&name) || name.starts_with("CARGO_PKG_")) {
            command.env_remove(name);
        }
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
    Err(Stop::new(format!("`{line}` failed ({status}); what it said stands above")))
}

/// Runs a program quietly and answers what it wrote on standard output; none if it failed or is not there.
pub(crate) fn ask(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
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

    #[test]
    fn asking_a_program_that_is_not_there_answers_nothing() {
        assert_eq!(ask("/nowhere/at-all", &[]), None);
        assert_eq!(ask("/bin/sh", &["-c", "echo hello"]), Some("hello".to_owned()));
    }
}
