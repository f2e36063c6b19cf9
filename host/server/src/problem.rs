//! Every error leaves as problem JSON (RFC 9457) with a stable `code`. This is the one place where the errors of the
//! rooms below become a status.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use hookwright_model::{Failure, Mistake, Mistakes};
use hookwright_pipeline::PipelineError;
use hookwright_store::StoreError;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

/// An error as a client sees it.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    code: String,
    detail: String,
    errors: Vec<Mistake>,
    retry_after: Option<u32>,
    /// Whether the connection can be used again: not when part of the request was left unread.
    close: bool,
}

impl Problem {
    /// A problem with a stable code and a text for people.
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        let (code, detail) = (code.to_owned(), detail.into());
        Self { status, code, detail, errors: Vec::new(), retry_after: None, close: false }
    }

    /// Something in what was sent is wrong, and where.
    pub fn invalid(mistakes: Mistakes) -> Self {
        let detail = mistakes.to_string();
        Self { errors: mistakes.0, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "input.invalid", detail) }
    }

    /// There is nothing of that name in the caller's space.
    pub fn not_found(what: &str, id: &str) -> Self {
        let id: String = id.chars().take(80).collect();
        Self::new(
            StatusCode::NOT_FOUND,
            &format!("{what}.not_found"),
            format!("there is no {what} `{id}` in this space"),
        )
    }

    pub(crate) fn bad(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    pub(crate) fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    /// For an answer given before the body was read: the connection ends if there is one.
    pub(crate) fn unread(self, request: &HeaderMap) -> Self {
        let length = request.get(header::CONTENT_LENGTH);
        let has_body = length.is_some_and(|length| length.as_bytes() != b"0");
        if has_body || request.contains_key(header::TRANSFER_ENCODING) { self.closing() } else { self }
    }

    pub(crate) fn is(&self, code: &str) -> bool {
        self.code == code
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn code(&self) -> &str {
        &self.code
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    pub(crate) fn errors(&self) -> &[Mistake] {
        &self.errors
    }

    /// Some events' data is not what their types' schemas want, and where.
    pub(crate) fn mismatch(detail: String, mistakes: Mistakes) -> Self {
        let problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "event.schema_mismatch", detail);
        Self { errors: mistakes.0, ..problem }
    }

    pub(crate) fn renamed(mut self, code: &str) -> Self {
        code.clone_into(&mut self.code);
        self
    }

    /// The body.
    pub fn to_json(&self) -> Value {
        let mut body = json!({
            "type": format!("urn:hookwright:problem:{}", self.code),
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
        });
        if let (false, Some(object)) = (self.errors.is_empty(), body.as_object_mut()) {
            object.insert("errors".to_owned(), json!(self.errors));
        }
        body
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.to_json().to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.close {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"hookwright\""));
        }
        // For those routes whose callers read errors in another shape.
        response.extensions_mut().insert(self);
        response
    }
}

impl Problem {
    /// The same with another status.
    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }
}

impl From<Mistake> for Problem {
    fn from(mistake: Mistake) -> Self {
        Self::invalid(mistake.into())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let detail = error.to_string();
        let unavailable = |code: &str| Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail.clone());
        match error {
            StoreError::Busy => unavailable("queue.full").retry_after(1),
            StoreError::Backlog(_) => unavailable("backlog.full").retry_after(5),
            StoreError::Closed => unavailable("server.stopping").retry_after(5),
            other => {
                tracing::error!(error = %other, "the store failed");
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "store.failed",
                    "the store failed; the server's log says why",
                )
            }
        }
    }
}

impl From<PipelineError> for Problem {
    fn from(error: PipelineError) -> Self {
        let detail = error.to_string();
        match error {
            PipelineError::Invalid(mistakes) => Self::invalid(mistakes),
            PipelineError::Mismatch { mistakes, .. } => Self::mismatch(detail, mistakes),
            PipelineError::NotFound { what, .. } => {
                Self::new(StatusCode::NOT_FOUND, &format!("{}.not_found", what.replace(' ', "_")), detail)
            }
            PipelineError::Conflict { code, .. } => Self::new(StatusCode::CONFLICT, code, detail),
            PipelineError::Load(error) => {
                let status = match error.code() {
                    "plugin.too_large" => StatusCode::PAYLOAD_TOO_LARGE,
                    _ => StatusCode::UNPROCESSABLE_ENTITY,
                };
                Self::new(status, error.code(), detail)
            }
            PipelineError::Failed(failure) => failed(&failure),
            PipelineError::Egress(error) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, error.code(), detail),
            PipelineError::Store(error) => error.into(),
            PipelineError::Signing(error) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "signing.failed", error.to_string())
            }
            PipelineError::Settings(reason) => {
                tracing::error!(reason, "a setting cannot be used");
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "setting.unusable",
                    "a setting cannot be used; the log says which",
                )
            }
            PipelineError::Vault(reason) => {
                tracing::error!(reason, "a secret cannot be used");
                let detail = "a secret cannot be sealed or opened; the server's log says why";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "secret.unusable", detail)
            }
        }
    }
}

fn failed(failure: &Failure) -> Problem {
    let status = match failure.code.as_str() {
        code if code.ends_with(".not_found") => StatusCode::NOT_FOUND,
        "parameters.invalid" => StatusCode::UNPROCESSABLE_ENTITY,
        "record.kind_invalid" => StatusCode::NOT_FOUND,
        "record.changed" => StatusCode::PRECONDITION_FAILED,
        code if code.starts_with("store.") => StatusCode::SERVICE_UNAVAILABLE,
        "plugin.busy" | "plugin.unavailable" => StatusCode::SERVICE_UNAVAILABLE,
        code if code.starts_with("plugin.") => StatusCode::BAD_GATEWAY,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let code = if failure.code == "parameters.invalid" { "input.invalid" } else { &failure.code };
    let problem = Problem::new(status, code, failure.message.clone());
    if status == StatusCode::SERVICE_UNAVAILABLE { problem.retry_after(5) } else { problem }
}
