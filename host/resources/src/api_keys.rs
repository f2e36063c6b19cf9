//! API keys: created, changed, rotated and revoked.

use std::sync::Arc;
use std::time::Duration;

use hookwright_foundation::error::PipelineError;
use hookwright_foundation::keyed_locks::KeyedLocks;
use hookwright_foundation::keys::make_key;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_model::{ApiKey, KeyChange, KeyId, Mistake, Mistakes, Role, SpaceId, User, check_display_name};
use hookwright_store::Store;

use crate::key_ring::{KeyRing, KnownKey};
use crate::sources::Sources;

/// How long an expired key is listed, so that its owner can see why it is refused.
const EXPIRED_RETENTION: Duration = Duration::from_secs(7 * 86_400);

/// The longest overlap of a rotation, in seconds.
const MAX_OVERLAP_SECONDS: u64 = 7 * 86_400;

/// The attributes of a new key.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// The user that it stands for.
    pub user: Option<User>,
    /// The number of seconds until it expires; `None`: it works until it is revoked.
    pub expires_in_seconds: Option<u64>,
}

/// API keys. A key is read, stored and applied in memory while its space is locked, so that no change restores a key that
/// was revoked in the meantime, and memory equals the store.
pub struct ApiKeys {
    pub(crate) changing: Arc<KeyedLocks<SpaceId>>,
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) key_ring: Arc<KeyRing>,
    pub(crate) sources: Arc<Sources>,
    pub(crate) store: Store,
}

impl ApiKeys {
    /// Accepts this text as an administrator key of the space `main` until the process ends. It is not stored.
    pub fn accept_admin_key(&self, text: &str) {
        self.key_ring.add_fixed(text, self.clock.now());
    }

    /// Whether there is any administrator of the space `main` whose key works.
    pub fn has_admin(&self) -> bool {
        let (keys, now) = (self.key_ring.all_known(), self.clock.now());
        let is_admin = |key: &ApiKey| key.role == Role::Admin && key.space == SpaceId::main() && !key.has_expired(now);
        keys.iter().any(|known| is_admin(&known.key))
    }

    /// The key with this text, which counts as used. `None`: it is wrong, was revoked, or has expired.
    pub fn authenticate(&self, text: &str) -> Option<Arc<ApiKey>> {
        let now = self.clock.now();
        let known = self.key_ring.key_of_text(text, now)?;
        known.note_use(now);
        Some(Arc::clone(&known.key))
    }

    /// The same, but the key does not count as used.
    pub fn peek_key(&self, text: &str) -> Option<Arc<ApiKey>> {
        let known = self.key_ring.key_of_text(text, self.clock.now())?;
        Some(Arc::clone(&known.key))
    }

    /// The key with this id, if there is one.
    pub fn known_key(&self, space: &SpaceId, id: &str) -> Option<Arc<ApiKey>> {
        let known = self.key_ring.key_of_id(space, id)?;
        Some(Arc::clone(&known.key))
    }

    /// The keys of a space with their last uses, the newest first.
    pub fn api_keys(&self, space: &SpaceId) -> Vec<ApiKey> {
        let all = self.key_ring.all_known().into_iter().filter(|known| known.key.space == *space);
        let mut keys: Vec<ApiKey> = all.map(|known| known.with_last_use()).collect();
        keys.sort_by(|a, b| b.created_at.cmp(&a.created_at).then_with(|| b.id.cmp(&a.id)));
        keys
    }

    /// The key with its last use, or an error if it does not exist.
    pub fn api_key(&self, space: &SpaceId, id: &str) -> Result<ApiKey, PipelineError> {
        Ok(self.existing_key(space, id)?.with_last_use())
    }

    /// Creates a key. Returns it with its text, of which only the digest is stored.
    pub async fn create_api_key(&self, space: &SpaceId, input: NewApiKey) -> Result<(ApiKey, String), PipelineError> {
        let NewApiKey { name, role, user, expires_in_seconds } = input;
        let mut mistakes = Mistakes::default();
        check_display_name("name", &name, &mut mistakes);
        mistakes.check()?;
        check_user(user.as_ref())?;
        let longest = ApiKey::MAX_LIFE_SECONDS;
        if expires_in_seconds.is_some_and(|seconds| !(1..=longest).contains(&seconds)) {
            return Err(Mistake::new("expires_in_seconds", format!("give it 1 to {longest} seconds")).into());
        }
        let _changing = self.changing.lock(space).await;
        let now = self.clock.now();
        let expires_at = expires_in_seconds.map(|seconds| now.after(Duration::from_secs(seconds)));
        let (key, text) = make_key(space, &name, role, now);
        let key = ApiKey { user, expires_at, ..key };
        self.store.ensure_space(space).await?;
        self.put_api_key(&key).await?;
        Ok((key, text))
    }

    /// Sets or removes the key's user. Earlier changes still name the user that the key stood for then.
    ///
    /// # Errors
    /// The key comes from the environment: `key.fixed`.
    pub async fn change_api_key(&self, space: &SpaceId, id: &str, input: KeyChange) -> Result<ApiKey, PipelineError> {
        let _changing = self.changing.lock(space).await;
        let old = self.stored_key(space, id)?;
        let Some(user) = input.user else { return Ok(old.with_last_use()) };
        check_user(user.as_ref())?;
        let key = ApiKey { user, ..old.with_last_use() };
        self.put_api_key(&key).await?;
        Ok(key)
    }

