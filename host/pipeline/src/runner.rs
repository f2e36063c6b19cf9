//! Carries out automations. What is to be done lies in the store as work; this takes it in the order of the journal, so
//! that there is one way for the event that just came in and for the one that a crash interrupted.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use hookwright_model::{
    Automation, AutomationId, Decision, Effects, Event, Lane, Run, RunId, RunState, SpaceId, Timestamp,
};
use hookwright_store::{Committed, StepCommit, StoreError, Work, fault_point};
use tokio::sync::Semaphore;

use crate::advance::Advanced;
use crate::calling::{By, Occasion};
use crate::conditions::{broken, decide};
use crate::{Pipeline, PipelineError};

/// How often a step is tried again at once because somebody else changed what it had read.
const MAX_CONFLICTS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(500);

/// Takes work from the store until the pipeline stops.
pub(crate) async fn dispatch(pipeline: Arc<Pipeline>) {
    let places = pipeline.settings.concurrent_events.max(1);
    let permits = Arc::new(Semaphore::new(places));
    let signal = pipeline.store.work_signal();
    let mut stopping = pipeline.stopping.subscribe();
    let mut cursor = 0;
    while !*stopping.borrow_and_update() {
        let batch = match pipeline.store.work(cursor, places) {
            Ok(batch) => batch,
            Err(error) => {
                tracing::error!(%error, "work cannot be read; trying again");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        if batch.is_empty() {
            tokio::select! {
                () = signal.notified() => {}
                _ = stopping.changed() => {}
            }
        }
        for work in batch {
            let permit = tokio::select! {
                permit = Arc::clone(&permits).acquire_owned() => permit,
                _ = stopping.changed() => break,
            };
            let Ok(permit) = permit else { return };
            cursor = work.seq;
            let pipeline = Arc::clone(&pipeline);
            tokio::spawn(async move {
                pipeline.handle(work).await;
                drop(permit);
            });
        }
    }
    // Every place free again means that everything under way has ended.
    let _ = permits.acquire_many(u32::try_from(places).unwrap_or(u32::MAX)).await;
}

impl Pipeline {
    async fn handle(&self, work: Work) {
        loop {
            match self.handle_once(&work).await {
                Ok(()) | Err(PipelineError::Store(StoreError::Closed)) => return,
                Err(error) if *self.stopping.borrow() => {
                    tracing::warn!(%error, seq = work.seq, "left for the next start");
                    return;
                }
                Err(error) => {
                    tracing::error!(%error, seq = work.seq, "the event cannot be worked on; trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn handle_once(&self, work: &Work) -> Result<(), PipelineError> {
        let Work { seq, space, automations, .. } = work;
        let Some(event) = self.store.event_at(space, *seq)? else {
            return Ok(self.store.close_work(*seq).await?);
        };
        let mut runs = self.store.runs_of(space, *seq)?;
        if runs.is_empty() {
            fault_point("run.before-conditions");
            for (place, id) in automations.iter().enumerate() {
                let ordinal = u32::try_from(place).unwrap_or(u32::MAX);
                let lane = work.lane(ordinal);
                runs.push(self.decide_run(space, RunId { seq: *seq, ordinal }, id, &event, lane).await);
            }
            fault_point("run.after-conditions");
            let close = !runs.iter().any(|run| run.state.live_here());
            runs = self.store.decide(space, *seq, runs, close).await?;
            let parked = runs.iter().filter(|run| run.state == RunState::Parked);
            for plugin in parked.filter_map(|run| run.waits_for.as_deref()) {
                self.release_if_there(space, plugin);
            }
            // The decision has closed the work if there is nothing to go on with.
            if !runs.iter().any(|run| run.state.live_here()) {
                return Ok(());
            }
        }
        let live: Vec<Run> = runs.into_iter().filter(|run| run.state == RunState::Running).collect();
        // The last commit of a sole run closes the work, which saves the event a commit of its own.
        let sole = live.len() == 1;
        let ended = join_all(live.into_iter().map(|run| self.carry_out(run, &event, sole, None))).await;
        let mut closed = sole;
        for end in ended {
            closed &= end?;
        }
        if !closed && !*self.stopping.borrow() {
            self.store.close_work(*seq).await?;
        }
        Ok(())
    }

    pub(crate) async fn decide_run(
        &self,
        space: &SpaceId,
        id: RunId,
        automation: &AutomationId,
        event: &Event,
        lane: Option<&str>,
    ) -> Run {
        let found = match automation.workflow() {
            Some(name) => self.started_version(space, name, event),
            None => self.considered(space, automation, event),
        };
        let (decision, waits) = match &found {
            Some(found) if found.enabled => {
                let occasion = Occasion { space, event, by: By::Run(id) };
                decide(self, occasion, found.when.as_ref(), found.on_unavailable).await
            }
            Some(_) => (refused("the automation was switched off before the event was worked on"), None),
            None => (refused("the automation was deleted before the event was worked on"), None),
        };
        let now = self.clock.now();
        let state = match () {
            () if waits.as_ref().is_some_and(|waits| waits.busy_until.is_some()) => RunState::Waiting,
            () if waits.is_some() => RunState::Parked,
            () if decision.fired => RunState::Running,
            () if broken(&decision) => RunState::Failed,
            () => RunState::Skipped,
        };
        let most = found.as_ref().and_then(|found| found.concurrency.as_ref()).map_or(1, |bound| bound.most);
        let name = found.as_ref().map(|found| found.name.clone()).unwrap_or_default();
        Run {
            revision: found.as_ref().map_or(0, |found| found.revision),
            decision,
            state,
            retry_at: waits.as_ref().and_then(|waits| waits.busy_until),
            waits_for: waits.map(|waits| waits.plugin),
            lane: lane.map(|key| Lane { key: key.to_owned(), most }),
            created_at: now,
            finished_at: (!state.live()).then_some(now),
            ..Run::undecided_for(event, id, automation.clone(), name)
        }
    }

    /// The steps that a run carries out: those of the revision that decided it.
    pub(crate) fn procedure(&self, run: &Run) -> Result<Arc<Automation>, PipelineError> {
        if let Some(name) = run.workflow() {
            let version = self.version_of(&run.space, name, run.revision)?;
            return version.ok_or_else(|| PipelineError::not_found("version of the workflow", name));
        }
        match self.catalogue.automation(&run.space, &run.automation) {
            Some(automation) if automation.revision == run.revision => Ok(automation),
            _ => {
                let kept = self.store.automation_revision(&run.space, run.automation.as_str(), run.revision)?;
                let gone = || PipelineError::not_found("revision of the automation", run.automation.as_str());
                Ok(Arc::new(kept.ok_or_else(gone)?))
            }
        }
    }

    /// Goes on with a run whose next step is due again.
    pub(crate) async fn resume(&self, space: &SpaceId, id: RunId, due: Timestamp) -> Result<(), PipelineError> {
        let (Some(run), Some(event)) = (self.store.run(space, id)?, self.store.event_at(space, id.seq)?) else {
            return Ok(());
        };
        match run.state {
            RunState::Parked | RunState::Waiting if run.undecided() => self.decide_again(run, &event, due).await,
            RunState::Waiting | RunState::Parked => self.carry_out(run, &event, false, Some(due)).await.map(|_| ()),
            _ => Ok(self.store.forget_due(space, id, due).await?),
        }
    }

    /// Asks the conditions of a run again that waited for one of them.
    async fn decide_again(&self, run: Run, event: &Event, due: Timestamp) -> Result<(), PipelineError> {
        let lane = run.lane.as_ref().map(|lane| lane.key.as_str());
        let mut next = self.decide_run(&run.space, run.id, &run.automation, event, lane).await;
        next.created_at = run.created_at;
        let commit = StepCommit {
            run: next.clone(),
            expected_step: run.next_step,
            expected_tries: run.tries,
            expected_item: run.progress.item,
            item: None,
            effects: Effects::default(),
            close: false,
            due_was: Some(due),
        };
        if self.store.complete_step(commit).await? != Committed::Done {
            return Ok(());
        }
        // Whoever brought the plugin meanwhile may have looked before this run was parked.
        if let Some(plugin) = next.waits_for.as_deref().filter(|_| next.state == RunState::Parked) {
            self.release_if_there(&next.space, plugin);
        }
        // It may be in its lane now, waiting for its turn.
        match self.store.run(&next.space, next.id)? {
            Some(stored) if stored.state == RunState::Running => {
                self.carry_out(stored, event, false, None).await.map(|_| ())
            }
            _ => Ok(()),
        }
    }

    /// Carries out what a run has left to do. Says whether the work of its event was closed with it, if that was wanted.
    async fn carry_out(
        &self,
        mut run: Run,
        event: &Event,
        close: bool,
        due: Option<Timestamp>,
    ) -> Result<bool, PipelineError> {
        let automation = self.procedure(&run)?;
        let mut due_was = due;
        let mut conflicts = 0;
        while run.state.live() {
            if *self.stopping.borrow() {
                return Ok(false);
            }
            let (expected_step, expected_tries, expected_item) = (run.next_step, run.tries, run.progress.item);
            let Advanced { run: next, effects, item } = self.advance(&automation, &run, event, None).await?;
            let close = close && !next.state.live_here();
            let commit = StepCommit {
                run: next.clone(),
                expected_step,
                expected_tries,
                expected_item,
                item,
                effects,
                close,
                due_was,
            };
            match self.store.complete_step(commit).await? {
                Committed::Done => {
                    run = next;
                    due_was = None;
                    conflicts = 0;
                    if let Some(plugin) = run.waits_for.as_deref().filter(|_| run.state == RunState::Parked) {
                        self.release_if_there(&run.space, plugin);
                    }
                    if !run.state.live_here() {
                        return Ok(close);
                    }
                }
                Committed::Superseded => return Ok(false),
                Committed::Conflict(key) => {
                    conflicts += 1;
                    if conflicts > MAX_CONFLICTS {
                        tracing::warn!(%key, run = %run.id, "changed by others again and again; trying later");
                        tokio::time::sleep(PAUSE).await;
                        conflicts = 0;
                    }
                    tokio::time::sleep(Duration::from_micros(rand::random_range(0..200) * u64::from(conflicts))).await;
                }
            }
        }
        Ok(false)
    }
}

/// A run that waits is found by its due time or by its plugin, no longer by the event's work.
trait LiveHere {
    fn live_here(self) -> bool;
}

impl LiveHere for RunState {
    fn live_here(self) -> bool {
        self == Self::Running
    }
}

fn refused(reason: &str) -> Decision {
    Decision { fired: false, reason: reason.to_owned(), conditions: Vec::new() }
}
