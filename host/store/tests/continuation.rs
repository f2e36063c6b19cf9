//! Every run that has not ended has a row by which it is continued, whatever happens between two commits.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail loudly")]

use std::path::PathBuf;

use hookwright_model::{
    AutomationId, Effects, Event, EventDraft, Lane, NewEvent, NewLane, Plan, Run, RunId, RunState, SpaceId, Timestamp,
};
use hookwright_store::{DueItem, StepCommit, StepCommitted, Store, StoreOptions};
use redb::{Database, TableDefinition, WriteTransaction};
use serde_json::{Value, json};
use tempfile::TempDir;

const DUE: TableDefinition<'_, (i64, u32, u64, u32, u8), ()> = TableDefinition::new("due");
const PARKED: TableDefinition<'_, (u32, &str, u64, u32), ()> = TableDefinition::new("parked");
const WORK: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("work");
const LANES: TableDefinition<'_, (u32, &str, u64, u32), ()> = TableDefinition::new("lanes");
const RUNS: TableDefinition<'_, (u32, u64, u32), &[u8]> = TableDefinition::new("runs");
const LIVE: TableDefinition<'_, (u32, u64, u32), ()> = TableDefinition::new("live");
const META: TableDefinition<'_, &str, &str> = TableDefinition::new("meta");

const NOW: Timestamp = Timestamp::from_millis(1_000_000);
const LATER: Timestamp = Timestamp::from_millis(1_060_000);
const PLUGIN: &str = "gone";

struct Scene {
    dir: TempDir,
    store: Store,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&StoreOptions::new(dir.path().join("store.redb"))).unwrap();
        Self { dir, store }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("store.redb")
    }

    /// Stops, applies `change` to the file, and starts again.
    async fn restart(self, change: impl FnOnce(&Database)) -> Self {
        let path = self.path();
        self.store.close().await;
        drop(self.store);
        let db = Database::open(&path).unwrap();
        change(&db);
        drop(db);
        // The checksums and the log belong to the file as the store left it.
        std::fs::remove_file(path.with_extension("redb.sums")).unwrap();
        std::fs::remove_dir_all(self.dir.path().join("commit-log")).unwrap();
        Self { dir: self.dir, store: Store::open(&StoreOptions::new(path)).unwrap() }
    }

    /// Accepts an event for this number of automations, all of which fire.
    async fn fired(&self, automations: u32, key: Option<&str>) -> Vec<Run> {
        let event = event();
        let ids = (0..automations).map(|n| AutomationId::from(format!("aut_{n}").as_str())).collect();
        let lanes = key.map(|key| NewLane { ordinal: 0, key: key.to_owned() }).into_iter().collect();
        let plan = Plan { automations: ids, lanes, ..Plan::default() };
        let seq = self.store.events.append(vec![NewEvent { event: event.clone(), plan }]).await.unwrap()[0].seq;
        let runs = (0..automations).map(|ordinal| {
            let automation = AutomationId::from(format!("aut_{ordinal}").as_str());
            let mut run = Run::undecided_for(&event, RunId { seq, ordinal }, automation, "n".to_owned());
            run.decision.fired = true;
            run.lane = key.map(|key| Lane { key: key.to_owned(), most: 1 });
            run
        });
        let runs = runs.map(Into::into).collect();
        let begun = self.store.runs.decide(&SpaceId::main(), seq, runs).await.unwrap();
        begun.into_iter().map(|begun| begun.run).collect()
    }

    async fn commit(&self, run: Run) -> Run {
        let step = StepCommit { run, item: None, effects: Effects::default() };
        match self.store.runs.complete_step(step).await.unwrap() {
            StepCommitted::Done(run) => *run,
            other => panic!("{other:?}"),
        }
    }

    fn due(&self, now: Timestamp) -> Vec<RunId> {
        let due = self.store.timetable.due(now, 100).unwrap().into_iter();
        due.map(|due| if let DueItem::Run(id) = due.item { id } else { panic!("{due:?}") }).collect()
    }

    fn run(&self, id: RunId) -> Run {
        self.store.runs.run(&SpaceId::main(), id).unwrap().unwrap()
    }

    fn open_work(&self) -> Vec<u64> {
        self.store.backlog.work(0, 100).unwrap().iter().map(|work| work.seq).collect()
    }
}

fn event() -> Event {
    EventDraft::json("a.b", "test", None, &json!({}), None).accept(&SpaceId::main(), NOW).unwrap()
}

fn running(run: &Run) -> Run {
    Run { state: RunState::Running, ..run.clone() }
}

fn waiting(run: &Run, at: Timestamp) -> Run {
    Run { state: RunState::Waiting { until: at, since: None, plugin: None }, ..run.clone() }
}

fn parked(run: &Run) -> Run {
    Run { state: RunState::Parked { plugin: PLUGIN.to_owned() }, ..run.clone() }
}

