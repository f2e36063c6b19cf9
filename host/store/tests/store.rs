//! The guarantees of the store.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may fail loudly, and one prints what it measures"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hookwright_model::{
    AutomationId, Cause, Decision, DeliveryState, EventDraft, KvQuota, KvSize, Lane, NewDelivery, NewEvent, NoteInput,
    Plan, Progress, Purpose, RecordKey, Run, RunId, RunState, SpaceId, StateView as _, Subscribers, TicketChanges,
    Timestamp, WebhookId, Workbench,
};
use hookwright_store::{
    Committed, Decided, EventLookup, FirstTry, Page, StepCommit, StepCommitted, Store, StoreError, StoreOptions,
};
use serde_json::json;
use tempfile::TempDir;

fn open() -> (TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&StoreOptions::new(dir.path().join("store.redb"))).unwrap();
    (dir, store)
}

fn space(name: &str) -> SpaceId {
    name.parse().unwrap()
}

fn event(space: &SpaceId, id: &str, source: &str, payload: &[u8], plan: Plan) -> NewEvent {
    let event = EventDraft {
        id: Some(id.to_owned()),
        event_type: "test.made".into(),
        source: source.into(),
        content_type: Some("application/octet-stream".into()),
        payload: Bytes::copy_from_slice(payload),
        ..EventDraft::default()
    }
    .accept(space, Timestamp::from_millis(1000))
    .unwrap();
    NewEvent { event, plan }
}

fn work() -> Plan {
    Plan { automations: vec![AutomationId::from("aut_1")], ..Plan::default() }
}

fn delivery() -> NewDelivery {
    NewDelivery {
        webhook: WebhookId::from("whk_1"),
        queue: 1,
        message_id: "msg_1".into(),
        key: None,
        purpose: Purpose::Event,
        wait_ms: 0,
    }
}

fn page(limit: usize) -> Page {
    Page { before: None, limit }
}

fn run(space: &SpaceId, seq: u64) -> Run {
    Run {
        id: RunId { seq, ordinal: 0 },
        space: space.clone(),
        event: "e".into(),
        event_type: "t".into(),
        subject: None,
        automation: AutomationId::from("aut_1"),
        automation_name: "n".into(),
        revision: 1,
        decision: Decision { fired: true, reason: String::new(), conditions: vec![] },
        state: RunState::Running,
        steps: vec![],
        next_step: 0,
        tries: 0,
        open_steps: vec![],
        progress: Progress::default(),
        wait: None,
        lane: None,
        resumed: false,
        version: 0,
        created_at: Timestamp::from_millis(0),
    }
}

fn bench(store: &Store, space: &SpaceId) -> Workbench {
    Workbench::new(Arc::new(store.clone()), space.clone(), Timestamp::from_millis(0), "test", Cause::api())
}

fn changes(value: serde_json::Value) -> TicketChanges {
    TicketChanges::from_value(&value).unwrap()
}

async fn ticket(store: &Store, space: &SpaceId) -> u64 {
    let mut bench = bench(store, space);
    let ticket = bench.create_ticket(changes(json!({"subject": "s"}))).unwrap();
    assert_eq!(store.records.commit(space, bench.finish(&Subscribers::default())).await, Ok(Committed::Done));
    ticket["id"].as_u64().unwrap()
}

#[tokio::test]
async fn a_repeated_id_of_the_same_source_is_accepted_once() {
    let (_dir, store) = open();
    let main = SpaceId::main();
    let first = store.events.append(vec![event(&main, "1", "a", b"x", work())]).await.unwrap();
    let again = store.events.append(vec![event(&main, "1", "a", b"other", work())]).await.unwrap();
    let twice = store
        .events
        .append(vec![event(&main, "2", "a", b"", work()), event(&main, "2", "a", b"", work())])
        .await
        .unwrap();
    assert_eq!((first[0].repeat, again[0].repeat, again[0].seq), (false, true, first[0].seq));
    assert_eq!((twice[0].repeat, twice[1].repeat, twice[1].seq), (false, true, twice[0].seq));
    assert_eq!(store.backlog.count(), 2);
    let EventLookup::One(_, kept) = store.events.event(&main, "1", None).unwrap() else { panic!() };
    assert_eq!(kept.payload.as_ref(), b"x");
    store.events.append(vec![event(&main, "1", "b", b"y", Plan::default())]).await.unwrap();
    assert!(
        matches!(store.events.event(&main, "1", None).unwrap(), EventLookup::Several(sources) if sources == ["a", "b"])
    );
    assert!(matches!(store.events.event(&main, "1", Some("b")).unwrap(), EventLookup::One(_, _)));
    assert!(matches!(store.events.event(&main, "9", None).unwrap(), EventLookup::None));
}

