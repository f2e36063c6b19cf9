//! How large the header fields of a request are, and what the log keeps of a batch.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hookwright_model::{AttemptOutcome, DeliveryState};
use hookwright_receiver::{Receiver, Reply};
use serde_json::{Value, json};

use crate::stage::{Stage, seconds};

/// A receiver that counts its requests.
fn counting() -> (Receiver, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let receiver = Receiver::serving(None, move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        Reply::new(200, "taken")
    });
    (receiver, count)
}

fn headers(count: usize) -> Value {
    (0..count).map(|place| json!({"name": format!("x-{place}"), "value": "{{event.data.s}}"})).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn header_fields_that_are_too_large_after_rendering_are_not_sent_and_not_retried() {
    for (count, size, said) in [
        (1, 8193, "the header field `x-0` has 8193 bytes, more than 8192"),
        (50, 900_000, "the header field `x-0` has 900000 bytes, more than 8192"),
        (9, 8000, "bytes together, more than 65536; the largest is `x-"),
    ] {
        let stage = Stage::open().await;
        let (receiver, requests) = counting();
        let hook = stage.hook(&receiver.url("/"), json!({"headers": headers(count)})).await;
        stage.send("go.1", None, &json!({"s": "a".repeat(size)})).await;
        stage.until("dead-lettered", || stage.count(DeliveryState::Dead) == 1).await;
        stage.idle(&hook).await;
        let delivery = &stage.deliveries()[0];
        assert_eq!((delivery.attempts, delivery.next_attempt_at), (1, None));
        assert!(delivery.last_error.as_ref().unwrap().contains(said), "{:?}", delivery.last_error);
        let attempt = &stage.attempts(delivery)[0];
        assert!(
            matches!(&attempt.outcome, AttemptOutcome::Failed { code, .. } if code == "header.too_large"),
            "{attempt:?}"
        );
        stage.advance(seconds(1000));
        stage.send("go.1", None, &json!({"s": "short"})).await;
        stage.until("the next one is sent", || stage.count(DeliveryState::Delivered) == 1).await;
        assert_eq!(requests.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_with_too_large_header_fields_fails_without_the_rest_of_its_batch() {
    let stage = Stage::open().await;
    let (receiver, requests) = counting();
    let more = json!({"headers": headers(1), "batching": {"most": 3, "wait_ms": 5000}});
    stage.hook(&receiver.url("/"), more).await;
    for size in [9000, 1, 1] {
        stage.send("go.1", None, &json!({"s": "a".repeat(size)})).await;
    }
    stage.until("the others are delivered", || stage.count(DeliveryState::Delivered) == 2).await;
    assert_eq!(stage.deliveries()[0].state, DeliveryState::Dead);
    assert_eq!(requests.load(Ordering::SeqCst), 1);
    assert_eq!(stage.attempts(&stage.deliveries()[1])[0].batch, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_stores_the_request_of_a_batch_once() {
    let stage = Stage::open().await;
    let (receiver, _) = counting();
    stage.hook(&receiver.url("/"), json!({"batching": {"most": 3, "wait_ms": 5000}})).await;
    for place in 0..3 {
        stage.send("go.1", None, &json!(place)).await;
    }
    stage.until("delivered", || stage.count(DeliveryState::Delivered) == 3).await;
    let all = stage.deliveries();
    let first = &stage.attempts(&all[0])[0];
    assert_eq!((first.batch, first.batch_first), (Some(3), None));
    assert!(!first.request_headers.is_empty() && first.request_body.starts_with('['), "{first:?}");
    assert!(matches!(&first.outcome, AttemptOutcome::Answered { body, .. } if body == "taken"), "{first:?}");
    for delivery in &all[1..] {
        let attempt = &stage.attempts(delivery)[0];
        assert_eq!((attempt.batch, attempt.batch_first), (Some(3), Some(all[0].id)));
        assert!(attempt.request_headers.is_empty() && attempt.request_body.is_empty(), "{attempt:?}");
        assert_eq!(attempt.outcome.status(), Some(200));
        assert!(matches!(&attempt.outcome, AttemptOutcome::Answered { body, .. } if body.is_empty()), "{attempt:?}");
    }
}