fn ended(run: &Run) -> Run {
    Run { state: RunState::Done { at: NOW }, ..run.clone() }
}

#[tokio::test]
async fn each_commit_writes_the_row_of_the_runs_state() {
    let scene = Scene::new();
    let main = SpaceId::main();
    let parked_now = || scene.store.runs.parked(&main, PLUGIN, 10).unwrap();
    let run = scene.fired(1, None).await.remove(0);
    assert_eq!((scene.open_work(), scene.due(LATER), parked_now()), (vec![run.id.seq], vec![], 0), "the event's work");

    let run = scene.commit(waiting(&run, LATER)).await;
    assert_eq!((scene.open_work(), scene.due(NOW), scene.due(LATER)), (vec![], vec![], vec![run.id]), "a wait");

    let run = scene.commit(running(&run)).await;
    assert_eq!(scene.due(Timestamp::from_millis(0)), [run.id], "under way after a wait: due, whatever the clock shows");
    let run = scene.commit(running(&run)).await;
    assert_eq!(scene.due(LATER), [run.id], "one row, however many steps it takes");

    let run = scene.commit(parked(&run)).await;
    assert_eq!((scene.due(LATER), parked_now()), (vec![], 1));
    assert_eq!(scene.store.runs.release(&main, PLUGIN, NOW, 10).await.unwrap(), 1);
    let released = RunState::Waiting { until: NOW, since: Some(NOW), plugin: None };
    assert_eq!((scene.due(NOW), parked_now(), scene.run(run.id).state), (vec![run.id], 0, released));

    let run = scene.run(run.id);
    let run = scene.commit(waiting(&run, LATER)).await;
    assert_eq!((scene.due(NOW), scene.due(LATER)), (vec![], vec![run.id]), "the row moves with the time");
    let run = scene.commit(running(&run)).await;
    scene.commit(ended(&run)).await;
    assert_eq!(
        (scene.open_work(), scene.due(LATER), parked_now(), scene.store.backlog.count()),
        (vec![], vec![], 0, 0)
    );
}

#[tokio::test]
async fn the_last_run_of_an_event_closes_its_work() {
    for last in [waiting as fn(&Run, Timestamp) -> Run, |run, _| parked(run), |run, _| ended(run)] {
        let scene = Scene::new();
        let runs = scene.fired(3, None).await;
        let seq = runs[0].id.seq;
        scene.commit(waiting(&runs[0], LATER)).await;
        assert_eq!(scene.open_work(), [seq]);
        // It continues while the others are still executed: it is no longer part of their event's work.
        let back = scene.commit(running(&scene.run(runs[0].id))).await;
        assert!(!back.in_work());
        scene.commit(ended(&runs[1])).await;
        assert_eq!(scene.open_work(), [seq]);
        scene.commit(last(&runs[2], LATER)).await;
        assert_eq!(scene.open_work(), [0_u64; 0]);
        assert_eq!(scene.store.backlog.count(), 0);
        assert!(scene.due(LATER).contains(&runs[0].id));
    }
}

#[tokio::test]
async fn a_commit_on_a_stale_run_is_refused() {
    let scene = Scene::new();
    let run = scene.fired(1, None).await.remove(0);
    let mine = scene.commit(waiting(&run, LATER)).await;
    let late = StepCommit { run: ended(&run), item: None, effects: Effects::default() };
    assert!(matches!(scene.store.runs.complete_step(late).await.unwrap(), StepCommitted::Superseded));
    assert_eq!(scene.run(run.id).version, mine.version);
    scene.commit(ended(&mine)).await;
    let after = StepCommit { run: scene.run(run.id), item: None, effects: Effects::default() };
    assert!(matches!(scene.store.runs.complete_step(after).await.unwrap(), StepCommitted::Superseded), "it has ended");
}

/// The row of a run as formats before 6 had it: JSON without a head.
fn without_head(row: &[u8]) -> Value {
    const TIMES: [u8; 2] = [4, 8];
    let (flags, state) = (row[1], row[2]);
    // The states without a time are 1, 3 and 4.
    let times = TIMES.iter().filter(|flag| flags & **flag != 0).count() + usize::from(![1, 3, 4].contains(&state));
    let mut json = &row[11 + 8 * times..];
    if flags & 16 != 0 {
        json = &json[2 + usize::from(u16::from_le_bytes([json[0], json[1]]))..];
    }
    let mut run: Value = serde_json::from_slice(json).unwrap();
    run["resumed"] = (flags & 1 != 0).into();
    run["version"] = u64::from_le_bytes(row[3..11].try_into().unwrap()).into();
    run
}

