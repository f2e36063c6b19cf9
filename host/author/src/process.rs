//! Runs compilers quietly, with their output in the error.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::error::AuthorError;

/// The maximum number of bytes of a program's output in an error: its end, where compilers report errors.
const MAX_OUTPUT_BYTES: usize = 16 * 1024;

/// Runs a command to its end.
///
/// # Errors
/// It cannot be started, or it fails; the error then has its output.
pub(crate) fn run(command: &mut Command, what: &str) -> Result<(), AuthorError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|source| AuthorError::Start { program, source })?;
    if output.status.success() {
        return Ok(());
    }
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Err(AuthorError::Failed { what: what.to_owned(), status: output.status.to_string(), output: end_of(said.trim()) })
}

/// The standard output of a program; `None` if it is missing or fails.
pub(crate) fn ask(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A program's path, looked up on `PATH` the way a shell does.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let name = format!("{program}{}", std::env::consts::EXE_SUFFIX);
    std::env::split_paths(&path).map(|folder| folder.join(&name)).find(|file| file.is_file())
}

fn end_of(text: &str) -> String {
    let mut start = text.len().saturating_sub(MAX_OUTPUT_BYTES);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    let end = text.get(start..).unwrap_or_default();
    if end.is_empty() { "no output".to_owned() } else { end.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_contains_the_programs_output() {
        let error = run(Command::new("sh").args(["-c", "echo one; echo two >&2; exit 3"]), "the build").unwrap_err();
        let text = error.to_string();
        assert!(text.contains("the build") && text.contains("one") && text.contains("two"), "{text}");
        assert_eq!(error.code(), "build.failed");
        assert!(run(&mut Command::new("/nowhere/at-all"), "x").unwrap_err().to_string().contains("at-all"));
    }

    #[test]
    fn long_output_is_truncated_to_its_end() {
        let text = format!("{}ä{}", "x".repeat(10), "y".repeat(MAX_OUTPUT_BYTES - 1));
        assert_eq!(end_of(&text).len(), MAX_OUTPUT_BYTES - 1);
        assert_eq!(end_of(""), "no output");
    }
}
