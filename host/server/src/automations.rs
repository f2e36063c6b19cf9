use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hookwright_model::AutomationInput;
use http::{StatusCode, header};
use serde_json::Value;

use crate::Shared;
use crate::auth::Caller;
use crate::body::{self, Json};
use crate::page::{Listed, Named, Paging};
use crate::problem::Problem;

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

pub(crate) async fn delete(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<StatusCode, Problem> {
    app.pipeline.delete_automation(&caller.space, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
