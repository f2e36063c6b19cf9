//! The first-party components.

use std::sync::Arc;

use bytes::Bytes;
use hookwright_model::{Kind, Outcome, Subscribers};
use hookwright_plugin::{Call, EngineOptions, Message, Reception, SourceRequest, Transformed};
use serde_json::{Value, json};

use crate::support::{Answering, Tickets, call, event, first_party, plugin, secrets};

fn options() -> EngineOptions {
    EngineOptions { instances: 16, ..EngineOptions::default() }
}

#[tokio::test]
async fn every_first_party_plugin_loads_and_has_a_manifest() {
    let registry = crate::support::registry(&options());
    for (name, kind) in [
        ("match", Kind::Condition),
        ("ticket-update", Kind::Action),
        ("note-add", Kind::Action),
        ("event-emit", Kind::Action),
        ("webhook-call", Kind::Action),
        ("template", Kind::Transform),
        ("jq", Kind::Transform),
        ("github", Kind::Source),
    ] {
        let plugin = registry.prepare(first_party(name)).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((plugin.manifest().name.as_str(), plugin.kinds()), (name, &[kind][..]));
    }
}

#[tokio::test]
async fn match_returns_a_verdict_and_a_reason() {
    let plugin = plugin(&options(), first_party("match")).await;
    let event = event(&json!({"status": "done", "points": 7}));
    for (parameters, holds) in [
        (json!({"path": "data.status", "equals": "done"}), true),
        (json!({"path": "data.points", "gt": 10}), false),
        (json!({"path": "event.type", "starts_with": "jira."}), true),
    ] {
        assert!(plugin.check_parameters(&parameters).is_empty());
        let verdict = plugin.evaluate(call(), &event, &parameters).await.result.unwrap();
        assert_eq!(verdict.holds, holds, "{verdict:?}");
        assert!(!verdict.reason.is_empty());
    }
    let mistakes = plugin.check_parameters(&json!({"path": "data.status"}));
    assert_eq!(mistakes.len(), 1);
    assert!(mistakes[0].message.contains("give one of `equals`"), "{}", mistakes[0]);
    assert!(
        plugin
            .check_template_parameters(&json!({"path": "{{event.data.path}}", "equals": "{{event.data.x}}"}))
            .is_empty()
    );
    let called = plugin.run(call(), &event, &json!({})).await;
    let failure = called.result.unwrap_err();
    assert_eq!(
        (failure.code.as_str(), failure.message.as_str()),
        ("plugin.wrong_kind", "the plugin does not export `action`")
    );
}

async fn acted(name: &str, parameters: Value) -> (Value, Vec<hookwright_model::Change>, Vec<String>) {
    let plugin = plugin(&options(), first_party(name)).await;
    assert!(plugin.check_parameters(&parameters).is_empty());
    let bench = Tickets::with(7, "Printer", "open").bench();
    let called = plugin.run(Call { workbench: Some(bench), ..call() }, &event(&json!({})), &parameters).await;
    let Ok(Outcome::Done(result)) = called.result else { panic!("{called:?}") };
    let effects = called.workbench.unwrap().finish(&Subscribers::default());
    let events = effects.events.into_iter().map(|new| new.event.event_type).collect();
    (result, effects.changes, events)
}

#[tokio::test]
async fn ticket_update_changes_the_ticket_on_the_bench() {
    let (result, changes, events) = acted("ticket-update", json!({"id": 7, "status": "closed"})).await;
    assert_eq!((&result["status"], &result["id"]), (&json!("closed"), &json!(7)));
    assert_eq!((changes[0].kind.as_str(), changes[0].subject.as_str()), ("ticket.updated", "ticket/7"));
    assert_eq!(events, ["ticket.updated", "ticket.status-changed", "ticket.closed"]);
    assert_eq!(changes[0].detail["status"], json!({"from": "open", "to": "closed"}));
}

#[tokio::test]
async fn a_missing_ticket_or_an_invalid_field_is_reported_and_nothing_changes() {
    let plugin = plugin(&options(), first_party("ticket-update")).await;
    for (parameters, code, part) in [
        (json!({"id": 8, "status": "closed"}), "ticket.not_found", "`8`"),
        (json!({"id": 7, "statsu": "closed"}), "parameters.invalid", "statsu"),
    ] {
        let bench = Tickets::with(7, "Printer", "open").bench();
        let called = plugin.run(Call { workbench: Some(bench), ..call() }, &event(&json!({})), &parameters).await;
        let failure = called.result.unwrap_err();
        assert_eq!((failure.code.as_str(), failure.retry_after_ms), (code, None));
        assert!(failure.message.contains(part), "{failure}");
        assert!(called.workbench.is_none());
    }
    let called = plugin.run(call(), &event(&json!({})), &json!({"id": 7, "status": "x"})).await;
    assert_eq!(called.result.unwrap_err().code, "capability.unavailable");
}

