use hookwright_model::{Failure, Mistake, Mistakes, Refused};
use hookwright_plugin::LoadError;
use hookwright_store::StoreError;

use crate::EgressError;

/// Why the pipeline refused something. The server maps each case to a status and a stable code.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// What was sent is wrong, and where.
    #[error("{0}")]
    Invalid(#[from] Mistakes),
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
    pub(crate) fn not_found(what: &'static str, id: &str) -> Self {
        Self::NotFound { what, id: id.chars().take(80).collect() }
    }
}
