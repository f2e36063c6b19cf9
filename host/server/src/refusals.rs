//! `/v1/refused-requests`: requests to `/webhook` and `/v1/events` that were refused, and why. Requests that a source
//! refused are in the source's log.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hookwright_model::Told;
use hookwright_pipeline::Arrival;
use http::{HeaderMap, Method, Uri};
use http_body_util::BodyExt as _;
use parking_lot::Mutex;

use crate::Shared;
use crate::auth::{Caller, claimed_space};
use crate::page::{Listed, Named, Paging};
use crate::problem::Problem;
use crate::source_log::RequestView;

/// The size of the part of a body that is examined, in bytes; the log stores 16 KiB of it.
const MAX_EXAMINED_BYTES: usize = 32 * 1024;

/// A request that is logged if it is refused, with the beginning of its body, as far as the handler read it.
pub(crate) struct Noted {
    remote: IpAddr,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    /// The bytes that were read so far, and the parts of them that are examined.
    body: Arc<Mutex<(usize, Vec<Bytes>)>>,
}

impl Noted {
    /// Takes note of a request that is about to be handled.
    pub(crate) fn of(request: Request) -> (Self, Request) {
        let seen = Arc::new(Mutex::new((0, Vec::<Bytes>::new())));
        let noted = Self {
            remote: request.extensions().get::<SocketAddr>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), SocketAddr::ip),
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
            body: Arc::clone(&seen),
        };
        let request = request.map(|body| {
            Body::new(body.map_frame(move |frame| {
                if let Some(data) = frame.data_ref() {
                    let (bytes, parts) = &mut *seen.lock();
                    if *bytes < MAX_EXAMINED_BYTES {
                        *bytes = bytes.saturating_add(data.len());
                        parts.push(data.clone());
                    }
                }
                frame
            }))
        });
        (noted, request)
    }

    /// Logs the request if this response refuses it.
    pub(crate) fn answered(self, app: &Shared, response: &Response) {
        let Some(problem) = response.extensions().get::<Problem>() else { return };
        let Self { remote, method, uri, headers, body } = self;
        let path = uri.path().to_owned();
        let Some((space, stranger)) = claimed_space(app, &headers) else {
            tracing::debug!(%remote, path, code = problem.code(), "a request that names no space was refused");
            return;
        };
        let (method, query) = (method.as_str().to_owned(), uri.query().unwrap_or_default().to_owned());
        let headers = headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        let (_, parts) = std::mem::take(&mut *body.lock());
        let body = Bytes::from(parts.concat());
        let arrival = Arrival { method, path, query, headers: headers.collect(), sent: body.clone(), body, remote };
        let refusal = Told::refused(problem.status().as_u16(), problem.code(), problem.detail());
        app.pipeline.intake.source_log.log_refused_push(&space, &arrival, stranger, refusal);
    }
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
