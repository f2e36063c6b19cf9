//! Compressed bodies (`Content-Encoding`). The limit of a body applies to its decoded size.

use axum::body::{Body, Bytes};
use axum::extract::Request;
use hookwright_plugin::{ContentError, decode_content, is_encoded};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::sync::Semaphore;

use crate::problem::{ENCODING_UNKNOWN, Problem};
use crate::{Shared, body};

/// The maximum number of bodies that are decoded at a time: each holds a blocking thread, and memory up to the limit.
static DECODERS: Semaphore = Semaphore::const_new(8);

/// A request to a route of the API with its body decoded.
pub(crate) async fn decode(app: &Shared, request: Request) -> Result<Request, Problem> {
    if !is_encoded(values(request.headers())) {
        return Ok(request);
    }
    let (mut parts, body) = request.into_parts();
    let is_component = parts.uri.path().starts_with("/v1/plugins");
    let limit = if is_component { app.limits.plugin_bytes } else { app.limits.body_bytes };
    let sent = body::read(body, limit, app.limits.time).await?;
    let body = decoded(&parts.headers, sent, limit).await?;
    parts.headers.remove(header::CONTENT_ENCODING);
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    Ok(Request::from_parts(parts, Body::from(body)))
}

/// The decoded bytes of a body that was sent with these headers.
pub(crate) async fn decoded(headers: &HeaderMap, sent: Bytes, limit: usize) -> Result<Bytes, Problem> {
    let values: Vec<String> = values(headers).map(str::to_owned).collect();
    if sent.is_empty() || !is_encoded(values.iter().map(String::as_str)) {
        return Ok(sent);
    }
    let failed = || Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the body could not be decoded");
    let _permit = DECODERS.acquire().await.map_err(|_| failed())?;
    let decoding = tokio::task::spawn_blocking(move || decode_content(values.iter().map(String::as_str), &sent, limit));
    match decoding.await.map_err(|_| failed())? {
        Ok(decoded) => Ok(decoded.into()),
        Err(error) => {
            let (status, code) = match &error {
                ContentError::Unknown(_) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, ENCODING_UNKNOWN),
                ContentError::Invalid { .. } => (StatusCode::BAD_REQUEST, "body.encoding_invalid"),
                ContentError::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "body.too_large"),
            };
            Err(Problem::new(status, code, error.to_string()))
        }
    }
}

/// The values of `Content-Encoding`; one that is not text counts as an unknown coding.
fn values(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers.get_all(header::CONTENT_ENCODING).iter().map(|value| value.to_str().unwrap_or("(no text)"))
}
