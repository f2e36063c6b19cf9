//! Circuits of webhooks: whom an open one concerns, where it shows, and what goes out all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use hookwright_model::{DeliveryState, EventDraft, SpaceId, Webhook, parse_json};
use hookwright_pipeline::{PipelineError, RedeliveryFilter};
use hookwright_receiver::{Receiver, Reply, Step};
use serde_json::json;

use crate::stage::{Stage, admin};

/// One host: `/well` answers 200, anything else 500 until `works`.
struct Host {
    receiver: Receiver,
    works: Arc<AtomicBool>,
    failed: Arc<AtomicUsize>,
    taken: Arc<AtomicUsize>,
}

impl Host {
    fn start() -> Self {
        let works = Arc::new(AtomicBool::new(false));
        let (failed, taken) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let receiver = {
            let (works, failed, taken) = (Arc::clone(&works), Arc::clone(&failed), Arc::clone(&taken));
            Receiver::serving(None, move |request| {
                let well = request.path.starts_with("/well") || works.load(Ordering::SeqCst);
                if well { &taken } else { &failed }.fetch_add(1, Ordering::SeqCst);
                Reply::new(if well { 200 } else { 500 }, "")
            })
        };
        Self { receiver, works, failed, taken }
    }

    fn failed(&self) -> usize {
        self.failed.load(Ordering::SeqCst)
    }

    fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }
}

