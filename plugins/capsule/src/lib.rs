//! The transform `capsule`: the message of Capsule's REST hooks, `{"event": "party/created", "payload": [{..}]}`.
//!
//! The payload is the record that the event is about: `data.record`, else `data.KIND`, else the data; a list of records stays
//! that list. Records of Capsule's kinds have every field of theirs, null where there is nothing, and times in whole seconds;
//! a task has Capsule's fields. The event's name is the parameter `event`, else the event's type with a slash, its kind
//! in Capsule's words: `project.moved` is `kase/moved`.

use hookwright_sdk::outgoing::{Object, Told, User};
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

mod shape;

struct Capsule;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    event: Option<String>,
    /// Members that the records have in any case, with commas between.
    embed: Option<String>,
    user: Option<User>,
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
        let records = serde_json::from_str::<Vec<&RawValue>>(told.record.get()).unwrap_or_else(|_| vec![told.record]);
        let completed_by = parameters.user.as_ref().filter(|_| completes(&told));
        let payload = records.into_iter().map(|record| {
            let embed = parameters.embed.as_deref();
            let shaped = shape::shaped(&told.kind, record, &event.time, completed_by, embed);
            shaped.and_then(|json| RawValue::from_string(json).ok()).unwrap_or_else(|| record.to_owned())
        });
        let payload: Vec<Box<RawValue>> = payload.collect();
        let body = Object::default().with("event", &name).with("payload", &payload).finish();
        Ok(Transformed::Send(message.with_body("application/json", body)))
    }
}

/// Whether the event tells of the change by which its record was completed.
fn completes(told: &Told<'_>) -> bool {
    let changes = told.data.object("changes").unwrap_or_default();
    told.verb == "completed" || ["status", "closedDate"].iter().any(|field| changes.get(field).is_some())
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
    fn a_record_is_the_payload_with_the_fields_of_its_kind() {
        for (event_type, data, message) in [
            (
                "party.created",
                r#"{"id": 1, "party": {"id": 11587, "firstName": "Scott", "n": 1.50}}"#,
                r#"{"event":"party/created","payload":[{"id":11587,"type":null,"about":null,"title":null,"firstName":"Scott","lastName":null,"jobTitle":null,"createdAt":null,"updatedAt":null,"organisation":null,"lastContactedAt":null,"addresses":[],"phoneNumbers":[],"websites":[],"emailAddresses":[],"pictureURL":null,"n":1.50}]}"#,
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
        let named = sent("contact.created", "{}", json!({"event": "party/updated"})).unwrap();
        assert_eq!(named, r#"{"event":"party/updated","payload":[{}]}"#);
        assert_eq!(sent("party.created", "", json!({})).unwrap_err().code, "message.not_json");
    }

    fn first(event_type: &str, record: Value, parameters: Value) -> Value {
        let message: Value = serde_json::from_str(&sent(event_type, &record.to_string(), parameters).unwrap()).unwrap();
        message["payload"][0].clone()
    }

    #[test]
    fn times_are_in_whole_seconds_and_missing_values_are_null() {
        let record =
            json!({"record": {"id": 1, "name": "o", "createdAt": "2015-09-15T10:43:23.987Z", "more": "x.123Z"}});
        let opportunity = first("opportunity.created", record, json!({}));
        assert_eq!(opportunity["createdAt"], "2015-09-15T10:43:23Z");
        assert_eq!(opportunity["more"], "x.123Z");
        for name in ["milestone", "closedOn", "party", "owner", "updatedAt", "value"] {
            assert_eq!(opportunity.get(name), Some(&Value::Null), "{name}");
        }
        let organisation = first("party.created", json!({"id": 1, "type": "organisation", "name": "ACME"}), json!({}));
        assert_eq!((organisation.get("firstName"), &organisation["name"]), (None, &json!("ACME")));
        assert_eq!(organisation["addresses"], json!([]));
    }

    #[test]
    fn a_task_has_capsules_fields() {
        let record = json!({"record": {
            "id": "816", "title": "Call", "body": "<p>x</p>", "status": "inWork", "deadline": 1_717_243_200, "responsibleId": "2",
            "createdDate": 1_732_623_300, "closedDate": null, "closedBy": "",
            "crmEntities": {"deals": [{"id": 124, "title": "Deal"}], "companies": [{"id": 39, "title": "Company"}]},
        }});
        assert_eq!(
            first("task.created", record, json!({})),
            json!({
                "id": "816", "type": "task", "description": "Call", "detail": "<p>x</p>", "category": null,
                "dueOn": "2024-06-01", "dueTime": "12:00:00", "status": "OPEN", "party": {"id": 39, "name": "Company"},
                "opportunity": {"id": 124, "name": "Deal"}, "kase": null, "owner": {"id": 2}, "hasTrack": false,
                "createdAt": "2024-11-26T12:15:00Z", "updatedAt": "2026-01-02T03:04:05Z", "completedAt": null,
                "completedBy": null,
            })
        );
        let done = json!({"id": 1, "title": "t", "status": "done", "deadline": 0, "closedDate": 1_732_623_300, "closedBy": "7"});
        let done = first("task.completed", done, json!({}));
        assert_eq!((&done["status"], &done["dueOn"]), (&json!("COMPLETED"), &Value::Null));
        assert_eq!((&done["completedAt"], &done["completedBy"]), (&json!("2024-11-26T12:15:00Z"), &json!({"id": 7})));
        assert_eq!(first("task.created", json!({"id": 1, "dueOn": "x"}), json!({})), json!({"id": 1, "dueOn": "x"}));
    }

    #[test]
    fn a_task_is_completed_by_the_user_who_made_the_change() {
        let ada = json!({"user": {"id": 5, "name": "Ada", "email": "ada@example.com"}});
        let done = json!({"id": 1, "title": "t", "status": "done", "closedBy": ""});
        let changed = |field: &str| json!({"task": done, "changes": {field: {"from": null, "to": "x"}}});
        let by_ada = json!({"id": 5, "name": "Ada"});
        for (event_type, data, parameters, expected) in [
            ("task.completed", json!({"task": done}), &ada, by_ada.clone()),
            ("task.updated", changed("status"), &ada, by_ada.clone()),
            ("task.updated", changed("title"), &ada, json!(null)),
            ("task.completed", json!({"task": done}), &json!({}), json!(null)),
            ("task.completed", json!({"task": {"id": 1, "title": "t", "closedBy": 7}}), &ada, json!({"id": 7})),
            ("task.updated", json!({"task": {"id": 1, "title": "t"}, "changes": {"status": {}}}), &ada, json!(null)),
            ("task.completed", json!({"task": done}), &json!({"user": {"id": "usr_1"}}), json!({"id": "usr_1"})),
        ] {
            assert_eq!(first(event_type, data.clone(), parameters.clone())["completedBy"], expected, "{data}");
        }
    }

    #[test]
    fn embedded_members_are_present_even_if_empty() {
        let party =
            first("party.created", json!({"id": 1, "owner": {"id": 6}}), json!({"embed": "tags, fields,owner,team"}));
        assert_eq!((&party["tags"], &party["fields"], &party["owner"]), (&json!([]), &json!([]), &json!({"id": 6})));
        assert_eq!(party.get("team"), Some(&Value::Null));
    }

    /// The server's own table, which says what a subscription to a name of Capsule's gets.
    #[test]
    fn names_are_those_that_the_server_accepts() {
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
}