#[tokio::test]
async fn committed_data_survives_reopening() {
    let (dir, store) = open();
    let main = SpaceId::main();
    let plan = Plan { lanes: vec![], automations: vec![AutomationId::from("aut_1")], deliveries: vec![delivery()] };
    let payload: Vec<u8> = (0..=255).collect();
    let seq = store.events.append(vec![event(&main, "1", "a", &payload, plan)]).await.unwrap()[0].seq;
    let id = ticket(&store, &main).await;
    let instance = store.instance_id().to_owned();
    store.close().await;
    assert_eq!(store.events.append(vec![event(&main, "2", "a", b"", work())]).await, Err(StoreError::Closed));
    drop(store);

    let store = Store::open(&StoreOptions::new(dir.path().join("store.redb"))).unwrap();
    assert_eq!(store.instance_id(), instance);
    assert_eq!(store.events.event_at(&main, seq).unwrap().unwrap().payload.as_ref(), payload);
    assert_eq!((store.backlog.count(), store.backlog.work(0, 10).unwrap()[0].seq), (1, seq));
    let queued = store.queues.queued(&main, 1, Timestamp::from_millis(1000), 10).unwrap();
    assert_eq!(queued, [(Timestamp::from_millis(1000), store.deliveries.deliveries_of(&main, seq).unwrap()[0].id)]);
    assert!(store.queues.queued(&main, 1, Timestamp::from_millis(999), 10).unwrap().is_empty());
    assert_eq!(store.queues.queues().unwrap(), [(main.clone(), 1, Timestamp::from_millis(1000))]);
    assert_eq!(store.deliveries.deliveries_of(&main, seq).unwrap()[0].state, DeliveryState::Pending);
    assert_eq!(store.next_id(&main, "ticket").unwrap(), id + 1);
    let next = store.events.append(vec![event(&main, "3", "a", b"", work())]).await.unwrap();
    assert!(next[0].seq > seq, "a place in the journal is never given twice");
}

#[tokio::test]
async fn a_space_never_reads_data_of_another() {
    let (_dir, store) = open();
    let (ours, theirs) = (space("ours"), space("theirs"));
    let plan = Plan { lanes: vec![], automations: vec![AutomationId::from("aut_1")], deliveries: vec![delivery()] };
    let seq = store.events.append(vec![event(&ours, "1", "a", b"secret", plan)]).await.unwrap()[0].seq;
    store.runs.decide(&ours, seq, vec![run(&ours, seq).into()]).await.unwrap();
    let id = ticket(&store, &ours).await;
    store.ensure_space(&theirs).await.unwrap();
    let delivery = store.deliveries.deliveries_of(&ours, seq).unwrap()[0].id;
    let key = RecordKey::ticket(id);
    assert!(store.record(&ours, &key).unwrap().is_some());

    assert!(matches!(store.events.event(&theirs, "1", None).unwrap(), EventLookup::None));
    assert!(store.events.event_at(&theirs, seq).unwrap().is_none());
    assert!(store.events.events(&theirs, page(10), &|_| true).unwrap().items.is_empty());
    assert!(store.runs.run(&theirs, RunId { seq, ordinal: 0 }).unwrap().is_none());
    assert!(store.runs.runs_of(&theirs, seq).unwrap().is_empty());
    assert!(store.runs.runs(&theirs, page(10), &|_| true).unwrap().items.is_empty());
    assert!(store.deliveries.delivery(&theirs, delivery).unwrap().is_none());
    assert!(store.deliveries.deliveries_of(&theirs, seq).unwrap().is_empty());
    assert!(store.deliveries.deliveries(&theirs, page(10), &|_| true).unwrap().items.is_empty());
    assert!(store.record(&theirs, &key).unwrap().is_none());
    assert!(store.records.records(&theirs, "ticket", None, 10, &|_| true).unwrap().0.is_empty());
    assert_eq!(store.next_id(&theirs, "ticket").unwrap(), 1, "each space counts for itself");
}

