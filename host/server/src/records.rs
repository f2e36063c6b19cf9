//! Records of any kind. Tickets also have separate routes.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use hookwright_model::{
    Expected, Failure, KeyedRequest, Made, Merge, NoteInput, Query, RecordKey, RecordKind, Refused, StoredRecord,
    Version, Workbench,
};
use hookwright_pipeline::{Once, PipelineError, StoreError};
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::Shared;
use crate::auth::Caller;
use crate::body::{self, Json};
use crate::idempotency::KeyedBody;
use crate::page::{Filters, Named, Paging, invalid_path};
use crate::problem::Problem;
use crate::query;

type RecordPath = Result<Path<(String, String)>, PathRejection>;

fn place(path: RecordPath) -> Result<(String, String), Problem> {
    let Path(place) = path.map_err(|error| invalid_path(&error))?;
    Ok(place)
}

/// A version as an entity tag (RFC 9110, section 8.8.3).
pub(crate) fn tag(version: Version) -> String {
    format!("\"{version}\"")
}

/// The versions that a header of entity tags names; `None`: any. Tags that this server never issued are ignored.
fn versions(header: &str) -> Option<Vec<Version>> {
    if header.trim() == "*" {
        return None;
    }
    let tags = header.split(',').map(|tag| tag.trim());
    Some(tags.filter_map(|tag| tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok()).collect())
}

/// `If-Match` (RFC 9110, section 13.1.1).
pub(crate) fn expected(headers: &HeaderMap) -> Option<Expected> {
    let value = headers.get(header::IF_MATCH)?.to_str().unwrap_or_default();
    Some(versions(value).map_or(Expected::Any, Expected::OneOf))
}

/// Whether `If-None-Match` names the version (RFC 9110, section 13.1.2): weak tags count as well.
fn is_known(headers: &HeaderMap, version: Version) -> bool {
    let Some(value) = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()) else { return false };
    versions(&value.replace("W/", "")).is_none_or(|versions| versions.contains(&version))
}

/// A record with its entity tag; 304 without the record if the caller has that version.
pub(crate) fn answer(headers: &HeaderMap, version: Version, record: Value) -> Response {
    let tag = [(header::ETAG, tag(version))];
    if is_known(headers, version) {
        return (StatusCode::NOT_MODIFIED, tag).into_response();
    }
    (tag, axum::Json(record)).into_response()
}

pub(crate) async fn create(
    State(app): State<Shared>,
    caller: Caller,
    Named(kind): Named,
    KeyedBody { bytes, request, .. }: KeyedBody,
) -> Result<Response, Problem> {
    let fields: Map<String, Value> = body::json(&bytes)?;
    let make = |bench: &mut Workbench| {
        let key = bench.make_record(&kind, fields.clone())?;
        Ok::<_, Refused>(shown(bench, &key)?)
    };
    let made = |(record, _): &(Value, Version)| Made::record(&kind, record);
    let once = app
        .pipeline
        .resources
        .records
        .change_once(&caller.space, &caller.author(), request.as_ref(), make, made)
        .await?;
    let (record, version) = match once {
        Once::Done(made) => made,
        Once::Retry(made) => {
            let (_, StoredRecord { version, value }) = record_made(&app, &caller, &made)?;
            (value, version)
        }
    };
    let location = format!("/v1/records/{kind}/{}", record.get("id").unwrap_or(&Value::Null));
    let headers = [(header::LOCATION, location), (header::ETAG, tag(version))];
    Ok((StatusCode::CREATED, headers, axum::Json(record)).into_response())
}

/// The record that an earlier request with the same key created, or added a note to, in its present state.
pub(crate) fn record_made(
    app: &Shared,
    caller: &Caller,
    made: &Made,
) -> Result<(RecordKey, StoredRecord), PipelineError> {
    match made {
        Made::Record { kind, id } | Made::Note { kind, id, .. } => {
            app.pipeline.resources.records.record(&caller.space, kind, &id.to_string())
        }
        // The route is part of the fingerprint, so this does not happen.
        Made::Events(_) => {
            Err(StoreError::Corrupt("an idempotency key of events, used for a record".to_owned()).into())
        }
    }
}

/// The note that an earlier request with the same key added.
fn note_made(app: &Shared, caller: &Caller, made: &Made) -> Result<Value, PipelineError> {
    let (key, _) = record_made(app, caller, made)?;
    let Made::Note { note, .. } = made else { return Ok(Value::Null) };
    let found = app.pipeline.resources.records.notes(&caller.space, &key, note.checked_sub(1), 1)?;
    found.into_iter().next().ok_or_else(|| PipelineError::NotFound { what: "note", id: note.to_string() })
}

/// Adds a note to a record, once if the request has a key.
pub(crate) async fn add_note_once(
    app: &Shared,
    caller: &Caller,
    request: Option<&KeyedRequest>,
    (kind, id): (&str, &str),
    add: impl Fn(&mut Workbench) -> Result<Value, Failure>,
) -> Result<Response, Problem> {
    let made = |note: &Value| Made::note(kind, id, note);
    let note =
        match app.pipeline.resources.records.change_once(&caller.space, &caller.author(), request, add, made).await? {
            Once::Done(note) => note,
            Once::Retry(made) => note_made(app, caller, &made)?,
        };
    Ok((StatusCode::CREATED, axum::Json(note)).into_response())
}

