//! Periodic maintenance while the server runs.

use std::sync::Arc;
use std::time::Duration;

use hookwright_delivery::notices::Notices;
use hookwright_foundation::settings::PipelineSettings;
use hookwright_foundation::stopping::Stopping;
use hookwright_foundation::sweep::sweep;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_intake::accept::Intake;
use hookwright_intake::source_log::SourceLog;
use hookwright_invoke::parked::Parked;
use hookwright_store::Store;

use crate::clock_watch::ClockWatch;

/// The interval between two rounds.
const INTERVAL: Duration = Duration::from_secs(15);

/// Removes what has expired and continues what no longer needs to wait, until the pipeline stops.
pub(crate) async fn keep_up(upkeep: Arc<Upkeep>) {
    let mut stopping = upkeep.stopping.subscribe();
    while !*stopping.borrow_and_update() {
        upkeep.stopping.until_recording(&upkeep.store).await;
        upkeep.clock_watch.watch_clock().await;
        sweep("expired values", |limit| upkeep.store.kv.sweep_kept(upkeep.clock.now(), limit)).await;
        upkeep.parked.release_waiting();
        upkeep.notices.mail_exceptions().await;
        upkeep.sweep_attempts().await;
        upkeep.sweep_recordings().await;
        upkeep.source_log.sweep_requests().await;
        upkeep.sweep_idempotency_keys().await;
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = upkeep.clock.until_moved() => {}
            _ = stopping.changed() => {}
        }
    }
}

/// Periodic maintenance while the server runs.
pub(crate) struct Upkeep {
    pub(crate) clock_watch: Arc<ClockWatch>,
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) settings: Arc<PipelineSettings>,
    pub(crate) stopping: Stopping,
    pub(crate) store: Store,
    pub(crate) events: Arc<Intake>,
    pub(crate) notices: Arc<Notices>,
    pub(crate) parked: Arc<Parked>,
    pub(crate) source_log: Arc<SourceLog>,
}

impl Upkeep {
    /// Removes recorded calls that are older than the retention.
    async fn sweep_recordings(&self) {
        let before = self.clock.retained_since(self.settings.recording_retention);
        sweep("old recordings", |limit| self.store.recordings.sweep_recordings(before, limit)).await;
    }

    /// Removes attempts that are older than the retention, or beyond the number that is retained.
    async fn sweep_attempts(&self) {
        let before = self.clock.retained_since(self.settings.attempt_retention);
        let most = self.settings.attempts_kept;
        sweep("old attempts", |limit| self.store.attempts.sweep_attempts(before, most, limit)).await;
    }

    /// Removes idempotency keys that have expired.
    async fn sweep_idempotency_keys(&self) {
        let before = self.events.key_window().since;
        sweep("expired idempotency keys", |limit| self.store.idempotency.sweep_idempotency_keys(before, limit)).await;
    }
}
