use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use hookwright_model::{NoteInput, StateView as _, TICKET, TicketChanges, Workbench};
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::Value;

use crate::Shared;
use crate::auth::Caller;
use crate::body::Json;
use crate::page::{Listed, Named, Paging};
use crate::problem::Problem;

pub(crate) async fn create(
    State(app): State<Shared>,
    caller: Caller,
    Json(changes): Json<TicketChanges>,
) -> Result<Response, Problem> {
    changes.check()?;
    let make = |bench: &mut Workbench| bench.create_ticket(changes.clone());
    let made = app.pipeline.change(&caller.space, make).await?;
    let location = format!("/v1/tickets/{}", made.value.get("id").unwrap_or(&Value::Null));
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], axum::Json(with_notes(made.value))).into_response())
}

#[derive(Deserialize)]
pub(crate) struct Filter {
    status: Option<String>,
    urgency: Option<String>,
}

pub(crate) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    paging: Paging,
    filter: Result<Query<Filter>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let Query(filter) = filter.map_err(|error| Problem::bad("query.invalid", error.body_text()))?;
    let is = |value: &Value, name: &str, wanted: &Option<String>| {
        wanted.as_deref().is_none_or(|wanted| value.get(name).and_then(Value::as_str) == Some(wanted))
    };
    let keep = |value: &Value| is(value, "status", &filter.status) && is(value, "urgency", &filter.urgency);
    let before = paging.parse::<u64>()?;
    let (records, next) = app.pipeline.store().records(&caller.space, TICKET, before, paging.limit, &keep)?;
    let data: Vec<Value> = records.into_iter().map(|record| record.value).collect();
    Ok(axum::Json(Listed { data, next: next.map(|id| id.to_string()) }).into_response())
}

pub(crate) async fn read(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<Response, Problem> {
    let (key, record) = app.pipeline.record(&caller.space, TICKET, &id)?;
    let notes =
        app.pipeline.store().notes(&caller.space, &key, 100).map_err(hookwright_pipeline::PipelineError::from)?;
    let mut ticket = record.value;
    if let Some(object) = ticket.as_object_mut() {
        object.insert("notes".to_owned(), Value::from(notes));
    }
    Ok(axum::Json(ticket).into_response())
}

pub(crate) async fn change(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
    Json(changes): Json<TicketChanges>,
) -> Result<Response, Problem> {
    changes.check()?;
    let update = |bench: &mut Workbench| bench.update_ticket(&id, changes.clone());
    let changed = app.pipeline.change(&caller.space, update).await?;
    Ok(axum::Json(with_notes(changed.value)).into_response())
}

pub(crate) async fn add_note(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
    Json(note): Json<NoteInput>,
) -> Result<Response, Problem> {
    let add = |bench: &mut Workbench| bench.add_note(&id, note.clone());
    let added = app.pipeline.change(&caller.space, add).await?;
    Ok((StatusCode::CREATED, axum::Json(added.value)).into_response())
}

pub(crate) async fn notes(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
    paging: Paging,
) -> Result<Response, Problem> {
    let (key, _) = app.pipeline.record(&caller.space, TICKET, &id)?;
    let after = paging.parse::<u64>()?;
    let data = app.pipeline.store().all_notes(&caller.space, &key, after, paging.limit)?;
    let full = data.len() >= paging.limit;
    let next = data.last().filter(|_| full).and_then(|note| note.get("id")).map(ToString::to_string);
    Ok(axum::Json(Listed { data, next }).into_response())
}

/// A ticket shows its notes even when it has none.
fn with_notes(mut ticket: Value) -> Value {
    if let Some(object) = ticket.as_object_mut() {
        object.entry("notes").or_insert_with(|| Value::Array(Vec::new()));
    }
    ticket
}
