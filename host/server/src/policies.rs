//! Policies, usage and logs of plugins.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hookwright_model::{Grants, PluginPolicy, SpaceId};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::Shared;
use crate::auth::Caller;
use crate::body::Json;
use crate::page::Named;
use crate::problem::Problem;
use crate::query::Query;

fn shown(app: &Shared, space: &SpaceId, name: &str) -> Result<Response, Problem> {
    let view = app.pipeline.resources.plugin_policies.policy(space, name)?;
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
    app.pipeline.resources.plugin_policies.set_policy(&caller.space, &name, policy.clone()).await?;
    Ok(axum::Json(policy).into_response())
}

/// `POST /v1/plugins/{name}/grants`: adds the grants in the body.
pub(crate) async fn grant(
    State(app): State<Shared>,
    caller: Caller,
    Named(name): Named,
    Json(grants): Json<Grants>,
) -> Result<Response, Problem> {
    let policy = app.pipeline.resources.plugin_policies.add_grants(&caller.space, &name, grants).await?;
    Ok(axum::Json(policy).into_response())
}

#[derive(Deserialize)]
pub(crate) struct LogQuery {
    after: Option<u64>,
    limit: Option<usize>,
    /// How long to wait for a line if there is none, in seconds.
    wait: Option<u64>,
}

/// The maximum number of lines in a response, and the maximum time to wait for one.
const MAX_LINES: usize = 500;
const MAX_WAIT_SECONDS: u64 = 30;

/// The newest log lines of the plugin since the server started.
pub(crate) async fn logs(
    State(app): State<Shared>,
    caller: Caller,
    Named(name): Named,
    Query(following): Query<LogQuery>,
) -> Result<Response, Problem> {
    app.pipeline.resources.plugin_policies.policy(&caller.space, &name)?;
    if let (Some(after), Some(wait)) = (following.after, following.wait) {
        let most = Duration::from_secs(wait.min(MAX_WAIT_SECONDS));
        app.pipeline.invoke.calls.wait_for_logs(&caller.space, &name, after, most).await;
    }
    let limit = following.limit.unwrap_or(100).clamp(1, MAX_LINES);
    let lines = app.pipeline.invoke.calls.plugin_logs(&caller.space, &name, following.after, limit);
    let last = lines.last().map(|line| line.seq).or(following.after);
    Ok(axum::Json(json!({"data": lines, "last": last})).into_response())
}
