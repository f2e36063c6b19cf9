//! The logs of sources: bounded, committed with the effects of a request, and deleted with their source.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail loudly")]

use hookwright_model::{
    Effects, EventDraft, NewEvent, Plan, RequestEntry, RequestNote, Source, SourceId, SpaceId, Timestamp, Told,
};
use hookwright_store::{ConfigChange, Configured, Store, StoreOptions, Swap};
use serde_json::{Map, json};
use tempfile::TempDir;

fn open() -> (TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&StoreOptions::new(dir.path().join("store.redb"))).unwrap();
    (dir, store)
}

async fn configure(store: &Store, source: Swap<Source>) {
    let changes = vec![ConfigChange::Source(source)];
    let done = store.configuration.configure(&SpaceId::main(), changes).await.unwrap();
    assert!(matches!(done, Configured::Done(_)));
}

async fn source(store: &Store) -> SourceId {
    let source = Source {
        id: SourceId::new(),
        space: SpaceId::main(),
        name: "a".to_owned(),
        kind: "inbox".to_owned(),
        access: Vec::new(),
        active: true,
        with: Map::new(),
        token_digest: String::new(),
        token: String::new(),
        former: None,
        secret: None,
        owner: None,
        rate: None,
        created_at: Timestamp::from_millis(0),
        rotated_at: None,
    };
    let id = source.id.clone();
    configure(store, Swap { was: None, is: Some(source) }).await;
    id
}

fn note(source: &SourceId, at: i64, most: u64) -> RequestNote {
    let at = Timestamp::from_millis(at);
    let entry = RequestEntry::new(at, "POST", "", "", &[], b"x", "192.0.2.1".to_owned(), &[]);
    RequestNote { source: source.clone(), entry: RequestEntry { told: Told::taken(202, []), ..entry }, most }
}

fn numbers(store: &Store, source: &SourceId) -> Vec<u64> {
    let found = store.requests.requests(&SpaceId::main(), source, None, 100).unwrap();
    found.into_iter().map(|(number, _)| number).collect()
}

#[tokio::test]
async fn retention_limits_a_log_by_entries_and_by_age() {
    let (_dir, store) = open();
    let (one, other) = (source(&store).await, source(&store).await);
    let main = SpaceId::main();
    for at in 0..10 {
        store
            .requests
            .note_requests(vec![(main.clone(), note(&one, at, 4)), (main.clone(), note(&other, at, 100))])
            .await
            .unwrap();
    }
    assert_eq!(numbers(&store, &one), [10, 9, 8, 7]);
    assert_eq!(numbers(&store, &other).len(), 10, "each source has a log of its own");
    assert_eq!(store.requests.requests(&main, &one, Some(9), 1).unwrap()[0].0, 8);
    assert_eq!(store.requests.request(&main, &one, 7).unwrap().unwrap().at, Timestamp::from_millis(6));
    assert_eq!(store.requests.request(&main, &one, 6).unwrap(), None);

    let sweep =
        |before, most, limit| store.requests.sweep_requests(&main, &other, Timestamp::from_millis(before), most, limit);
    assert_eq!(sweep(3, 100, 2).await, Ok(2));
    assert_eq!(sweep(3, 100, 2).await, Ok(1));
    assert_eq!(sweep(3, 100, 2).await, Ok(0));
    assert_eq!(numbers(&store, &other), [10, 9, 8, 7, 6, 5, 4]);
    assert_eq!(sweep(0, 2, 100).await, Ok(5), "a bound that was lowered holds too");
    assert_eq!(numbers(&store, &other), [10, 9]);

    configure(&store, Swap { was: store.sources.source(&main, one.as_str()).unwrap(), is: None }).await;
    assert_eq!(numbers(&store, &one), [0; 0]);
    store.requests.note_requests(vec![(main.clone(), note(&one, 0, 4))]).await.unwrap();
    assert_eq!(numbers(&store, &one), [0; 0], "nothing is written of a source that is gone");
}

#[tokio::test]
async fn an_entry_commits_with_the_events_of_its_request() {
    let (_dir, store) = open();
    let source = source(&store).await;
    let main = SpaceId::main();
    let draft = EventDraft::json("a.b", "a", None, &json!({}), None);
    let event = NewEvent { event: draft.accept(&main, Timestamp::from_millis(0)).unwrap(), plan: Plan::default() };
    let effects = Effects { request: Some(note(&source, 5, 10)), ..Effects::default() };
    let appended = store.events.append_with(&main, vec![event], effects).await.unwrap().unwrap();
    assert_eq!((appended.len(), numbers(&store, &source)), (1, vec![1]));
}
