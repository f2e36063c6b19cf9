//! Kinds of record: those that come with the server, and those that a space declares.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hookwright_model::{EventType, KindInput, RecordKind};
use http::{StatusCode, header};
use serde_json::{Map, Value, json};

use crate::Shared;
use crate::auth::Caller;
use crate::body::Json;
use crate::page::{Listed, Named, Window};
use crate::problem::Problem;

/// A kind in a list.
fn brief(kind: &RecordKind) -> Value {
    json!({"name": kind.name(), "noun": kind.noun(), "built_in": kind.is_builtin()})
}

/// A complete kind: its declaration, and what is derived from it.
fn whole(kind: &RecordKind) -> Value {
    let mut shown = Map::new();
    shown.insert("name".to_owned(), kind.name().into());
    shown.insert("built_in".to_owned(), kind.is_builtin().into());
    if let Ok(Value::Object(declaration)) = serde_json::to_value(kind.declaration()) {
        shown.extend(declaration);
    }
    if let (Some(created), Some(updated)) = kind.times() {
        shown.insert("declared_at".to_owned(), created.to_string().into());
        shown.insert("changed_at".to_owned(), updated.to_string().into());
    }
    shown.insert("events".to_owned(), kind.event_types().iter().map(event).collect());
    shown.insert("schema".to_owned(), kind.schema());
    Value::Object(shown)
}

fn event(event_type: &EventType) -> Value {
    let EventType { name, summary, vocabularies, .. } = event_type;
    json!({"type": name, "summary": summary, "vocabularies": vocabularies})
}

pub(crate) async fn list(State(app): State<Shared>, caller: Caller, window: Window) -> Result<Response, Problem> {
    let kinds = app.pipeline.resources.records.kinds(&caller.space)?;
    let axum::Json(Listed { data, next }) = window.ascending(kinds, |kind| kind.name().to_owned());
    Ok(axum::Json(Listed { data: data.iter().map(|kind| brief(kind)).collect(), next }).into_response())
}

pub(crate) async fn read(State(app): State<Shared>, caller: Caller, Named(kind): Named) -> Result<Response, Problem> {
    Ok(axum::Json(whole(&*app.pipeline.resources.records.kind(&caller.space, &kind)?)).into_response())
}

/// `PUT`: 201 for a new kind, 200 for a changed one.
pub(crate) async fn declare(
    State(app): State<Shared>,
    caller: Caller,
    Named(name): Named,
    Json(input): Json<KindInput>,
) -> Result<Response, Problem> {
    let (kind, is_new) = app.pipeline.resources.kinds.declare_kind(&caller.space, &name, input).await?;
    let body = axum::Json(whole(&kind));
    if is_new {
        let location = [(header::LOCATION, format!("/v1/kinds/{name}"))];
        return Ok((StatusCode::CREATED, location, body).into_response());
    }
    Ok(body.into_response())
}

pub(crate) async fn delete(
    State(app): State<Shared>,
    caller: Caller,
    Named(name): Named,
) -> Result<StatusCode, Problem> {
    app.pipeline.resources.kinds.delete_kind(&caller.space, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
