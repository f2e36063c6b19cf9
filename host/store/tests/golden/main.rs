//! A store of each format, as the version that introduced the format wrote it. Every later version opens it, reads
//! everything in it, and continues with it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail loudly")]

mod compare;
mod configuration;
mod dump;
mod fixture;
mod journal;
mod records;

use std::collections::BTreeSet;
use std::path::Path;

use hookwright_model::{
    AttemptOutcome, Delivery, DeliveryState, Effects, NewEvent, Plan, Run, RunState, RunStateName, SpaceId,
    StateView as _, Timestamp, Webhook,
};
use hookwright_store::{AttemptCommit, Page, StepCommit, StepCommitted, Store, StoreOptions, Tried, Vault, check};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use fixture::{GENERATE, IN_FLIGHT, KEY, STORE};

/// The time of a golden store in milliseconds: 2026-01-31T12:00:00Z.
const START: i64 = 1_769_860_800_000;
const END: Timestamp = Timestamp::from_millis(i64::MAX);
/// The key in `secret.key`, in hex. It seals nothing else.
const SECRET_KEY: &str = "676f6c64656e676f6c64656e676f6c64656e676f6c64656e676f6c64656e6768";

/// The instant this number of seconds after the golden store's time.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(START + seconds * 1000)
}

/// The second space.
fn other() -> SpaceId {
    "tenant-2".parse().unwrap()
}

/// An object in its stored form.
fn typed<T: DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error}: {value}"))
}

async fn open(dir: &Path) -> (Store, Vault) {
    let store = Store::open(&StoreOptions::new(dir.join(STORE))).unwrap_or_else(|error| panic!("{error}"));
    let vault = store.secrets.open_vault(&dir.join(KEY), None).await.unwrap();
    (store, vault)
}

/// Makes a store that contains everything that a store can contain.
async fn filled(dir: &Path) -> (Store, Vault) {
    fixture::write_private(&dir.join(KEY), SECRET_KEY.as_bytes());
    let (store, vault) = open(dir).await;
    configuration::fill(&store, &vault).await;
    records::fill(&store, &vault).await;
    let in_progress = journal::fill(&store).await;
    store.timetable.note_time(at(3600)).await.unwrap();
    store.close().await;
    drop(store);
    // As a crash leaves it while this event is in flight.
    std::fs::write(dir.join(IN_FLIGHT), in_progress.to_le_bytes()).unwrap();
    let (store, vault) = open(dir).await;
    assert_eq!(store.backlog.interrupted().await.unwrap().get(&in_progress), Some(&1));
    (store, vault)
}

/// Writes the golden store of the present format.
#[tokio::test]
#[ignore = "is executed once, when a format is introduced"]
async fn generate() {
    let folder = fixture::folder(&fixture::present_format().await);
    assert!(!folder.exists(), "{} exists: a golden store is never made again", folder.display());
    let dir = tempfile::tempdir().unwrap();
    let (store, vault) = filled(dir.path()).await;
    let expected = dump::everything(&store, &vault).await;
    store.close().await;
    drop(store);
    fixture::pack(dir.path(), &folder, &expected);
}

/// Describes golden stores that a server of an earlier version made, as this version reads them.
#[tokio::test]
#[ignore = "is executed once, when such a store is added"]
async fn describe() {
    for folder in fixture::all().iter().filter(|folder| !fixture::is_described(folder)) {
        let dir = fixture::unpack(folder);
        let (store, vault) = open(dir.path()).await;
        fixture::describe(folder, &dump::everything(&store, &vault).await);
        store.close().await;
    }
}

