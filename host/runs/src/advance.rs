//! One attempt of a run's next step, or of one item of it, and the state of the run afterwards.

use std::sync::Arc;
use std::time::Duration;

use hookwright_foundation::error::PipelineError;
use hookwright_invoke::callable::Unavailable;
use hookwright_invoke::rendering::{Item, Scoping, replaced};
use hookwright_model::{
    Automation, Effects, Event, Failure, ItemRecord, OnError, OpenStep, Progress, Run, RunState, StepOutcome,
    StepRecord, StepWait, Timestamp, Wait, has_variables,
};
use hookwright_plugin::Tries;
use hookwright_store::fault_point;
use serde_json::{Value, json};

use crate::attempt::{AttemptResult, DryRun, MAX_ITEMS, StepAttempt};
use crate::items::{combined, item_record};
use crate::open_steps::{RECHECK_PAUSE, Task, is_next, may_pass, settle_state, task};
use crate::recorded;
use crate::steps::Steps;

/// How long a step that has sent a request waits for a plugin whose concurrency limit is reached, before it tries again.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// The longest `Retry-After` that is followed, as for deliveries of webhooks.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A run after one attempt, with what is committed with it.
pub struct Advanced {
    /// The run.
    pub run: Run,
    /// The effects of the step.
    pub effects: Effects,
    /// The number of the step, and the record of an item.
    pub item: Option<(u32, ItemRecord)>,
}

impl Advanced {
    fn only(run: Run) -> Self {
        Self { run, effects: Effects::default(), item: None }
    }
}

/// How the wait of a step begins.
enum WaitBegins {
    /// The run waits until then.
    Until(Timestamp),
    /// The step's `if` does not hold: this is its outcome.
    Skipped(StepOutcome),
    /// Its `if` or its time cannot be evaluated.
    Failed(Failure),
}

impl Steps {
    /// The run after one attempt of what is next, with the effects to commit with it.
    pub async fn advance(
        &self,
        automation: &Automation,
        run: &Run,
        event: &Event,
        dry_run: Option<&DryRun>,
        tries: &Arc<Tries>,
    ) -> Result<Advanced, PipelineError> {
        let now = self.clock.now();
        // The task is chosen by the time of the first try, so that all tries are of the same step. By now another step may be
        // due: it would get the retained responses and the plugin of this one, and this one would start over after it and
        // send its requests again.
        match task(automation, run, tries.began()) {
            Task::Next => self.advance_next(automation, run, event, dry_run, tries).await,
            Task::Open(index) => match run.open_steps.get(index).copied() {
                Some(open) if is_next(run, &open) => {
                    let mut run = run.clone();
                    run.open_steps.remove(index);
                    run.tries = open.tries;
                    self.advance_next(automation, &run, event, dry_run, tries).await
                }
                Some(open) => self.advance_open(automation, run, event, dry_run, tries, open).await,
                None => Ok(Advanced::only(run.clone())),
            },
            Task::Pass(names) => {
                let mut next = run.clone();
                let position = usize::try_from(run.next_step).unwrap_or(usize::MAX);
                if let Some(step) = automation.then.get(position) {
                    let at = StepAttempt { automation, step, run, event, position, dry_run, tries };
                    self.pass(&at, &mut next, names, now);
                }
                Ok(Advanced::only(next))
            }
            Task::Nothing => {
                let mut next = run.clone();
                settle_state(automation, &mut next, now);
                Ok(Advanced::only(next))
            }
        }
    }

