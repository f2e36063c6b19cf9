//! One try of a run's next step, or of one item of it, and where the run stands afterwards.

use std::time::Duration;

use hookwright_model::{
    Automation, Effects, Event, Failure, ItemRecord, OnError, Progress, Run, RunState, Step, StepOutcome, StepRecord,
    Timestamp, Wait, has_variables,
};
use hookwright_store::fault_point;
use serde_json::{Value, json};

use crate::conditions::{self, broken};
use crate::parking::Unavailable;
use crate::rehearsal::Stand;
use crate::steps::{Item, Scoping, Tried, replaced};
use crate::{Pipeline, PipelineError};

/// The most items that a step is carried out for.
pub(crate) const MAX_ITEMS: usize = 1000;
/// The most bytes of the results of all items that later steps see.
const MAX_RESULTS: usize = 1024 * 1024;

/// A run after one try, with what is to commit beside it.
pub(crate) struct Advanced {
    pub(crate) run: Run,
    pub(crate) effects: Effects,
    /// The step's number, and what it did for an item.
    pub(crate) item: Option<(u32, ItemRecord)>,
}

impl Advanced {
    fn only(run: Run) -> Self {
        Self { run, effects: Effects::default(), item: None }
    }
}

/// What one try stands for.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) automation: &'a Automation,
    pub(crate) step: &'a Step,
    /// The run before the try, with the records of earlier steps only.
    pub(crate) run: &'a Run,
    pub(crate) event: &'a Event,
    pub(crate) place: usize,
    /// Nothing of it is kept: it is only tried.
    pub(crate) stand: Option<&'a Stand>,
}

impl Place<'_> {
    /// The step's name, with the item that it is at.
    pub(crate) fn name(&self, item: Option<Item<'_>>) -> String {
        let name = self.automation.step_names().get(self.place).cloned().unwrap_or_else(|| self.step.plugin.clone());
        item.map_or_else(|| name.clone(), |item| format!("{name}[{}]", item.index))
    }
}

impl Pipeline {
    /// The run after one try of its next step, with the effects to commit beside it.
    pub(crate) async fn advance(
        &self,
        automation: &Automation,
        run: &Run,
        event: &Event,
        stand: Option<&Stand>,
    ) -> Result<Advanced, PipelineError> {
        let place = usize::try_from(run.next_step).unwrap_or(usize::MAX);
        let mut current = run.clone();
        current.steps.truncate(place);
        let mut next = current.clone();
        next.retry_at = None;
        next.waits_for = None;
        let Some(step) = automation.then.get(place) else {
            self.finish(&mut next);
            return Ok(Advanced::only(next));
        };
        let at = Place { automation, step, run: &current, event, place, stand };
        if let Some(wait) = &step.wait {
            return Ok(self.let_time_pass(&at, next, wait).await);
        }
        let Some(list) = &step.for_each else {
            return Ok(match self.try_once(&at, None).await {
                Ok(tried) => self.settle(&at, next, tried),
                Err(unavailable) => parked(next, unavailable),
            });
        };
        let items = match self.items_of(&at, list) {
            Ok(items) => items,
            Err(failure) => return Ok(self.settle(&at, next, self.tried(&at, Err(failure)))),
        };
        let index = run.progress.item;
        let Some(value) = usize::try_from(index).ok().and_then(|index| items.get(index)) else {
            let outcome = StepOutcome::Done { result: json!([]) };
            return Ok(self.settle(&at, next, self.tried(&at, Ok(outcome))));
        };
        next.progress.items = u32::try_from(items.len()).unwrap_or(u32::MAX);
        match self.try_once(&at, Some(Item { value, index })).await {
            Ok(tried) => self.settle_item(&at, next, tried),
            Err(unavailable) => Ok(parked(next, unavailable)),
        }
    }

    async fn try_once(&self, at: &Place<'_>, item: Option<Item<'_>>) -> Result<Tried, Unavailable> {
        fault_point("step.before-call");
        let tried = self.try_step(at, item).await;
        fault_point("step.after-call");
        tried
    }

