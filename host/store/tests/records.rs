//! Lists of records through the index, their histories, and a space's own kinds.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail loudly")]

use std::sync::Arc;

use hookwright_model::{
    Author, Cause, Effects, HistoryEntry, Merge, NoteInput, Query, RecordKey, RecordKind, RecordWrite, SpaceId,
    StateView as _, StoredNote, Subscribers, Timestamp, Workbench, builtin_kind, json_size,
};
use hookwright_store::{Committed, ConfigChange, Configured, Found, KindRefused, Page, Store, StoreOptions, Swap};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

fn open() -> (TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&StoreOptions::new(dir.path().join("store.redb"))).unwrap();
    (dir, store)
}

fn bench(store: &Store) -> Workbench {
    let mut bench =
        Workbench::new(Arc::new(store.clone()), SpaceId::main(), Timestamp::from_millis(0), "test", Cause::api());
    bench.sign(Author { key_name: Some("tests".into()), ..Author::default() });
    bench
}

fn fields(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

async fn commit(store: &Store, effects: Effects) {
    assert_eq!(store.records.commit(&SpaceId::main(), effects).await, Ok(Committed::Done));
}

/// Creates records, some hundreds in a commit.
async fn make(store: &Store, kind: &str, records: impl IntoIterator<Item = Value>) {
    let records: Vec<Value> = records.into_iter().collect();
    for some in records.chunks(500) {
        let mut bench = bench(store);
        for record in some {
            bench.make_record(kind, fields(record.clone())).unwrap();
        }
        commit(store, bench.finish(&Subscribers::default())).await;
    }
}

async fn amend(store: &Store, kind: &str, id: u64, changes: Value) {
    let mut bench = bench(store);
    bench.amend_record(kind, &id.to_string(), fields(changes), Merge::Patch).unwrap();
    commit(store, bench.finish(&Subscribers::default())).await;
}

fn find(store: &Store, kind: &RecordKind, query: &[(&str, &str)], cursor: Option<&str>, limit: usize) -> Found {
    let query = Query::parse(kind, query.iter().copied()).unwrap();
    store.records.query_records(&SpaceId::main(), kind, &query, cursor, limit).unwrap().unwrap()
}

fn ids(found: &Found) -> Vec<u64> {
    found.records.iter().map(|(id, _)| *id).collect()
}

/// All ids over all pages.
fn all(store: &Store, kind: &RecordKind, query: &[(&str, &str)], limit: usize) -> Vec<u64> {
    let (mut all, mut cursor): (Vec<u64>, Option<String>) = (Vec::new(), None);
    loop {
        let found = find(store, kind, query, cursor.as_deref(), limit);
        all.extend(ids(&found));
        cursor = found.next;
        if cursor.is_none() {
            return all;
        }
    }
}

#[tokio::test]
async fn an_older_note_committed_later_does_not_set_the_updated_time_back() {
    let (_dir, store) = open();
    make(&store, "ticket", [json!({"subject": "a"})]).await;
    let main = SpaceId::main();
    let at = |millis| {
        let now = Timestamp::from_millis(millis);
        Workbench::new(Arc::new(store.clone()), main.clone(), now, "test", Cause::api())
    };
    let note = || NoteInput { text: "n".into(), ..NoteInput::default() };
    let (mut early, mut late) = (at(1_000), at(2_000));
    early.add_note("1", note()).unwrap();
    late.add_note("1", note()).unwrap();
    commit(&store, late.finish(&Subscribers::default())).await;
    commit(&store, early.finish(&Subscribers::default())).await;
    let record = store.record(&main, &RecordKey::ticket(1)).unwrap().unwrap();
    assert_eq!(record.value["updated_at"], "1970-01-01T00:00:02.000Z");
    // A note for a record that was deleted concurrently is a write conflict; the re-run finds that it does not exist.
    make(&store, "company", [json!({"title": "a"})]).await;
    let (mut adds, mut removes) = (bench(&store), bench(&store));
    adds.add_record_note("company", "1", note()).unwrap();
    removes.remove_record("company", "1").unwrap();
    commit(&store, removes.finish(&Subscribers::default())).await;
    let refused = store.records.commit(&main, adds.finish(&Subscribers::default())).await;
    assert_eq!(refused, Ok(Committed::Conflict("company/1".into())));
    // The index follows the instant of the change.
    let ticket = builtin_kind("ticket").unwrap();
    assert_eq!(find(&store, ticket, &[("updated_at", "1970-01-01T00:00:02.000Z")], None, 10).records.len(), 1);
    assert_eq!(find(&store, ticket, &[("updated_at", "1970-01-01T00:00:01.000Z")], None, 10).records.len(), 0);
}

#[tokio::test]
async fn an_event_contains_the_newest_notes_of_its_ticket_as_stored() {
    let (_dir, store) = open();
    make(&store, "ticket", [json!({"subject": "a"})]).await;
    for n in 1..=103 {
        let mut bench = bench(&store);
        let text = format!("{n}: \"größer\"\n\u{1}\\");
        bench.add_note("1", NoteInput { text, ..NoteInput::default() }).unwrap();
        commit(&store, bench.finish(&Subscribers::default())).await;
    }
    let (main, key) = (SpaceId::main(), RecordKey::ticket(1));
    let stored = store.notes(&main, &key, 100).unwrap();
    let values: Vec<Value> = stored.iter().map(|note| note.value().unwrap()).collect();
    assert_eq!(values, store.records.all_notes(&main, &key, Some(3), 200).unwrap());
    assert!(stored.iter().zip(&values).all(|(note, value)| note.size() == json_size(value)));
    let texts: Vec<&str> = stored.iter().map(StoredNote::json).collect();
    let newest = store.events.events(&main, Page { before: None, limit: 1 }, &|_| true).unwrap().items;
    assert_eq!(newest[0].1.event_type, "ticket.note-added");
    let data = newest[0].1.data_json();
    assert!(data.ends_with(&format!(",\"notes\":[{}]}},\"note\":{}}}", texts.join(","), texts[99])), "{data}");
}

#[tokio::test]
async fn a_list_by_an_indexed_field_reads_only_matching_rows() {
    let (_dir, store) = open();
    let ticket = builtin_kind("ticket").unwrap();
    // More than one call reads, so that without the index the two would not be found at once.
    let status = |n: usize| if n == 5 || n == 7000 { "rare" } else { "open" };
    let now = Timestamp::from_millis(0);
    let mut effects = Effects::default();
    for n in 1..=10_100 {
        let key = RecordKey::ticket(u64::try_from(n).unwrap());
        let value = ticket.make(key.id, fields(json!({"subject": "s", "status": status(n)})), now).unwrap();
        let (index, changes) = (ticket.index_of(&value), Map::new());
        let (change, by) = ("created".to_owned(), Author::default());
        let history = HistoryEntry { version: 1, at: now, change, by, changes, notes: vec![] };
        effects.records.push(RecordWrite { key, value, unindex: vec![], index, history });
    }
    commit(&store, effects).await;
    let found = find(&store, ticket, &[("status", "rare")], None, 10);
    assert_eq!((ids(&found), found.next), (vec![7000, 5], None));
    let both = find(&store, ticket, &[("status[in]", "rare,none"), ("sort", "id")], None, 10);
    assert_eq!(ids(&both), [5, 7000]);
    let one = find(&store, ticket, &[("status", "open"), ("urgency", "high")], None, 10);
    assert_eq!((ids(&one), one.next), (vec![], None), "the way by urgency is empty, so nothing is read by the other");
    let bare = find(&store, ticket, &[("subject[contains]", "none")], None, 10);
    assert!(bare.records.is_empty() && bare.next.is_some(), "a part can be empty with more to follow");
    assert!(find(&store, ticket, &[("sort", "subject")], None, 10).too_many);
    assert_eq!(ids(&find(&store, ticket, &[("status", "rare"), ("sort", "subject")], None, 10)), [7000, 5]);
}

#[tokio::test]
async fn each_change_of_a_record_updates_the_index() {
    let (_dir, store) = open();
    let lead = builtin_kind("lead").unwrap();
    make(&store, "lead", [json!({"kanban_stage_id": 1}), json!({"kanban_stage_id": 1, "owner": {"id": 7}})]).await;
    let stage = |stage: &str| ids(&find(&store, lead, &[("kanban_stage_id", stage)], None, 10));
    assert_eq!(stage("1"), [2, 1]);
    amend(&store, "lead", 1, json!({"kanban_stage_id": 2})).await;
    assert_eq!((stage("1"), stage("2")), (vec![2], vec![1]));
    assert_eq!(ids(&find(&store, lead, &[("owner", "7")], None, 10)), [2]);
    amend(&store, "lead", 2, json!({"owner": null})).await;
    assert!(find(&store, lead, &[("owner", "7")], None, 10).records.is_empty());
    let mut bench = bench(&store);
    bench.remove_record("lead", "2").unwrap();
    commit(&store, bench.finish(&Subscribers::default())).await;
    assert_eq!((stage("1"), stage("2")), (vec![], vec![1]));
}

#[tokio::test]
async fn pagination_is_stable_under_concurrent_changes() {
    let (_dir, store) = open();
    let lead = builtin_kind("lead").unwrap();
    let record = |n: u64| json!({"title": format!("t{:02}", n * 7 % 20), "owner": n % 3, "kanban_status": "IN_WORK"});
    make(&store, "lead", (1..=20).map(record)).await;
    for limit in [1, 3, 20] {
        assert_eq!(all(&store, lead, &[], limit), (1..=20).rev().collect::<Vec<_>>());
        assert_eq!(all(&store, lead, &[("sort", "id")], limit), (1..=20).collect::<Vec<_>>());
        let by_title = all(&store, lead, &[("sort", "title")], limit);
        assert_eq!(by_title[..3], [20, 3, 6]);
        let by_owner = all(&store, lead, &[("sort", "-owner,title"), ("kanban_status", "IN_WORK")], limit);
        assert_eq!((by_owner.len(), by_owner[0]), (20, 20));
        let owners: Vec<u64> = by_owner.iter().map(|id| id % 3).collect();
        assert!(owners.is_sorted_by(|one, other| one >= other), "{owners:?}");
    }
    let first = find(&store, lead, &[("sort", "title")], None, 3);
    assert_eq!(ids(&first), [20, 3, 6]);
    // The last of the page is deleted, another is inserted before it: the next page begins after its former position.
    let mut bench = bench(&store);
    bench.remove_record("lead", "6").unwrap();
    commit(&store, bench.finish(&Subscribers::default())).await;
    make(&store, "lead", [json!({"title": "t00a"})]).await;
    let second = find(&store, lead, &[("sort", "title")], first.next.as_deref(), 3);
    assert_eq!(ids(&second), [9, 12, 15]);
    let query = Query::parse(lead, [("sort", "owner")].into_iter()).unwrap();
    let other = store.records.query_records(&SpaceId::main(), lead, &query, first.next.as_deref(), 3).unwrap();
    assert!(other.is_none(), "the cursor of another order is none of this list");
}

#[tokio::test]
async fn each_version_has_a_history_entry_and_the_oldest_are_removed() {
    let (_dir, store) = open();
    make(&store, "deal", [json!({"title": "0", "blob": "x".repeat(5000)})]).await;
    for n in 1..=120 {
        amend(&store, "deal", 1, json!({"title": n.to_string()})).await;
    }
    let key = RecordKey { kind: "deal".into(), id: 1 };
    let history = store.records.history(&SpaceId::main(), &key, None, 500).unwrap();
    assert_eq!((history.len(), history[0].version, history[99].version), (100, 121, 22));
    assert_eq!(history[0].changes, fields(json!({"title": {"from": "119", "to": "120"}})));
    assert_eq!((history[0].change.as_str(), history[0].by.key_name.as_deref()), ("updated", Some("tests")));
    assert_eq!(store.record(&SpaceId::main(), &key).unwrap().unwrap().version, 121);
    let before = store.records.history(&SpaceId::main(), &key, Some(100), 2).unwrap();
    assert_eq!([before[0].version, before[1].version], [99, 98]);

    let mut bench = bench(&store);
    bench.remove_record("deal", "1").unwrap();
    commit(&store, bench.finish(&Subscribers::default())).await;
    let gone = &store.records.history(&SpaceId::main(), &key, None, 1).unwrap()[0];
    assert_eq!((gone.change.as_str(), gone.version), ("deleted", 122));
    assert_eq!(gone.changes["title"], json!({"from": "120", "to": null}));
    assert_eq!(gone.changes["blob"]["from"], json!({"omitted_bytes": 5002}));
}

fn own(declaration: Value, former: Option<&RecordKind>) -> RecordKind {
    let input = serde_json::from_value(declaration).unwrap();
    RecordKind::declare("order", input, former, Timestamp::from_millis(0)).unwrap()
}

async fn swap(store: &Store, was: Option<&RecordKind>, is: Option<&RecordKind>) -> Configured {
    let swap = Swap { was: was.cloned(), is: is.cloned() };
    store.configuration.configure(&SpaceId::main(), vec![ConfigChange::Kind(Box::new(swap))]).await.unwrap()
}

#[tokio::test]
async fn a_custom_kind_is_stored_changed_and_deleted_once_it_has_no_records() {
    let (dir, store) = open();
    let main = SpaceId::main();
    let plain = own(json!({"fields": {"state": {"type": "string"}}}), None);
    assert!(matches!(swap(&store, None, Some(&plain)).await, Configured::Done(_)));
    assert!(matches!(swap(&store, None, Some(&plain)).await, Configured::Conflict), "it is there already");
    make(&store, "order", [json!({"state": "new"}), json!({"state": "paid"})]).await;
    let indexed = own(json!({"fields": {"state": {"type": "string", "indexed": true}}}), Some(&plain));
    assert!(matches!(swap(&store, Some(&plain), Some(&indexed)).await, Configured::Done(_)));
    assert_eq!(ids(&find(&store, &indexed, &[("state", "paid")], None, 10)), [2], "indexed what was there already");
    assert!(matches!(swap(&store, Some(&indexed), None).await, Configured::Refused(_, KindRefused::InUse)));
    assert!(store.kinds.own_kind(&"other".parse().unwrap(), "order").unwrap().is_none());

    // A record made by a kind that has changed since does not commit.
    let mut late = bench(&store);
    late.make_record("order", fields(json!({"state": "late"}))).unwrap();
    let changed = own(json!({"fields": {"name": {"type": "string"}}}), Some(&indexed));
    assert!(matches!(swap(&store, Some(&indexed), Some(&changed)).await, Configured::Done(_)));
    let late = store.records.commit(&main, late.finish(&Subscribers::default())).await;
    assert_eq!(late, Ok(Committed::Conflict("kind/order".into())));

    store.close().await;
    drop(store);
    let store = Store::open(&StoreOptions::new(dir.path().join("store.redb"))).unwrap();
    assert_eq!(store.kinds.own_kinds(&main).unwrap()[0].name(), "order");
    for id in ["1", "2"] {
        let mut bench = bench(&store);
        bench.remove_record("order", id).unwrap();
        commit(&store, bench.finish(&Subscribers::default())).await;
    }
    assert!(matches!(swap(&store, Some(&changed), None).await, Configured::Done(_)));
    assert!(matches!(swap(&store, Some(&changed), None).await, Configured::Conflict), "it is gone");
}

#[tokio::test]
async fn a_file_without_an_index_is_indexed_when_it_is_opened() {
    let (dir, store) = open();
    make(&store, "ticket", [json!({"subject": "s", "status": "open"}), json!({"subject": "s", "status": "rare"})])
        .await;
    store.close().await;
    drop(store);
    let path = dir.path().join("store.redb");
    {
        // As an earlier version left it.
        let db = redb::Database::open(&path).unwrap();
        let transaction = db.begin_write().unwrap();
        let index: redb::TableDefinition<'_, (u32, &str, &str, &str, u64), ()> =
            redb::TableDefinition::new("record_index");
        assert!(transaction.delete_table(index).unwrap());
        let meta: redb::TableDefinition<'_, &str, &str> = redb::TableDefinition::new("meta");
        assert!(transaction.open_table(meta).unwrap().remove("record_index").unwrap().is_some());
        transaction.commit().unwrap();
    }
    // The checksums beside it belong to the file as it was closed.
    std::fs::remove_file(dir.path().join("store.redb.sums")).unwrap();
    let store = Store::open(&StoreOptions::new(path)).unwrap();
    let found = find(&store, builtin_kind("ticket").unwrap(), &[("status", "rare")], None, 10);
    assert_eq!(ids(&found), [2]);
}
