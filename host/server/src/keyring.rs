//! The API keys that work: who calls, for which space, and what they may do.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use hookwright_model::{ApiKey, KeyId, Role, SpaceId, Timestamp, User};
use hookwright_pipeline::{KeyedLocks, make_key};
use hookwright_store::{Store, StoreError};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::auth_log::AuthLog;
use crate::auth_throttle::AuthThrottle;

type Digest = [u8; 32];

/// How long an expired key stays in the list, so that its owner can see why it is refused.
const EXPIRED_RETENTION: Duration = Duration::from_secs(7 * 86_400);

/// All keys in memory, found by digest.
pub struct Keys {
    pub(crate) known: ArcSwap<HashMap<Digest, Arc<Known>>>,
    throttle: AuthThrottle,
    /// Locked for a space from reading a key until its change is stored and applied in memory, so that no change restores
    /// a key that was revoked in the meantime, and memory equals the store.
    pub(crate) changing: KeyedLocks<SpaceId>,
    pub(crate) auth_log: AuthLog,
}

/// The attributes of a new key.
pub struct KeyDraft<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its role.
    pub role: Role,
    /// The user that it stands for.
    pub user: Option<User>,
    /// The time from which it is refused; `None`: it works until it is revoked.
    pub expires_at: Option<Timestamp>,
}

/// A valid key.
pub(crate) struct Known {
    pub(crate) key: ApiKey,
    digest: Digest,
    /// Whether it comes from the environment and is not stored.
    pub(crate) fixed: bool,
    used: AtomicI64,
    /// The last use that is stored.
    written: AtomicI64,
}

impl Keys {
    /// Loads the keys; `admin` is the administrator key from the environment, if set. `wrong_keys` wrong keys a minute
    /// are looked up for an address; 0: no limit.
    pub fn load(store: &Store, admin: Option<&str>, wrong_keys: u32, now: Timestamp) -> Result<Self, StoreError> {
        let mut known = HashMap::new();
        for key in store.keys.all_keys()? {
            if let Some(digest) = parse_digest(&key.digest) {
                known.insert(digest, Arc::new(Known::new(key, digest, false)));
            }
        }
        if let Some(admin) = admin {
            let digest = digest(admin);
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
            known.insert(digest, Arc::new(Known::new(key, digest, true)));
        }
        let (known, auth_log) = (ArcSwap::from_pointee(known), AuthLog::new(now));
        Ok(Self { known, throttle: AuthThrottle::new(wrong_keys), changing: KeyedLocks::default(), auth_log })
    }

    /// Whether there is any administrator of the space `main`.
    pub fn has_admin(&self) -> bool {
        self.known.load().values().any(|known| known.key.role == Role::Admin && known.key.space == SpaceId::main())
    }

    /// Whether a key from this address may be looked up; else the number of seconds to wait.
    pub(crate) fn admit(&self, remote: IpAddr, text: &str, now: Timestamp) -> Result<(), u32> {
        self.throttle.admit(remote, text, &digest(text), now)
    }

    /// The key with this text. Counts neither a guess nor a use.
    pub(crate) fn peek(&self, text: &str, now: Timestamp) -> Option<Arc<Known>> {
        self.known.load().get(&digest(text)).filter(|known| !known.key.has_expired(now)).cloned()
    }

    pub(crate) fn find(&self, remote: IpAddr, text: &str, now: Timestamp) -> Option<Arc<Known>> {
        let digest = digest(text);
        let Some(known) = self.known.load().get(&digest).filter(|known| !known.key.has_expired(now)).cloned() else {
            self.throttle.wrong(remote, text, now);
            return None;
        };
        self.throttle.right(remote, &digest);
        // The map has compared digests, not keys; this compares the digests in constant time too.
        if !bool::from(known.digest.ct_eq(&digest)) {
            return None;
        }
        known.used.store(now.millis(), Ordering::Relaxed);
        Some(known)
    }

