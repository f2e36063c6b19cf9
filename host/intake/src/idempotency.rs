//! Requests with an idempotency key: each is carried out once, and a retry is answered with what the first one created.

use hookwright_foundation::error::PipelineError;
use hookwright_model::{Failure, KeyedRequest, Made};
use hookwright_store::Known;

/// The result of a request that may have an idempotency key.
#[derive(Clone, Debug)]
pub enum Once<T> {
    /// It was executed.
    Done(T),
    /// It is a retry: this was created by the first request, and nothing was done again.
    Retry(Made),
}

/// A request with a key, and a function that names what its change created.
pub(crate) type KeyedChange<'r, T> = (&'r KeyedRequest, &'r (dyn Fn(&T) -> Made + Sync));

/// What the earlier request with this key created.
pub(crate) fn made_by(known: Known, request: &KeyedRequest) -> Result<Made, PipelineError> {
    match known {
        Known::Retry(made) => Ok(made),
        Known::Reused => {
            let message = format!(
                "Idempotency-Key `{}` was used with another request before, and nothing was executed now: use a new key for each \
                 request, and the same key only to send the same request again",
                request.key
            );
            Err(Failure::permanent("idempotency.key_reused", message).into())
        }
    }
}

/// Another request with the same key is in progress; it was not recorded when this one was looked up.
pub(crate) fn in_progress(request: Option<&KeyedRequest>) -> PipelineError {
    let key = request.map(|request| request.key.to_string()).unwrap_or_default();
    let message = format!("a request with Idempotency-Key `{key}` was in progress: send this one again");
    PipelineError::Conflict { code: "idempotency.in_progress", message }
}
