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