#[tokio::test]
async fn a_step_commits_once_with_its_effects() {
    let (_dir, store) = open();
    let main = SpaceId::main();
    let seq = store.events.append(vec![event(&main, "1", "a", b"{}", work())]).await.unwrap()[0].seq;
    store.runs.decide(&main, seq, vec![run(&main, seq).into()]).await.unwrap();
    let id = ticket(&store, &main).await.to_string();
    let step = |store: &Store| {
        let mut bench = bench(store, &main);
        bench.update_ticket(&id, changes(json!({"status": "closed"}))).unwrap();
        bench.add_note(&id, NoteInput { text: "done".into(), ..NoteInput::default() }).unwrap();
        let mut after = run(&main, seq);
        (after.next_step, after.state) = (1, RunState::Done { at: Timestamp::from_millis(0) });
        let effects = bench.finish(&Subscribers::default());
        StepCommit { run: after, item: None, effects }
    };
    let (first, second) = (step(&store), step(&store));
    assert!(matches!(store.runs.complete_step(first).await, Ok(StepCommitted::Done(_))));
    assert!(matches!(store.runs.complete_step(second).await, Ok(StepCommitted::Superseded)));
    let key = RecordKey::ticket(1);
    assert_eq!(store.record(&main, &key).unwrap().unwrap().version, 2);
    assert_eq!(store.records.all_notes(&main, &key, None, 10).unwrap().len(), 1);
    assert_eq!(store.backlog.count(), 0);
    let types: Vec<String> =
        store.events.events(&main, page(10), &|_| true).unwrap().items.into_iter().map(|(_, e)| e.event_type).collect();
    assert_eq!(
        types,
        [
            "ticket.note-added",
            "ticket.closed",
            "ticket.status-changed",
            "ticket.updated",
            "ticket.created",
            "test.made"
        ]
    );
}

#[tokio::test]
async fn a_first_try_commits_with_the_decision_unless_it_conflicts() {
    let (_dir, store) = open();
    let main = SpaceId::main();
    let id = ticket(&store, &main).await.to_string();
    let aut = AutomationId::from("aut_1");
    let plan = Plan { automations: vec![aut.clone(), aut.clone(), aut], ..Plan::default() };
    let seq = store.events.append(vec![event(&main, "1", "a", b"{}", plan)]).await.unwrap()[0].seq;
    let closes = |ordinal| {
        let mut bench = bench(&store, &main);
        bench.update_ticket(&id, changes(json!({"status": "closed"}))).unwrap();
        let run = Run { id: RunId { seq, ordinal }, ..run(&main, seq) };
        let done = Run { next_step: 1, state: RunState::Done { at: Timestamp::from_millis(0) }, ..run.clone() };
        let effects = bench.finish(&Subscribers::default());
        Decided { run, first: Some(StepCommit { run: done, item: None, effects }) }
    };
    let queued = Run { lane: Some(Lane { key: "k".into(), most: 1 }), ..closes(2).run };
    let given = vec![closes(0), closes(1), Decided { run: queued, ..closes(2) }];
    let again = vec![closes(0), closes(1), closes(2)];
    let begun = store.runs.decide(&main, seq, given).await.unwrap();
    let firsts: Vec<&FirstTry> = begun.iter().map(|begun| &begun.first).collect();
    assert_eq!(firsts, [&FirstTry::Done, &FirstTry::Conflict("ticket/1".to_owned()), &FirstTry::None]);
    assert!(matches!(begun[0].run.state, RunState::Done { .. }));
    assert_eq!((&begun[1].run.state, begun[1].run.next_step), (&RunState::Running, 0), "its decision is stored");
    assert_eq!(begun[2].run.next_step, 0, "a run in a lane may have to wait first");
    let states = |runs: &[Run]| runs.iter().map(|run| (run.state.clone(), run.version)).collect::<Vec<_>>();
    let returned: Vec<Run> = begun.iter().map(|begun| begun.run.clone()).collect();
    assert_eq!(states(&store.runs.runs_of(&main, seq).unwrap()), states(&returned));
    assert_eq!(store.record(&main, &RecordKey::ticket(1)).unwrap().unwrap().version, 2, "changed once");
    assert_eq!(store.backlog.work_of(seq).unwrap().map(|work| work.seq), Some(seq), "two runs are in progress");
    let known = store.runs.decide(&main, seq, again).await.unwrap();
    assert!(known.iter().all(|begun| begun.first == FirstTry::None), "a stored decision is not changed");
    assert_eq!(store.record(&main, &RecordKey::ticket(1)).unwrap().unwrap().version, 2);
}

