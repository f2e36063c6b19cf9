//! Which requests become which events and answers, and how the others are refused.

use hookwright_sdk::testing::{Host, receive};
use hookwright_sdk::{Intake, Reception, Refusal, Request, crypto, encoding, first};
use serde_json::{Value, json};

use crate::{SECRET, Slack};

const KEY: &[u8] = b"8f742231b10e8888abcd99yyyzzz85a5";
const NOW: &str = "1531420618";

fn install() {
    Host::default().with_secret(SECRET, KEY).with_now(1_531_420_618_000.0, "2018-07-12T18:36:58.000Z").install();
}

fn signed_at(time: &str, content_type: &str, body: &str) -> Request {
    install();
    let code = crypto::hmac("sha256", SECRET, format!("v0:{time}:{body}").as_bytes()).unwrap();
    Request {
        method: "POST".into(),
        path: String::new(),
        query: String::new(),
        headers: vec![
            ("content-type".into(), content_type.into()),
            ("x-slack-request-timestamp".into(), time.into()),
            ("x-slack-signature".into(), format!("v0={}", encoding::hex_encode(&code))),
        ],
        body: body.into(),
        remote_address: "192.0.2.1".into(),
    }
}

fn json_request(body: &str) -> Request {
    signed_at(NOW, "application/json", body)
}

fn form_request(body: &str) -> Request {
    signed_at(NOW, "application/x-www-form-urlencoded", body)
}

fn accepted(request: &Request, parameters: Value) -> Intake {
    match receive::<Slack>(request, parameters) {
        Ok(Reception::Accepted(intake)) => intake,
        other => panic!("not accepted: {other:?}"),
    }
}

