//! The variables that an expression knows, as values of the language.

use std::borrow::Cow;
use std::collections::HashMap;

use cel::common::types::{CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt};
use cel::common::value::Val;
use hookwright_sdk::{Event, clock};
use serde_json::Value;

use crate::time::Timestamp;

/// The names of the variables.
pub(crate) const EVENT: &str = "event";
pub(crate) const DATA: &str = "data";
pub(crate) const NOW: &str = "now";

/// A member of the variable `event`, as JSON.
pub(crate) fn member<'e>(event: &'e Event, name: &str) -> Option<Cow<'e, Value>> {
    let text = |text: &str| Some(Cow::Owned(Value::from(text)));
    match name {
        "id" => text(&event.id),
        "type" => text(&event.event_type),
        "source" => text(&event.source),
        "subject" => Some(Cow::Owned(event.subject.as_deref().map_or(Value::Null, Value::from))),
        "time" => text(&event.time),
        "data" => Some(Cow::Borrowed(event.data())),
        "attributes" => {
            let mut members = serde_json::Map::new();
            for (name, value) in &event.attributes {
                members.entry(name.clone()).or_insert_with(|| value.as_str().into());
            }
            Some(Cow::Owned(members.into()))
        }
        _ => None,
    }
}

/// The variable `event`: a map with the members of the envelope. Its time is a timestamp.
pub(crate) fn event<'e>(event: &'e Event) -> Box<dyn Val + 'e> {
    let mut members: HashMap<CelMapKey<'e>, Box<dyn Val + 'e>> = HashMap::new();
    let text = |text: &'e str| -> Box<dyn Val + 'e> { Box::new(CelString::from(text)) };
    members.insert("id".into(), text(&event.id));
    members.insert("type".into(), text(&event.event_type));
    members.insert("source".into(), text(&event.source));
    members.insert("subject".into(), event.subject.as_deref().map_or_else(|| Box::new(CelNull) as _, text));
    members.insert(
        "time".into(),
        match Timestamp::parse(&event.time) {
            Some(instant) => Box::new(instant),
            None => text(&event.time),
        },
    );
    members.insert("data".into(), value(event.data()));
    let mut attributes: HashMap<CelMapKey<'e>, Box<dyn Val + 'e>> = HashMap::new();
    for (name, value) in &event.attributes {
        attributes.entry(name.as_str().into()).or_insert_with(|| text(value));
    }
    members.insert("attributes".into(), Box::new(CelMap::from(attributes)));
    Box::new(CelMap::from(members))
}

/// The variable `now`: the host's clock.
pub(crate) fn now() -> Option<Timestamp> {
    let ms = clock::now_ms();
    // Whole milliseconds of a real clock are far below 2^53.
    #[allow(clippy::cast_possible_truncation)]
    let ms = ms as i64;
    let nanos = u32::try_from(ms.rem_euclid(1000)).ok()? * 1_000_000;
    Timestamp::new(ms.div_euclid(1000), nanos)
}

/// A JSON value. Whole numbers are `int`, beyond its range `uint`; the others are `double`.
pub(crate) fn value(json: &Value) -> Box<dyn Val + '_> {
    match json {
        Value::Null => Box::new(CelNull),
        Value::Bool(truth) => Box::new(CelBool::from(*truth)),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(integer), _) => Box::new(CelInt::from(integer)),
            (None, Some(integer)) => Box::new(CelUInt::from(integer)),
            (None, None) => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        },
        Value::String(text) => Box::new(CelString::from(text.as_str())),
        Value::Array(items) => Box::new(CelList::from(items.iter().map(value).collect::<Vec<_>>())),
        Value::Object(members) => {
            let members: HashMap<CelMapKey<'_>, Box<dyn Val + '_>> =
                members.iter().map(|(name, json)| (CelMapKey::from(name.as_str()), value(json))).collect();
            Box::new(CelMap::from(members))
        }
    }
}
