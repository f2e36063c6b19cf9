use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{KeyId, Rate, SourceId, SpaceId, Timestamp};

/// The kind of source whose URL is served by the tools of the space ([`crate::Tool`]) and not by a plugin.
pub const INCOMING: &str = "incoming";

/// An inbound endpoint with its own URL. A source plugin handles its requests, or, for the kind [`INCOMING`], the tools
/// that it has access to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Source {
    /// Its id in the API.
    pub id: SourceId,
    /// The space of its events.
    pub space: SpaceId,
    /// Its display name, and the `source` attribute of its events.
    pub name: String,
    /// The source plugin that handles the requests, or [`INCOMING`].
    pub kind: String,
    /// The tools of the space that requests may reach. Event sources need none.
    #[serde(default)]
    pub access: Vec<String>,
    /// Whether it is enabled. A disabled source refuses requests and keeps its configuration.
    pub active: bool,
    /// Parameters of the plugin.
    #[serde(default)]
    pub with: Map<String, Value>,
    /// SHA-256 in hex of the token in the URL.
    pub token_digest: String,
    /// The token, sealed.
    pub token: String,
    /// The previous URL, while it is still valid.
    #[serde(default)]
    pub former: Option<FormerUrl>,
    /// The provider's signing secret, sealed; the plugin uses it by the name `signing-secret`.
    pub secret: Option<String>,
    /// The API key that it belongs to. An incoming webhook has at most the permissions of that key.
    #[serde(default)]
    pub owner: Option<KeyId>,
    /// The rate limit of its URL. `None`: the server's setting.
    #[serde(default)]
    pub rate: Option<Rate>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its URL was last rotated.
    #[serde(default)]
    pub rotated_at: Option<Timestamp>,
}

/// A replaced URL that is still valid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormerUrl {
    /// SHA-256 in hex of the token in it.
    pub token_digest: String,
    /// When it expires.
    pub until: Timestamp,
}

impl Source {
    /// Whether the URL with this token's digest is currently valid for it.
    pub fn has_url(&self, token_digest: &str, now: Timestamp) -> bool {
        let is_former = |former: &FormerUrl| former.token_digest == token_digest && now < former.until;
        self.token_digest == token_digest || self.former.as_ref().is_some_and(is_former)
    }
}
