use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hookwright_model::{AutomationInput, Mistake};
use hookwright_pipeline::Requests;
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::Value;

use crate::auth::Caller;
use crate::body::{self, Json};
use crate::page::{Listed, Named, Paging};
use crate::problem::Problem;
use crate::{Shared, events};

pub(crate) async fn create(
    State(app): State<Shared>,
    caller: Caller,
    Json(input): Json<AutomationInput>,
) -> Result<Response, Problem> {
    let automation = app.pipeline.create_automation(&caller.space, input).await?;
    let location = format!("/v1/automations/{}", automation.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], axum::Json(automation)).into_response())
}

pub(crate) async fn list(State(app): State<Shared>, caller: Caller, paging: Paging) -> Result<Response, Problem> {
    let mut all = app.pipeline.store().automations(&caller.space)?;
    all.sort_by(|a, b| b.id.cmp(&a.id));
    let all = all.into_iter().filter(|a| paging.cursor.as_deref().is_none_or(|cursor| a.id.as_str() < cursor));
    let mut data: Vec<_> = all.take(paging.limit.saturating_add(1)).collect();
    let more = data.len() > paging.limit;
    data.truncate(paging.limit);
    let next = data.last().filter(|_| more).map(|last| last.id.to_string());
    Ok(axum::Json(Listed { data, next }).into_response())
}

pub(crate) async fn read(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<Response, Problem> {
    Ok(axum::Json(app.pipeline.automation(&caller.space, &id)?).into_response())
}

/// `PATCH`: what is absent keeps its value; `"when": null` takes the conditions away.
pub(crate) async fn change(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
    body: Body,
) -> Result<Response, Problem> {
    let bytes = body::read(body, app.limits.body_bytes, app.limits.time).await?;
    let input: AutomationInput = body::json(&bytes)?;
    let clear = serde_json::from_slice::<Value>(&bytes).is_ok_and(|v| v.get("when").is_some_and(Value::is_null));
    Ok(axum::Json(app.pipeline.change_automation(&caller.space, &id, input, clear).await?).into_response())
}

pub(crate) async fn enable(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<Response, Problem> {
    switch(app, caller, &id, true).await
}

pub(crate) async fn disable(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<Response, Problem> {
    switch(app, caller, &id, false).await
}

async fn switch(app: Shared, caller: Caller, id: &str, enabled: bool) -> Result<Response, Problem> {
    let input = AutomationInput { enabled: Some(enabled), ..AutomationInput::default() };
    Ok(axum::Json(app.pipeline.change_automation(&caller.space, id, input, false).await?).into_response())
}

/// What an automation is tried with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trial {
    /// An event, as `POST /v1/events` takes it.
    #[serde(default)]
    event: Option<Value>,
    /// Or one of the journal.
    #[serde(default)]
    event_id: Option<String>,
    /// The source of that one, if several have its id.
    #[serde(default)]
    event_source: Option<String>,
    #[serde(default)]
    requests: Requests,
}

/// `POST /v1/automations/{id}/test`: what it would do, without doing any of it.
pub(crate) async fn test(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
    Json(trial): Json<Trial>,
) -> Result<Response, Problem> {
    // Asked first, so that whoever names another space's automation learns nothing about the event.
    app.pipeline.automation(&caller.space, &id)?;
    let event = match (trial.event, trial.event_id) {
        (Some(event), None) => {
            let draft = events::native(Bytes::from(event.to_string()))?;
            app.pipeline.imagined(&caller.space, draft)?
        }
        (None, Some(event)) => events::find(&app, &caller.space, &event, trial.event_source.as_deref())?.1,
        _ => return Err(Mistake::new("event", "give either `event` or `event_id`").into()),
    };
    let send = trial.requests == Requests::Send;
    Ok(axum::Json(app.pipeline.rehearse(&caller.space, &id, &event, send).await?).into_response())
}

pub(crate) async fn delete(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<StatusCode, Problem> {
    app.pipeline.delete_automation(&caller.space, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
