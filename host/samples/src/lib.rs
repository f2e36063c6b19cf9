//! Samples for the unit tests of the layers: a store, a clock, events, webhooks. Only tests depend on this crate.

use std::path::Path;
use std::sync::Arc;

use hookwright_model::{
    Delivery, DeliveryId, DeliveryState, Event, EventDraft, ManualClock, Purpose, Schedule, SpaceId, Timestamp, Webhook,
};
use hookwright_plugin::{Engine, EngineOptions, Registry};
use hookwright_store::{Store, StoreOptions, Vault};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;

use hookwright_foundation::Foundation;
use hookwright_foundation::settings::PipelineSettings;
use hookwright_foundation::watched_clock::WatchedClock;

/// 2026-01-01T00:00:00Z.
pub const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// So many minutes after [`NOW`].
pub fn minutes(count: i64) -> Timestamp {
    Timestamp::from_millis(NOW.millis() + count * 60_000)
}

/// A clock that stands still at [`NOW`].
pub fn clock() -> Arc<WatchedClock> {
    Arc::new(WatchedClock::new(Arc::new(ManualClock::new(NOW))))
}

/// A new store in a folder of its own, which exists as long as the first part.
///
/// # Panics
/// If it cannot be opened.
pub fn store() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&store_options(folder.path())).unwrap();
    (folder, store)
}

/// The options of a store in a folder.
pub fn store_options(folder: &Path) -> StoreOptions {
    StoreOptions::new(folder.join("hookwright.redb"))
}

/// What layers are made of, over this store. The clock stands still.
///
/// # Panics
/// If the secret key or the engine cannot be made.
pub fn foundation(store: &Store) -> Foundation {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::open(&folder.path().join("secret.key"), None).unwrap();
    let clock = Arc::new(ManualClock::new(NOW));
    Foundation::new(store.clone(), Arc::new(vault), registry(), clock, PipelineSettings::default())
}

/// An event that was accepted at [`NOW`].
pub fn event(event_type: &str, data: &Value) -> Event {
    EventDraft::json(event_type, "test", None, data, None).accept(&SpaceId::main(), NOW).unwrap()
}

/// An active webhook called `whk_NAME` that takes `go.*`, with these fields besides.
pub fn webhook(name: &str, more: &Value) -> Webhook {
    let usual = json!({"id": format!("whk_{name}"), "number": 1, "space": "main", "name": name,
        "url": "https://example.com", "events": ["go.*"], "retry": {"delays_seconds": []}, "timeout_ms": 1000,
        "created_at": NOW.to_string(), "updated_at": NOW.to_string()});
    with(usual, more)
}

/// A schedule of every minute that emits `tick`, with these fields besides.
pub fn schedule(more: &Value) -> Schedule {
    let usual = json!({"id": "sch_1", "name": "s", "every_seconds": 60, "timezone": "UTC", "missed": "once",
        "overlap": true, "type": "tick", "enabled": true, "revision": 1, "created_at": NOW.to_string(),
        "updated_at": NOW.to_string()});
    with(usual, more)
}

/// A dead delivery of an event `go` to the webhook `whk_NAME`.
pub fn delivery(name: &str) -> Delivery {
    Delivery {
        id: DeliveryId { seq: 1, ordinal: 0 },
        space: SpaceId::main(),
        event: "evt".to_owned(),
        event_type: "go".to_owned(),
        subject: None,
        webhook: format!("whk_{name}").as_str().into(),
        queue: 1,
        key: None,
        purpose: Purpose::Event,
        message_id: "msg".to_owned(),
        state: DeliveryState::Dead,
        attempts: 1,
        next_attempt_at: None,
        last_error: None,
        redelivery_of: None,
        redelivered_by: None,
        created_at: NOW,
        finished_at: Some(NOW),
    }
}

/// A registry that reserves little memory.
///
/// # Panics
/// If the engine does not start.
pub fn registry() -> Arc<Registry> {
    let options = EngineOptions { instances: 8, instances_per_plugin: 4, ..EngineOptions::default() };
    Arc::new(Registry::new(Engine::new(&options).unwrap()))
}

fn with<T: DeserializeOwned>(mut usual: Value, more: &Value) -> T {
    usual.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(usual).unwrap()
}
