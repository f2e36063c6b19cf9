//! JSON whose numbers keep every digit: values are slices of their text.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// The value that a string is.
pub fn value(text: &str) -> Option<&RawValue> {
    serde_json::from_str(text).ok()
}

/// The member of an object, or the item of a list where the name is a position.
pub fn get<'a>(value: Option<&'a RawValue>, name: &str) -> Option<&'a RawValue> {
    let text = value?.get();
    if text.starts_with('{') {
        return members(text)?.remove(name);
    }
    let mut items = serde_json::from_str::<Vec<&RawValue>>(text).ok()?.into_iter();
    if name.starts_with('+') { None } else { items.nth(name.parse().ok()?) }
}

/// The content of a string; none if the value is not a string.
pub fn text(value: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(value?.get()).ok()
}

/// Whether two values are the same: members in any order, numbers by how they are written.
pub fn equal(one: &RawValue, other: &RawValue) -> bool {
    let (one, other) = (one.get(), other.get());
    match (one.as_bytes().first(), other.as_bytes().first()) {
        (Some(b'{'), Some(b'{')) => match (members(one), members(other)) {
            (Some(one), Some(other)) => {
                one.len() == other.len()
                    && one.iter().all(|(name, value)| other.get(name).is_some_and(|other| equal(value, other)))
            }
            _ => false,
        },
        (Some(b'['), Some(b'[')) => match (items(one), items(other)) {
            (Some(one), Some(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(one, other)| equal(one, other))
            }
            _ => false,
        },
        (Some(b'"'), Some(b'"')) => {
            let text = |text: &str| serde_json::from_str::<String>(text).ok();
            text(one).is_some() && text(one) == text(other)
        }
        _ => one == other,
    }
}

fn members(text: &str) -> Option<BTreeMap<String, &RawValue>> {
    serde_json::from_str(text).ok()
}

fn items(text: &str) -> Option<Vec<&RawValue>> {
    serde_json::from_str(text).ok()
}

/// The value without whitespace.
pub fn compact(value: Option<&RawValue>, otherwise: &str) -> String {
    let Some(value) = value else { return otherwise.to_owned() };
    let (mut in_text, mut escaped) = (false, false);
    let keep = |&c: &char| {
        let was_in_text = in_text;
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => in_text = !in_text,
            _ => {}
        }
        was_in_text || !c.is_ascii_whitespace()
    };
    value.get().chars().filter(keep).collect()
}
