//! API keys, and the digests under which keys and tokens are stored.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hookwright_model::{ApiKey, KeyId, Role, SpaceId, Timestamp};
use sha2::{Digest as _, Sha256};

/// A new key, of which only the digest is stored, and its text, which is shown once.
pub fn make_key(space: &SpaceId, name: &str, role: Role, now: Timestamp) -> (ApiKey, String) {
    let text = format!("hw_{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()));
    let key = ApiKey {
        id: KeyId::new(),
        space: space.clone(),
        name: name.to_owned(),
        role,
        user: None,
        prefix: text.chars().take(9).collect(),
        digest: token_digest(&text),
        created_at: now,
        last_used_at: None,
        expires_at: None,
        replaced_by: None,
    };
    (key, text)
}

/// The SHA-256 of a key or token in hexadecimal, which is stored in its place.
pub fn token_digest(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}
