//! A pipeline on a store of its own, whose clock stands still until it is moved.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hookwright_model::{
    Attempt, Delivery, DeliveryState, EventDraft, ManualClock, SpaceId, Timestamp, Webhook, parse_json,
};
use hookwright_pipeline::{EgressPolicy, Pipeline, PipelineSettings};
use hookwright_plugin::{Engine, EngineOptions, Registry};
use hookwright_store::{Page, Store, StoreOptions, Vault};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long is waited for what must not happen.
const MOMENT: Duration = Duration::from_millis(60);

pub(crate) struct Stage {
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) space: SpaceId,
    _folder: TempDir,
}

impl Stage {
    pub(crate) async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&StoreOptions::new(folder.path().join("store.redb"))).unwrap();
        let space = SpaceId::main();
        store.ensure_space(&space).await.unwrap();
        let vault = Arc::new(Vault::open(&folder.path().join("secret.key"), None).unwrap());
        let registry = Arc::new(Registry::new(Engine::new(&EngineOptions::default()).unwrap()));
        let clock = Arc::new(ManualClock::new(Timestamp::parse("2026-01-01T00:00:00Z").unwrap()));
        let settings = PipelineSettings {
            egress: EgressPolicy {
                allow_networks: vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
                allow_http: true,
                ..EgressPolicy::default()
            },
            ..PipelineSettings::default()
        };
        let pipeline = Pipeline::open(store, vault, registry, Arc::clone(&clock) as Arc<_>, settings).unwrap();
        pipeline.start();
        Self { pipeline, clock, space, _folder: folder }
    }

    /// Subscribes to `go.*`, with what `more` says.
    pub(crate) async fn hook(&self, url: &str, more: Value) -> Webhook {
        let mut input = json!({"url": url, "events": ["go.*"], "retry": {"delays_seconds": [10, 100], "jitter": 0}});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let input = parse_json(input.to_string().as_bytes()).unwrap();
        self.pipeline.create_webhook(&self.space, input).await.unwrap().webhook
    }

    pub(crate) fn webhook(&self, id: &Webhook) -> Webhook {
        self.pipeline.webhook(&self.space, id.id.as_str()).unwrap()
    }

    pub(crate) async fn send(&self, event_type: &str, subject: Option<&str>, data: &Value) -> String {
        let draft = EventDraft {
            event_type: event_type.to_owned(),
            source: "test".to_owned(),
            subject: subject.map(str::to_owned),
            content_type: Some("application/json".to_owned()),
            payload: Bytes::from(data.to_string()),
            ..EventDraft::default()
        };
        self.pipeline.accept(&self.space, vec![draft]).await.unwrap().remove(0).id
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.pipeline.clock_moved();
    }

    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        let page = Page { before: None, limit: 5000 };
        let mut all = self.pipeline.store().deliveries(&self.space, page, &|_| true).unwrap().items;
        all.reverse();
        all
    }

    pub(crate) fn count(&self, state: DeliveryState) -> usize {
        self.deliveries().iter().filter(|delivery| delivery.state == state).count()
    }

    pub(crate) fn attempts(&self, delivery: &Delivery) -> Vec<Attempt> {
        self.pipeline.store().attempts(&self.space, delivery.id).unwrap()
    }

    /// The types of all events, in order.
    pub(crate) fn events(&self) -> Vec<String> {
        let page = Page { before: None, limit: 500 };
        let listed = self.pipeline.store().events(&self.space, page, &|_| true).unwrap();
        listed.items.into_iter().rev().map(|(_, event)| event.event_type).collect()
    }

    /// Waits until it is so.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, is_so: impl Fn() -> bool) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        let what = what.to_owned();
        async move {
            let began = Instant::now();
            while !is_so() {
                assert!(began.elapsed() < PATIENCE, "{caller}: not so after a long while: {what}");
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
    }

    /// Waits a moment, in which it must stay so.
    #[track_caller]
    pub(crate) fn still(&self, what: &str, is_so: impl Fn() -> bool) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        let what = what.to_owned();
        async move {
            tokio::time::sleep(MOMENT).await;
            assert!(is_so(), "{caller}: no longer so: {what}");
        }
    }
}

pub(crate) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
