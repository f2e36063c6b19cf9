//! Request bodies: bounded in size and time, and read as JSON with errors that name the place.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use hookwright_model::{MAX_DEPTH, json_depth, parse_json};
use http::StatusCode;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// How large bodies may be and how long they may take.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// Events and everything else but plugins, in bytes.
    pub body_bytes: usize,
    /// Uploaded components, in bytes.
    pub plugin_bytes: usize,
    /// From the end of the header to the end of the body.
    pub time: Duration,
}

/// Reads a body of at most `limit` bytes.
pub(crate) async fn read(body: Body, limit: usize, time: Duration) -> Result<Bytes, Problem> {
    let collecting = Limited::new(body, limit).collect();
    let collected = tokio::time::timeout(time, collecting).await.map_err(|_| {
        let detail = format!("the body did not arrive within {} s", time.as_secs_f64());
        Problem::new(StatusCode::REQUEST_TIMEOUT, "body.timeout", detail).closing()
    })?;
    match collected {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            let detail =
                format!("the body is larger than {limit} bytes: send less, or raise the limit in the settings");
            Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body.too_large", detail).closing())
        }
        Err(error) => Err(Problem::bad("body.incomplete", format!("the body broke off: {error}")).closing()),
    }
}

/// Reads JSON; tells apart what is no text, no JSON, too deep, and JSON of another shape.
pub(crate) fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    check_json(bytes)?;
    Ok(parse_json(bytes)?)
}

/// The first three of those.
pub(crate) fn check_json(bytes: &[u8]) -> Result<(), Problem> {
    if let Err(error) = std::str::from_utf8(bytes) {
        let detail = format!("the body is not UTF-8: byte {} begins no character", error.valid_up_to());
        return Err(Problem::bad("body.not_utf8", detail));
    }
    if json_depth(bytes) > MAX_DEPTH {
        let detail = format!("the body nests more than {MAX_DEPTH} levels deep: flatten it");
        return Err(Problem::bad("body.too_deep", detail));
    }
    match serde_json::from_slice::<&serde_json::value::RawValue>(bytes) {
        Ok(_) => Ok(()),
        Err(error) => Err(Problem::bad("body.not_json", format!("the body is not JSON: {error}"))),
    }
}

/// A JSON body of at most the configured size.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<crate::Shared> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &crate::Shared) -> Result<Self, Problem> {
        let limits = app.limits;
        let bytes = read(request.into_body(), limits.body_bytes, limits.time).await?;
        json(&bytes).map(Self)
    }
}
