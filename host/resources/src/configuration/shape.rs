//! What files state about objects. Values that equal their defaults are left out.

use hookwright_model::{
    ApiKey, Automation, Batching, Concurrency, ForEachRecord, InstancePolicy, KindInput, OauthSettings, Order,
    PluginPolicy, Rate, RecordKind, RetrySchedule, Schedule, SigningPolicy, Timestamp, TransportSettings, Webhook,
    WebhookPolicy, Workflow,
};
use hookwright_routing::event_types::OwnType;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::configuration::configured::{PluginThing, WebhookDefaults};
use crate::sources::SourceThing;
use crate::webhooks::signing_of;

pub(crate) type Shape = Map<String, Value>;

/// An object with its name as the first field.
pub(crate) fn with_name(name: &str, rest: Map<String, Value>) -> Map<String, Value> {
    let mut named = Map::new();
    named.insert("name".to_owned(), name.into());
    named.extend(rest.into_iter().filter(|(field, _)| field != "name"));
    named
}

/// The named fields of an object in this order, without those that equal `usual`.
fn pick(thing: &impl Serialize, fields: &[&str], default_values: &Value) -> Shape {
    let Ok(Value::Object(mut all)) = serde_json::to_value(thing) else { return Shape::new() };
    let mut shape = Shape::new();
    for field in fields {
        let Some(value) = all.remove(*field) else { continue };
        if !value.is_null() && default_values.get(field) != Some(&value) {
            shape.insert((*field).to_owned(), value);
        }
    }
    shape
}

/// Removes those members of an object that are its defaults: without them, the object is the same.
fn without_defaults(members: &mut Shape, is_same: impl Fn(&Shape) -> bool) {
    let names: Vec<String> = members.keys().cloned().collect();
    for name in names {
        let mut less = members.clone();
        less.shift_remove(&name);
        if is_same(&less) {
            *members = less;
        }
    }
}

/// Removes the defaults of the object in a field.
fn remove_defaults<T: Serialize + DeserializeOwned>(shape: &mut Shape, field: &str) {
    let Some(Value::Object(members)) = shape.get_mut(field) else { return };
    let read = |members: &Shape| {
        let part = serde_json::from_value::<T>(Value::Object(members.clone())).ok()?;
        serde_json::to_value(part).ok()
    };
    let whole = read(members);
    if whole.is_some() {
        without_defaults(members, |less| read(less) == whole);
    }
}

/// Removes the defaults of steps and conditions.
fn remove_step_defaults(value: &mut Value) {
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
            if is_step {
                remove_defaults::<RetrySchedule>(object, "retry");
            }
            // Parameters belong to the plugin, so they are not changed.
            for (_, inner) in object.iter_mut().filter(|(name, _)| ["if", "all", "any", "not"].contains(&name.as_str()))
            {
                remove_step_defaults(inner);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(remove_step_defaults),
        _ => {}
    }
}

fn without_step_defaults(mut shape: Shape, fields: &[&str]) -> Shape {
    for field in fields {
        if let Some(value) = shape.get_mut(*field) {
            remove_step_defaults(value);
        }
    }
    shape
}

pub(crate) fn automation(automation: &Automation) -> Shape {
    let fields = ["name", "description", "on", "when", "then", "on_unavailable", "concurrency", "enabled"];
    let mut shape = without_step_defaults(
        pick(automation, &fields, &json!({"description": "", "enabled": true})),
        &["when", "then"],
    );
    remove_defaults::<Concurrency>(&mut shape, "concurrency");
    shape
}

pub(crate) fn workflow(workflow: &Workflow) -> Shape {
    let fields = ["name", "description", "input", "steps", "on_unavailable", "concurrency", "enabled"];
    let default_values = json!({"description": "", "input": {}, "enabled": true});
    let mut shape = without_step_defaults(pick(workflow, &fields, &default_values), &["steps"]);
    remove_defaults::<Concurrency>(&mut shape, "concurrency");
    shape
}

pub(crate) fn schedule(schedule: &Schedule) -> Shape {
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
    let default_values = json!({"timezone": "UTC", "missed": "once", "overlap": false, "enabled": true});
    let mut shape = pick(schedule, &fields, &default_values);
    remove_defaults::<ForEachRecord>(&mut shape, "for_each");
    shape
}

