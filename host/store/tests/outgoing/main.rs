//! The guarantees of the store for webhooks, their queues and their deliveries.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may fail loudly, and one prints what it measures"
)]

mod attempts;
mod crash;
mod key_order;
mod log;
mod measure;
mod migrate;
mod queues;
mod redelivery;
mod retention;
mod webhooks;

use hookwright_model::{
    Attempt, AttemptOutcome, Delivery, DeliveryId, DeliveryState, EventDraft, NewDelivery, NewEvent, Plan, Purpose,
    SpaceId, Timestamp, WebhookId,
};
use hookwright_store::{AttemptCommit, Store, StoreOptions, Tried};
use tempfile::TempDir;

const END: Timestamp = Timestamp::from_millis(i64::MAX);

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn open() -> (TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = reopen(&dir);
    (dir, store)
}

fn reopen(dir: &TempDir) -> Store {
    Store::open(&StoreOptions::new(dir.path().join("store.redb"))).unwrap()
}

/// A delivery to the webhook of this number.
fn to(queue: u64, key: Option<&str>) -> NewDelivery {
    NewDelivery {
        webhook: WebhookId::from(format!("whk_{queue}").as_str()),
        queue,
        message_id: hookwright_model::unique("msg"),
        key: key.map(str::to_owned),
        purpose: Purpose::Event,
        wait_ms: 0,
    }
}

/// An event that is received at this time.
fn event(received_at: i64, deliveries: Vec<NewDelivery>) -> NewEvent {
    let draft = EventDraft {
        event_type: "test.made".into(),
        source: "a".into(),
        subject: Some("ticket/1".into()),
        payload: "{}".into(),
        ..EventDraft::default()
    };
    let event = draft.accept(&SpaceId::main(), at(received_at)).unwrap();
    NewEvent { event, plan: Plan { lanes: vec![], automations: vec![], deliveries } }
}

/// Appends an event with these deliveries; returns them as they are stored.
async fn queue(store: &Store, received_at: i64, deliveries: Vec<NewDelivery>) -> Vec<Delivery> {
    let seq = store.events.append(vec![event(received_at, deliveries)]).await.unwrap()[0].seq;
    store.deliveries.deliveries_of(&SpaceId::main(), seq).unwrap()
}

fn get(store: &Store, id: DeliveryId) -> Delivery {
    store.deliveries.delivery(&SpaceId::main(), id).unwrap().unwrap()
}

/// The content of a queue.
fn queued(store: &Store, queue: u64) -> Vec<DeliveryId> {
    let rows = store.queues.queued(&SpaceId::main(), queue, END, 1_000_000).unwrap();
    rows.into_iter().map(|(_, id)| id).collect()
}

fn answered(status: u16) -> AttemptOutcome {
    AttemptOutcome::Answered { status, headers: vec![], body: String::new() }
}

fn attempt(number: u32, started_at: i64, outcome: AttemptOutcome) -> Attempt {
    Attempt {
        number,
        started_at: at(started_at),
        duration_ms: 1,
        timing: hookwright_model::Timing::default(),
        url: "https://example.com/".into(),
        request_headers: vec![],
        request_body: String::new(),
        batch: None,
        batch_first: None,
        outcome,
    }
}

/// One more attempt of a delivery: its outcome, and when the next is due if it stays pending.
fn tried(delivery: &Delivery, now: i64, status: u16, state: DeliveryState, next: Option<i64>) -> Tried {
    let mut after = delivery.clone();
    after.attempts += 1;
    after.state = state;
    after.next_attempt_at = next.map(at);
    after.finished_at = (state != DeliveryState::Pending).then_some(at(now));
    Tried {
        expected_attempts: delivery.attempts,
        attempt: Some(attempt(after.attempts, now, answered(status))),
        due_was: delivery.next_attempt_at,
        delivery: after,
        release_key: false,
    }
}

fn delivered(delivery: &Delivery, now: i64) -> Tried {
    tried(delivery, now, 200, DeliveryState::Delivered, None)
}

fn failed(delivery: &Delivery, now: i64, next: i64) -> Tried {
    tried(delivery, now, 500, DeliveryState::Pending, Some(next))
}

fn commit(now: i64, tries: Vec<Tried>) -> AttemptCommit {
    AttemptCommit { space: SpaceId::main(), now: at(now), tries, webhook: None, events: vec![], mails: vec![] }
}

async fn record(store: &Store, now: i64, tries: Vec<Tried>) -> usize {
    store.attempts.record_attempts(commit(now, tries)).await.unwrap()
}
