//! Executes automations. Pending work is in the store; this takes it in the order of the journal, so that an event that just
//! arrived and one that a crash interrupted take the same path.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, MaybeDone, join_all, maybe_done};
use hookwright_foundation::error::PipelineError;
use hookwright_foundation::outcome_log;
use hookwright_foundation::outcome_log::RUN;
use hookwright_foundation::settings::PipelineSettings;
use hookwright_foundation::stopping::Stopping;
use hookwright_foundation::turns::Turns;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_invoke::conditions::{decide, evaluation_failed};
use hookwright_invoke::occasion::{By, Occasion};
use hookwright_invoke::parked::Parked;
use hookwright_model::{
    Automation, AutomationId, Decision, Effects, Event, Failure, Lane, Run, RunId, RunState, SpaceId, StepKind,
    StepOutcome, StepRecord, Timestamp,
};
use hookwright_plugin::Tries;
use hookwright_routing::catalogue::Catalogue;
use hookwright_store::{Begun, Decided, FirstTry, StepCommit, StepCommitted, Store, StoreError, Work, fault_point};
use tokio::sync::Semaphore;

use crate::advance::Advanced;
use crate::open_steps::{Task, place, task};
use crate::steps::Steps;
use crate::stored::Runs;
use crate::suspects::{MAX_INTERRUPTIONS, Suspects};

/// How many write conflicts a step may have before it pauses.
const CONFLICTS_BEFORE_PAUSE: u32 = 100;

/// The pause after an error of the store, or after many write conflicts.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// How long the decisions for an event wait for the first tries of its runs, to be committed together. A call that computes
/// is interrupted every 10 ms only.
const FIRST_TRY_TIME: Duration = Duration::from_millis(20);
/// How many runs of an event have a first try before their decisions are stored.
const MOST_FIRST_TRIES: usize = 8;

/// A try in progress; no result if it declined to be made.
type Advancing<'a> = BoxFuture<'a, Result<Option<Advanced>, PipelineError>>;

/// The first try of a run's first step, made before the run's decision is stored.
struct First<'a> {
    tries: Arc<Tries>,
    advancing: Pin<Box<MaybeDone<Advancing<'a>>>>,
}

impl<'a> First<'a> {
    /// What is committed with the decision, and what the run has behind it if that conflicts.
    fn so_far(mut self) -> (Option<StepCommit>, Before<'a>) {
        match self.advancing.as_mut().take_output() {
            Some(Ok(Some(Advanced { run, effects, item }))) => {
                (Some(StepCommit { run, item, effects }), Before::Conflict(self.tries, String::new()))
            }
            Some(Ok(None)) => (None, Before::Nothing),
            Some(Err(error)) => {
                tracing::warn!(%error, "the first try of a step failed; it is made again after the decision");
                (None, Before::Nothing)
            }
            None => (None, Before::Pending(self)),
        }
    }

    async fn outcome(mut self) -> Result<Option<(Advanced, Arc<Tries>)>, PipelineError> {
        self.advancing.as_mut().await;
        let advanced = self.advancing.as_mut().take_output().transpose()?.flatten();
        Ok(advanced.map(|advanced| (advanced, self.tries)))
    }
}

/// What a run that is carried out has behind it.
enum Before<'a> {
    Nothing,
    /// The first try of its first step is in progress.
    Pending(First<'a>),
    /// The first try is given to the store, and may conflict on this.
    Conflict(Arc<Tries>, String),
}

