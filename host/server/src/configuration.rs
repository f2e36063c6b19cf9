//! The configuration of a space as one document: `/v1/configuration`.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hookwright_pipeline::{ConfigurationInput, Section, ShownOnce};
use http::{HeaderMap, header};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Shared;
use crate::auth::Caller;
use crate::body::Json;
use crate::problem::Problem;
use crate::query::{self, Query};
use crate::sources::url_of;

/// What a document would change.
pub(crate) async fn plan(
    State(app): State<Shared>,
    caller: Caller,
    Json(input): Json<ConfigurationInput>,
) -> Result<Response, Problem> {
    let plan = app.pipeline.resources.configurations.plan_configuration(&caller.space, input, caller.key()).await?;
    Ok(axum::Json(plan).into_response())
}

/// Applies a document to the space, all or nothing. Values that are shown only once are in `shown`.
pub(crate) async fn apply(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    Json(input): Json<ConfigurationInput>,
) -> Result<Response, Problem> {
    let applied = app
        .pipeline
        .resources
        .configurations
        .apply_configuration(&caller.space, input, caller.key(), &caller.author())
        .await?;
    let shown: Vec<Value> = applied.shown.into_iter().map(|one| shown(&app, &headers, one)).collect();
    let mut body = json!(applied.plan);
    if let Some(body) = body.as_object_mut() {
        body.insert("shown".to_owned(), shown.into());
    }
    Ok(([(header::CACHE_CONTROL, "no-store")], axum::Json(body)).into_response())
}

/// Shows a source's token as the source's URL.
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
pub(crate) struct ExportQuery {
    /// Names of sections, separated by commas; none: all of them.
    section: Option<String>,
}

/// The space's configuration as a document, without secrets.
pub(crate) async fn export(
    State(app): State<Shared>,
    caller: Caller,
    Query(which): Query<ExportQuery>,
) -> Result<Response, Problem> {
    let named = |name: &str| {
        Section::ALL.into_iter().find(|section| section.name() == name).ok_or_else(|| {
            let known: Vec<&str> = Section::ALL.into_iter().map(Section::name).collect();
            let name = hookwright_model::abridged(name);
            query::invalid(format!("section `{name}`: give one of {}", known.join(", ")))
        })
    };
    let wanted = match &which.section {
        Some(names) => names.split(',').map(named).collect::<Result<Vec<_>, _>>()?,
        None => Section::ALL.to_vec(),
    };
    Ok(axum::Json(app.pipeline.resources.configurations.export_configuration(&caller.space, &wanted)?).into_response())
}
