//! The order and the pace of deliveries: one webhook does not delay another, and the order of a key is kept.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use hookwright_model::{DeliveryState, WebhookState};
use hookwright_pipeline::JobState;
use hookwright_receiver::{Receiver, Reply, Step};
use serde_json::{Value, json};

use crate::stage::{Stage, admin, seconds};

/// What a receiver was sent, in order: the `data` of each.
type Seen = Arc<Mutex<Vec<Value>>>;

/// A receiver that answers 500 for data in `bad` and records what it accepts.
fn picky(seen: &Seen, bad: &Arc<Mutex<Vec<Value>>>) -> Receiver {
    let (seen, bad) = (Arc::clone(seen), Arc::clone(bad));
    Receiver::serving(None, move |request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        if bad.lock().unwrap().contains(&body["data"]) {
            return Reply::new(500, "");
        }
        seen.lock().unwrap().push(body["data"].clone());
        Reply::new(200, "")
    })
}

async fn ordered(on_failure: &str) -> (Stage, Seen, Arc<Mutex<Vec<Value>>>, Receiver) {
    let stage = Stage::open().await;
    let (seen, bad) = (Seen::default(), Arc::new(Mutex::new(vec![json!("a1")])));
    let receiver = picky(&seen, &bad);
    let order = json!({"order": {"key": "{{event.subject}}", "on_failure": on_failure}});
    stage.hook(&receiver.url("/"), order).await;
    for (subject, data) in [("a", "a1"), ("a", "a2"), ("b", "b1"), ("a", "a3"), ("b", "b2")] {
        stage.send("go.1", Some(subject), &json!(data)).await;
    }
    (stage, seen, bad, receiver)
}