/// The record as it will be, and its version.
fn shown(bench: &mut Workbench, key: &RecordKey) -> Result<(Value, Version), Failure> {
    let record = bench.record(&key.kind, &key.id.to_string())?;
    Ok((record.unwrap_or_default(), bench.version_of(key)))
}

/// One page of records, with the entity tag of each.
#[derive(Serialize)]
struct Records {
    data: Vec<Value>,
    next: Option<String>,
    etags: Vec<String>,
}

pub(crate) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    Named(kind): Named,
    paging: Paging,
    filters: Filters,
) -> Result<Response, Problem> {
    let kind = app.pipeline.resources.records.kind(&caller.space, &kind)?;
    page(&app, &caller, &kind, &paging, &filters)
}

pub(crate) fn page(
    app: &Shared,
    caller: &Caller,
    kind: &RecordKind,
    paging: &Paging,
    filters: &Filters,
) -> Result<Response, Problem> {
    let query = Query::parse(kind, filters.iter()).map_err(|mistake| query::invalid(mistake.to_string()))?;
    let found = app.pipeline.resources.records.list_records(
        &caller.space,
        kind,
        &query,
        paging.cursor.as_deref(),
        paging.limit,
    );
    let found = found.map_err(|error| match error {
        PipelineError::Invalid(mistakes) => query::invalid(mistakes.to_string()),
        other => other.into(),
    })?;
    let (data, etags) = found.records.into_iter().map(|(_, record)| (record.value, tag(record.version))).unzip();
    Ok(axum::Json(Records { data, next: found.next, etags }).into_response())
}

pub(crate) async fn read(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    path: RecordPath,
) -> Result<Response, Problem> {
    let (kind, id) = place(path)?;
    let look = |bench: &mut Workbench| {
        let key = bench.record_key(&kind, &id)?;
        shown(bench, &key)
    };
    let (record, version) = app.pipeline.resources.records.look(&caller.space, look)?;
    Ok(answer(&headers, version, record))
}

/// `PATCH`: a JSON Merge Patch (RFC 7396).
pub(crate) async fn change(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    path: RecordPath,
    Json(changes): Json<Map<String, Value>>,
) -> Result<Response, Problem> {
    let (kind, id) = place(path)?;
    let expected = expected(&headers);
    let update = |bench: &mut Workbench| {
        if let Some(expected) = &expected {
            bench.expect_version(&kind, &id, expected)?;
        }
        let key = bench.amend_record(&kind, &id, changes.clone(), Merge::Patch)?;
        Ok::<_, Refused>(shown(bench, &key)?)
    };
    let (record, version) = app.pipeline.resources.records.change(&caller.space, &caller.author(), update).await?.value;
    Ok(([(header::ETAG, tag(version))], axum::Json(record)).into_response())
}

pub(crate) async fn delete(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    path: RecordPath,
) -> Result<StatusCode, Problem> {
    let (kind, id) = place(path)?;
    let expected = expected(&headers);
    let remove = |bench: &mut Workbench| {
        if let Some(expected) = &expected {
            bench.expect_version(&kind, &id, expected)?;
        }
        bench.remove_record(&kind, &id)
    };
    app.pipeline.resources.records.change(&caller.space, &caller.author(), remove).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn history(
    State(app): State<Shared>,
    caller: Caller,
    path: RecordPath,
    paging: Paging,
) -> Result<Response, Problem> {
    let (kind, id) = place(path)?;
    app.pipeline.resources.records.kind(&caller.space, &kind)?;
    let before = paging.parse::<u64>()?;
    let data = app.pipeline.resources.records.history(&caller.space, &kind, &id, before, paging.one_more())?;
    Ok(paging.list(data, |entry| Some(entry.version.to_string())).into_response())
}

pub(crate) async fn add_note(
    State(app): State<Shared>,
    caller: Caller,
    path: RecordPath,
    KeyedBody { bytes, request, .. }: KeyedBody,
) -> Result<Response, Problem> {
    let (kind, id) = place(path)?;
    let note: NoteInput = body::json(&bytes)?;
    let add = |bench: &mut Workbench| bench.add_record_note(&kind, &id, note.clone());
    add_note_once(&app, &caller, request.as_ref(), (&kind, &id), add).await
}

pub(crate) async fn notes(
    State(app): State<Shared>,
    caller: Caller,
    path: RecordPath,
    paging: Paging,
) -> Result<Response, Problem> {
    let (kind, id) = place(path)?;
    app.pipeline.resources.records.kind(&caller.space, &kind)?;
    notes_of(&app, &caller, &kind, &id, &paging)
}

/// The notes on a record, oldest first.
pub(crate) fn notes_of(
    app: &Shared,
    caller: &Caller,
    kind: &str,
    id: &str,
    paging: &Paging,
) -> Result<Response, Problem> {
    let (key, _) = app.pipeline.resources.records.record(&caller.space, kind, id)?;
    let after = paging.parse::<u64>()?;
    let data = app.pipeline.resources.records.notes(&caller.space, &key, after, paging.one_more())?;
    Ok(paging.list(data, |note| note.get("id").map(ToString::to_string)).into_response())
}