/// Takes work from the store until the pipeline stops.
pub async fn dispatch(runner: Arc<Runner>) {
    let capacity = runner.settings.concurrent_events.max(1);
    let permits = Arc::new(Semaphore::new(capacity));
    let signal = runner.store.work_signal();
    let mut stopping = runner.stopping.subscribe();
    while let Err(error) = runner.suspects.load(&runner.store).await {
        tracing::error!(%error, "interrupted events cannot be read; trying again");
        tokio::time::sleep(RETRY_PAUSE).await;
        if *stopping.borrow() {
            return;
        }
    }
    let (suspects, mut suspected) = tokio::sync::mpsc::unbounded_channel();
    let suspected_runner = Arc::clone(&runner);
    let suspected_work = tokio::spawn(async move {
        while let Some(work) = suspected.recv().await {
            if suspected_runner.stopping.has_begun() {
                return;
            }
            suspected_runner.handle(work).await;
        }
    });
    // A space whose events hang leaves capacity for the other spaces.
    let capacity_of_space = capacity.saturating_sub(capacity / 4).max(1);
    while !*stopping.borrow_and_update() {
        runner.stopping.until_recording(&runner.store).await;
        let permit = tokio::select! {
            permit = Arc::clone(&permits).acquire_owned() => permit,
            _ = stopping.changed() => continue,
        };
        let Ok(permit) = permit else { return };
        match runner.store.backlog.next_work(capacity_of_space) {
            Ok(Some((work, _))) if runner.suspects.interruptions(work.seq) > 0 => {
                // It waits for its turn without occupying the capacity for other events.
                let _ = suspects.send(work);
            }
            Ok(Some((work, turn))) => {
                let runner = Arc::clone(&runner);
                tokio::spawn(async move {
                    runner.handle(work).await;
                    drop((turn, permit));
                });
            }
            Ok(None) => {
                drop(permit);
                tokio::select! {
                    () = signal.notified() => {}
                    _ = stopping.changed() => {}
                }
            }
            Err(error) => {
                tracing::error!(%error, "the backlog cannot be read; trying again");
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
    }
    drop(suspects);
    let _ = suspected_work.await;
    // All permits are free again once everything in flight has ended.
    let _ = permits.acquire_many(u32::try_from(capacity).unwrap_or(u32::MAX)).await;
}

/// Processes events: decides and executes their runs.
pub struct Runner {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) settings: Arc<PipelineSettings>,
    pub(crate) stopping: Stopping,
    pub(crate) store: Store,
    pub(crate) suspects: Arc<Suspects>,
    pub(crate) turns: Arc<Turns>,
    pub(crate) parked: Arc<Parked>,
    pub(crate) runs: Arc<Runs>,
    pub(crate) steps: Arc<Steps>,
}

impl Runner {
    async fn handle(&self, mut work: Work) {
        let mut first_tries = true;
        loop {
            self.stopping.until_recording(&self.store).await;
            match self.handle_once(&work, first_tries).await {
                Ok(()) | Err(PipelineError::Store(StoreError::Closed)) => return,
                Err(error) if self.stopping.has_begun() => {
                    tracing::warn!(%error, seq = work.seq, "the event is left for the next start");
                    return;
                }
                // The first tries of its runs are too large together. Each is committed alone then.
                Err(PipelineError::Store(StoreError::TooLarge { .. })) if first_tries => first_tries = false,
                Err(error) => {
                    tracing::error!(%error, seq = work.seq, "the event cannot be processed; trying again");
                    tokio::time::sleep(RETRY_PAUSE).await;
                    work.fresh = false;
                }
            }
        }
    }

    async fn handle_once(&self, work: &Work, first_tries: bool) -> Result<(), PipelineError> {
        let watched = self.suspects.watch(&self.store, work.seq).await;
        if watched.interruptions >= MAX_INTERRUPTIONS {
            return self.dead_letter(work).await;
        }
        // The decision of an event that was interrupted is stored without a first try, so that the step at fault is known.
        self.work_on(work, first_tries && watched.interruptions == 0).await?;
        self.suspects.progressed(&self.store, work.seq).await
    }

    async fn work_on(&self, work: &Work, first_tries: bool) -> Result<(), PipelineError> {
        let Work { seq, space, .. } = work;
        let Some(event) = self.store.events.event_at(space, *seq)? else {
            return Ok(self.store.backlog.close_work(*seq).await?);
        };
        let known = if work.fresh { Vec::new() } else { self.store.runs.runs_of(space, *seq)? };
        let here: Vec<(Run, Before<'_>)> = if known.is_empty() {
            fault_point("run.before-conditions");
            let runs = self.decide_runs(work, &event).await;
            fault_point("run.after-conditions");
            // The decision does not clear the interruptions of an event, since a step may be what ends the process.
            let begun = self.begin(work, runs, &event, first_tries).await?;
            begun.iter().for_each(|(run, _)| self.follow_up(run));
            // If no run is left, this has closed the work.
            begun.into_iter().filter(|(run, _)| run.in_work()).collect()
        } else {
            // Runs that have waited before have rows of their own, by which the scheduler finds them.
            let here = known.into_iter().filter(Run::in_work).map(|run| (run, Before::Nothing));
            let here: Vec<_> = here.collect();
            if here.is_empty() {
                return Ok(self.store.backlog.close_work(*seq).await?);
            }
            here
        };
        let ended = join_all(here.into_iter().map(|(run, before)| self.carry_out(run, &event, before))).await;
        ended.into_iter().collect()
    }

    /// Commits the decisions for an event, with the first tries of its first runs that are done within a moment.
    async fn begin<'a>(
        &'a self,
        work: &Work,
        runs: Vec<Run>,
        event: &'a Event,
        first_tries: bool,
    ) -> Result<Vec<(Run, Before<'a>)>, PipelineError> {
        // Few, since all of them are one operation of the writer, and wait for one another.
        let most = if first_tries { MOST_FIRST_TRIES } else { 0 };
        let first = |(place, run)| if place < most { self.first_try(run, event) } else { None };
        let mut firsts: Vec<_> = runs.iter().enumerate().map(first).collect();
        let tried = join_all(firsts.iter_mut().flatten().map(|first| first.advancing.as_mut()));
        let _ = tokio::time::timeout(FIRST_TRY_TIME, tried).await;
        let mut befores = Vec::with_capacity(runs.len());
        let mut decided = Vec::with_capacity(runs.len());
        for (run, first) in runs.into_iter().zip(firsts) {
            let (commit, before) = first.map_or((None, Before::Nothing), First::so_far);
            befores.push(before);
            decided.push(Decided { run, first: commit });
        }
        let pending = befores.iter_mut().filter_map(|before| match before {
            Before::Pending(first) => Some(first.advancing.as_mut()),
            Before::Nothing | Before::Conflict(..) => None,
        });
        let pending = join_all(pending);
        // Calls in progress go on meanwhile, since their time does.
        let begun = tokio::select! {
            begun = self.store.runs.decide(&work.space, work.seq, decided) => begun?,
            never = async { drop(pending.await); std::future::pending::<Vec<Begun>>().await } => never,
        };
        let before = |(Begun { run, first }, before)| {
            let before = match (first, before) {
                (FirstTry::Conflict(key), Before::Conflict(tries, _)) => {
                    tries.decided();
                    Before::Conflict(tries, key)
                }
                (FirstTry::None, Before::Pending(first)) => {
                    first.tries.decided();
                    Before::Pending(first)
                }
                _ => Before::Nothing,
            };
            (run, before)
        };
        Ok(begun.into_iter().zip(befores).map(before).collect())
    }

    /// Begins the first try of a run whose decision is not stored yet; none if its step could have an effect outside of the
    /// store, or has to take its turn.
    fn first_try<'a>(&'a self, run: &Run, event: &'a Event) -> Option<First<'a>> {
        if run.state != RunState::Running || run.lane.is_some() || self.turns.line_of(run, event).is_contended() {
            return None;
        }
        let automation = self.runs.procedure(run).ok()?;
        let step = automation.then.get(place(run.next_step)?)?;
        if self.steps.invoke.may_send(&run.space, &step.plugin) {
            return None;
        }
        let tries = Arc::new(Tries::before_the_decision(self.clock.now()));
        let (run, shared) = (run.clone(), Arc::clone(&tries));
        let advancing = async move {
            let advanced = self.steps.advance(&automation, &run, event, None, &shared).await?;
            Ok((!shared.declined()).then_some(advanced))
        };
        let advancing: Advancing<'a> = Box::pin(advancing);
        Some(First { tries, advancing: Box::pin(maybe_done(advancing)) })
    }

    /// Decides for each automation that an event may concern.
    async fn decide_runs(&self, work: &Work, event: &Event) -> Vec<Run> {
        let shared = Arc::default();
        let mut runs = Vec::with_capacity(work.automations.len());
        for (place, automation) in work.automations.iter().enumerate() {
            let id = RunId { seq: work.seq, ordinal: u32::try_from(place).unwrap_or(u32::MAX) };
            let occasion = Occasion { space: &work.space, event, by: By::Run(id), shared: Some(&shared) };
            runs.push(self.decide_run(occasion, id, automation, work.lane(id.ordinal)).await);
        }
        runs
    }

    async fn decide_run(
        &self,
        occasion: Occasion<'_>,
        id: RunId,
        automation: &AutomationId,
        lane: Option<&str>,
    ) -> Run {
        let Occasion { space, event, .. } = occasion;
        let found = match automation.workflow() {
            Some(name) => self.runs.started_version(space, name, event),
            None => self.considered(space, automation, event),
        };
        let (decision, waits) = match &found {
            Some(found) if found.enabled => {
                decide(&self.steps.invoke, occasion, found.when.as_ref(), found.on_unavailable).await
            }
            Some(_) => (refused("the automation was disabled before the event was processed"), None),
            None => (refused("the automation was deleted before the event was processed"), None),
        };
        let now = self.clock.now();
        let state = match waits {
            Some(unavailable) => unavailable.run_state(now),
            None if decision.fired => RunState::Running,
            None if evaluation_failed(&decision) => RunState::Failed { at: now },
            None => RunState::Skipped { at: now },
        };
        let most = found.as_ref().and_then(|found| found.concurrency.as_ref()).map_or(1, |bound| bound.most);
        let name = found.as_ref().map(|found| found.name.clone()).unwrap_or_default();
        Run {
            revision: found.as_ref().map_or(0, |found| found.revision),
            decision,
            state,
            lane: lane.map(|key| Lane { key: key.to_owned(), most }),
            created_at: now,
            ..Run::undecided_for(event, id, automation.clone(), name)
        }
    }

    /// Resumes a run that is due.
    pub async fn resume(&self, space: &SpaceId, id: RunId, due: Timestamp) -> Result<(), PipelineError> {
        let Some(run) = self.store.runs.run(space, id)?.filter(|run| run.due_at() == Some(due)) else {
            return Ok(self.store.runs.forget_due(space, id, due).await?);
        };
        let watched = self.suspects.watch(&self.store, id.seq).await;
        if watched.interruptions >= MAX_INTERRUPTIONS {
            return self.dead_letter_due(space, id).await;
        }
        self.go_on_with(run).await?;
        self.suspects.progressed(&self.store, id.seq).await
    }

    async fn go_on_with(&self, run: Run) -> Result<(), PipelineError> {
        let Some(event) = self.store.events.event_at(&run.space, run.id.seq)? else {
            return self.end_early(run, "its event is no longer stored").await;
        };
        if run.undecided() {
            self.decide_again(run, &event).await
        } else {
            self.carry_out(run, &event, Before::Nothing).await
        }
    }

    /// Ends a run that cannot be continued.
    async fn end_early(&self, run: Run, reason: &str) -> Result<(), PipelineError> {
        tracing::warn!(target: RUN, space = %run.space, run = %run.id, reason, "run failed: it cannot be continued");
        let decision = Decision { reason: reason.to_owned(), ..run.decision };
        let ended = Run { decision, ..run }.failed(self.clock.now());
        self.store.runs.complete_step(StepCommit { run: ended, item: None, effects: Effects::default() }).await?;
        Ok(())
    }

    /// Evaluates the conditions of a run again that waited for one of them.
    async fn decide_again(&self, run: Run, event: &Event) -> Result<(), PipelineError> {
        let lane = run.lane.as_ref().map(|lane| lane.key.as_str());
        let decided = self.decide_run(Occasion::of_run(&run, event), run.id, &run.automation, lane).await;
        let next = Run { version: run.version, created_at: run.created_at, ..decided };
        let commit = StepCommit { run: next, item: None, effects: Effects::default() };
        let StepCommitted::Done(stored) = self.store.runs.complete_step(commit).await? else { return Ok(()) };
        match stored.state {
            RunState::Running => self.carry_out(*stored, event, Before::Nothing).await,
            _ => {
                self.follow_up(&stored);
                Ok(())
            }
        }
    }

    /// Follows up on a run that has ended or waits: logs a failure, and releases a parked run whose plugin is available after all.
    fn follow_up(&self, run: &Run) {
        outcome_log::run_ended(run);
        // The plugin may have been installed concurrently, before the run was parked, so check again.
        if let RunState::Parked { plugin } = &run.state {
            self.parked.release_if_there(&run.space, plugin);
        }
    }

    /// Executes the remaining steps of a run, until it ends or waits, or the pipeline stops.
    async fn carry_out(&self, mut run: Run, event: &Event, before: Before<'_>) -> Result<(), PipelineError> {
        let automation = match self.runs.procedure(&run) {
            Err(error @ PipelineError::NotFound { .. }) => return self.end_early(run, &error.to_string()).await,
            other => other?,
        };
        let (mut tries, mut line) = (None, self.turns.line_of(&run, event));
        let mut first = None;
        match before {
            Before::Nothing => {}
            Before::Conflict(tried, key) => {
                tried.again();
                tries = Some(tried);
                line.conflicted(key);
            }
            Before::Pending(pending) => first = Some(pending),
        }
        let mut stopping = self.stopping.subscribe();
        loop {
            // A step that has sent requests runs to its end even if the pipeline stops: the next start would send them again.
            if tries.as_ref().is_some_and(|tries: &Arc<Tries>| tries.has_sent()) {
                line.wait().await;
            } else {
                tokio::select! {
                    biased;
                    () = line.wait() => {}
                    () = async { drop(stopping.wait_for(|stopping| *stopping).await) } => return Ok(()),
                }
                if self.stopping.has_begun() {
                    return Ok(());
                }
            }
            let begun = match first.take() {
                Some(first) => first.outcome().await?,
                None => None,
            };
            let (Advanced { run: next, effects, item }, tried) = match begun {
                Some((advanced, tried)) => (advanced, &*tries.insert(tried)),
                None => {
                    let tried = tries.get_or_insert_with(|| Arc::new(Tries::new(self.clock.now())));
                    (self.steps.advance(&automation, &run, event, None, tried).await?, &*tried)
                }
            };
            // The requests of the step depend on what it reads, so in future it takes its turn before it reads.
            if tried.changed_requests() > 0 {
                self.turns.take_first(&run, event, &line);
            }
            tried.again();
            let completed = match self.store.runs.complete_step(StepCommit { run: next, item, effects }).await {
                // It would write as much the next time.
                Err(error @ StoreError::TooLarge { .. }) => return self.end_early(run, &error.to_string()).await,
                completed => completed?,
            };
            match completed {
                StepCommitted::Done(stored) if stored.state == RunState::Running => {
                    self.suspects.progressed(&self.store, run.id.seq).await?;
                    run = *stored;
                    (tries, line) = (None, self.turns.line_of(&run, event));
                }
                StepCommitted::Done(stored) => {
                    self.suspects.progressed(&self.store, stored.id.seq).await?;
                    self.follow_up(&stored);
                    return Ok(());
                }
                StepCommitted::Superseded => return Ok(()),
                StepCommitted::Conflict(key) => {
                    if line.conflicts() > 0 && line.conflicts().is_multiple_of(CONFLICTS_BEFORE_PAUSE) {
                        tracing::warn!(%key, run = %run.id, "repeated write conflicts; trying later");
                        line.step_back();
                        tokio::time::sleep(RETRY_PAUSE).await;
                    }
                    line.conflicted(key);
                }
            }
        }
    }
}

