//! The entity of a message.

use hookwright_sdk::outgoing::{self, Members, Object, Told, integer, text};
use hookwright_sdk::{Event, time};
use serde_json::Value;

/// Kinds of record that have another name in Uspacy.
pub(crate) const WORDS: [(&str, &str); 3] =
    [("opportunity", "deal"), ("person", "contact"), ("organization", "company")];

/// Fields of a record that hold its stage.
const STAGES: [&str; 6] = ["kanban_stage_id", "kanbanStageId", "stage_id", "stageId", "stage", "milestone"];

/// A kind of record in Uspacy's words.
pub(crate) fn word(kind: &str) -> &str {
    WORDS.iter().find(|(own, _)| *own == kind).map_or(kind, |(_, word)| word)
}

/// Adds `entity`.
pub(crate) fn put(event: &Event, told: &Told<'_>, data: Object) -> Object {
    match told.verb.as_str() {
        "note-added" => match told.data.object("note") {
            Some(note) => data.with_object("entity", comment(event, told, &note)),
            None => data.with("entity", told.record),
        },
        "moved" | "stage-changed" => data.with_object("entity", moved(told)),
        _ => data.with("entity", told.record),
    }
}

/// The record with the stage that it left and the one that it came to.
fn moved(told: &Told<'_>) -> Object {
    let (old, new) = ("old_kanban_stage_id", "new_kanban_stage_id");
    let kept = told.fields.iter().filter(|(name, _)| *name != old && *name != new);
    let record = kept.fold(Object::default(), |object, (name, value)| object.with(name, value));
    let former = told.fields.first(&[old]).or_else(|| told.former(&STAGES));
    let present = told.fields.first(&[new]).or_else(|| told.data.get("to")).or_else(|| told.fields.first(&STAGES));
    record.with(new, &present).with(old, &former)
}

/// A note as a comment: who wrote what, when and on what.
fn comment(event: &Event, told: &Told<'_>, note: &Members<'_>) -> Object {
    let number = |value: Option<String>| value.as_deref().map_or(Value::Null, outgoing::number);
    let people = || Object::default().with_list("users", []).with_list("groups", []).with_list("departments", []);
    let date = note.first(&["date"]).and_then(integer).or_else(|| {
        let written = note.first(&["created_at"]).and_then(text);
        time::unix_seconds(written.as_deref().unwrap_or(&event.time))
    });
    let message = note.first(&["message", "html", "text"]).and_then(text).unwrap_or_default();
    Object::default()
        .with("author_id", &number(note.first(&["author_id", "author"]).and_then(text)))
        .with("entity_type", word(&told.kind))
        .with("entity_id", &number(told.id(event)))
        .with("message", &message)
        .with("date", &date)
        .with("id", &number(note.first(&["id"]).and_then(text)))
        .with_object("mentioned", people())
        .with_object("notify", people())
}
