//! Bounds the events that automations make of one event. The model bounds the depth of a chain; this bounds the number of all
//! descendants of the event, and the part of the backlog of the space that automations may fill, so that events from outside
//! still have room.

use hookwright_model::{Effects, Failure, SpaceId};
use hookwright_store::{Store, StoreError};

/// After how long a step is retried whose events found the backlog full, in milliseconds.
const BACKLOG_FULL_BACKOFF_MS: u32 = 1000;

/// Refuses effects with too many events: for the event that they descend from, or for the space.
pub(crate) fn check_breadth(
    store: &Store,
    max_descendants: u64,
    space: &SpaceId,
    effects: &Effects,
) -> Result<(), Failure> {
    let made = || effects.events.iter().filter(|new| !new.plan.automations.is_empty());
    let Some(first) = made().next() else { return Ok(()) };
    let many = made().count();
    if let Some(root) = first.event.cause.as_ref().and_then(|cause| cause.root.as_deref()) {
        let limit = max_descendants;
        let before = store.events.descendants(space, root)?;
        if before.saturating_add(u64::try_from(many).unwrap_or(u64::MAX)) > limit {
            let message = format!(
                "the event {root} has triggered {before} further events for automations: at most {limit}; if automations \
                 trigger one another, have them emit a type that none of them takes, or raise max_events_per_root"
            );
            return Err(Failure::permanent("chain.too_wide", message));
        }
    }
    store.backlog.room_for(space, many).map_err(|error| match error {
        StoreError::Backlog(backlog) => Failure {
            code: "backlog.full".to_owned(),
            message: format!(
                "{backlog} events of this space are in the backlog, and automations may fill half of max_backlog: \
                 this step is retried later"
            ),
            retry_after_ms: Some(BACKLOG_FULL_BACKOFF_MS),
        },
        other => other.into(),
    })
}

#[cfg(test)]
mod tests {
    use hookwright_model::{Cause, Event, NewEvent, Plan};
    use hookwright_store::StoreOptions;
    use serde_json::json;

    use super::*;
    use hookwright_samples::{event, store, store_options};

    /// Effects with so many events, each of which an automation takes.
    fn effects(root: Option<&str>, count: usize) -> Effects {
        let cause = Some(Cause { root: root.map(str::to_owned), ..Cause::api() });
        let new = || NewEvent {
            event: Event { cause: cause.clone(), ..event("go", &json!({})) },
            plan: Plan { automations: vec!["aut_1".into()], ..Plan::default() },
        };
        Effects { events: (0..count).map(|_| new()).collect(), ..Effects::default() }
    }

    #[tokio::test]
    async fn all_descendants_of_an_event_count_against_its_limit() {
        let (_folder, store) = store();
        let space = SpaceId::main();
        let check = |limit, root, count| check_breadth(&store, limit, &space, &effects(root, count));
        store.events.append(effects(Some("evt_root"), 2).events).await.unwrap();
        assert_eq!(check(4, Some("evt_root"), 2), Ok(()));
        let refused = check(3, Some("evt_root"), 2).unwrap_err();
        assert_eq!((refused.code.as_str(), refused.retry_after_ms), ("chain.too_wide", None), "{refused}");
        assert_eq!(check(3, Some("evt_other"), 2), Ok(()), "each event by itself");
        assert_eq!(check(0, None, 2), Ok(()), "they descend from no event");
    }

    #[tokio::test]
    async fn events_that_no_automation_takes_are_not_limited() {
        let (_folder, store) = store();
        let mut effects = effects(Some("evt_root"), 5);
        effects.events.iter_mut().for_each(|new| new.plan = Plan::default());
        assert_eq!(check_breadth(&store, 0, &SpaceId::main(), &effects), Ok(()));
    }

    #[tokio::test]
    async fn automations_may_fill_half_of_the_backlog() {
        let folder = tempfile::tempdir().unwrap();
        let options = StoreOptions { max_backlog: 4, ..store_options(folder.path()) };
        let store = Store::open(&options).unwrap();
        let check = |count| check_breadth(&store, 100, &SpaceId::main(), &effects(None, count));
        assert_eq!(check(2), Ok(()));
        let refused = check(3).unwrap_err();
        assert_eq!((refused.code.as_str(), refused.retry_after_ms), ("backlog.full", Some(BACKLOG_FULL_BACKOFF_MS)));
    }
}
