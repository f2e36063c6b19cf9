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
use crate::page::{Listed, Named};
use crate::problem::Problem;

fn shown(secret: &Secret) -> Value {
    json!({"name": secret.name, "created_at": secret.created_at, "updated_at": secret.updated_at})
}

/// A secret's value.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Given {
    value: String,
}

pub(crate) async fn put(
    State(app): State<Shared>,
    caller: Caller,
    Named(name): Named,
    Json(given): Json<Given>,
) -> Result<Response, Problem> {
    let secret = app.pipeline.set_secret(&caller.space, &name, &given.value).await?;
    Ok(axum::Json(shown(&secret)).into_response())
}

pub(crate) async fn list(State(app): State<Shared>, caller: Caller) -> Result<Response, Problem> {
    let secrets = app.pipeline.store().secrets(&caller.space)?;
    Ok(Listed::whole(secrets.iter().map(shown).collect()).into_response())
}

pub(crate) async fn delete(
    State(app): State<Shared>,
    caller: Caller,
    Named(name): Named,
) -> Result<StatusCode, Problem> {
    app.pipeline.delete_secret(&caller.space, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
