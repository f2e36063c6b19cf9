use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// A stored secret of a space. Grants determine which plugins may use it.
#[derive(Clone, Serialize, Deserialize)]
pub struct Secret {
    /// Its name in grants and in the API.
    pub name: String,
    /// Its value, sealed.
    pub sealed: String,
    /// When it was first set.
    pub created_at: Timestamp,
    /// When it was last set.
    pub updated_at: Timestamp,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("name", &self.name).finish_non_exhaustive()
    }
}
