//! What is done from time to time while the server runs.

use std::sync::Arc;
use std::time::Duration;

use hookwright_model::Timestamp;

use crate::Pipeline;

/// How often.
const ROUND: Duration = Duration::from_secs(15);
/// How many old attempts are removed in one commit.
const ATTEMPTS_SWEPT: usize = 1000;
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
        pipeline.mail_exceptions().await;
        pipeline.sweep_attempts().await;
        pipeline.sweep_recordings().await;
        pipeline.sweep_requests().await;
        tokio::select! {
            () = tokio::time::sleep(ROUND) => {}
            _ = stopping.changed() => {}
        }
    }
}

impl Pipeline {
    /// Lets go recorded calls that are older than is wanted.
    async fn sweep_recordings(&self) {
        let age = i64::try_from(self.settings.recording_retention.as_millis()).unwrap_or(i64::MAX);
        let before = Timestamp::from_millis(self.now().millis().saturating_sub(age));
        loop {
            match self.store.sweep_recordings(before, SWEPT).await {
                Ok(SWEPT) => {}
                Ok(_) => return,
                Err(error) => {
                    tracing::warn!(%error, "old recordings stay for now");
                    return;
                }
            }
        }
    }

    /// Removes requests from the log that are older than is wanted, or more than are.
    async fn sweep_attempts(&self) {
        let before = Timestamp::from_millis(
            self.now()
                .millis()
                .saturating_sub(i64::try_from(self.settings.attempt_retention.as_millis()).unwrap_or(i64::MAX)),
        );
        loop {
            match self.store.sweep_attempts(before, self.settings.attempts_kept, ATTEMPTS_SWEPT).await {
                Ok(ATTEMPTS_SWEPT) => {}
                Ok(_) => return,
                Err(error) => {
                    tracing::warn!(%error, "old attempts stay for now");
                    return;
                }
            }
        }
    }
}
