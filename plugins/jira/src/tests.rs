//! Which requests become which events, and how the others are refused.

use hookwright_sdk::testing::{Host, receive};
use hookwright_sdk::{Draft, Reception, Refusal, Request, crypto, encoding, first};
use serde_json::{Value, json};

use crate::{Jira, SECRET};

fn unsigned(query: &str, body: &str) -> Request {
    Host::default().with_secret(SECRET, b"It's a Secret to Everybody").install();
    Request {
        method: "POST".into(),
        path: String::new(),
        query: query.into(),
        headers: vec![("content-type".into(), "application/json; charset=UTF-8".into())],
        body: body.into(),
        remote_address: "192.0.2.1".into(),
    }
}

fn signed(headers: &[(&str, &str)], body: &str) -> Request {
    let mut request = unsigned("", body);
    let code = crypto::hmac("sha256", SECRET, body.as_bytes()).unwrap();
    request.headers.push(("x-hub-signature".into(), format!("sha256={}", encoding::hex_encode(&code))));
    request.headers.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    request
}

fn accepted(request: &Request, parameters: Value) -> Draft {
    match receive::<Jira>(request, parameters) {
        Ok(Reception::Accepted(mut intake)) => intake.events.remove(0),
        other => panic!("not accepted: {other:?}"),
    }
}

fn refused(request: &Request, parameters: Value) -> Refusal {
    match receive::<Jira>(request, parameters) {
        Ok(Reception::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_change_of_status_can_be_tested_without_the_changelog() {
    let body = json!({
        "timestamp": 1_492_774_577_000_u64, "webhookEvent": "jira:issue_updated",
        "issue_event_type_name": "issue_closed", "user": {"accountId": "5b10", "displayName": "Ada"},
        "issue": {"id": "10002", "key": "OPS-7", "fields": {
            "status": {"name": "Closed"}, "project": {"key": "OPS"}, "issuetype": {"name": "Bug"}
        }},
        "changelog": {"id": "1", "items": [
            {"field": "resolution", "fromString": null, "toString": "Done"},
            {"field": "status", "fromString": "Open", "toString": "Closed"},
        ]},
    })
    .to_string();
    let draft = accepted(&signed(&[("x-atlassian-webhook-identifier", "w-1")], &body), json!({}));
    assert_eq!(draft.event_type, "jira.issue.updated");
    assert_eq!((draft.id.as_deref(), draft.subject.as_deref()), (Some("w-1"), Some("OPS-7")));
    assert_eq!(draft.time.as_deref(), Some("2017-04-21T11:36:17Z"));
    assert_eq!(draft.data, body);
    for (name, value) in [
        ("jira-event", "jira:issue_updated"),
        ("jira-change", "issue_closed"),
        ("jira-project", "OPS"),
        ("jira-issue-type", "Bug"),
        ("jira-status", "Closed"),
        ("jira-status-from", "Open"),
        ("jira-status-to", "Closed"),
        ("jira-changed", "resolution,status"),
        ("jira-user", "5b10"),
    ] {
        assert_eq!(first(&draft.attributes, name), Some(value), "{name}");
    }
}

#[test]
fn every_event_of_jira_has_its_type_and_subject() {
    for (body, event_type, subject) in [
        (json!({"webhookEvent": "jira:issue_created", "issue": {"key": "A-1"}}), "jira.issue.created", Some("A-1")),
        (json!({"webhookEvent": "comment_created", "issue": {"key": "A-1"}}), "jira.comment.created", Some("A-1")),
        (
            json!({"webhookEvent": "worklog_updated", "worklog": {"issueId": "10"}}),
            "jira.worklog.updated",
            Some("issue/10"),
        ),
        (
            json!({"webhookEvent": "jira:version_released", "version": {"id": "7"}}),
            "jira.version.released",
            Some("version/7"),
        ),
        (json!({"webhookEvent": "sprint_started", "sprint": {"id": 4}}), "jira.sprint.started", Some("sprint/4")),
        (
            json!({"webhookEvent": "board_configuration_changed", "board": {"id": 3}}),
            "jira.board_configuration.changed",
            Some("board/3"),
        ),
        (json!({"webhookEvent": "project_created", "project": {"key": "OPS"}}), "jira.project.created", Some("OPS")),
        (json!({"webhookEvent": "user_created", "user": {"name": "ada"}}), "jira.user.created", None),
        (json!({"webhookEvent": "odd", "issue": [1], "changelog": "none"}), "jira.odd", None),
    ] {
        let draft = accepted(&signed(&[], &body.to_string()), json!({}));
        assert_eq!((draft.event_type.as_str(), draft.subject.as_deref()), (event_type, subject));
        assert_eq!(draft.id, None);
    }
}

#[test]
fn the_secret_may_be_in_the_url_if_configured() {
    let body = r#"{"webhookEvent":"jira:issue_created"}"#;
    let token = json!({"token_parameter": "token"});
    let right = unsigned("a=1&token=It%27s+a%20Secret+to+Everybody", body);
    assert_eq!(accepted(&right, token.clone()).event_type, "jira.issue.created");
    for (request, parameters, code) in [
        (right, json!({}), "jira.signature_missing"),
        (unsigned("", body), token.clone(), "jira.token_missing"),
        (unsigned("token=", body), token.clone(), "jira.token_wrong"),
        (unsigned("token=guess", body), token.clone(), "jira.token_wrong"),
        (unsigned("Token=x", body), token, "jira.token_missing"),
    ] {
        let refusal = refused(&request, parameters);
        assert_eq!((refusal.status, refusal.code.as_str()), (401, code), "{}", refusal.message);
    }
}

#[test]
fn a_wrong_signature_is_refused_even_beside_a_right_token() {
    let body = r#"{"webhookEvent":"jira:issue_created"}"#;
    for signature in ["sha256=00", "sha256=zz", "sha1=00", ""] {
        let mut request = unsigned("token=It%27s+a+Secret+to+Everybody", body);
        request.headers.push(("x-hub-signature".into(), signature.into()));
        assert_eq!(refused(&request, json!({"token_parameter": "token"})).code, "jira.signature_wrong", "{signature}");
    }
}

#[test]
fn requests_that_jira_does_not_send_are_refused() {
    for (body, said) in [("", "Exclude body"), ("[]", "not a JSON object"), ("{", "not JSON")] {
        let refusal = refused(&signed(&[], body), json!({}));
        assert_eq!((refusal.status, refusal.code.as_str()), (400, "jira.payload_invalid"));
        assert!(refusal.message.contains(said), "{}", refusal.message);
    }
    for body in ["{}", r#"{"webhookEvent":7}"#, r#"{"webhookEvent":"jira:"}"#] {
        assert_eq!(refused(&signed(&[], body), json!({})).code, "jira.event_missing", "{body}");
    }
    let get = Request { method: "GET".into(), ..signed(&[], "{}") };
    assert_eq!(refused(&get, json!({})).status, 405);
}

#[test]
fn a_missing_secret_is_the_operators_failure_not_the_callers() {
    let request = signed(&[], "{}");
    Host::default().install();
    assert_eq!(receive::<Jira>(&request, json!({})).unwrap_err().code, "secret.unknown");
}

#[test]
fn a_signature_in_two_lines_of_one_header_is_one_list() {
    let mut request = signed(&[], r#"{"webhookEvent":"jira:issue_updated"}"#);
    request.headers.insert(
        0,
        ("x-hub-signature".into(), "sha256=0000000000000000000000000000000000000000000000000000000000000000".into()),
    );
    assert_eq!(accepted(&request, json!({})).event_type, "jira.issue.updated");
}
