use std::path::PathBuf;

/// The reason for which the engine could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The options cannot be satisfied.
    #[error("the plugin engine cannot be set up: {0}")]
    Settings(String),
    /// The thread that counts time for plugins could not be started.
    #[error("the plugin engine's clock thread cannot be started: {0}: raise the limit on threads")]
    Thread(#[source] std::io::Error),
    /// The directory for compiled components cannot be used.
    #[error("`{}` cannot be used for compiled plugins: {source}: make it a directory that only this server's user can write", dir.display())]
    CacheDir {
        /// The directory.
        dir: PathBuf,
        /// What was wrong with it.
        source: std::io::Error,
    },
}

/// The reason for which a component was refused. [`LoadError::code`] is for programs, the message for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// It exceeds the maximum size.
    #[error(
        "the component has {size} bytes: at most {most} are accepted; leave out debug information (`wasm-tools strip`) or raise the limit"
    )]
    TooLarge {
        /// Its size in bytes.
        size: u64,
        /// The maximum size.
        most: usize,
    },
    /// It is not WebAssembly.
    #[error("this is not WebAssembly: it begins with {0}; send the bytes of a component (`.wasm`)")]
    NotWasm(String),
    /// It is a core module, which has no typed interfaces.
    #[error(
        "this is a core WebAssembly module, not a component: make a component of it with `wasm-tools component new`, \
         or build it with `cargo xtask plugins` or the SDK's own tool"
    )]
    CoreModule,
    /// It is precompiled machine code.
    #[error("this is precompiled machine code, which is never accepted: send the component that it was compiled from")]
    Precompiled,
    /// Its bytes are not valid.
    #[error("the component is damaged or uses features that this server does not support: {0}; build it again")]
    Malformed(String),
    /// It does not export a kind of plugin.
    #[error("{0}")]
    NoKnownWorld(String),
    /// It imports what plugins of its kinds do not get.
    #[error("{0}")]
    ImportNotGranted(String),
    /// It is valid, but could not be compiled within the limits.
    #[error("the component could not be compiled: {0}")]
    CompileFailed(String),
    /// The process that compiles was ended by a signal that is not caused by the component, such as SIGTERM.
    #[error("compiling the component was interrupted by signal {0}: restart the server, or load the plugin again")]
    CompileInterrupted(i32),
    /// An import or export does not have the type that the WIT declares.
    #[error(
        "the component does not fit hookwright:plugin@{version}: {reason}; build it again with the WIT of that version, unchanged"
    )]
    TypeMismatch {
        /// The version of the WIT package.
        version: &'static str,
        /// The mismatch.
        reason: String,
    },
    /// `describe` trapped.
    #[error("its `describe` failed: {0}; `describe` must only return what the plugin is")]
    DescribeTrapped(String),
    /// `describe` exceeded its time, its memory or another limit.
    #[error("its `describe` went past a limit: {0}; `describe` must only return what the plugin is")]
    DescribeFailed(String),
    /// The result of `describe` is not valid.
    #[error("its `describe` returned a manifest that cannot be used: {0}")]
    ManifestInvalid(String),
    /// It cannot be installed under this name.
    #[error("`{0}` cannot be a plugin's name: give it 1 to 64 of a-z, 0-9 and -")]
    NameInvalid(String),
    /// A signature is required and missing.
    #[error(
        "the component is not signed, and only components that are signed by a trusted key ({0}) are accepted: sign it with `hookwright plugin sign`"
    )]
    Unsigned(String),
    /// A signature is malformed, or is not of this component by a trusted key.
    #[error("{0}; sign it with `hookwright plugin sign`, or add the signer's public key to the setting plugin_keys")]
    SignatureWrong(String),
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    Unreadable(String),
}

impl LoadError {
    /// It could not be compiled, for this reason.
    pub(crate) fn compile_failed(error: &dyn std::fmt::Display) -> Self {
        Self::CompileFailed(crate::cut::cut(&error.to_string(), 600))
    }

    /// Stable, `plugin.problem`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "plugin.too_large",
            Self::NotWasm(_) => "plugin.not_wasm",
            Self::CoreModule => "plugin.core_module",
            Self::Precompiled => "plugin.precompiled",
            Self::Malformed(_) => "plugin.malformed",
            Self::NoKnownWorld(_) => "plugin.no_known_world",
            Self::ImportNotGranted(_) => "plugin.import_not_granted",
            Self::CompileFailed(_) => "plugin.compile_failed",
            Self::CompileInterrupted(_) => "plugin.compile_interrupted",
            Self::TypeMismatch { .. } => "plugin.type_mismatch",
            Self::DescribeTrapped(_) => "plugin.describe_trapped",
            Self::DescribeFailed(_) => "plugin.describe_failed",
            Self::ManifestInvalid(_) => "plugin.manifest_invalid",
            Self::NameInvalid(_) => "plugin.name_invalid",
            Self::Unsigned(_) => "plugin.unsigned",
            Self::SignatureWrong(_) => "plugin.signature_wrong",
            Self::Unreadable(_) => "plugin.unreadable",
        }
    }
}
