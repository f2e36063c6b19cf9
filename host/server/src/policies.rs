//! What plugins may do, what they have used, and what they logged.

use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use hookwright_model::{Grants, PluginPolicy, SpaceId};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::Shared;
use crate::auth::Caller;
use crate::body::Json;
use crate::page::Named;
use crate::problem::Problem;

fn shown(app: &Shared, space: &SpaceId, name: &str) -> Result<Response, Problem> {
    let view = app.pipeline.policy(space, name)?;
    let in_force: Map<String, Value> =
        view.limits.named().into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    let mut shown = json!(view.policy);
    if let Value::Object(shown) = &mut shown {
        shown.insert("limits_in_force".to_owned(), in_force.into());
        shown.insert("trusted".to_owned(), view.trusted.into());
    }
    Ok(axum::Json(shown).into_response())
}

pub(crate) async fn read(State(app): State<Shared>, caller: Caller, Named(name): Named) -> Result<Response, Problem> {
    shown(&app, &caller.space, &name)
}

pub(crate) async fn replace(
    State(app): State<Shared>,
    caller: Caller,
    Named(name): Named,
    Json(policy): Json<PluginPolicy>,
) -> Result<Response, Problem> {
    app.pipeline.set_policy(&caller.space, &name, policy.clone()).await?;
    Ok(axum::Json(policy).into_response())
}

/// `POST /v1/plugins/{name}/grants`: what the body grants is added to what was granted.
pub(crate) async fn grant(
    State(app): State<Shared>,
    caller: Caller,
    Named(name): Named,
    Json(grants): Json<Grants>,
) -> Result<Response, Problem> {
    let policy = app.pipeline.add_grants(&caller.space, &name, grants).await?;
    Ok(axum::Json(policy).into_response())
}

#[derive(Deserialize)]
pub(crate) struct Following {
    after: Option<u64>,
    limit: Option<usize>,
    /// How long to wait for a line if there is none, in seconds.
    wait: Option<u64>,
}

/// How many lines one answer has, and how long it may be waited for.
const LINES: usize = 500;
const WAIT: u64 = 30;

/// What the plugin logged since the server started, the newest lines of it.
pub(crate) async fn logs(
    State(app): State<Shared>,
    caller: Caller,
    Named(name): Named,
    query: Result<Query<Following>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(following) = query.map_err(|error| Problem::bad("query.invalid", error.body_text()))?;
    app.pipeline.policy(&caller.space, &name)?;
    if let (Some(after), Some(wait)) = (following.after, following.wait) {
        let most = Duration::from_secs(wait.min(WAIT));
        app.pipeline.wait_for_logs(&caller.space, &name, after, most).await;
    }
    let limit = following.limit.unwrap_or(100).clamp(1, LINES);
    let lines = app.pipeline.plugin_logs(&caller.space, &name, following.after, limit);
    let last = lines.last().map(|line| line.seq).or(following.after);
    Ok(axum::Json(json!({"data": lines, "last": last})).into_response())
}
