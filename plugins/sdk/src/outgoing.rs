//! What message shapes do alike: which record an event is about, what the payload was when it came in, and JSON written
//! without reading it into numbers first, so that no digit is lost.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::Serialize;
use serde_json::value::RawValue;

use crate::{Event, Failure, Message, Text, encoding, shorten};

/// The members of a JSON object in their order, each value as it was written.
#[derive(Debug, Clone, Default)]
pub struct Members<'m>(Vec<(Cow<'m, str>, &'m RawValue)>);

impl<'m> Members<'m> {
    /// The members of an object. `None` if `json` is anything else.
    #[must_use]
    pub fn of(json: &'m RawValue) -> Option<Self> {
        serde_json::from_str(json.get()).ok()
    }

    /// The value under `name`. Of a repeated name, the last counts.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'m RawValue> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| *value)
    }

    /// The first of several names that is there and not null.
    #[must_use]
    pub fn first(&self, names: &[&str]) -> Option<&'m RawValue> {
        names.iter().find_map(|name| self.get(name).filter(|value| value.get() != "null"))
    }

    /// The object under `name`.
    #[must_use]
    pub fn object(&self, name: &str) -> Option<Self> {
        self.get(name).and_then(Self::of)
    }

    /// The entries of the list under `name`. `None` if there is no list.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<&'m RawValue> {
        self.get(name).and_then(|value| serde_json::from_str(value.get()).ok()).unwrap_or_default()
    }

    /// The text under `name`: a string, or a number or truth value as it is written.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).and_then(text)
    }

    /// The integer under `name`.
    #[must_use]
    pub fn integer(&self, name: &str) -> Option<i64> {
        self.get(name).and_then(integer)
    }

    /// Names with their values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'m RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), *value))
    }
}

impl<'de: 'm, 'm> Deserialize<'de> for Members<'m> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(Name(name)) = map.next_key()? {
                    members.push((name, map.next_value()?));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// A member's name, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
struct Name<'n>(#[serde(borrow)] Cow<'n, str>);

/// A string, or a number or truth value as it is written; none for null, lists and objects.
#[must_use]
pub fn text(value: &RawValue) -> Option<String> {
    match value.get().as_bytes().first()? {
        b'"' => serde_json::from_str(value.get()).ok(),
        b'n' | b'[' | b'{' => None,
        _ => Some(value.get().to_owned()),
    }
}

/// A whole number of 64 bits, or a string of its digits.
#[must_use]
pub fn integer(value: &RawValue) -> Option<i64> {
    text(value)?.trim().parse().ok()
}

/// A JSON object that is being written.
#[derive(Debug, Clone)]
pub struct Object(String);

impl Default for Object {
    fn default() -> Self {
        Self("{".to_owned())
    }
}

impl Object {
    /// Adds a member. A [`RawValue`] stays as it was written.
    #[must_use]
    pub fn with(mut self, name: &str, value: &(impl Serialize + ?Sized)) -> Self {
        self.name(name);
        // Texts, numbers and JSON cannot fail to be written.
        self.0.push_str(&serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned()));
        self
    }

    /// Adds a member if there is a value.
    #[must_use]
    pub fn with_some(self, name: &str, value: Option<&(impl Serialize + ?Sized)>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Adds a member that is an object.
    #[must_use]
    pub fn with_object(mut self, name: &str, value: Self) -> Self {
        self.name(name);
        self.0.push_str(&value.finish());
        self
    }

    /// Adds a member that is a list of objects.
    #[must_use]
    pub fn with_list(mut self, name: &str, values: impl IntoIterator<Item = Self>) -> Self {
        self.name(name);
        let values: Vec<String> = values.into_iter().map(Self::finish).collect();
        self.0.push('[');
        self.0.push_str(&values.join(","));
        self.0.push(']');
        self
    }

    /// The JSON text.
    #[must_use]
    pub fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }

    fn name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push_str(&serde_json::Value::from(name).to_string());
        self.0.push(':');
    }
}

