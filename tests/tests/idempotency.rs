//! `Idempotency-Key`: a retry is carried out once and answered with what the first request created; where that is not
//! supported the key is refused.

use std::collections::BTreeSet;
use std::time::Duration;

use hookwright_tests::scene::{self, text};
use hookwright_tests::{Answer, Client, Options, Server, routes};
use serde_json::{Value, json};

fn keyed(client: &Client, path: &str, key: &str, body: &Value) -> Answer {
    client.send("POST", path, &[("idempotency-key", key)], body.to_string().as_bytes())
}

fn count(client: &Client, path: &str) -> usize {
    scene::all(client, path).len()
}

#[test]
fn an_event_is_accepted_once_per_key() {
    let server = Server::shared();
    let client = server.space("keyed-events").in_space("keyed-events");
    let body = json!({"type": "order.paid", "data": {"n": 1}});
    let first = keyed(&client, "/v1/events", "\"a1\"", &body).expect(202);
    assert_eq!(first["duplicate"], Value::Null);
    // In quotes, as the draft has it, and bare, as most clients send it.
    let retry = keyed(&client, "/v1/events", "a1", &body).expect(202);
    assert_eq!(retry, json!({"id": first["id"], "duplicate": true}));
    assert_eq!(count(&client, "/v1/events"), 1);

    let other = keyed(&client, "/v1/events", "a1", &json!({"type": "order.paid", "data": {"n": 2}}));
    let detail = text(&other.problem(422, "idempotency.key_reused")["detail"]);
    assert!(detail.contains("`a1`") && detail.contains("new key"), "{detail}");
    // The same body without a key, or with another one, is another event.
    client.post("/v1/events", &body).expect(202);
    keyed(&client, "/v1/events", "a2", &body).expect(202);
    assert_eq!(count(&client, "/v1/events"), 3);

    let push = json!({"service": "shop", "trigger_event_type": "paid", "attributes": {}});
    keyed(&client, "/webhook", "a1", &push).problem(422, "idempotency.key_reused");
    let pushed = keyed(&client, "/webhook", "a3", &push).expect(202);
    assert_eq!(keyed(&client, "/webhook", "a3", &push).expect(202), json!({"id": pushed["id"], "duplicate": true}));

    // A request that is refused does not use up its key.
    keyed(&client, "/v1/events", "a4", &json!({"data": 1})).problem(422, "input.invalid");
    keyed(&client, "/v1/events", "a4", &body).expect(202);

    let elsewhere = server.space("keyed-events-2");
    assert_eq!(keyed(&elsewhere, "/v1/events", "a1", &body).expect(202)["duplicate"], Value::Null);
}

#[test]
fn a_key_and_an_id_both_count() {
    let server = Server::shared();
    let client = server.space("keyed-ids");
    let with_id = json!({"type": "a.b", "id": "one", "data": 1});
    let first = keyed(&client, "/v1/events", "k1", &with_id).expect(202);
    assert_eq!(first["id"], "one");
    // Another key: the id tells that it is a repeat, as it does without a key.
    assert_eq!(keyed(&client, "/v1/events", "k2", &with_id).expect(202), json!({"id": "one", "duplicate": true}));
    // The same key for another id is another request.
    let other = json!({"type": "a.b", "id": "two", "data": 1});
    keyed(&client, "/v1/events", "k1", &other).problem(422, "idempotency.key_reused");
    keyed(&client, "/v1/events", "k2", &other).problem(422, "idempotency.key_reused");
    // A key is not an id: an event with the key's text for an id is found by its id, and nothing by the key.
    client.get("/v1/events/k1").problem(404, "event.not_found");
    client.post("/v1/events", &json!({"type": "a.b", "id": "k1", "data": 1})).expect(202);

    let ce = |id: &str, key: &str| {
        let headers =
            [("ce-specversion", "1.0"), ("ce-id", id), ("ce-source", "/s"), ("ce-type", "t"), ("idempotency-key", key)];
        client.send("POST", "/v1/events", &headers, b"same")
    };
    ce("1", "k3").expect(202);
    assert_eq!(ce("1", "k3").expect(202)["duplicate"], true);
    ce("2", "k3").problem(422, "idempotency.key_reused");

    let batch = |key: &str| {
        let event = |id: &str| json!({"specversion": "1.0", "id": id, "source": "/b", "type": "t"});
        let headers = [("content-type", "application/cloudevents-batch+json"), ("idempotency-key", key)];
        client.send("POST", "/v1/events", &headers, json!([event("x"), event("y")]).to_string().as_bytes())
    };
    let ids = |answer: &Value| answer["ids"].clone();
    let (once, again) = (batch("k4").expect(202), batch("k4").expect(202));
    assert_eq!(ids(&once), ids(&again));
    assert!(again["events"].as_array().unwrap().iter().all(|event| event["duplicate"] == true), "{again}");
}

