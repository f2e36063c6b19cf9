//! How long an idempotency key is remembered, and that it is removed after that.

use hookwright_model::{EventDraft, IdempotencyKey, KeyedRequest};

use crate::stage::{Stage, seconds};

const DAY: u64 = 86_400;

/// Sends the same event with the same key; whether it was taken for a retry.
async fn retried(stage: &Stage, key: &str) -> bool {
    let draft = EventDraft { event_type: "go.once".to_owned(), source: "test".to_owned(), ..EventDraft::default() };
    let key = IdempotencyKey::parse(key.as_bytes()).unwrap();
    let request = KeyedRequest { key, fingerprint: "same".to_owned() };
    stage.pipeline.intake.events.accept_from_api(&stage.space, vec![draft], Some(&request)).await.unwrap()[0].repeat
}

#[tokio::test]
async fn an_idempotency_key_expires_and_is_removed_after_24_hours() {
    let stage = Stage::open().await;
    let keys = || stage.store.idempotency.idempotency_key_count().unwrap();
    assert!(!retried(&stage, "before").await);
    stage.advance(seconds(1));
    assert!(!retried(&stage, "a").await);
    stage.advance(seconds(DAY - 60));
    assert!(!retried(&stage, "b").await);
    stage.advance(seconds(60));
    assert!(retried(&stage, "a").await, "24 hours are not over");
    stage.until("the one before is removed, and both are remembered", || keys() == 2).await;
    stage.advance(seconds(1));
    stage.until("the first one is removed", || keys() == 1).await;
    assert!(!retried(&stage, "a").await, "it is a new one");
    assert!(retried(&stage, "b").await);
    assert_eq!(stage.events().len(), 4);
}
