//! A pipeline on a store of its own, whose clock stands still until it is moved.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hookwright_model::{
    Attempt, Author, Delivery, DeliveryState, EventDraft, ManualClock, SpaceId, Timestamp, Webhook, parse_json,
};
use hookwright_pipeline::{EgressPolicy, Pipeline, PipelineSettings};
use hookwright_plugin::{Engine, EngineOptions, Registry};
use hookwright_receiver::{Receiver, Reply};
use hookwright_store::{Page, Store, StoreOptions, Vault};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// How long anything is waited for: only a machine that stands still needs so much.
const PATIENCE: Duration = Duration::from_secs(180);

/// Who sets everything up.
pub(crate) fn admin() -> Author {
    Author { key: Some("k".to_owned()), ..Author::default() }
}

pub(crate) struct Stage {
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) store: Store,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) space: SpaceId,
    later: OnceCell<Later>,
    _folder: TempDir,
}

/// A webhook that takes everything, in a space that has nothing else: what is sent to it later than something else arrives
/// after that was looked at.
struct Later {
    space: SpaceId,
    webhook: Webhook,
    _receiver: Receiver,
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
        let pipeline = Pipeline::open(store.clone(), vault, registry, Arc::clone(&clock) as Arc<_>, settings).unwrap();
        pipeline.start();
        Self { pipeline, store, clock, space, later: OnceCell::new(), _folder: folder }
    }

    /// Subscribes to `go.*`, with what `more` says.
    pub(crate) async fn hook(&self, url: &str, more: Value) -> Webhook {
        let mut input = json!({"url": url, "events": ["go.*"], "retry": {"delays_seconds": [10, 100], "jitter": 0}});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let input = parse_json(input.to_string().as_bytes()).unwrap();
        self.pipeline.resources.webhooks.create_webhook(&self.space, input, &admin()).await.unwrap().webhook
    }

    pub(crate) fn webhook(&self, id: &Webhook) -> Webhook {
        self.pipeline.resources.webhooks.webhook(&self.space, id.id.as_str()).unwrap()
    }

    pub(crate) async fn send(&self, event_type: &str, subject: Option<&str>, data: &Value) -> String {
        let draft = draft(event_type, subject, data);
        self.pipeline.intake.events.accept(&self.space, vec![draft]).await.unwrap().remove(0).id
    }

    /// Accepts so many events, whose data are counted from 0, in a few commits.
    pub(crate) async fn send_many(&self, event_type: &str, count: usize) {
        let all: Vec<_> = (0..count).map(|place| draft(event_type, None, &json!(place))).collect();
        for some in all.chunks(500) {
            self.pipeline.intake.events.accept(&self.space, some.to_vec()).await.unwrap();
        }
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.pipeline.clock_moved();
    }

    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        let page = Page { before: None, limit: 5000 };
        let mut all = self.store.deliveries.deliveries(&self.space, page, &|_| true).unwrap().items;
        all.reverse();
        all
    }

    pub(crate) fn count(&self, state: DeliveryState) -> usize {
        self.deliveries().iter().filter(|delivery| delivery.state == state).count()
    }

    pub(crate) fn attempts(&self, delivery: &Delivery) -> Vec<Attempt> {
        self.store.attempts.attempts(&self.space, delivery.id).unwrap()
    }

    /// The types of all events, in order.
    pub(crate) fn events(&self) -> Vec<String> {
        let page = Page { before: None, limit: 500 };
        let listed = self.store.events.events(&self.space, page, &|_| true).unwrap();
        listed.items.into_iter().rev().map(|(_, event)| event.event_type).collect()
    }

    /// Waits until nothing is in flight to a webhook, and its outcome is recorded. Before that the clock must not be
    /// moved: a failure is tried again so long after it is recorded.
    #[track_caller]
    pub(crate) fn idle(&self, hook: &Webhook) -> impl Future<Output = ()> {
        let waited =
            move || self.pipeline.resources.webhooks.webhook_status(hook).is_ok_and(|status| status["under_way"] == 0);
        self.until("nothing is in flight", waited)
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

    /// Fails unless it is so once nothing is left to do now: what was sent later has arrived, so the queues were looked at,
    /// and nothing is in flight.
    #[track_caller]
    pub(crate) fn still(&self, what: &str, is_so: impl Fn() -> bool) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        let what = what.to_owned();
        async move {
            self.something_later().await;
            for hook in self.pipeline.resources.webhooks.webhooks(&self.space) {
                self.idle(&hook).await;
            }
            assert!(is_so(), "{caller}: no longer so: {what}");
        }
    }

    /// Returns once an event that is sent now, in a space of its own, is delivered.
    async fn something_later(&self) {
        let Later { space, .. } = self.later().await;
        let page = || Page { before: None, limit: 500 };
        let delivered = || {
            let all = self.store.deliveries.deliveries(space, page(), &|_| true).unwrap().items;
            all.iter().filter(|delivery| delivery.state == DeliveryState::Delivered).count()
        };
        let before = delivered();
        self.pipeline.intake.events.accept(space, vec![draft("later", None, &Value::Null)]).await.unwrap();
        self.until("what was sent later is delivered", || delivered() > before).await;
    }

    /// Returns once a test of a webhook in a space of its own has ended.
    pub(crate) async fn a_later_test(&self) {
        let Later { space, webhook, .. } = self.later().await;
        let test = self.pipeline.delivery.out_of_turn.test_webhook(space, webhook.id.as_str(), &admin()).await.unwrap();
        self.pipeline.delivery.out_of_turn.test_result(space, test).await.unwrap();
    }

    async fn later(&self) -> &Later {
        let make = || async {
            let space: SpaceId = "later".parse().unwrap();
            self.store.ensure_space(&space).await.unwrap();
            let receiver = Receiver::serving(None, |_| Reply::new(204, ""));
            let input = json!({"url": receiver.url("/"), "events": ["later"]});
            let input = parse_json(input.to_string().as_bytes()).unwrap();
            let webhook =
                self.pipeline.resources.webhooks.create_webhook(&space, input, &admin()).await.unwrap().webhook;
            Later { space, webhook, _receiver: receiver }
        };
        self.later.get_or_init(make).await
    }
}

fn draft(event_type: &str, subject: Option<&str>, data: &Value) -> EventDraft {
    EventDraft {
        event_type: event_type.to_owned(),
        source: "test".to_owned(),
        subject: subject.map(str::to_owned),
        content_type: Some("application/json".to_owned()),
        payload: Bytes::from(data.to_string()),
        ..EventDraft::default()
    }
}

pub(crate) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
