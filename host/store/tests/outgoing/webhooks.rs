//! The stored form of webhooks, policies and event types.

use hookwright_model::{SpaceId, Timestamp, Webhook, WebhookPolicy};
use hookwright_store::Store;
use serde_json::json;

use crate::{open, queue, reopen, to};

pub(crate) fn webhook(id: &str) -> Webhook {
    serde_json::from_value(json!({
        "id": id, "space": "main", "url": "https://example.com/", "events": ["*"], "retry": {"schedule": "none"},
        "timeout_ms": 1000, "created_at": "2026-01-31T12:00:00Z", "updated_at": "2026-01-31T12:00:00Z"
    }))
    .unwrap()
}

/// A stored webhook.
pub(crate) fn stored(store: &Store, space: &SpaceId, id: &str) -> Option<Webhook> {
    store.webhooks.webhooks(space).unwrap().into_iter().find(|webhook| webhook.id.as_str() == id)
}

fn policy(name: &str) -> WebhookPolicy {
    WebhookPolicy {
        number: 0,
        space: SpaceId::main(),
        name: name.into(),
        signing: hookwright_model::SigningPolicy::default(),
        keys: vec![],
        created_at: Timestamp::from_millis(0),
        updated_at: Timestamp::from_millis(0),
    }
}

#[tokio::test]
async fn webhook_numbers_are_never_reused() {
    let (dir, store) = open();
    let main = SpaceId::main();
    let first = store.webhooks.create_webhook(webhook("whk_a")).await.unwrap();
    let second = store.webhooks.create_webhook(webhook("whk_b")).await.unwrap();
    assert_eq!((first.number, second.number), (1, 2));
    assert!(store.webhooks.delete_webhook(&main, "whk_b").await.unwrap());
    assert!(!store.webhooks.delete_webhook(&main, "whk_b").await.unwrap());
    store.close().await;
    drop(store);
    let store = reopen(&dir);
    assert_eq!(store.webhooks.create_webhook(webhook("whk_c")).await.unwrap().number, 3);
    let mut elsewhere = webhook("whk_d");
    elsewhere.space = "other".parse().unwrap();
    assert_eq!(store.webhooks.create_webhook(elsewhere).await.unwrap().number, 1, "each space counts for itself");
    store.webhooks.put_webhook(&Webhook { number: 77, name: "new".into(), ..webhook("whk_a") }).await.unwrap();
    let kept = stored(&store, &main, "whk_a").unwrap();
    assert_eq!((kept.number, kept.name.as_str()), (1, "new"));
    let numbers: Vec<u64> = store.webhooks.webhooks(&main).unwrap().iter().map(|webhook| webhook.number).collect();
    assert_eq!(numbers, [1, 3]);
    assert_eq!(store.webhooks.all_webhooks().unwrap().len(), 3);
}

#[tokio::test]
async fn a_deleted_webhooks_queue_is_still_listed() {
    let (_dir, store) = open();
    let main = SpaceId::main();
    store.webhooks.create_webhook(webhook("whk_1")).await.unwrap();
    queue(&store, 5, vec![to(1, None)]).await;
    store.queues.touched();
    assert!(store.webhooks.delete_webhook(&main, "whk_1").await.unwrap());
    assert_eq!(store.queues.touched(), [(main.clone(), 1)], "so that what waits is given up soon");
    assert_eq!(store.queues.queues().unwrap(), [(main, 1, Timestamp::from_millis(5))]);
}

#[tokio::test]
async fn policies_are_numbered_and_listed_in_that_order() {
    let (_dir, store) = open();
    let main = SpaceId::main();
    for n in 1..=11 {
        assert_eq!(store.webhooks.create_webhook_policy(policy(&format!("p{n}"))).await.unwrap().number, n);
    }
    let mut second = store.webhooks.webhook_policy(&main, 2).unwrap().unwrap();
    second.name = "changed".into();
    store.webhooks.put_webhook_policy(&second).await.unwrap();
    assert!(store.webhooks.delete_webhook_policy(&main, 11).await.unwrap());
    assert!(!store.webhooks.delete_webhook_policy(&main, 11).await.unwrap());
    assert!(store.webhooks.webhook_policy(&main, 11).unwrap().is_none());
    assert_eq!(store.webhooks.create_webhook_policy(policy("x")).await.unwrap().number, 12);
    let names: Vec<_> = store.webhooks.webhook_policies(&main).unwrap().into_iter().map(|policy| policy.name).collect();
    assert_eq!(names, ["p1", "changed", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "p10", "x"]);
}

#[tokio::test]
async fn event_types_are_stored_by_name() {
    let (_dir, store) = open();
    let main = SpaceId::main();
    store.event_types.put_event_type(&main, "order.paid", &json!({"description": "d"})).await.unwrap();
    store.event_types.put_event_type(&main, "a.b", &json!(1)).await.unwrap();
    store.event_types.put_event_type(&main, "a.b", &json!(2)).await.unwrap();
    assert_eq!(store.event_types.event_type(&main, "a.b").unwrap(), Some(json!(2)));
    let all = store.event_types.event_types(&main).unwrap();
    assert_eq!(all, [("a.b".to_owned(), json!(2)), ("order.paid".to_owned(), json!({"description": "d"}))]);
    assert!(store.event_types.event_types(&"other".parse().unwrap()).unwrap().is_empty());
    assert!(store.event_types.delete_event_type(&main, "a.b").await.unwrap());
    assert_eq!(store.event_types.event_type(&main, "a.b").unwrap(), None);
}