/// A message's body as JSON text, as it was written.
///
/// # Errors
/// A permanent failure, code `message.not_json`.
pub fn json(message: &Message) -> Result<&RawValue, Failure> {
    match serde_json::from_slice(hookwright_json::without_mark(&message.body)) {
        Ok(json) => Ok(json),
        Err(_) => Err(message.json().err().unwrap_or_else(|| {
            Failure::permanent("message.not_json", "the body is not one JSON value: give it as JSON")
        })),
    }
}

/// A payload as received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// JSON text.
    Json(String),
    /// Text of another kind.
    Text(String),
    /// Bytes that are not text.
    Bytes(Vec<u8>),
}

impl Payload {
    /// The body of a message, with its media type.
    ///
    /// The payload of an event that was not JSON reaches a transform as a JSON text: the text itself, or base64 of bytes
    /// that are not text. The event's attribute `content-type` has the media type it came with.
    #[must_use]
    pub fn of(event: &Event, message: &Message) -> (Self, String) {
        if is_json(&message.content_type) {
            let carried = event.attribute("content-type").filter(|carried| !is_json(carried));
            if let Some(carried) = carried
                && let Ok(text) = serde_json::from_slice::<String>(&message.body)
            {
                return (unpacked(text, carried), carried.to_owned());
            }
            if let Ok(json) = std::str::from_utf8(&message.body) {
                // An event says more precisely than the message which JSON it was.
                let is_plain = message.content_type == "application/json";
                let carried = event.attribute("content-type").filter(|carried| is_plain && is_json(carried));
                return (Self::Json(json.to_owned()), carried.unwrap_or(&message.content_type).to_owned());
            }
        }
        let payload = match std::str::from_utf8(&message.body) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Bytes(message.body.clone()),
        };
        (payload, message.content_type.clone())
    }

    /// The bytes.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Json(text) | Self::Text(text) => text.into_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// Only bytes that are not UTF-8 come as base64, so base64 of a string is the payload itself.
fn unpacked(text: String, media_type: &str) -> Payload {
    let is_text = media_type.trim_start().to_ascii_lowercase().starts_with("text/");
    match encoding::base64_decode(&text) {
        Ok(bytes) if !is_text && std::str::from_utf8(&bytes).is_err() => Payload::Bytes(bytes),
        _ => Payload::Text(text),
    }
}

/// Bytes of a media type that a message may have.
const MAX_MEDIA_TYPE: usize = 256;

/// Checks a media type that the parameter `content_type` gives, since it becomes a header (RFC 9110, section 8.3.1).
///
/// # Errors
/// The permanent failure `parameters.invalid`: no slash, a character other than printable ASCII, or more than 256 bytes.
pub fn checked_media_type(text: &str) -> Result<&str, Failure> {
    let printable = text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if text.len() <= MAX_MEDIA_TYPE && text.contains('/') && printable {
        return Ok(text);
    }
    Err(Failure::permanent(
        "parameters.invalid",
        format!(
            "`content_type` is {:?} ({} bytes), which is not a media type: give one, such as application/json, in at most \
             {MAX_MEDIA_TYPE} bytes",
            shorten(text, 80),
            text.len()
        ),
    ))
}

/// Whether a media type is one of JSON (RFC 8259, RFC 6839).
#[must_use]
pub fn is_json(media_type: &str) -> bool {
    let media = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media == "application/json" || media.ends_with("+json")
}

/// The parameter `user` of a message shape: the user of the API key that a change was made with. The server knows who that
/// is, so it goes before whatever the data says.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The id.
    pub id: Text,
    /// The name.
    pub name: Option<String>,
    /// The email address.
    pub email: Option<String>,
}

/// Reads a parameter whose null differs from its absence.
///
/// # Errors
/// Those of the value.
pub fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// An id as a number where it is one, else as a string: `007` is another id than `7`.
#[must_use]
pub fn number(id: &str) -> serde_json::Value {
    let number = id.parse::<i64>().ok().filter(|number| number.to_string() == id);
    number.map_or_else(|| id.into(), serde_json::Value::from)
}

