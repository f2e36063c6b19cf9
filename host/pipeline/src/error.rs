use hookwright_egress::EgressError;
use hookwright_model::{Failure, Mistake, Mistakes, Refused};
use hookwright_plugin::LoadError;
use hookwright_store::StoreError;

/// Why the pipeline refused something. The server maps each case to a status and a stable code.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// What was sent is wrong, and where.
    #[error("{0}")]
    Invalid(#[from] Mistakes),
    /// The data of an event is not what its type's schema wants, and where.
    #[error("the data of `{event_type}` does not fit its schema: {mistakes}")]
    Mismatch {
        /// The event's type.
        event_type: String,
        /// What does not fit.
        mistakes: Mistakes,
    },
    /// There is no such thing in the space.
    #[error("there is no {what} `{id}` in this space")]
    NotFound {
        /// Such as `automation`.
        what: &'static str,
        /// What was asked for.
        id: String,
    },
    /// It cannot be done as things stand.
    #[error("{message}")]
    Conflict {
        /// Stable.
        code: &'static str,
        /// What stands in the way, and the remedy.
        message: String,
    },
    /// A component cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A plugin or a record operation failed.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// A target cannot be used.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// A message cannot be signed.
    #[error(transparent)]
    Signing(#[from] hookwright_signing::SigningError),
    /// The store is full, closed or broken.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A setting cannot be used.
    #[error("{0}")]
    Settings(String),
    /// A secret cannot be sealed or opened.
    #[error("{0}")]
    Vault(String),
}

impl From<Mistake> for PipelineError {
    fn from(mistake: Mistake) -> Self {
        Self::Invalid(Mistakes::from(mistake))
    }
}

impl From<Refused> for PipelineError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Invalid(mistakes) => Self::Invalid(mistakes),
            Refused::Failed(failure) => Self::Failed(failure),
        }
    }
}

impl From<hookwright_store::VaultError> for PipelineError {
    fn from(error: hookwright_store::VaultError) -> Self {
        Self::Vault(error.to_string())
    }
}

impl PipelineError {
    /// Stable, for logs of what could not be sent.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::Invalid(_) => "input.invalid",
            Self::Mismatch { .. } => "event.schema_mismatch",
            Self::NotFound { .. } => "not_found",
            Self::Conflict { code, .. } => code,
            Self::Load(_) => "plugin.invalid",
            Self::Failed(failure) => &failure.code,
            Self::Egress(error) => error.code(),
            Self::Signing(_) => "signing.failed",
            Self::Store(_) => "store.failed",
            Self::Settings(_) => "settings.invalid",
            Self::Vault(_) => "vault.failed",
        }
    }

    pub(crate) fn not_found(what: &'static str, id: &str) -> Self {
        Self::NotFound { what, id: id.chars().take(80).collect() }
    }
}