#[tokio::test]
async fn note_add_and_event_emit_leave_their_effects_on_the_bench() {
    let (_, changes, _) = acted("note-add", json!({"id": "7", "text": "Hello", "public": true})).await;
    assert_eq!((changes[0].kind.as_str(), &changes[0].detail["public"]), ("ticket.note-added", &json!(true)));
    let (result, changes, events) = acted("event-emit", json!({"type": "ticket.escalated", "data": {"a": 1}})).await;
    assert_eq!((changes[0].kind.as_str(), events), ("event.emitted", vec!["ticket.escalated".to_owned()]));
    assert!(result.to_string().contains("evt_"), "{result}");
}

#[tokio::test]
async fn webhook_call_is_sent_with_a_stable_idempotency_key() {
    let plugin = plugin(&options(), first_party("webhook-call")).await;
    let parameters = json!({"url": "https://a.example/x", "body": {"ticket": 7}, "timeout_ms": 500});
    let out = Answering::with(200, "{\"ok\":true}");
    for _ in 0..2 {
        let call =
            Call { outbound: Some(Arc::clone(&out) as _), idempotency_key: Some("run_1_0.0".to_owned()), ..call() };
        let called = plugin.run(call, &event(&json!({})), &parameters).await;
        let Ok(Outcome::Done(result)) = called.result else { panic!("{called:?}") };
        assert_eq!(result["status"], json!(200));
    }
    let call = Call { outbound: Some(Arc::clone(&out) as _), idempotency_key: Some("key".to_owned()), ..call() };
    let parameters = json!({"url": "https://a.example/x", "headers": {"idempotency-key": "mine"}});
    assert!(plugin.run(call, &event(&json!({})), &parameters).await.result.is_ok());
    let seen = out.seen.lock().unwrap();
    let keys: Vec<&str> = seen
        .iter()
        .flat_map(|request| &request.headers)
        .filter(|(name, _)| name.eq_ignore_ascii_case("idempotency-key"))
        .map(|(_, value)| value.as_str())
        .collect();
    assert_eq!(keys, ["run_1_0.0", "run_1_0.0", "mine"]);
    assert_eq!((seen[0].method.as_str(), seen[0].timeout.map(|t| t.as_millis())), ("POST", Some(500)));
    assert_eq!(seen[0].body, Bytes::from_static(b"{\"ticket\":7}"));
}

#[tokio::test]
async fn transforms_give_a_message_another_shape_or_drop_it() {
    let message = || Message {
        headers: vec![("x-a".to_owned(), "1".to_owned())],
        content_type: "application/json".to_owned(),
        body: Bytes::from_static(b"{\"id\":7,\"who\":\"Ada\"}"),
    };
    let event = event(&json!({"id": 7}));
    for (name, parameters, body) in [
        ("jq", json!({"filter": "{ticket: .id, from: $event.source}"}), r#"{"ticket":7,"from":"jira"}"#),
        ("template", json!({"template": "Ticket {{ data.id }} of {{ event.source }}"}), "Ticket 7 of jira"),
    ] {
        let plugin = plugin(&options(), first_party(name)).await;
        assert!(plugin.check_parameters(&parameters).is_empty());
        let called = plugin.apply(call(), &event, message(), &parameters).await;
        let Ok(Transformed::Send(sent)) = called.result else { panic!("{called:?}") };
        assert_eq!(std::str::from_utf8(&sent.body).unwrap(), body);
        assert_eq!(sent.headers, message().headers);
    }
    let jq = plugin(&options(), first_party("jq")).await;
    let called = jq.apply(call(), &event, message(), &json!({"filter": "empty"})).await;
    assert!(matches!(called.result, Ok(Transformed::Drop(_))), "{called:?}");
}

/// The example of GitHub's documentation, "Validating webhook deliveries".
#[tokio::test]
async fn github_accepts_signed_requests_and_refuses_others() {
    let plugin = plugin(&options(), first_party("github")).await;
    let body = br#"{"action":"opened","repository":{"full_name":"octo/hello"}}"#;
    let request = |signature: &str| SourceRequest {
        method: "POST".to_owned(),
        headers: [
            ("content-type", "application/json"),
            ("x-github-event", "pull_request"),
            ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
            ("x-hub-signature-256", signature),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec(),
        body: Bytes::from_static(body),
        ..SourceRequest::default()
    };
    let signature = {
        use hmac::{Hmac, Mac as _};
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"It's a Secret to Everybody").unwrap();
        mac.update(body);
        format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
    };
    let with = |secret: &[u8]| Call { secrets: secrets(&[("signing-secret", secret)]), ..call() };
    let called = plugin.receive(with(b"It's a Secret to Everybody"), request(&signature), &json!({})).await;
    let Ok(Reception::Accepted(intake)) = called.result else { panic!("{called:?}") };
    let [draft] = intake.events.as_slice() else { panic!("{intake:?}") };
    assert_eq!(draft.event_type, "github.pull_request.opened");
    assert_eq!(draft.id.as_deref(), Some("72d3162e-cc78-11e3-81ab-4c9367dc0958"));
    assert_eq!(draft.data.as_bytes(), body);

    let called = plugin.receive(with(b"another"), request(&signature), &json!({})).await;
    assert!(matches!(called.result, Ok(Reception::Refused { status: 401 | 403, .. })), "{called:?}");
    let called = plugin.receive(call(), request(&signature), &json!({})).await;
    assert!(!matches!(called.result, Ok(Reception::Accepted(_))), "{called:?}");
}
