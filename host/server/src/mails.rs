//! Mails of steps, sent, or stored for inspection.

use axum::extract::State;
use axum::response::{IntoResponse, Response};

use crate::Shared;
use crate::auth::Caller;
use crate::page::{Listed, Named, Paging};
use crate::problem::Problem;

pub(crate) async fn list(State(app): State<Shared>, caller: Caller, paging: Paging) -> Result<Response, Problem> {
    let listing = app.pipeline.history.outcomes.mails(&caller.space, paging.page()?)?;
    let next = listing.next.map(|cursor| cursor.to_string());
    Ok(axum::Json(Listed { data: listing.items, next }).into_response())
}

pub(crate) async fn read(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<Response, Problem> {
    Ok(axum::Json(app.pipeline.history.outcomes.mail(&caller.space, &id)?).into_response())
}
