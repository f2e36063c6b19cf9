//! Errors of finding a toolchain and building components.
//!
//! Every message says what was tried, with which path or value, and ends with the remedy.

use std::path::PathBuf;

/// No toolchain on this machine can build for [`TARGET`](crate::TARGET).
///
/// The message ends with the command that fixes it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no Rust toolchain here can build WebAssembly plugins: {}. {remedy}", tried.join("; "))]
pub struct MissingTarget {
    /// What was tried, in order, and why each did not work.
    pub tried: Vec<String>,
    /// A sentence with the command to run.
    pub remedy: String,
}

/// A plugin could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A program is missing.
    #[error("{program} is needed to build {what} and was not found: {remedy}")]
    Missing {
        /// The program.
        program: String,
        /// What it is needed for.
        what: &'static str,
        /// What to do about it.
        remedy: String,
    },
    /// A program could not be started at all.
    #[error("{program} could not be started: {source}. {remedy}")]
    Start {
        /// The program, as it was called.
        program: String,
        /// Why the operating system refused.
        source: std::io::Error,
        /// What to do about it.
        remedy: String,
    },
    /// A program ended with an error; its output is above the message.
    #[error("{what} failed ({status}): {remedy}")]
    Failed {
        /// What was being done, with the folder or package.
        what: String,
        /// How the program ended.
        status: String,
        /// What to do about it.
        remedy: String,
    },
    /// A file or folder could not be read or written.
    #[error("{path}: {source} (while {doing})", path = path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What was being done with it.
        doing: &'static str,
        /// Why the operating system refused.
        source: std::io::Error,
    },
    /// The compiler's output is not a component's core module.
    #[error("{path} cannot be converted to a component: {reason}", path = path.display())]
    Component {
        /// The core module.
        path: PathBuf,
        /// The component encoder's message.
        reason: String,
    },
    /// The workspace has no plugin.
    #[error(
        "{workspace} has no plugin: no package of it has `crate-type = [\"cdylib\"]` under `[lib]`, add it to one",
        workspace = workspace.display()
    )]
    Nothing {
        /// The folder of the workspace.
        workspace: PathBuf,
    },
}
