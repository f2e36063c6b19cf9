use super::*;
use hookwright_sdk::testing::{self, apply};
use serde_json::{Value, json};

fn event(attributes: &[(&str, &str)]) -> Event {
    let mut event = testing::event("ticket.closed", json!(null));
    event.source = "my shop/ä".into();
    event.subject = Some("Größe \"50%\" €".into());
    event.attributes = attributes.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    event
}

fn sent(event: &Event, body: &str, mode: &str) -> Result<Message, Failure> {
    let headers = vec![("x-a".into(), "1".into()), ("CE-Id".into(), "old".into()), ("c€".into(), "2".into())];
    let message = Message { headers, content_type: "application/json".into(), body: body.into() };
    match apply::<CloudEvents>(event, message, json!({"mode": mode}))? {
        Transformed::Send(message) => Ok(message),
        Transformed::Drop(reason) => panic!("dropped: {reason}"),
    }
}

#[test]
fn a_structured_event_has_every_attribute_and_the_data_as_written() {
    let event = event(&[("content-type", "application/json"), ("traceparent", "00-1"), ("X-Kept", "no"), ("id", "no")]);
    let message = sent(&event, r#"{"n": 1.0000000000000000001}"#, "structured").unwrap();
    assert_eq!(message.content_type, "application/cloudevents+json");
    assert_eq!(
        message.text().unwrap(),
        r#"{"specversion":"1.0","id":"evt_1","source":"my%20shop/%C3%A4","type":"ticket.closed","subject":"Größe \"50%\" €","time":"2026-01-02T03:04:05.006Z","traceparent":"00-1","datacontenttype":"application/json","data":{"n": 1.0000000000000000001}}"#
    );
    let batch = sent(&event, "{}", "batched").unwrap();
    assert_eq!(batch.content_type, "application/cloudevents-batch+json");
    let single = sent(&event, "{}", "structured").unwrap();
    assert_eq!(batch.text().unwrap(), format!("[{}]", single.text().unwrap()));
}

#[test]
fn a_payload_that_is_not_json_is_a_string_or_base64() {
    for (carried, body, name, data) in [
        ("text/plain", r#""say \"hi\"""#, "data", json!("say \"hi\"")),
        ("image/png", r#""/wA=""#, "data_base64", json!("/wA=")),
    ] {
        let body = sent(&event(&[("content-type", carried)]), body, "structured").unwrap().json().unwrap();
        assert_eq!((&body["datacontenttype"], &body[name]), (&json!(carried), &data));
        assert_eq!(
            body.as_object().map(|members| members.keys().filter(|key| key.starts_with("data")).count()),
            Some(2)
        );
    }
}

#[test]
fn a_binary_event_has_its_attributes_in_headers() {
    let message = sent(&event(&[("content-type", "text/plain"), ("shard", "7 %")]), r#""hi""#, "binary").unwrap();
    assert_eq!((message.content_type.as_str(), message.text()), ("text/plain", Some("hi")));
    let expected = [
        ("x-a", "1"),
        ("c€", "2"),
        ("ce-specversion", "1.0"),
        ("ce-id", "evt_1"),
        // The percent signs of a source that is a URI-reference are encoded once more.
        ("ce-source", "my%2520shop/%25C3%25A4"),
        ("ce-type", "ticket.closed"),
        ("ce-subject", "Gr%C3%B6%C3%9Fe%20%2250%25%22%20%E2%82%AC"),
        ("ce-time", "2026-01-02T03:04:05.006Z"),
        ("ce-shard", "7%20%25"),
    ];
    let headers: Vec<(&str, &str)> = message.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(headers, expected);
}

#[test]
fn a_body_that_is_not_json_is_refused() {
    for mode in ["structured", "binary", "batched"] {
        assert_eq!(sent(&event(&[]), "{", mode).unwrap_err().code, "message.not_json", "{mode}");
    }
    assert_eq!(sent(&event(&[]), "{}", "other").unwrap_err().code, "parameters.invalid");
    let plain = Message { headers: vec![], content_type: "text/csv".into(), body: b"a,b".to_vec() };
    let Ok(Transformed::Send(message)) = apply::<CloudEvents>(&event(&[]), plain, Value::Object(Default::default()))
    else {
        panic!("not sent")
    };
    assert_eq!(message.json().unwrap()["data"], "a,b");
}
