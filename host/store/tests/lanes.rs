//! Runs in a lane begin in the order of the journal, with limited concurrency.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail loudly")]

use hookwright_model::{
    AutomationId, Decision, Effects, EventDraft, ItemRecord, Lane, NewEvent, NewLane, Plan, Progress, Run, RunId,
    RunState, RunStateName, SpaceId, StepOutcome, Timestamp,
};
use hookwright_store::{DueItem, StepCommit, StepCommitted, Store, StoreOptions};
use serde_json::json;
use tempfile::TempDir;

fn open() -> (TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&StoreOptions::new(dir.path().join("store.redb"))).unwrap();
    (dir, store)
}

/// Accepts an event whose one run is in the lane `key`. Returns its position in the journal.
async fn accept(store: &Store, key: &str) -> u64 {
    let event = EventDraft::json("a.b", "test", None, &json!({}), None)
        .accept(&SpaceId::main(), Timestamp::from_millis(0))
        .unwrap();
    let lanes = vec![NewLane { ordinal: 0, key: key.to_owned() }];
    let plan = Plan { automations: vec![AutomationId::from("aut_1")], lanes, ..Plan::default() };
    store.events.append(vec![NewEvent { event, plan }]).await.unwrap()[0].seq
}

fn run(seq: u64, key: &str, most: u32, state: RunState) -> Run {
    Run {
        id: RunId { seq, ordinal: 0 },
        space: SpaceId::main(),
        event: "e".into(),
        event_type: "a.b".into(),
        subject: None,
        automation: AutomationId::from("aut_1"),
        automation_name: "n".into(),
        revision: 1,
        decision: Decision { fired: state == RunState::Running, reason: String::new(), conditions: vec![] },
        state,
        steps: vec![],
        next_step: 0,
        tries: 0,
        open_steps: vec![],
        progress: Progress::default(),
        wait: None,
        lane: Some(Lane { key: key.to_owned(), most }),
        resumed: false,
        version: 0,
        created_at: Timestamp::from_millis(10),
    }
}

async fn decide(store: &Store, run: Run) -> RunStateName {
    let seq = run.id.seq;
    store.runs.decide(&SpaceId::main(), seq, vec![run.into()]).await.unwrap()[0].run.state.name()
}

fn state(store: &Store, seq: u64) -> RunStateName {
    store.runs.run(&SpaceId::main(), RunId { seq, ordinal: 0 }).unwrap().unwrap().state.name()
}

async fn commit(store: &Store, run: Run, item: Option<(u32, ItemRecord)>) -> StepCommitted {
    store.runs.complete_step(StepCommit { run, item, effects: Effects::default() }).await.unwrap()
}

async fn end(store: &Store, run: Run) {
    let stored = store.runs.run(&run.space, run.id).unwrap().unwrap();
    let ended = Run { state: RunState::Done { at: Timestamp::from_millis(20) }, version: stored.version, ..run };
    assert!(matches!(commit(store, ended, None).await, StepCommitted::Done(_)));
}

fn due(store: &Store) -> Vec<u64> {
    let due = store.timetable.due(Timestamp::from_millis(i64::MAX - 1), 100).unwrap();
    due.iter().map(|due| if let DueItem::Run(id) = due.item { id.seq } else { panic!("{due:?}") }).collect()
}

#[tokio::test]
async fn a_run_waits_for_earlier_runs_of_its_key_even_if_decided_first() {
    let (_dir, store) = open();
    let (first, second, third) = (accept(&store, "k").await, accept(&store, "k").await, accept(&store, "k").await);
    let other = accept(&store, "other").await;
    assert_eq!(decide(&store, run(second, "k", 1, RunState::Running)).await, RunStateName::Queued);
    assert_eq!(decide(&store, run(other, "other", 1, RunState::Running)).await, RunStateName::Running);
    assert_eq!(decide(&store, run(first, "k", 1, RunState::Running)).await, RunStateName::Running);
    assert_eq!(decide(&store, run(third, "k", 1, RunState::Running)).await, RunStateName::Queued);
    assert_eq!(due(&store), [0_u64; 0]);
    // Waiting runs have no work that is due at once.
    let open: Vec<u64> = store.backlog.work(0, 10).unwrap().iter().map(|work| work.seq).collect();
    assert_eq!(open, [first, other]);

    end(&store, run(first, "k", 1, RunState::Running)).await;
    assert_eq!((state(&store, second), state(&store, third)), (RunStateName::Waiting, RunStateName::Queued));
    assert_eq!(due(&store), [second]);
}