#[tokio::test]
async fn a_golden_store_of_every_format_opens_with_everything_in_it() {
    let present = fixture::present_format().await;
    let folder = fixture::folder(&present);
    assert!(
        folder.is_dir(),
        "format {present} has no golden store: run `{GENERATE}` once, and commit {}",
        folder.display()
    );
    for folder in fixture::all() {
        assert_eq!(fixture::folder(&fixture::format_of(&fixture::unpack(&folder).path().join(STORE))), folder);
        let dir = fixture::unpack(&folder);
        let checked = check(&dir.path().join(STORE)).unwrap();
        assert!(checked.intact(), "{}: {checked:?}", folder.display());
        assert_eq!(checked.closed, fixture::has_checksums(&folder), "{}", folder.display());
        let (store, vault) = open(dir.path()).await;
        let found = dump::everything(&store, &vault).await;
        let differences = compare::differences(&fixture::expected(&folder), &found);
        assert!(differences.is_empty(), "{}:\n{}", folder.display(), differences.join("\n"));
        store.close().await;
        drop(store);
        // A migration, if there is one, has left a store that reads the same.
        let (store, vault) = open(dir.path()).await;
        assert_eq!(compare::differences(&found, &dump::everything(&store, &vault).await), [""; 0]);
        store.close().await;
    }
}

/// The only delivery with this message id.
fn delivery(store: &Store, message: &str) -> Delivery {
    let page = Page { before: None, limit: 10 };
    let mut found = store.deliveries.deliveries(&SpaceId::main(), page, &|one| one.message_id == message).unwrap();
    found.items.remove(0)
}

/// The first run in a state.
fn run_in(store: &Store, state: RunStateName) -> Run {
    let page = Page { before: None, limit: 10 };
    store.runs.runs(&SpaceId::main(), page, &|run| run.state.name() == state).unwrap().items.remove(0)
}

