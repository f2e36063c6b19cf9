//! API keys: who calls, for which space, and what they may do.

use std::collections::HashMap;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwap;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hookwright_model::{ApiKey, KeyId, Mistake, Role, SpaceId, Timestamp};
use hookwright_pipeline::make_key;
use hookwright_store::{Store, StoreError};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::Shared;
use crate::auth::Caller;
use crate::body::Json;
use crate::page::{Listed, Named};
use crate::problem::Problem;

type Digest = [u8; 32];

/// All keys in memory, found by digest.
pub struct Keys {
    known: ArcSwap<HashMap<Digest, Arc<Known>>>,
}

/// A key that works.
pub(crate) struct Known {
    pub(crate) key: ApiKey,
    digest: Digest,
    /// Set by the environment rather than stored.
    fixed: bool,
    used: AtomicI64,
    /// The last use that the store knows of.
    written: AtomicI64,
}

impl Keys {
    /// Reads the keys; `admin` is the administrator key that the environment gives, if it does.
    pub fn load(store: &Store, admin: Option<&str>, now: Timestamp) -> Result<Self, StoreError> {
        let mut known = HashMap::new();
        for key in store.all_keys()? {
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
                prefix: String::new(),
                digest: hex::encode(digest),
                created_at: now,
                last_used_at: None,
            };
            known.insert(digest, Arc::new(Known::new(key, digest, true)));
        }
        Ok(Self { known: ArcSwap::from_pointee(known) })
    }

    /// Whether there is any administrator of the space `main`.
    pub fn has_admin(&self) -> bool {
        self.known.load().values().any(|known| known.key.role == Role::Admin && known.key.space == SpaceId::main())
    }

    pub(crate) fn find(&self, text: &str, now: Timestamp) -> Option<Arc<Known>> {
        let digest = digest(text);
        let known = self.known.load().get(&digest).cloned()?;
        // The map compared digests of the key, not the key; this makes sure that even those are compared in full.
        if !bool::from(known.digest.ct_eq(&digest)) {
            return None;
        }
        known.used.store(now.millis(), Ordering::Relaxed);
        Some(known)
    }

    /// Makes a key and stores its digest; returns the key itself, once.
    pub async fn create(
        &self,
        store: &Store,
        space: &SpaceId,
        name: &str,
        role: Role,
        now: Timestamp,
    ) -> Result<(ApiKey, String), StoreError> {
        let (key, text) = make_key(space, name, role, now);
        store.ensure_space(space).await?;
        store.put_key(&key).await?;
        self.follow(std::slice::from_ref(&key), &[]);
        Ok((key, text))
    }

    /// Follows what was stored: these keys hold from now on, and those no longer.
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

    /// The key of this id, if it works.
    pub(crate) fn get(&self, space: &SpaceId, id: &str) -> Option<Arc<Known>> {
        self.known.load().values().find(|known| known.key.space == *space && known.key.id.as_str() == id).cloned()
    }

    /// Writes down when keys were last used, for those used since the last time.
    pub async fn write_uses(&self, store: &Store) -> Result<(), StoreError> {
        let known: Vec<Arc<Known>> = self.known.load().values().cloned().collect();
        for known in known {
            let used = known.used.load(Ordering::Relaxed);
            if !known.fixed && used > known.written.swap(used, Ordering::Relaxed) {
                store.note_key_use(&known.shown()).await?;
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

    fn shown(&self) -> ApiKey {
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

/// Writes the first administrator key where only its owner can read it.
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyInput {
    name: String,
    role: Role,
    space: Option<SpaceId>,
}

#[derive(Serialize)]
struct Shown {
    id: KeyId,
    space: SpaceId,
    name: String,
    role: Role,
    prefix: String,
    created_at: Timestamp,
    last_used_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

fn shown(key: ApiKey, text: Option<String>) -> Shown {
    let ApiKey { id, space, name, role, prefix, created_at, last_used_at, .. } = key;
    Shown { id, space, name, role, prefix, created_at, last_used_at, key: text }
}

pub(crate) async fn create(
    State(app): State<Shared>,
    caller: Caller,
    Json(input): Json<KeyInput>,
) -> Result<Response, Problem> {
    if input.name.trim().is_empty() || input.name.len() > 256 {
        return Err(Mistake::new("name", "give it 1 to 256 characters").into());
    }
    let space = match input.space {
        Some(space) if space != caller.space && caller.space != SpaceId::main() => {
            let detail = format!("only administrators of the space main make keys of other spaces, such as `{space}`");
            return Err(Problem::new(StatusCode::FORBIDDEN, "space.forbidden", detail));
        }
        Some(space) => space,
        None => caller.space,
    };
    let now = app.pipeline.now();
    let (key, text) = app.keys.create(app.pipeline.store(), &space, &input.name, input.role, now).await?;
    Ok((StatusCode::CREATED, axum::Json(shown(key, Some(text)))).into_response())
}

pub(crate) async fn list(State(app): State<Shared>, caller: Caller) -> Result<Response, Problem> {
    let known = app.keys.known.load();
    let mut keys: Vec<Shown> = known
        .values()
        .filter(|known| known.key.space == caller.space)
        .map(|known| shown(known.shown(), None))
        .collect();
    keys.sort_by(|a, b| b.created_at.cmp(&a.created_at).then_with(|| b.id.cmp(&a.id)));
    Ok(Listed::whole(keys).into_response())
}

pub(crate) async fn read(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<Response, Problem> {
    let known = app.keys.get(&caller.space, &id).ok_or_else(|| Problem::not_found("key", &id))?;
    Ok(axum::Json(shown(known.shown(), None)).into_response())
}

/// Makes a new key in place of this one, which works no longer. Sources that it answered for are the new one's.
pub(crate) async fn rotate(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<Response, Problem> {
    let old = stored(&app, &caller.space, &id)?;
    let (store, now) = (app.pipeline.store(), app.pipeline.now());
    let (key, text) = app.keys.create(store, &caller.space, &old.key.name, old.key.role, now).await?;
    app.pipeline.hand_over_sources(&caller.space, &old.key.id, &key.id).await?;
    revoke(&app, &old).await?;
    Ok((StatusCode::CREATED, axum::Json(shown(key, Some(text)))).into_response())
}

pub(crate) async fn delete(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<StatusCode, Problem> {
    let old = stored(&app, &caller.space, &id)?;
    if caller.key == old.key.id {
        let detail = "this is the key that you are using: revoke it with another one, or rotate it";
        return Err(Problem::new(StatusCode::CONFLICT, "key.in_use", detail));
    }
    revoke(&app, &old).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn stored(app: &Shared, space: &SpaceId, id: &str) -> Result<Arc<Known>, Problem> {
    let known = app.keys.get(space, id).ok_or_else(|| Problem::not_found("key", id))?;
    if known.fixed {
        let detail = "this key is set by HOOKWRIGHT_ADMIN_KEY: change it there";
        return Err(Problem::new(StatusCode::CONFLICT, "key.fixed", detail));
    }
    Ok(known)
}

async fn revoke(app: &Shared, old: &Known) -> Result<(), Problem> {
    app.pipeline.store().delete_key(&old.key.space, old.key.id.as_str()).await?;
    app.keys.change(|known| {
        known.remove(&old.digest);
    });
    Ok(())
}
