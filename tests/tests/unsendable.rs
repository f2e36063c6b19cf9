//! What cannot be sent, whatever the receiver is like: it is given up at once, and the reason stands in the log.

use hookwright_tests::scene::{delivered, text};
use hookwright_tests::{Client, Receiver, Server, eventually};
use serde_json::{Value, json};

#[track_caller]
fn hook(client: &Client, receiver: &Receiver, more: &Value) -> Value {
    let mut input = json!({"url": receiver.url(), "events": ["go"], "retry": {"schedule": "none"}});
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    client.post("/v1/webhooks", &input).expect(201)
}

#[track_caller]
fn given_up(delivery: &Value, code: &str, part: &str) {
    assert_eq!(
        (&delivery["state"], delivery["log"].as_array().map(Vec::len)),
        (&json!("dead"), Some(1)),
        "{delivery:#}"
    );
    let outcome = &delivery["log"][0]["outcome"];
    assert_eq!(outcome["code"], code, "{delivery:#}");
    assert!(text(&outcome["message"]).contains(part), "{outcome}");
}

#[test]
fn a_message_that_cannot_be_built_is_dead_lettered_and_the_next_is_sent() {
    let server = Server::shared();
    let receiver = Receiver::start();
    let match_data = |path: &str| json!({"condition": "match", "with": {"value": path, "equals": true}});
    for (space, more, bad, code, part) in [
        (
            "unsendable-condition",
            json!({"when": match_data("{{event.data.ready}}")}),
            json!({"other": 1}),
            "webhook.condition_failed",
            "event.data.ready",
        ),
        (
            "unsendable-header",
            json!({"headers": [{"name": "x-ready", "value": "is {{event.data.ready}}"}]}),
            json!({"ready": "one\r\nx-forged: two"}),
            "header.invalid",
            "`x-ready`",
        ),
        (
            "unsendable-variable",
            json!({"headers": [{"name": "x-ready", "value": "{{event.data.ready}}"}]}),
            json!({"other": 1}),
            "variable.missing",
            "event.data.ready",
        ),
        (
            "unsendable-batch",
            json!({"transform": "jq", "with": {"filter": "{list: .ready}"},
                   "batching": {"most": 2, "wait_ms": 1, "list": "/list"}}),
            json!({"ready": "no list"}),
            "batching.unfit",
            "`/list`",
        ),
    ] {
        let client = server.space(space);
        let before = receiver.received().len();
        hook(&client, &receiver, &more);
        given_up(&delivered(&client, &bad), code, part);
        assert_eq!(receiver.received().len(), before, "{code}: nothing was sent");
        let good = if code == "batching.unfit" { json!({"ready": [1]}) } else { json!({"ready": true}) };
        let delivery = delivered(&client, &good);
        assert_eq!(delivery["state"], "delivered", "{code}: {delivery:#}");
    }
}

#[test]
fn a_transform_that_drops_the_verification_challenge_is_reported() {
    let server = Server::shared();
    let client = server.space("unsendable-question");
    let receiver = Receiver::start();
    let made = hook(
        &client,
        &receiver,
        &json!({"handshake": "webhook-verify", "transform": "jq", "with": {"filter": "select(.ready)"}}),
    );
    let path = format!("/v1/webhooks/{}", text(&made["id"]));
    let shown = eventually(|| {
        let shown = client.get(&path).expect(200);
        if shown["last_error"].is_string() { Ok(shown) } else { Err(format!("{shown:#}")) }
    });
    assert_eq!(shown["state"], "unconfirmed", "{shown:#}");
    let attempts = client.get(&format!("/v1/attempts?webhook={}", text(&made["id"]))).expect(200);
    assert_eq!(attempts["data"][0]["outcome"]["code"], "webhook.unconfirmable", "{attempts:#}");
    assert_eq!(receiver.received().len(), 0);
}
