//! What a failure comes to: tried again by the schedule, put off, given up, and told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use hookwright_model::{DeliveryState, Timestamp, WebhookState};
use hookwright_receiver::{Receiver, Reply};
use hookwright_store::Page;
use serde_json::json;

use crate::stage::{Stage, seconds};

/// A receiver that answers what the number says.
fn answering(status: &Arc<AtomicU16>) -> Receiver {
    let status = Arc::clone(status);
    Receiver::serving(None, move |_| Reply::new(status.load(Ordering::SeqCst), "said"))
}

fn status(first: u16) -> Arc<AtomicU16> {
    Arc::new(AtomicU16::new(first))
}

#[tokio::test(flavor = "multi_thread")]
async fn capsules_schedule_runs_for_36_minutes_and_5_seconds_and_then_the_hook_is_dead() {
    let stage = Stage::open().await;
    let receiver = answering(&status(500));
    let more = json!({"profile": "capsule", "transform": null, "retry": {"schedule": "capsule"}});
    let hook = stage.hook(&receiver.url("/"), more).await;
    stage.send("go.1", None, &json!(1)).await;
    let attempts = || stage.deliveries()[0].attempts;
    stage.until("the first attempt", || attempts() == 1).await;
    for (place, delay) in [5, 60, 300, 900, 900].into_iter().enumerate() {
        let made = u32::try_from(place).unwrap() + 1;
        stage.advance(seconds(delay - 1));
        stage.still("not before its time", || attempts() == made).await;
        assert_eq!(stage.webhook(&hook).state(), WebhookState::Active);
        stage.advance(seconds(1));
        stage.until("the next attempt", || attempts() == made + 1).await;
    }
    stage.until("dead", || stage.count(DeliveryState::Dead) == 1).await;
    let delivery = &stage.deliveries()[0];
    let log = stage.attempts(delivery);
    let whole = log[5].started_at.since(log[0].started_at);
    assert_eq!(whole, seconds(36 * 60 + 5));
    assert_eq!(delivery.last_error.as_deref(), Some("the receiver answered 500; no attempt is left"));

    stage.until("the hook is dead", || stage.webhook(&hook).state() == WebhookState::Dead).await;
    let dead = stage.webhook(&hook);
    assert_eq!(dead.state_by.as_deref(), Some("server"));
    assert_eq!(dead.state_at, delivery.finished_at);
    assert!(dead.state_reason.unwrap().contains("500"));
    assert_eq!(stage.events(), ["go.1", "delivery.exhausted", "webhook.dead"]);
    stage.send("go.2", None, &json!(2)).await;
    stage.still("unsubscribed", || stage.deliveries().len() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_standard_schedule_tries_for_75_hours() {
    let stage = Stage::open().await;
    let answer = status(503);
    let receiver = answering(&answer);
    let hook = stage.hook(&receiver.url("/"), json!({"retry": {"schedule": "standard", "jitter": 0}})).await;
    stage.send("go.1", None, &json!(1)).await;
    let attempts = || stage.deliveries()[0].attempts;
    stage.until("the first", || attempts() == 1).await;
    for (made, delay) in (1..).zip([5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]) {
        stage.advance(seconds(delay));
        stage.until("the next", || attempts() == made + 1).await;
    }
    stage.until("given up", || stage.count(DeliveryState::Dead) == 1).await;
    assert_eq!(stage.webhook(&hook).state(), WebhookState::Active, "the next event has its own attempts");
    assert_eq!(stage.webhook(&hook).last_error.as_deref(), Some("the receiver answered 503"));
    answer.store(204, Ordering::SeqCst);
    stage.send("go.2", None, &json!(2)).await;
    stage.until("delivered", || stage.count(DeliveryState::Delivered) == 1).await;
    stage.until("the error is over", || stage.webhook(&hook).last_error.is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gone_switches_off_or_deletes_and_what_waits_is_given_up() {
    let stage = Stage::open().await;
    let answer = status(500);
    let receiver = answering(&answer);
    let kept = stage.hook(&receiver.url("/"), json!({"events": ["go.kept"]})).await;
    let deleted = stage.hook(&receiver.url("/"), json!({"events": ["go.deleted"], "on_gone": "delete"})).await;
    for event in ["go.kept", "go.kept", "go.deleted"] {
        stage.send(event, None, &json!(1)).await;
    }
    stage.until("all tried", || stage.deliveries().iter().all(|one| one.attempts == 1)).await;
    answer.store(410, Ordering::SeqCst);
    stage.advance(seconds(10));
    stage.until("all over", || stage.count(DeliveryState::Dead) == 3).await;
    let webhook = stage.webhook(&kept);
    assert_eq!(webhook.state(), WebhookState::Disabled);
    assert_eq!(
        (webhook.state_by.as_deref(), webhook.state_reason.as_deref()),
        (Some("receiver"), Some("the receiver answered 410 Gone"))
    );
    assert!(stage.pipeline.webhook(&stage.space, deleted.id.as_str()).is_err());
    assert_eq!(stage.events().iter().filter(|one| *one == "webhook.disabled").count(), 2, "each said once");
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_puts_the_next_attempt_off_on_any_failure() {
    for (answered, after) in [(400, "120"), (500, "120"), (503, "Thu, 01 Jan 2026 00:02:00 GMT"), (429, "120")] {
        let stage = Stage::open().await;
        let receiver = Receiver::serving(None, move |_| Reply {
            fields: vec![("retry-after".to_owned(), after.to_owned())],
            ..Reply::new(answered, "")
        });
        stage.hook(&receiver.url("/"), json!({})).await;
        stage.send("go.1", None, &json!(1)).await;
        stage.until("tried", || stage.deliveries()[0].attempts == 1).await;
        let at = Timestamp::parse("2026-01-01T00:02:00Z").unwrap();
        assert_eq!(stage.deliveries()[0].next_attempt_at, Some(at), "{answered}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_wants_less_is_left_alone_for_so_long_and_that_is_told_once() {
    let stage = Stage::open().await;
    let answer = status(429);
    let receiver = {
        let answer = Arc::clone(&answer);
        Receiver::serving(None, move |_| Reply {
            fields: vec![("retry-after".to_owned(), "30".to_owned())],
            ..Reply::new(answer.load(Ordering::SeqCst), "")
        })
    };
    let hook = stage.hook(&receiver.url("/"), json!({})).await;
    stage.send("go.1", None, &json!(1)).await;
    stage.until("tried", || stage.deliveries()[0].attempts == 1).await;
    stage.until("throttled", || stage.pipeline.is_throttled(&hook)).await;
    stage.send("go.2", None, &json!(2)).await;
    stage.still("the next waits too", || stage.deliveries()[1].attempts == 0).await;
    answer.store(200, Ordering::SeqCst);
    stage.advance(seconds(30));
    stage.until("both delivered", || stage.count(DeliveryState::Delivered) == 2).await;
    assert!(!stage.pipeline.is_throttled(&hook));
    stage.until("told", || stage.events().iter().any(|one| one == "webhook.throttled")).await;
    assert_eq!(stage.events().iter().filter(|one| *one == "webhook.throttled").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_goes_out_to_a_webhook_that_is_off_and_is_tried_once() {
    let stage = Stage::open().await;
    let answer = status(500);
    let receiver = answering(&answer);
    let hook = stage.hook(&receiver.url("/"), json!({"enabled": false})).await;
    stage.send("go.1", None, &json!(1)).await;
    stage.pipeline.test_webhook(&stage.space, hook.id.as_str()).await.unwrap();
    stage.until("tried", || stage.count(DeliveryState::Dead) == 1).await;
    assert_eq!(stage.deliveries().len(), 1, "the event itself does not go out");
    answer.store(200, Ordering::SeqCst);
    stage.pipeline.test_webhook(&stage.space, hook.id.as_str()).await.unwrap();
    stage.until("taken", || stage.count(DeliveryState::Delivered) == 1).await;
    assert_eq!(stage.webhook(&hook).state(), WebhookState::Disabled);
    assert!(!stage.events().iter().any(|one| one == "delivery.exhausted"));
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_mailed_at_once_and_then_together() {
    let stage = Stage::open().await;
    let receiver = answering(&status(404));
    stage.hook(&receiver.url("/"), json!({"mail_exceptions_to": ["a@example.com", "b@example.com"]})).await;
    for place in 0..3 {
        stage.send("go.1", None, &json!(place)).await;
    }
    stage.until("all tried", || stage.deliveries().iter().all(|one| one.attempts == 1)).await;
    let mails = || stage.pipeline.store().mails(&stage.space, Page { before: None, limit: 10 }).unwrap().items;
    stage.until("mailed", || mails().len() == 1).await;
    let letter = mails()[0].letter.clone();
    assert_eq!(letter.to, ["a@example.com", "b@example.com"]);
    assert!(letter.text.contains("the receiver answered 404"), "{}", letter.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_up_is_sent_again_however_much_it_is() {
    let stage = Stage::open().await;
    let answer = status(400);
    let receiver = answering(&answer);
    let hook = stage.hook(&receiver.url("/"), json!({"retry": {"delays_seconds": []}})).await;
    const MANY: usize = 1200;
    for place in 0..MANY {
        stage.send("go.1", None, &json!(place)).await;
    }
    stage.until("all given up", || stage.count(DeliveryState::Dead) == MANY).await;
    answer.store(200, Ordering::SeqCst);
    let filter = serde_json::from_value(json!({"webhook": hook.id, "event_type": "go.1"})).unwrap();
    let redelivery = stage.pipeline.redeliver_all(&stage.space, filter);
    let progress = || stage.pipeline.redelivery(&stage.space, &redelivery.id).unwrap();
    stage.until("queued", || progress().state == "done").await;
    assert_eq!(progress().queued, u64::try_from(MANY).unwrap());
    stage.until("delivered", || stage.count(DeliveryState::Delivered) == MANY).await;
    let all = stage.deliveries();
    let (first, again) = (&all[0], &all[1]);
    assert_eq!((first.redelivered_by, again.redelivery_of), (Some(again.id), Some(first.id)));
    assert_eq!(first.message_id, again.message_id, "so that the receiver can tell");
    assert!(stage.pipeline.redeliver(&stage.space, again.id).await.is_ok(), "one by one, whatever came of it");
}