    /// One attempt of the next step, or of the next item of it.
    async fn advance_next(
        &self,
        automation: &Automation,
        run: &Run,
        event: &Event,
        dry_run: Option<&DryRun>,
        tries: &Arc<Tries>,
    ) -> Result<Advanced, PipelineError> {
        let position = usize::try_from(run.next_step).unwrap_or(usize::MAX);
        let mut current = run.clone();
        current.steps.truncate(position);
        let mut next = current.clone();
        // Whatever it waited for is over.
        next.state = RunState::Running;
        let Some(step) = automation.then.get(position) else {
            settle_state(automation, &mut next, self.clock.now());
            return Ok(Advanced::only(next));
        };
        let at = StepAttempt { automation, step, run: &current, event, position, dry_run, tries };
        if let Some(wait) = &step.wait {
            return Ok(self.begin_wait(&at, next, wait).await);
        }
        let Some(list) = &step.for_each else {
            return Ok(match self.try_once(&at, None).await {
                Ok(result) => self.settle(&at, next, result),
                Err(unavailable) => parked(next, unavailable, self.clock.now()),
            });
        };
        let items = match self.items_of(&at, list) {
            Ok(items) => items,
            Err(failure) => return Ok(self.settle(&at, next, self.result_without_call(&at, Err(failure)))),
        };
        let index = run.progress.item;
        let Some(value) = usize::try_from(index).ok().and_then(|index| items.get(index)) else {
            let outcome = StepOutcome::Done { result: json!([]) };
            return Ok(self.settle(&at, next, self.result_without_call(&at, Ok(outcome))));
        };
        next.progress.items = u32::try_from(items.len()).unwrap_or(u32::MAX);
        match self.try_once(&at, Some(Item { value, index })).await {
            Ok(result) => self.settle_item(&at, next, result),
            Err(unavailable) => Ok(parked(next, unavailable, self.clock.now())),
        }
    }

    /// One attempt of an open step, or of an open item.
    async fn advance_open(
        &self,
        automation: &Automation,
        run: &Run,
        event: &Event,
        dry_run: Option<&DryRun>,
        tries: &Arc<Tries>,
        open: OpenStep,
    ) -> Result<Advanced, PipelineError> {
        let position = usize::try_from(open.step).unwrap_or(usize::MAX);
        let mut next = run.clone();
        let is_it = |other: &OpenStep| (other.step, other.item) == (open.step, open.item);
        let Some(step) = automation.then.get(position) else {
            next.open_steps.retain(|other| !is_it(other));
            settle_state(automation, &mut next, self.clock.now());
            return Ok(Advanced::only(next));
        };
        // The run as it was when it reached this step.
        let mut then = run.clone();
        then.steps.truncate(position);
        (then.next_step, then.tries, then.wait) = (open.step, open.tries, None);
        then.progress = Progress { item: open.item.unwrap_or(0), ..Progress::default() };
        let at = StepAttempt { automation, step, run: &then, event, position, dry_run, tries };
        let items = match (&step.for_each, open.item) {
            (Some(list), Some(_)) => self.items_of(&at, list).map(Some),
            _ => Ok(None),
        };
        let (count, result) = match (items, open.item) {
            (Ok(Some(items)), Some(index)) => {
                let count = u32::try_from(items.len()).unwrap_or(u32::MAX);
                let result = match usize::try_from(index).ok().and_then(|index| items.get(index)) {
                    Some(value) => self.try_once(&at, Some(Item { value, index })).await,
                    None => Ok(self.result_without_call(
                        &at,
                        Ok(StepOutcome::Skipped { reason: "the list is shorter now".into() }),
                    )),
                };
                (count, result)
            }
            (Err(failure), _) => (0, Ok(self.result_without_call(&at, Err(failure)))),
            _ => (0, self.try_once(&at, None).await),
        };
        let now = self.clock.now();
        let mut result = match result {
            Ok(result) if open.item.is_none() => recorded::bounded(&next, result),
            Ok(result) => result,
            Err(unavailable) => {
                let again = unavailable.busy_until.unwrap_or_else(|| now.after(RECHECK_PAUSE));
                for other in next.open_steps.iter_mut().filter(|other| is_it(other)) {
                    (other.retry_at, other.since) = (Some(again), now);
                }
                settle_state(automation, &mut next, now);
                return Ok(Advanced::only(next));
            }
        };
        match self.delay_before_retry(&at, &result) {
            Some(delay) => {
                retrying(&mut result);
                for other in next.open_steps.iter_mut().filter(|other| is_it(other)) {
                    other.tries = other.tries.saturating_add(1);
                    (other.retry_at, other.since) = (Some(now.after(delay)), now);
                }
            }
            None => next.open_steps.retain(|other| !is_it(other)),
        }
        let AttemptResult { record, effects, .. } = result;
        let Some(index) = open.item else {
            replace(&mut next.steps, position, record);
            settle_state(automation, &mut next, now);
            return Ok(Advanced { run: next, effects, item: None });
        };
        let (item, bytes) = recorded::of_item(item_record(index, &record), self.bytes_of_items(&at, index)?);
        if open.step == next.next_step {
            next.progress.bytes = bytes;
        }
        let more = next.open_steps.iter().any(|other| other.step == open.step);
        if !more && open.step < next.next_step {
            let combined_record = self.combined_record(&at, record, &item, count)?;
            replace(&mut next.steps, position, combined_record);
        }
        settle_state(automation, &mut next, now);
        Ok(Advanced { run: next, effects, item: Some((open.step, item)) })
    }

