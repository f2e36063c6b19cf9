//! Migration of a file of an earlier format. The rows are written here as the earlier version wrote them.

use std::path::Path;
use std::time::Duration;

use hookwright_model::{
    Clock as _, DeliveryId, DeliveryState, IdempotencyKey, KeyedRequest, Made, SpaceId, SystemClock,
};
use hookwright_store::{AttemptQuery, DueItem, KeyWindow, Known, Page, Store, StoreOptions};
use redb::{Database, ReadableDatabase as _, ReadableTableMetadata as _, TableDefinition};
use serde_json::json;

use crate::webhooks::{self, webhook};
use crate::{END, at, delivered, get, queue, queued, record, to};

const SPACES: TableDefinition<'_, &str, u32> = TableDefinition::new("spaces");
const META: TableDefinition<'_, &str, &str> = TableDefinition::new("meta");
const COUNTERS: TableDefinition<'_, (u32, &str), u64> = TableDefinition::new("counters");
const CONFIG: TableDefinition<'_, (u32, &str, &str), &[u8]> = TableDefinition::new("config");
const DELIVERIES: TableDefinition<'_, (u32, u64, u32), &[u8]> = TableDefinition::new("deliveries");
const ATTEMPTS: TableDefinition<'_, (u32, u64, u32, u32), &[u8]> = TableDefinition::new("attempts");
const IDEMPOTENCY_KEYS: TableDefinition<'_, (u32, &str), &[u8]> = TableDefinition::new("idempotency_keys");
const DUE: TableDefinition<'_, (i64, u32, u64, u32, u8), ()> = TableDefinition::new("due");

const CREATED: &str = "2026-01-31T12:00:00.000Z";
/// The same in milliseconds.
const CREATED_MS: i64 = 1_769_860_800_000;

fn old_webhook(id: &str, space: &str, state: &str) -> Vec<u8> {
    let row = json!({
        "id": id, "space": space, "url": "https://example.com/hook", "events": ["ticket.*"], "description": "d",
        "secret": format!("sealed of {id}"), "retry": {"delays_seconds": [5, 60], "jitter": 0.2}, "timeout_ms": 15000,
        "state": state, "created_at": CREATED, "updated_at": CREATED
    });
    row.to_string().into_bytes()
}

fn old_delivery(space: &str, seq: u64, ordinal: u32, webhook: &str, state: &str, attempts: u32) -> Vec<u8> {
    let mut row = json!({
        "id": format!("dlv_{seq}_{ordinal}"), "space": space, "event": format!("evt_{seq}"), "event_type": "ticket.made",
        "webhook": webhook, "message_id": format!("msg_{seq}_{ordinal}"), "state": state, "attempts": attempts,
        "next_attempt_at": null, "created_at": CREATED
    });
    if state == "pending" {
        row["next_attempt_at"] = format!("2026-01-31T12:00:{seq:02}.000Z").into();
    } else {
        row["finished_at"] = "2026-01-31T12:00:30.000Z".into();
    }
    row.to_string().into_bytes()
}

fn old_attempt(number: u32, second: u32, status: u16) -> Vec<u8> {
    let row = json!({
        "number": number, "started_at": format!("2026-01-31T12:00:{second:02}.000Z"), "duration_ms": 12,
        "url": "https://example.com/hook", "request_headers": [["webhook-id", "msg"]], "request_body": "{}",
        "outcome": {"kind": "answered", "status": status, "headers": [], "body": "x"}
    });
    row.to_string().into_bytes()
}

