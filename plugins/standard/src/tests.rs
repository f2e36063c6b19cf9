use super::*;
use hookwright_sdk::testing::{self, apply};
use serde_json::{Value, json};

fn sent(body: &str, parameters: Value) -> Result<String, Failure> {
    let mut event = testing::event("ticket.updated", json!(null));
    event.subject = Some("ticket/7".into());
    let message = Message {
        headers: vec![("x-a".into(), "1".into())],
        content_type: "application/json".into(),
        body: body.into(),
    };
    match apply::<Standard>(&event, message, parameters)? {
        Transformed::Send(message) => {
            assert_eq!((message.content_type.as_str(), message.headers.len()), ("application/json", 1));
            Ok(message.text().unwrap().to_owned())
        }
        Transformed::Drop(reason) => panic!("dropped: {reason}"),
    }
}

#[test]
fn the_data_is_sent_unchanged() {
    let body = sent(r#" {"n": 1.0000000000000000001, "b":1e2, "n2":18446744073709551616} "#, json!({})).unwrap();
    assert_eq!(
        body,
        r#"{"type":"ticket.updated","timestamp":"2026-01-02T03:04:05.006Z","id":"evt_1","source":"test","subject":"ticket/7","data":{"n": 1.0000000000000000001, "b":1e2, "n2":18446744073709551616}}"#
    );
}

#[test]
fn a_subject_that_is_not_there_is_left_out() {
    let message = Message { headers: vec![], content_type: "application/json".into(), body: b"null".to_vec() };
    let done = apply::<Standard>(&testing::event("a.b", json!(null)), message, json!({})).unwrap();
    let Transformed::Send(message) = done else { panic!("dropped") };
    assert_eq!(
        message.json().unwrap(),
        json!({"type": "a.b", "timestamp": "2026-01-02T03:04:05.006Z", "id": "evt_1", "source": "test", "data": null})
    );
}

#[test]
fn a_thin_payload_has_ids_and_nothing_else() {
    for (data, thin) in [
        (
            r#"{"id": 7, "ticket": {"id": 7, "subject": "S", "team_id": "t-1"}}"#,
            json!({"id": 7, "ticket": {"id": 7, "team_id": "t-1"}}),
        ),
        (
            r#"{"id": 1.0, "userIds": [1, "2"], "nodeID": "x", "paid": true, "list": [{"id": 1}]}"#,
            json!({"id": 1.0, "userIds": [1, "2"], "nodeID": "x"}),
        ),
        (r#"{"changes": {"stage_id": {"from": 1, "to": 2}}, "id": null}"#, json!({})),
        (r#"[{"id": 1}]"#, json!({})),
        ("\"text\"", json!({})),
    ] {
        let body: Value = serde_json::from_str(&sent(data, json!({"thin": true})).unwrap()).unwrap();
        assert_eq!(body["data"], thin, "{data}");
        assert_eq!(body["id"], "evt_1");
    }
    let long = json!({"id": "x".repeat(257), "deep_id": "kept"}).to_string();
    assert!(sent(&long, json!({"thin": true})).unwrap().ends_with(r#""data":{"deep_id":"kept"}}"#));
    let deep = format!("{}{{\"id\":1}}{}", "{\"a\":".repeat(100), "}".repeat(100));
    assert!(sent(&deep, json!({"thin": true})).unwrap().ends_with("\"data\":{}}"));
}

#[test]
fn errors_are_reported() {
    for (body, parameters, code) in [
        ("{", json!({}), "message.not_json"),
        ("{}", json!({"thin": "yes"}), "parameters.invalid"),
        ("{}", json!({"thick": true}), "parameters.invalid"),
    ] {
        assert_eq!(sent(body, parameters.clone()).unwrap_err().code, code, "{parameters}");
    }
}
