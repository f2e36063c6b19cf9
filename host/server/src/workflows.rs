use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hookwright_model::WorkflowInput;
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::Shared;
use crate::auth::Caller;
use crate::body::{self, Json, NewJson};
use crate::idempotency::KeyedBody;
use crate::page::{Listed, Named, Paging};
use crate::problem::Problem;

pub(crate) async fn create(
    State(app): State<Shared>,
    caller: Caller,
    NewJson(input): NewJson<WorkflowInput>,
) -> Result<Response, Problem> {
    let workflow = app.pipeline.resources.workflows.create_workflow(&caller.space, input).await?;
    let location = format!("/v1/workflows/{}", workflow.name);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], axum::Json(workflow)).into_response())
}

pub(crate) async fn list(State(app): State<Shared>, caller: Caller, paging: Paging) -> Result<Response, Problem> {
    let all = app.pipeline.resources.workflows.workflows(&caller.space)?;
    let all = all.into_iter().filter(|one| paging.cursor.as_ref().is_none_or(|cursor| one.name > *cursor));
    let mut data: Vec<_> = all.take(paging.limit.saturating_add(1)).collect();
    let more = data.len() > paging.limit;
    data.truncate(paging.limit);
    let next = data.last().filter(|_| more).map(|last| last.name.clone());
    Ok(axum::Json(Listed { data, next }).into_response())
}

pub(crate) async fn read(State(app): State<Shared>, caller: Caller, Named(name): Named) -> Result<Response, Problem> {
    Ok(axum::Json(app.pipeline.resources.workflows.workflow(&caller.space, &name)?).into_response())
}

/// `PATCH`: an absent field keeps its value. Creates a new version.
pub(crate) async fn change(
    State(app): State<Shared>,
    caller: Caller,
    Named(name): Named,
    Json(input): Json<WorkflowInput>,
) -> Result<Response, Problem> {
    Ok(axum::Json(app.pipeline.resources.workflows.change_workflow(&caller.space, &name, input).await?).into_response())
}

pub(crate) async fn delete(
    State(app): State<Shared>,
    caller: Caller,
    Named(name): Named,
) -> Result<StatusCode, Problem> {
    app.pipeline.resources.workflows.delete_workflow(&caller.space, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /v1/workflows/{name}/versions`: newest first.
pub(crate) async fn versions(
    State(app): State<Shared>,
    caller: Caller,
    Named(name): Named,
    paging: Paging,
) -> Result<Response, Problem> {
    let before = paging.parse::<u32>()?.unwrap_or(u32::MAX);
    let limit = paging.limit.saturating_add(1);
    let mut data = app.pipeline.resources.workflows.workflow_versions(&caller.space, &name, before, limit)?;
    let more = data.len() > paging.limit;
    data.truncate(paging.limit);
    let next = data.last().filter(|_| more).map(|last| last.version.to_string());
    Ok(axum::Json(Listed { data, next }).into_response())
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Start {
    #[serde(default)]
    input: Option<Value>,
}

/// `POST /v1/workflows/{name}/start`: without a body, or without `input` in it, it is started with `{}`.
pub(crate) async fn start(
    State(app): State<Shared>,
    caller: Caller,
    Named(name): Named,
    KeyedBody { bytes, request, .. }: KeyedBody,
) -> Result<Response, Problem> {
    let start: Start = body::optional(&bytes)?;
    let input = start.input.unwrap_or_else(|| Value::Object(Map::new()));
    let started = app
        .pipeline
        .resources
        .workflows
        .start_workflow(&caller.space, &name, &input, &caller.author(), request.as_ref())
        .await?;
    Ok((StatusCode::ACCEPTED, axum::Json(started)).into_response())
}
