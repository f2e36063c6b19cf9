//! The transform `capsule`: the message of Capsule's REST hooks, `{"event": "party/created", "payload": [{..}]}`.
//!
//! The payload is the record that the event is about, as it was written: `data.record`, else `data.KIND`, else the data; a
//! list of records stays that list. The event's name is the parameter `event`, else the event's type with a slash, its kind
//! in Capsule's words: `project.moved` is `kase/moved`.

use hookwright_sdk::outgoing::{Object, Told};
use hookwright_sdk::{Event, Failure, Manifest, Message, Plugin, Transform, Transformed};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Kinds of record that have another name in Capsule.
const WORDS: [(&str, &str); 6] = [
    ("contact", "party"),
    ("company", "party"),
    ("person", "party"),
    ("organization", "party"),
    ("project", "kase"),
    ("deal", "opportunity"),
];

struct Capsule;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    event: Option<String>,
}

impl Plugin for Capsule {
    const MANIFEST: Manifest = Manifest {
        name: "capsule",
        version: env!("CARGO_PKG_VERSION"),
        summary: "The message of Capsule's REST hooks: event and payload",
        parameters: include_str!("parameters.json"),
        hints: &[("documentation", "https://developer.capsulecrm.com/v2/overview/resthooks")],
    };
    type Parameters = Parameters;
}

impl Transform for Capsule {
    fn apply(event: &Event, message: Message, parameters: Parameters) -> Result<Transformed, Failure> {
        let told = Told::of(event, &message)?;
        let name = parameters.event.unwrap_or_else(|| name(&told.kind, &told.verb));
        let body = Object::default().with("event", &name);
        let body = match serde_json::from_str::<Vec<&RawValue>>(told.record.get()) {
            Ok(_) => body.with("payload", told.record),
            Err(_) => body.with("payload", &[told.record]),
        };
        let body = body.finish();
        Ok(Transformed::Send(message.with_body("application/json", body)))
    }
}

/// `KIND.VERB` in Capsule's words.
fn name(kind: &str, verb: &str) -> String {
    let word = WORDS.iter().find(|(own, _)| *own == kind).map_or(kind, |(_, word)| word);
    if verb.is_empty() { word.to_owned() } else { format!("{word}/{verb}") }
}

hookwright_sdk::export_transform!(Capsule);

#[cfg(test)]
mod tests {
    use super::*;
    use hookwright_sdk::testing::{self, apply};
    use serde_json::{Value, json};

    fn sent(event_type: &str, body: &str, parameters: Value) -> Result<String, Failure> {
        let message = Message { headers: vec![], content_type: "application/json".into(), body: body.into() };
        match apply::<Capsule>(&testing::event(event_type, json!(null)), message, parameters)? {
            Transformed::Send(message) => Ok(message.text().unwrap().to_owned()),
            Transformed::Drop(reason) => panic!("dropped: {reason}"),
        }
    }

    #[test]
    fn a_record_is_the_payload_as_it_was_written() {
        for (event_type, data, message) in [
            (
                "party.created",
                r#"{"id": 1, "party": {"id": 11587, "firstName": "Scott", "n": 1.50}}"#,
                r#"{"event":"party/created","payload":[{"id": 11587, "firstName": "Scott", "n": 1.50}]}"#,
            ),
            (
                "contact.updated",
                r#"{"record": {"id": 1}, "changes": {}}"#,
                r#"{"event":"party/updated","payload":[{"id": 1}]}"#,
            ),
            ("project.moved", r#"{"id": 3}"#, r#"{"event":"kase/moved","payload":[{"id": 3}]}"#),
            (
                "deal.closed",
                r#"[{"id":1},{"id":2}]"#,
                r#"{"event":"opportunity/closed","payload":[{"id":1},{"id":2}]}"#,
            ),
            ("ping", "null", r#"{"event":"ping","payload":[null]}"#),
        ] {
            assert_eq!(sent(event_type, data, json!({})).unwrap(), message);
        }
        let named = sent("party.created", "{}", json!({"event": "party/updated"})).unwrap();
        assert_eq!(named, r#"{"event":"party/updated","payload":[{}]}"#);
        assert_eq!(sent("party.created", "", json!({})).unwrap_err().code, "message.not_json");
    }

    /// The server's own table, which says what a subscription to a name of Capsule's gets.
    #[test]
    fn names_are_those_that_the_server_takes() {
        let table: Value = serde_json::from_str(include_str!("../../../host/model/catalogue/capsule.json")).unwrap();
        let mut seen = 0;
        for entity in table["entities"].as_array().unwrap() {
            for kind in entity["kinds"].as_array().unwrap() {
                let expected = format!("{}/created", entity["name"].as_str().unwrap());
                assert_eq!(name(kind.as_str().unwrap(), "created"), expected);
                seen += 1;
            }
        }
        assert!(seen > WORDS.len(), "{seen}");
    }

    #[test]
    fn the_manifest_is_one_that_the_host_takes() {
        testing::schema::<Capsule>().unwrap();
    }
}