#[tokio::test]
async fn a_golden_store_continues_where_it_stopped() {
    let main = SpaceId::main();
    // Those that were generated contain what follows; one that a server made has no checksums.
    for folder in fixture::all().into_iter().filter(|folder| fixture::has_checksums(folder)) {
        let expected = fixture::expected(&folder);
        let dir = fixture::unpack(&folder);
        let (store, _) = open(dir.path()).await;

        let last = store.spaces().iter().filter_map(|space| store.events.last_seq(space).unwrap()).max().unwrap();
        let event = journal::event(&main, "evt-after", "order.paid", 7200, br#"{"after": true}"#);
        let appended = store.events.append(vec![NewEvent { event, plan: Plan::default() }]).await.unwrap();
        assert_eq!((appended[0].seq, appended[0].repeat), (last + 1, false), "the journal is counted on");
        let known = journal::event(&main, "evt-plain", "order.paid", 7200, b"{}");
        let again = store.events.append(vec![NewEvent { event: known, plan: Plan::default() }]).await.unwrap();
        assert!(again[0].repeat && again[0].changed && again[0].seq < last, "{again:?}");

        let (waiting, open_work) = (store.backlog.count(), store.backlog.work(0, 100).unwrap());
        let undecided = open_work.iter().find(|work| store.runs.runs_of(&work.space, work.seq).unwrap().is_empty());
        let closed = undecided.unwrap().seq;
        store.backlog.close_work(closed).await.unwrap();
        assert_eq!((store.backlog.count(), open_work.len()), (waiting - 1, waiting));

        let (head, behind) = (delivery(&store, "msg-head"), delivery(&store, "msg-behind"));
        assert_eq!((behind.state, behind.next_attempt_at), (DeliveryState::Pending, None), "it waits for the head");
        let outcome = AttemptOutcome::Answered { status: 204, headers: vec![], body: String::new() };
        let tries = vec![journal::tried(&head, 7200, outcome, DeliveryState::Delivered, None)];
        assert_eq!(record(&store, 7200, tries).await, 1);
        assert_eq!(delivery(&store, "msg-behind").next_attempt_at, Some(at(7200)), "its turn has come");

        let waits = run_in(&store, RunStateName::Waiting);
        let ended = Run { state: RunState::Done { at: at(7200) }, open_steps: vec![], ..waits.clone() };
        let step = StepCommit { run: ended, item: None, effects: Effects::default() };
        assert!(matches!(store.runs.complete_step(step).await.unwrap(), StepCommitted::Done(_)));
        assert!(store.runs.release(&main, journal::AWAITED, at(7200), 10).await.unwrap() > 0, "parked runs continue");

        let highest = |kind: &str| {
            let (found, _) = store.records.records(&main, kind, None, 1, &|_| true).unwrap();
            found[0].value["id"].as_u64().unwrap()
        };
        for kind in ["ticket", "order"] {
            assert!(store.next_id(&main, kind).unwrap() > highest(kind), "no {kind} gets an id a second time");
        }
        let numbers: BTreeSet<u64> = store.webhooks.webhooks(&main).unwrap().iter().map(|one| one.number).collect();
        let new: Webhook = typed(&configuration::webhook("whk_new", &main, &json!({})));
        store.webhooks.put_webhook(&new).await.unwrap();
        let new = store.webhooks.webhooks(&main).unwrap().into_iter().find(|one| one.id == new.id).unwrap();
        assert!(new.number > *numbers.last().unwrap() + 1, "the number of the deleted webhook is not used again");

        store.close().await;
        drop(store);
        let (store, vault) = open(dir.path()).await;
        let event = store.events.event_at(&main, last + 1).unwrap().unwrap();
        assert_eq!((event.id.as_str(), event.payload.as_ref()), ("evt-after", br#"{"after": true}"#.as_slice()));
        assert_eq!((store.backlog.work_of(closed), store.backlog.count()), (Ok(None), waiting - 1));
        assert_eq!(delivery(&store, "msg-head").state, DeliveryState::Delivered);
        let found = dump::everything(&store, &vault).await;
        for (space, sections) in expected["spaces"].as_object().unwrap() {
            for section in dump::LASTING {
                let differences = compare::differences(&sections[section], &found["spaces"][space][section]);
                assert!(differences.is_empty(), "{section} of {space}:\n{}", differences.join("\n"));
            }
        }
        store.close().await;
    }
}

async fn record(store: &Store, seconds: i64, tries: Vec<Tried>) -> usize {
    let (space, now) = (SpaceId::main(), at(seconds));
    let commit = AttemptCommit { space, now, tries, webhook: None, events: vec![], mails: vec![] };
    store.attempts.record_attempts(commit).await.unwrap()
}

/// The states of the objects in a section, over all spaces.
fn states(dump: &Value, section: &str) -> BTreeSet<String> {
    let spaces = dump["spaces"].as_object().unwrap().values();
    let objects = spaces.flat_map(|space| space[section].as_array().unwrap());
    objects.map(|one| one["state"].as_str().unwrap().to_owned()).collect()
}

fn names<const COUNT: usize>(names: [&str; COUNT]) -> BTreeSet<String> {
    names.map(str::to_owned).into_iter().collect()
}

#[tokio::test]
async fn a_generated_store_has_rows_in_every_table_and_objects_in_every_state() {
    let dir = tempfile::tempdir().unwrap();
    let (store, vault) = filled(dir.path()).await;
    let first = dump::everything(&store, &vault).await;
    store.close().await;
    drop(store);
    let checked = check(&dir.path().join(STORE)).unwrap();
    assert!(checked.intact() && checked.closed, "{checked:?}");
    let empty: Vec<&String> = checked.tables.iter().filter(|(_, rows)| *rows == 0).map(|(name, _)| name).collect();
    assert_eq!(empty, [""; 0], "the generator puts nothing into these tables");
    let runs = ["cancelled", "done", "failed", "parked", "queued", "running", "skipped", "waiting"];
    assert_eq!(states(&first, "runs"), names(runs));
    assert_eq!(states(&first, "deliveries"), names(["dead", "delivered", "dropped", "parked", "pending"]));
    assert_eq!(states(&first, "mails"), names(["failed", "kept", "queued", "sent"]));

    let (store, vault) = open(dir.path()).await;
    assert_eq!(dump::everything(&store, &vault).await, first, "it reads the same after it was reopened");
    store.close().await;
    let second = tempfile::tempdir().unwrap();
    let (store, vault) = filled(second.path()).await;
    let differences = compare::differences(&first, &dump::everything(&store, &vault).await);
    assert!(differences.is_empty(), "the generator is deterministic:\n{}", differences.join("\n"));
    store.close().await;
}
