//! Idempotency keys: stored with what they created, or not at all, and removed once they have expired.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail loudly")]

use std::sync::Arc;
use std::time::Duration;

use hookwright_model::{
    Cause, EventDraft, IdempotencyKey, KeyedRequest, Made, NewEvent, Plan, RecordKey, SpaceId, Subscribers,
    TicketChanges, Timestamp, Workbench,
};
use hookwright_store::{Committed, KeyWindow, Keyed, Known, Store, StoreOptions};
use serde_json::json;

/// How long keys are stored here.
const TTL: Duration = Duration::from_secs(60);

/// A request this number of seconds after the first one.
fn after(seconds: i64) -> KeyWindow {
    KeyWindow::new(Timestamp::from_millis(seconds * 1000), TTL)
}

fn request(key: &str, fingerprint: &str) -> KeyedRequest {
    KeyedRequest { key: IdempotencyKey::parse(key.as_bytes()).unwrap(), fingerprint: fingerprint.to_owned() }
}

fn event() -> NewEvent {
    let draft = EventDraft { event_type: "a.b".into(), source: "api".into(), ..EventDraft::default() };
    NewEvent { event: draft.accept(&SpaceId::main(), Timestamp::from_millis(0)).unwrap(), plan: Plan::default() }
}

#[tokio::test]
async fn a_key_is_used_once_and_stored_with_what_it_created() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions::new(dir.path().join("store.redb"));
    let (main, other) = (SpaceId::main(), "other".parse::<SpaceId>().unwrap());
    let store = Store::open(&options).unwrap();
    let keyed = request("k", "one");
    assert_eq!(store.idempotency.known_request(&main, &keyed, after(0)), Ok(None));
    // Both are in one group of commits, as concurrent requests are.
    let (first, second) = tokio::join!(
        store.idempotency.append_keyed(&main, vec![event(), event()], &keyed, after(0)),
        store.idempotency.append_keyed(&main, vec![event(), event()], &keyed, after(0))
    );
    let seqs: Vec<u64> = first.unwrap().unwrap().iter().map(|appended| appended.seq).collect();
    let retry = Known::Retry(Made::Events(seqs));
    assert_eq!(second.unwrap(), Err(retry.clone()));
    let other_request = request("k", "two");
    assert_eq!(
        store.idempotency.append_keyed(&main, vec![event()], &other_request, after(0)).await.unwrap(),
        Err(Known::Reused)
    );
    assert_eq!(store.idempotency.known_request(&other, &keyed, after(0)), Ok(None), "a key is its space's own");
    store.close().await;

    let store = Store::open(&options).unwrap();
    assert_eq!(store.idempotency.known_request(&main, &keyed, after(60)), Ok(Some(retry)));
    assert_eq!(store.idempotency.known_request(&main, &other_request, after(60)), Ok(Some(Known::Reused)));
}

#[tokio::test]
async fn effects_and_their_key_commit_atomically() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&StoreOptions::new(dir.path().join("store.redb"))).unwrap();
    let main = SpaceId::main();
    let make = || {
        let mut bench =
            Workbench::new(Arc::new(store.clone()), main.clone(), Timestamp::from_millis(0), "test", Cause::api());
        let changes = TicketChanges::from_value(&json!({"subject": "s"})).unwrap();
        let made = Made::record("ticket", &bench.create_ticket(changes).unwrap());
        (bench.finish(&Subscribers::default()), Some(Keyed { request: request("k", "one"), made, window: after(0) }))
    };
    let (effects, keyed) = make();
    let made = keyed.as_ref().unwrap().made.clone();
    assert_eq!(store.records.commit_keyed(&main, effects, keyed).await, Ok(Committed::Done));
    let (effects, keyed) = make();
    assert_eq!(store.records.commit_keyed(&main, effects, keyed).await, Ok(Committed::Known(Known::Retry(made))));
    assert!(hookwright_model::StateView::record(&store, &main, &RecordKey::ticket(2)).unwrap().is_none());
}

#[tokio::test]
async fn an_expired_key_can_be_reused_before_and_after_its_removal() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&StoreOptions::new(dir.path().join("store.redb"))).unwrap();
    let main = SpaceId::main();
    let append = async |key: &str, fingerprint: &str, window: KeyWindow| {
        store.idempotency.append_keyed(&main, vec![event()], &request(key, fingerprint), window).await.unwrap()
    };
    append("a", "one", after(0)).await.unwrap();
    append("b", "one", after(30)).await.unwrap();
    append("a", "one", after(60)).await.unwrap_err();
    // It has expired and was not removed yet: another request may use it, and it is stored anew.
    append("a", "two", after(61)).await.unwrap();
    assert_eq!(store.idempotency.known_request(&main, &request("a", "one"), after(62)), Ok(Some(Known::Reused)));
    assert_eq!(store.idempotency.idempotency_key_count(), Ok(2));
    // Its first time was replaced, so nothing has expired.
    assert_eq!(store.idempotency.sweep_idempotency_keys(after(62).since, 100).await, Ok(0));
    for second in 100..110 {
        append(&format!("c{second}"), "one", after(second)).await.unwrap();
    }
    // `b` alone, then `a` and the earlier ones, as many as one commit takes.
    assert_eq!(store.idempotency.sweep_idempotency_keys(after(91).since, 100).await, Ok(1));
    assert_eq!(store.idempotency.known_request(&main, &request("b", "one"), after(91)), Ok(None));
    assert_eq!(store.idempotency.idempotency_key_count(), Ok(11));
    let before = after(165).since;
    let mut removed = Vec::new();
    while removed.last() != Some(&0) {
        removed.push(store.idempotency.sweep_idempotency_keys(before, 4).await.unwrap());
    }
    assert_eq!(removed, [4, 2, 0], "`a` of second 61, and `c` of the seconds 100 to 104");
    assert_eq!(store.idempotency.idempotency_key_count(), Ok(5));
    assert_eq!(store.idempotency.known_request(&main, &request("c105", "two"), after(165)), Ok(Some(Known::Reused)));
}

#[tokio::test]
async fn a_key_from_a_clock_that_was_ahead_expires_as_if_created_now() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&StoreOptions::new(dir.path().join("store.redb"))).unwrap();
    let (main, keyed) = (SpaceId::main(), request("k", "one"));
    store.idempotency.append_keyed(&main, vec![event()], &keyed, after(1_000_000)).await.unwrap().unwrap();
    store.timetable.pull_back(after(100).now).await.unwrap();
    assert!(matches!(store.idempotency.known_request(&main, &keyed, after(160)), Ok(Some(Known::Retry(_)))));
    assert_eq!(store.idempotency.known_request(&main, &keyed, after(161)), Ok(None));
    assert_eq!(store.idempotency.sweep_idempotency_keys(after(161).since, 100).await, Ok(1));
    assert_eq!(store.idempotency.idempotency_key_count(), Ok(0));
}
