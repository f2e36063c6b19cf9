//! Carries out automations. What is to be done lies in the store as work; this takes it in the order of the journal, so
//! that there is one way for the event that just came in and for the one that a crash interrupted.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use hookwright_model::{
    Automation, AutomationId, Decision, Event, OnError, Run, RunId, RunState, SpaceId, StepOutcome, Timestamp,
};
use hookwright_store::{Committed, StepCommit, StoreError, Work, fault_point};
use tokio::sync::Semaphore;

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
        let Work { seq, space, automations } = work;
        let Some(event) = self.store.event_at(space, *seq)? else {
            return Ok(self.store.close_work(*seq).await?);
        };
        let mut runs = self.store.runs_of(space, *seq)?;
        if runs.is_empty() {
            fault_point("run.before-conditions");
            for (place, id) in automations.iter().enumerate() {
                let ordinal = u32::try_from(place).unwrap_or(u32::MAX);
                runs.push(self.decide_run(space, RunId { seq: *seq, ordinal }, id, &event).await);
            }
            fault_point("run.after-conditions");
            let close = !runs.iter().any(|run| run.state.live_here());
            self.store.decide(space, *seq, runs.clone(), close).await?;
            let parked = runs.iter().filter(|run| run.state == RunState::Parked);
            for plugin in parked.filter_map(|run| run.waits_for.as_deref()) {
                self.release_if_there(space, plugin);
            }
            if close {
                return Ok(());
            }
        }
        let live: Vec<Run> = runs.into_iter().filter(|run| run.state == RunState::Running).collect();
        // The last commit of a sole run closes the work, which saves the event a commit of its own.
        let sole = live.len() == 1;
        let ended = join_all(live.into_iter().map(|run| self.carry_out(run, &event, sole, None))).await;
        for end in ended {
            end?;
        }
        if !sole {
            self.store.close_work(*seq).await?;
        }
        Ok(())
    }

    async fn decide_run(&self, space: &SpaceId, id: RunId, automation: &AutomationId, event: &Event) -> Run {
        let found = self.catalogue.automation(space, automation);
        let (decision, waits) = match &found {
            Some(automation) if automation.enabled => decide(self, space, event, automation).await,
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
        Run {
            id,
            space: space.clone(),
            event: event.id.clone(),
            event_type: event.event_type.clone(),
            automation: automation.clone(),
            automation_name: found.as_ref().map(|a| a.name.clone()).unwrap_or_default(),
            revision: found.as_ref().map_or(0, |a| a.revision),
            decision,
            state,
            steps: Vec::new(),
            next_step: 0,
            tries: 0,
            retry_at: waits.as_ref().and_then(|waits| waits.busy_until),
            waits_for: waits.map(|waits| waits.plugin),
            created_at: now,
            finished_at: (!state.live()).then_some(now),
        }
    }

    /// Goes on with a run whose next step is due again.
    pub(crate) async fn resume(&self, space: &SpaceId, id: RunId, due: Timestamp) -> Result<(), PipelineError> {
        let (Some(run), Some(event)) = (self.store.run(space, id)?, self.store.event_at(space, id.seq)?) else {
            return Ok(());
        };
        match run.state {
            RunState::Parked | RunState::Waiting if run.undecided() => self.decide_again(run, &event, due).await,
            RunState::Waiting | RunState::Parked => self.carry_out(run, &event, false, Some(due)).await,
            _ => Ok(()),
        }
    }

    /// Asks the conditions of a run again that waited for one of them.
    async fn decide_again(&self, run: Run, event: &Event, due: Timestamp) -> Result<(), PipelineError> {
        let next = self.decide_run(&run.space, run.id, &run.automation, event).await;
        let commit = StepCommit {
            run: next.clone(),
            expected_step: run.next_step,
            expected_tries: run.tries,
            effects: hookwright_model::Effects::default(),
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
        if next.state == RunState::Running { self.carry_out(next, event, false, None).await } else { Ok(()) }
    }

    async fn carry_out(
        &self,
        mut run: Run,
        event: &Event,
        close: bool,
        due: Option<Timestamp>,
    ) -> Result<(), PipelineError> {
        let automation = match self.catalogue.automation(&run.space, &run.automation) {
            Some(automation) if automation.revision == run.revision => automation,
            _ => {
                let kept = self.store.automation_revision(&run.space, run.automation.as_str(), run.revision)?;
                let gone = || PipelineError::not_found("revision of the automation", run.automation.as_str());
                Arc::new(kept.ok_or_else(gone)?)
            }
        };
        let mut due_was = due;
        let mut conflicts = 0;
        while run.state.live() {
            if *self.stopping.borrow() {
                return Ok(());
            }
            let (expected_step, expected_tries) = (run.next_step, run.tries);
            let (next, effects) = self.advance(&automation, &run, event).await;
            let close = close && !next.state.live_here();
            let commit = StepCommit { run: next.clone(), expected_step, expected_tries, effects, close, due_was };
            match self.store.complete_step(commit).await? {
                Committed::Done => {
                    run = next;
                    due_was = None;
                    conflicts = 0;
                    if let Some(plugin) = run.waits_for.as_deref().filter(|_| run.state == RunState::Parked) {
                        self.release_if_there(&run.space, plugin);
                    }
                    if !run.state.live_here() {
                        return Ok(());
                    }
                }
                Committed::Superseded => return Ok(()),
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
        Ok(())
    }

    /// The run after one try of its next step, with the effects to commit beside it.
    async fn advance(&self, automation: &Automation, run: &Run, event: &Event) -> (Run, hookwright_model::Effects) {
        let mut next = run.clone();
        let place = usize::try_from(run.next_step).unwrap_or(usize::MAX);
        next.steps.truncate(place);
        next.retry_at = None;
        next.waits_for = None;
        let mut current = run.clone();
        current.steps.truncate(place);
        let Some(step) = automation.then.get(place) else {
            self.finish(&mut next);
            return (next, hookwright_model::Effects::default());
        };
        fault_point("step.before-call");
        let tried = self.try_step(automation, &current, event, place, step).await;
        fault_point("step.after-call");
        let mut tried = match tried {
            Ok(tried) => tried,
            Err(unavailable) => {
                next.state = if unavailable.busy_until.is_some() { RunState::Waiting } else { RunState::Parked };
                next.retry_at = unavailable.busy_until;
                next.waits_for = Some(unavailable.plugin);
                return (next, hookwright_model::Effects::default());
            }
        };
        if let Some(failure) = &tried.failure {
            let tries = run.tries.saturating_add(1);
            let delay = failure.retry_after_ms.and_then(|least| {
                let delay = self.settings.step_retry.delay(tries, rand::random())?;
                Some(delay.max(Duration::from_millis(u64::from(least))))
            });
            if let (Some(delay), StepOutcome::Failed { retrying, .. }) = (delay, &mut tried.record.outcome) {
                *retrying = true;
                next.steps.push(tried.record);
                next.state = RunState::Waiting;
                next.tries = tries;
                next.retry_at = Some(self.clock.now().after(delay));
                return (next, tried.effects);
            }
        }
        next.steps.push(tried.record);
        next.tries = 0;
        next.next_step = run.next_step.saturating_add(1);
        next.state = RunState::Running;
        let stops = tried.failure.is_some() && step.on_error == OnError::Stop;
        if stops || place.saturating_add(1) >= automation.then.len() {
            self.finish(&mut next);
        }
        (next, tried.effects)
    }

    fn finish(&self, run: &mut Run) {
        let failed = run.steps.iter().any(|step| matches!(step.outcome, StepOutcome::Failed { .. }));
        run.state = if failed { RunState::Failed } else { RunState::Done };
        run.finished_at = Some(self.clock.now());
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