    async fn try_once(&self, at: &StepAttempt<'_>, item: Option<Item<'_>>) -> Result<AttemptResult, Unavailable> {
        fault_point("step.before-call");
        let result = loop {
            match self.try_step(at, item).await {
                // A postponed run forgets the responses to the requests that its step has sent, and would send them again. So it
                // waits here.
                Err(unavailable) if unavailable.busy_until.is_some() && at.tries.has_sent() => {
                    tokio::time::sleep(BUSY_PAUSE).await;
                }
                other => break other,
            }
        };
        fault_point("step.after-call");
        result
    }

    /// Leaves the next step open until the steps with these names have results.
    fn pass(&self, at: &StepAttempt<'_>, next: &mut Run, names: Vec<String>, now: Timestamp) {
        replace(
            &mut next.steps,
            at.position,
            self.result_without_call(at, Ok(StepOutcome::Waiting { steps: names })).record,
        );
        next.open_steps.push(OpenStep { step: next.next_step, item: None, tries: 0, retry_at: None, since: now });
        next.next_step = next.next_step.saturating_add(1);
        settle_state(at.automation, next, now);
    }

    /// The run after an attempt of the whole next step.
    fn settle(&self, at: &StepAttempt<'_>, mut next: Run, mut result: AttemptResult) -> Advanced {
        result = recorded::bounded(&next, result);
        let delay_before_retry = self.delay_before_retry(at, &result);
        if let Some(delay) = delay_before_retry {
            retrying(&mut result);
            // A wait, and a list whose items have not begun, cannot be open: the run has to return to them as its next step.
            let passed = at.step.for_each.is_none() && at.step.wait.is_none() && may_pass(&next, at.step);
            self.schedule_retry(at, &mut next, None, delay);
            if !passed {
                next.tries = at.run.tries.saturating_add(1);
                next.steps.push(result.record);
                settle_state(at.automation, &mut next, self.clock.now());
                return Advanced { run: next, effects: result.effects, item: None };
            }
        }
        next.steps.push(result.record);
        self.go_on(at, &mut next, delay_before_retry.is_none() && result.failure.is_some());
        Advanced { run: next, effects: result.effects, item: None }
    }