/// A decision against a run whose automation is disabled or deleted.
fn refused(reason: &str) -> Decision {
    Decision { fired: false, reason: reason.to_owned(), conditions: Vec::new() }
}

impl Runner {
    /// Dead-letters an event: its runs fail with the reason. The effects of earlier steps remain.
    pub(crate) async fn dead_letter(&self, work: &Work) -> Result<(), PipelineError> {
        let Work { seq, space, automations, .. } = work;
        let reason = format!(
            "the server ended {MAX_INTERRUPTIONS} times while this event was being processed, without any progress: it \
             is not retried; find out why (the server's log, its memory), then replay the event"
        );
        tracing::error!(target: RUN, seq, %space, "an event is dead-lettered: {reason}");
        let runs = self.store.runs.runs_of(space, *seq)?;
        if runs.is_empty() {
            let Some(event) = self.store.events.event_at(space, *seq)? else {
                return Ok(self.store.backlog.close_work(*seq).await?);
            };
            let failed = automations.iter().enumerate().map(|(place, automation)| {
                let id = RunId { seq: *seq, ordinal: u32::try_from(place).unwrap_or(u32::MAX) };
                let found = self.catalogue.automation(space, automation);
                let name = found.as_ref().map(|found| found.name.clone()).unwrap_or_default();
                let most = found.and_then(|found| found.concurrency.as_ref().map(|bound| bound.most)).unwrap_or(1);
                Run {
                    state: RunState::Failed { at: self.clock.now() },
                    decision: Decision { fired: false, reason: reason.clone(), conditions: Vec::new() },
                    lane: work.lane(id.ordinal).map(|key| Lane { key: key.to_owned(), most }),
                    ..Run::undecided_for(&event, id, automation.clone(), name)
                }
            });
            self.store.runs.decide(space, *seq, failed.map(Decided::from).collect()).await?;
        }
        for run in runs.iter().filter(|run| run.in_work()) {
            self.dead_letter_run(space, run.id, &reason).await?;
        }
        // The last run closes the work of the event, but there may have been none.
        self.store.backlog.close_work(*seq).await?;
        self.suspects.progressed(&self.store, *seq).await
    }

