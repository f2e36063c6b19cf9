use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{SourceId, SpaceId, Timestamp};

/// A way in with a URL of its own: a source component takes what is sent there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Source {
    /// Names it in the API.
    pub id: SourceId,
    /// The space its events go to.
    pub space: SpaceId,
    /// What its owner calls it; the `source` attribute of its events.
    pub name: String,
    /// The source plugin that takes the requests.
    pub kind: String,
    /// The parts of the space that requests may reach. Event sources need none.
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
    /// The provider's signing secret, sealed; the plugin uses it by the name `signing-secret`.
    pub secret: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}
