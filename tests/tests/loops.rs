//! Chains that lead over HTTP back to the server: counted by `Hookwright-Hops`, and cut as those within it are.

use hookwright_tests::scene::{self, text};
use hookwright_tests::{Client, Receiver, Server, eventually};
use serde_json::{Value, json};

/// A space of its own, and a key of it that requests of the server can carry.
fn space(server: &Server, name: &str) -> (Client, String) {
    let client = server.space(name);
    let key = text(&client.post("/v1/keys", &json!({"name": "loop", "role": "admin"})).expect(201)["key"]);
    (client, key)
}

/// The events of a type, the newest first, once the last of the chain is there and nothing is to be done for it.
#[track_caller]
fn chain(client: &Client, event_type: &str) -> Vec<Value> {
    eventually(|| {
        let events = scene::all(client, &format!("/v1/events?type={event_type}"));
        let Some(newest) = events.first() else { return Err("no event yet".to_owned()) };
        let story = client.get(&format!("/v1/events/{}", text(&newest["id"]))).expect(200);
        if story["cause"]["hops"] == 17 && story["state"] == "done" {
            Ok(events)
        } else {
            Err(format!("{} events, the newest: {story:#}", events.len()))
        }
    })
}

/// Checks that a chain ended with its newest event, and that the story says why.
#[track_caller]
fn ended(client: &Client, events: &[Value]) {
    let story = client.get(&format!("/v1/events/{}", text(&events[0]["id"]))).expect(200);
    let summary = story["summary"].to_string();
    assert!(summary.contains("Hookwright-Hops") && summary.contains("at most 16"), "{story:#}");
    assert_eq!((&story["runs"], &story["deliveries"]), (&json!([]), &json!([])), "{story:#}");
}

#[test]
fn a_webhook_loop_through_the_servers_own_api_terminates() {
    let server = Server::shared();
    let (client, key) = space(&server, "loop-webhook");
    let webhook = json!({
        "url": client.url("/v1/events"), "events": ["round.*"],
        "headers": [{"name": "Authorization", "value": format!("Bearer {key}")}],
        "transform": "template", "with": {"template": "{\"type\": \"round.again\"}", "content_type": "application/json"},
    });
    client.post("/v1/webhooks", &webhook).expect(201);
    scene::send(&client, "round.begun", &json!({}));
    let events = chain(&client, "round.again");
    assert_eq!(events.len(), 17);
    ended(&client, &events);
    let story = client.get(&format!("/v1/events/{}", text(&events[0]["id"]))).expect(200);
    let reason = text(&story["not_sent"][0]["reason"]);
    assert!(reason.contains("Hookwright-Hops"), "the webhook takes the type, and did then: {story:#}");
}

#[test]
fn an_automation_loop_through_the_servers_own_api_terminates() {
    let server = Server::shared();
    let (client, key) = space(&server, "loop-request");
    let request = |path: &str, method: &str, json: Value| {
        json!({"action": "http-request", "with": {"url": client.url(path), "method": method, "json": json,
            "headers": {"Authorization": format!("Bearer {key}")}}})
    };
    let again = request("/v1/events", "POST", json!({"type": "round.again"}));
    scene::automation(&client, &json!({"name": "a", "on": ["round.*"], "then": [again]}));
    scene::send(&client, "round.begun", &json!({}));
    let events = chain(&client, "round.again");
    assert_eq!(events.len(), 17);
    ended(&client, &events);

    // A change of a record that makes the event anew.
    let ticket = scene::ticket(&client, "0");
    let change = request(&format!("/v1/tickets/{ticket}"), "PATCH", json!({"subject": "{{event.id}}"}));
    scene::automation(&client, &json!({"name": "b", "on": ["ticket.updated"], "then": [change]}));
    client.patch(&format!("/v1/tickets/{ticket}"), &json!({"subject": "1"})).expect(200);
    let events = chain(&client, "ticket.updated");
    assert_eq!(events.len(), 18);
    ended(&client, &events);
}

#[test]
fn every_inbound_endpoint_continues_the_hop_counter() {
    let server = Server::shared();
    let (client, key) = space(&server, "hops");
    let receiver = Receiver::start();
    scene::webhook(&client, &receiver.url(), &["*"]);
    let named = text(&client.get("/v1/keys").expect(200)["data"][0]["space"]);
    let bearer = format!("Bearer {key}");
    let native = json!({"type": "native"}).to_string();
    let pushed = json!({"service": "s", "trigger_event_type": "pushed", "attributes": {}}).to_string();
    let structured = json!({"specversion": "1.0", "id": "1", "source": "s", "type": "structured"}).to_string();
    let send = |path: &str, content_type: &str, body: &str, hops: &str| {
        let headers = [
            ("authorization", bearer.as_str()),
            ("x-hookwright-id", &named),
            ("content-type", content_type),
            ("Hookwright-Hops", hops),
        ];
        text(&client.without_key().send("POST", path, &headers, body.as_bytes()).expect(202)["id"])
    };
    let mut expected = Vec::new();
    for (path, content_type, body, hops, counted) in [
        ("/v1/events", "application/json", &native, "0", 1),
        ("/v1/events", "application/json", &native, "15", 16),
        ("/webhook", "application/json", &pushed, "3", 4),
        ("/v1/events", "application/cloudevents+json", &structured, "7", 8),
    ] {
        let story = scene::story(&client, &send(path, content_type, body, hops));
        assert_eq!(story["cause"]["hops"], counted, "{story:#}");
        assert_eq!(story["deliveries"].as_array().map(Vec::len), Some(1), "{story:#}");
        expected.push(counted.to_string());
    }
    let sent: Vec<String> =
        receiver.received().iter().map(|request| request.header("hookwright-hops").to_owned()).collect();
    assert_eq!(sent, expected, "what leaves carries how far it is");
    for hops in ["16", "4000000000000"] {
        let story = scene::story(&client, &send("/v1/events", "application/json", &native, hops));
        assert_eq!((&story["cause"]["hops"], &story["deliveries"]), (&json!(17), &json!([])), "{story:#}");
    }
    // What is not a number says nothing.
    let story = scene::story(&client, &send("/v1/events", "application/json", &native, "many"));
    assert_eq!(story["cause"], Value::Null, "{story:#}");
    let workflow = json!({"name": "w", "steps": [{"action": "event-emit", "with": {"type": "x"}}]});
    client.post("/v1/workflows", &workflow).expect(201);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json"), ("hookwright-hops", "16")];
    let refused = client.without_key().send("POST", "/v1/workflows/w/start", &headers, b"{}");
    refused.problem(409, "chain.too_long");
}
