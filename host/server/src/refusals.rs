//! `/v1/refused-requests`: requests to `/webhook` and `/v1/events` that were refused, and why. Requests that a source
//! refused are in the source's log.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hookwright_model::Told;
use hookwright_pipeline::Arrival;
use http_body_util::BodyExt as _;
use parking_lot::Mutex;

use crate::Shared;
use crate::auth::{Caller, claimed_space};
use crate::page::{Listed, Named, Paging};
use crate::problem::Problem;
use crate::source_log::RequestView;

/// The size of the part of a body that is examined, in bytes; the log stores 16 KiB of it.
const MAX_EXAMINED_BYTES: usize = 32 * 1024;

/// Logs the request, if it is refused, with the beginning of its body, as far as the handler read it.
pub(crate) async fn note(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let remote = parts.extensions.get::<SocketAddr>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), SocketAddr::ip);
    let seen = Arc::new(Mutex::new((0, Vec::<Bytes>::new())));
    let copy = Arc::clone(&seen);
    let body = Body::new(body.map_frame(move |frame| {
        if let Some(data) = frame.data_ref() {
            let (bytes, parts) = &mut *copy.lock();
            if *bytes < MAX_EXAMINED_BYTES {
                *bytes = bytes.saturating_add(data.len());
                parts.push(data.clone());
            }
        }
        frame
    }));
    let method = parts.method.as_str().to_owned();
    let (path, query) = (parts.uri.path().to_owned(), parts.uri.query().unwrap_or_default().to_owned());
    let fields = parts.headers.clone();
    let response = next.run(Request::from_parts(parts, body)).await;
    let Some(problem) = response.extensions().get::<Problem>() else { return response };
    let Some((space, stranger)) = claimed_space(&app, &fields) else {
        tracing::debug!(%remote, path, code = problem.code(), "a request that names no space was refused");
        return response;
    };
    let headers = fields
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let (_, parts) = std::mem::take(&mut *seen.lock());
    let body = Bytes::from(parts.concat());
    let arrival = Arrival { method, path, query, headers: headers.collect(), sent: body.clone(), body, remote };
    let refusal = Told::refused(problem.status().as_u16(), problem.code(), problem.detail());
    app.pipeline.intake.source_log.log_refused_push(&space, &arrival, stranger, refusal);
    response
}

pub(crate) async fn list(State(app): State<Shared>, caller: Caller, paging: Paging) -> Result<Response, Problem> {
    let found =
        app.pipeline.intake.source_log.refused_pushes(&caller.space, paging.parse()?, paging.one_more()).await?;
    let axum::Json(Listed { data, next }) = paging.list(found, |(number, _)| Some(number.to_string()));
    let data: Vec<RequestView> = data.into_iter().map(RequestView::from).collect();
    Ok(axum::Json(Listed { data, next }).into_response())
}

pub(crate) async fn read(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<Response, Problem> {
    Ok(axum::Json(RequestView::from(app.pipeline.intake.source_log.refused_push(&caller.space, &id).await?))
        .into_response())
}
