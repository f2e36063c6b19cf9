//! The stored state after the process died around the commit of an attempt.

use std::process::Command;

use hookwright_model::{DeliveryState, SpaceId};
use hookwright_store::{Store, StoreOptions};

use crate::{delivered, event, queue, queued, reopen, to};

const DIR: &str = "HOOKWRIGHT_TEST_DIR";

/// Not a test by itself: executed by the process that dies.
#[tokio::test]
#[ignore = "is started by others"]
async fn dying() {
    let dir = std::env::var(DIR).unwrap();
    let store = Store::open(&StoreOptions::new(format!("{dir}/store.redb"))).unwrap();
    let first = queue(&store, 1, vec![to(1, Some("k"))]).await.remove(0);
    queue(&store, 2, vec![to(1, Some("k"))]).await;
    let mut commit = crate::commit(10, vec![delivered(&first, 10)]);
    commit.events = vec![event(10, vec![to(2, None)])];
    store.attempts.record_attempts(commit).await.unwrap();
    panic!("it was to die before this");
}

#[test]
fn an_attempt_is_written_with_all_that_follows_from_it_or_not_at_all() {
    for (point, committed) in [("attempt.before-commit", false), ("attempt.after-commit", true)] {
        let dir = tempfile::tempdir().unwrap();
        let ended = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::dying", "--ignored"])
            .env(DIR, dir.path())
            .env("HOOKWRIGHT_FAULT_POINT", point)
            .output()
            .unwrap();
        assert!(!ended.status.success());
        assert!(!String::from_utf8_lossy(&ended.stdout).contains("it was to die"), "{point}");
        let store = reopen(&dir);
        let main = SpaceId::main();
        let (first, second) = (
            store.deliveries.deliveries_of(&main, 1).unwrap().remove(0),
            store.deliveries.deliveries_of(&main, 2).unwrap().remove(0),
        );
        let state = if committed { DeliveryState::Delivered } else { DeliveryState::Pending };
        assert_eq!(first.state, state, "{point}");
        assert_eq!(queued(&store, 1), [if committed { second.id } else { first.id }], "{point}");
        assert_eq!(store.attempts.attempt_count().unwrap(), u64::from(committed), "{point}");
        assert_eq!(store.events.event_at(&main, 3).unwrap().is_some(), committed, "{point}");
        assert_eq!(queued(&store, 2).len(), usize::from(committed), "{point}");
    }
}
