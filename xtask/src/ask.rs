//! The output of other programs.

use std::process::{Command, Stdio};

/// Runs a program and returns its standard output, trimmed; `None` if it failed or does not exist. Its standard error
/// is discarded.
pub(crate) fn ask(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_does_not_exist_has_no_output() {
        assert_eq!(ask("/nowhere/at-all", &[]), None);
        assert_eq!(ask("/bin/sh", &["-c", "echo hello"]), Some("hello".to_owned()));
    }
}