/// The view of a record in an event.
#[derive(Debug, Clone)]
pub struct Told<'m> {
    /// The record's kind, such as `ticket`: the word before the last of the event's type.
    pub kind: String,
    /// The verb, such as `updated`: the last word. Empty if the type is one word.
    pub verb: String,
    /// The members of the data. `None` if it is not an object.
    pub data: Members<'m>,
    /// The record as it was written: `data.record`, else `data.KIND`, else the data.
    pub record: &'m RawValue,
    /// Its members. `None` if it is not an object.
    pub fields: Members<'m>,
}

impl<'m> Told<'m> {
    /// Reads a message whose body is the event's data.
    ///
    /// # Errors
    /// A permanent failure, code `message.not_json`.
    pub fn of(event: &Event, message: &'m Message) -> Result<Self, Failure> {
        let body = json(message)?;
        let (before, verb) = event.event_type.rsplit_once('.').unwrap_or((&event.event_type, ""));
        let kind = before.rsplit('.').next().unwrap_or(before).to_owned();
        let data = Members::of(body).unwrap_or_default();
        let names = ["record".to_owned(), kind.clone(), kind.replace('-', "_")];
        let found = names.iter().find_map(|name| Some((data.get(name)?, data.object(name)?)));
        let (record, fields) = found.unwrap_or_else(|| (body, data.clone()));
        Ok(Self { kind, verb: verb.to_owned(), data, record, fields })
    }

    /// The record's id as it was written: its own `id`, else the data's, else what follows the last `/` of the subject.
    #[must_use]
    pub fn id(&self, event: &Event) -> Option<String> {
        let named = self.fields.first(&["id"]).or_else(|| self.data.first(&["id"])).and_then(text);
        named.or_else(|| {
            let subject = event.subject.as_deref()?;
            Some(subject.rsplit('/').next().unwrap_or(subject).to_owned())
        })
    }

