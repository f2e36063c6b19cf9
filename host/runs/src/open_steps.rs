//! Open steps, which later steps overtake. A step that failed and is retried delays only those that name its result. Each
//! retry is a commit of its own, as any attempt of a step.

use std::time::Duration;

use hookwright_model::{Automation, OnError, OpenStep, Run, RunState, Step, StepOutcome, Timestamp, names_step};

/// The most steps and items of a run that may be open. Beyond that the run waits for a failed step.
const MAX_OPEN: usize = 100;

/// After how long an open step is retried whose plugin cannot be called.
pub(crate) const RECHECK_PAUSE: Duration = Duration::from_secs(15);

/// What a run does next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Retries an open step, by its index among them.
    Open(usize),
    /// Executes the next step, or the next item of it.
    Next,
    /// Leaves the next step open, since it names the results of these open steps.
    Pass(Vec<String>),
    /// Nothing until something is due, or for ever.
    Nothing,
}

/// What a run does next.
pub(crate) fn task(automation: &Automation, run: &Run, now: Timestamp) -> Task {
    let due = |open: &OpenStep| open.retry_at.is_some_and(|at| at <= now);
    if let Some(index) = run.open_steps.iter().position(due) {
        return Task::Open(index);
    }
    let Some(step) = place(run.next_step).and_then(|place| automation.then.get(place)) else { return Task::Nothing };
    let held = matches!(run.state, RunState::Parked { .. }) || run.wait.is_some_and(|wait| wait.until > now);
    if held || run.open_steps.iter().any(|open| is_next(run, open)) {
        return Task::Nothing;
    }
    let names = unsettled(automation, run, run.next_step);
    if names.is_empty() {
        Task::Next
    } else if step.wait.is_none() && step.for_each.is_none() && may_pass(run, step) {
        Task::Pass(names)
    } else {
        Task::Nothing
    }
}

/// Whether later steps may overtake one that failed.
pub(crate) fn may_pass(run: &Run, step: &Step) -> bool {
    step.on_error != OnError::Stop && run.open_steps.len() < MAX_OPEN
}

/// Whether an open step is the next step of the run, or its current item: then nothing overtakes it.
pub fn is_next(run: &Run, open: &OpenStep) -> bool {
    open.step == run.next_step && open.item.is_none_or(|item| item == run.progress.item)
}

/// The names of the open steps before `step` whose results it names.
fn unsettled(automation: &Automation, run: &Run, step: u32) -> Vec<String> {
    if run.open_steps.is_empty() {
        return Vec::new();
    }
    let Some(itself) = place(step).and_then(|place| automation.then.get(place)) else { return Vec::new() };
    let Ok(written) = serde_json::to_value(itself) else { return Vec::new() };
    let names = automation.step_names();
    let mut open: Vec<u32> = run.open_steps.iter().map(|open| open.step).filter(|open| *open < step).collect();
    open.sort_unstable();
    open.dedup();
    let open = open.into_iter().filter_map(|open| names.get(place(open)?));
    open.filter(|name| names_step(&written, name)).cloned().collect()
}

/// Sets the state of a run after an attempt: it continues, waits for what is due first, or has ended.
pub(crate) fn settle_state(automation: &Automation, run: &mut Run, now: Timestamp) {
    let steps: Vec<u32> = run.open_steps.iter().filter(|open| open.retry_at.is_none()).map(|open| open.step).collect();
    let ready: Vec<u32> = steps.into_iter().filter(|step| unsettled(automation, run, *step).is_empty()).collect();
    for open in run.open_steps.iter_mut().filter(|open| open.retry_at.is_none() && ready.contains(&open.step)) {
        (open.retry_at, open.since) = (Some(now), now);
    }
    if matches!(run.state, RunState::Parked { .. }) {
        return;
    }
    run.state = if task(automation, run, now) != Task::Nothing {
        RunState::Running
    } else if run.open_steps.is_empty() && run.wait.is_none() {
        let failed = run.steps.iter().any(|step| matches!(step.outcome, StepOutcome::Failed { .. }));
        if failed { RunState::Failed { at: now } } else { RunState::Done { at: now } }
    } else {
        let first = run.first_retry().into_iter().chain(run.wait.map(|wait| wait.until)).min();
        RunState::Waiting { until: first.unwrap_or(now), since: None, plugin: None }
    };
}

pub(crate) fn place(step: u32) -> Option<usize> {
    usize::try_from(step).ok()
}

