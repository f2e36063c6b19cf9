//! Which requests become which events, and how the others are refused.

use hookwright_sdk::testing::{Host, receive};
use hookwright_sdk::{Draft, Pairs, Reception, Refusal, Request, crypto, encoding, first};
use serde_json::json;

use crate::{SECRET, Shopify};

fn signed(headers: &[(&str, &str)], body: &str) -> Request {
    Host::default().with_secret(SECRET, b"hush").install();
    let code = crypto::hmac("sha256", SECRET, body.as_bytes()).unwrap();
    let mut headers: Pairs = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    headers.push(("x-shopify-hmac-sha256".into(), encoding::base64_encode(&code)));
    Request {
        method: "POST".into(),
        path: String::new(),
        query: String::new(),
        headers,
        body: body.into(),
        remote_address: "192.0.2.1".into(),
    }
}

fn accepted(request: &Request) -> Draft {
    match receive::<Shopify>(request, json!({})) {
        Ok(Reception::Accepted(mut intake)) => intake.events.remove(0),
        other => panic!("not accepted: {other:?}"),
    }
}

fn refused(request: &Request) -> Refusal {
    match receive::<Shopify>(request, json!({})) {
        Ok(Reception::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_topic_becomes_an_event_about_its_object() {
    let body = r#"{"id":820982911946154508,"email":"jon@example.com"}"#;
    let draft = accepted(&signed(
        &[
            ("x-shopify-topic", "orders/create"),
            ("x-shopify-webhook-id", "b54557e4"),
            ("x-shopify-event-id", "98880550"),
            ("x-shopify-shop-domain", "demo.myshopify.com"),
            ("x-shopify-triggered-at", "2023-03-29T18:00:27.877041743Z"),
        ],
        body,
    ));
    assert_eq!(draft.event_type, "shopify.orders.create");
    assert_eq!(draft.id.as_deref(), Some("b54557e4"));
    assert_eq!(draft.subject.as_deref(), Some("orders/820982911946154508"));
    assert_eq!(draft.time.as_deref(), Some("2023-03-29T18:00:27.877041743Z"));
    assert_eq!(draft.data, body);
    assert_eq!(first(&draft.attributes, "x-shopify-shop-domain"), Some("demo.myshopify.com"));
    assert_eq!(first(&draft.attributes, "x-shopify-hmac-sha256"), None);
}

#[test]
fn missing_values_are_omitted() {
    for (headers, body, event_type, id, subject) in [
        (vec![("x-shopify-topic", "app/uninstalled")], "{}", "shopify.app.uninstalled", None, None),
        (
            vec![
                ("x-shopify-topic", "inventory_levels/update"),
                ("x-shopify-event-id", "e1"),
                ("x-shopify-triggered-at", "soon"),
            ],
            r#"{"id":{"x":1}}"#,
            "shopify.inventory_levels.update",
            Some("e1"),
            None,
        ),
        (vec![("x-shopify-topic", "carts/update")], r#"{"id":"c-ü"}"#, "shopify.carts.update", None, Some("carts/c-ü")),
    ] {
        let draft = accepted(&signed(&headers, body));
        let found = (draft.event_type.as_str(), draft.id.as_deref(), draft.subject.as_deref(), draft.time);
        assert_eq!(found, (event_type, id, subject, None));
    }
}

#[test]
fn unsigned_or_foreign_requests_are_refused() {
    let topic = [("x-shopify-topic", "orders/create")];
    let good = signed(&topic, "{}");
    let with = |value: Option<&str>| {
        let mut request = good.clone();
        request.headers.retain(|(name, _)| name != "x-shopify-hmac-sha256");
        request.headers.extend(value.map(|value| ("x-shopify-hmac-sha256".to_owned(), value.to_owned())));
        request
    };
    for (request, status, code) in [
        (with(None), 401, "shopify.signature_missing"),
        (with(Some("")), 401, "shopify.signature_wrong"),
        (with(Some("AAAA")), 401, "shopify.signature_wrong"),
        (with(Some("!")), 401, "shopify.signature_wrong"),
        (Request { body: b"{} ".to_vec(), ..good.clone() }, 401, "shopify.signature_wrong"),
        (signed(&[], "{}"), 400, "shopify.topic_missing"),
        (signed(&[("x-shopify-topic", "//")], "{}"), 400, "shopify.topic_missing"),
        (signed(&topic, ""), 400, "shopify.payload_invalid"),
        (signed(&topic, "<xml/>"), 400, "shopify.payload_invalid"),
        (Request { method: "PUT".into(), ..good.clone() }, 405, "shopify.method"),
    ] {
        let refusal = refused(&request);
        assert_eq!((refusal.status, refusal.code.as_str()), (status, code), "{}", refusal.message);
    }
}

#[test]
fn a_missing_secret_is_the_operators_failure_not_the_callers() {
    let request = signed(&[], "{}");
    Host::default().install();
    assert_eq!(receive::<Shopify>(&request, json!({})).unwrap_err().code, "secret.unknown");
}

#[test]
fn a_signature_in_two_lines_of_one_header_is_one_list() {
    let mut request = signed(&[("x-shopify-topic", "orders/create")], "{}");
    request.headers.insert(0, ("x-shopify-hmac-sha256".into(), "AAAA".into()));
    assert_eq!(accepted(&request).event_type, "shopify.orders.create");
}
