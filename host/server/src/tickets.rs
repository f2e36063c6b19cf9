use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hookwright_model::{NoteInput, StateView as _, TICKET, TicketChanges, Workbench};
use http::{HeaderMap, StatusCode, header};
use serde_json::Value;

use crate::auth::Caller;
use crate::body::Json;
use crate::page::{Filters, Named, Paging};
use crate::problem::Problem;
use crate::{Shared, records};

pub(crate) async fn create(
    State(app): State<Shared>,
    caller: Caller,
    Json(changes): Json<TicketChanges>,
) -> Result<Response, Problem> {
    changes.check()?;
    let make = |bench: &mut Workbench| bench.create_ticket(changes.clone());
    let made = app.pipeline.change(&caller.space, &caller.author(), make).await?;
    let location = format!("/v1/tickets/{}", made.value.get("id").unwrap_or(&Value::Null));
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], axum::Json(with_notes(made.value))).into_response())
}

pub(crate) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    paging: Paging,
    filters: Filters,
) -> Result<Response, Problem> {
    let kind = app.pipeline.kind(&caller.space, TICKET)?;
    records::page(&app, &caller, &kind, &paging, &filters)
}

pub(crate) async fn read(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    Named(id): Named,
) -> Result<Response, Problem> {
    let (key, record) = app.pipeline.record(&caller.space, TICKET, &id)?;
    let notes =
        app.pipeline.store().notes(&caller.space, &key, 100).map_err(hookwright_pipeline::PipelineError::from)?;
    let mut ticket = record.value;
    if let Some(object) = ticket.as_object_mut() {
        object.insert("notes".to_owned(), Value::from(notes));
    }
    Ok(records::answer(&headers, record.version, ticket))
}

pub(crate) async fn change(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    Named(id): Named,
    Json(changes): Json<TicketChanges>,
) -> Result<Response, Problem> {
    changes.check()?;
    let expected = records::expected(&headers);
    let update = |bench: &mut Workbench| {
        if let Some(expected) = &expected {
            bench.expect_version(TICKET, &id, expected)?;
        }
        bench.update_ticket(&id, changes.clone())
    };
    let changed = app.pipeline.change(&caller.space, &caller.author(), update).await?;
    Ok(axum::Json(with_notes(changed.value)).into_response())
}

pub(crate) async fn add_note(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
    Json(note): Json<NoteInput>,
) -> Result<Response, Problem> {
    let add = |bench: &mut Workbench| bench.add_note(&id, note.clone());
    let added = app.pipeline.change(&caller.space, &caller.author(), add).await?;
    Ok((StatusCode::CREATED, axum::Json(added.value)).into_response())
}

pub(crate) async fn notes(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
    paging: Paging,
) -> Result<Response, Problem> {
    records::notes_of(&app, &caller, TICKET, &id, &paging)
}

/// A ticket shows its notes even when it has none.
fn with_notes(mut ticket: Value) -> Value {
    if let Some(object) = ticket.as_object_mut() {
        object.entry("notes").or_insert_with(|| Value::Array(Vec::new()));
    }
    ticket
}