pub(crate) fn webhook(webhook: &Webhook, policy: Option<&str>, defaults: &WebhookDefaults) -> Shape {
    let profile = webhook.profile;
    let default_values = json!({
        "profile": "standard",
        "description": "",
        "transform": profile.transform(),
        "signing": signing_of(profile),
        "timeout_ms": defaults.timeout_ms,
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
    let mut shape = without_step_defaults(pick(webhook, &fields, &default_values), &["when"]);
    if webhook.event.is_some() {
        // The event types follow from the word.
        shape.shift_remove("events");
    }
    if webhook.transform.is_none() && profile.transform().is_some() {
        shape.insert("transform".to_owned(), Value::Null);
    }
    if let (true, Some(policy)) = (webhook.policy.is_some(), policy) {
        shape.insert("policy".to_owned(), policy.into());
        // The policy signs instead.
        shape.shift_remove("signing");
    }
    if webhook.retry == profile.retry().unwrap_or_else(|| defaults.retry.clone()) {
        shape.shift_remove("retry");
    } else {
        shape.insert("retry".to_owned(), retry(&webhook.retry));
        remove_defaults::<RetrySchedule>(&mut shape, "retry");
    }
    remove_defaults::<SigningPolicy>(&mut shape, "signing");
    remove_defaults::<Rate>(&mut shape, "rate");
    remove_defaults::<Order>(&mut shape, "order");
    remove_defaults::<Batching>(&mut shape, "batching");
    remove_defaults::<TransportSettings>(&mut shape, "transport");
    remove_defaults::<OauthSettings>(&mut shape, "oauth");
    let handshake = webhook.confirmation.handshake;
    if handshake != profile.handshake() {
        shape.insert("handshake".to_owned(), json!(handshake));
    }
    shape
}

/// The name of a retry schedule, if it has one.
fn retry(retry: &RetrySchedule) -> Value {
    let named = ["standard", "capsule", "sns", "none"];
    let name = named.iter().find(|name| RetrySchedule::named(name, None).is_ok_and(|known| known == *retry));
    name.map_or_else(|| json!(retry), |name| json!({"schedule": name}))
}

pub(crate) fn policy(policy: &WebhookPolicy) -> Shape {
    let mut shape = pick(policy, &["name", "signing"], &Value::Null);
    remove_defaults::<SigningPolicy>(&mut shape, "signing");
    shape
}

pub(crate) fn source(thing: &SourceThing) -> Shape {
    let default_values = json!({"access": [], "active": true, "with": {}});
    let mut shape = pick(&thing.source, &["name", "kind", "access", "active", "with", "rate"], &default_values);
    remove_defaults::<Rate>(&mut shape, "rate");
    if let Some(polling) = &thing.polling {
        let default_values = json!({"timezone": "UTC"});
        shape.insert(
            "poll".to_owned(),
            pick(&polling.times, &["cron", "every_seconds", "timezone"], &default_values).into(),
        );
    }
    shape
}

pub(crate) fn event_type(own: &OwnType) -> Shape {
    let default_values = json!({"summary": "", "strict": false});
    pick(own, &["name", "summary", "schema", "example", "strict"], &default_values)
}

pub(crate) fn kind(kind: &RecordKind) -> Shape {
    let declaration = serde_json::to_value(kind.declaration()).unwrap_or_default();
    let Value::Object(mut declaration) = declaration else { return Shape::new() };
    let is_same = |less: &Shape| {
        let input = serde_json::from_value::<KindInput>(Value::Object(less.clone())).ok();
        let made = input.and_then(|input| RecordKind::declare(kind.name(), input, None, Timestamp::default()).ok());
        made.is_some_and(|made| made.declaration() == kind.declaration())
    };
    let input = kind.declaration();
    // The last one first: fields that are not declared are appended in the order id, created, updated.
    for field in [input.updated.as_deref(), input.created.as_deref(), Some("id")].into_iter().flatten() {
        let mut less = declaration.clone();
        if let Some(Value::Object(fields)) = less.get_mut("fields") {
            fields.shift_remove(field);
        }
        if is_same(&less) {
            declaration = less;
        }
    }
    without_defaults(&mut declaration, is_same);
    with_name(kind.name(), declaration)
}

pub(crate) fn plugin(plugin: &PluginThing) -> Shape {
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
    let default_values = json!({"grants": {}, "limits": {}, "config": {}});
    let mut shape = pick(policy, &["grants", "limits", "instance", "config", "recordings"], &default_values);
    remove_defaults::<InstancePolicy>(&mut shape, "instance");
    shape
}

pub(crate) fn key(key: &ApiKey) -> Shape {
    pick(key, &["name", "role", "user", "expires_at"], &Value::Null)
}
