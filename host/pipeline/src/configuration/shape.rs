//! What files say of things. What a thing has unless said otherwise is left out.

use hookwright_model::{
    ApiKey, Automation, PluginPolicy, RecordKind, RetrySchedule, Schedule, Webhook, WebhookPolicy, Workflow,
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::state::{PluginThing, SourceThing};
use super::with_name;
use crate::event_types::OwnType;
use crate::webhooks::signing_of;

pub(super) type Shape = Map<String, Value>;

/// The named fields of a thing in this order, without those that are as `usual` has them.
fn pick(thing: &impl Serialize, fields: &[&str], usual: &Value) -> Shape {
    let Ok(Value::Object(mut all)) = serde_json::to_value(thing) else { return Shape::new() };
    let mut shape = Shape::new();
    for field in fields {
        let Some(value) = all.remove(*field) else { continue };
        if !value.is_null() && usual.get(field) != Some(&value) {
            shape.insert((*field).to_owned(), value);
        }
    }
    shape
}

/// Takes out of steps and conditions what they have unless said otherwise.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(object) => {
            let is_step = ["action", "transform", "wait"].iter().any(|kind| object.contains_key(*kind));
            let is_call = is_step || object.contains_key("condition");
            let empty = |value: &Value| value.as_object().is_some_and(Map::is_empty);
            if is_call && object.get("with").is_some_and(empty) {
                object.shift_remove("with");
            }
            if is_step && object.get("on_error").is_some_and(|on_error| on_error == "continue") {
                object.shift_remove("on_error");
            }
            // Parameters belong to the plugin.
            for (_, inner) in object.iter_mut().filter(|(name, _)| ["if", "all", "any", "not"].contains(&name.as_str()))
            {
                tidy(inner);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(tidy),
        _ => {}
    }
}

fn tidied(mut shape: Shape, fields: &[&str]) -> Shape {
    for field in fields {
        if let Some(value) = shape.get_mut(*field) {
            tidy(value);
        }
    }
    shape
}

pub(super) fn automation(automation: &Automation) -> Shape {
    let fields = ["name", "description", "on", "when", "then", "on_unavailable", "concurrency", "enabled"];
    tidied(pick(automation, &fields, &json!({"description": "", "enabled": true})), &["when", "then"])
}

pub(super) fn workflow(workflow: &Workflow) -> Shape {
    let fields = ["name", "description", "input", "steps", "on_unavailable", "concurrency", "enabled"];
    tidied(pick(workflow, &fields, &json!({"description": "", "input": {}, "enabled": true})), &["steps"])
}

pub(super) fn schedule(schedule: &Schedule) -> Shape {
    let fields = [
        "name",
        "cron",
        "every_seconds",
        "timezone",
        "missed",
        "overlap",
        "type",
        "data",
        "for_each",
        "workflow",
        "input",
        "enabled",
    ];
    pick(schedule, &fields, &json!({"timezone": "UTC", "missed": "once", "overlap": false, "enabled": true}))
}

pub(super) fn webhook(webhook: &Webhook, policy: Option<&str>) -> Shape {
    let profile = webhook.profile;
    let usual = json!({
        "profile": "standard",
        "description": "",
        "transform": profile.transform(),
        "signing": signing_of(profile),
        "on_gone": profile.on_gone(),
        "on_exhausted": profile.on_exhausted(),
        "enabled": true,
    });
    let fields = [
        "name",
        "profile",
        "url",
        "event",
        "events",
        "embed",
        "description",
        "source",
        "source_id",
        "when",
        "transform",
        "with",
        "headers",
        "signing",
        "policy",
        "retry",
        "timeout_ms",
        "rate",
        "concurrency",
        "order",
        "batching",
        "on_gone",
        "on_exhausted",
        "mail_exceptions_to",
        "transport",
        "oauth",
        "enabled",
    ];
    let mut shape = tidied(pick(webhook, &fields, &usual), &["when"]);
    if webhook.event.is_some() {
        // The types follow from the word.
        shape.shift_remove("events");
    }
    if webhook.transform.is_none() && profile.transform().is_some() {
        shape.insert("transform".to_owned(), Value::Null);
    }
    if let (true, Some(policy)) = (webhook.policy.is_some(), policy) {
        shape.insert("policy".to_owned(), policy.into());
    }
    shape.insert("retry".to_owned(), retry(&webhook.retry));
    let handshake = webhook.confirmation.handshake;
    if handshake != profile.handshake() {
        shape.insert("handshake".to_owned(), json!(handshake));
    }
    shape
}

/// A schedule by its name, if it is one that has one.
fn retry(retry: &RetrySchedule) -> Value {
    let named = ["standard", "capsule", "sns", "none"];
    let name = named.iter().find(|name| RetrySchedule::named(name, None).is_ok_and(|known| known == *retry));
    name.map_or_else(|| json!(retry), |name| json!({"schedule": name}))
}

pub(super) fn policy(policy: &WebhookPolicy) -> Shape {
    pick(policy, &["name", "signing"], &Value::Null)
}

pub(super) fn source(thing: &SourceThing) -> Shape {
    let usual = json!({"access": [], "active": true, "with": {}});
    let mut shape = pick(&thing.source, &["name", "kind", "access", "active", "with", "rate"], &usual);
    if let Some(polling) = &thing.polling {
        let usual = json!({"timezone": "UTC"});
        shape.insert("poll".to_owned(), pick(&polling.times, &["cron", "every_seconds", "timezone"], &usual).into());
    }
    shape
}

pub(super) fn event_type(own: &OwnType) -> Shape {
    let usual = json!({"summary": "", "strict": false});
    pick(own, &["name", "summary", "schema", "example", "strict"], &usual)
}

pub(super) fn kind(kind: &RecordKind) -> Shape {
    let declaration = serde_json::to_value(kind.declaration()).unwrap_or_default();
    let Value::Object(declaration) = declaration else { return Shape::new() };
    with_name(kind.name(), declaration)
}

pub(super) fn plugin(plugin: &PluginThing) -> Shape {
    let mut shape = Shape::new();
    shape.insert("name".to_owned(), plugin.name.as_str().into());
    if let Some(record) = plugin.record.as_ref().filter(|record| !record.digest.is_empty()) {
        shape.insert("digest".to_owned(), record.digest.as_str().into());
    }
    if let Some(policy) = &plugin.policy {
        shape.insert("policy".to_owned(), plugin_policy(policy).into());
    }
    shape
}

fn plugin_policy(policy: &PluginPolicy) -> Shape {
    pick(
        policy,
        &["grants", "limits", "instance", "config", "recordings"],
        &json!({"grants": {}, "limits": {}, "config": {}}),
    )
}

pub(super) fn key(key: &ApiKey) -> Shape {
    pick(key, &["name", "role"], &Value::Null)
}