    /// Replaces a key by a new one, which is returned with its text. The old key, and the keys that it replaced, stop working
    /// at once or after an overlap. Its sources are transferred to the new key, which keeps its expiry.
    ///
    /// # Errors
    /// The key was replaced before: `key.replaced`; it comes from the environment: `key.fixed`.
    pub async fn rotate_api_key(
        &self,
        space: &SpaceId,
        id: &str,
        overlap_seconds: u64,
    ) -> Result<(ApiKey, String), PipelineError> {
        if overlap_seconds > MAX_OVERLAP_SECONDS {
            return Err(Mistake::new("overlap_seconds", format!("give it 0 to {MAX_OVERLAP_SECONDS} seconds")).into());
        }
        let _changing = self.changing.lock(space).await;
        let old = self.stored_key(space, id)?;
        if let Some(newer) = &old.key.replaced_by {
            let message =
                format!("this key was replaced by `{newer}` and works only until it expires: rotate the new one");
            return Err(PipelineError::Conflict { code: "key.replaced", message });
        }
        let now = self.clock.now();
        let ApiKey { name, role, user, expires_at, .. } = &*old.key;
        let (key, text) = make_key(space, name, *role, now);
        let key = ApiKey { user: user.clone(), expires_at: *expires_at, ..key };
        self.put_api_key(&key).await?;
        self.sources.hand_over_sources(space, &old.key.id, &key.id).await?;
        if overlap_seconds == 0 {
            self.end_keys(&self.with_replaced(&old.key)).await?;
        } else {
            let end = now.after(Duration::from_secs(overlap_seconds));
            let end = expires_at.map_or(end, |expires| expires.min(end));
            let until = ApiKey { expires_at: Some(end), replaced_by: Some(key.id.clone()), ..old.with_last_use() };
            self.put_api_key(&until).await?;
        }
        Ok((key, text))
    }

    /// Revokes a key, and the keys that it replaced. `caller` is the key that requests it.
    ///
    /// # Errors
    /// The caller would end itself: `key.in_use`; the key comes from the environment: `key.fixed`.
    pub async fn revoke_api_key(&self, space: &SpaceId, id: &str, caller: &KeyId) -> Result<(), PipelineError> {
        let _changing = self.changing.lock(space).await;
        let old = self.stored_key(space, id)?;
        let in_use = |message: &str| PipelineError::Conflict { code: "key.in_use", message: message.to_owned() };
        if *caller == old.key.id {
            return Err(in_use("this is the key that you are using: revoke it with another one, or rotate it"));
        }
        let ending = self.with_replaced(&old.key);
        if ending.iter().any(|key| key.id == *caller) {
            return Err(in_use(
                "this key replaced the one that you are using, which ends with it: revoke it with another one",
            ));
        }
        self.end_keys(&ending).await
    }

    /// Stores the times of last use of the keys that were used since the previous call.
    pub async fn write_key_uses(&self) -> Result<(), PipelineError> {
        for known in self.key_ring.all_known() {
            if let Some(key) = known.take_use() {
                self.store.keys.note_key_use(&key).await?;
            }
        }
        Ok(())
    }

    /// Deletes keys that expired so long ago that they are no longer listed.
    pub async fn sweep_keys(&self) -> Result<(), PipelineError> {
        let now = self.clock.now();
        let is_over = |key: &ApiKey| key.expires_at.is_some_and(|end| end.after(EXPIRED_RETENTION) <= now);
        let over = self.key_ring.all_known().into_iter().filter(|known| is_over(&known.key));
        for known in over.collect::<Vec<_>>() {
            let _changing = self.changing.lock(&known.key.space).await;
            let found = self.key_ring.key_of_id(&known.key.space, known.key.id.as_str());
            if let Some(found) = found.filter(|found| is_over(&found.key)) {
                self.end_keys(&[ApiKey::clone(&found.key)]).await?;
            }
        }
        Ok(())
    }

    fn existing_key(&self, space: &SpaceId, id: &str) -> Result<Arc<KnownKey>, PipelineError> {
        self.key_ring.key_of_id(space, id).ok_or_else(|| PipelineError::not_found("key", id))
    }

    /// The key, if it is stored and so can be changed.
    fn stored_key(&self, space: &SpaceId, id: &str) -> Result<Arc<KnownKey>, PipelineError> {
        let known = self.existing_key(space, id)?;
        if known.fixed {
            let message = "this key is set by HOOKWRIGHT_ADMIN_KEY: change it there".to_owned();
            return Err(PipelineError::Conflict { code: "key.fixed", message });
        }
        Ok(known)
    }

    async fn put_api_key(&self, key: &ApiKey) -> Result<(), PipelineError> {
        self.store.keys.put_key(key).await?;
        self.key_ring.follow(&[key], &[]);
        Ok(())
    }

    /// The keys that a key has replaced, which end with it, and the key itself.
    fn with_replaced(&self, newest: &ApiKey) -> Vec<ApiKey> {
        let all = self.key_ring.all_known();
        let of_space: Vec<&ApiKey> =
            all.iter().map(|known| &*known.key).filter(|key| key.space == newest.space).collect();
        let replaced = ApiKey::replaced(&newest.id, &of_space);
        // The newest is the last one: if the store fails in between, it can be revoked again.
        replaced.into_iter().chain([newest]).cloned().collect()
    }

    async fn end_keys(&self, keys: &[ApiKey]) -> Result<(), PipelineError> {
        for key in keys {
            self.store.keys.delete_key(&key.space, key.id.as_str()).await?;
            self.key_ring.follow(&[], &[key]);
        }
        Ok(())
    }
}

fn check_user(user: Option<&User>) -> Result<(), Mistakes> {
    user.map_or(Ok(()), User::check)
}
