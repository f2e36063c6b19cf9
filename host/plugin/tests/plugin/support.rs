//! Engines, events and stand-ins for the rooms around.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use hookwright_model::{
    Cause, Event, EventDraft, Failure, RecordKey, RecordView, SpaceId, StoredRecord, Timestamp, Workbench,
};
use hookwright_plugin::{
    Call, Engine, EngineOptions, Outbound, OutboundRequest, OutboundResponse, Plugin, Registry, Secrets,
};
use serde_json::{Value, json};

/// Limits that are soon reached, and a pool that does not reserve much.
pub(crate) fn options() -> EngineOptions {
    EngineOptions {
        instances: 8,
        instances_per_plugin: 4,
        memory_bytes: 4 * 1024 * 1024,
        cpu: Duration::from_millis(200),
        wall: Duration::from_secs(20),
        ..EngineOptions::default()
    }
}

pub(crate) fn registry(options: &EngineOptions) -> Registry {
    Registry::new(Engine::new(options).unwrap())
}

pub(crate) async fn plugin(options: &EngineOptions, bytes: Bytes) -> Arc<Plugin> {
    registry(options).prepare(bytes).await.unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000)
}

pub(crate) fn call() -> Call {
    Call::new(SpaceId::main(), now())
}

pub(crate) fn event(data: &Value) -> Event {
    EventDraft::json("jira.ticket_completed", "jira", Some("OPS-1".to_owned()), data, None)
        .accept(&SpaceId::main(), now())
        .unwrap()
}

pub(crate) fn secrets(list: &[(&str, &[u8])]) -> Secrets {
    list.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect()
}

/// The bytes of a first-party component.
pub(crate) fn first_party(name: &str) -> Bytes {
    let path = format!("{}/../../target/plugins/{name}.wasm", env!("CARGO_MANIFEST_DIR"));
    match std::fs::read(&path) {
        Ok(bytes) => Bytes::from(bytes),
        Err(error) => panic!("the first-party plugin `{name}` is not built ({error}): run `cargo xtask plugins`"),
    }
}

/// Tickets in memory.
#[derive(Default)]
pub(crate) struct Tickets {
    records: HashMap<RecordKey, StoredRecord>,
    next: AtomicU64,
}

impl Tickets {
    pub(crate) fn with(id: u64, subject: &str, status: &str) -> Arc<Self> {
        let at = now().to_string();
        let value = json!({"id": id, "subject": subject, "status": status, "created_at": at, "updated_at": at});
        let records = HashMap::from([(RecordKey::ticket(id), StoredRecord { version: 1, value })]);
        Arc::new(Self { records, next: AtomicU64::new(100) })
    }

    pub(crate) fn bench(self: &Arc<Self>) -> Workbench {
        Workbench::new(Arc::clone(self) as Arc<dyn RecordView>, SpaceId::main(), now(), "test", Cause::api())
    }
}

impl RecordView for Tickets {
    fn record(&self, _: &SpaceId, key: &RecordKey) -> Result<Option<StoredRecord>, Failure> {
        Ok(self.records.get(key).cloned())
    }

    fn notes(&self, _: &SpaceId, _: &RecordKey, _: usize) -> Result<Vec<Value>, Failure> {
        Ok(Vec::new())
    }

    fn next_id(&self, _: &SpaceId, _: &str) -> Result<u64, Failure> {
        Ok(self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// Answers each request the same, and remembers it.
pub(crate) struct Answering {
    pub(crate) seen: Mutex<Vec<OutboundRequest>>,
    pub(crate) answer: OutboundResponse,
}

impl Answering {
    pub(crate) fn with(status: u16, body: &'static str) -> Arc<Self> {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let answer = OutboundResponse { status, headers, body: Bytes::from_static(body.as_bytes()) };
        Arc::new(Self { seen: Mutex::default(), answer })
    }
}

#[async_trait::async_trait]
impl Outbound for Answering {
    async fn send(&self, _: &SpaceId, request: OutboundRequest) -> Result<OutboundResponse, Failure> {
        self.seen.lock().unwrap().push(request);
        Ok(self.answer.clone())
    }
}

/// Never answers.
pub(crate) struct Silent;

#[async_trait::async_trait]
impl Outbound for Silent {
    async fn send(&self, _: &SpaceId, _: OutboundRequest) -> Result<OutboundResponse, Failure> {
        std::future::pending().await
    }
}
