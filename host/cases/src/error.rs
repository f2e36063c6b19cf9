use std::path::PathBuf;

/// The reason for which cases cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CaseError {
    /// A file or folder cannot be read.
    #[error("case.unreadable: {}: {reason}", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A file is not a case, or its context cannot be set up.
    #[error("case.invalid: {}: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The path, the error, and the remedy.
        reason: String,
    },
}

impl CaseError {
    /// Stable, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "case.unreadable",
            Self::Invalid { .. } => "case.invalid",
        }
    }
}
