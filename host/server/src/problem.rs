//! Every error is returned as problem JSON (RFC 9457) with a stable `code`. Only here are the errors of the other
//! crates mapped to a status.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use hookwright_model::{Failure, FailureKind, Mistake, Mistakes, abridged, abridged_message};
use hookwright_pipeline::{PipelineError, StoreError};
use hookwright_plugin::{ACCEPTED_CODINGS, LoadError};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

/// The error code for an unknown coding; the response lists the known ones.
pub(crate) const ENCODING_UNKNOWN: &str = "body.encoding_unknown";
/// The maximum number of validation errors in a response.
const MAX_ERRORS: usize = 500;
/// The maximum number of them in `detail`.
const MAX_IN_DETAIL: usize = 50;

/// The validation errors of a response: of very many the first ones, and their number.
fn bounded(Mistakes(mut all): Mistakes) -> Vec<Mistake> {
    let count = all.len();
    if count > MAX_ERRORS {
        all.truncate(MAX_ERRORS);
        all.push(Mistake::new("", format!("{count} validation errors in all: correct the first {MAX_ERRORS}")));
    }
    all
}

/// Validation errors as one text.
fn in_detail(all: &Mistakes) -> String {
    let first = all.0.iter().take(MAX_IN_DETAIL).map(ToString::to_string).collect::<Vec<_>>().join("; ");
    match all.0.len().saturating_sub(MAX_IN_DETAIL) {
        0 => first,
        more => format!("{first}; and {more} more"),
    }
}

/// An error, as a client receives it.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    code: String,
    detail: String,
    errors: Vec<Mistake>,
    retry_after: Option<u32>,
    /// Whether the connection is closed, because part of the request was not read.
    close: bool,
}

impl Problem {
    /// A problem with a stable code and a message for people, which is truncated if it repeats a long value.
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        let (code, detail) = (code.to_owned(), abridged_message(detail.into()));
        Self { status, code, detail, errors: Vec::new(), retry_after: None, close: false }
    }

    /// Validation errors with their paths.
    pub fn invalid(mistakes: Mistakes) -> Self {
        let detail = in_detail(&mistakes);
        Self { errors: bounded(mistakes), detail, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "input.invalid", "") }
    }

    /// The object does not exist in the caller's space.
    pub fn not_found(what: &str, id: &str) -> Self {
        let id = abridged(id);
        Self::new(
            StatusCode::NOT_FOUND,
            &format!("{what}.not_found"),
            format!("there is no {what} `{id}` in this space"),
        )
    }

    pub(crate) fn bad(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// The same, with the path of the error.
    pub(crate) fn at(mut self, mistake: Mistake) -> Self {
        self.errors.push(mistake);
        self
    }

    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    pub(crate) fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    /// For a response that is sent before the body was read: if the request has a body, the connection is closed.
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

    /// The data of events does not match their types' schemas, with the paths.
    pub(crate) fn mismatch(detail: String, mistakes: Mistakes) -> Self {
        let problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "event.schema_mismatch", detail);
        Self { errors: bounded(mistakes), ..problem }
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
        if self.code == ENCODING_UNKNOWN {
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(ACCEPTED_CODINGS));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"hookwright\""));
        }
        // For routes that return errors in another format.
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
            StoreError::Full(reason) => {
                tracing::debug!(reason, "request refused: too little disk space is left");
                let detail = "the server's disk is full and refuses new data: send it again later";
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "store.full", detail).retry_after(10)
            }
            StoreError::Unavailable(reason) => {
                tracing::warn!(reason, "request refused: the store cannot be read or written");
                let detail = "the server's storage cannot currently be read or written: send it again in a moment";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "store.unavailable", detail).retry_after(5)
            }
            StoreError::Damaged(reason) => {
                tracing::error!(reason, "the store is damaged");
                let detail = "the server's storage is damaged, and the server stops: its log says what to do";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "store.damaged", detail)
            }
            StoreError::TooLarge { .. } => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "change.too_large", detail),
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
            PipelineError::Gone { code, .. } => Self::new(StatusCode::GONE, code, detail),
            PipelineError::Precondition { code, .. } => Self::new(StatusCode::PRECONDITION_FAILED, code, detail),
            PipelineError::Load(error) => {
                let status = match error {
                    LoadError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
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
    let kind = failure.kind();
    let (status, retry_after) = match kind {
        FailureKind::NotFound | FailureKind::NoSuchRecordKind => (StatusCode::NOT_FOUND, None),
        FailureKind::VersionChanged => (StatusCode::PRECONDITION_FAILED, None),
        FailureKind::StorageFull => (StatusCode::INSUFFICIENT_STORAGE, Some(10)),
        FailureKind::StorageUnavailable | FailureKind::PluginUnavailable => (StatusCode::SERVICE_UNAVAILABLE, Some(5)),
        FailureKind::PluginMemoryBusy | FailureKind::PluginTrapped | FailureKind::PluginFailed => {
            (StatusCode::BAD_GATEWAY, None)
        }
        FailureKind::InvalidParameters | FailureKind::NotRecorded | FailureKind::Refused => {
            (StatusCode::UNPROCESSABLE_ENTITY, None)
        }
    };
    // A body has the same mistakes as the parameters of a step, and those who send one know them by this code.
    let code = if kind == FailureKind::InvalidParameters { "input.invalid" } else { &failure.code };
    let problem = Problem::new(status, code, failure.message.clone());
    match retry_after {
        Some(seconds) => problem.retry_after(seconds),
        None => problem,
    }
}
