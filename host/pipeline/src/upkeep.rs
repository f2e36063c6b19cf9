//! What is done from time to time while the server runs.

use std::sync::Arc;
use std::time::Duration;

use crate::Pipeline;

/// How often.
const ROUND: Duration = Duration::from_secs(15);
/// How many expired values are removed in one commit.
const SWEPT: usize = 1000;

/// Removes what has expired, and lets go on what need not wait any more, until the pipeline stops.
pub(crate) async fn keep_up(pipeline: Arc<Pipeline>) {
    let mut stopping = pipeline.stopping.subscribe();
    while !*stopping.borrow_and_update() {
        loop {
            match pipeline.store.sweep_kept(pipeline.now(), SWEPT).await {
                Ok(SWEPT) => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "expired values stay for now");
                    break;
                }
            }
        }
        pipeline.release_waiting();
        tokio::select! {
            () = tokio::time::sleep(ROUND) => {}
            _ = stopping.changed() => {}
        }
    }
}
