//! API keys, made.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hookwright_model::{ApiKey, KeyId, Role, SpaceId, Timestamp};
use sha2::{Digest as _, Sha256};

/// A new key, of which only the digest is to be stored, and its text, which is shown once.
pub fn make_key(space: &SpaceId, name: &str, role: Role, now: Timestamp) -> (ApiKey, String) {
    let text = format!("hw_{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()));
    let key = ApiKey {
        id: KeyId::new(),
        space: space.clone(),
        name: name.to_owned(),
        role,
        prefix: text.chars().take(9).collect(),
        digest: hex::encode(Sha256::digest(text.as_bytes())),
        created_at: now,
        last_used_at: None,
    };
    (key, text)
}
