//! Records calls of plugins asynchronously and best effort: a recording is dropped when its quota is used up or too many wait.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use hookwright_foundation::settings::PipelineSettings;
use hookwright_foundation::stopping::Stopping;
use hookwright_foundation::token_bucket::TokenBucket;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_model::{Rate, RolloutMode, SpaceId, Tape, Timestamp};
use hookwright_plugin::Plugin;
use hookwright_store::{NewRecording, Store, Vault};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::Notify;

use crate::callable::{Callable, Role};
use crate::candidate::{Rollouts, Shadow, ShadowCall, Work};
use crate::occasion::{By, Occasion};
use crate::plugin_key::PluginKey;
use crate::recording::{CallDetails, Recording};

/// The size of the host's answers that is recorded of one call, at most.
const MAX_TAPE_BYTES: usize = 256 * 1024;

/// How many calls of one plugin are recorded each second once its quota is full.
const RATE_ABOVE_QUOTA: Rate = Rate { requests: 50, per_seconds: 1 };

/// How many bytes may wait to be written.
const MAX_WAITING_BYTES: usize = 16 * 1024 * 1024;

/// How many recordings one commit holds.
const MAX_RECORDINGS_PER_COMMIT: usize = 256;

/// For how long recordings are collected before they are written together.
const BATCH_PAUSE: Duration = Duration::from_millis(100);

/// Records calls of plugins.
pub struct Tapes {
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) rollouts: Arc<Rollouts>,
    pub(crate) settings: Arc<PipelineSettings>,
    pub(crate) stopping: Stopping,
    pub(crate) store: Store,
    pub(crate) vault: Arc<Vault>,
}

impl Tapes {
    /// Permission to call a candidate in the shadow of this call. `None`: there is none, or too many calls wait already.
    pub(crate) fn shadow_of(&self, callable: &Callable, occasion: &Occasion<'_>) -> Option<Shadow> {
        if !matches!(callable.role, Role::Live) {
            return None;
        }
        let active = self.rollouts.find(occasion.space, &callable.access.plugin)?;
        if !active.is(RolloutMode::Shadow) || !active.rollout.takes(&occasion.event.id) {
            return None;
        }
        if let Ok(permit) = Arc::clone(&active.permits).try_acquire_owned() {
            return Some(Shadow { active, permit });
        }
        let mut counts = active.counts.lock();
        counts.dropped = counts.dropped.saturating_add(1);
        None
    }

    /// Queues a shadow call of the candidate after a call has ended.
    pub(crate) fn call_in_shadow(&self, shadow: Shadow, occasion: &Occasion<'_>, recording: Recording, live: Value) {
        let Shadow { active, permit } = shadow;
        let event = occasion.event.clone();
        self.rollouts.push(Work::Shadow(Box::new(ShadowCall { active, event, recording, live, permit })));
    }
}

/// A recording in progress.
pub(crate) struct OngoingRecording {
    pub(crate) tape: Arc<Tape>,
    plugin: Arc<Plugin>,
    name: String,
    /// How many recordings of the plugin are stored at most. 0: this one is made only for the shadow call.
    limit: u64,
    shadow: Option<crate::candidate::Shadow>,
}

/// The recordings that wait to be written, and the quotas of plugins.
#[derive(Default)]
pub(crate) struct Recorder {
    quotas: Mutex<HashMap<PluginKey, TokenBucket>>,
    waiting: Mutex<Vec<(SpaceId, String, u64, Recording)>>,
    bytes: AtomicUsize,
    dropped: AtomicU64,
    more: Notify,
}

impl Recorder {
    /// Whether the quota of a plugin has room for one more recording.
    fn takes(&self, key: PluginKey, limit: u32, now: Timestamp) -> bool {
        let mut quotas = self.quotas.lock();
        let quota = quotas.entry(key).or_insert_with(|| TokenBucket::with_capacity(limit, RATE_ABOVE_QUOTA, now));
        quota.set_capacity(limit);
        quota.try_take(now).is_ok()
    }

