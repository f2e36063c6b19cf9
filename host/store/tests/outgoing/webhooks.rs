//! The stored form of webhooks, policies and event types.

use hookwright_model::{SpaceId, Timestamp, Webhook, WebhookPolicy};
use hookwright_store::{ConfigChange, Configured, Store, Swap};
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

/// Commits one change; returns it with the number that it assigned.
async fn configure(store: &Store, space: &SpaceId, change: ConfigChange) -> ConfigChange {
    match store.configuration.configure(space, vec![change]).await.unwrap() {
        Configured::Done(mut changes) => changes.remove(0),
        other => panic!("{other:?}"),
    }
}

/// Stores a new webhook; returns it with its number.
pub(crate) async fn create(store: &Store, webhook: Webhook) -> Webhook {
    let space = webhook.space.clone();
    let change = ConfigChange::Webhook(Box::new(Swap { was: None, is: Some(webhook) }));
    match configure(store, &space, change).await {
        ConfigChange::Webhook(swap) => swap.is.unwrap(),
        other => panic!("{other:?}"),
    }
}

async fn delete(store: &Store, space: &SpaceId, id: &str) {
    let swap = Swap { was: stored(store, space, id), is: None };
    configure(store, space, ConfigChange::Webhook(Box::new(swap))).await;
}

/// Creates, changes or deletes a policy; returns its number.
async fn swap_policy(store: &Store, was: Option<WebhookPolicy>, is: Option<WebhookPolicy>) -> u64 {
    match configure(store, &SpaceId::main(), ConfigChange::WebhookPolicy(Swap { was, is })).await {
        ConfigChange::WebhookPolicy(Swap { is: Some(is), .. }) => is.number,
        _ => 0,
    }
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
    let first = create(&store, webhook("whk_a")).await;
    let second = create(&store, webhook("whk_b")).await;
    assert_eq!((first.number, second.number), (1, 2));
    delete(&store, &main, "whk_b").await;
    store.close().await;
    drop(store);
    let store = reopen(&dir);
    assert_eq!(create(&store, webhook("whk_c")).await.number, 3);
    let mut elsewhere = webhook("whk_d");
    elsewhere.space = "other".parse().unwrap();
    assert_eq!(create(&store, elsewhere).await.number, 1, "each space counts for itself");
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
    create(&store, webhook("whk_1")).await;
    queue(&store, 5, vec![to(1, None)]).await;
    store.queues.touched();
    delete(&store, &main, "whk_1").await;
    assert_eq!(store.queues.touched(), [(main.clone(), 1)], "so that what waits is given up soon");
    assert_eq!(store.queues.queues().unwrap(), [(main, 1, Timestamp::from_millis(5))]);
}

#[tokio::test]
async fn policies_are_numbered_and_listed_in_that_order() {
    let (_dir, store) = open();
    let main = SpaceId::main();
    for n in 1..=11 {
        assert_eq!(swap_policy(&store, None, Some(policy(&format!("p{n}")))).await, n);
    }
    let second = store.webhooks.webhook_policy(&main, 2).unwrap().unwrap();
    let changed = WebhookPolicy { name: "changed".into(), ..second.clone() };
    assert_eq!(swap_policy(&store, Some(second), Some(changed)).await, 2);
    swap_policy(&store, store.webhooks.webhook_policy(&main, 11).unwrap(), None).await;
    assert!(store.webhooks.webhook_policy(&main, 11).unwrap().is_none());
    assert_eq!(swap_policy(&store, None, Some(policy("x"))).await, 12);
    let names: Vec<_> = store.webhooks.webhook_policies(&main).unwrap().into_iter().map(|policy| policy.name).collect();
    assert_eq!(names, ["p1", "changed", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "p10", "x"]);
}

#[tokio::test]
async fn event_types_are_stored_by_name() {
    let (_dir, store) = open();
    let main = SpaceId::main();
    for (name, was, is) in
        [("order.paid", None, json!({"description": "d"})), ("a.b", None, json!(1)), ("a.b", Some(json!(1)), json!(2))]
    {
        configure(&store, &main, ConfigChange::EventType(name.to_owned(), Swap { was, is: Some(is) })).await;
    }
    assert_eq!(store.event_types.event_type(&main, "a.b").unwrap(), Some(json!(2)));
    let all = store.event_types.event_types(&main).unwrap();
    assert_eq!(all, [("a.b".to_owned(), json!(2)), ("order.paid".to_owned(), json!({"description": "d"}))]);
    assert!(store.event_types.event_types(&"other".parse().unwrap()).unwrap().is_empty());
    let gone = Swap { was: Some(json!(2)), is: None };
    configure(&store, &main, ConfigChange::EventType("a.b".to_owned(), gone)).await;
    assert_eq!(store.event_types.event_type(&main, "a.b").unwrap(), None);
}