/// A file of format 1: two spaces, four webhooks of which one is deleted, deliveries pending and finished.
fn write_format_1(path: &Path) {
    let db = Database::create(path).unwrap();
    let transaction = db.begin_write().unwrap();
    {
        let mut meta = transaction.open_table(META).unwrap();
        meta.insert("format", "1").unwrap();
        meta.insert("instance", "hw_old").unwrap();
        let mut spaces = transaction.open_table(SPACES).unwrap();
        spaces.insert("main", 1).unwrap();
        spaces.insert("other", 2).unwrap();
        transaction.open_table(COUNTERS).unwrap().insert((0, "seq"), 3000).unwrap();
        let mut config = transaction.open_table(CONFIG).unwrap();
        config.insert((1, "webhook", "whk_a"), old_webhook("whk_a", "main", "active").as_slice()).unwrap();
        config.insert((1, "webhook", "whk_b"), old_webhook("whk_b", "main", "disabled").as_slice()).unwrap();
        config.insert((2, "webhook", "whk_c"), old_webhook("whk_c", "other", "active").as_slice()).unwrap();
        config.insert((1, "source", "webhook"), b"{}".as_slice()).unwrap();
        let mut deliveries = transaction.open_table(DELIVERIES).unwrap();
        let mut due = transaction.open_table(DUE).unwrap();
        for (number, space, seq, ordinal, webhook, state, attempts) in [
            (1, "main", 1, 0, "whk_a", "pending", 1),
            (1, "main", 1, 1, "whk_b", "delivered", 1),
            (1, "main", 2, 0, "whk_gone", "pending", 0),
            (2, "other", 3, 0, "whk_c", "dead", 2),
            (2, "other", 4, 0, "whk_c", "pending", 0),
        ] {
            let row = old_delivery(space, seq, ordinal, webhook, state, attempts);
            deliveries.insert((number, seq, ordinal), row.as_slice()).unwrap();
            if state == "pending" {
                due.insert((CREATED_MS + i64::try_from(seq).unwrap() * 1000, number, seq, ordinal, 0), ()).unwrap();
            }
        }
        // More than are read at once.
        for seq in 10..2500 {
            let row = old_delivery("main", seq, 0, "whk_a", "dead", 0);
            deliveries.insert((1, seq, 0), row.as_slice()).unwrap();
        }
        due.insert((77, 1, 5, 0, 1), ()).unwrap();
        due.insert((78, 1, 6, 0, 2), ()).unwrap();
        let mut attempts = transaction.open_table(ATTEMPTS).unwrap();
        attempts.insert((1, 1, 0, 1), old_attempt(1, 5, 500).as_slice()).unwrap();
        attempts.insert((1, 1, 1, 1), old_attempt(1, 6, 204).as_slice()).unwrap();
        attempts.insert((2, 3, 0, 1), old_attempt(1, 7, 500).as_slice()).unwrap();
        attempts.insert((2, 3, 0, 2), old_attempt(2, 8, 410).as_slice()).unwrap();
    }
    transaction.commit().unwrap();
}

fn all() -> AttemptQuery<'static> {
    AttemptQuery { from: None, until: None, queue: None, succeeded: None, status: None, keep: &|_, _| true }
}

#[tokio::test]
async fn a_file_of_format_1_is_migrated_to_the_newest() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    write_format_1(&path);
    let (main, other): (SpaceId, SpaceId) = (SpaceId::main(), "other".parse().unwrap());
    for opening in 0..2 {
        let store = Store::open(&StoreOptions::new(&path)).unwrap();
        assert_eq!(store.instance_id(), "hw_old");
        let hooks = store.webhooks.webhooks(&main).unwrap();
        let seen: Vec<_> = hooks.iter().map(|hook| (hook.id.as_str(), hook.number, hook.enabled)).collect();
        assert_eq!(seen, [("whk_a", 1, true), ("whk_b", 2, false)], "{opening}");
        let key = &hooks[0].keys[0];
        assert_eq!((key.id.as_str(), key.sealed.as_str()), ("k1", "sealed of whk_a"));
        assert_eq!((hooks[0].keys.len(), key.created_at, key.expires_at), (1, at(CREATED_MS), None));
        assert_eq!((hooks[0].retry.delays_seconds.as_slice(), hooks[0].description.as_str()), (&[5, 60][..], "d"));
        assert_eq!(webhooks::stored(&store, &other, "whk_c").unwrap().number, 1);

        let (a, gone, c) = (DeliveryId { seq: 1, ordinal: 0 }, DeliveryId { seq: 2, ordinal: 0 }, 4);
        assert_eq!(store.queues.queued(&main, 1, END, 10).unwrap(), [(at(CREATED_MS + 1000), a)]);
        assert_eq!(store.queues.queued(&main, 0, END, 10).unwrap(), [(at(CREATED_MS + 2000), gone)], "to be given up");
        let c = DeliveryId { seq: c, ordinal: 0 };
        assert_eq!(store.queues.queued(&other, 1, END, 10).unwrap(), [(at(CREATED_MS + 4000), c)]);
        assert_eq!(store.queues.queues().unwrap().len(), 3);
        let due: Vec<_> = store.timetable.due(END, 10).unwrap().into_iter().map(|due| due.item).collect();
        assert!(matches!(due[..], [DueItem::Run(run), DueItem::Mail(6)] if run.seq == 5), "{due:?}");
        let delivery = get(&store, a);
        assert_eq!((delivery.queue, delivery.attempts, delivery.message_id.as_str()), (1, 1, "msg_1_0"));
        assert_eq!(get(&store, DeliveryId { seq: 2499, ordinal: 0 }).queue, 1);

        let part = store.attempts.attempt_log(&main, &all(), Page { before: None, limit: 10 }).unwrap();
        let log: Vec<_> = part.items.iter().map(|(d, a)| (d.queue, a.outcome.status())).collect();
        assert_eq!(log, [(2, Some(204)), (1, Some(500))]);
        let query = AttemptQuery { queue: Some(1), status: Some(410), ..all() };
        assert_eq!(
            store.attempts.attempt_log(&other, &query, Page { before: None, limit: 10 }).unwrap().items.len(),
            1
        );
        assert_eq!(store.attempts.attempt_count().unwrap(), 4);
        store.close().await;
    }
    let db = Database::open(&path).unwrap();
    let read = db.begin_read().unwrap();
    assert_eq!(read.open_table(META).unwrap().get("format").unwrap().unwrap().value(), "6");
    assert_eq!(read.open_table(DUE).unwrap().len().unwrap(), 2, "no delivery is left in it");
    let row = read.open_table(CONFIG).unwrap().get((1, "webhook", "whk_a")).unwrap().unwrap();
    let row: serde_json::Value = serde_json::from_slice(row.value()).unwrap();
    assert!(row.get("secret").is_none() && row.get("state").is_none(), "{row}");
}

