//! Secrets of a space: set and listed, never read.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hookwright_model::Secret;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Shared;
use crate::auth::Caller;
use crate::body::Json;
use crate::page::{Listed, Named, Window};
use crate::problem::Problem;

fn shown(secret: &Secret) -> Value {
    json!({"name": secret.name, "created_at": secret.created_at, "updated_at": secret.updated_at})
}

/// A secret's value.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecretInput {
    value: String,
}

pub(crate) async fn put(
    State(app): State<Shared>,
    caller: Caller,
    Named(name): Named,
    Json(given): Json<SecretInput>,
) -> Result<Response, Problem> {
    let secret = app.pipeline.resources.plugin_policies.set_secret(&caller.space, &name, &given.value).await?;
    Ok(axum::Json(shown(&secret)).into_response())
}

pub(crate) async fn list(State(app): State<Shared>, caller: Caller, window: Window) -> Result<Response, Problem> {
    let secrets = app.pipeline.resources.plugin_policies.secrets(&caller.space)?;
    let axum::Json(Listed { data, next }) = window.ascending(secrets, |secret| secret.name.clone());
    Ok(axum::Json(Listed { data: data.iter().map(shown).collect(), next }).into_response())
}

pub(crate) async fn delete(
    State(app): State<Shared>,
    caller: Caller,
    Named(name): Named,
) -> Result<StatusCode, Problem> {
    app.pipeline.resources.plugin_policies.delete_secret(&caller.space, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
