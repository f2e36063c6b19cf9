//! The payload of a message.

use hookwright_sdk::outgoing::{Members, Object, Told, integer, text};
use serde_json::Value;
use serde_json::value::RawValue;

/// Kinds of record whose fields are all told, but those named.
const WHOLE: [(&str, &[&str]); 4] = [
    ("time-entry", &["cost"]),
    ("time_entry", &["cost"]),
    ("out-of-office-period", &[]),
    ("out_of_office_period", &[]),
];

/// Adds `payload`.
pub(crate) fn put(told: &Told<'_>, body: Object) -> Object {
    if let ("automation", "called") | ("webhook", "verify") = (told.kind.as_str(), told.verb.as_str()) {
        return match told.data.first(&["payload"]) {
            Some(payload) => body.with("payload", payload),
            None => body.with_object("payload", callback(told)),
        };
    }
    let payload = match WHOLE.iter().find(|(kind, _)| *kind == told.kind) {
        Some((_, without)) => told
            .fields
            .iter()
            .filter(|(name, _)| !without.contains(name))
            .fold(Object::default(), |object, (name, value)| object.with(name, value)),
        None => record(told, Object::default()),
    };
    body.with_object("payload", payload)
}

/// The URL that must be called before anything is delivered.
fn callback(told: &Told<'_>) -> Object {
    Object::default().with_some("callback", told.data.first(&["callback"]))
}

fn record(told: &Told<'_>, payload: Object) -> Object {
    let note = told.data.object("note").unwrap_or_default();
    let fields = &told.fields;
    let former = if told.verb == "status-changed" { told.former(&["status"]) } else { None };
    let payload = payload
        .with_some("audit_line_id", told.data.first(&["audit_line_id"]))
        .with_some("audit_line_nodeID", told.data.first(&["audit_line_nodeID"]))
        .with_some("note_id", note.first(&["id"]))
        .with_some("note_nodeID", note.first(&["nodeID"]))
        .with_some("source", fields.first(&["source"]))
        .with_some("sourceID", fields.first(&["sourceID", "source_id"]))
        .with_some("status", fields.first(&["status"]))
        .with_some("previous_status", former);
    ["team", "member"].into_iter().fold(payload, |payload, name| match fields.first(&[name]) {
        Some(value) => payload.with_object(name, reference(value)),
        None => match fields.first(&[&format!("{name}_id")]) {
            Some(id) => payload.with_object(name, Object::default().with("id", id)),
            None => payload,
        },
    })
}

/// A team or a person: an object as far as Xurrent tells of it, a number as its id, a string as its name.
fn reference(value: &RawValue) -> Object {
    let Some(members) = Members::of(value) else {
        return match (integer(value), text(value)) {
            (Some(id), _) => Object::default().with("id", &id),
            (None, Some(name)) => Object::default().with("name", &name),
            (None, None) => Object::default().with("id", &Value::Null),
        };
    };
    let told = ["id", "nodeID", "name", "sourceID"]
        .into_iter()
        .fold(Object::default(), |object, name| object.with_some(name, members.first(&[name])));
    let told = told.with_some("disabled", members.first(&["disabled"]).filter(|value| value.get() == "true"));
    match members.object("account") {
        Some(account) => told.with_object(
            "account",
            ["id", "name"]
                .into_iter()
                .fold(Object::default(), |object, name| object.with_some(name, account.first(&[name]))),
        ),
        None => told,
    }
}
