//! What users set up in a golden store: automations, workflows, schedules, sources, webhooks, plugins, keys, secrets.

use bytes::Bytes;
use hookwright_model::{NewEvent, Plan, RecordKind, Schedule, Secret, SigningKey, SpaceId, WebhookPolicy};
use hookwright_store::{ConfigChange, Configured, PluginInstall, Store, Stored, Swap, Vault};
use serde_json::{Value, json};

use crate::{at, journal, other, typed};

/// A plugin with two versions, a policy, values and recordings.
pub(crate) const PLUGIN: &str = "tagger";
/// The smallest component, and one with a section `note` beside; with their SHA-256 in hex.
const COMPONENTS: [(&str, &[u8]); 2] = [
    ("24eaf3439a60c96764c4f2c92a0a81b52bd4fe5d5b91f090184a0f6486b1bf29", b"\0asm\x0d\0\x01\0"),
    ("50fdd5913526b2aedb02776dff0f362817ecda4e8c704294ed76f1394d8c352b", b"\0asm\x0d\0\x01\0\0\x05\x04note"),
];

fn made<T>(is: T) -> Swap<T> {
    Swap { was: None, is: Some(is) }
}

async fn configure(store: &Store, space: &SpaceId, changes: Vec<ConfigChange>) {
    let done = store.configuration.configure(space, changes).await.unwrap();
    assert!(matches!(done, Configured::Done(_)), "{done:?}");
}

fn sealed(vault: &Vault, plain: &str) -> String {
    vault.seal(plain.as_bytes()).unwrap()
}

pub(crate) async fn fill(store: &Store, vault: &Vault) {
    steps(store).await;
    times(store).await;
    inbound(store, vault).await;
    outbound(store, vault).await;
    plugins(store).await;
    access(store, vault).await;
}

fn automation(id: &str, revision: u32) -> Value {
    json!({
        "id": id, "name": "Escalate", "description": format!("revision {revision}"), "on": ["ticket.*", "order.paid"],
        "when": {"all": [
            {"condition": "match", "with": {"path": "data.total", "at_least": 100.50}},
            {"not": {"any": [{"condition": "match", "with": {"path": "data.state", "equals": "void"}}]}}
        ]},
        "then": [
            {"action": PLUGIN, "name": "tag", "for_each": "{{event.data.items}}", "with": {"tag": "vip"},
                "retry": {"delays_seconds": [5, 60], "jitter": 0.5}, "timeout_ms": 2000, "on_error": "retry"},
            {"wait": {"seconds": 60}},
            {"transform": "to-text", "input": "{{steps.tag.result}}", "with": {}, "on_error": "stop",
                "if": {"condition": "match", "with": {"path": "data.total", "exists": true}}}
        ],
        "on_unavailable": "closed", "concurrency": {"key": "{{event.subject}}", "most": 1}, "enabled": revision > 1,
        "switched": {"at": at(1), "by": "key key_admin"}, "revision": revision, "created_at": at(0), "updated_at": at(1)
    })
}

fn workflow(version: u32) -> Value {
    json!({
        "name": "onboard", "description": "Onboards a customer", "version": version,
        "input": {"type": "object", "properties": {"customer": {"type": "string"}}},
        "steps": [
            {"action": PLUGIN, "with": {"tag": "{{input.customer}}"}},
            {"wait": {"until": "2026-02-01T00:00:00Z"}}
        ],
        "on_unavailable": "open", "concurrency": {"key": "{{input.customer}}", "most": 3}, "enabled": true,
        "created_at": at(0), "updated_at": at(i64::from(version))
    })
}

