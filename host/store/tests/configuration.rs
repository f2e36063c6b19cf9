//! Changes of several objects: one commit for all of them, or nothing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail loudly")]

use hookwright_model::{
    ApiKey, Automation, AutomationId, KeyId, RecordKind, Role, SigningPolicy, SpaceId, Timestamp, Webhook,
    WebhookPolicy,
};
use hookwright_store::{ConfigChange, Configured, KindRefused, Store, StoreOptions, Swap};
use serde_json::json;
use tempfile::TempDir;

fn open() -> (TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&StoreOptions::new(dir.path().join("store.redb"))).unwrap();
    (dir, store)
}

fn automation(name: &str, revision: u32) -> Automation {
    let value = json!({"id": format!("aut_{name}"), "name": name, "on": ["x"], "then": [], "enabled": true,
        "revision": revision, "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"});
    serde_json::from_value(value).unwrap()
}

fn made<T>(is: T) -> Swap<T> {
    Swap { was: None, is: Some(is) }
}

fn policy(space: &SpaceId, number: u64) -> WebhookPolicy {
    WebhookPolicy {
        number,
        space: space.clone(),
        name: format!("policy {number}"),
        signing: SigningPolicy::default(),
        keys: Vec::new(),
        created_at: Timestamp::from_millis(1),
        updated_at: Timestamp::from_millis(1),
    }
}

fn webhook(name: &str, policy: Option<u64>) -> Webhook {
    let value = json!({"id": format!("whk_{name}"), "space": "main", "name": name, "url": "https://a.example",
        "events": ["x"], "policy": policy, "retry": {"delays_seconds": []}, "timeout_ms": 1000,
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"});
    serde_json::from_value(value).unwrap()
}

fn key(space: &SpaceId, role: Role) -> ApiKey {
    ApiKey {
        id: KeyId::from("key_1"),
        space: space.clone(),
        name: "k".into(),
        role,
        user: None,
        prefix: "hw_".into(),
        digest: "00".into(),
        created_at: Timestamp::from_millis(1),
        last_used_at: None,
        expires_at: None,
        replaced_by: None,
    }
}

#[tokio::test]
async fn everything_is_committed_with_consistent_numbers() {
    let (_dir, store) = open();
    let space = SpaceId::main();
    let changes = vec![
        ConfigChange::Automation(made(automation("a", 1))),
        ConfigChange::WebhookPolicy(made(policy(&space, u64::MAX))),
        ConfigChange::WebhookPolicy(made(policy(&space, u64::MAX - 1))),
        ConfigChange::Webhook(Box::new(made(webhook("w", Some(u64::MAX - 1))))),
        ConfigChange::Key(made(key(&space, Role::Viewer))),
    ];
    assert!(matches!(store.configuration.configure(&space, changes).await.unwrap(), Configured::Done(_)));
    let found = store.webhooks.webhooks(&space).unwrap().remove(0);
    assert_eq!((found.id.as_str(), found.number, found.policy), ("whk_w", 1, Some(2)));
    assert_eq!(store.webhooks.webhook_policy(&space, 2).unwrap().unwrap().name, format!("policy {}", u64::MAX - 1));
    assert!(store.automations.automation_revision(&space, "aut_a", 1).unwrap().is_some());
    assert_eq!(store.keys.keys(&space).unwrap().len(), 1);
}

#[tokio::test]
async fn nothing_is_committed_on_a_write_conflict() {
    let (_dir, store) = open();
    let space = SpaceId::main();
    let first = vec![ConfigChange::Automation(made(automation("a", 1)))];
    assert!(matches!(store.configuration.configure(&space, first).await.unwrap(), Configured::Done(_)));
    for stale in [
        ConfigChange::Automation(Swap { was: Some(automation("a", 2)), is: Some(automation("a", 3)) }),
        ConfigChange::Automation(made(automation("a", 1))),
        ConfigChange::Automation(Swap { was: Some(automation("gone", 1)), is: None }),
        ConfigChange::Key(Swap { was: Some(key(&space, Role::Viewer)), is: Some(key(&space, Role::Admin)) }),
    ] {
        let changes = vec![ConfigChange::Automation(made(automation("b", 1))), stale];
        assert!(matches!(store.configuration.configure(&space, changes).await.unwrap(), Configured::Conflict));
        let found: Vec<AutomationId> =
            store.automations.automations(&space).unwrap().into_iter().map(|one| one.id).collect();
        assert_eq!(found, [AutomationId::from("aut_a")]);
        assert!(store.automations.automation_revision(&space, "aut_b", 1).unwrap().is_none());
    }
    let swap = Swap { was: Some(automation("a", 1)), is: Some(automation("a", 2)) };
    let changes = vec![ConfigChange::Automation(swap), ConfigChange::Automation(made(automation("b", 1)))];
    assert!(matches!(store.configuration.configure(&space, changes).await.unwrap(), Configured::Done(_)));
    assert_eq!(store.automations.automation(&space, "aut_a").unwrap().unwrap().revision, 2);
}

#[tokio::test]
async fn a_kind_beyond_the_limit_refuses_the_whole_commit() {
    let (_dir, store) = open();
    let space = SpaceId::main();
    let kind = |n: usize| {
        let input = serde_json::from_value(json!({"fields": {}})).unwrap();
        RecordKind::declare(&format!("kind-{n}"), input, None, Timestamp::from_millis(1)).unwrap()
    };
    let kinds = |count: usize| (0..count).map(|n| ConfigChange::Kind(Box::new(made(kind(n))))).collect::<Vec<_>>();
    let refused = store.configuration.configure(&space, kinds(201)).await.unwrap();
    assert!(matches!(refused, Configured::Refused(_, KindRefused::TooMany(200))), "{refused:?}");
    assert!(store.kinds.own_kinds(&space).unwrap().is_empty());
    assert!(matches!(store.configuration.configure(&space, kinds(200)).await.unwrap(), Configured::Done(_)));
    assert_eq!(store.kinds.own_kinds(&space).unwrap().len(), 200);
}

#[tokio::test]
async fn using_a_revoked_key_does_not_restore_it() {
    let (_dir, store) = open();
    let space = SpaceId::main();
    let mut used = key(&space, Role::Viewer);
    store.keys.put_key(&used).await.unwrap();
    used.last_used_at = Some(Timestamp::from_millis(5));
    let admin = key(&space, Role::Admin);
    let swap = Swap { was: Some(key(&space, Role::Viewer)), is: Some(admin) };
    store.configuration.configure(&space, vec![ConfigChange::Key(swap)]).await.unwrap();
    store.keys.note_key_use(&used).await.unwrap();
    let found = &store.keys.keys(&space).unwrap()[0];
    assert_eq!((found.role, found.last_used_at), (Role::Admin, used.last_used_at), "only its use is noted");
    store.keys.delete_key(&space, "key_1").await.unwrap();
    store.keys.note_key_use(&used).await.unwrap();
    assert!(store.keys.keys(&space).unwrap().is_empty());
}
