//! Errors and exit codes of commands.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use crate::screen;

/// The error of a command.
pub(crate) type Failed = Box<dyn Error + Send + Sync>;

/// The result of a command: its exit code, 0 for success and 1 for a negative result (such as a failed case),
/// or the error that prevented it.
pub(crate) type Done = Result<ExitCode, Failed>;

/// The exit code of a command that compares, if it failed; 0 and 1 are results, as with `diff`.
const EXIT_UNKNOWN: u8 = 2;

/// Prints an error to standard error.
pub(crate) fn complain(error: &(dyn Error + Send + Sync)) {
    screen::note(format_args!("hookwright: {error}"));
}

/// Maps an error to its own exit code, so that a script does not mistake it for a result.
pub(crate) fn or_trouble(done: Done) -> Done {
    done.or_else(|error| {
        complain(error.as_ref());
        Ok(ExitCode::from(EXIT_UNKNOWN))
    })
}

/// A failure with a stable code, for people and programs.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct Problem {
    /// Stable, `noun.problem`.
    pub(crate) code: String,
    /// What was wrong, with which value, and the remedy.
    pub(crate) message: String,
    /// Each place where something was wrong, as the server names them.
    pub(crate) errors: Vec<serde_json::Value>,
}

/// A failure with a stable code.
pub(crate) fn problem(code: &str, message: impl Into<String>) -> Failed {
    Problem { code: code.to_owned(), message: message.into(), errors: Vec::new() }.into()
}

/// A file or folder that cannot be used.
pub(crate) fn at(path: &Path, error: &std::io::Error) -> Failed {
    problem("file.unusable", format!("{}: {error}", path.display()))
}
