//! How fast and in which order: nobody is held up by another, and order is kept where it is wanted.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use hookwright_model::DeliveryState;
use hookwright_receiver::{Receiver, Reply, Step};
use serde_json::{Value, json};

use crate::stage::{Stage, seconds};

/// What a receiver was sent, in order: the `data` of each.
type Seen = Arc<Mutex<Vec<Value>>>;

/// A receiver that fails for data that are in `bad`, and takes down what it takes.
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
async fn behind_one_that_failed_its_key_waits_and_others_do_not() {
    let (stage, seen, bad, _receiver) = ordered("block").await;
    stage.until("the other key", || of(&seen, "b") == ["b1", "b2"]).await;
    stage.still("the key waits", || of(&seen, "a").is_empty()).await;
    bad.lock().unwrap().clear();
    stage.advance(seconds(10));
    stage.until("in order", || of(&seen, "a") == ["a1", "a2", "a3"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_one_that_was_given_up_its_key_goes_on() {
    let (stage, seen, _bad, _receiver) = ordered("block").await;
    stage.until("tried", || stage.deliveries()[0].attempts == 1).await;
    stage.advance(seconds(10));
    stage.until("tried twice", || stage.deliveries()[0].attempts == 2).await;
    stage.still("still waits", || of(&seen, "a").is_empty()).await;
    stage.advance(seconds(100));
    stage.until("goes on", || of(&seen, "a") == ["a2", "a3"]).await;
    assert_eq!(stage.count(DeliveryState::Dead), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_failed_is_passed_by_or_put_aside_where_that_is_wanted() {
    let (stage, seen, bad, _receiver) = ordered("skip").await;
    stage.until("passed by", || of(&seen, "a") == ["a2", "a3"]).await;
    bad.lock().unwrap().clear();
    stage.advance(seconds(10));
    stage.until("tried again", || of(&seen, "a") == ["a2", "a3", "a1"]).await;

    let (stage, seen, bad, _receiver) = ordered("park").await;
    stage.until("put aside", || of(&seen, "a") == ["a2", "a3"]).await;
    stage.advance(seconds(1000));
    stage.still("for good", || stage.count(DeliveryState::Parked) == 1).await;
    bad.lock().unwrap().clear();
    let parked = stage.deliveries().into_iter().find(|one| one.state == DeliveryState::Parked).unwrap();
    stage.pipeline.redeliver(&stage.space, parked.id).await.unwrap();
    stage.until("until somebody redelivers it", || of(&seen, "a") == ["a2", "a3", "a1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_hangs_among_a_hundred_slows_nobody() {
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
async fn a_rate_is_kept() {
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
async fn events_are_sent_together_when_there_are_enough_or_time_has_passed() {
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
async fn a_destination_that_fails_is_let_be_until_a_probe_ends_well() {
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
    let breaker = || stage.pipeline.webhook_status(&hook).unwrap()["breaker"]["state"].clone();
    for place in 0..10 {
        stage.send("go.1", None, &json!(place)).await;
        stage.until("tried", || count.load(Ordering::SeqCst) == place + 1).await;
    }
    stage.until("open", || breaker() == "open").await;
    for place in 10..20 {
        stage.send("go.1", None, &json!(place)).await;
    }
    stage.still("nothing is sent", || count.load(Ordering::SeqCst) == 10).await;
    stage.advance(seconds(10));
    stage.until("the probe", || count.load(Ordering::SeqCst) == 11).await;
    stage.still("only one", || count.load(Ordering::SeqCst) == 11).await;
    works.store(true, Ordering::SeqCst);
    stage.advance(seconds(20));
    stage.until("all that waited", || stage.count(DeliveryState::Delivered) == 9).await;
    assert_eq!(breaker(), "closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_is_switched_off_or_deleted_gives_up_what_waits() {
    let stage = Stage::open().await;
    let receiver = Receiver::serving(None, |_| Reply::new(500, ""));
    let off = stage.hook(&receiver.url("/"), json!({"events": ["go.off"]})).await;
    let gone = stage.hook(&receiver.url("/"), json!({"events": ["go.gone"]})).await;
    for event in ["go.off", "go.gone"] {
        stage.send(event, None, &json!(1)).await;
    }
    stage.until("tried", || stage.deliveries().iter().all(|one| one.attempts == 1)).await;
    let input = hookwright_model::parse_json(br#"{"enabled": false}"#).unwrap();
    stage.pipeline.change_webhook(&stage.space, off.id.as_str(), input, "key k").await.unwrap();
    stage.pipeline.delete_webhook(&stage.space, gone.id.as_str()).await.unwrap();
    stage.advance(seconds(10));
    stage.until("given up", || stage.count(DeliveryState::Dead) == 2).await;
    let reasons: Vec<_> = stage.deliveries().into_iter().filter_map(|one| one.last_error).collect();
    assert_eq!(reasons, ["the webhook is disabled", "the webhook was deleted"]);
    assert_eq!(stage.webhook(&off).state_by.as_deref(), Some("key k"));
    assert!(stage.deliveries().iter().all(|one| one.attempts == 1), "without a further request");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_deliveries_all_arrive_once() {
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
    stage.until("all written down", || stage.pipeline.store().queues().unwrap().is_empty()).await;
    stage.still("none twice", || total() == 10_000).await;
}