    /// The run after an attempt of one item of the next step.
    fn settle_item(
        &self,
        at: &StepAttempt<'_>,
        mut next: Run,
        mut result: AttemptResult,
    ) -> Result<Advanced, PipelineError> {
        let index = next.progress.item;
        let delay_before_retry = self.delay_before_retry(at, &result);
        if let Some(delay) = delay_before_retry {
            retrying(&mut result);
            let passed = may_pass(&next, at.step);
            self.schedule_retry(at, &mut next, Some(index), delay);
            if !passed {
                next.tries = at.run.tries.saturating_add(1);
                next.steps.push(result.record);
                settle_state(at.automation, &mut next, self.clock.now());
                return Ok(Advanced { run: next, effects: result.effects, item: None });
            }
        }
        let AttemptResult { record, failure, effects } = result;
        let (item, bytes) = recorded::of_item(item_record(index, &record), next.progress.bytes);
        next.progress.bytes = bytes;
        let step = at.run.next_step;
        let done = index.saturating_add(1);
        let stops = failure.is_some() && at.step.on_error == OnError::Stop;
        if done < next.progress.items && !stops {
            next.progress.item = done;
            next.tries = 0;
            settle_state(at.automation, &mut next, self.clock.now());
            return Ok(Advanced { run: next, effects, item: Some((step, item)) });
        }
        let combined_record = self.combined_record(at, record, &item, next.progress.items)?;
        let open = next.open_steps.iter().any(|open| open.step == step);
        let failed = !open && matches!(combined_record.outcome, StepOutcome::Failed { .. });
        next.steps.push(combined_record);
        self.go_on(at, &mut next, failed);
        Ok(Advanced { run: next, effects, item: Some((step, item)) })
    }

    /// The records of a step's items so far.
    fn items_so_far(&self, at: &StepAttempt<'_>) -> Result<Vec<(u32, ItemRecord)>, PipelineError> {
        let mut items = match at.dry_run {
            Some(dry_run) => dry_run.items.clone(),
            None => self.store.runs.items(&at.run.space, at.run.id)?,
        };
        items.retain(|(step, _)| *step == at.run.next_step);
        Ok(items)
    }

    /// Bytes of the results that are recorded of a step's items other than this one.
    fn bytes_of_items(&self, at: &StepAttempt<'_>, index: u32) -> Result<u64, PipelineError> {
        let items = self.items_so_far(at)?;
        let others = items.iter().map(|(_, item)| item).filter(|item| item.index != index);
        Ok(others.map(recorded::result_bytes).fold(0, u64::saturating_add))
    }

    /// The record of a step over all of its items, of which there are `count` and the newest is `item`.
    fn combined_record(
        &self,
        at: &StepAttempt<'_>,
        record: StepRecord,
        item: &ItemRecord,
        count: u32,
    ) -> Result<StepRecord, PipelineError> {
        let mut items = self.items_so_far(at)?;
        items.retain(|(_, known)| known.index != item.index);
        items.push((at.run.next_step, item.clone()));
        items.sort_by_key(|(_, item)| item.index);
        let (outcome, log) = combined(&items, count);
        Ok(StepRecord {
            outcome,
            effects: Vec::new(),
            events: Vec::new(),
            log,
            items: Vec::new(),
            attempts: 1,
            reruns: items.iter().map(|(_, item)| item.reruns).fold(0, u32::saturating_add),
            started_at: items.first().map_or(item.started_at, |(_, first)| first.started_at),
            duration_us: items.iter().map(|(_, item)| item.duration_us).fold(0, u64::saturating_add),
            ..record
        })
    }

    /// After how long a failed attempt is retried. `None`: it is not.
    fn delay_before_retry(&self, at: &StepAttempt<'_>, result: &AttemptResult) -> Option<Duration> {
        let failure = result.failure.as_ref()?;
        let schedule = at.step.retry.as_ref().unwrap_or(&self.settings.step_retry);
        let scheduled = schedule.delay(at.run.tries.saturating_add(1), rand::random());
        retry_delay(scheduled?, failure.retry_after_ms, at.step.on_error)
    }

