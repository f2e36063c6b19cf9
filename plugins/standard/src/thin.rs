//! Leaving out all of the data but ids.

use hookwright_sdk::outgoing::{Members, Object, text};
use serde_json::value::RawValue;

/// Objects inside of each other that are looked into.
const DEEPEST: usize = 16;

/// Bytes of a string that is still an id.
const LONGEST: usize = 256;

/// Entries of a list of ids.
const MOST: usize = 1000;

/// The ids of an object and of the objects in it. `None` where there are none.
pub(crate) fn ids(json: &RawValue, depth: usize) -> Option<Object> {
    let members = Members::of(json).filter(|_| depth < DEEPEST)?;
    let mut kept = None;
    for (name, value) in members.iter() {
        if names_id(name) && is_id(value) {
            kept = Some(kept.unwrap_or_else(Object::default).with(name, value));
        } else if let Some(inner) = ids(value, depth + 1) {
            kept = Some(kept.unwrap_or_else(Object::default).with_object(name, inner));
        }
    }
    kept
}

fn names_id(name: &str) -> bool {
    name == "id" || ["_id", "_ids", "Id", "Ids", "ID", "IDs"].iter().any(|end| name.ends_with(end))
}

fn is_id(value: &RawValue) -> bool {
    let is_short = |value: &RawValue| text(value).is_some_and(|text| text.len() <= LONGEST);
    match serde_json::from_str::<Vec<&RawValue>>(value.get()) {
        Ok(list) => list.len() <= MOST && list.iter().all(|entry| is_short(entry)),
        Err(_) => is_short(value),
    }
}