    fn put(&self, space: SpaceId, name: String, limit: u64, recording: Recording) {
        let size = recording.size();
        if self.bytes.load(Ordering::Relaxed).saturating_add(size) > MAX_WAITING_BYTES {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.bytes.fetch_add(size, Ordering::Relaxed);
        self.waiting.lock().push((space, name, limit, recording));
        self.more.notify_one();
    }

    fn take(&self) -> Vec<(SpaceId, String, u64, Recording)> {
        let mut waiting = self.waiting.lock();
        let count = waiting.len().min(MAX_RECORDINGS_PER_COMMIT);
        let taken: Vec<_> = waiting.drain(..count).collect();
        let size = taken.iter().map(|(_, _, _, recording)| recording.size()).fold(0, usize::saturating_add);
        self.bytes.fetch_sub(size.min(self.bytes.load(Ordering::Relaxed)), Ordering::Relaxed);
        taken
    }

    /// How many recordings were dropped since the start because too many waited to be written.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl Tapes {
    /// Begins to record a call. `None`: it is not recorded.
    pub(crate) fn start_recording(&self, callable: &Callable, occasion: &Occasion<'_>) -> Option<OngoingRecording> {
        if occasion.by == By::DryRun {
            return None;
        }
        let (space, name) = (occasion.space, callable.access.plugin.as_str());
        let kept = callable.access.recordings;
        let is_taken = kept > 0 && self.recorder.takes((space.clone(), name.to_owned()), kept, self.clock.now());
        let limit: u64 = if is_taken { kept.into() } else { 0 };
        let shadow = self.shadow_of(callable, occasion);
        if limit == 0 && shadow.is_none() {
            return None;
        }
        Some(OngoingRecording {
            tape: Arc::new(Tape::recording(MAX_TAPE_BYTES)),
            plugin: Arc::clone(&callable.plugin),
            name: name.to_owned(),
            limit,
            shadow,
        })
    }

    /// Completes a recording and queues it to be stored, and queues the shadow call.
    pub(crate) fn finish_recording(
        &self,
        ongoing: OngoingRecording,
        occasion: &Occasion<'_>,
        details: CallDetails<'_>,
        result: Value,
    ) {
        let OngoingRecording { tape, plugin, name, limit, shadow } = ongoing;
        let (run, delivery, seq) = match occasion.by {
            By::Run(run) => (Some(run), None, run.seq),
            By::Webhook(delivery) => (None, Some(delivery), delivery.seq),
            By::DryRun => return,
        };
        let recording = Recording {
            digest: plugin.digest().to_owned(),
            version: plugin.manifest().version.clone(),
            kind: details.kind,
            event: occasion.event.id.clone(),
            seq,
            run,
            delivery,
            automation: details.site.automation,
            place: details.site.place,
            now: details.now,
            changed_at: Some(details.site.changed_at).filter(|at| *at != details.now),
            source: details.site.source.to_owned(),
            parameters: details.parameters.clone(),
            message: details.message,
            tape: tape.entries(),
            result_digest: crate::call_result::digest_of(&result),
        };
        if let Some(shadow) = shadow {
            self.call_in_shadow(shadow, occasion, recording.clone(), result);
        }
        if limit > 0 {
            self.recorder.put(occasion.space.clone(), name, limit, recording);
        }
    }

    /// How many calls of a plugin are recorded, and how many may be.
    pub fn recorded(&self, space: &SpaceId, name: &str) -> Result<Value, hookwright_foundation::error::PipelineError> {
        let (calls, bytes) = self.store.recordings.recorded(space, name)?;
        let policy = self.store.plugins.policy(space, name)?.unwrap_or_default();
        let limit = policy.recordings.unwrap_or(self.settings.recordings_kept);
        Ok(serde_json::json!({"calls": calls, "bytes": bytes, "most": limit, "let_go": self.recorder.dropped()}))
    }

    /// Writes recordings until the pipeline stops.
    pub async fn keep_recordings(self: Arc<Self>) {
        let mut stopping = self.stopping.subscribe();
        loop {
            let taken = self.recorder.take();
            if taken.is_empty() {
                if *stopping.borrow_and_update() {
                    return;
                }
                tokio::select! {
                    () = self.recorder.more.notified() => tokio::time::sleep(BATCH_PAUSE).await,
                    _ = stopping.changed() => {}
                }
                continue;
            }
            if let Err(error) = self.write_recordings(taken).await {
                tracing::warn!(%error, "recorded plugin calls could not be stored");
            }
        }
    }

    async fn write_recordings(
        &self,
        taken: Vec<(SpaceId, String, u64, Recording)>,
    ) -> Result<(), hookwright_foundation::error::PipelineError> {
        let mut sealed = Vec::with_capacity(taken.len());
        for (space, plugin, limit, recording) in taken {
            let plain = serde_json::to_vec(&recording).map_err(hookwright_store::StoreError::from)?;
            let at = recording.now;
            sealed.push(NewRecording { space, plugin, at, sealed: self.vault.seal_bytes(&plain)?, most: limit });
        }
        Ok(self.store.recordings.put_recordings(sealed).await?)
    }

    /// Opens a recording. `None`: it cannot be read.
    pub fn opened(&self, sealed: &[u8]) -> Option<Recording> {
        let plain = self.vault.open_bytes(sealed);
        let plain = plain.inspect_err(|error| tracing::warn!(%error, "a recording cannot be opened")).ok()?;
        serde_json::from_slice(&plain).ok()
    }
}

#[cfg(test)]
mod tests {
    use hookwright_model::{OnUnavailable, RunId, When};
    use serde_json::json;

