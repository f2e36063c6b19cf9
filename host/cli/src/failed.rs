//! Why a command did not do what it was asked to.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

/// What any command fails with.
pub(crate) type Failed = Box<dyn Error + Send + Sync>;

/// How a command ends: what it exits with, 0 for success and 1 for what it was to find out and did (a case that fails),
/// or why it could not do its work.
pub(crate) type Done = Result<ExitCode, Failed>;

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
