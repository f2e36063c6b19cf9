//! Everything that people set up in a space, as one document: `/v1/configuration`.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use hookwright_pipeline::{ConfigurationInput, ShownOnce};
use http::{HeaderMap, header};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Shared;
use crate::auth::Caller;
use crate::body::Json;
use crate::problem::Problem;
use crate::sources::url_of;

/// What a document would change.
pub(crate) async fn plan(
    State(app): State<Shared>,
    caller: Caller,
    Json(input): Json<ConfigurationInput>,
) -> Result<Response, Problem> {
    let plan = app.pipeline.plan_configuration(&caller.space, input, &caller.key).await?;
    Ok(axum::Json(plan).into_response())
}

/// Makes the space be as a document says, all of it or nothing. What is shown only once stands in `shown`.
pub(crate) async fn apply(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    Json(input): Json<ConfigurationInput>,
) -> Result<Response, Problem> {
    let applied = app.pipeline.apply_configuration(&caller.space, input, &caller.key).await?;
    app.keys.follow(&applied.keys, &applied.keys_gone);
    let shown: Vec<Value> = applied.shown.into_iter().map(|one| shown(&app, &headers, one)).collect();
    let mut body = json!(applied.plan);
    if let Some(body) = body.as_object_mut() {
        body.insert("shown".to_owned(), shown.into());
    }
    Ok(([(header::CACHE_CONTROL, "no-store")], axum::Json(body)).into_response())
}

/// A source's token as the URL that it is the end of.
fn shown(app: &Shared, headers: &HeaderMap, one: ShownOnce) -> Value {
    match one.field {
        "token" => {
            let url = url_of(app, headers, &one.value);
            json!({"kind": one.kind, "name": one.name, "field": "url", "value": url})
        }
        _ => json!(one),
    }
}

#[derive(Deserialize)]
pub(crate) struct Which {
    /// A section's name; none: all of them.
    section: Option<String>,
}

/// What the space holds, as a document, without secrets.
pub(crate) async fn export(
    State(app): State<Shared>,
    caller: Caller,
    query: Result<Query<Which>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(which) = query.map_err(|error| Problem::bad("query.invalid", error.body_text()))?;
    let mut exported = json!(app.pipeline.export_configuration(&caller.space)?);
    let sections = exported.get_mut("configuration").and_then(Value::as_object_mut);
    if let (Some(wanted), Some(sections)) = (which.section, sections) {
        if !sections.contains_key(&wanted) {
            let known: Vec<&str> = sections.keys().map(String::as_str).collect();
            let wanted: String = wanted.chars().take(40).collect();
            return Err(Problem::bad("query.invalid", format!("section `{wanted}`: one of {}", known.join(", "))));
        }
        sections.retain(|section, _| *section == wanted);
    }
    Ok(axum::Json(exported).into_response())
}