/// Gives the rows of all runs the form of earlier formats, without these fields.
fn remove_fields(transaction: &WriteTransaction, removed: &[&str]) {
    let mut runs = transaction.open_table(RUNS).unwrap();
    let old: Vec<((u32, u64, u32), Value)> = redb::ReadableTable::iter(&runs)
        .unwrap()
        .map(|row| row.map(|(key, row)| (key.value(), without_head(row.value()))).unwrap())
        .collect();
    for (key, mut run) in old {
        run.as_object_mut().unwrap().retain(|name, _| !removed.contains(&name.as_str()));
        runs.insert(key, serde_json::to_vec(&run).unwrap().as_slice()).unwrap();
    }
}

/// As earlier versions left a store: runs that continued after a wait, a plugin or a lane have lost their rows.
fn orphan_as_format_2(db: &Database) {
    let transaction = db.begin_write().unwrap();
    {
        transaction.open_table(DUE).unwrap().retain(|_, ()| false).unwrap();
        transaction.open_table(PARKED).unwrap().retain(|_, ()| false).unwrap();
        remove_fields(&transaction, &["resumed", "version"]);
        transaction.open_table(META).unwrap().insert("format", "2").unwrap();
    }
    transaction.delete_table(LIVE).unwrap();
    transaction.commit().unwrap();
}

#[tokio::test]
async fn opening_repairs_runs_without_a_continuation() {
    let scene = Scene::new();
    let main = SpaceId::main();
    let untouched = scene.fired(1, None).await.remove(0);
    let one = scene.fired(1, None).await.remove(0);
    let back = scene.commit(waiting(&one, NOW)).await;
    let back = scene.commit(running(&back)).await;
    let one = scene.fired(1, None).await.remove(0);
    let waits = scene.commit(waiting(&one, LATER)).await;
    let one = scene.fired(1, None).await.remove(0);
    let parks = scene.commit(parked(&one)).await;
    let one = scene.fired(1, None).await.remove(0);
    let over = scene.commit(ended(&one)).await;

    let scene = scene.restart(orphan_as_format_2).await;
    assert_eq!(scene.open_work(), [untouched.id.seq], "the event's work goes on as it was");
    assert_eq!(scene.due(NOW), [back.id], "it goes on at once");
    assert_eq!(scene.due(LATER), [back.id, waits.id], "at its own time");
    assert_eq!(scene.store.runs.parked(&main, PLUGIN, 10).unwrap(), 1);
    assert_eq!((scene.run(over.id).state, scene.run(parks.id).state), (over.state, parks.state));
    for run in [back.id, waits.id] {
        let run = scene.run(run);
        scene.commit(ended(&run)).await;
    }
    assert_eq!(scene.due(LATER), []);
}

#[tokio::test]
async fn every_start_finds_a_lost_row() {
    let scene = Scene::new();
    let run = scene.fired(1, None).await.remove(0);
    let waits = scene.commit(waiting(&run, LATER)).await;
    let scene = scene
        .restart(|db| {
            let transaction = db.begin_write().unwrap();
            transaction.open_table(DUE).unwrap().retain(|_, ()| false).unwrap();
            transaction.commit().unwrap();
        })
        .await;
    assert_eq!((scene.due(NOW), scene.due(LATER)), (vec![], vec![waits.id]));
}

#[tokio::test]
async fn runs_whose_rows_lack_the_data_of_their_state_continue_after_a_restart() {
    let scene = Scene::new();
    let (one, other) = (scene.fired(1, None).await.remove(0), scene.fired(1, None).await.remove(0));
    let (waits, parks) = (scene.commit(waiting(&one, LATER)).await, scene.commit(parked(&other)).await);
    let scene = scene
        .restart(|db| {
            let transaction = db.begin_write().unwrap();
            remove_fields(&transaction, &["retry_at", "waits_for"]);
            transaction.commit().unwrap();
        })
        .await;
    let due = scene.due(Timestamp::from_millis(0));
    assert!(due.contains(&waits.id) && due.contains(&parks.id), "{due:?}");
    for run in [waits.id, parks.id] {
        scene.commit(running(&scene.run(run))).await;
        scene.commit(ended(&scene.run(run))).await;
    }
    assert_eq!(scene.due(NOW), []);
}

#[tokio::test]
async fn a_queued_run_whose_turn_has_come_starts_after_a_restart() {
    let scene = Scene::new();
    let (first, second) = (scene.fired(1, Some("k")).await.remove(0), scene.fired(1, Some("k")).await.remove(0));
    let third = scene.fired(1, Some("k")).await.remove(0);
    assert_eq!((first.state, second.state), (RunState::Running, RunState::Queued));
    // The previous run has left the lane, and nothing has started the next one.
    let scene = scene
        .restart(|db| {
            let transaction = db.begin_write().unwrap();
            transaction.open_table(LANES).unwrap().retain(|(_, _, seq, _), ()| seq != first.id.seq).unwrap();
            transaction.open_table(WORK).unwrap().remove(first.id.seq).unwrap();
            transaction.commit().unwrap();
        })
        .await;
    assert_eq!(scene.due(NOW), [second.id]);
    assert_eq!(scene.run(third.id).state, RunState::Queued, "it waits for the second");
}