    /// Schedules a retry of the next step of a run, or of an item of it.
    fn schedule_retry(&self, at: &StepAttempt<'_>, next: &mut Run, item: Option<u32>, delay: Duration) {
        let now = self.clock.now();
        let tries = at.run.tries.saturating_add(1);
        let retry_at = Some(now.after(delay));
        next.open_steps.push(OpenStep { step: at.run.next_step, item, tries, retry_at, since: now });
    }

    /// Moves the run to the next step, or to the end.
    fn go_on(&self, at: &StepAttempt<'_>, next: &mut Run, failed: bool) {
        next.tries = 0;
        next.progress = Progress::default();
        next.wait = None;
        next.next_step = at.run.next_step.saturating_add(1);
        let stops = failed && at.step.on_error == OnError::Stop;
        if stops && !next.open_steps.is_empty() {
            // Earlier steps are still retried; no later one is executed.
            next.next_step = u32::try_from(at.automation.then.len()).unwrap_or(u32::MAX);
        }
        let now = self.clock.now();
        if stops && next.open_steps.is_empty() {
            next.state = RunState::Failed { at: now };
            return;
        }
        settle_state(at.automation, next, now);
    }

    /// The run at a step with `wait`: it begins to wait, keeps waiting, or has waited.
    async fn begin_wait(&self, at: &StepAttempt<'_>, mut next: Run, wait: &Wait) -> Advanced {
        let now = self.clock.now();
        let begins = match at.run.wait {
            Some(begun) => Ok(WaitBegins::Until(begun.until)),
            None => self.wait_begins(at, wait, now).await,
        };
        let outcome = match begins {
            Err(unavailable) => return parked(next, unavailable, now),
            Ok(WaitBegins::Until(until)) if until > now => {
                let since = match (wait, at.run.wait) {
                    (Wait::Until(_), _) => None,
                    (Wait::Seconds(_), None) => Some(now),
                    // The run was resumed before its time.
                    (Wait::Seconds(_), Some(begun)) => begun.since,
                };
                next.wait = Some(StepWait { until, since });
                next.state = RunState::Waiting { until, since: None, plugin: None };
                return Advanced::only(next);
            }
            Ok(WaitBegins::Until(until)) => Ok(StepOutcome::Done { result: json!({"until": until}) }),
            Ok(WaitBegins::Skipped(outcome)) => Ok(outcome),
            Ok(WaitBegins::Failed(failure)) => Err(failure),
        };
        let result = self.result_without_call(at, outcome);
        self.settle(at, next, result)
    }

    /// Until when to wait, or why the step does not.
    async fn wait_begins(&self, at: &StepAttempt<'_>, wait: &Wait, now: Timestamp) -> Result<WaitBegins, Unavailable> {
        match self.check_if(at.automation, at.run, at.event, at.position, None).await? {
            Some(Ok(skipped)) => return Ok(WaitBegins::Skipped(skipped)),
            Some(Err(failure)) => return Ok(WaitBegins::Failed(failure)),
            None => {}
        }
        let mut scoping = Scoping::after(at.run, at.event, None);
        let value = match wait.value() {
            value if has_variables(value) => match replaced(value, scoping.scope(now)) {
                Ok(value) => value,
                Err(failure) => return Ok(WaitBegins::Failed(failure)),
            },
            value => value.clone(),
        };
        Ok(match wait.end(&value, now) {
            Ok(until) => WaitBegins::Until(until),
            Err(wrong) => WaitBegins::Failed(Failure::permanent("wait.invalid", format!("`wait`: {wrong}"))),
        })
    }

    /// The list that a step is executed for.
    fn items_of(&self, at: &StepAttempt<'_>, list: &Value) -> Result<Vec<Value>, Failure> {
        let mut scoping = Scoping::after(at.run, at.event, None);
        let list = replaced(list, scoping.scope(self.clock.now()))?;
        match list {
            Value::Array(items) if items.len() <= MAX_ITEMS => Ok(items),
            Value::Array(items) => {
                let message = format!("`for_each` has {} items: at most {MAX_ITEMS}", items.len());
                Err(Failure::permanent("items.too_many", message))
            }
            other => {
                let shown = hookwright_model::abridged(&other.to_string());
                let message = format!("`for_each` has the value {shown}, which is not a list");
                Err(Failure::permanent("items.invalid", message))
            }
        }
    }

