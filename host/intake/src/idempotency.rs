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
pub type KeyedChange<'r, T> = (&'r KeyedRequest, &'r (dyn Fn(&T) -> Made + Sync));

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
pub fn in_progress(request: Option<&KeyedRequest>) -> PipelineError {
    let key = request.map(|request| request.key.to_string()).unwrap_or_default();
    let message = format!("a request with Idempotency-Key `{key}` was in progress: send this one again");
    PipelineError::Conflict { code: "idempotency.in_progress", message }
}

#[cfg(test)]
mod tests {
    use hookwright_model::IdempotencyKey;

    use super::*;

    fn request() -> KeyedRequest {
        KeyedRequest { key: IdempotencyKey::parse(b"k-1").unwrap(), fingerprint: "f".to_owned() }
    }

    #[test]
    fn a_retry_is_answered_with_what_the_first_request_created() {
        let made = Made::Record { kind: "ticket".to_owned(), id: 7 };
        assert_eq!(made_by(Known::Retry(made.clone()), &request()).unwrap(), made);
    }

    #[test]
    fn a_key_that_came_with_another_request_is_refused_by_name() {
        let refused = made_by(Known::Reused, &request()).unwrap_err();
        assert_eq!(refused.code(), "idempotency.key_reused");
        assert!(refused.to_string().contains("`k-1`"), "{refused}");
        let busy = in_progress(Some(&request()));
        assert_eq!(busy.code(), "idempotency.in_progress");
        assert!(busy.to_string().contains("`k-1`"), "{busy}");
    }
}