/// What was taken of a key.
fn of(seen: &Seen, key: &str) -> Vec<String> {
    let all = seen.lock().unwrap();
    all.iter().map(|one| one.as_str().unwrap().to_owned()).filter(|one| one.starts_with(key)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_delivery_blocks_its_order_key_and_no_other() {
    let (stage, seen, bad, _receiver) = ordered("block").await;
    stage.until("the other key", || of(&seen, "b") == ["b1", "b2"]).await;
    stage.until("the failure is recorded", || stage.deliveries()[0].attempts == 1).await;
    stage.still("the key waits", || of(&seen, "a").is_empty()).await;
    bad.lock().unwrap().clear();
    stage.advance(seconds(10));
    stage.until("in order", || of(&seen, "a") == ["a1", "a2", "a3"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_key_continues_after_a_dead_letter() {
    let (stage, seen, _bad, _receiver) = ordered("block").await;
    stage.until("tried", || stage.deliveries()[0].attempts == 1).await;
    stage.advance(seconds(10));
    stage.until("tried twice", || stage.deliveries()[0].attempts == 2).await;
    stage.still("still waits", || of(&seen, "a").is_empty()).await;
    stage.advance(seconds(100));
    stage.until("goes on", || of(&seen, "a") == ["a2", "a3"]).await;
    stage.until("dead-lettered", || stage.count(DeliveryState::Dead) == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redeliveries_keep_the_order_of_their_key() {
    let stage = Stage::open().await;
    let all: Vec<String> = (0..6).map(|place| format!("a{place}")).collect();
    let bad = Arc::new(Mutex::new(all.iter().map(|one| json!(one)).collect::<Vec<_>>()));
    let seen = Seen::default();
    let receiver = picky(&seen, &bad);
    let more = json!({"order": {"key": "{{event.subject}}"}, "retry": {"delays_seconds": []}});
    let hook = stage.hook(&receiver.url("/"), more).await;
    for one in &all[..4] {
        stage.send("go.1", Some("a"), &json!(one)).await;
    }
    stage.until("dead-lettered", || stage.count(DeliveryState::Dead) == 4).await;
    for enabled in [false, true] {
        let input = hookwright_model::parse_json(json!({"enabled": enabled}).to_string().as_bytes()).unwrap();
        stage
            .pipeline
            .resources
            .webhooks
            .change_webhook(&stage.space, hook.id.as_str(), input, &admin())
            .await
            .unwrap();
        if !enabled {
            for one in &all[4..] {
                stage.send("go.1", Some("a"), &json!(one)).await;
            }
            stage.advance(seconds(1));
        }
    }
    bad.lock().unwrap().clear();
    let filter = || serde_json::from_value(json!({"webhook": hook.id, "missed": true})).unwrap();
    let both = [(); 2].map(|()| stage.pipeline.delivery.resending.redeliver_all(&stage.space, filter()).unwrap());
    let ended = |id: &str| stage.pipeline.delivery.resending.redelivery(&stage.space, id).unwrap();
    stage.until("queued", || both.iter().all(|one| ended(&one.id).state == JobState::Done)).await;
    let (queued, missed) = both.iter().fold((0, 0), |(queued, missed), one| {
        let one = ended(&one.id);
        (queued + one.queued, missed + one.missed)
    });
    assert_eq!((queued, missed), (4, 2), "each once, although two ask for it");
    stage.until("delivered", || stage.count(DeliveryState::Delivered) == 6).await;
    assert_eq!(of(&seen, "a"), all);
    assert!(stage.deliveries().iter().all(|one| one.key.as_deref() == Some("a")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_delivery_is_skipped_or_parked_as_on_failure_requires() {
    let (stage, seen, bad, _receiver) = ordered("skip").await;
    stage.until("passed by", || of(&seen, "a") == ["a2", "a3"]).await;
    stage.until("the failure is recorded", || stage.deliveries()[0].attempts == 1).await;
    bad.lock().unwrap().clear();
    stage.advance(seconds(10));
    stage.until("tried again", || of(&seen, "a") == ["a2", "a3", "a1"]).await;

    let (stage, seen, bad, _receiver) = ordered("park").await;
    stage.until("parked", || of(&seen, "a") == ["a2", "a3"]).await;
    stage.until("recorded", || stage.count(DeliveryState::Parked) == 1).await;
    stage.advance(seconds(1000));
    stage.still("for good", || stage.count(DeliveryState::Parked) == 1).await;
    bad.lock().unwrap().clear();
    let parked = stage.deliveries().into_iter().find(|one| one.state == DeliveryState::Parked).unwrap();
    stage.pipeline.delivery.resending.redeliver(&stage.space, parked.id).await.unwrap();
    stage.until("until somebody redelivers it", || of(&seen, "a") == ["a2", "a3", "a1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_hanging_receiver_among_a_hundred_does_not_delay_the_others() {
    let stage = Stage::open().await;
    let hangs = Receiver::playing(None, vec![Step::Request, Step::Hang]);
    let count = Arc::new(AtomicUsize::new(0));
    let answers = {
        let count = Arc::clone(&count);
        Receiver::serving(None, move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            Reply::new(200, "")
        })
    };
    stage.hook(&hangs.url("/"), json!({"timeout_ms": 60_000})).await;
    for _ in 0..99 {
        stage.hook(&answers.url("/"), json!({})).await;
    }
    for place in 0..10 {
        stage.send("go.1", None, &json!(place)).await;
    }
    // The first waits for a minute, so all of this happens while it hangs.
    stage.until("the others have all", || count.load(Ordering::SeqCst) == 990).await;
    stage.until("all written down", || stage.count(DeliveryState::Pending) == 10).await;
    assert!(hangs.connections() <= 2, "it takes no more places than a new one gets: {}", hangs.connections());
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_respect_the_rate_limit() {
    let stage = Stage::open().await;
    let count = Arc::new(AtomicUsize::new(0));
    let receiver = {
        let count = Arc::clone(&count);
        Receiver::serving(None, move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            Reply::new(200, "")
        })
    };
    stage.hook(&receiver.url("/"), json!({"rate": {"requests": 2, "per_seconds": 10}})).await;
    for place in 0..5 {
        stage.send("go.1", None, &json!(place)).await;
    }
    let taken = || count.load(Ordering::SeqCst);
    for (advance, wanted) in [(0, 2), (5, 3), (5, 4), (5, 5)] {
        stage.advance(seconds(advance));
        stage.until("so many", || taken() == wanted).await;
        stage.still("and no more", || taken() == wanted).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_sent_when_it_is_full_or_its_wait_is_over() {
    let stage = Stage::open().await;
    let bodies: Seen = Seen::default();
    let receiver = {
        let bodies = Arc::clone(&bodies);
        Receiver::serving(None, move |request| {
            bodies.lock().unwrap().push(serde_json::from_slice(&request.body).unwrap());
            Reply::new(200, "")
        })
    };
    stage.hook(&receiver.url("/"), json!({"batching": {"most": 3, "wait_ms": 5000}})).await;
    let sizes = || bodies.lock().unwrap().iter().map(|body| body.as_array().unwrap().len()).collect::<Vec<_>>();
    stage.send("go.1", None, &json!(1)).await;
    stage.send("go.1", None, &json!(2)).await;
    stage.still("waits for others", || sizes().is_empty()).await;
    stage.send("go.1", None, &json!(3)).await;
    stage.until("enough", || sizes() == [3]).await;
    stage.send("go.1", None, &json!(4)).await;
    stage.still("waits again", || sizes() == [3]).await;
    stage.advance(seconds(5));
    stage.until("time has passed", || sizes() == [3, 1]).await;
    stage.until("each is delivered", || stage.count(DeliveryState::Delivered) == 4).await;
    assert_eq!(bodies.lock().unwrap()[0][2]["data"], 3);
    let first = &stage.deliveries()[0];
    assert_eq!(stage.attempts(first)[0].batch, Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn circuit_opens_on_failures_and_closes_after_a_successful_probe() {
    let stage = Stage::open().await;
    let works = Arc::new(AtomicBool::new(false));
    let count = Arc::new(AtomicUsize::new(0));
    let receiver = {
        let (works, count) = (Arc::clone(&works), Arc::clone(&count));
        Receiver::serving(None, move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            Reply::new(if works.load(Ordering::SeqCst) { 200 } else { 500 }, "")
        })
    };
    let hook = stage.hook(&receiver.url("/"), json!({"retry": {"delays_seconds": [1000]}})).await;
    let breaker = || stage.pipeline.resources.webhooks.webhook_status(&hook).unwrap()["breaker"]["state"].clone();
    for place in 0..10 {
        stage.send("go.1", None, &json!(place)).await;
        stage.until("tried", || count.load(Ordering::SeqCst) == place + 1).await;
    }
    stage.until("open", || breaker() == "open").await;
    stage.idle(&hook).await;
    for place in 10..20 {
        stage.send("go.1", None, &json!(place)).await;
    }
    stage.still("nothing is sent", || count.load(Ordering::SeqCst) == 10).await;
    stage.advance(seconds(10));
    stage.until("the probe", || count.load(Ordering::SeqCst) == 11).await;
    stage.idle(&hook).await;
    stage.still("only one", || count.load(Ordering::SeqCst) == 11).await;
    works.store(true, Ordering::SeqCst);
    stage.advance(seconds(20));
    stage.until("all that waited", || stage.count(DeliveryState::Delivered) == 9).await;
    assert_eq!(breaker(), "closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn disabling_or_deleting_a_webhook_dead_letters_its_waiting_deliveries_at_once() {
    let stage = Stage::open().await;
    let receiver = Receiver::serving(None, |_| Reply::new(500, ""));
    let off = stage.hook(&receiver.url("/"), json!({"events": ["go.off"]})).await;
    let gone = stage.hook(&receiver.url("/"), json!({"events": ["go.gone"]})).await;
    for event in ["go.off", "go.gone"] {
        stage.send(event, None, &json!(1)).await;
    }
    stage.until("tried", || stage.deliveries().iter().all(|one| one.attempts == 1)).await;
    let input = hookwright_model::parse_json(br#"{"enabled": false}"#).unwrap();
    stage.pipeline.resources.webhooks.change_webhook(&stage.space, off.id.as_str(), input, &admin()).await.unwrap();
    stage.pipeline.resources.webhooks.delete_webhook(&stage.space, gone.id.as_str()).await.unwrap();
    stage.until("dead-lettered before its time", || stage.count(DeliveryState::Dead) == 2).await;
    let reasons: Vec<_> = stage.deliveries().into_iter().filter_map(|one| one.last_error).collect();
    assert_eq!(reasons, ["the webhook is disabled", "the webhook was deleted"]);
    assert_eq!(stage.webhook(&off).state_by.as_deref(), Some("key k"));
    assert!(stage.deliveries().iter().all(|one| one.attempts == 1), "without a further request");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_waiting_deliveries_of_a_dead_webhook_are_dead_lettered() {
    const MANY: usize = 450;
    let stage = Stage::open().await;
    let receiver = Receiver::serving(None, |_| Reply::new(400, ""));
    let more = json!({"retry": {"delays_seconds": [10, 100], "jitter": 0}, "on_exhausted": "die"});
    let hook = stage.hook(&receiver.url("/"), more).await;
    stage.send("go.1", None, &json!("first")).await;
    stage.until("tried", || stage.deliveries()[0].attempts == 1).await;
    stage.advance(seconds(10));
    stage.until("tried again", || stage.deliveries()[0].attempts == 2).await;
    stage.advance(seconds(95));
    for place in 0..MANY {
        stage.send("go.1", None, &json!(place)).await;
    }
    stage.until("all tried", || stage.deliveries().iter().all(|one| one.attempts > 0)).await;
    stage.advance(seconds(5));
    stage.until("all over", || stage.count(DeliveryState::Dead) == MANY + 1).await;
    stage.until("the webhook is dead", || stage.webhook(&hook).state() == WebhookState::Dead).await;
    let mut ended = stage.deliveries().into_iter().filter(|one| one.attempts == 1).map(|one| one.last_error);
    assert!(ended.all(|error| error.as_deref() == Some("the webhook is dead")));
    stage.until("nothing is queued", || stage.store.queues.queues().unwrap().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_deliveries_arrive_exactly_once() {
    let stage = Stage::open().await;
    let seen: Seen = Seen::default();
    let receiver = picky(&seen, &Arc::default());
    for place in 0..10 {
        stage.hook(&receiver.url(&format!("/{place}")), json!({})).await;
    }
    for place in 0..1000 {
        stage.send("go.1", None, &json!(place)).await;
    }
    let total = || seen.lock().unwrap().len();
    stage.until("all", || total() == 10_000).await;
    stage.until("all written down", || stage.store.queues.queues().unwrap().is_empty()).await;
    stage.still("none twice", || total() == 10_000).await;
}
