//! `/v1/sources/{id}/requests`: the requests to a source's URL, and automations derived from them.

use std::cmp::Reverse;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use hookwright_model::{RequestEntry, Source};
use serde::Serialize;

use crate::Shared;
use crate::auth::Caller;
use crate::page::{Listed, Named, Paging, invalid_path};
use crate::problem::Problem;

type RequestPath = Result<Path<(String, String)>, PathRejection>;

#[derive(Serialize)]
pub(crate) struct RequestView {
    id: String,
    #[serde(flatten)]
    entry: RequestEntry,
}

impl From<(u64, RequestEntry)> for RequestView {
    fn from((number, entry): (u64, RequestEntry)) -> Self {
        Self { id: format!("req_{number}"), entry }
    }
}

/// The source that a path names, and the request.
fn place(app: &Shared, caller: &Caller, path: RequestPath) -> Result<(Source, String), Problem> {
    let Path((source, request)) = path.map_err(|error| invalid_path(&error))?;
    Ok((app.pipeline.resources.sources.source(&caller.space, &source)?, request))
}

pub(crate) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
    paging: Paging,
) -> Result<Response, Problem> {
    let source = app.pipeline.resources.sources.source(&caller.space, &id)?;
    let found = app.pipeline.intake.source_log.requests(&source, paging.parse()?, paging.one_more()).await?;
    let axum::Json(Listed { data: mut found, next }) = paging.list(found, |(number, _)| Some(number.to_string()));
    // Requests that became no event are stored a moment later than those that did.
    found.sort_by_key(|(_, entry)| Reverse(entry.at));
    let data: Vec<RequestView> = found.into_iter().map(RequestView::from).collect();
    Ok(axum::Json(Listed { data, next }).into_response())
}

pub(crate) async fn read(State(app): State<Shared>, caller: Caller, path: RequestPath) -> Result<Response, Problem> {
    let (source, request) = place(&app, &caller, path)?;
    Ok(axum::Json(RequestView::from(app.pipeline.intake.source_log.request(&source, &request).await?)).into_response())
}

/// The body of `POST /v1/automations` for an automation that fires for requests such as this one.
pub(crate) async fn propose(State(app): State<Shared>, caller: Caller, path: RequestPath) -> Result<Response, Problem> {
    let (source, request) = place(&app, &caller, path)?;
    Ok(axum::Json(app.pipeline.intake.source_log.propose_automation(&source, &request).await?).into_response())
}