    async fn dead_letter_run(&self, space: &SpaceId, id: RunId, reason: &str) -> Result<(), PipelineError> {
        let failure = Failure::permanent("event.dead_lettered", reason);
        let end = |mut run: Run, at: Timestamp| {
            let automation = self.runs.procedure(&run).ok();
            let next = match automation.as_ref().map(|automation| task(automation, &run, self.clock.now())) {
                Some(Task::Open(index)) => run.open_steps.get(index).map_or(run.next_step, |open| open.step),
                _ => run.next_step,
            };
            let place = usize::try_from(next).unwrap_or(usize::MAX);
            let step = automation.as_ref().and_then(|automation| automation.then.get(place));
            let names = automation.as_ref().map(|automation| automation.step_names()).unwrap_or_default();
            let record = StepRecord {
                name: names.get(place).cloned().unwrap_or_default(),
                plugin: step.map(|step| step.plugin.clone()).unwrap_or_default(),
                kind: step.map_or(StepKind::Action, |step| step.kind),
                version: None,
                outcome: StepOutcome::failed(&failure),
                effects: Vec::new(),
                events: Vec::new(),
                log: Vec::new(),
                items: Vec::new(),
                attempts: run.tries.saturating_add(MAX_INTERRUPTIONS),
                reruns: 0,
                started_at: self.clock.now(),
                duration_us: 0,
            };
            match run.steps.get_mut(place) {
                Some(known) => *known = record,
                None => run.steps.push(record),
            }
            run.failed(at)
        };
        self.runs.end_run(space, id, &end).await.map(|_| ())
    }

    /// Dead-letters a run that is due.
    pub(crate) async fn dead_letter_due(&self, space: &SpaceId, id: RunId) -> Result<(), PipelineError> {
        let reason = format!(
            "the server ended {MAX_INTERRUPTIONS} times while this run was in progress, without any progress: it is not \
             retried; find out why (the server's log, its memory), then replay the event"
        );
        tracing::error!(target: RUN, run = %id, %space, "a run is dead-lettered: {reason}");
        self.dead_letter_run(space, id, &reason).await?;
        self.suspects.progressed(&self.store, id.seq).await
    }

    /// The automation that is considered for an event: in its present revision, or in the one that a replay names.
    pub(crate) fn considered(&self, space: &SpaceId, id: &AutomationId, event: &Event) -> Option<Arc<Automation>> {
        let Some(revision) = event.replays().and_then(|replay| replay.revision) else {
            return self.catalogue.automation(space, id);
        };
        let found = self.runs.pinned_revision(space, id.as_str(), revision);
        let found = found.inspect_err(|error| tracing::error!(%error, automation = %id, "a revision cannot be read"));
        found.ok().flatten().map(Arc::new)
    }
}
