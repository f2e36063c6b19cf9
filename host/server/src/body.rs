//! Request bodies: limited in size and time, and parsed as JSON with errors that name the path.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use hookwright_model::{Creates, Data, Mistake, json, parse_json, parse_new};
use http::StatusCode;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::problem::Problem;

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
                format!("the body is larger than {limit} bytes: send less, or raise the setting max_body_bytes");
            Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body.too_large", detail).closing())
        }
        Err(error) => {
            Err(Problem::bad("body.incomplete", format!("the connection ended before the body was complete: {error}"))
                .closing())
        }
    }
}

/// Parses JSON. Distinguishes invalid JSON, JSON that parsers interpret differently, and JSON of another shape.
pub(crate) fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    check_json(bytes)?;
    parse_json(bytes).map_err(Problem::invalid)
}

/// Parses an optional JSON body: an empty one is `T`'s default, as `{}` is.
pub(crate) fn optional<T: DeserializeOwned + Default>(bytes: &[u8]) -> Result<T, Problem> {
    if bytes.trim_ascii().is_empty() { Ok(T::default()) } else { json(bytes) }
}

/// The first two of the checks of [`json`]. Returns the JSON text, without a byte order mark.
pub(crate) fn check_json(bytes: &[u8]) -> Result<&str, Problem> {
    json::check(json::without_mark(bytes)).map_err(|refused| {
        let code = code(refused.rule);
        let place = if refused.path.is_empty() { String::new() } else { format!(": `{}`", refused.path) };
        let problem = Problem::bad(code, format!("the body{place} {}", refused.message));
        if refused.path.is_empty() { problem } else { problem.at(Mistake::new(refused.path, refused.message)) }
    })
}

/// Where a part of the body stands in it, so that it is stored once.
pub(crate) fn span_of(body: &[u8], part: &RawValue) -> Data {
    let text = part.get();
    let start = (text.as_ptr() as usize).saturating_sub(body.as_ptr() as usize);
    Data::Span(start, start.saturating_add(text.len()))
}

/// The code of a body that breaks a rule of JSON.
fn code(rule: json::Rule) -> &'static str {
    match rule {
        json::Rule::Utf8 => "body.not_utf8",
        json::Rule::Syntax => "body.not_json",
        json::Rule::Depth => "body.too_deep",
        _ => "body.ambiguous",
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

/// The same for a body that creates an object: missing fields are reported together with the errors in the others.
pub(crate) struct NewJson<T>(pub(crate) T);

impl<T: DeserializeOwned + Creates> FromRequest<crate::Shared> for NewJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &crate::Shared) -> Result<Self, Problem> {
        let limits = app.limits;
        let bytes = read(request.into_body(), limits.body_bytes, limits.time).await?;
        check_json(&bytes)?;
        parse_new(&bytes).map(Self).map_err(Problem::invalid)
    }
}