#[tokio::test]
async fn a_changed_read_is_a_write_conflict() {
    let (_dir, store) = open();
    let main = SpaceId::main();
    let id = ticket(&store, &main).await.to_string();
    let (mut ours, mut theirs) = (bench(&store, &main), bench(&store, &main));
    ours.ticket(&id).unwrap();
    theirs.add_note(&id, NoteInput { text: "n".into(), ..NoteInput::default() }).unwrap();
    assert_eq!(store.records.commit(&main, theirs.finish(&Subscribers::default())).await, Ok(Committed::Done));
    ours.emit("x", None, &json!(1)).unwrap();
    let refused = store.records.commit(&main, ours.finish(&Subscribers::default())).await;
    assert_eq!(refused, Ok(Committed::Conflict("ticket/1".to_owned())));
    assert!(store.events.events(&main, page(10), &|event| event.event_type == "x").unwrap().items.is_empty());
}

#[tokio::test]
async fn notes_are_added_to_the_record_as_of_their_commit() {
    let (_dir, store) = open();
    let main = SpaceId::main();
    let id = ticket(&store, &main).await.to_string();
    let note = |text: &str| NoteInput { text: text.into(), ..NoteInput::default() };
    let done = |effects| async { store.records.commit(&main, effects).await };
    let finish = |bench: Workbench| bench.finish(&Subscribers::default());
    let (mut one, mut two, mut change) = (bench(&store, &main), bench(&store, &main), bench(&store, &main));
    one.add_note(&id, note("one")).unwrap();
    two.add_note(&id, note("two")).unwrap();
    change.update_ticket(&id, serde_json::from_value(json!({"subject": "changed"})).unwrap()).unwrap();
    assert_eq!(done(finish(change)).await, Ok(Committed::Done));
    assert_eq!(done(finish(two)).await, Ok(Committed::Done));
    assert_eq!(done(finish(one)).await, Ok(Committed::Done));
    let key = RecordKey::ticket(1);
    let record = store.record(&main, &key).unwrap().unwrap();
    assert_eq!((record.version, &record.value["subject"]), (4, &json!("changed")), "no note takes the change back");
    assert_eq!(store.records.all_notes(&main, &key, None, 10).unwrap().len(), 2);
    let history = store.records.history(&main, &key, None, 10).unwrap();
    let told: Vec<_> = history.iter().map(|entry| (entry.version, entry.change.as_str(), entry.notes.len())).collect();
    assert_eq!(told, [(4, "note-added", 1), (3, "note-added", 1), (2, "updated", 0), (1, "created", 0)]);
    // A step that also reads the record depends on it.
    let mut reader = bench(&store, &main);
    reader.ticket(&id).unwrap();
    reader.add_note(&id, note("three")).unwrap();
    let mut other = bench(&store, &main);
    other.add_note(&id, note("four")).unwrap();
    assert_eq!(done(finish(other)).await, Ok(Committed::Done));
    assert_eq!(done(finish(reader)).await, Ok(Committed::Conflict("ticket/1".to_owned())));
}

#[tokio::test]
async fn blind_writes_of_a_value_do_not_conflict_and_writes_after_a_read_do() {
    let (_dir, store) = open();
    let main = SpaceId::main();
    let quota = KvQuota { bytes: 1000, keys: 10 };
    let finish = |bench: Workbench| bench.finish(&Subscribers::default());
    let (mut blind, mut reader, mut other) = (bench(&store, &main), bench(&store, &main), bench(&store, &main));
    blind.keep("p", "k", "blind".into(), None, quota).unwrap();
    assert_eq!(reader.kept("p", "k"), Ok(None));
    reader.keep("p", "k", "reader".into(), None, quota).unwrap();
    other.keep("p", "k", "other".into(), None, quota).unwrap();
    assert_eq!(store.records.commit(&main, finish(other)).await, Ok(Committed::Done));
    assert_eq!(store.records.commit(&main, finish(blind)).await, Ok(Committed::Done));
    assert_eq!(store.records.commit(&main, finish(reader)).await, Ok(Committed::Conflict("kv/p/k".to_owned())));
    assert_eq!(bench(&store, &main).kept("p", "k"), Ok(Some("blind".into())));
    assert_eq!(store.kv.kept_by(&main, "p").unwrap(), KvSize { bytes: 6, keys: 1 });
}

