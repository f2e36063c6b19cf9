use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hookwright_model::{Automation, AutomationInput, Mistake};
use hookwright_pipeline::Requests;
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::Value;

use crate::auth::Caller;
use crate::body::{self, Json, NewJson};
use crate::page::{Listed, Named, Paging};
use crate::problem::Problem;
use crate::records::expected;
use crate::{Shared, events};

pub(crate) async fn create(
    State(app): State<Shared>,
    caller: Caller,
    NewJson(input): NewJson<AutomationInput>,
) -> Result<Response, Problem> {
    let automation =
        app.pipeline.resources.automations.create_automation(&caller.space, input, &caller.author().label()).await?;
    let location = format!("/v1/automations/{}", automation.id);
    let headers = [(header::LOCATION, location), (header::ETAG, tag(&automation))];
    Ok((StatusCode::CREATED, headers, axum::Json(automation)).into_response())
}

pub(crate) async fn list(State(app): State<Shared>, caller: Caller, paging: Paging) -> Result<Response, Problem> {
    let mut all = app.pipeline.resources.automations.automations(&caller.space)?;
    all.sort_by(|a, b| b.id.cmp(&a.id));
    let all = all.into_iter().filter(|a| paging.cursor.as_deref().is_none_or(|cursor| a.id.as_str() < cursor));
    let mut data: Vec<_> = all.take(paging.limit.saturating_add(1)).collect();
    let more = data.len() > paging.limit;
    data.truncate(paging.limit);
    let next = data.last().filter(|_| more).map(|last| last.id.to_string());
    Ok(axum::Json(Listed { data, next }).into_response())
}

pub(crate) async fn read(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<Response, Problem> {
    Ok(tagged(app.pipeline.resources.automations.automation(&caller.space, &id)?))
}

/// An automation's revision as its entity tag.
fn tag(automation: &Automation) -> String {
    format!("\"{}\"", automation.revision)
}

/// An automation with its entity tag, for `If-Match`.
fn tagged(automation: Automation) -> Response {
    ([(header::ETAG, tag(&automation))], axum::Json(automation)).into_response()
}

/// `PATCH`: an absent field keeps its value; null restores the default.
pub(crate) async fn change(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let bytes = body::read(body, app.limits.body_bytes, app.limits.time).await?;
    let input: AutomationInput = body::json(&bytes)?;
    let (expected, by) = (expected(&headers), caller.author().label());
    Ok(tagged(
        app.pipeline.resources.automations.change_automation(&caller.space, &id, input, expected.as_ref(), &by).await?,
    ))
}

/// Enables an automation, or disables it.
pub(crate) async fn switch<const ENABLED: bool>(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let input = AutomationInput { enabled: Some(Some(ENABLED)), ..AutomationInput::default() };
    let (expected, by) = (expected(&headers), caller.author().label());
    Ok(tagged(
        app.pipeline.resources.automations.change_automation(&caller.space, &id, input, expected.as_ref(), &by).await?,
    ))
}

/// The input of an automation's dry run.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trial {
    /// An event, in the form of `POST /v1/events`.
    #[serde(default)]
    event: Option<Value>,
    /// Or the id of a stored event.
    #[serde(default)]
    event_id: Option<String>,
    /// The source of that event, if several used its id.
    #[serde(default)]
    event_source: Option<String>,
    #[serde(default)]
    requests: Requests,
}

/// `POST /v1/automations/{id}/test`: a dry run.
pub(crate) async fn test(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
    Json(trial): Json<Trial>,
) -> Result<Response, Problem> {
    // Checked first, so that a caller that names another space's automation learns nothing about the event.
    app.pipeline.resources.automations.automation(&caller.space, &id)?;
    let event = match (trial.event, trial.event_id) {
        (Some(event), None) => {
            let draft = events::native(Bytes::from(event.to_string()))?;
            app.pipeline.routing.planning.imagined(&caller.space, draft)?
        }
        (None, Some(event)) => {
            app.pipeline.history.outcomes.event(&caller.space, &event, trial.event_source.as_deref())?.1
        }
        _ => return Err(Mistake::new("event", "give either `event` or `event_id`").into()),
    };
    let send = trial.requests == Requests::Send;
    Ok(axum::Json(app.pipeline.history.dry_runs.run(&caller.space, &id, &event, send).await?).into_response())
}

pub(crate) async fn delete(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    app.pipeline.resources.automations.delete_automation(&caller.space, &id, expected(&headers).as_ref()).await?;
    Ok(StatusCode::NO_CONTENT)
}