    /// The result of an attempt that called no plugin.
    fn result_without_call(&self, at: &StepAttempt<'_>, outcome: Result<StepOutcome, Failure>) -> AttemptResult {
        let (outcome, failure) = match outcome {
            Ok(outcome) => (outcome, None),
            Err(failure) => (StepOutcome::failed(&failure), Some(failure)),
        };
        let names = at.automation.step_names();
        let record = StepRecord {
            name: names.get(at.position).cloned().unwrap_or_else(|| at.step.plugin.clone()),
            plugin: at.step.plugin.clone(),
            kind: at.step.kind,
            version: None,
            outcome,
            effects: Vec::new(),
            events: Vec::new(),
            log: Vec::new(),
            items: Vec::new(),
            attempts: at.run.tries.saturating_add(1),
            reruns: at.tries.reruns(),
            started_at: self.clock.now(),
            duration_us: 0,
        };
        AttemptResult { record, failure, effects: Effects::default() }
    }
}

/// After how long a failed attempt is retried, if the schedule would retry it after `scheduled`. `None`: it is not. The
/// receiver may extend the pause by `Retry-After`, up to [`MAX_RETRY_AFTER`].
fn retry_delay(scheduled: Duration, retry_after_ms: Option<u32>, on_error: OnError) -> Option<Duration> {
    let least = match retry_after_ms {
        Some(least) => Duration::from_millis(least.into()),
        None if on_error == OnError::Retry => Duration::ZERO,
        None => return None,
    };
    Some(scheduled.max(least.min(MAX_RETRY_AFTER)))
}

/// Marks a failed attempt as one that is retried.
fn retrying(result: &mut AttemptResult) {
    if let StepOutcome::Failed { retrying, .. } = &mut result.record.outcome {
        *retrying = true;
    }
}

/// Replaces the record of a step, or adds it.
fn replace(steps: &mut Vec<StepRecord>, position: usize, record: StepRecord) {
    match steps.get_mut(position) {
        Some(old) => *old = record,
        None => steps.push(record),
    }
}

fn parked(next: Run, unavailable: Unavailable, now: Timestamp) -> Advanced {
    Advanced::only(Run { state: unavailable.run_state(now), ..next })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_honoured_up_to_seven_days() {
        const DAY: u32 = 86_400;
        for (scheduled, retry_after, on_error, delay) in [
            // A permanent failure is retried only with `on_error: retry`.
            (10, None, OnError::Continue, None),
            (10, None, OnError::Stop, None),
            (10, None, OnError::Retry, Some(10)),
            // Whichever of the two is longer.
            (10, Some(0), OnError::Continue, Some(10)),
            (10, Some(9), OnError::Continue, Some(10)),
            (10, Some(3600), OnError::Continue, Some(3600)),
            (10, Some(3600), OnError::Retry, Some(3600)),
            (10, Some(7 * DAY), OnError::Stop, Some(7 * DAY)),
            // `Retry-After` is bounded; the schedule of the step is not.
            (10, Some(7 * DAY + 1), OnError::Stop, Some(7 * DAY)),
            (10, Some(49 * DAY), OnError::Continue, Some(7 * DAY)),
            (30 * DAY, Some(49 * DAY), OnError::Continue, Some(30 * DAY)),
        ] {
            let seconds = |seconds: u32| Duration::from_secs(seconds.into());
            let given = retry_after.map(|seconds| seconds * 1000);
            let found = retry_delay(seconds(scheduled), given, on_error);
            assert_eq!(found, delay.map(seconds), "{scheduled} s by schedule, Retry-After {retry_after:?}");
        }
    }
}