#[tokio::test]
async fn a_full_backlog_refuses_events_that_add_work() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions { max_backlog: 1, ..StoreOptions::new(dir.path().join("store.redb")) };
    let store = Store::open(&options).unwrap();
    let main = SpaceId::main();
    let seq = store.events.append(vec![event(&main, "1", "a", b"", work())]).await.unwrap()[0].seq;
    assert_eq!(store.events.append(vec![event(&main, "2", "a", b"", work())]).await, Err(StoreError::Backlog(1)));
    assert!(store.events.append(vec![event(&main, "3", "a", b"", Plan::default())]).await.is_ok());
    store.backlog.close_work(seq).await.unwrap();
    store.backlog.close_work(seq).await.unwrap();
    assert_eq!(store.backlog.count(), 0);
    assert!(store.events.append(vec![event(&main, "2", "a", b"", work())]).await.is_ok());
}

#[tokio::test]
async fn a_full_queue_refuses_events_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&StoreOptions { queue: 1, ..StoreOptions::new(dir.path().join("store.redb")) }).unwrap();
    let main = SpaceId::main();
    let sends = (0..200).map(|n| store.events.append(vec![event(&main, &n.to_string(), "a", b"", Plan::default())]));
    let results = futures_util::future::join_all(sends).await;
    let taken = results.iter().filter(|result| result.is_ok()).count();
    assert!(results.contains(&Err(StoreError::Busy)));
    let kept = store.events.events(&main, page(500), &|_| true).unwrap().items.len();
    assert_eq!(kept, taken, "what was refused was not written, what was accepted was");
}

#[tokio::test]
async fn lists_are_paginated() {
    let (_dir, store) = open();
    let main = SpaceId::main();
    for n in 0..7 {
        store.events.append(vec![event(&main, &n.to_string(), "a", b"", Plan::default())]).await.unwrap();
    }
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let part = store.events.events(&main, Page { before, limit: 3 }, &|event| event.id != "3").unwrap();
        seen.extend(part.items.into_iter().map(|(_, event)| event.id));
        before = part.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["6", "5", "4", "2", "1", "0"]);
}

#[test]
fn a_file_that_is_not_a_store_is_refused_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    std::fs::write(&path, b"not a database at all, but long enough to look at").unwrap();
    let Err(error) = Store::open(&StoreOptions::new(&path)) else { panic!("it was opened") };
    assert!(error.to_string().contains("cannot be read as a store"), "{error}");
}

#[test]
fn a_store_that_is_in_use_is_refused_with_the_remedy() {
    let (dir, _store) = open();
    let Err(error) = Store::open(&StoreOptions::new(dir.path().join("store.redb"))) else { panic!("opened twice") };
    assert!(error.to_string().contains("in use"), "{error}");
}

/// A measurement: prints how fast the store accepts events. `cargo test --release -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures"]
async fn appends_per_second() {
    let (_dir, store) = open();
    let main = SpaceId::main();
    for callers in [1_usize, 16, 64, 256] {
        let until = Instant::now() + Duration::from_secs(3);
        let tasks: Vec<_> = (0..callers)
            .map(|_| {
                let (store, main) = (store.clone(), main.clone());
                tokio::spawn(async move {
                    let mut count = 0_u64;
                    while Instant::now() < until {
                        let id = hookwright_model::unique("evt");
                        store
                            .events
                            .append(vec![event(&main, &id, "a", &[b'x'; 1024], Plan::default())])
                            .await
                            .unwrap();
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        let mut total = 0;
        for task in tasks {
            total += task.await.unwrap();
        }
        println!("{callers} callers: {} events/s", total / 3);
    }
}
