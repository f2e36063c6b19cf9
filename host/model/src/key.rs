use serde::{Deserialize, Serialize};

use crate::{KeyId, SpaceId, Timestamp};

/// What the holder of a key may do. Each role includes nothing of the others but what is said here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything in the space: keys, plugins, sources and webhooks too.
    Admin,
    /// Reads all, changes automations and records, sends events.
    Editor,
    /// Reads all but secrets and keys.
    Viewer,
    /// Sends events, nothing else.
    Ingest,
}

impl Role {
    /// Whether it may read the space.
    pub fn reads(self) -> bool {
        !matches!(self, Self::Ingest)
    }

    /// Whether it may change automations and records.
    pub fn edits(self) -> bool {
        matches!(self, Self::Admin | Self::Editor)
    }

    /// Whether it may send events.
    pub fn ingests(self) -> bool {
        !matches!(self, Self::Viewer)
    }

    /// Whether it may change keys, plugins, sources and webhooks.
    pub fn administers(self) -> bool {
        matches!(self, Self::Admin)
    }

    /// Its name as in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Editor => "editor",
            Self::Viewer => "viewer",
            Self::Ingest => "ingest",
        }
    }
}

/// An API key as stored: enough to recognise it, not enough to use it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ApiKey {
    /// Names the key in the API.
    pub id: KeyId,
    /// The space it is bound to.
    pub space: SpaceId,
    /// What its owner calls it.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The first characters of the key, to tell keys apart in a list.
    pub prefix: String,
    /// SHA-256 of the key, in hex. Keys hold 256 random bits, so a plain digest gives nothing away.
    pub digest: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
}