    /// The run after a try of a whole step.
    fn settle(&self, at: &Place<'_>, mut next: Run, mut tried: Tried) -> Advanced {
        if let Some(delay) = self.later(at, &tried) {
            self.put_off(&mut next, &mut tried, delay);
            next.steps.push(tried.record);
            return Advanced { run: next, effects: tried.effects, item: None };
        }
        next.steps.push(tried.record);
        self.go_on(at, &mut next, tried.failure.is_some());
        Advanced { run: next, effects: tried.effects, item: None }
    }

    /// The run after a try of one item of a step.
    fn settle_item(&self, at: &Place<'_>, mut next: Run, mut tried: Tried) -> Result<Advanced, PipelineError> {
        if let Some(delay) = self.later(at, &tried) {
            self.put_off(&mut next, &mut tried, delay);
            next.steps.push(tried.record);
            return Ok(Advanced { run: next, effects: tried.effects, item: None });
        }
        let Tried { record, failure, effects } = tried;
        let StepRecord { name, plugin, kind, version, outcome, effects: changes, events, log, .. } = record;
        let item = ItemRecord {
            index: next.progress.item,
            outcome,
            effects: changes,
            events,
            log,
            attempts: record.attempts,
            started_at: record.started_at,
            duration_us: record.duration_us,
        };
        let step = at.run.next_step;
        let done = next.progress.item.saturating_add(1);
        let stops = failure.is_some() && at.step.on_error == OnError::Stop;
        if done < next.progress.items && !stops {
            next.progress.item = done;
            next.tries = 0;
            next.state = RunState::Running;
            return Ok(Advanced { run: next, effects, item: Some((step, item)) });
        }
        let mut items = match at.stand {
            Some(stand) => stand.items.clone(),
            None => self.store.items(&next.space, next.id)?,
        };
        items.retain(|(other, _)| *other == step);
        items.push((step, item.clone()));
        let (outcome, log) = together(&items, next.progress.items);
        let failed = matches!(outcome, StepOutcome::Failed { .. });
        next.steps.push(StepRecord {
            name,
            plugin,
            kind,
            version,
            outcome,
            effects: Vec::new(),
            events: Vec::new(),
            log,
            items: Vec::new(),
            attempts: 1,
            started_at: items.first().map_or(item.started_at, |(_, first)| first.started_at),
            duration_us: items.iter().map(|(_, item)| item.duration_us).fold(0, u64::saturating_add),
        });
        self.go_on(at, &mut next, failed);
        Ok(Advanced { run: next, effects, item: Some((step, item)) })
    }

    /// After how long a failed try is made again.
    fn later(&self, at: &Place<'_>, tried: &Tried) -> Option<Duration> {
        let failure = tried.failure.as_ref()?;
        let least = match failure.retry_after_ms {
            Some(least) => least,
            None if at.step.on_error == OnError::Retry => 0,
            None => return None,
        };
        let schedule = at.step.retry.as_ref().unwrap_or(&self.settings.step_retry);
        let delay = schedule.delay(at.run.tries.saturating_add(1), rand::random())?;
        Some(delay.max(Duration::from_millis(u64::from(least))))
    }

    fn put_off(&self, next: &mut Run, tried: &mut Tried, delay: Duration) {
        if let StepOutcome::Failed { retrying, .. } = &mut tried.record.outcome {
            *retrying = true;
        }
        next.state = RunState::Waiting;
        next.tries = next.tries.saturating_add(1);
        next.retry_at = Some(self.clock.now().after(delay));
    }

    /// To the next step, or to the end.
    fn go_on(&self, at: &Place<'_>, next: &mut Run, failed: bool) {
        next.tries = 0;
        next.progress = Progress::default();
        next.wait_until = None;
        next.next_step = at.run.next_step.saturating_add(1);
        next.state = RunState::Running;
        let stops = failed && at.step.on_error == OnError::Stop;
        if stops || at.place.saturating_add(1) >= at.automation.then.len() {
            self.finish(next);
        }
    }

    fn finish(&self, run: &mut Run) {
        let failed = run.steps.iter().any(|step| matches!(step.outcome, StepOutcome::Failed { .. }));
        run.state = if failed { RunState::Failed } else { RunState::Done };
        run.finished_at = Some(self.clock.now());
    }