/// A webhook whose circuit was opened by twenty events.
async fn opened(stage: &Stage, host: &Host) -> Webhook {
    let hook = stage.hook(&host.receiver.url("/broken"), json!({"retry": {"delays_seconds": [1000]}})).await;
    for place in 0..20 {
        stage.send("go.1", None, &json!(place)).await;
    }
    stage.until("the circuit is open", || stage.pipeline.delivery.holds.hold(&hook).is_some()).await;
    stage.idle(&hook).await;
    hook
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_circuit_does_not_delay_other_webhooks_of_the_same_host() {
    let stage = Stage::open().await;
    let host = Host::start();
    let broken = opened(&stage, &host).await;
    let other: SpaceId = "other".parse().unwrap();
    stage.store.ensure_space(&other).await.unwrap();
    let input = json!({"url": host.receiver.url("/well"), "events": ["go.*"]});
    let input = parse_json(input.to_string().as_bytes()).unwrap();
    let well = stage.pipeline.resources.webhooks.create_webhook(&other, input, &admin()).await.unwrap().webhook;
    let beside = stage.hook(&host.receiver.url("/well"), json!({"events": ["other.1"]})).await;
    let draft = EventDraft {
        event_type: "go.1".to_owned(),
        source: "test".to_owned(),
        content_type: Some("application/json".to_owned()),
        payload: Bytes::from_static(b"1"),
        ..EventDraft::default()
    };
    stage.pipeline.intake.events.accept(&other, vec![draft]).await.unwrap();
    stage.send("other.1", None, &json!(1)).await;
    // The clock stands still: nothing waited for a probe.
    stage.until("both have theirs", || host.taken() == 2).await;
    assert!(
        stage.pipeline.delivery.holds.hold(&well).is_none() && stage.pipeline.delivery.holds.hold(&beside).is_none()
    );
    let hold = stage.pipeline.delivery.holds.hold(&broken).unwrap();
    assert_eq!(hold.state, "circuit-open");
    assert!(hold.reason.contains(&hold.until.to_string()), "{}", hold.reason);
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_and_webhooks_show_that_they_wait_for_an_open_circuit() {
    let stage = Stage::open().await;
    let host = Host::start();
    let hook = opened(&stage, &host).await;
    let event = stage.send("go.1", None, &json!("late")).await;
    let hold = stage.pipeline.delivery.holds.hold(&hook).unwrap();
    let last = stage.deliveries().pop().unwrap();
    let view = stage.pipeline.delivery.holds.delivery_view(last.clone());
    assert!(last.next_attempt_at.unwrap() <= stage.pipeline.now());
    assert_eq!(view.delivery.next_attempt_at, Some(hold.until), "the time of the next attempt that can be made");
    assert_eq!(view.waiting.as_deref(), Some(hold.reason.as_str()));
    let found = stage.store.events.event(&stage.space, &event, None).unwrap();
    let hookwright_store::EventLookup::One(seq, event) = found else { panic!("{found:?}") };
    let story = stage.pipeline.history.stories.story(&stage.space, seq, &event).unwrap();
    assert!(story.summary.iter().any(|line| line.contains("circuit open until")), "{:?}", story.summary);
    assert_eq!(json!(story)["deliveries"][0]["waiting"], json!(hold.reason));
    // One whose next attempt comes later anyway is not held up by the circuit.
    let failed = stage.deliveries().into_iter().find(|one| one.attempts == 1).unwrap();
    assert_eq!(stage.pipeline.delivery.holds.delivery_view(failed).waiting, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redelivery_is_sent_while_the_circuit_is_open_and_enabling_closes_it() {
    let stage = Stage::open().await;
    let host = Host::start();
    let hook = stage.hook(&host.receiver.url("/broken"), json!({"retry": {"delays_seconds": []}})).await;
    for place in 0..30 {
        stage.send("go.1", None, &json!(place)).await;
    }
    stage.until("the circuit is open", || stage.pipeline.delivery.holds.hold(&hook).is_some()).await;
    stage.idle(&hook).await;
    let before = host.failed();
    let dead = stage.deliveries().into_iter().find(|one| one.state == DeliveryState::Dead).unwrap();
    let again = stage.pipeline.delivery.resending.redeliver(&stage.space, dead.id).await.unwrap();
    // Twenty wait before it, and the receiver still fails for each of them.
    let state = || stage.store.deliveries.delivery(&stage.space, again.id).unwrap().unwrap().state;
    stage.until("it was sent at once", || state() == DeliveryState::Dead).await;
    assert!(host.failed() > before);

    host.works.store(true, Ordering::SeqCst);
    let input = || parse_json(br#"{"enabled": true}"#).unwrap();
    stage.pipeline.resources.webhooks.change_webhook(&stage.space, hook.id.as_str(), input(), &admin()).await.unwrap();
    assert!(stage.pipeline.delivery.holds.hold(&hook).is_none(), "the circuit is closed");
    stage.until("all that waited goes out", || stage.count(DeliveryState::Pending) == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recovering_a_webhook_closes_its_circuit_even_without_redeliveries() {
    let stage = Stage::open().await;
    let host = Host::start();
    let hook = opened(&stage, &host).await;
    assert_eq!(stage.count(DeliveryState::Dead), 0);
    host.works.store(true, Ordering::SeqCst);
    let filter = RedeliveryFilter { webhook: Some(hook.id.clone()), ..RedeliveryFilter::default() };
    stage.pipeline.delivery.resending.redeliver_all(&stage.space, filter).unwrap();
    let all_tried = || stage.deliveries().iter().all(|one| one.attempts == 1);
    stage.until("what waited for the circuit goes out", all_tried).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_url_is_sent_to_at_once_although_the_circuit_was_open() {
    let stage = Stage::open().await;
    let host = Host::start();
    let hook = opened(&stage, &host).await;
    let waiting = stage.deliveries().iter().filter(|one| one.attempts == 0).count();
    assert!(waiting > 0);
    let input = parse_json(json!({"url": host.receiver.url("/well")}).to_string().as_bytes()).unwrap();
    let changed = stage
        .pipeline
        .resources
        .webhooks
        .change_webhook(&stage.space, hook.id.as_str(), input, &admin())
        .await
        .unwrap();
    assert!(stage.pipeline.delivery.holds.hold(&changed.webhook).is_none());
    // The clock stands still: nothing waited for a probe.
    stage.until("what waited goes to the new url", || host.taken() == waiting).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_is_sent_at_once_while_the_queue_is_held() {
    let stage = Stage::open().await;
    let host = Host::start();
    let hook = opened(&stage, &host).await;
    let before = host.failed();
    let test =
        stage.pipeline.delivery.out_of_turn.test_webhook(&stage.space, hook.id.as_str(), &admin()).await.unwrap();
    let view = stage.pipeline.delivery.out_of_turn.test_result(&stage.space, test).await.unwrap();
    assert_eq!(view.delivery.state, DeliveryState::Dead, "its result is there when it is answered");
    assert!(view.delivery.last_error.unwrap().contains("500"));
    assert_eq!(host.failed(), before + 1, "one request, and none besides");
    assert!(stage.pipeline.delivery.holds.hold(&hook).is_some(), "a test that fails closes nothing");

    host.works.store(true, Ordering::SeqCst);
    let test =
        stage.pipeline.delivery.out_of_turn.test_webhook(&stage.space, hook.id.as_str(), &admin()).await.unwrap();
    let view = stage.pipeline.delivery.out_of_turn.test_result(&stage.space, test).await.unwrap();
    assert_eq!(view.delivery.state, DeliveryState::Delivered);
    assert!(stage.pipeline.delivery.holds.hold(&hook).is_none(), "one that succeeds closes the circuit");
    stage.until("what waited goes out", || stage.count(DeliveryState::Delivered) > 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_does_not_wait_for_requests_that_hang() {
    let stage = Stage::open().await;
    let hangs = Receiver::playing(None, vec![Step::Request, Step::Hang]);
    let hook = stage.hook(&hangs.url("/"), json!({"timeout_ms": 60_000, "concurrency": 1})).await;
    for place in 0..5 {
        stage.send("go.1", None, &json!(place)).await;
    }
    stage.until("one hangs", || hangs.connections() == 1).await;
    let _test =
        stage.pipeline.delivery.out_of_turn.test_webhook(&stage.space, hook.id.as_str(), &admin()).await.unwrap();
    stage.until("the test is sent beside it", || hangs.connections() == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_space_has_at_most_sixteen_tests_in_flight_besides_its_queues() {
    let stage = Stage::open().await;
    let hangs = Receiver::playing(None, vec![Step::Request, Step::Hang]);
    let hook = stage.hook(&hangs.url("/"), json!({"timeout_ms": 60_000, "concurrency": 1})).await;
    // The queue has its one request in flight, so it sends none of the tests.
    stage.send("go.1", None, &json!(1)).await;
    stage.until("one hangs", || hangs.connections() == 1).await;
    for _ in 0..17 {
        let _test =
            stage.pipeline.delivery.out_of_turn.test_webhook(&stage.space, hook.id.as_str(), &admin()).await.unwrap();
    }
    stage.until("sixteen are sent beside it", || hangs.connections() == 17).await;
    // A test of another space that is asked for later is over by then.
    stage.a_later_test().await;
    assert_eq!(
        (hangs.connections(), stage.pipeline.resources.webhooks.webhook_status(&hook).unwrap()["under_way"].as_u64()),
        (17, Some(17))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inactive_webhook_refuses_a_redelivery() {
    let stage = Stage::open().await;
    let host = Host::start();
    let hook = stage.hook(&host.receiver.url("/broken"), json!({"retry": {"delays_seconds": []}})).await;
    stage.send("go.1", None, &json!(1)).await;
    stage.until("dead-lettered", || stage.count(DeliveryState::Dead) == 1).await;
    let input = parse_json(br#"{"enabled": false}"#).unwrap();
    stage.pipeline.resources.webhooks.change_webhook(&stage.space, hook.id.as_str(), input, &admin()).await.unwrap();
    let error = stage.pipeline.delivery.resending.redeliver(&stage.space, stage.deliveries()[0].id).await.unwrap_err();
    assert!(matches!(error, PipelineError::Conflict { code: "webhook.not_active", .. }), "{error}");
    assert!(error.to_string().contains("disabled since") && error.to_string().contains("key k"), "{error}");
}
