use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hookwright_model::{Failure, Made, NoteInput, RecordKey, TICKET, TicketChanges, Version, Workbench};
use hookwright_pipeline::{Once, PipelineError};
use http::{HeaderMap, StatusCode, header};
use serde_json::Value;

use crate::auth::Caller;
use crate::body::{self, Json};
use crate::idempotency::KeyedBody;
use crate::page::{Filters, Named, Paging};
use crate::problem::Problem;
use crate::{Shared, records};

pub(crate) async fn create(
    State(app): State<Shared>,
    caller: Caller,
    KeyedBody { bytes, request, .. }: KeyedBody,
) -> Result<Response, Problem> {
    let changes: TicketChanges = body::json(&bytes)?;
    changes.check_new().map_err(Problem::invalid)?;
    let make = |bench: &mut Workbench| {
        let ticket = bench.create_ticket(changes.clone())?;
        Ok::<_, Failure>(versioned(bench, ticket))
    };
    let made = |(ticket, _): &(Value, Version)| Made::record(TICKET, ticket);
    let once = app
        .pipeline
        .resources
        .records
        .change_once(&caller.space, &caller.author(), request.as_ref(), make, made)
        .await?;
    let (ticket, version) = match once {
        Once::Done((ticket, version)) => (with_notes(ticket), version),
        Once::Retry(made) => {
            let (key, record) = records::record_made(&app, &caller, &made)?;
            (noted(&app, &caller, &key, record.value)?, record.version)
        }
    };
    let location = format!("/v1/tickets/{}", ticket.get("id").unwrap_or(&Value::Null));
    let headers = [(header::LOCATION, location), (header::ETAG, records::tag(version))];
    Ok((StatusCode::CREATED, headers, axum::Json(ticket)).into_response())
}

pub(crate) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    paging: Paging,
    filters: Filters,
) -> Result<Response, Problem> {
    let kind = app.pipeline.resources.records.kind(&caller.space, TICKET)?;
    records::page(&app, &caller, &kind, &paging, &filters)
}

pub(crate) async fn read(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    Named(id): Named,
) -> Result<Response, Problem> {
    let (key, record) = app.pipeline.resources.records.record(&caller.space, TICKET, &id)?;
    let ticket = noted(&app, &caller, &key, record.value)?;
    Ok(records::answer(&headers, record.version, ticket))
}

/// A ticket with its newest notes.
fn noted(app: &Shared, caller: &Caller, key: &RecordKey, mut ticket: Value) -> Result<Value, PipelineError> {
    let notes = app.pipeline.resources.records.newest_notes(&caller.space, key, 100)?;
    if let Some(object) = ticket.as_object_mut() {
        object.insert("notes".to_owned(), Value::from(notes));
    }
    Ok(ticket)
}

pub(crate) async fn change(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    Named(id): Named,
    Json(changes): Json<TicketChanges>,
) -> Result<Response, Problem> {
    changes.check().map_err(Problem::invalid)?;
    let expected = records::expected(&headers);
    let update = |bench: &mut Workbench| {
        if let Some(expected) = &expected {
            bench.expect_version(TICKET, &id, expected)?;
        }
        let ticket = bench.update_ticket(&id, changes.clone())?;
        Ok::<_, Failure>(versioned(bench, ticket))
    };
    let (ticket, version) = app.pipeline.resources.records.change(&caller.space, &caller.author(), update).await?.value;
    Ok(([(header::ETAG, records::tag(version))], axum::Json(with_notes(ticket))).into_response())
}

pub(crate) async fn add_note(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
    KeyedBody { bytes, request, .. }: KeyedBody,
) -> Result<Response, Problem> {
    let note: NoteInput = body::json(&bytes)?;
    let add = |bench: &mut Workbench| bench.add_note(&id, note.clone());
    records::add_note_once(&app, &caller, request.as_ref(), (TICKET, &id), add).await
}

pub(crate) async fn notes(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
    paging: Paging,
) -> Result<Response, Problem> {
    records::notes_of(&app, &caller, TICKET, &id, &paging)
}

/// A ticket with the version that it will have.
fn versioned(bench: &Workbench, ticket: Value) -> (Value, Version) {
    let id = ticket.get("id").and_then(Value::as_u64).unwrap_or_default();
    let version = bench.version_of(&RecordKey::ticket(id));
    (ticket, version)
}

/// A ticket shows its notes even when it has none.
fn with_notes(mut ticket: Value) -> Value {
    if let Some(object) = ticket.as_object_mut() {
        object.entry("notes").or_insert_with(|| Value::Array(Vec::new()));
    }
    ticket
}
