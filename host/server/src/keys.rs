//! API keys as a resource: made, listed, changed, rotated and revoked.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hookwright_model::{ApiKey, KeyChange, KeyId, Role, SpaceId, Timestamp, User};
use hookwright_pipeline::NewApiKey;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::Shared;
use crate::auth::Caller;
use crate::body::{self, Json};
use crate::page::{Named, Window};
use crate::problem::Problem;

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
    let KeyInput { name, role, space, user, expires_in_seconds } = input;
    let space = match space {
        Some(space) if space != caller.space && caller.space != SpaceId::main() => {
            let detail =
                format!("only administrators of the space main can create keys for other spaces, such as `{space}`");
            return Err(Problem::new(StatusCode::FORBIDDEN, "space.forbidden", detail));
        }
        Some(space) => space,
        None => caller.space,
    };
    let input = NewApiKey { name, role, user, expires_in_seconds };
    let (key, text) = app.pipeline.resources.api_keys.create_api_key(&space, input).await?;
    Ok((StatusCode::CREATED, axum::Json(shown(key, Some(text)))).into_response())
}

pub(crate) async fn list(State(app): State<Shared>, caller: Caller, window: Window) -> Response {
    let keys = app.pipeline.resources.api_keys.api_keys(&caller.space);
    let keys: Vec<KeyView> = keys.into_iter().map(|key| shown(key, None)).collect();
    window.descending(keys, |key| format!("{:016}.{}", key.created_at.millis(), key.id)).into_response()
}

pub(crate) async fn read(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<Response, Problem> {
    let key = app.pipeline.resources.api_keys.api_key(&caller.space, &id)?;
    Ok(axum::Json(shown(key, None)).into_response())
}

pub(crate) async fn change(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
    Json(input): Json<KeyChange>,
) -> Result<Response, Problem> {
    let key = app.pipeline.resources.api_keys.change_api_key(&caller.space, &id, input).await?;
    Ok(axum::Json(shown(key, None)).into_response())
}

pub(crate) async fn rotate(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
    body: Body,
) -> Result<Response, Problem> {
    let bytes = body::read(body, app.limits.body_bytes, app.limits.time).await?;
    let RotationInput { overlap_seconds } = body::optional(&bytes)?;
    let (key, text) = app.pipeline.resources.api_keys.rotate_api_key(&caller.space, &id, overlap_seconds).await?;
    Ok((StatusCode::CREATED, axum::Json(shown(key, Some(text)))).into_response())
}

pub(crate) async fn delete(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<StatusCode, Problem> {
    app.pipeline.resources.api_keys.revoke_api_key(&caller.space, &id, caller.key()).await?;
    Ok(StatusCode::NO_CONTENT)
}
