//! What follows a failed attempt: a retry by the schedule, a later time that the receiver names, or the end of the
//! attempts, and what is reported.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hookwright_model::{DeliveryState, Timestamp, Webhook, WebhookState};
use hookwright_pipeline::JobState;
use hookwright_receiver::{Receiver, Reply};
use hookwright_store::Page;
use serde_json::json;

use crate::stage::{Stage, admin, seconds};

/// A receiver that answers what the number says.
fn answering(status: &Arc<AtomicU16>) -> Receiver {
    let status = Arc::clone(status);
    Receiver::serving(None, move |_| Reply::new(status.load(Ordering::SeqCst), "said"))
}

fn status(first: u16) -> Arc<AtomicU16> {
    Arc::new(AtomicU16::new(first))
}

/// A webhook without retries that was sent this many events, and its receiver, which refused each of them.
async fn all_dead(stage: &Stage, many: usize) -> (Receiver, Webhook) {
    let receiver = answering(&status(400));
    let hook = stage.hook(&receiver.url("/"), json!({"retry": {"delays_seconds": []}})).await;
    stage.send_many("go.1", many).await;
    stage.until("all dead", || stage.count(DeliveryState::Dead) == many).await;
    (receiver, hook)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_capsule_schedule_retries_for_36_minutes_and_5_seconds_then_the_webhook_is_dead() {
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
    assert_eq!(delivery.last_error.as_deref(), Some("the receiver answered 500; no attempts left"));

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
async fn the_standard_schedule_retries_for_75_hours() {
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
    stage.until("dead-lettered", || stage.count(DeliveryState::Dead) == 1).await;
    stage.idle(&hook).await;
    assert_eq!(stage.webhook(&hook).state(), WebhookState::Active, "the next event has its own attempts");
    assert_eq!(stage.webhook(&hook).last_error.as_deref(), Some("the receiver answered 503"));
    answer.store(204, Ordering::SeqCst);
    stage.send("go.2", None, &json!(2)).await;
    stage.until("delivered", || stage.count(DeliveryState::Delivered) == 1).await;
    stage.until("the error is over", || stage.webhook(&hook).last_error.is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gone_disables_or_deletes_the_webhook_and_dead_letters_its_deliveries() {
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
    stage.until("disabled", || stage.webhook(&kept).state() == WebhookState::Disabled).await;
    let webhook = stage.webhook(&kept);
    assert_eq!(
        (webhook.state_by.as_deref(), webhook.state_reason.as_deref()),
        (Some("receiver"), Some("the receiver answered 410 Gone"))
    );
    stage
        .until("deleted", || stage.pipeline.resources.webhooks.webhook(&stage.space, deleted.id.as_str()).is_err())
        .await;
    let told = || stage.events().iter().filter(|one| *one == "webhook.disabled").count();
    stage.until("both are told of", || told() == 2).await;
    stage.still("each once", || told() == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_delays_the_next_attempt_after_any_failure() {
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
async fn a_rate_limiting_receiver_is_throttled_for_its_retry_after_and_reported_once() {
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
    stage.until("throttled", || stage.pipeline.delivery.holds.hold(&hook).is_some()).await;
    stage.send("go.2", None, &json!(2)).await;
    stage.still("the next waits too", || stage.deliveries()[1].attempts == 0).await;
    answer.store(200, Ordering::SeqCst);
    stage.advance(seconds(30));
    stage.until("both delivered", || stage.count(DeliveryState::Delivered) == 2).await;
    assert!(stage.pipeline.delivery.holds.hold(&hook).is_none());
    let reported = || stage.events().iter().filter(|one| *one == "webhook.throttled").count();
    stage.until("reported", || reported() > 0).await;
    stage.still("once", || reported() == 1).await;
    let page = Page { before: None, limit: 500 };
    let events = stage.store.events.events(&stage.space, page, &|_| true).unwrap().items;
    let (_, event) = events.into_iter().find(|(_, event)| event.event_type == "webhook.throttled").unwrap();
    assert_eq!(event.data_value()["until"], "2026-01-01T00:00:30.000Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn single_redeliveries_are_sent_once_each_although_the_dispatcher_reads_the_same_queue() {
    let stage = Stage::open().await;
    let count = Arc::new(AtomicUsize::new(0));
    let receiver = {
        let count = Arc::clone(&count);
        Receiver::serving(None, move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            Reply::new(200, "")
        })
    };
    stage.hook(&receiver.url("/"), json!({})).await;
    stage.send("go.1", None, &json!(1)).await;
    stage.until("delivered", || stage.count(DeliveryState::Delivered) == 1).await;
    let mut last = stage.deliveries()[0].id;
    for again in 2..=200 {
        last = stage.pipeline.delivery.resending.redeliver(&stage.space, last).await.unwrap().id;
        stage.until("delivered again", || stage.count(DeliveryState::Delivered) == again).await;
    }
    stage.still("once each", || count.load(Ordering::SeqCst) == 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_ends_with_another_url_an_enable_or_a_test_that_succeeds() {
    for change in ["url", "enabled", "test"] {
        let stage = Stage::open().await;
        let answer = status(429);
        let receiver = {
            let answer = Arc::clone(&answer);
            Receiver::serving(None, move |request| Reply {
                fields: vec![("retry-after".to_owned(), "3600".to_owned())],
                ..Reply::new(if request.path == "/other" { 200 } else { answer.load(Ordering::SeqCst) }, "")
            })
        };
        let hook = stage.hook(&receiver.url("/"), json!({})).await;
        stage.send("go.1", None, &json!(1)).await;
        stage.until("throttled", || stage.pipeline.delivery.holds.hold(&hook).is_some()).await;
        stage.send("go.2", None, &json!(2)).await;
        stage.still("the next waits", || stage.deliveries()[1].attempts == 0).await;
        let input = match change {
            "url" => json!({"url": receiver.url("/other")}),
            _ => json!({"enabled": true}),
        };
        if change != "url" {
            answer.store(200, Ordering::SeqCst);
        }
        if change == "test" {
            stage.pipeline.delivery.out_of_turn.test_webhook(&stage.space, hook.id.as_str(), &admin()).await.unwrap();
        } else {
            let input = hookwright_model::parse_json(input.to_string().as_bytes()).unwrap();
            stage
                .pipeline
                .resources
                .webhooks
                .change_webhook(&stage.space, hook.id.as_str(), input, &admin())
                .await
                .unwrap();
        }
        stage.until(change, || stage.deliveries()[1].state == DeliveryState::Delivered).await;
        assert!(stage.pipeline.delivery.holds.hold(&stage.webhook(&hook)).is_none(), "{change}");
        if change != "url" {
            assert_eq!(stage.deliveries()[0].attempts, 1, "the one that was tried keeps its time");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_the_former_receiver_do_not_affect_the_new_one() {
    for answered in [429, 410] {
        let stage = Stage::open().await;
        let (asked, released) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let former = {
            let (asked, released) = (Arc::clone(&asked), Arc::clone(&released));
            Receiver::serving(None, move |_| {
                asked.store(true, Ordering::SeqCst);
                let began = Instant::now();
                // Not for ever, so that a test that fails ends.
                while !released.load(Ordering::SeqCst) && began.elapsed() < Duration::from_secs(50) {
                    std::thread::sleep(Duration::from_millis(2));
                }
                let fields = vec![("retry-after".to_owned(), "3600".to_owned())];
                Reply { fields, ..Reply::new(answered, "") }
            })
        };
        let other = answering(&status(200));
        let more = json!({"concurrency": 1, "on_gone": "delete", "timeout_ms": 60_000});
        let hook = stage.hook(&former.url("/"), more).await;
        stage.send("go.1", None, &json!(1)).await;
        stage.until("in flight to the former receiver", || asked.load(Ordering::SeqCst)).await;
        stage.send("go.2", None, &json!(2)).await;
        let input = hookwright_model::parse_json(json!({"url": other.url("/")}).to_string().as_bytes()).unwrap();
        stage
            .pipeline
            .resources
            .webhooks
            .change_webhook(&stage.space, hook.id.as_str(), input, &admin())
            .await
            .unwrap();
        // One request at a time, and that to the former receiver is still in flight.
        stage.until("sent to the new receiver", || stage.deliveries()[1].state == DeliveryState::Delivered).await;
        assert_eq!(stage.deliveries()[0].attempts, 0);

        released.store(true, Ordering::SeqCst);
        stage.until("recorded", || stage.deliveries()[0].attempts == 1).await;
        stage.idle(&hook).await;
        let webhook = stage.webhook(&hook);
        assert_eq!((webhook.state(), webhook.last_error.as_deref()), (WebhookState::Active, None), "{answered}");
        assert!(stage.pipeline.delivery.holds.hold(&webhook).is_none(), "{answered}");
        stage.advance(seconds(10));
        stage.until("retried by the schedule", || stage.count(DeliveryState::Delivered) == 2).await;
        assert_eq!(stage.events(), ["go.1", "go.2"], "{answered}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_in_the_same_millisecond_as_the_one_before_takes_effect() {
    let stage = Stage::open().await;
    let signed = |request: &hookwright_receiver::Request| request.field("webhook-signature").is_some();
    let (tell, told) = std::sync::mpsc::channel();
    let receiver = Receiver::serving(None, move |request| {
        let _ = tell.send((request.path.clone(), signed(request)));
        Reply::new(200, "")
    });
    let hook = stage.hook(&receiver.url("/a"), json!({})).await;
    let requested = || told.try_iter().collect::<Vec<_>>();
    let delivered = |count| stage.count(DeliveryState::Delivered) == count;
    stage.send("go.1", None, &json!(1)).await;
    stage.until("sent to the first url", || delivered(1)).await;
    assert_eq!(requested(), [("/a".to_owned(), true)]);
    // The clock stands still, so both states of the webhook have the same `updated_at`.
    let change = async |input: serde_json::Value| {
        let input = hookwright_model::parse_json(input.to_string().as_bytes()).unwrap();
        stage
            .pipeline
            .resources
            .webhooks
            .change_webhook(&stage.space, hook.id.as_str(), input, &admin())
            .await
            .unwrap();
    };
    change(json!({"url": receiver.url("/b")})).await;
    stage.send("go.2", None, &json!(2)).await;
    stage.until("sent to the second url", || delivered(2)).await;
    assert_eq!(requested(), [("/b".to_owned(), true)]);
    change(json!({"signing": {"kind": "none"}})).await;
    stage.send("go.3", None, &json!(3)).await;
    stage.until("sent without a signature", || delivered(3)).await;
    assert_eq!(requested(), [("/b".to_owned(), false)]);
    assert_eq!(stage.webhook(&hook).updated_at, hook.updated_at);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_is_sent_to_a_disabled_webhook_without_retries() {
    let stage = Stage::open().await;
    let answer = status(500);
    let receiver = answering(&answer);
    let hook = stage.hook(&receiver.url("/"), json!({"enabled": false})).await;
    stage.send("go.1", None, &json!(1)).await;
    stage.pipeline.delivery.out_of_turn.test_webhook(&stage.space, hook.id.as_str(), &admin()).await.unwrap();
    stage.until("tried", || stage.count(DeliveryState::Dead) == 1).await;
    assert_eq!(stage.deliveries().len(), 1, "the event itself does not go out");
    answer.store(200, Ordering::SeqCst);
    stage.pipeline.delivery.out_of_turn.test_webhook(&stage.space, hook.id.as_str(), &admin()).await.unwrap();
    stage.until("taken", || stage.count(DeliveryState::Delivered) == 1).await;
    assert_eq!(stage.webhook(&hook).state(), WebhookState::Disabled);
    assert!(!stage.events().iter().any(|one| one == "delivery.exhausted"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_failure_is_mailed_at_once_and_later_ones_together() {
    let stage = Stage::open().await;
    let receiver = answering(&status(404));
    stage.hook(&receiver.url("/"), json!({"mail_exceptions_to": ["a@example.com", "b@example.com"]})).await;
    for place in 0..3 {
        stage.send("go.1", None, &json!(place)).await;
    }
    stage.until("all tried", || stage.deliveries().iter().all(|one| one.attempts == 1)).await;
    let mails = || stage.store.mails.mails(&stage.space, Page { before: None, limit: 10 }).unwrap().items;
    stage.until("mailed", || mails().len() == 1).await;
    let letter = mails()[0].letter.clone();
    assert_eq!(letter.to, ["a@example.com", "b@example.com"]);
    assert!(letter.text.contains("the receiver answered 404"), "{}", letter.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_dead_letters_are_redelivered() {
    let stage = Stage::open().await;
    let answer = status(400);
    let receiver = answering(&answer);
    let hook = stage.hook(&receiver.url("/"), json!({"retry": {"delays_seconds": []}})).await;
    const MANY: usize = 1200;
    for place in 0..MANY {
        stage.send("go.1", None, &json!(place)).await;
    }
    stage.until("all dead-lettered", || stage.count(DeliveryState::Dead) == MANY).await;
    answer.store(200, Ordering::SeqCst);
    let filter = serde_json::from_value(json!({"webhook": hook.id, "event_type": "go.1"})).unwrap();
    let redelivery = stage.pipeline.delivery.resending.redeliver_all(&stage.space, filter).unwrap();
    let progress = || stage.pipeline.delivery.resending.redelivery(&stage.space, &redelivery.id).unwrap();
    stage.until("queued", || progress().state == JobState::Done).await;
    assert_eq!(progress().queued, u64::try_from(MANY).unwrap());
    stage.until("delivered", || stage.count(DeliveryState::Delivered) == MANY).await;
    let all = stage.deliveries();
    let (first, again) = (&all[0], &all[1]);
    assert_eq!((first.redelivered_by, again.redelivery_of), (Some(again.id), Some(first.id)));
    assert_eq!(first.message_id, again.message_id, "so that the receiver can tell");
    assert!(
        stage.pipeline.delivery.resending.redeliver(&stage.space, again.id).await.is_ok(),
        "one by one, whatever came of it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redelivery_that_fails_is_not_repeated_by_the_same_request() {
    // More than are found before the first of them are queued.
    const MANY: usize = 1100;
    let stage = Stage::open().await;
    let (_receiver, hook) = all_dead(&stage, MANY).await;
    let filter = || serde_json::from_value(json!({"webhook": hook.id})).unwrap();
    let preview = stage.pipeline.delivery.resending.preview_redelivery(&stage.space, &filter()).await.unwrap();
    let many = u64::try_from(MANY).unwrap();
    assert_eq!((preview.deliveries, preview.missed, preview.webhooks[&hook.id]), (many, 0, many));
    let redelivery = stage.pipeline.delivery.resending.redeliver_all(&stage.space, filter()).unwrap();
    let progress = || stage.pipeline.delivery.resending.redelivery(&stage.space, &redelivery.id).unwrap();
    stage.until("queued", || progress().state == JobState::Done).await;
    stage.until("all dead-lettered once more", || stage.count(DeliveryState::Dead) == 2 * MANY).await;
    assert_eq!((progress().seen, progress().queued), (many, many));
    stage.still("and that is all", || stage.deliveries().len() == 2 * MANY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_redeliveries_send_each_delivery_once_even_if_it_fails() {
    const MANY: usize = 1100;
    let stage = Stage::open().await;
    let (_receiver, hook) = all_dead(&stage, MANY).await;
    let filter = || serde_json::from_value(json!({"webhook": hook.id})).unwrap();
    let three = [(); 3].map(|()| stage.pipeline.delivery.resending.redeliver_all(&stage.space, filter()).unwrap());
    let queued = |id: &str| stage.pipeline.delivery.resending.redelivery(&stage.space, id).unwrap().queued;
    let is_done =
        |id: &str| stage.pipeline.delivery.resending.redelivery(&stage.space, id).unwrap().state == JobState::Done;
    stage.until("queued", || three.iter().all(|one| is_done(&one.id))).await;
    assert_eq!(three.iter().map(|one| queued(&one.id)).sum::<u64>(), u64::try_from(MANY).unwrap());
    stage.until("all dead-lettered once more", || stage.count(DeliveryState::Dead) == 2 * MANY).await;
    stage.still("and that is all", || stage.deliveries().len() == 2 * MANY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_redelivers_dead_letters_and_missed_events_once_each() {
    // More of both than one part of a search finds.
    const MANY: usize = 1100;
    let stage = Stage::open().await;
    let answer = status(400);
    let receiver = answering(&answer);
    let hook = stage.hook(&receiver.url("/"), json!({"retry": {"delays_seconds": []}})).await;
    let switch = async |enabled: bool| {
        let input = hookwright_model::parse_json(json!({"enabled": enabled}).to_string().as_bytes()).unwrap();
        stage
            .pipeline
            .resources
            .webhooks
            .change_webhook(&stage.space, hook.id.as_str(), input, &admin())
            .await
            .unwrap();
    };
    // Missed, failed, missed: the search for missed events is ahead of the one for deliveries, and has to wait for it.
    for (enabled, dead) in [(false, 0), (true, MANY), (false, MANY)] {
        switch(enabled).await;
        stage.send_many("go.1", MANY).await;
        stage.until("all dead-lettered", || stage.count(DeliveryState::Dead) == dead).await;
        stage.advance(seconds(1));
    }
    switch(true).await;
    answer.store(200, Ordering::SeqCst);
    let from = hook.created_at;
    let filter = || serde_json::from_value(json!({"webhook": hook.id, "missed": true, "from": from})).unwrap();
    let many = u64::try_from(MANY).unwrap();
    let preview = stage.pipeline.delivery.resending.preview_redelivery(&stage.space, &filter()).await.unwrap();
    assert_eq!((preview.deliveries, preview.missed), (many, 2 * many));
    let redelivery = stage.pipeline.delivery.resending.redeliver_all(&stage.space, filter()).unwrap();
    let progress = || stage.pipeline.delivery.resending.redelivery(&stage.space, &redelivery.id).unwrap();
    stage.until("queued", || progress().state == JobState::Done).await;
    assert_eq!((progress().seen, progress().queued, progress().missed), (many, many, 2 * many));
    stage.until("delivered", || stage.count(DeliveryState::Delivered) == 3 * MANY).await;
    stage.still("and that is all", || stage.deliveries().len() == 4 * MANY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_missed_events_are_sent() {
    const MANY: usize = 2100;
    let stage = Stage::open().await;
    let receiver = answering(&status(200));
    let hook = stage.hook(&receiver.url("/"), json!({})).await;
    let switch = async |enabled: bool| {
        let input = hookwright_model::parse_json(json!({"enabled": enabled}).to_string().as_bytes()).unwrap();
        stage
            .pipeline
            .resources
            .webhooks
            .change_webhook(&stage.space, hook.id.as_str(), input, &admin())
            .await
            .unwrap();
    };
    switch(false).await;
    stage.send_many("go.1", MANY).await;
    stage.advance(seconds(1));
    switch(true).await;
    let filter = || serde_json::from_value(json!({"webhook": hook.id, "missed": true})).unwrap();
    let many = u64::try_from(MANY).unwrap();
    let preview = stage.pipeline.delivery.resending.preview_redelivery(&stage.space, &filter()).await.unwrap();
    assert_eq!((preview.deliveries, preview.missed, preview.webhooks[&hook.id]), (0, many, many));
    let redelivery = stage.pipeline.delivery.resending.redeliver_all(&stage.space, filter()).unwrap();
    let progress = || stage.pipeline.delivery.resending.redelivery(&stage.space, &redelivery.id).unwrap();
    stage.until("queued", || progress().state == JobState::Done).await;
    assert_eq!((progress().queued, progress().missed), (0, many));
    stage.until("delivered", || stage.count(DeliveryState::Delivered) == MANY).await;
    let preview = stage.pipeline.delivery.resending.preview_redelivery(&stage.space, &filter()).await.unwrap();
    assert_eq!((preview.deliveries, preview.missed), (0, 0), "no event is sent twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_url_ends_the_retry_after_of_the_former_receiver() {
    let stage = Stage::open().await;
    let receiver = Receiver::serving(None, move |request| Reply {
        fields: vec![("retry-after".to_owned(), "86400".to_owned())],
        ..Reply::new(if request.path == "/other" { 200 } else { 429 }, "")
    });
    let retry = json!({"retry": {"delays_seconds": [60, 60], "jitter": 0}});
    let hook = stage.hook(&receiver.url("/"), retry).await;
    stage.send("go.1", None, &json!(1)).await;
    stage.until("tried", || stage.deliveries()[0].attempts == 1).await;
    let input = json!({"url": receiver.url("/other")});
    let input = hookwright_model::parse_json(input.to_string().as_bytes()).unwrap();
    stage.pipeline.resources.webhooks.change_webhook(&stage.space, hook.id.as_str(), input, &admin()).await.unwrap();
    stage.still("it waits as the schedule wants", || stage.deliveries()[0].attempts == 1).await;
    stage.advance(seconds(61));
    stage.until("delivered", || stage.deliveries()[0].state == DeliveryState::Delivered).await;
}
