use super::*;
use hookwright_sdk::testing::{self, apply};
use serde_json::json;

fn sent(event_type: &str, data: &str, parameters: Value) -> Result<Message, Failure> {
    let message = Message {
        headers: vec![("Link".into(), "old".into())],
        content_type: "application/json".into(),
        body: data.into(),
    };
    match apply::<Xurrent>(&testing::event(event_type, json!(null)), message, parameters)? {
        Transformed::Send(message) => Ok(message),
        Transformed::Drop(reason) => panic!("dropped: {reason}"),
    }
}

fn read(event_type: &str, data: Value, parameters: Value) -> Value {
    sent(event_type, &data.to_string(), parameters).unwrap().json().unwrap()
}

#[test]
fn a_note_on_a_request_is_the_message_of_the_documentation() {
    let data = r#"{"id": 219, "request": {"id": 219, "source": "self service", "status": "workflow_pending", "subject": "S",
        "team": {"id": 372, "name": "End-User Support, Houston", "disabled": false}, "member": {"id": 8529, "name": "Tom Edwards"}},
        "note": {"id": 3455, "text": "Hello"}, "person": {"id": 8543, "name": "Howard Tanner"}}"#;
    let parameters = json!({"webhook_id": 945, "webhook_nodeID": "abc", "account_id": "mycompany", "account": "https://mycompany.example.com",
        "api": "https://api.example.com/v1/", "name": "Note added to Request of mycompany"});
    let message = sent("request.note-added", data, parameters).unwrap();
    assert_eq!(message.content_type, "application/json; charset=utf-8");
    let body = message.text().unwrap();
    assert!(body.starts_with(r#"{"webhook_id":945,"webhook_nodeID":"abc","account_id":"mycompany","account":"https://mycompany.example.com","name":"Note added to Request of mycompany","event":"request.note-added","object_id":219,"object_nodeID":""#), "{body}");
    assert!(body.ends_with(r#""person_name":"Howard Tanner","payload":{"note_id":3455,"source":"self service","status":"workflow_pending","team":{"id":372,"name":"End-User Support, Houston"},"member":{"id":8529,"name":"Tom Edwards"}}}"#), "{body}");
    let links = "<https://mycompany.example.com/requests/219>; rel=\"canonical\", \
        <https://api.example.com/v1/requests/219>; rel=\"resource\", \
        <https://api.example.com/v1/requests/219/notes/3455>; rel=\"related\"";
    assert_eq!(message.headers, [("link".to_owned(), links.to_owned())]);
}

#[test]
fn links_are_absolute_or_absent() {
    let data = r#"{"id": 7, "note": {"id": 2}}"#;
    let link = |parameters: Value| {
        let message = sent("ticket.note-added", data, parameters).unwrap();
        message.headers.into_iter().map(|(_, value)| value).collect::<Vec<_>>()
    };
    assert_eq!(link(json!({"account": "wdc"})), ["old"], "a name is not an address");
    let own = json!({"account": "https://h.example", "resource": "https://h.example/v1/records/ticket/7"});
    assert_eq!(
        link(own),
        [
            "<https://h.example/requests/7>; rel=\"canonical\", <https://h.example/v1/records/ticket/7>; rel=\"resource\", \
          <https://h.example/v1/records/ticket/7/notes/2>; rel=\"related\""
        ]
    );
}

#[test]
fn a_check_of_an_address_has_the_callback() {
    let message = read(
        "webhook.verify",
        json!({"id": 219, "callback": "https://a.example/verify?code=x"}),
        json!({"webhook_id": 219, "person_id": "8543", "person_name": "Howard Tanner"}),
    );
    assert_eq!(message["payload"], json!({"callback": "https://a.example/verify?code=x"}));
    assert_eq!(
        json!([message["event"], message["object_id"], message["person_id"]]),
        json!(["webhook.verify", 219, 8543])
    );
    assert_eq!(message["object_nodeID"], message["webhook_nodeID"]);
}

#[test]
fn the_user_of_the_api_key_precedes_the_data() {
    let ada = json!({"user": {"id": 9, "name": "Ada", "email": "ada@example.com"}, "person_id": "key_1",
        "person_name": "a key", "person_nodeID": "of the key"});
    let data = json!({"id": 7, "problem": {"id": 7}, "person": {"id": 1, "nodeID": "forged", "name": "Forged"}});
    let message = read("problem.updated", data.clone(), ada);
    assert_eq!(json!([message["person_id"], message["person_name"]]), json!([9, "Ada"]));
    assert_eq!(message["person_nodeID"], names::node(None, None, "person", "9"));
    let message = read("problem.updated", data, json!({"user": null, "person_id": "key_1"}));
    assert_eq!(json!([message["person_id"], message["person_nodeID"]]), json!([1, "forged"]));
    // A person who was made did not make that record.
    let made = json!({"id": 3, "person": {"id": 3, "name": "New"}});
    let message = read("person.created", made, json!({"person_id": "key_1", "person_name": "a key"}));
    assert_eq!(json!([message["person_id"], message["person_name"]]), json!(["key_1", "a key"]));
}

#[test]
fn a_test_s_object_is_12345() {
    let data = json!({"id": 7, "problem": {"id": 7, "nodeID": "of 7"}});
    let message = read("problem.updated", data.clone(), json!({"object_id": 12345}));
    assert_eq!((&message["object_id"], &message["event"]), (&json!(12345), &json!("problem.update")));
    assert_ne!(message["object_nodeID"], "of 7");
    assert_eq!(read("problem.updated", data, json!({}))["object_nodeID"], "of 7");
}

#[test]
fn an_automation_s_call_has_the_configured_payload() {
    let data = json!({"automation": {"id": "aut_1"}, "payload": {"text": "You are too sure!", "n": [1]}});
    let message = read("automation.called", data, json!({"instance_name": "wdc-1"}));
    assert_eq!(message["payload"], json!({"text": "You are too sure!", "n": [1]}));
    assert_eq!(
        json!([message["event"], message["object_id"], message["instance_name"]]),
        json!(["automation_rule", "aut_1", "wdc-1"])
    );
}

#[test]
fn a_payload_contains_the_fields_of_the_record() {
    for (event_type, data, payload) in [
        (
            "ticket.status-changed",
            json!({"id": 1, "ticket": {"id": 1, "status": "closed", "team": "Desk", "member": 7}, "from": "open", "to": "closed"}),
            json!({"status": "closed", "previous_status": "open", "team": {"name": "Desk"}, "member": {"id": 7}}),
        ),
        (
            "problem.status-changed",
            json!({"record": {"status": "solved"}, "changes": {"status": {"from": "analyzed", "to": "solved"}}}),
            json!({"status": "solved", "previous_status": "analyzed"}),
        ),
        (
            "request.team-changed",
            json!({"record": {"id": 1, "source": null, "sourceID": "S-1", "team_id": 14}, "from": 13, "audit_line_id": 5, "audit_line_nodeID": "n"}),
            json!({"audit_line_id": 5, "audit_line_nodeID": "n", "sourceID": "S-1", "team": {"id": 14}}),
        ),
        (
            "task.created",
            json!({"record": {"id": 1, "team": {"id": 14, "nodeID": "def", "name": "N", "disabled": true, "secret": 1, "account": {"id": "wdc", "name": "Widget", "plan": "x"}}}}),
            json!({"team": {"id": 14, "nodeID": "def", "name": "N", "disabled": true, "account": {"id": "wdc", "name": "Widget"}}}),
        ),
        (
            "time-entry.deleted",
            json!({"record": {"id": 1, "cost": 10.5, "time_spent": 30, "description": null}}),
            json!({"id": 1, "time_spent": 30, "description": null}),
        ),
        ("out-of-office-period.created", json!({"id": 3, "reason": "Holiday"}), json!({"id": 3, "reason": "Holiday"})),
    ] {
        assert_eq!(read(event_type, data, json!({}))["payload"], payload, "{event_type}");
    }
}

#[test]
fn unknown_values_are_null_or_omitted() {
    let message = sent("person.created", "{}", json!({})).unwrap();
    assert_eq!(
        message.text(),
        Some(
            r#"{"webhook_id":null,"webhook_nodeID":null,"name":"person.create","event":"person.create","object_id":null,"object_nodeID":null,"person_id":null,"person_nodeID":null,"person_name":null,"payload":{}}"#
        )
    );
    assert_eq!(message.headers, [("Link".to_owned(), "old".to_owned())]);
}

#[test]
fn a_node_id_is_equal_for_the_same_object_only() {
    let ids = [
        names::node(None, None, "request", "1"),
        names::node(None, None, "request", "2"),
        names::node(None, None, "person", "1"),
        names::node(Some("https://wdc.example.com/"), None, "request", "1"),
        names::node(Some("https://wdc.example.com/"), Some("wdc"), "request", "1"),
        names::node(Some("https://wdc.example.com/"), Some("other"), "request", "1"),
    ];
    for (place, id) in ids.iter().enumerate() {
        assert!(
            !ids[..place].contains(id) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        );
    }
    assert_eq!(names::node(None, None, "out_of_office_period", "3"), "aG9va3dyaWdodC9PdXRPZk9mZmljZVBlcmlvZC8z");
}

#[test]
fn a_link_is_of_safe_words_only() {
    for (id, account) in [("1>; rel=x", "https://a.example"), ("1", "https://a.example/\r\nx: y"), ("1", "https://a>b")]
    {
        let message = sent("request.created", &json!({"id": id}).to_string(), json!({"account": account})).unwrap();
        assert_eq!(message.headers, [("Link".to_owned(), "old".to_owned())], "{id} {account}");
    }
    for (noun, plural) in [("person", "people"), ("time_entry", "time_entries"), ("ci", "cis"), ("request", "requests")]
    {
        assert_eq!(names::plural(noun), plural);
    }
}

/// The server's own table, which says what a subscription to a name of Xurrent's gets.
#[test]
fn names_are_those_that_the_server_accepts() {
    let table: Value = serde_json::from_str(include_str!("../../../host/model/catalogue/xurrent.json")).unwrap();
    let mut seen = 0;
    for entity in table["entities"].as_array().unwrap() {
        let name = entity["name"].as_str().unwrap();
        for kind in entity["kinds"].as_array().unwrap() {
            for operation in entity["operations"].as_array().unwrap() {
                let operation = operation.as_str().unwrap();
                let verb = table["operations"][operation].as_str().unwrap();
                assert_eq!(names::event(kind.as_str().unwrap(), verb), format!("{name}.{operation}"));
                seen += 1;
            }
        }
    }
    assert!(seen > 80, "{seen}");
}

#[test]
fn errors_are_reported() {
    assert_eq!(sent("a.b", "{", json!({})).unwrap_err().code, "message.not_json");
    assert_eq!(sent("a.b", "{}", json!({"webhook": 1})).unwrap_err().code, "parameters.invalid");
}