    /// What a field was before: `data.from`, else `data.changes.FIELD.from` of the first of the fields that changed.
    #[must_use]
    pub fn former(&self, names: &[&str]) -> Option<&'m RawValue> {
        let changes = self.data.object("changes").unwrap_or_default();
        let changed = names.iter().find_map(|name| changes.object(name)?.get("from"));
        self.data.get("from").or(changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use serde_json::json;

    fn message(body: &str) -> Message {
        Message { headers: Vec::new(), content_type: "application/json".into(), body: body.into() }
    }

    #[test]
    fn an_id_is_a_number_only_if_it_is_written_as_one() {
        for (id, shown) in
            [("7", json!(7)), ("-7", json!(-7)), ("007", json!("007")), ("+7", json!("+7")), ("", json!(""))]
        {
            assert_eq!(number(id), shown);
        }
        assert_eq!(number("usr_7"), "usr_7");
        assert_eq!(number("99999999999999999999"), "99999999999999999999");
    }

    #[test]
    fn a_record_is_found_where_events_have_it() {
        for (event_type, body, kind, verb, record, id) in [
            (
                "party.created",
                r#"{"record": {"id": 1.0}, "party": {"id": 2}}"#,
                "party",
                "created",
                r#"{"id": 1.0}"#,
                "1.0",
            ),
            (
                "ticket.updated",
                r#"{"id": 9, "ticket": {"subject":"a"}}"#,
                "ticket",
                "updated",
                r#"{"subject":"a"}"#,
                "9",
            ),
            ("project-task.created", r#"{"project_task":{"id":"x"}}"#, "project-task", "created", r#"{"id":"x"}"#, "x"),
            ("jira.issue.closed", r#"{"key": "A-1"}"#, "issue", "closed", r#"{"key": "A-1"}"#, "7"),
            ("ping", "[1]", "ping", "", "[1]", "7"),
            (
                "a.b",
                r#"{"record": "text", "a": null, "id": null}"#,
                "a",
                "b",
                r#"{"record": "text", "a": null, "id": null}"#,
                "7",
            ),
        ] {
            let mut event = testing::event(event_type, json!(null));
            event.subject = Some("issue/7".into());
            let message = message(body);
            let told = Told::of(&event, &message).unwrap();
            assert_eq!((told.kind.as_str(), told.verb.as_str(), told.record.get()), (kind, verb, record), "{body}");
            assert_eq!(told.id(&event).as_deref(), Some(id), "{body}");
        }
        let failure = Told::of(&testing::event("a.b", json!(null)), &message("no")).unwrap_err();
        assert_eq!(failure.code, "message.not_json");
    }

    #[test]
    fn a_former_value_is_that_of_the_change() {
        let event = testing::event("task.moved", json!(null));
        for (body, former) in [
            (r#"{"from": 1, "changes": {"stage": {"from": 2}}}"#, Some("1")),
            (r#"{"changes": {"stage": {"from": 2, "to": 3}}}"#, Some("2")),
            (r#"{"changes": {"other": {"from": 2}}}"#, None),
            ("[]", None),
        ] {
            let message = message(body);
            let told = Told::of(&event, &message).unwrap();
            assert_eq!(told.former(&["kanban_stage_id", "stage"]).map(RawValue::get), former, "{body}");
        }
    }

    #[test]
    fn members_keep_their_order_and_digits() {
        let json: &RawValue =
            serde_json::from_str(r#"{"b": 1.10, "a\u0062": [1], "b": 2e0, "n": null, "s": "7"}"#).unwrap();
        let members = Members::of(json).unwrap();
        assert_eq!(members.get("b").map(RawValue::get), Some("2e0"));
        assert_eq!(members.first(&["n", "ab"]).map(RawValue::get), Some("[1]"));
        assert_eq!(
            (members.text("b"), members.integer("s"), members.integer("b")),
            (Some("2e0".into()), Some(7), None)
        );
        assert_eq!(members.list("ab").len(), 1);
        assert_eq!(members.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["b", "ab", "b", "n", "s"]);
        let written = members.iter().fold(Object::default(), |object, (name, value)| object.with(name, value));
        let written = written.with_object("o", Object::default()).with_list("l", [Object::default()]);
        assert_eq!(written.finish(), r#"{"b":1.10,"ab":[1],"b":2e0,"n":null,"s":"7","o":{},"l":[{}]}"#);
        assert!(Members::of(serde_json::from_str("[1]").unwrap()).is_none());
    }

    #[test]
    fn a_payload_is_returned_unchanged() {
        let text = |text: &str| Payload::Text(text.into());
        for (carried, body, payload, media) in [
            (None, r#"{"a":1.0}"#, Payload::Json(r#"{"a":1.0}"#.into()), "application/json"),
            (Some("application/x+json"), "[1]", Payload::Json("[1]".into()), "application/x+json"),
            (Some("text/plain; charset=utf-8"), r#""say \"hi\"""#, text("say \"hi\""), "text/plain; charset=utf-8"),
            (Some("application/xml"), r#""<a/>""#, text("<a/>"), "application/xml"),
            (Some("application/octet-stream"), r#""/wA=""#, Payload::Bytes(vec![0xff, 0]), "application/octet-stream"),
            // Base64 of a string: the payload was this text, since a string is never encoded.
            (Some("application/octet-stream"), r#""aGk=""#, text("aGk="), "application/octet-stream"),
            (Some("text/plain"), r#""/wA=""#, text("/wA="), "text/plain"),
            // What a transform before made of it is not text any more.
            (Some("text/plain"), r#"{"a":1}"#, Payload::Json(r#"{"a":1}"#.into()), "text/plain"),
        ] {
            let mut event = testing::event("a.b", json!(null));
            event.attributes = carried.map(|carried| ("content-type".into(), carried.into())).into_iter().collect();
            let (read, named) = Payload::of(&event, &message(body));
            let media = if matches!(payload, Payload::Json(_)) && !is_json(media) { "application/json" } else { media };
            assert_eq!((read, named.as_str()), (payload, media), "{body}");
        }
        let event = testing::event("a.b", json!(null));
        let other = Message { content_type: "image/png".into(), body: vec![0xff], headers: Vec::new() };
        assert_eq!(Payload::of(&event, &other), (Payload::Bytes(vec![0xff]), "image/png".into()));
    }
}