/// Automations and workflows with several revisions, of which one automation is deleted.
async fn steps(store: &Store) {
    let main = SpaceId::main();
    let automation = |id: &str, revision: u32| typed(&automation(id, revision));
    let workflow = |version: u32| typed(&workflow(version));
    let first = vec![
        ConfigChange::Automation(made(automation("aut_escalate", 1))),
        ConfigChange::Automation(made(automation("aut_gone", 1))),
        ConfigChange::Workflow(made(workflow(1))),
    ];
    configure(store, &main, first).await;
    let second = vec![
        ConfigChange::Automation(Swap {
            was: Some(automation("aut_escalate", 1)),
            is: Some(automation("aut_escalate", 2)),
        }),
        ConfigChange::Automation(Swap { was: Some(automation("aut_gone", 1)), is: None }),
        ConfigChange::Workflow(Swap { was: Some(workflow(1)), is: Some(workflow(2)) }),
    ];
    configure(store, &main, second).await;
    configure(store, &other(), vec![ConfigChange::Automation(made(automation("aut_escalate", 1)))]).await;
}

/// Schedules of an event, which was due once, and of a workflow.
async fn times(store: &Store) {
    let main = SpaceId::main();
    let event: Schedule = typed(&json!({
        "id": "sch_1", "name": "Overdue orders", "cron": "*/5 * * * *", "timezone": "Europe/Zurich", "missed": "all",
        "overlap": false, "type": "order.overdue", "data": {"level": 1},
        "for_each": {"kind": "order", "where": {"state": "paid"}, "past": {"field": "due_at"}, "once": true},
        "enabled": true, "revision": 3, "created_at": at(0), "updated_at": at(1),
        "status": {"next_at": at(300), "last_at": null, "last_event": null, "events": 0, "left_out": 2,
            "last_left_out": "its previous run is in progress", "last_error": "a record has no due_at"}
    }));
    assert_eq!(store.schedules.put_schedule(&main, &event, None).await, Ok(Stored::Done));
    let mut next = event.clone();
    (next.status.next_at, next.status.last_at) = (Some(at(600)), Some(at(300)));
    let emitted = journal::event(&main, "evt-schedule", "order.overdue", 300, br#"{"level": 1}"#);
    let emitted = NewEvent { event: emitted, plan: Plan::default() };
    assert_eq!(store.schedules.fire_schedule(&main, next, at(300), vec![emitted]).await, Ok(true));
    let workflow: Schedule = typed(&json!({
        "id": "sch_2", "name": "Nightly", "every_seconds": 86_400, "timezone": "UTC", "missed": "skip", "overlap": true,
        "workflow": "onboard", "input": {"customer": "ACME"}, "enabled": false, "revision": 1, "created_at": at(0),
        "updated_at": at(0)
    }));
    assert_eq!(store.schedules.put_schedule(&main, &workflow, None).await, Ok(Stored::Done));
    let elsewhere = Schedule { id: hookwright_model::ScheduleId(1), ..workflow };
    assert_eq!(store.schedules.put_schedule(&other(), &elsewhere, None).await, Ok(Stored::Done));
}

/// Sources, of which one is polled, an event type, and a kind of record.
async fn inbound(store: &Store, vault: &Vault) {
    let main = SpaceId::main();
    let source = |id: &str, kind: &str| {
        typed(&json!({
            "id": id, "space": "main", "name": id, "kind": kind, "access": ["crm"], "active": true,
            "with": {"header": "x-token", "depth": 2}, "token_digest": format!("digest of {id}"),
            "token": sealed(vault, &format!("token of {id}")),
            "former": {"token_digest": "digest of a former URL", "until": at(3600)},
            "secret": sealed(vault, &format!("secret of {id}")), "owner": "key_admin",
            "rate": {"requests": 10, "per_seconds": 60}, "created_at": at(0), "rotated_at": at(5)
        }))
    };
    let polling = typed(&json!({
        "number": 1, "source": "src_poll", "times": {"every_seconds": 60, "timezone": "UTC"}, "revision": 2,
        "since": at(0),
        "status": {"next_at": at(60), "last_at": at(0), "last_success_at": at(-60),
            "last_error": "the request timed out", "failures": 1, "events": 4, "last_event": "evt-source"}
    }));
    let declaration = typed(&json!({
        "fields": {
            "state": {"type": "string", "description": "Such as `paid`.", "indexed": true},
            "total": {"type": "number"}, "due_at": {"type": "timestamp", "nullable": true}
        },
        "status": "state", "closed": ["done"], "verbs": ["created", "updated", "deleted", "note-added"]
    }));
    let kind = RecordKind::declare("order", declaration, None, at(0)).unwrap_or_else(|wrong| panic!("{wrong:?}"));
    let changes = vec![
        ConfigChange::Source(made(source("src_shop", "inbox"))),
        ConfigChange::Source(made(source("src_poll", "poll"))),
        ConfigChange::Polling(made(polling)),
        ConfigChange::EventType("order.paid".to_owned(), made(json!({"description": "Paid", "strict": true}))),
        ConfigChange::Kind(Box::new(made(kind))),
    ];
    configure(store, &main, changes).await;
}

fn signing_key(vault: &Vault, id: &str) -> SigningKey {
    SigningKey {
        id: id.to_owned(),
        sealed: sealed(vault, &format!("signing key {id}")),
        public: Some(json!({"kty": "OKP", "x": "public part"})),
        created_at: at(0),
        expires_at: Some(at(86_400)),
    }
}

/// A webhook in its stored form, with further fields.
pub(crate) fn webhook(id: &str, space: &SpaceId, more: &Value) -> Value {
    let mut webhook = json!({
        "id": id, "space": space, "name": id, "url": format!("https://{id}.example/hook"), "events": ["order.*"],
        "retry": {"delays_seconds": [5, 60], "jitter": 0.25}, "timeout_ms": 15_000, "created_at": at(0),
        "updated_at": at(0)
    });
    webhook.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    webhook
}

/// Webhooks in several states, and policies that they share.
async fn outbound(store: &Store, vault: &Vault) {
    let main = SpaceId::main();
    let policy = |number: u64, name: &str, signing: Value| WebhookPolicy {
        number,
        space: main.clone(),
        name: name.to_owned(),
        signing: typed(&signing),
        keys: vec![signing_key(vault, "k1")],
        created_at: at(0),
        updated_at: at(2),
    };
    let jwt = json!({"kind": "jwt", "algorithm": "RS256", "expires_in_seconds": 90, "issuer": "hookwright"});
    let ordered = json!({
        "description": "Orders", "transform": "to-text", "with": {"template": "{{event.data}}"}, "source": "shop",
        "when": {"condition": "match", "with": {"path": "data.total", "exists": true}}, "policy": 1,
        "headers": [{"name": "x-env", "value": "test"}], "keys": [signing_key(vault, "k1"), signing_key(vault, "k2")],
        "rate": {"requests": 5, "per_seconds": 1}, "concurrency": 2,
        "order": {"key": "{{event.subject}}", "on_failure": "block"}, "mail_exceptions_to": ["ops@example.com"]
    });
    let paused = json!({
        "profile": "capsule", "signing": {"kind": "stripe"}, "on_gone": "delete", "on_exhausted": "die",
        "batching": {"most": 10, "wait_ms": 500, "list": "/events"}, "enabled": false, "dead": true,
        "confirmation": {"handshake": "webhook-verify", "token_digest": "digest", "token": sealed(vault, "a link"),
            "expires_at": at(600)},
        "state_reason": "the retries are exhausted", "state_by": "server", "state_at": at(50),
        "paused": {"from": at(50)}, "last_error": "the receiver answered 503",
        "transport": {"client_key_secret": "crm", "http2": false},
        "oauth": {"token_url": "https://auth.example/token", "client_id": "hw", "client_secret": "crm"}
    });
    let webhook = |id: &str, space: &SpaceId, more: &Value| {
        ConfigChange::Webhook(Box::new(made(typed(&webhook(id, space, more)))))
    };
    let changes = vec![
        ConfigChange::WebhookPolicy(made(policy(u64::MAX, "Tokens", jwt))),
        ConfigChange::WebhookPolicy(made(policy(u64::MAX - 1, "Asymmetric", json!({"kind": "standard-asymmetric"})))),
        webhook("whk_orders", &main, &ordered),
        webhook("whk_plain", &main, &paused),
        webhook("whk_gone", &main, &json!({})),
    ];
    configure(store, &main, changes).await;
    configure(store, &other(), vec![webhook("whk_tenant", &other(), &json!({}))]).await;
}

/// Deletes the webhook `whk_gone`, for which deliveries wait.
pub(crate) async fn remove_webhook(store: &Store) {
    let main = SpaceId::main();
    let was = store.webhooks.webhooks(&main).unwrap().into_iter().find(|one| one.id.as_str() == "whk_gone");
    configure(store, &main, vec![ConfigChange::Webhook(Box::new(Swap { was, is: None }))]).await;
}

/// A plugin whose second version is rolled out, with its components and its policy.
async fn plugins(store: &Store) {
    let main = SpaceId::main();
    let [(one, _), (two, _)] = COMPONENTS;
    let version = |place: usize, digest: &str| {
        json!({
            "digest": digest, "version": format!("1.{place}.0"), "size": COMPONENTS[place].1.len(), "wants": ["kv"],
            "installed_at": at(0), "live_since": at(0), "held": place == 1, "signed_by": ["release-key"]
        })
    };
    let rollout = |id: &str, digest: &str| {
        json!({
            "id": id, "version": "1.1.0", "digest": digest, "mode": "canary", "percent": 10, "minimum_calls": 20,
            "rollback_when": {"percent_above_live": 2.5}, "started_at": at(10)
        })
    };
    let mut ended = rollout("rol_1", two);
    ended["outcome"] = "rolled_back".into();
    ended["reason"] = "it failed more often".into();
    ended["ended_at"] = json!(at(20));
    let record = |versions: Vec<Value>| {
        json!({
            "name": PLUGIN, "digest": one, "installed_at": at(0), "versions": versions, "history": [one]
        })
    };
    let mut rolled_out = record(vec![version(0, one), version(1, two)]);
    rolled_out["rollout"] = rollout("rol_2", two);
    rolled_out["last_rollout"] = ended;
    let policy = json!({
        "grants": {"interfaces": ["http", "kv"], "records": [{"kind": "order", "write": true}],
            "http": [{"host": "api.example.com", "methods": ["GET"], "port": 8443}],
            "secrets": [{"name": "crm", "hosts": ["api.example.com"]}]},
        "limits": {"cpu_ms": 500, "memory_bytes": 1_048_576},
        "instance": {"mode": "warm", "calls": 100, "age_seconds": 60, "idle": 2}, "config": {"region": "eu"},
        "recordings": 10
    });
    let records = [record(vec![version(0, one)]), rolled_out];
    for ((digest, component), record) in COMPONENTS.into_iter().zip(&records) {
        let install = PluginInstall {
            record: typed(record),
            policy: Some(typed(&policy)),
            component: Some((digest.to_owned(), Bytes::from_static(component))),
            dropped: vec![],
        };
        store.plugins.install_plugin(&main, install).await.unwrap();
    }
    store.plugins.put_policy(&other(), "granted-in-advance", &typed(&policy)).await.unwrap();
}

/// API keys and secrets.
async fn access(store: &Store, vault: &Vault) {
    let key = |id: &str, space: &SpaceId, role: &str, more: Value| {
        let mut key = json!({
            "id": id, "space": space, "name": id, "role": role, "prefix": "hw_abc", "digest": format!("digest of {id}"),
            "created_at": at(0), "last_used_at": null
        });
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        typed(&key)
    };
    let main = SpaceId::main();
    let user = json!({"user": {"id": 7, "name": "Ada", "email": "ada@example.com"}, "last_used_at": at(9)});
    store.keys.put_key(&key("key_admin", &main, "admin", user)).await.unwrap();
    let replaced = json!({"expires_at": at(86_400), "replaced_by": "key_admin", "user": {"id": "u-8", "name": "Bo"}});
    store.keys.put_key(&key("key_former", &main, "ingest", replaced)).await.unwrap();
    store.keys.put_key(&key("key_tenant", &other(), "viewer", json!({}))).await.unwrap();
    for (space, name) in [(&main, "crm"), (&main, "unused"), (&other(), "crm")] {
        let sealed = sealed(vault, &format!("{name} of {space}"));
        let secret = Secret { name: name.to_owned(), sealed, created_at: at(0), updated_at: at(3) };
        store.secrets.put_secret(space, &secret).await.unwrap();
    }
}
