//! Engines, events and mocks of other crates.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use hookwright_model::{Cause, Event, EventDraft, Failure, Limits, MemoryView, SpaceId, Timestamp, Workbench};
use hookwright_plugin::{
    Access, Call, Engine, EngineOptions, Outbound, OutboundRequest, OutboundResponse, Plugin, Registry, Secrets,
};
use serde_json::{Value, json};

/// Low limits, and a small pool.
pub(crate) fn options() -> EngineOptions {
    EngineOptions { instances: 8, instances_per_plugin: 4, limits: limits(), ..EngineOptions::default() }
}

pub(crate) fn limits() -> Limits {
    Limits { memory_bytes: 4 * 1024 * 1024, cpu_ms: 200, wall_ms: 20_000, ..Limits::default() }
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
    call_within(limits())
}

pub(crate) fn call_within(limits: Limits) -> Call {
    Call::new(SpaceId::main(), now(), Arc::new(Access::new("test", limits)))
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

/// One ticket in memory.
pub(crate) struct Tickets(Arc<MemoryView>);

impl Tickets {
    pub(crate) fn with(id: u64, subject: &str, status: &str) -> Self {
        let at = now().to_string();
        let mut view = MemoryView::default();
        let ticket = json!({"id": id, "subject": subject, "status": status, "created_at": at, "updated_at": at});
        view.add("ticket", ticket).unwrap();
        Self(Arc::new(view))
    }

    pub(crate) fn bench(&self) -> Workbench {
        let view = Arc::<MemoryView>::clone(&self.0);
        Workbench::new(view, SpaceId::main(), now(), "test", Cause::api())
    }
}

/// Answers each request with the same response, and records it.
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

/// Never answers, and signals the first request.
#[derive(Default)]
pub(crate) struct Waiting {
    pub(crate) begun: tokio::sync::Notify,
}

#[async_trait::async_trait]
impl Outbound for Waiting {
    async fn send(&self, _: &SpaceId, _: OutboundRequest) -> Result<OutboundResponse, Failure> {
        self.begun.notify_one();
        std::future::pending().await
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
