//! Events that are run again, and versions of plugins that are compared on what they were called with.

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use hookwright_model::{Mistake, Timestamp};
use hookwright_pipeline::{Candidate, CompareInput, ReplayInput};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::Value;

use crate::auth::Caller;
use crate::events::{self, Which};
use crate::page::{Listed, Named};
use crate::plugins;
use crate::problem::Problem;
use crate::{Shared, body};

/// `POST /v1/events/{id}/replay`: what the event would do now, or that it does it once more.
pub(crate) async fn event(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
    which: Result<Query<Which>, QueryRejection>,
    body: Body,
) -> Result<Response, Problem> {
    let Query(which) = which.map_err(|error| Problem::bad("query.invalid", error.body_text()))?;
    let (seq, event) = events::find(&app, &caller.space, &id, which.source.as_deref())?;
    let bytes = body::read(body, app.limits.body_bytes, app.limits.time).await?;
    let input: ReplayInput = if bytes.is_empty() { ReplayInput::default() } else { body::json(&bytes)? };
    let replayed = app.pipeline.replay(&caller.space, seq, &event, &input).await?;
    let status = if replayed.dry_run { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, axum::Json(replayed)).into_response())
}

/// Which versions are compared, and on which calls. With a component as the body, the same stands in the query.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    last: Option<u64>,
    #[serde(default)]
    from: Option<Timestamp>,
    #[serde(default)]
    until: Option<Timestamp>,
    #[serde(default)]
    reasons: bool,
}

/// `POST /v1/plugins/{name}/compare`: a kept version, or the component that is the body.
pub(crate) async fn compare(
    State(app): State<Shared>,
    caller: Caller,
    Named(name): Named,
    query: Result<Query<Asked>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|error| Problem::bad("query.invalid", error.body_text()))?;
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_json = media.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json");
    let (candidate, asked) = if is_json {
        let bytes = body::read(body, app.limits.body_bytes, app.limits.time).await?;
        let mut asked: Asked = body::json(&bytes)?;
        let missing =
            || Mistake::new("version", "is missing: name a kept version, or send a component as application/wasm");
        (Candidate::Kept(asked.version.take().ok_or_else(missing)?), asked)
    } else {
        let component = plugins::component(&app, body).await?;
        (Candidate::Component { component, signatures: plugins::signatures(&headers) }, query)
    };
    let Asked { last, from, until, reasons, .. } = asked;
    let input = CompareInput { last, from, until, reasons };
    let comparison = app.pipeline.compare(&caller.space, &name, candidate, input).await?;
    let location = format!("/v1/comparisons/{}", comparison.id);
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], axum::Json(comparison)).into_response())
}

pub(crate) async fn comparisons(State(app): State<Shared>, caller: Caller) -> Result<Response, Problem> {
    let all = app.pipeline.comparisons(&caller.space);
    let shown: Vec<Value> = all.iter().filter_map(|one| serde_json::to_value(one).ok()).collect();
    Ok(Listed::whole(shown).into_response())
}

pub(crate) async fn comparison(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
) -> Result<Response, Problem> {
    Ok(axum::Json(app.pipeline.comparison(&caller.space, &id)?).into_response())
}