#[test]
fn an_invalid_key_is_rejected_with_the_header_name() {
    let server = Server::shared();
    let client = server.space("keyed-wrong").in_space("keyed-wrong");
    let body = json!({"type": "a.b"}).to_string();
    let long = "k".repeat(257);
    for keys in
        [&["a", "a"][..], &["a", "b"], &["a, b"], &[""], &["\"\""], &[long.as_str()], &["\"open"], &["\"a\tb\""]]
    {
        let headers: Vec<(&str, &str)> = keys.iter().map(|key| ("idempotency-key", *key)).collect();
        for path in ["/v1/events", "/webhook", "/v1/tickets", "/v1/workflows/x/start"] {
            let answer = client.send("POST", path, &headers, body.as_bytes());
            let detail = text(&answer.problem(400, "idempotency.key_invalid")["detail"]);
            assert!(detail.contains("Idempotency-Key"), "{keys:?}: {detail}");
        }
    }
    assert_eq!(count(&client, "/v1/events"), 0);
}

#[test]
fn a_key_is_rejected_where_retries_are_not_deduplicated() {
    let server = Server::shared();
    let client = server.space("keyed-elsewhere").in_space("keyed-elsewhere");
    let (mut taken, mut refused) = (Vec::new(), 0);
    for route in routes::table() {
        let path = route.path.replace(['{', '}'], "");
        if !path.starts_with("/v1/") || route.method != "POST" {
            continue;
        }
        let answer = client.send(&route.method, &path, &[("idempotency-key", "k")], b"{}");
        if answer.json()["code"] == "idempotency.unsupported" {
            let detail = text(&answer.problem(400, "idempotency.unsupported")["detail"]);
            assert!(detail.contains(&route.path) && detail.contains("/v1/events"), "{detail}");
            refused += 1;
        } else {
            taken.push(format!("{} {}", route.method, route.path));
        }
    }
    assert!(refused > 30, "{refused}");
    let supported = [
        "POST /v1/events",
        "POST /v1/workflows/{name}/start",
        "POST /v1/records/{kind}",
        "POST /v1/records/{kind}/{id}/notes",
        "POST /v1/tickets",
        "POST /v1/tickets/{id}/notes",
    ];
    assert_eq!(taken, supported);
    // Idempotent in themselves, so a key changes nothing.
    client.send("GET", "/v1/webhooks", &[("idempotency-key", "k")], b"").expect(200);
    client.send("PATCH", "/v1/tickets/1", &[("idempotency-key", "k")], b"{}").problem(404, "ticket.not_found");
    client.send("PUT", "/v1/secrets/a", &[("idempotency-key", "k")], br#"{"value": "x"}"#).expect(200);
    client.send("DELETE", "/v1/secrets/a", &[("idempotency-key", "k")], b"").expect(204);
    // Requests of steps always have one.
    let of_a_step = [("idempotency-key", "k"), ("hookwright-hops", "1")];
    client.send("POST", "/v1/webhooks", &of_a_step, b"{}").problem(422, "input.invalid");
}

#[test]
fn a_record_a_note_and_a_run_are_created_once_per_key() {
    let server = Server::shared();
    let client = server.space("keyed-records");
    let ticket = json!({"subject": "Printer"});
    let (first, retry) = (keyed(&client, "/v1/tickets", "t1", &ticket), keyed(&client, "/v1/tickets", "t1", &ticket));
    assert_eq!(first.expect(201), retry.expect(201));
    assert_eq!(first.header("location"), retry.header("location"));
    assert_eq!(first.expect(201)["id"], 1);
    keyed(&client, "/v1/tickets", "t1", &json!({"subject": "Other"})).problem(422, "idempotency.key_reused");
    let note = json!({"text": "on it"});
    let (first, retry) =
        (keyed(&client, "/v1/tickets/1/notes", "n1", &note), keyed(&client, "/v1/tickets/1/notes", "n1", &note));
    assert_eq!(first.expect(201), retry.expect(201));
    assert_eq!(scene::notes(&client, 1), ["on it"]);
    // A retry is answered with the record as it is now.
    client.patch("/v1/tickets/1", &json!({"subject": "Printer on fire"})).expect(200);
    let now = keyed(&client, "/v1/tickets", "t1", &ticket).expect(201);
    assert_eq!((&now["subject"], now["notes"].as_array().map(Vec::len)), (&json!("Printer on fire"), Some(1)));

    let company = json!({"name": "Acme"});
    let (first, retry) =
        (keyed(&client, "/v1/records/company", "c1", &company), keyed(&client, "/v1/records/company", "c1", &company));
    assert_eq!(first.expect(201), retry.expect(201));
    assert_eq!(first.header("etag"), retry.header("etag"));
    assert_eq!((count(&client, "/v1/tickets"), count(&client, "/v1/records/company")), (1, 1));
    client.delete("/v1/records/company/1").expect(204);
    keyed(&client, "/v1/records/company", "c1", &company).problem(404, "record.not_found");

    let steps = json!([{"action": "event-emit", "with": {"type": "started.once"}}]);
    client.post("/v1/workflows", &json!({"name": "once", "steps": steps})).expect(201);
    let start = |key: &str| keyed(&client, "/v1/workflows/once/start", key, &json!({})).expect(202);
    let first = start("w1");
    client.patch("/v1/workflows/once", &json!({"description": "another version"})).expect(200);
    let mut expected = first.clone();
    expected["duplicate"] = true.into();
    assert_eq!(start("w1"), expected, "also when it has another version by then");
    scene::settled(&client);
    assert_eq!(count(&client, "/v1/events?type=started.once"), 1);
}

#[test]
fn of_concurrent_requests_with_one_key_one_is_executed() {
    let server = Server::shared();
    let client = server.space("keyed-at-once");
    let at_once = |path: &'static str, body: Value| -> Vec<Answer> {
        let body = &body;
        let client = &client;
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..8).map(|_| scope.spawn(move || keyed(client, path, path, body))).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        })
    };
    let events = at_once("/v1/events", json!({"type": "a.b"}));
    let ids: BTreeSet<String> = events.iter().map(|answer| text(&answer.expect(202)["id"])).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(events.iter().filter(|answer| answer.json()["duplicate"] == Value::Null).count(), 1);
    for answer in at_once("/v1/tickets", json!({"subject": "once"})) {
        if answer.status != 201 {
            answer.problem(409, "idempotency.in_progress");
        }
    }
    assert_eq!(count(&client, "/v1/tickets"), 1);
}