    /// Creates a key and stores its digest; returns the key itself, only this time.
    pub async fn create(
        &self,
        store: &Store,
        space: &SpaceId,
        draft: KeyDraft<'_>,
        now: Timestamp,
    ) -> Result<(ApiKey, String), StoreError> {
        let KeyDraft { name, role, user, expires_at } = draft;
        let (key, text) = make_key(space, name, role, now);
        let key = ApiKey { user, expires_at, ..key };
        store.ensure_space(space).await?;
        store.keys.put_key(&key).await?;
        self.follow(std::slice::from_ref(&key), &[]);
        Ok((key, text))
    }

    /// Applies stored changes: the keys `held` are valid from now on, and the keys `gone` are not.
    pub(crate) fn follow(&self, held: &[ApiKey], gone: &[ApiKey]) {
        if held.is_empty() && gone.is_empty() {
            return;
        }
        self.change(|known| {
            for digest in gone.iter().filter_map(|key| parse_digest(&key.digest)) {
                known.remove(&digest);
            }
            for key in held {
                if let Some(digest) = parse_digest(&key.digest) {
                    known.insert(digest, Arc::new(Known::new(key.clone(), digest, false)));
                }
            }
        });
    }

    fn change(&self, change: impl Fn(&mut HashMap<Digest, Arc<Known>>)) {
        self.known.rcu(|known| {
            let mut known = HashMap::clone(known);
            change(&mut known);
            known
        });
    }

    /// Deletes keys that expired more than [`EXPIRED_RETENTION`] ago.
    pub async fn sweep(&self, store: &Store, now: Timestamp) -> Result<(), StoreError> {
        let is_gone = |known: &Arc<Known>| known.key.expires_at.is_some_and(|end| end.after(EXPIRED_RETENTION) <= now);
        let found: Vec<Arc<Known>> = self.known.load().values().filter(|known| is_gone(known)).cloned().collect();
        for Known { key, .. } in found.iter().map(Arc::as_ref) {
            let _changing = self.changing.lock(&key.space).await;
            if !self.get(&key.space, key.id.as_str()).is_some_and(|known| is_gone(&known)) {
                continue;
            }
            store.keys.delete_key(&key.space, key.id.as_str()).await?;
            self.follow(&[], std::slice::from_ref(key));
        }
        Ok(())
    }

    /// The key with this id, if there is one.
    pub(crate) fn get(&self, space: &SpaceId, id: &str) -> Option<Arc<Known>> {
        self.known.load().values().find(|known| known.key.space == *space && known.key.id.as_str() == id).cloned()
    }

    /// Stores the times of last use of the keys that were used since the previous call.
    pub async fn write_uses(&self, store: &Store) -> Result<(), StoreError> {
        let known: Vec<Arc<Known>> = self.known.load().values().cloned().collect();
        for known in known {
            let used = known.used.load(Ordering::Relaxed);
            if !known.fixed && used > known.written.swap(used, Ordering::Relaxed) {
                store.keys.note_key_use(&known.shown()).await?;
            }
        }
        Ok(())
    }
}

impl Known {
    fn new(key: ApiKey, digest: Digest, fixed: bool) -> Self {
        let used = key.last_used_at.map_or(0, Timestamp::millis);
        Self { key, digest, fixed, used: AtomicI64::new(used), written: AtomicI64::new(used) }
    }

    pub(crate) fn shown(&self) -> ApiKey {
        let used = self.used.load(Ordering::Relaxed);
        ApiKey { last_used_at: (used > 0).then(|| Timestamp::from_millis(used)), ..self.key.clone() }
    }
}

fn digest(text: &str) -> Digest {
    Sha256::digest(text.as_bytes()).into()
}

fn parse_digest(text: &str) -> Option<Digest> {
    hex::decode(text).ok()?.try_into().ok()
}

/// Writes the first administrator key to a file that only its owner can read.
pub fn write_admin_key(path: &FilePath, key: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    writeln!(file, "{key}")?;
    file.sync_all()
}
