//! Mails of steps, sent, or stored for inspection.

use axum::extract::State;
use axum::response::{IntoResponse, Response};

use crate::Shared;
use crate::auth::Caller;
use crate::page::{Listed, Named, Paging};
use crate::problem::Problem;

pub(crate) async fn list(State(app): State<Shared>, caller: Caller, paging: Paging) -> Result<Response, Problem> {
    let listing = app.pipeline.store().mails.mails(&caller.space, paging.page()?)?;
    let next = listing.next.map(|cursor| cursor.to_string());
    Ok(axum::Json(Listed { data: listing.items, next }).into_response())
}

pub(crate) async fn read(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<Response, Problem> {
    let not_found = || Problem::not_found("mail", &id);
    let number = id.parse().map_err(|_| not_found())?;
    let mail = app.pipeline.store().mails.mail(&caller.space, number)?.ok_or_else(not_found)?;
    Ok(axum::Json(mail).into_response())
}
