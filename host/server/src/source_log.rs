//! `/v1/sources/{id}/requests`: what came to a source's URL, and what to make of it.

use std::cmp::Reverse;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use hookwright_model::{RequestEntry, Source};
use serde::Serialize;

use crate::Shared;
use crate::auth::Caller;
use crate::page::{Listed, Named, Paging};
use crate::problem::Problem;

type Place = Result<Path<(String, String)>, PathRejection>;

#[derive(Serialize)]
struct Shown {
    id: String,
    #[serde(flatten)]
    entry: RequestEntry,
}

impl From<(u64, RequestEntry)> for Shown {
    fn from((number, entry): (u64, RequestEntry)) -> Self {
        Self { id: format!("req_{number}"), entry }
    }
}

/// The source that a path names, and the request.
fn place(app: &Shared, caller: &Caller, path: Place) -> Result<(Source, String), Problem> {
    let Path((source, request)) = path.map_err(|error| Problem::bad("path.invalid", error.body_text()))?;
    Ok((app.pipeline.source(&caller.space, &source)?, request))
}

pub(crate) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
    paging: Paging,
) -> Result<Response, Problem> {
    let source = app.pipeline.source(&caller.space, &id)?;
    let mut found = app.pipeline.requests(&source, paging.parse()?, paging.limit).await?;
    let next = found.last().filter(|_| found.len() >= paging.limit).map(|(number, _)| number.to_string());
    // What became no event is written a moment later than what did.
    found.sort_by_key(|(_, entry)| Reverse(entry.at));
    let data: Vec<Shown> = found.into_iter().map(Shown::from).collect();
    Ok(axum::Json(Listed { data, next }).into_response())
}

pub(crate) async fn read(State(app): State<Shared>, caller: Caller, path: Place) -> Result<Response, Problem> {
    let (source, request) = place(&app, &caller, path)?;
    Ok(axum::Json(Shown::from(app.pipeline.request(&source, &request).await?)).into_response())
}

/// The body of `POST /v1/automations` for an automation that takes requests such as this one.
pub(crate) async fn propose(State(app): State<Shared>, caller: Caller, path: Place) -> Result<Response, Problem> {
    let (source, request) = place(&app, &caller, path)?;
    Ok(axum::Json(app.pipeline.propose_automation(&source, &request).await?).into_response())
}
