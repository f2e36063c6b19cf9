//! The number of hops in the chain of requests that ends with the present one. Every event that the request leads to, directly
//! or by a change of a record, continues the count, so that a webhook to the server's own API does not loop for ever.

use hookwright_model::{Cause, MAX_CHAIN};

tokio::task_local! {
    static HOPS: u32;
}

/// Runs `work` for a request at the end of a chain of `hops`.
pub async fn after_hops<F: Future>(hops: u32, work: F) -> F::Output {
    HOPS.scope(hops, work).await
}

/// The cause of what the request leads to, with the hops counted.
pub fn counted(cause: Option<Cause>) -> Option<Cause> {
    match HOPS.try_with(|hops| *hops).unwrap_or(0) {
        0 => cause,
        hops => Some(cause.unwrap_or_else(Cause::api).after_hops(hops)),
    }
}

/// Whether the chain is longer than [`MAX_CHAIN`].
pub fn loops() -> bool {
    HOPS.try_with(|hops| *hops > MAX_CHAIN).unwrap_or(false)
}
