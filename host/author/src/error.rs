//! Errors of creating and building plugins. Every message ends with the remedy.

use std::path::PathBuf;

/// A plugin could not be created or built.
#[derive(Debug, thiserror::Error)]
pub enum AuthorError {
    /// An unknown word.
    #[error("`{field}` is `{value}`: write one of {known}")]
    Unknown {
        /// The field or option.
        field: &'static str,
        /// What was given.
        value: String,
        /// The known words, separated by commas.
        known: String,
    },
    /// An invalid plugin name.
    #[error("`name` is `{value}`: {reason}")]
    Name {
        /// What was given.
        value: String,
        /// The reason, and what to write.
        reason: &'static str,
    },
    /// A kind that has no template in this language.
    #[error("there is no template of a {kind} in {language}: choose another language, or start from its action")]
    NoTemplate {
        /// The kind that was asked for.
        kind: &'static str,
        /// The language that was asked for.
        language: &'static str,
    },
    /// The folder is not empty.
    #[error("{folder} is not empty: choose a folder that is empty or does not exist yet", folder = folder.display())]
    NotEmpty {
        /// The folder.
        folder: PathBuf,
    },
    /// The settings of a plugin's folder cannot be read.
    #[error("{path}: {reason}", path = path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// The reason and the remedy.
        reason: String,
    },
    /// A compiler or another program is missing.
    #[error("{program} is needed to build plugins in {language} and was not found. To install it, run: {remedy}")]
    Missing {
        /// The program with its version.
        program: String,
        /// The language.
        language: &'static str,
        /// The one command that installs it.
        remedy: String,
    },
    /// No Rust toolchain here builds WebAssembly.
    #[error(transparent)]
    MissingTarget(#[from] hookwright_guests::MissingTarget),
    /// The error of the Rust build.
    #[error(transparent)]
    Rust(#[from] hookwright_guests::BuildError),
    /// A program could not be started.
    #[error("{program} could not be started: {source}")]
    Start {
        /// The program.
        program: String,
        /// Why the operating system refused.
        source: std::io::Error,
    },
    /// A program ended with an error.
    #[error("{what} failed ({status}):\n{output}")]
    Failed {
        /// What was being done.
        what: String,
        /// Its exit status.
        status: String,
        /// The end of its output.
        output: String,
    },
    /// The world of the plugin is invalid.
    #[error("the world `{world}` cannot be used: {reason}")]
    World {
        /// The world's name.
        world: String,
        /// The parser's message.
        reason: String,
    },
    /// A module of a script that cannot be found.
    #[error("{path}: {reason}", path = path.display())]
    Module {
        /// The script.
        path: PathBuf,
        /// The import, and the remedy.
        reason: String,
    },
    /// The compiled module cannot be converted to a component.
    #[error("{path} cannot be converted to a component: {reason}", path = path.display())]
    Component {
        /// The core module.
        path: PathBuf,
        /// The encoder's message.
        reason: String,
    },
    /// A file could not be read or written.
    #[error("{path}: {source} (while {doing})", path = path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What was being done with it.
        doing: &'static str,
        /// Why the operating system refused.
        source: std::io::Error,
    },
}

impl AuthorError {
    /// A stable code, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. } | Self::Name { .. } => "option.invalid",
            Self::NoTemplate { .. } => "template.not_found",
            Self::NotEmpty { .. } => "folder.not_empty",
            Self::Settings { .. } => "settings.invalid",
            Self::Missing { .. } | Self::MissingTarget(_) => "toolchain.missing",
            Self::Rust(_) | Self::Failed { .. } | Self::Start { .. } => "build.failed",
            Self::World { .. } => "world.invalid",
            Self::Module { .. } => "module.not_found",
            Self::Component { .. } => "component.invalid",
            Self::File { .. } => "file.failed",
        }
    }

    /// A closure that converts an I/O error about `path`.
    pub(crate) fn file(path: &std::path::Path, doing: &'static str) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { path, doing, source }
    }
}