    /// The run while its step lets time pass, and when it has.
    async fn let_time_pass(&self, at: &Place<'_>, mut next: Run, wait: &Wait) -> Advanced {
        let now = self.clock.now();
        let until = match at.run.wait_until {
            Some(until) => Ok(Ok(until)),
            None => self.wait_begins(at, wait, now).await,
        };
        let outcome = match until {
            Err(unavailable) => return parked(next, unavailable),
            Ok(Ok(until)) if until > now => {
                next.state = RunState::Waiting;
                next.retry_at = Some(until);
                next.wait_until = Some(until);
                return Advanced::only(next);
            }
            Ok(Ok(until)) => Ok(StepOutcome::Done { result: json!({"until": until}) }),
            Ok(Err(Ok(skipped))) => Ok(skipped),
            Ok(Err(Err(failure))) => Err(failure),
        };
        let tried = self.tried(at, outcome);
        self.settle(at, next, tried)
    }

    /// Until when to wait, or why not.
    async fn wait_begins(
        &self,
        at: &Place<'_>,
        wait: &Wait,
        now: Timestamp,
    ) -> Result<Result<Timestamp, Result<StepOutcome, Failure>>, Unavailable> {
        if let Some(outcome) = self.left_out(at.automation, at.run, at.event, at.place, None).await? {
            return Ok(Err(outcome));
        }
        let mut scoping = Scoping::after(at.run, at.event, None);
        let value = match wait.value() {
            value if has_variables(value) => match replaced(value, scoping.scope(now)) {
                Ok(value) => value,
                Err(failure) => return Ok(Err(Err(failure))),
            },
            value => value.clone(),
        };
        Ok(wait.end(&value, now).map_err(|wrong| Err(Failure::permanent("wait.invalid", format!("`wait`: {wrong}")))))
    }

    /// Why a step is not carried out, if it says `if` and that does not hold.
    pub(crate) async fn left_out(
        &self,
        automation: &Automation,
        run: &Run,
        event: &Event,
        place: usize,
        item: Option<Item<'_>>,
    ) -> Result<Option<Result<StepOutcome, Failure>>, Unavailable> {
        let Some(when) = automation.then.get(place).and_then(|step| step.when.as_ref()) else { return Ok(None) };
        let path = format!("{}[{place}].if", if run.workflow().is_some() { "steps" } else { "then" });
        let scoping = Scoping::after(run, event, item);
        let (decision, waits) = conditions::ask(self, scoping, when, &path, automation.on_unavailable).await;
        if let Some(waits) = waits {
            return Err(waits);
        }
        Ok(match decision.fired {
            true => None,
            false if broken(&decision) => Some(Err(Failure::permanent("condition.failed", decision.reason))),
            false => Some(Ok(StepOutcome::Skipped { reason: decision.reason })),
        })
    }

    /// The list that a step is carried out for.
    fn items_of(&self, at: &Place<'_>, list: &Value) -> Result<Vec<Value>, Failure> {
        let mut scoping = Scoping::after(at.run, at.event, None);
        let list = replaced(list, scoping.scope(self.clock.now()))?;
        match list {
            Value::Array(items) if items.len() <= MAX_ITEMS => Ok(items),
            Value::Array(items) => {
                let message = format!("`for_each` has {} items: at most {MAX_ITEMS}", items.len());
                Err(Failure::permanent("items.too_many", message))
            }
            other => {
                let shown: String = other.to_string().chars().take(80).collect();
                let message = format!("`for_each` stands for {shown}, which is no list");
                Err(Failure::permanent("items.invalid", message))
            }
        }
    }

