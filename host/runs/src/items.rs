//! The records of the items of a step with `for_each`, and the result of the step over all of them.

use hookwright_model::{ItemRecord, StepOutcome, StepRecord};
use serde_json::Value;

/// The most bytes of the results of all items that later steps see.
const MAX_RESULT_BYTES: usize = 1024 * 1024;

/// How many failed items a message names after the first one.
const MAX_NAMED_ITEMS: usize = 20;

/// The record of an item, from the record of the attempt.
pub(crate) fn item_record(index: u32, record: &StepRecord) -> ItemRecord {
    ItemRecord {
        index,
        outcome: record.outcome.clone(),
        effects: record.effects.clone(),
        events: record.events.clone(),
        log: record.log.clone(),
        attempts: record.attempts,
        reruns: record.reruns,
        started_at: record.started_at,
        duration_us: record.duration_us,
    }
}

/// The outcome of a step over all of its items, of which there are `count`, and a log line if results are cut.
pub(crate) fn combined(items: &[(u32, ItemRecord)], count: u32) -> (StepOutcome, Vec<String>) {
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
        let also = others(&failed);
        let message = format!(
            "{} of {count} items failed, first item {}, {code}: {message}{also}{left}",
            failed.len(),
            first.index
        );
        let again = |item: &&ItemRecord| matches!(item.outcome, StepOutcome::Failed { retrying: true, .. });
        let retrying = failed.iter().any(again);
        return (StepOutcome::Failed { code: "items.failed".to_owned(), message, retrying }, Vec::new());
    }
    let (mut bytes, mut cut) = (0_usize, 0_usize);
    let results: Vec<Value> = items
        .iter()
        .map(|(_, item)| match &item.outcome {
            StepOutcome::Done { result } => {
                bytes = bytes.saturating_add(result.to_string().len());
                if bytes > MAX_RESULT_BYTES {
                    cut = cut.saturating_add(1);
                    return Value::Null;
                }
                result.clone()
            }
            _ => Value::Null,
        })
        .collect();
    let log =
        (cut > 0).then(|| format!("warn: {cut} results are null here: all of them have over {MAX_RESULT_BYTES} bytes"));
    (StepOutcome::Done { result: Value::Array(results) }, log.into_iter().collect())
}

/// Which items failed after the first one.
fn others(failed: &[&ItemRecord]) -> String {
    let indexes: Vec<String> = failed.iter().skip(1).take(MAX_NAMED_ITEMS).map(|item| item.index.to_string()).collect();
    let more = match failed.len().saturating_sub(MAX_NAMED_ITEMS).saturating_sub(1) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    match indexes.as_slice() {
        [] => String::new(),
        [one] => format!("; so did item {one}"),
        several => format!("; so did items {}{more}", several.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use hookwright_model::{Failure, Timestamp};
    use serde_json::json;

    use super::*;

    fn item(index: u32, outcome: StepOutcome) -> (u32, ItemRecord) {
        let record = ItemRecord {
            index,
            outcome,
            effects: vec![],
            events: vec![],
            log: vec![],
            attempts: 1,
            reruns: 0,
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
        assert_eq!(combined(&items, 3), (done(json!([1, null, "c"])), vec![]));
    }

    #[test]
    fn results_beyond_the_bound_are_null_and_the_log_says_so() {
        let large = "x".repeat(MAX_RESULT_BYTES / 2);
        let items = [item(0, done(json!(large))), item(1, done(json!(large))), item(2, done(json!(large)))];
        let (outcome, log) = combined(&items, 3);
        assert_eq!(outcome, done(json!([large, null, null])));
        assert!(log[0].contains("2 results are null"), "{log:?}");
    }

    #[test]
    fn one_failed_item_fails_the_step_and_is_named() {
        let failure = StepOutcome::failed(&Failure::permanent("a.b", "why"));
        let items = [item(0, done(json!(1))), item(1, failure)];
        let (StepOutcome::Failed { code, message, .. }, _) = combined(&items, 5) else { panic!("it failed") };
        assert_eq!(code, "items.failed");
        assert_eq!(message, "1 of 5 items failed, first item 1, a.b: why; those after item 1 were not tried");
    }

    #[test]
    fn all_failed_items_are_named_up_to_a_bound() {
        let failure = || StepOutcome::failed(&Failure::permanent("a.b", "why"));
        let message = |failed: u32| {
            let items: Vec<_> = (0..failed).map(|index| item(index, failure())).collect();
            let (StepOutcome::Failed { message, .. }, _) = combined(&items, failed) else { panic!("it failed") };
            message
        };
        assert_eq!(message(1), "1 of 1 items failed, first item 0, a.b: why");
        assert_eq!(message(2), "2 of 2 items failed, first item 0, a.b: why; so did item 1");
        assert_eq!(message(3), "3 of 3 items failed, first item 0, a.b: why; so did items 1, 2");
        assert!(message(21).ends_with(", 19, 20"), "{}", message(21));
        assert!(message(1000).ends_with(", 19, 20 and 979 more"), "{}", message(1000));
    }

    #[test]
    fn a_step_is_retried_while_any_of_its_failed_items_is() {
        let failed = |retrying| StepOutcome::Failed { code: "a.b".into(), message: "why".into(), retrying };
        for (first, second) in [(false, false), (false, true), (true, false)] {
            let (outcome, _) = combined(&[item(0, failed(first)), item(1, failed(second))], 2);
            let StepOutcome::Failed { retrying, .. } = outcome else { panic!("it failed") };
            assert_eq!(retrying, first || second);
        }
    }
}
