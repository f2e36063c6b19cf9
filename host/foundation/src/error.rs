//! The errors of the pipeline, with their codes.

use hookwright_egress::EgressError;
use hookwright_model::{Expected, Failure, Mistake, Mistakes, Refused, Version, VersionNotFound};
use hookwright_plugin::LoadError;
use hookwright_store::StoreError;

/// Why the pipeline refused something. The server maps each case to a status and a stable code.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The input is not valid; the validation errors say where.
    #[error("{0}")]
    Invalid(#[from] Mistakes),
    /// The data of an event does not match its type's schema.
    #[error("the data of `{event_type}` does not match its schema: {mistakes}")]
    Mismatch {
        /// The event's type.
        event_type: String,
        /// Where it does not match.
        mistakes: Mistakes,
    },
    /// It does not exist in the space.
    #[error("there is no {what} `{id}` in this space")]
    NotFound {
        /// The sort of thing, such as `automation`.
        what: &'static str,
        /// The id that was requested.
        id: String,
    },
    /// The operation conflicts with the present state.
    #[error("{message}")]
    Conflict {
        /// Stable.
        code: &'static str,
        /// The reason, and the remedy.
        message: String,
    },
    /// It existed, and no longer does.
    #[error("{message}")]
    Gone {
        /// Stable.
        code: &'static str,
        /// What happened to it, and the remedy.
        message: String,
    },
    /// `If-Match` names another version than the present one.
    #[error("{message}")]
    Precondition {
        /// Stable.
        code: &'static str,
        /// The present entity tag, and the remedy.
        message: String,
    },
    /// A component cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A plugin or a record operation failed.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// A target of requests is not valid or not allowed.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// A message cannot be signed.
    #[error(transparent)]
    Signing(#[from] hookwright_signing::SigningError),
    /// The store is full, closed or broken.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A setting is not valid.
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

impl From<VersionNotFound> for PipelineError {
    fn from(error: VersionNotFound) -> Self {
        Self::Conflict { code: error.code(), message: error.to_string() }
    }
}

impl From<hookwright_store::VaultError> for PipelineError {
    fn from(error: hookwright_store::VaultError) -> Self {
        Self::Vault(error.to_string())
    }
}

/// Collects the validation errors of several checks.
///
/// # Errors
/// All validation errors; or the first error of another sort.
pub fn together(checks: impl IntoIterator<Item = Result<(), PipelineError>>) -> Result<(), PipelineError> {
    let mut mistakes = Mistakes::default();
    for check in checks {
        match check {
            Err(PipelineError::Invalid(found)) => mistakes.0.extend(found.0),
            other => other?,
        }
    }
    Ok(mistakes.check()?)
}

/// Refuses a change whose `If-Match` names another revision than the present one (RFC 9110, section 13.1.1). `what` is
/// changed, such as "automation `a`".
///
/// # Errors
/// [`PipelineError::Precondition`] with this code.
pub fn as_expected(
    expected: Option<&Expected>,
    revision: u32,
    what: &str,
    code: &'static str,
) -> Result<(), PipelineError> {
    match expected {
        Some(Expected::OneOf(revisions)) if !revisions.contains(&Version::from(revision)) => {
            let message =
                format!("{what} has the entity tag \"{revision}\" now: read it again, then repeat the change");
            Err(PipelineError::Precondition { code, message })
        }
        _ => Ok(()),
    }
}

impl PipelineError {
    /// The stable code, for log lines.
    pub fn code(&self) -> &str {
        match self {
            Self::Invalid(_) => "input.invalid",
            Self::Mismatch { .. } => "event.schema_mismatch",
            Self::NotFound { .. } => "not_found",
            Self::Conflict { code, .. } | Self::Gone { code, .. } | Self::Precondition { code, .. } => code,
            Self::Load(_) => "plugin.invalid",
            Self::Failed(failure) => &failure.code,
            Self::Egress(error) => error.code(),
            Self::Signing(_) => "signing.failed",
            Self::Store(_) => "store.failed",
            Self::Settings(_) => "settings.invalid",
            Self::Vault(_) => "vault.failed",
        }
    }

    /// The error that an object of a type does not exist.
    pub fn not_found(what: &'static str, id: &str) -> Self {
        Self::NotFound { what, id: hookwright_model::abridged(id) }
    }
}
