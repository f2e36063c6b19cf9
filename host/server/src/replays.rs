//! Replays of events, and comparisons of plugin versions on recorded calls.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hookwright_model::{Mistake, Timestamp};
use hookwright_pipeline::{Candidate, CompareInput, ReplayInput};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::Value;

use crate::auth::Caller;
use crate::events::SourceQuery;
use crate::page::{Listed, Named, Window};
use crate::plugins;
use crate::problem::Problem;
use crate::query::Query;
use crate::{Shared, body};

/// `POST /v1/events/{id}/replay`: replays the event, as a dry run or for real.
pub(crate) async fn event(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
    Query(which): Query<SourceQuery>,
    body: Body,
) -> Result<Response, Problem> {
    let (seq, event) = app.pipeline.history.outcomes.event(&caller.space, &id, which.source.as_deref())?;
    let bytes = body::read(body, app.limits.body_bytes, app.limits.time).await?;
    let input: ReplayInput = body::optional(&bytes)?;
    let replayed = app.pipeline.history.replays.replay(&caller.space, seq, &event, &input).await?;
    let status = if replayed.dry_run { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, axum::Json(replayed)).into_response())
}

/// The version to compare, and the calls. With a component as the body, these are in the query.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ComparisonInput {
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

/// `POST /v1/plugins/{name}/compare`: a stored version, or the component in the body.
pub(crate) async fn compare(
    State(app): State<Shared>,
    caller: Caller,
    Named(name): Named,
    Query(query): Query<ComparisonInput>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_json = media.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json");
    let (candidate, asked) = if is_json {
        let bytes = body::read(body, app.limits.body_bytes, app.limits.time).await?;
        let mut asked: ComparisonInput = body::json(&bytes)?;
        let missing =
            || Mistake::new("version", "is missing: name a stored version, or send a component as application/wasm");
        (Candidate::Stored(asked.version.take().ok_or_else(missing)?), asked)
    } else {
        let component = plugins::component(&app, body).await?;
        (Candidate::Component { component, signatures: plugins::signatures(&headers) }, query)
    };
    let ComparisonInput { last, from, until, reasons, .. } = asked;
    let input = CompareInput { last, from, until, reasons };
    let comparison = app.pipeline.history.version_comparisons.compare(&caller.space, &name, candidate, input).await?;
    let location = format!("/v1/comparisons/{}", comparison.id);
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], axum::Json(comparison)).into_response())
}

pub(crate) async fn comparisons(State(app): State<Shared>, caller: Caller, window: Window) -> Response {
    let axum::Json(Listed { data, next }) =
        window.descending(app.pipeline.history.version_comparisons.comparisons(&caller.space), |one| one.id.clone());
    let data: Vec<Value> = data.iter().filter_map(|one| serde_json::to_value(one).ok()).collect();
    axum::Json(Listed { data, next }).into_response()
}

pub(crate) async fn comparison(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
) -> Result<Response, Problem> {
    Ok(axum::Json(app.pipeline.history.version_comparisons.comparison(&caller.space, &id)?).into_response())
}
