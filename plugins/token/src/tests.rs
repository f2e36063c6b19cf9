//! Which requests become which events, and how the others are refused.

use hookwright_sdk::testing::{Host, receive};
use hookwright_sdk::{Draft, Pairs, Reception, Refusal, Request};
use serde_json::{Value, json};

use crate::{SECRET, Token};

fn request(query: &str, headers: &[(&str, &str)], body: &str) -> Request {
    Host::default().with_secret(SECRET, "s3crét +".as_bytes()).install();
    let headers: Pairs = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Request {
        method: "POST".into(),
        path: String::new(),
        query: query.into(),
        headers,
        body: body.into(),
        remote_address: "192.0.2.1".into(),
    }
}

fn accepted(request: &Request, parameters: Value) -> Draft {
    match receive::<Token>(request, parameters) {
        Ok(Reception::Accepted(mut intake)) => intake.events.remove(0),
        other => panic!("not accepted: {other:?}"),
    }
}

fn refused(request: &Request, parameters: Value) -> Refusal {
    match receive::<Token>(request, parameters) {
        Ok(Reception::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn the_token_is_found_where_the_parameters_say() {
    for (parameters, request) in [
        (json!({"header": "X-Token"}), request("", &[("x-token", "s3crét +")], "{}")),
        (json!({"header": "x-token"}), request("", &[("x-token", " s3crét + ")], "{}")),
        (
            json!({"header": "Authorization", "scheme": "Bearer"}),
            request("", &[("authorization", "bearer  s3crét +")], "{}"),
        ),
        (
            json!({"header": "Authorization", "scheme": "Bearer "}),
            request("", &[("authorization", "Bearer s3crét +")], "{}"),
        ),
        (json!({"query": "key"}), request("a=1&key=s3cr%C3%A9t+%2B", &[], "{}")),
    ] {
        assert_eq!(accepted(&request, parameters).event_type, "webhook.received");
    }
}

#[test]
fn a_missing_or_wrong_token_is_refused() {
    let (bearer, header, query) =
        (json!({"header": "authorization", "scheme": "Bearer"}), json!({"header": "x-token"}), json!({"query": "key"}));
    for (parameters, request, code) in [
        (&header, request("", &[], "{}"), "token.missing"),
        (&header, request("", &[("x-token", " ")], "{}"), "token.missing"),
        (&header, request("", &[("x-token", "s3crét")], "{}"), "token.wrong"),
        (&header, request("key=s3cr%C3%A9t+%2B", &[("x-token", "x")], "{}"), "token.wrong"),
        (&bearer, request("", &[("authorization", "s3crét +")], "{}"), "token.missing"),
        (&bearer, request("", &[("authorization", "Bearer")], "{}"), "token.missing"),
        (&bearer, request("", &[("authorization", "Bearers3crét +")], "{}"), "token.missing"),
        (&bearer, request("", &[("authorization", "Bearér x")], "{}"), "token.missing"),
        (&bearer, request("", &[("authorization", "Bearer nope")], "{}"), "token.wrong"),
        (&query, request("", &[], "{}"), "token.missing"),
        (&query, request("key=", &[], "{}"), "token.missing"),
        (&query, request("key=s3cret", &[], "{}"), "token.wrong"),
    ] {
        let refusal = refused(&request, parameters.clone());
        assert_eq!((refusal.status, refusal.code.as_str()), (401, code), "{}", refusal.message);
    }
}

#[test]
fn the_event_is_made_as_the_rules_say() {
    let parameters = json!({"header": "x-token", "event": {
        "type": {"path": "alerts[0].status", "prefix": "grafana."}, "id": {"path": "groupKey"}, "subject": "grafana",
    }});
    let body = r#"{"alerts":[{"status":"firing"}],"groupKey":"g1"}"#;
    let draft = accepted(&request("", &[("x-token", "s3crét +")], body), parameters.clone());
    assert_eq!(draft.event_type, "grafana.firing");
    assert_eq!((draft.id.as_deref(), draft.subject.as_deref()), (Some("g1"), Some("grafana")));
    assert_eq!(draft.data, body);
    let refusal = refused(&request("", &[("x-token", "s3crét +")], "[]"), parameters);
    assert_eq!((refusal.status, refusal.code.as_str()), (422, "token.type_missing"));
    let bad = request("", &[("x-token", "s3crét +"), ("content-type", "application/json")], "{");
    assert_eq!(refused(&bad, json!({"header": "x-token"})).code, "token.payload_invalid");
}

#[test]
fn the_data_of_a_get_is_its_query() {
    let parameters = json!({"query": "key", "methods": ["GET", "POST"], "event": {"type": {"path": "event"}}});
    let get = Request { method: "GET".into(), ..request("event=door.open&key=s3cr%C3%A9t+%2B", &[], "") };
    let draft = accepted(&get, parameters.clone());
    assert_eq!((draft.event_type.as_str(), draft.data.as_str()), ("door.open", r#"{"event":"door.open"}"#));
    for (method, parameters) in [("GET", json!({"query": "key"})), ("PUT", parameters)] {
        let refusal = refused(&Request { method: method.into(), ..get.clone() }, parameters);
        assert_eq!((refusal.status, refusal.code.as_str()), (405, "token.method"));
    }
}

#[test]
fn parameters_that_make_no_sense_are_the_operators_failure() {
    let request = request("", &[("x-token", "x")], "{}");
    for parameters in [json!({}), json!({"header": "a", "query": "b"}), json!({"headers": "a"})] {
        assert_eq!(receive::<Token>(&request, parameters).unwrap_err().code, "parameters.invalid");
    }
    Host::default().install();
    assert_eq!(receive::<Token>(&request, json!({"header": "x-token"})).unwrap_err().code, "secret.unknown");
}
