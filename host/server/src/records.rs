//! Records of any kind. Tickets have routes of their own beside these.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use hookwright_model::{Workbench, is_kind};
use http::{StatusCode, header};
use serde_json::{Map, Value};

use crate::Shared;
use crate::auth::Caller;
use crate::body::Json;
use crate::page::{Listed, Named, Paging};
use crate::problem::Problem;

type Place = Result<Path<(String, String)>, axum::extract::rejection::PathRejection>;

fn place(path: Place) -> Result<(String, String), Problem> {
    let Path((kind, id)) = path.map_err(|error| Problem::bad("path.invalid", error.body_text()))?;
    check_kind(&kind)?;
    Ok((kind, id))
}

fn check_kind(kind: &str) -> Result<(), Problem> {
    if is_kind(kind) {
        return Ok(());
    }
    let shown: String = kind.chars().take(80).collect();
    let detail = format!("`{shown}` is no kind of record: 1 to 64 of a-z, 0-9 and -");
    Err(Problem::new(StatusCode::NOT_FOUND, "record.kind_invalid", detail))
}

pub(crate) async fn create(
    State(app): State<Shared>,
    caller: Caller,
    Named(kind): Named,
    Json(fields): Json<Map<String, Value>>,
) -> Result<Response, Problem> {
    check_kind(&kind)?;
    let make = |bench: &mut Workbench| bench.create_record(&kind, fields.clone());
    let made = app.pipeline.change(&caller.space, make).await?;
    let location = format!("/v1/records/{kind}/{}", made.value.get("id").unwrap_or(&Value::Null));
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], axum::Json(made.value)).into_response())
}

pub(crate) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    Named(kind): Named,
    paging: Paging,
) -> Result<Response, Problem> {
    check_kind(&kind)?;
    let before = paging.parse::<u64>()?;
    let (records, next) = app.pipeline.store().records(&caller.space, &kind, before, paging.limit, &|_| true)?;
    let data: Vec<Value> = records.into_iter().map(|record| record.value).collect();
    Ok(axum::Json(Listed { data, next: next.map(|id| id.to_string()) }).into_response())
}

pub(crate) async fn read(State(app): State<Shared>, caller: Caller, path: Place) -> Result<Response, Problem> {
    let (kind, id) = place(path)?;
    let look = |bench: &mut Workbench| bench.record(&kind, &id);
    let found = app.pipeline.look(&caller.space, look)?;
    let record = found.ok_or_else(|| Problem::not_found("record", &id))?;
    Ok(axum::Json(record).into_response())
}

/// `PATCH`: what is absent keeps its value, what is null is taken away.
pub(crate) async fn change(
    State(app): State<Shared>,
    caller: Caller,
    path: Place,
    Json(changes): Json<Map<String, Value>>,
) -> Result<Response, Problem> {
    let (kind, id) = place(path)?;
    let update = |bench: &mut Workbench| bench.update_record(&kind, &id, changes.clone());
    let changed = app.pipeline.change(&caller.space, update).await?;
    Ok(axum::Json(changed.value).into_response())
}

pub(crate) async fn delete(State(app): State<Shared>, caller: Caller, path: Place) -> Result<StatusCode, Problem> {
    let (kind, id) = place(path)?;
    app.pipeline.change(&caller.space, |bench: &mut Workbench| bench.remove_record(&kind, &id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
