//! What can go wrong between an empty folder and a component. Every message ends with what to do.

use std::path::PathBuf;

/// A plugin could not be started or built.
#[derive(Debug, thiserror::Error)]
pub enum AuthorError {
    /// A word that is none of those there are.
    #[error("`{field}` is `{value}`: write one of {known}")]
    Unknown {
        /// The field or option.
        field: &'static str,
        /// What was given.
        value: String,
        /// What there is, separated by commas.
        known: String,
    },
    /// A name that cannot be a plugin's.
    #[error("`name` is `{value}`: {reason}")]
    Name {
        /// What was given.
        value: String,
        /// What is wrong with it, and what to write.
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
    /// The folder has something in it already.
    #[error("{folder} is not empty: choose a folder that is empty or not there yet", folder = folder.display())]
    NotEmpty {
        /// The folder.
        folder: PathBuf,
    },
    /// The settings of a plugin's folder cannot be read.
    #[error("{path}: {reason}", path = path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// A compiler or another program is not on this machine.
    #[error("{program} is needed to build plugins in {language} and is not here. To install it, run: {remedy}")]
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
    /// What the Rust build said.
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
        /// How it ended.
        status: String,
        /// The end of what it said.
        output: String,
    },
    /// The world of the plugin is wrong.
    #[error("the world `{world}` cannot be used: {reason}")]
    World {
        /// The world's name.
        world: String,
        /// What the parser said.
        reason: String,
    },
    /// The compiled module cannot become a component.
    #[error("{path} cannot be made a component: {reason}", path = path.display())]
    Component {
        /// The core module.
        path: PathBuf,
        /// What the encoder said.
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
            Self::Component { .. } => "component.invalid",
            Self::File { .. } => "file.failed",
        }
    }

    /// A closure that makes an error about `path` of an operating system's.
    pub(crate) fn file(path: &std::path::Path, doing: &'static str) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { path, doing, source }
    }
}