#[tokio::test]
async fn a_migrated_file_works_like_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    write_format_1(&path);
    let store = Store::open(&StoreOptions::new(&path)).unwrap();
    assert_eq!(webhooks::create(&store, webhook("whk_new")).await.number, 3);
    let first = get(&store, DeliveryId { seq: 1, ordinal: 0 });
    assert_eq!(record(&store, CREATED_MS, vec![delivered(&first, CREATED_MS)]).await, 1);
    assert_eq!(queued(&store, 1), []);
    assert_eq!(get(&store, first.id).state, DeliveryState::Delivered);
    let next = queue(&store, 5, vec![to(1, None)]).await.remove(0);
    assert_eq!(next.id.seq, 3000, "the journal is counted on");
    let mut removed = 0;
    loop {
        match store.attempts.sweep_attempts(at(CREATED_MS + 40_000), u64::MAX, 100).await.unwrap() {
            0 => break,
            some => removed += some,
        }
    }
    assert_eq!(removed, 5 + 3 + 2490, "attempts and finished deliveries, of before and of now");
    assert_eq!(queued(&store, 1), [next.id]);
}

#[test]
fn a_webhook_that_cannot_be_read_refuses_the_file_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    write_format_1(&path);
    {
        let db = Database::create(&path).unwrap();
        let transaction = db.begin_write().unwrap();
        transaction.open_table(CONFIG).unwrap().insert((1, "webhook", "whk_x"), b"{\"id\":1}".as_slice()).unwrap();
        transaction.commit().unwrap();
    }
    let Err(error) = Store::open(&StoreOptions::new(&path)) else { panic!("it was opened") };
    assert!(error.to_string().contains("webhook whk_x"), "{error}");
    let db = Database::create(&path).unwrap();
    let read = db.begin_read().unwrap();
    assert_eq!(read.open_table(META).unwrap().get("format").unwrap().unwrap().value(), "1");
    let row = read.open_table(CONFIG).unwrap().get((1, "webhook", "whk_a")).unwrap().unwrap();
    assert_eq!(row.value(), old_webhook("whk_a", "main", "active"));
}

#[test]
fn a_file_of_a_newer_format_is_refused_with_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    {
        let db = Database::create(&path).unwrap();
        let transaction = db.begin_write().unwrap();
        transaction.open_table(META).unwrap().insert("format", "7").unwrap();
        transaction.commit().unwrap();
    }
    let Err(error) = Store::open(&StoreOptions::new(&path)) else { panic!("it was opened") };
    let text = error.to_string();
    assert!(text.contains("format 7") && text.contains("up to 6") && text.contains("newer hookwright"), "{text}");
}

/// Format 3 stored idempotency keys for ever, without their time of arrival.
#[tokio::test]
async fn idempotency_keys_of_format_3_expire_as_if_created_at_the_first_start() {
    const KEYS: u64 = 2500;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    {
        let db = Database::create(&path).unwrap();
        let transaction = db.begin_write().unwrap();
        transaction.open_table(META).unwrap().insert("format", "3").unwrap();
        transaction.open_table(SPACES).unwrap().insert("main", 1).unwrap();
        {
            let mut keys = transaction.open_table(IDEMPOTENCY_KEYS).unwrap();
            // More than are read at once.
            for seq in 0..KEYS {
                let row = json!({"fingerprint": format!("f{seq}"), "made": {"events": [seq]}}).to_string();
                keys.insert((1, format!("k{seq}").as_str()), row.as_bytes()).unwrap();
            }
        }
        transaction.commit().unwrap();
    }
    let before = SystemClock.now();
    let store = Store::open(&StoreOptions::new(&path)).unwrap();
    let main = SpaceId::main();
    let key = IdempotencyKey::parse(b"k2499").unwrap();
    let request = KeyedRequest { key, fingerprint: "f2499".to_owned() };
    let day = Duration::from_secs(86_400);
    let known = store.idempotency.known_request(&main, &request, KeyWindow::new(before.after(day), day));
    assert_eq!(known, Ok(Some(Known::Retry(Made::Events(vec![2499])))));
    let later = KeyWindow::new(SystemClock.now().after(day + Duration::from_secs(1)), day);
    assert_eq!(store.idempotency.known_request(&main, &request, later), Ok(None));
    assert_eq!(store.idempotency.idempotency_key_count(), Ok(KEYS));
    assert_eq!(store.idempotency.sweep_idempotency_keys(later.since, 10_000).await, Ok(2500));
    assert_eq!(store.idempotency.idempotency_key_count(), Ok(0));
}
