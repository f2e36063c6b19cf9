//! API keys as a resource: made, listed, changed, rotated and revoked.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hookwright_model::{
    ApiKey, KeyChange, KeyId, Mistake, Mistakes, Role, SpaceId, Timestamp, User, check_display_name,
};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::Shared;
use crate::auth::Caller;
use crate::body::{self, Json};
use crate::keyring::{KeyDraft, Known};
use crate::page::{Named, Window};
use crate::problem::Problem;

/// The longest overlap of a rotation, in seconds.
const MAX_OVERLAP_SECONDS: u64 = 7 * 86_400;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyInput {
    name: String,
    role: Role,
    space: Option<SpaceId>,
    user: Option<User>,
    /// The number of seconds until the key expires; `None`: it works until it is revoked.
    expires_in_seconds: Option<u64>,
}

/// How a key is rotated.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotationInput {
    /// The number of seconds for which the old key also works.
    #[serde(default)]
    overlap_seconds: u64,
}

#[derive(Serialize)]
struct KeyView {
    id: KeyId,
    space: SpaceId,
    name: String,
    role: Role,
    user: Option<User>,
    prefix: String,
    created_at: Timestamp,
    last_used_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replaced_by: Option<KeyId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

fn shown(key: ApiKey, text: Option<String>) -> KeyView {
    let ApiKey { id, space, name, role, user, prefix, created_at, last_used_at, expires_at, replaced_by, .. } = key;
    KeyView { id, space, name, role, user, prefix, created_at, last_used_at, expires_at, replaced_by, key: text }
}

pub(crate) async fn create(
    State(app): State<Shared>,
    caller: Caller,
    Json(input): Json<KeyInput>,
) -> Result<Response, Problem> {
    let mut mistakes = Mistakes::default();
    check_display_name("name", &input.name, &mut mistakes);
    mistakes.check().map_err(Problem::invalid)?;
    check(input.user.as_ref())?;
    let space = match input.space {
        Some(space) if space != caller.space && caller.space != SpaceId::main() => {
            let detail =
                format!("only administrators of the space main can create keys for other spaces, such as `{space}`");
            return Err(Problem::new(StatusCode::FORBIDDEN, "space.forbidden", detail));
        }
        Some(space) => space,
        None => caller.space,
    };
    let longest = ApiKey::MAX_LIFE_SECONDS;
    if input.expires_in_seconds.is_some_and(|seconds| !(1..=longest).contains(&seconds)) {
        return Err(Mistake::new("expires_in_seconds", format!("give it 1 to {longest} seconds")).into());
    }
    let now = app.pipeline.now();
    let expires_at = input.expires_in_seconds.map(|seconds| now.after(Duration::from_secs(seconds)));
    let draft = KeyDraft { name: &input.name, role: input.role, user: input.user, expires_at };
    let (key, text) = app.keys.create(app.pipeline.store(), &space, draft, now).await?;
    Ok((StatusCode::CREATED, axum::Json(shown(key, Some(text)))).into_response())
}

fn check(user: Option<&User>) -> Result<(), Problem> {
    user.map_or(Ok(()), User::check).map_err(Problem::invalid)
}

pub(crate) async fn list(State(app): State<Shared>, caller: Caller, window: Window) -> Response {
    let known = app.keys.known.load();
    let mut keys: Vec<KeyView> = known
        .values()
        .filter(|known| known.key.space == caller.space)
        .map(|known| shown(known.shown(), None))
        .collect();
    keys.sort_by(|a, b| b.created_at.cmp(&a.created_at).then_with(|| b.id.cmp(&a.id)));
    window.descending(keys, |key| format!("{:016}.{}", key.created_at.millis(), key.id)).into_response()
}

pub(crate) async fn read(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<Response, Problem> {
    let known = app.keys.get(&caller.space, &id).ok_or_else(|| Problem::not_found("key", &id))?;
    Ok(axum::Json(shown(known.shown(), None)).into_response())
}

/// Sets or removes the key's user. Earlier changes still name the user that the key stood for then.
pub(crate) async fn change(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
    Json(input): Json<KeyChange>,
) -> Result<Response, Problem> {
    let _changing = app.keys.changing.lock(&caller.space).await;
    let old = stored(&app, &caller.space, &id)?;
    let Some(user) = input.user else { return Ok(axum::Json(shown(old.shown(), None)).into_response()) };
    check(user.as_ref())?;
    let key = ApiKey { user, ..old.shown() };
    app.pipeline.store().keys.put_key(&key).await?;
    app.keys.follow(std::slice::from_ref(&key), &[]);
    Ok(axum::Json(shown(key, None)).into_response())
}

/// Replaces this key by a new one. The old key, and the keys that it replaced, stop working at once or after an
/// overlap. Its sources are transferred to the new key, which keeps its expiry.
pub(crate) async fn rotate(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
    body: Body,
) -> Result<Response, Problem> {
    let bytes = body::read(body, app.limits.body_bytes, app.limits.time).await?;
    let input: RotationInput = body::optional(&bytes)?;
    if input.overlap_seconds > MAX_OVERLAP_SECONDS {
        return Err(Mistake::new("overlap_seconds", format!("give it 0 to {MAX_OVERLAP_SECONDS} seconds")).into());
    }
    let _changing = app.keys.changing.lock(&caller.space).await;
    let old = stored(&app, &caller.space, &id)?;
    if let Some(newer) = &old.key.replaced_by {
        let detail = format!("this key was replaced by `{newer}` and works only until it expires: rotate the new one");
        return Err(Problem::new(StatusCode::CONFLICT, "key.replaced", detail));
    }
    let (store, now) = (app.pipeline.store(), app.pipeline.now());
    let ApiKey { name, role, user, expires_at, .. } = &old.key;
    let draft = KeyDraft { name, role: *role, user: user.clone(), expires_at: *expires_at };
    let (key, text) = app.keys.create(store, &caller.space, draft, now).await?;
    app.pipeline.resources.sources.hand_over_sources(&caller.space, &old.key.id, &key.id).await?;
    if input.overlap_seconds == 0 {
        revoke(&app, &old).await?;
    } else {
        let end = now.after(Duration::from_secs(input.overlap_seconds));
        let end = old.key.expires_at.map_or(end, |expires| expires.min(end));
        let until = ApiKey { expires_at: Some(end), replaced_by: Some(key.id.clone()), ..old.shown() };
        store.keys.put_key(&until).await?;
        app.keys.follow(std::slice::from_ref(&until), &[]);
    }
    Ok((StatusCode::CREATED, axum::Json(shown(key, Some(text)))).into_response())
}

pub(crate) async fn delete(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<StatusCode, Problem> {
    let _changing = app.keys.changing.lock(&caller.space).await;
    let old = stored(&app, &caller.space, &id)?;
    if caller.key == old.key.id {
        let detail = "this is the key that you are using: revoke it with another one, or rotate it";
        return Err(Problem::new(StatusCode::CONFLICT, "key.in_use", detail));
    }
    if with_replaced(&app, &old).iter().any(|ending| ending.key.id == caller.key) {
        let detail = "this key replaced the one that you are using, which ends with it: revoke it with another one";
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

/// The keys that a key has replaced, which end with it, and the key itself.
fn with_replaced(app: &Shared, newest: &Arc<Known>) -> Vec<Arc<Known>> {
    let all = app.keys.known.load();
    let of_space: Vec<&ApiKey> =
        all.values().map(|known| &known.key).filter(|key| key.space == newest.key.space).collect();
    let replaced = ApiKey::replaced(&newest.key.id, &of_space);
    let is_replaced = |known: &&Arc<Known>| replaced.iter().any(|key| key.id == known.key.id);
    all.values().filter(is_replaced).cloned().chain([Arc::clone(newest)]).collect()
}

async fn revoke(app: &Shared, old: &Arc<Known>) -> Result<(), Problem> {
    // The newest is the last one: if the store fails in between, it can be revoked again.
    for ending in with_replaced(app, old) {
        app.pipeline.store().keys.delete_key(&ending.key.space, ending.key.id.as_str()).await?;
        app.keys.follow(&[], std::slice::from_ref(&ending.key));
    }
    Ok(())
}