#[cfg(test)]
mod tests {
    use hookwright_model::{Event, EventDraft, Failure, RunId, SpaceId, StepKind, StepRecord};
    use serde_json::{Value, json};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1000);
    const LATER: Timestamp = Timestamp::from_millis(2000);

    fn automation(then: Value) -> Automation {
        let now = NOW.to_string();
        let automation = json!({"id": "aut_1", "name": "a", "on": ["x"], "then": then, "enabled": true,
            "revision": 1, "created_at": now, "updated_at": now});
        serde_json::from_value(automation).unwrap()
    }

    fn event() -> Event {
        EventDraft::json("x", "test", None, &json!({}), None).accept(&SpaceId::main(), NOW).unwrap()
    }

    fn run(next_step: u32, open: &[(u32, Option<u32>, Option<Timestamp>)]) -> Run {
        let mut run = Run::undecided_for(&event(), RunId { seq: 1, ordinal: 0 }, "aut_1".into(), "a".into());
        run.next_step = next_step;
        let open = open.iter().map(|(step, item, at)| (*step, *item, *at));
        run.open_steps =
            open.map(|(step, item, retry_at)| OpenStep { step, item, tries: 1, retry_at, since: NOW }).collect();
        run
    }

    #[test]
    fn only_steps_that_name_the_result_of_an_open_one_wait_for_it() {
        let automation = automation(json!([
            {"action": "call", "name": "a"},
            {"action": "note", "with": {"text": "no variable"}},
            {"action": "note", "name": "b", "with": {"text": "got {{steps.a.result.status}}"}},
            {"action": "note", "with": {"text": "{{steps.ab.result}}"}},
            {"action": "note", "with": {"deep": [{"text": "{{steps.b.result}}"}]}},
            {"action": "note", "if": {"condition": "c", "with": {"x": "{{steps.a.outcome}}"}}},
            {"action": "note", "on_error": "stop", "with": {"text": "{{steps.a.result}}"}},
            {"wait": {"seconds": "{{steps.a.result}}"}},
            {"action": "note", "for_each": "{{steps.a.result}}"},
            {"action": "note", "with": {"all": "{{steps}}"}},
            {"wait": {"seconds": 1}},
        ]));
        let pass = |name: &str| Task::Pass(vec![name.to_owned()]);
        for (step, wanted) in [
            (1, Task::Next),
            (2, pass("a")),
            (3, Task::Next),
            (5, pass("a")),
            (6, Task::Nothing),
            (7, Task::Nothing),
            (8, Task::Nothing),
            (9, pass("a")),
            (10, Task::Next),
            (11, Task::Nothing),
        ] {
            assert_eq!(task(&automation, &run(step, &[(0, None, Some(LATER))]), NOW), wanted, "step {step}");
        }
        let chained = run(4, &[(0, None, Some(LATER)), (2, None, None)]);
        assert_eq!(task(&automation, &chained, NOW), pass("b"));
    }

    #[test]
    fn an_open_step_is_retried_when_it_is_due_and_the_next_step_before_that() {
        let automation = automation(json!([{"action": "a"}, {"action": "b", "for_each": [1, 2]}, {"action": "c"}]));
        let waits = run(1, &[(0, None, Some(LATER))]);
        assert_eq!(task(&automation, &waits, NOW), Task::Next);
        assert_eq!(task(&automation, &waits, LATER), Task::Open(0));
        // A failed item holds up the others only where it is the one that the step is at.
        let mut items = run(1, &[(1, Some(0), Some(LATER))]);
        assert_eq!(task(&automation, &items, NOW), Task::Nothing);
        items.progress.item = 1;
        assert_eq!(task(&automation, &items, NOW), Task::Next);
        assert_eq!(task(&automation, &run(1, &[(1, None, Some(LATER))]), NOW), Task::Nothing);
    }

    #[test]
    fn a_run_waits_for_what_comes_first_and_ends_when_nothing_is_open() {
        let automation =
            automation(json!([{"action": "a", "name": "a"}, {"action": "b", "with": {"x": "{{steps.a.result}}"}}]));
        let mut run = run(2, &[(0, None, Some(LATER)), (1, None, None)]);
        settle_state(&automation, &mut run, NOW);
        assert_eq!(run.state, RunState::Waiting { until: LATER, since: None, plugin: None });
        assert_eq!(run.due_at(), Some(LATER));
        run.open_steps.remove(0);
        settle_state(&automation, &mut run, NOW);
        assert_eq!((&run.state, run.open_steps[0].retry_at), (&RunState::Running, Some(NOW)), "its turn has come");
        run.open_steps.clear();
        settle_state(&automation, &mut run, LATER);
        assert_eq!(run.state, RunState::Done { at: LATER });
    }

    #[test]
    fn a_step_that_waits_for_its_plugin_does_not_hold_up_open_ones() {
        let automation = automation(json!([{"action": "a"}, {"action": "gone"}]));
        let mut run = run(1, &[(0, None, Some(LATER))]);
        run.state = RunState::Parked { plugin: "gone".into() };
        assert_eq!(task(&automation, &run, NOW), Task::Nothing);
        assert_eq!((task(&automation, &run, LATER), run.due_at()), (Task::Open(0), Some(LATER)));
        settle_state(&automation, &mut run, NOW);
        assert_eq!(run.state, RunState::Parked { plugin: "gone".into() });
    }

    #[test]
    fn a_run_with_too_many_open_items_waits_instead_of_opening_another_step() {
        let automation =
            automation(json!([{"action": "a", "name": "a"}, {"action": "b", "with": {"x": "{{steps.a.result}}"}}]));
        let open = |items: u32| {
            let items: Vec<_> = (0..items).map(|item| (0, Some(item), Some(LATER))).collect();
            run(1, &items)
        };
        assert_eq!(task(&automation, &open(99), NOW), Task::Pass(vec!["a".to_owned()]));
        assert_eq!(task(&automation, &open(100), NOW), Task::Nothing);
    }

    #[test]
    fn a_run_with_a_failed_step_has_failed_once_nothing_is_open() {
        let automation = automation(json!([{"action": "a"}]));
        let mut run = run(1, &[]);
        run.steps.push(StepRecord {
            name: "a".into(),
            plugin: "a".into(),
            kind: StepKind::Action,
            version: None,
            outcome: StepOutcome::failed(&Failure::permanent("a.b", "why")),
            effects: vec![],
            events: vec![],
            log: vec![],
            items: vec![],
            attempts: 1,
            reruns: 0,
            started_at: NOW,
            duration_us: 1,
        });
        run.open_steps.push(OpenStep { step: 0, item: None, tries: 1, retry_at: Some(LATER), since: NOW });
        settle_state(&automation, &mut run, NOW);
        assert!(matches!(run.state, RunState::Waiting { until: LATER, .. }), "it is retried: {:?}", run.state);
        run.open_steps.clear();
        settle_state(&automation, &mut run, NOW);
        assert_eq!(run.state, RunState::Failed { at: NOW });
    }
}
