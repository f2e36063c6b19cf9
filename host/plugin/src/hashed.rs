//! Components with their digests.

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::blocking::blocking;
use crate::error::LoadError;

/// A component's bytes with their SHA-256. Components are so large that hashing one would block an async thread, so it
/// is done once on a blocking thread, and the digest stays with the bytes.
#[derive(Clone, Debug)]
pub struct HashedComponent {
    bytes: Bytes,
    digest: String,
}

impl HashedComponent {
    /// Hashes the bytes, on a thread that may block.
    ///
    /// # Errors
    /// The runtime is being shut down.
    pub async fn of(bytes: Bytes) -> Result<Self, LoadError> {
        blocking(move || {
            let digest = hex::encode(Sha256::digest(&bytes));
            Self { bytes, digest }
        })
        .await
    }

    /// The SHA-256 in lower-case hex.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    pub(crate) fn into_parts(self) -> (Bytes, String) {
        (self.bytes, self.digest)
    }
}