    use super::*;
    use crate::conditions::{decide, evaluation_failed};
    use crate::samples::{CONDITION, PluginStage};
    use hookwright_samples::event;

    const RUN: By = By::Run(RunId { seq: 1, ordinal: 0 });

    #[test]
    fn recording_is_sampled_once_the_quota_is_full() {
        let recorder = Recorder::default();
        let key = || (SpaceId::main(), "p".to_owned());
        let taken = |ms| (0..1000).filter(|_| recorder.takes(key(), 100, Timestamp::from_millis(ms))).count();
        assert_eq!((taken(0), taken(0), taken(1000)), (100, 0, 50));
        let now = Timestamp::from_millis(1000);
        assert!(recorder.takes((SpaceId::main(), "q".to_owned()), 100, now), "another plugin has its own quota");
    }

    #[tokio::test]
    async fn shadow_calls_beyond_those_that_may_wait_are_dropped_and_counted() {
        let (stage, space) = (PluginStage::open(PipelineSettings::default()).await, SpaceId::main());
        let active = stage.roll_out(RolloutMode::Shadow, 100);
        let event = event("go", &json!({}));
        let occasion = Occasion { space: &space, event: &event, by: RUN, shared: None };
        let callable = stage.invoke.present(&space, CONDITION).unwrap();
        let tapes = &stage.invoke.tapes;
        let permits = active.permits.available_permits();
        let waiting: Vec<Shadow> = (0..=permits).filter_map(|_| tapes.shadow_of(&callable, &occasion)).collect();
        assert_eq!((waiting.len(), active.counts.lock().dropped), (permits, 1));
        drop(waiting);
        assert!(tapes.shadow_of(&callable, &occasion).is_some());
        let named = Callable { role: Role::Named, ..callable };
        assert!(tapes.shadow_of(&named, &occasion).is_none(), "only calls of the version in use have a shadow");
    }

    #[tokio::test]
    async fn a_call_whose_parameters_cannot_be_filled_in_takes_no_quota_of_recordings() {
        let settings = PipelineSettings { recordings_kept: 1, ..PipelineSettings::default() };
        let (stage, space) = (PluginStage::open(settings).await, SpaceId::main());
        let with = json!({"path": "data.form", "contains": "{{event.data.part}}"});
        let when: When = serde_json::from_value(json!({"condition": CONDITION, "with": with})).unwrap();
        let decided = async |data: Value| {
            let event = event("go", &data);
            let occasion = Occasion { space: &space, event: &event, by: RUN, shared: None };
            decide(&stage.invoke, occasion, Some(&when), OnUnavailable::Park).await.0
        };
        let recorded = || stage.invoke.tapes.recorder.take().len();

        let unfilled = decided(json!({"form": "a=1"})).await;
        assert!(evaluation_failed(&unfilled), "{}", unfilled.reason);
        assert!(unfilled.reason.contains("event.data.part"), "{}", unfilled.reason);
        assert_eq!(recorded(), 0);

        let complete = json!({"form": "a=1", "part": "a="});
        let filled = decided(complete.clone()).await;
        assert!(filled.fired, "{}", filled.reason);
        assert_eq!(recorded(), 1);
        assert!(decided(complete).await.fired);
        assert_eq!(recorded(), 0, "the quota was for one call, and the clock stands still");
    }
}