    /// A try that called no plugin.
    fn tried(&self, at: &Place<'_>, outcome: Result<StepOutcome, Failure>) -> Tried {
        let (outcome, failure) = match outcome {
            Ok(outcome) => (outcome, None),
            Err(failure) => (StepOutcome::failed(&failure), Some(failure)),
        };
        let names = at.automation.step_names();
        let record = StepRecord {
            name: names.get(at.place).cloned().unwrap_or_else(|| at.step.plugin.clone()),
            plugin: at.step.plugin.clone(),
            kind: at.step.kind,
            version: None,
            outcome,
            effects: Vec::new(),
            events: Vec::new(),
            log: Vec::new(),
            items: Vec::new(),
            attempts: at.run.tries.saturating_add(1),
            started_at: self.clock.now(),
            duration_us: 0,
        };
        Tried { record, failure, effects: Effects::default() }
    }
}

fn parked(mut next: Run, unavailable: Unavailable) -> Advanced {
    next.state = if unavailable.busy_until.is_some() { RunState::Waiting } else { RunState::Parked };
    next.retry_at = unavailable.busy_until;
    next.waits_for = Some(unavailable.plugin);
    Advanced::only(next)
}

/// What a step came to over all of its items, of which there are `count`.
fn together(items: &[(u32, ItemRecord)], count: u32) -> (StepOutcome, Vec<String>) {
    let failed: Vec<&ItemRecord> =
        items.iter().map(|(_, item)| item).filter(|item| matches!(item.outcome, StepOutcome::Failed { .. })).collect();
    if let Some(first) = failed.first()
        && let StepOutcome::Failed { code, message, .. } = &first.outcome
    {
        let done = items.len();
        let left = if u32::try_from(done).is_ok_and(|done| done < count) {
            format!("; those after item {} were not tried", done.saturating_sub(1))
        } else {
            String::new()
        };
        let message =
            format!("{} of {count} items failed, first item {}, {code}: {message}{left}", failed.len(), first.index);
        return (StepOutcome::Failed { code: "items.failed".to_owned(), message, retrying: false }, Vec::new());
    }
    let (mut bytes, mut cut) = (0_usize, 0_usize);
    let results: Vec<Value> = items
        .iter()
        .map(|(_, item)| match &item.outcome {
            StepOutcome::Done { result } => {
                bytes = bytes.saturating_add(result.to_string().len());
                if bytes > MAX_RESULTS {
                    cut = cut.saturating_add(1);
                    return Value::Null;
                }
                result.clone()
            }
            _ => Value::Null,
        })
        .collect();
    let log = (cut > 0).then(|| format!("warn: {cut} results are null here: all have over {MAX_RESULTS} bytes"));
    (StepOutcome::Done { result: Value::Array(results) }, log.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(index: u32, outcome: StepOutcome) -> (u32, ItemRecord) {
        let record = ItemRecord {
            index,
            outcome,
            effects: vec![],
            events: vec![],
            log: vec![],
            attempts: 1,
            started_at: Timestamp::from_millis(0),
            duration_us: 1,
        };
        (0, record)
    }

    fn done(result: Value) -> StepOutcome {
        StepOutcome::Done { result }
    }

    #[test]
    fn the_results_of_items_are_a_list_in_their_order() {
        let items =
            [item(0, done(json!(1))), item(1, StepOutcome::Skipped { reason: "x".into() }), item(2, done(json!("c")))];
        assert_eq!(together(&items, 3), (done(json!([1, null, "c"])), vec![]));
    }

    #[test]
    fn results_beyond_the_bound_are_null_and_the_log_says_so() {
        let large = "x".repeat(MAX_RESULTS / 2);
        let items = [item(0, done(json!(large))), item(1, done(json!(large))), item(2, done(json!(large)))];
        let (outcome, log) = together(&items, 3);
        assert_eq!(outcome, done(json!([large, null, null])));
        assert!(log[0].contains("2 results are null"), "{log:?}");
    }

    #[test]
    fn one_failed_item_fails_the_step_and_is_named() {
        let failure = StepOutcome::failed(&Failure::permanent("a.b", "why"));
        let items = [item(0, done(json!(1))), item(1, failure)];
        let (StepOutcome::Failed { code, message, .. }, _) = together(&items, 5) else { panic!("it failed") };
        assert_eq!(code, "items.failed");
        assert_eq!(message, "1 of 5 items failed, first item 1, a.b: why; those after item 1 were not tried");
    }
}
