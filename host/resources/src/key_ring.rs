//! The API keys in memory, found by their digests.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwap;
use hookwright_model::{ApiKey, KeyId, Role, SpaceId, Timestamp};
use hookwright_store::{Store, StoreError};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

type Digest = [u8; 32];

/// All keys in memory. The store is authoritative; this follows each committed change.
#[derive(Default)]
pub(crate) struct KeyRing {
    known: ArcSwap<HashMap<Digest, Arc<KnownKey>>>,
}

/// A key in memory.
pub(crate) struct KnownKey {
    pub(crate) key: Arc<ApiKey>,
    digest: Digest,
    /// Whether it comes from the environment and is not stored.
    pub(crate) fixed: bool,
    used: AtomicI64,
    /// The last use that is stored.
    written: AtomicI64,
}

impl KeyRing {
    pub(crate) fn load(store: &Store) -> Result<Self, StoreError> {
        let ring = Self::default();
        ring.follow(&store.keys.all_keys()?.iter().collect::<Vec<_>>(), &[]);
        Ok(ring)
    }

    /// Adds the administrator key of the environment, which is not stored.
    pub(crate) fn add_fixed(&self, text: &str, now: Timestamp) {
        let digest = digest_of(text);
        let key = ApiKey {
            id: KeyId::from("key_environment"),
            space: SpaceId::main(),
            name: "HOOKWRIGHT_ADMIN_KEY".to_owned(),
            role: Role::Admin,
            user: None,
            prefix: String::new(),
            digest: hex::encode(digest),
            created_at: now,
            last_used_at: None,
            expires_at: None,
            replaced_by: None,
        };
        let known = Arc::new(KnownKey::new(key, digest, true));
        self.change(|all| {
            all.insert(digest, Arc::clone(&known));
        });
    }

    /// Applies stored changes: the keys `held` are valid from now on, and the keys `gone` are not.
    pub(crate) fn follow(&self, held: &[&ApiKey], gone: &[&ApiKey]) {
        if held.is_empty() && gone.is_empty() {
            return;
        }
        self.change(|all| {
            for digest in gone.iter().filter_map(|key| parse_digest(&key.digest)) {
                all.remove(&digest);
            }
            for key in held {
                if let Some(digest) = parse_digest(&key.digest) {
                    all.insert(digest, Arc::new(KnownKey::new(ApiKey::clone(key), digest, false)));
                }
            }
        });
    }

    fn change(&self, change: impl Fn(&mut HashMap<Digest, Arc<KnownKey>>)) {
        self.known.rcu(|all| {
            let mut all = HashMap::clone(all);
            change(&mut all);
            all
        });
    }

    /// The key with this text, unless it has expired.
    pub(crate) fn key_of_text(&self, text: &str, now: Timestamp) -> Option<Arc<KnownKey>> {
        let digest = digest_of(text);
        let known = self.known.load().get(&digest).filter(|known| !known.key.has_expired(now)).cloned()?;
        // The map has compared digests, not keys; this compares the digests in constant time too.
        bool::from(known.digest.ct_eq(&digest)).then_some(known)
    }

    /// The key with this id, even if it has expired.
    pub(crate) fn key_of_id(&self, space: &SpaceId, id: &str) -> Option<Arc<KnownKey>> {
        self.known.load().values().find(|known| known.key.space == *space && known.key.id.as_str() == id).cloned()
    }

    pub(crate) fn all_known(&self) -> Vec<Arc<KnownKey>> {
        self.known.load().values().cloned().collect()
    }
}

impl KnownKey {
    fn new(key: ApiKey, digest: Digest, fixed: bool) -> Self {
        let used = key.last_used_at.map_or(0, Timestamp::millis);
        let key = Arc::new(key);
        Self { key, digest, fixed, used: AtomicI64::new(used), written: AtomicI64::new(used) }
    }

    /// Records that the key was used.
    pub(crate) fn note_use(&self, now: Timestamp) {
        self.used.store(now.millis(), Ordering::Relaxed);
    }

    /// The key with the time of its last use.
    pub(crate) fn with_last_use(&self) -> ApiKey {
        let used = self.used.load(Ordering::Relaxed);
        ApiKey { last_used_at: (used > 0).then(|| Timestamp::from_millis(used)), ..ApiKey::clone(&self.key) }
    }

    /// The key, if it was used after the last call and is stored.
    pub(crate) fn take_use(&self) -> Option<ApiKey> {
        let used = self.used.load(Ordering::Relaxed);
        let is_new = !self.fixed && used > self.written.swap(used, Ordering::Relaxed);
        is_new.then(|| self.with_last_use())
    }
}

fn digest_of(text: &str) -> Digest {
    Sha256::digest(text.as_bytes()).into()
}

fn parse_digest(text: &str) -> Option<Digest> {
    hex::decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookwright_foundation::keys::make_key;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn a_key_is_found_by_its_text_until_it_expires_or_is_gone() {
        let ring = KeyRing::default();
        let (key, text) = make_key(&SpaceId::main(), "a", Role::Viewer, at(1));
        let key = ApiKey { expires_at: Some(at(100)), ..key };
        ring.follow(&[&key], &[]);
        let id = key.id.as_str();
        assert_eq!(ring.key_of_text(&text, at(99)).unwrap().key.id, key.id);
        assert!(ring.key_of_text(&text[1..], at(99)).is_none());
        assert!(ring.key_of_text(&key.digest, at(99)).is_none(), "the digest is not the key");
        assert!(ring.key_of_text(&text, at(100)).is_none());
        assert!(ring.key_of_id(&SpaceId::main(), id).is_some(), "its owner can see why it is refused");
        assert!(ring.key_of_id(&"other".parse().unwrap(), id).is_none());
        ring.follow(&[], &[&key]);
        assert!(ring.key_of_text(&text, at(99)).is_none());
        assert!(ring.all_known().is_empty());
    }

    #[test]
    fn a_use_is_stored_once_and_that_of_the_key_of_the_environment_never() {
        let ring = KeyRing::default();
        let (key, text) = make_key(&SpaceId::main(), "a", Role::Viewer, at(1));
        ring.follow(&[&key], &[]);
        let known = ring.key_of_text(&text, at(5)).unwrap();
        assert!(known.take_use().is_none(), "it was found, not used");
        known.note_use(at(5));
        assert_eq!(known.take_use().unwrap().last_used_at, Some(at(5)));
        assert!(known.take_use().is_none());

        ring.add_fixed("a long administrator key", at(1));
        let known = ring.key_of_text("a long administrator key", at(5)).unwrap();
        known.note_use(at(5));
        assert!(known.fixed && known.take_use().is_none());
        assert_eq!(known.with_last_use().last_used_at, Some(at(5)));
    }
}