fn refused(request: &Request) -> Refusal {
    match receive::<Slack>(request, json!({})) {
        Ok(Reception::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

/// The example in Slack's page on verifying requests.
#[test]
fn the_signature_is_the_one_that_slack_documents() {
    let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&\
                channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&\
                response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&\
                trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let time = "1531420618";
    let mut request = signed_at(time, "application/x-www-form-urlencoded", body);
    request.headers.retain(|(name, _)| name != "x-slack-signature");
    let documented = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
    request.headers.push(("x-slack-signature".into(), documented.into()));
    let intake = accepted(&request, json!({}));
    assert_eq!(intake.events[0].event_type, "slack.command.webhook-collect");
}

#[test]
fn an_event_becomes_an_event() {
    for (event, event_type, subject) in [
        (json!({"type": "app_mention", "channel": "C1", "user": "U1"}), "slack.app_mention", Some("C1")),
        (
            json!({"type": "message", "subtype": "channel_join", "channel": "C1"}),
            "slack.message.channel_join",
            Some("C1"),
        ),
        (
            json!({"type": "reaction_added", "user": "U1", "item": {"type": "message", "channel": "C2"}}),
            "slack.reaction_added",
            Some("C2"),
        ),
        (
            json!({"type": "channel_created", "channel": {"id": "C3", "name": "fun"}}),
            "slack.channel_created",
            Some("C3"),
        ),
        (json!({"type": "team_join", "user": {"id": "U9"}}), "slack.team_join", Some("U9")),
        (json!({"type": "emoji_changed"}), "slack.emoji_changed", None),
    ] {
        let body = json!({
            "type": "event_callback", "event": event, "event_id": "Ev1", "event_time": 1_531_420_600, "team_id": "T1",
        })
        .to_string();
        let intake = accepted(&json_request(&body), json!({}));
        let draft = &intake.events[0];
        assert_eq!((draft.event_type.as_str(), draft.subject.as_deref()), (event_type, subject));
        assert_eq!((draft.id.as_deref(), draft.time.as_deref()), (Some("Ev1"), Some("2018-07-12T18:36:40Z")));
        assert_eq!(draft.data, body);
        assert_eq!(first(&draft.attributes, "slack-team"), Some("T1"));
        assert_eq!(first(&draft.attributes, "x-slack-signature"), None);
        assert_eq!((intake.answer.status, intake.answer.body.is_empty()), (200, true));
    }
    let limited = accepted(&json_request(r#"{"type":"app_rate_limited","team_id":"T1"}"#), json!({}));
    assert_eq!(limited.events[0].event_type, "slack.app_rate_limited");
}

#[test]
fn the_challenge_is_answered_and_makes_no_event() {
    let intake = accepted(&json_request(r#"{"type":"url_verification","challenge":"3eZbrw1a"}"#), json!({}));
    assert!(intake.events.is_empty());
    assert_eq!((intake.answer.status, intake.answer.body.as_slice()), (200, b"3eZbrw1a".as_slice()));
    for body in [r#"{"type":"url_verification"}"#, r#"{"type":"url_verification","challenge":""}"#] {
        assert_eq!(refused(&json_request(body)).code, "slack.challenge_missing");
    }
    let unsigned = Request { headers: vec![("content-type".into(), "application/json".into())], ..json_request("{}") };
    assert_eq!(refused(&unsigned).code, "slack.signature_missing");
}

#[test]
fn a_command_is_answered_as_configured() {
    let body = "command=%2Fdeploy&text=to+prod&user_id=U1&channel_id=C1&team_id=T1&trigger_id=13.37";
    let intake = accepted(&form_request(body), json!({"command_reply": "On it: \"prod\""}));
    let draft = &intake.events[0];
    assert_eq!((draft.event_type.as_str(), draft.id.as_deref()), ("slack.command.deploy", Some("13.37")));
    let data: Value = serde_json::from_str(&draft.data).unwrap();
    assert_eq!((&data["command"], &data["text"]), (&json!("/deploy"), &json!("to prod")));
    let answer: Value = serde_json::from_slice(&intake.answer.body).unwrap();
    assert_eq!(answer, json!({"response_type": "ephemeral", "text": "On it: \"prod\""}));
    assert!(accepted(&form_request(body), json!({})).answer.body.is_empty());
}

#[test]
fn an_interaction_carries_its_payload() {
    let payload = json!({
        "type": "view_submission", "trigger_id": "t1", "user": {"id": "U1"}, "team": {"id": "T1"},
        "view": {"callback_id": "form-1"},
    })
    .to_string();
    let body = format!("payload={}", encode(&payload));
    let intake = accepted(&form_request(&body), json!({}));
    let draft = &intake.events[0];
    assert_eq!(draft.event_type, "slack.interaction.view_submission");
    assert_eq!((draft.subject.as_deref(), draft.id.as_deref()), (Some("U1"), Some("t1")));
    assert_eq!(first(&draft.attributes, "slack-callback"), Some("form-1"));
    assert_eq!(draft.data, payload);
}

/// Percent-encodes everything but letters and digits.
fn encode(text: &str) -> String {
    let byte =
        |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(byte).collect()
}

#[test]
fn the_certificate_check_needs_no_signature() {
    install();
    let bare = Request { headers: Vec::new(), body: b"ssl_check=1&token=x".to_vec(), ..form_request("") };
    let get = Request { method: "GET".into(), query: "ssl_check=1".into(), body: Vec::new(), ..bare.clone() };
    for request in [bare, get] {
        let intake = accepted(&request, json!({}));
        assert_eq!((intake.events.len(), intake.answer.status), (0, 200));
    }
}

#[test]
fn unsigned_or_old_requests_are_refused() {
    let body = r#"{"type":"event_callback","event":{"type":"app_mention"}}"#;
    let good = json_request(body);
    let with = |name: &str, value: &str| {
        let mut request = good.clone();
        request.headers.retain(|(key, _)| key != name);
        request.headers.push((name.into(), value.into()));
        request
    };
    for (request, code) in [
        (Request { headers: Vec::new(), ..good.clone() }, "slack.signature_missing"),
        (with("x-slack-signature", "v1=00"), "slack.signature_wrong"),
        (with("x-slack-signature", "v0=zz"), "slack.signature_wrong"),
        (with("x-slack-signature", &format!("v0={}", "0".repeat(64))), "slack.signature_wrong"),
        (with("x-slack-request-timestamp", "1531420619"), "slack.signature_wrong"),
        (Request { body: b"{}".to_vec(), ..good.clone() }, "slack.signature_wrong"),
        (signed_at("1531420317", "application/json", body), "slack.signature_old"),
        (signed_at("1531420919", "application/json", body), "slack.signature_old"),
    ] {
        let refusal = refused(&request);
        assert_eq!((refusal.status, refusal.code.as_str()), (401, code), "{}", refusal.message);
    }
    assert_eq!(refused(&Request { method: "GET".into(), ..good }).status, 405);
}

#[test]
fn requests_that_slack_does_not_send_are_refused() {
    for (request, code) in [
        (json_request(""), "slack.payload_invalid"),
        (json_request("[]"), "slack.payload_invalid"),
        (json_request("{}"), "slack.event_missing"),
        (json_request(r#"{"type":"event_callback"}"#), "slack.event_missing"),
        (json_request(r#"{"type":"event_callback","event":{"type":7}}"#), "slack.event_missing"),
        (form_request(""), "slack.payload_invalid"),
        (form_request("a=b"), "slack.payload_invalid"),
        (form_request("payload=%7B"), "slack.payload_invalid"),
        (form_request("payload=%7B%7D"), "slack.payload_invalid"),
        (form_request("command=%2F"), "slack.event_missing"),
        (signed_at(NOW, "text/plain", "hello"), "slack.payload_invalid"),
    ] {
        let refusal = refused(&request);
        assert_eq!((refusal.status, refusal.code.as_str()), (400, code), "{}", refusal.message);
    }
}

#[test]
fn a_missing_secret_is_the_operators_failure_not_the_callers() {
    let request = json_request("{}");
    Host::default().install();
    assert_eq!(receive::<Slack>(&request, json!({})).unwrap_err().code, "secret.unknown");
}

#[test]
fn a_signature_in_two_lines_of_one_header_is_one_list() {
    let mut request = json_request(r#"{"type":"event_callback","event_id":"Ev1","event":{"type":"message"}}"#);
    request.headers.insert(
        0,
        ("x-slack-signature".into(), "v0=0000000000000000000000000000000000000000000000000000000000000000".into()),
    );
    assert_eq!(accepted(&request, json!({})).events.len(), 1);
}
