//! Bounds what is recorded of steps. A run is rewritten with every step, and read whole, so whatever plugins can make large is
//! bounded: results over all steps, and over all items of one step; the changes of each step and item.

use hookwright_model::{Change, Effects, Failure, ItemRecord, Run, StepOutcome, StepRecord, json_size};
use serde_json::json;

use crate::attempt::AttemptResult;

/// Bytes of the results of all steps of a run, at most.
const MAX_RUN_RESULT_BYTES: usize = 8 * 1024 * 1024;

/// Bytes of the results that are recorded with the items of a step, at most.
const MAX_ITEM_RESULT_BYTES: u64 = 4 * 1024 * 1024;

/// Bytes of the recorded changes of a step, at most.
const MAX_STEP_CHANGE_BYTES: usize = 256 * 1024;

/// The same of one item, of which there may be 1,000.
const MAX_ITEM_CHANGE_BYTES: usize = 16 * 1024;

/// Refuses a result if it makes the results of the run too large.
fn check_results(run: &Run, outcome: &StepOutcome) -> Result<(), Failure> {
    let StepOutcome::Done { result } = outcome else { return Ok(()) };
    let before = run.steps.iter().map(|step| match &step.outcome {
        StepOutcome::Done { result } => json_size(result),
        _ => 0,
    });
    let bytes = before.fold(json_size(result), usize::saturating_add);
    if bytes <= MAX_RUN_RESULT_BYTES {
        return Ok(());
    }
    let message = format!(
        "the results of the steps of this run would have {bytes} bytes: at most {MAX_RUN_RESULT_BYTES}; have plugins return less"
    );
    Err(Failure::permanent("results.too_large", message))
}

/// Turns an attempt into a failed one if its result makes the results of the run too large.
pub(crate) fn bounded(run: &Run, tried: AttemptResult) -> AttemptResult {
    let Err(failure) = check_results(run, &tried.record.outcome) else { return tried };
    let record = StepRecord { outcome: StepOutcome::failed(&failure), ..tried.record.without_changes() };
    AttemptResult { record, failure: Some(failure), effects: Effects::default() }
}

/// Bytes that the recorded result of an item counts for.
pub(crate) fn result_bytes(item: &ItemRecord) -> u64 {
    match &item.outcome {
        StepOutcome::Done { result } if !result.is_null() => u64::try_from(json_size(result)).unwrap_or(u64::MAX),
        _ => 0,
    }
}

/// The changes of a step, cut if they are too large.
pub(crate) fn of_step(changes: &[Change]) -> Vec<Change> {
    within(changes, MAX_STEP_CHANGE_BYTES)
}

/// An item as it is recorded, and the bytes of results including it.
pub(crate) fn of_item(mut item: ItemRecord, so_far: u64) -> (ItemRecord, u64) {
    item.effects = within(&item.effects, MAX_ITEM_CHANGE_BYTES);
    let StepOutcome::Done { result } = &mut item.outcome else { return (item, so_far) };
    let bytes = so_far.saturating_add(u64::try_from(json_size(result)).unwrap_or(u64::MAX));
    if bytes <= MAX_ITEM_RESULT_BYTES {
        return (item, bytes);
    }
    *result = serde_json::Value::Null;
    item.log.push(format!("warn: the result is null here: those of all items have over {MAX_ITEM_RESULT_BYTES} bytes"));
    (item, so_far)
}

fn within(changes: &[Change], limit: usize) -> Vec<Change> {
    let mut room = limit;
    let mut kept = Vec::with_capacity(changes.len());
    for change in changes {
        let Change { kind, subject, detail } = change;
        let name = kind.len().saturating_add(subject.len());
        let size = json_size(detail);
        if name > room {
            let left = changes.len().saturating_sub(kept.len());
            let (kind, detail) = ("omitted".to_owned(), json!({"changes": left}));
            kept.push(Change { kind, subject: String::new(), detail });
            break;
        }
        room = room.saturating_sub(name);
        if size <= room {
            room = room.saturating_sub(size);
            kept.push(change.clone());
        } else {
            let (kind, subject, detail) = (kind.clone(), subject.clone(), json!({"omitted_bytes": size}));
            kept.push(Change { kind, subject, detail });
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use hookwright_model::Timestamp;
    use serde_json::Value;

    use super::*;

    fn change(subject: &str, detail: Value) -> Change {
        Change { kind: "ticket.updated".to_owned(), subject: subject.to_owned(), detail }
    }

    #[test]
    fn changes_beyond_the_bound_are_named_without_details_and_then_counted() {
        let large = json!("x".repeat(MAX_STEP_CHANGE_BYTES));
        let kept =
            of_step(&[change("ticket/1", json!("small")), change("ticket/2", large), change("ticket/3", json!(1))]);
        assert_eq!(kept[0].detail, "small");
        assert!(kept[1].detail["omitted_bytes"].as_u64().unwrap() > 0, "{:?}", kept[1]);
        assert_eq!(kept[2].detail, 1, "what fits after it is kept");
        let many: Vec<Change> = (0..1000).map(|_| change(&"s".repeat(1000), Value::Null)).collect();
        let kept = of_step(&many);
        let last = kept.last().unwrap();
        assert_eq!((last.kind.as_str(), kept.len() < 300), ("omitted", true));
        assert_eq!(last.detail["changes"], 1000 - (kept.len() - 1));
    }

    #[test]
    fn results_of_items_are_recorded_up_to_a_bound_over_all_of_them() {
        let item = || ItemRecord {
            index: 0,
            outcome: StepOutcome::Done { result: json!("x".repeat(1024 * 1024)) },
            effects: vec![],
            events: vec![],
            log: vec![],
            attempts: 1,
            reruns: 0,
            started_at: Timestamp::from_millis(0),
            duration_us: 1,
        };
        let (mut so_far, mut recorded) = (0, 0);
        for _ in 0..10 {
            let (item, bytes) = of_item(item(), so_far);
            so_far = bytes;
            let StepOutcome::Done { result } = &item.outcome else { panic!("it was done") };
            recorded += usize::from(!result.is_null());
            assert_eq!(result.is_null(), item.log.iter().any(|line| line.contains("null here")));
        }
        assert_eq!(recorded, 3, "a fourth would be more than 4 MiB with what each counts for");
    }
}