#[tokio::test]
async fn a_run_that_does_not_fire_releases_the_next_one() {
    let (_dir, store) = open();
    let (first, second) = (accept(&store, "k").await, accept(&store, "k").await);
    assert_eq!(decide(&store, run(second, "k", 1, RunState::Running)).await, RunStateName::Queued);
    assert_eq!(
        decide(&store, run(first, "k", 1, RunState::Skipped { at: Timestamp::from_millis(10) })).await,
        RunStateName::Skipped
    );
    assert_eq!((state(&store, second), due(&store)), (RunStateName::Waiting, vec![second]));
}

#[tokio::test]
async fn the_concurrency_limit_bounds_runs_in_progress() {
    let (_dir, store) = open();
    let mut seqs = Vec::new();
    for _ in 0..4 {
        seqs.push(accept(&store, "k").await);
    }
    let mut states = Vec::new();
    for seq in &seqs {
        states.push(decide(&store, run(*seq, "k", 2, RunState::Running)).await);
    }
    assert_eq!(states, [RunStateName::Running, RunStateName::Running, RunStateName::Queued, RunStateName::Queued]);
    end(&store, run(seqs[1], "k", 2, RunState::Running)).await;
    assert_eq!((state(&store, seqs[2]), state(&store, seqs[3])), (RunStateName::Waiting, RunStateName::Queued));
}

#[tokio::test]
async fn a_position_in_a_concurrency_group_survives_a_restart() {
    let (dir, store) = open();
    let (first, second) = (accept(&store, "k").await, accept(&store, "k").await);
    decide(&store, run(first, "k", 1, RunState::Running)).await;
    decide(&store, run(second, "k", 1, RunState::Running)).await;
    store.close().await;
    drop(store);
    let store = Store::open(&StoreOptions::new(dir.path().join("store.redb"))).unwrap();
    assert_eq!(state(&store, second), RunStateName::Queued);
    end(&store, run(first, "k", 1, RunState::Running)).await;
    assert_eq!(due(&store), [second]);
}

#[tokio::test]
async fn an_item_is_recorded_atomically_with_its_step() {
    let (_dir, store) = open();
    let seq = accept(&store, "k").await;
    let first = run(seq, "k", 1, RunState::Running);
    decide(&store, first.clone()).await;
    let item = |index: u32| ItemRecord {
        index,
        outcome: StepOutcome::Done { result: json!(index) },
        effects: vec![],
        events: vec![],
        log: vec![],
        attempts: 1,
        started_at: Timestamp::from_millis(0),
        duration_us: 1,
        reruns: 0,
    };
    let at = |item: u32| Run { progress: Progress { item, items: 3, bytes: 0 }, ..first.clone() };
    let done = commit(&store, at(1), Some((0, item(0)))).await;
    let StepCommitted::Done(stored) = done else { panic!("{done:?}") };
    assert_eq!(stored.version, 1);
    // The same again, as after a crash of a task that did not know: the run is at the next item already.
    assert!(matches!(commit(&store, at(1), Some((0, item(9)))).await, StepCommitted::Superseded));
    let next = Run { version: 1, ..at(2) };
    assert!(matches!(commit(&store, next, Some((0, item(1)))).await, StepCommitted::Done(_)));
    let items = store.runs.items(&SpaceId::main(), first.id).unwrap();
    let indices: Vec<(u32, u32)> = items.iter().map(|(step, item)| (*step, item.index)).collect();
    assert_eq!(indices, [(0, 0), (0, 1)]);
}

#[tokio::test]
async fn an_ended_run_is_no_longer_due() {
    let (_dir, store) = open();
    let seq = accept(&store, "k").await;
    let until = Timestamp::from_millis(50);
    let state = RunState::Waiting { until, since: None, plugin: None };
    let waiting = Run { state, ..run(seq, "k", 1, RunState::Running) };
    decide(&store, waiting.clone()).await;
    assert_eq!(due(&store), [seq]);
    end(&store, waiting).await;
    assert_eq!(due(&store), [0_u64; 0]);
}