#[test]
fn keys_survive_a_crash_together_with_what_they_created() {
    let mut server = Server::start(Options::default());
    let (event, ticket) = (json!({"type": "a.b"}), json!({"subject": "x"}));
    let first = keyed(&server.client(), "/v1/events", "k1", &event).expect(202);
    keyed(&server.client(), "/v1/tickets", "k2", &ticket).expect(201);
    server.restart();
    let client = server.client();
    assert_eq!(keyed(&client, "/v1/events", "k1", &event).expect(202), json!({"id": first["id"], "duplicate": true}));
    assert_eq!(keyed(&client, "/v1/tickets", "k2", &ticket).expect(201)["id"], 1);
    assert_eq!(count(&client, "/v1/tickets"), 1);
}

#[test]
fn a_key_can_be_reused_after_its_ttl() {
    const TTL: Duration = Duration::from_secs(3600);
    const MINUTE: Duration = Duration::from_secs(60);
    let options = Options::default().set("HOOKWRIGHT_IDEMPOTENCY_TTL_SECONDS", &TTL.as_secs().to_string());
    let server = Server::start(options.clock());
    let client = server.client();
    for (path, body, other) in [
        ("/v1/events", json!({"type": "a.b"}), json!({"type": "c.d"})),
        ("/v1/tickets", json!({"subject": "x"}), json!({"subject": "y"})),
    ] {
        let first = keyed(&client, path, path, &body).json()["id"].clone();
        server.advance(TTL - 10 * MINUTE);
        assert_eq!(keyed(&client, path, path, &body).json()["id"], first);
        server.advance(10 * MINUTE);
        let second = keyed(&client, path, path, &body).json();
        assert_ne!(second["id"], first);
        assert_eq!(second["duplicate"], Value::Null, "{second}");
        assert_eq!(count(&client, path), 2, "it was carried out once more, and only once");
        // The second one is remembered as long as the first one was; then another request may have its key.
        server.advance(TTL - 10 * MINUTE);
        assert_eq!(keyed(&client, path, path, &other).status, 422);
        server.advance(10 * MINUTE);
        assert_ne!(keyed(&client, path, path, &other).status, 422);
        assert_eq!(count(&client, path), 3);
    }
}

#[test]
fn sources_accept_any_idempotency_key_header() {
    let server = Server::shared();
    let client = server.space("keyed-sources");
    let made = client.post("/v1/sources", &json!({"name": "inbox", "kind": "inbox", "with": {}})).expect(201);
    let url = text(&made["url"]);
    let headers = [("idempotency-key", "a, b"), ("idempotency-key", ""), ("content-type", "application/json")];
    client.without_key().send("POST", &url, &headers, b"{}").expect(202);
}
