use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{KeyId, Rate, SourceId, SpaceId, Timestamp};

/// The kind of source behind whose URL no plugin stands but the tools of the space ([`crate::Tool`]).
pub const INCOMING: &str = "incoming";

/// A way in with a URL of its own: a source component takes what is sent there, or, of the kind [`INCOMING`], the tools
/// that it has access to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Source {
    /// Names it in the API.
    pub id: SourceId,
    /// The space its events go to.
    pub space: SpaceId,
    /// What its owner calls it; the `source` attribute of its events.
    pub name: String,
    /// The source plugin that takes the requests, or [`INCOMING`].
    pub kind: String,
    /// The tools of the space that requests may reach. Event sources need none.
    #[serde(default)]
    pub access: Vec<String>,
    /// Off: requests are refused and nothing is lost of the set-up.
    pub active: bool,
    /// Parameters of the plugin.
    #[serde(default)]
    pub with: Map<String, Value>,
    /// SHA-256 in hex of the token in the URL.
    pub token_digest: String,
    /// The token, sealed.
    pub token: String,
    /// The URL before the present one, if it still works for a while.
    #[serde(default)]
    pub former: Option<FormerUrl>,
    /// The provider's signing secret, sealed; the plugin uses it by the name `signing-secret`.
    pub secret: Option<String>,
    /// The API key that answers for it. What the key may do bounds what an incoming webhook may.
    #[serde(default)]
    pub owner: Option<KeyId>,
    /// How many requests its URL takes; none: as many as the server's setting says.
    #[serde(default)]
    pub rate: Option<Rate>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its URL was last given anew.
    #[serde(default)]
    pub rotated_at: Option<Timestamp>,
}

/// A URL that was replaced and still works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormerUrl {
    /// SHA-256 in hex of the token in it.
    pub token_digest: String,
    /// Until when it works.
    pub until: Timestamp,
}

impl Source {
    /// Whether requests at the URL with this token's digest are for it now.
    pub fn has_url(&self, token_digest: &str, now: Timestamp) -> bool {
        let is_former = |former: &FormerUrl| former.token_digest == token_digest && now < former.until;
        self.token_digest == token_digest || self.former.as_ref().is_some_and(is_former)
    }
}
