//! Records of any kind. Tickets have routes of their own beside these.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use hookwright_model::{
    Expected, Failure, Merge, NoteInput, Query, RecordKey, RecordKind, Refused, Version, Workbench,
};
use hookwright_pipeline::PipelineError;
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::Shared;
use crate::auth::Caller;
use crate::body::Json;
use crate::page::{Filters, Listed, Named, Paging};
use crate::problem::Problem;

type Place = Result<Path<(String, String)>, PathRejection>;

fn place(path: Place) -> Result<(String, String), Problem> {
    let Path(place) = path.map_err(|error| Problem::bad("path.invalid", error.body_text()))?;
    Ok(place)
}

/// A version as an entity tag (RFC 9110, section 8.8.3).
fn tag(version: Version) -> String {
    format!("\"{version}\"")
}

/// The versions that a header of entity tags names; none: any. Tags that this server never gave are no version.
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

/// A record with its entity tag; 304 without it if the caller has that version.
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
    Json(fields): Json<Map<String, Value>>,
) -> Result<Response, Problem> {
    let make = |bench: &mut Workbench| {
        let key = bench.make_record(&kind, fields.clone())?;
        Ok::<_, Refused>(shown(bench, &key)?)
    };
    let (record, version) = app.pipeline.change(&caller.space, &caller.author(), make).await?.value;
    let location = format!("/v1/records/{kind}/{}", record.get("id").unwrap_or(&Value::Null));
    let headers = [(header::LOCATION, location), (header::ETAG, tag(version))];
    Ok((StatusCode::CREATED, headers, axum::Json(record)).into_response())
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
    let kind = app.pipeline.kind(&caller.space, &kind)?;
    page(&app, &caller, &kind, &paging, &filters)
}

pub(crate) fn page(
    app: &Shared,
    caller: &Caller,
    kind: &RecordKind,
    paging: &Paging,
    filters: &Filters,
) -> Result<Response, Problem> {
    let query =
        Query::parse(kind, filters.iter()).map_err(|mistake| Problem::bad("query.invalid", mistake.to_string()))?;
    let found = app.pipeline.list_records(&caller.space, kind, &query, paging.cursor.as_deref(), paging.limit);
    let found = found.map_err(|error| match error {
        PipelineError::Invalid(mistakes) => Problem::bad("query.invalid", mistakes.to_string()),
        other => other.into(),
    })?;
    let (data, etags) = found.records.into_iter().map(|(_, record)| (record.value, tag(record.version))).unzip();
    Ok(axum::Json(Records { data, next: found.next, etags }).into_response())
}

pub(crate) async fn read(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    path: Place,
) -> Result<Response, Problem> {
    let (kind, id) = place(path)?;
    let look = |bench: &mut Workbench| {
        let key = bench.record_key(&kind, &id)?;
        shown(bench, &key)
    };
    let (record, version) = app.pipeline.look(&caller.space, look)?;
    Ok(answer(&headers, version, record))
}

/// `PATCH`: a JSON Merge Patch (RFC 7396).
pub(crate) async fn change(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    path: Place,
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
    let (record, version) = app.pipeline.change(&caller.space, &caller.author(), update).await?.value;
    Ok(([(header::ETAG, tag(version))], axum::Json(record)).into_response())
}

pub(crate) async fn delete(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    path: Place,
) -> Result<StatusCode, Problem> {
    let (kind, id) = place(path)?;
    let expected = expected(&headers);
    let remove = |bench: &mut Workbench| {
        if let Some(expected) = &expected {
            bench.expect_version(&kind, &id, expected)?;
        }
        bench.remove_record(&kind, &id)
    };
    app.pipeline.change(&caller.space, &caller.author(), remove).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn history(
    State(app): State<Shared>,
    caller: Caller,
    path: Place,
    paging: Paging,
) -> Result<Response, Problem> {
    let (kind, id) = place(path)?;
    app.pipeline.kind(&caller.space, &kind)?;
    let before = paging.parse::<u64>()?;
    let data = app.pipeline.history(&caller.space, &kind, &id, before, paging.limit)?;
    let full = data.len() >= paging.limit;
    let next = data.last().filter(|_| full).map(|entry| entry.version.to_string());
    Ok(axum::Json(Listed { data, next }).into_response())
}

pub(crate) async fn add_note(
    State(app): State<Shared>,
    caller: Caller,
    path: Place,
    Json(note): Json<NoteInput>,
) -> Result<Response, Problem> {
    let (kind, id) = place(path)?;
    let add = |bench: &mut Workbench| bench.add_record_note(&kind, &id, note.clone());
    let added = app.pipeline.change(&caller.space, &caller.author(), add).await?;
    Ok((StatusCode::CREATED, axum::Json(added.value)).into_response())
}

pub(crate) async fn notes(
    State(app): State<Shared>,
    caller: Caller,
    path: Place,
    paging: Paging,
) -> Result<Response, Problem> {
    let (kind, id) = place(path)?;
    app.pipeline.kind(&caller.space, &kind)?;
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
    let (key, _) = app.pipeline.record(&caller.space, kind, id)?;
    let after = paging.parse::<u64>()?;
    let data = app.pipeline.store().all_notes(&caller.space, &key, after, paging.limit)?;
    let full = data.len() >= paging.limit;
    let next = data.last().filter(|_| full).and_then(|note| note.get("id")).map(ToString::to_string);
    Ok(axum::Json(Listed { data, next }).into_response())
}
