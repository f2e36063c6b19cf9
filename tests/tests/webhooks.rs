//! Webhooks out: subscribed, signed, tried again by their schedule, and every attempt written down.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hookwright_tests::clock::between;
use hookwright_tests::due;
use hookwright_tests::raw::Raw;
use hookwright_tests::scene::{self, text};
use hookwright_tests::{ADMIN_KEY, Answer, Client, Options, Receiver, Reply, Server, eventually};
use serde_json::{Value, json};

/// The one delivery of an event, once `is_so` says yes to it.
#[track_caller]
fn delivery_when(client: &Client, event: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let story = scene::story_when(client, event, |story| is_so(&story["deliveries"][0]));
    story["deliveries"][0].clone()
}

#[track_caller]
fn delivery(client: &Client, event: &str) -> Value {
    delivery_when(client, event, |delivery| ["delivered", "dead"].map(Value::from).contains(&delivery["state"]))
}

/// The one delivery of an event that failed `attempts` times, once it waits for its next attempt, with how many seconds
/// after the last one that is.
#[track_caller]
fn waiting(client: &Client, event: &str, attempts: usize) -> (Value, u64) {
    let found = delivery_when(client, event, |one| one["attempts"] == attempts && one["next_attempt_at"].is_string());
    let seconds = between(&found["log"][attempts - 1]["started_at"], &found["next_attempt_at"]).as_secs();
    (found, seconds)
}

#[track_caller]
fn hook(client: &Client, url: &str, more: &Value) -> String {
    let mut input = json!({"url": url, "events": ["go"]});
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    text(&client.post("/v1/webhooks", &input).expect(201)["id"])
}

#[test]
fn a_webhook_is_created_listed_read_updated_and_deleted_and_its_secret_is_shown_once() {
    let server = Server::shared();
    let client = server.space("hooks-crud");
    let receiver = Receiver::start();
    let answer =
        client.post("/v1/webhooks", &json!({"url": receiver.url(), "events": ["go", "a.*"], "description": "d"}));
    let made = answer.expect(201);
    let (id, secret) = (text(&made["id"]), text(&made["secret"]));
    let path = format!("/v1/webhooks/{id}");
    assert_eq!(answer.header("location"), Some(path.as_str()));
    assert!(id.starts_with("whk_") && secret.starts_with("whsec_") && secret.len() >= 38, "{made}");
    assert_eq!(
        (&made["state"], &made["enabled"], &made["events"]),
        (&json!("active"), &json!(true), &json!(["go", "a.*"]))
    );

    let mut shown = made.clone();
    shown.as_object_mut().unwrap().remove("secret");
    let mut read = client.get(&path).expect(200);
    let status = read.as_object_mut().unwrap().remove("status").unwrap();
    assert_eq!((&status["queued"], &read), (&json!(0), &shown), "{status}");
    assert_eq!(client.get("/v1/webhooks").expect(200)["data"], json!([shown]));
    let changed = client.patch(&path, &json!({"events": ["b"], "timeout_ms": 500, "enabled": false})).expect(200);
    assert_eq!(
        (&changed["events"], &changed["timeout_ms"], &changed["state"]),
        (&json!(["b"]), &json!(500), &json!("disabled"))
    );
    assert_eq!(changed["url"], receiver.url());
    assert!(!changed.to_string().contains(&secret[6..]));

    scene::send(&client, "b", &json!(1));
    client.patch(&path, &json!({"enabled": true})).expect(200);
    let event = scene::send(&client, "b", &json!(2));
    assert_eq!(delivery(&client, &event)["state"], "delivered");
    assert_eq!(receiver.received().iter().map(|one| one.json()["data"].clone()).collect::<Vec<_>>(), [json!(2)]);

    client.delete(&path).expect(204);
    client.get(&path).problem(404, "webhook.not_found");
    client.delete(&path).problem(404, "webhook.not_found");
    client.patch(&path, &json!({})).problem(404, "webhook.not_found");
    let event = scene::send(&client, "b", &json!(3));
    assert_eq!(scene::story(&client, &event)["deliveries"], json!([]));
}

#[test]
fn an_invalid_webhook_is_rejected_with_the_reason() {
    let server = Server::shared();
    let client = server.space("hooks-wrong");
    let good = |field: &str, value: Value| {
        let mut input = json!({"url": "http://127.0.0.1:9/", "events": ["go"]});
        input[field] = value;
        input
    };
    for (input, path, part) in [
        (json!({"events": ["go"]}), "url", "missing"),
        (json!({"url": "http://127.0.0.1:9/"}), "events", "missing"),
        (good("url", json!("not a url")), "url", "is not a valid URL"),
        (good("url", json!("ftp://127.0.0.1/")), "url", "ftp"),
        (good("url", json!("http://a:b@127.0.0.1/")), "url", "credentials"),
        (good("url", json!("http://10.0.0.1/")), "url", "10.0.0.1"),
        (good("url", json!("http://[::1]/")), "url", "::1"),
        (good("url", json!(format!("http://127.0.0.1/{}", "x".repeat(2048)))), "url", "2048"),
        (good("events", json!([])), "events", "1 to 100"),
        (good("events", json!(["a..b"])), "events[0]", "empty word"),
        (good("timeout_ms", json!(1)), "timeout_ms", "100"),
        (good("secret", json!("whsec_AAAA")), "secret", "3 bytes"),
        (good("secret", json!("whsec_!")), "secret", "base64"),
        (good("retry", json!({"delays_seconds": [9_999_999]})), "retry", "30 days"),
        (good("retry", json!({"delays_seconds": [1], "jitter": 2})), "retry", "0 to 1"),
        (good("retry", json!({"delay": [1]})), "retry.delay", "unknown field"),
        (good("headers", json!([{"name": "Hookwright-Hops", "value": "0"}])), "headers[0].name", "set by the server"),
        (
            json!({"url": "http://127.0.0.1:9/", "events": ["go"], "policy": 1, "signing": {"kind": "none"}}),
            "policy",
            "combined with `signing`",
        ),
        (good("event", json!("go")), "event", "combined with `events`"),
        (good("name", json!("")), "name", ""),
        (good("with", json!({"filter": "."})), "with", "no transform"),
    ] {
        let answer = client.post("/v1/webhooks", &input);
        answer.problem(422, "input.invalid");
        assert_eq!(answer.paths(), [path], "{answer}");
        assert!(answer.text().contains(part), "{part}: {answer}");
    }
    assert_eq!(client.get("/v1/webhooks").expect(200)["data"], json!([]));
}

#[test]
fn removing_a_transform_removes_its_parameters() {
    let server = Server::shared();
    let client = server.space("orphaned-with").in_space("orphaned-with");
    let made = client
        .post(
            "/v1/webhooks",
            &json!({"url": "http://127.0.0.1:9/", "events": ["go"], "transform": "jq", "with": {"filter": "."}}),
        )
        .expect(201);
    let path = format!("/v1/webhooks/{}", text(&made["id"]));
    let answer = client.patch(&path, &json!({"transform": null}));
    answer.problem(422, "input.invalid");
    assert_eq!(answer.paths(), ["with"], "{answer}");
    assert!(answer.text().contains("null"), "{answer}");
    let changed = client.patch(&path, &json!({"transform": null, "with": null})).expect(200);
    assert!(changed.get("transform").is_none() && changed.get("with").is_none(), "{changed:#}");
}

#[test]
fn event_and_events_are_mutually_exclusive_everywhere() {
    let server = Server::shared();
    let client = server.space("event-and-events").in_space("event-and-events");
    let hook = |more: Value| {
        let mut hook = json!({"name": "h", "url": "http://127.0.0.1:9/", "profile": "capsule"});
        hook.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        hook
    };
    let refused = |answer: Answer, path: &str| {
        answer.problem(422, "input.invalid");
        assert_eq!(answer.paths(), [path], "{answer}");
        assert!(answer.text().contains("combined with `events`"), "{answer}");
    };
    let both = json!({"event": "party/created", "events": ["a"]});
    refused(client.post("/v1/webhooks", &hook(both.clone())), "event");
    let made = client.post("/v1/webhooks", &hook(json!({"event": "party/created"}))).expect(201);
    let path = format!("/v1/webhooks/{}", text(&made["id"]));
    refused(client.patch(&path, &both), "event");
    let document = json!({"configuration": {"webhooks": [hook(both)]}});
    refused(client.post("/v1/configuration/plan", &document), "webhooks[0].event");
    let changed = client.patch(&path, &json!({"events": ["a"]})).expect(200);
    assert_eq!((&changed["event"], &changed["events"]), (&Value::Null, &json!(["a"])));
    let changed = client.patch(&path, &json!({"event": "party/created"})).expect(200);
    assert_eq!(changed["event"], "party/created");
}

#[test]
fn length_limits_count_characters_or_bytes_as_documented() {
    let server = Server::shared();
    let client = server.space("hooks-bounds");
    let with = |field: &str, text: &str| {
        let mut input = json!({"url": "http://127.0.0.1:9/", "events": ["go"]});
        input[field] = json!(text);
        client.post("/v1/webhooks", &input)
    };
    // Of one, two and four bytes.
    for letter in ["x", "\u{f6}", "\u{1f514}"] {
        let bytes = 65_536 / letter.len();
        for (field, most, unit) in [
            ("name", 256, "characters"),
            ("source", 30, "characters"),
            ("source_id", 128, "characters"),
            ("description", bytes, "bytes"),
        ] {
            let fits = letter.repeat(most);
            assert_eq!(with(field, &fits).expect(201)[field], fits);
            let refused = with(field, &letter.repeat(most + 1));
            let problem = refused.problem(422, "input.invalid").to_string();
            assert_eq!(refused.paths(), [field], "{refused}");
            let length = if unit == "bytes" { (most + 1) * letter.len() } else { most + 1 };
            assert!(problem.contains(&format!("has {length} {unit}")), "{refused}");
        }
    }
}

#[test]
fn only_2xx_counts_as_delivered_and_every_attempt_is_recorded() {
    let server = Server::shared();
    for (status, state) in [
        (200, "delivered"),
        (201, "delivered"),
        (202, "delivered"),
        (204, "delivered"),
        (299, "delivered"),
        (301, "dead"),
        (302, "dead"),
        (304, "dead"),
        (307, "dead"),
        (400, "dead"),
        (401, "dead"),
        (404, "dead"),
        (418, "dead"),
        (429, "dead"),
        (500, "dead"),
        (503, "dead"),
    ] {
        let client = server.space(&format!("status-{status}"));
        let elsewhere = Receiver::start();
        let reply = Reply::status(status).header("location", elsewhere.url()).header("x-said", "é 1");
        let reply = if [204, 304].contains(&status) { reply } else { reply.body("why: ✓") };
        let receiver = Receiver::with_replies(&[reply]);
        hook(&client, &receiver.url(), &json!({"retry": {"delays_seconds": []}}));
        let delivery = delivery(&client, &scene::send(&client, "go", &json!({"n": 1})));
        assert_eq!((&delivery["state"], &delivery["attempts"]), (&json!(state), &json!(1)), "{delivery:#}");
        assert!(elsewhere.received().is_empty(), "a redirect is not followed");
        if state == "dead" {
            assert!(text(&delivery["last_error"]).contains(&status.to_string()), "{delivery:#}");
        }
        let attempt = &delivery["log"][0];
        assert_eq!((&attempt["number"], &attempt["url"]), (&json!(1), &json!(receiver.url())));
        assert!(attempt["started_at"].is_string() && attempt["duration_ms"].is_u64());
        let request = &receiver.received()[0];
        assert_eq!(attempt["request_body"].as_str().unwrap().as_bytes(), request.body);
        for pair in attempt["request_headers"].as_array().unwrap() {
            assert_eq!(request.header(pair[0].as_str().unwrap()), pair[1], "{attempt:#}");
        }
        assert_eq!(attempt["outcome"]["status"], status);
        assert!(attempt["outcome"]["headers"].to_string().contains("x-said"), "{attempt:#}");
        if ![204, 304].contains(&status) {
            assert_eq!(attempt["outcome"]["body"], "why: ✓");
        }
        let own = client.get(&format!("/v1/deliveries/{}", text(&delivery["id"]))).expect(200);
        assert_eq!(own["log"], delivery["log"]);
    }
}

#[test]
fn messages_have_the_headers_and_body_of_standard_webhooks() {
    let server = Server::shared();
    let client = server.space("shape");
    let receiver = Receiver::start();
    hook(&client, &receiver.url(), &json!({}));
    let body = r#"{"type":"go","source":"shop","subject":"7","id":"shape-1","time":"2026-01-02T03:04:05Z","data":{"n": 1.50,"big":12345678901234567890123}}"#;
    client.send("POST", "/v1/events", &[("content-type", "application/json")], body.as_bytes()).expect(202);
    let request = receiver.wait_for(1).remove(0);
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/hook"));
    assert_eq!(request.header("content-type"), "application/json");
    assert!(request.header("user-agent").starts_with("Hookwright/"));
    assert!(request.header("webhook-id").starts_with("msg_") && request.header("webhook-signature").starts_with("v1,"));
    assert!(request.header("webhook-timestamp").parse::<u64>().unwrap() > 1_700_000_000);
    let sent = request.json();
    assert_eq!(
        (&sent["type"], &sent["timestamp"], &sent["id"]),
        (&json!("go"), &json!("2026-01-02T03:04:05Z"), &json!("shape-1"))
    );
    assert_eq!((&sent["source"], &sent["subject"]), (&json!("shop"), &json!("7")));
    let text = String::from_utf8(request.body).unwrap();
    assert!(text.ends_with(r#""data":{"n": 1.50,"big":12345678901234567890123}}"#), "digit by digit: {text}");
}

#[test]
fn a_failed_delivery_is_retried_by_the_schedule_with_the_same_id_across_a_restart() {
    let mut server = Server::start(Options::default().set("HOOKWRIGHT_RETRY_DELAYS", "600,1200").clock());
    let client = server.client();
    // The third attempt is not answered before the server is cut off.
    let answered = Arc::new(AtomicBool::new(false));
    let replies = [Reply::status(500).body("no"), Reply::status(503), Reply::status(200).once(&answered)];
    let receiver = Receiver::with_replies(&replies);
    let made = client.post("/v1/webhooks", &json!({"url": receiver.url(), "events": ["go"]})).expect(201);
    assert_eq!(made["retry"], json!({"delays_seconds": [600, 1200], "jitter": 0.0}), "the setting is the default");
    let event = scene::send(&client, "go", &json!(1));
    let (first, seconds) = waiting(&client, &event, 1);
    assert!((600..900).contains(&seconds), "{first:#}");
    due::advance_over(&server, &first["next_attempt_at"], &receiver);
    let (second, seconds) = waiting(&client, &event, 2);
    assert!((1200..1500).contains(&seconds), "{second:#}");
    assert_eq!(second["state"], "pending");
    assert!(text(&second["last_error"]).contains("503"), "{second:#}");

    // Cut off while the delivery waits, and again in the middle of the attempt, which is repeated.
    server.restart();
    due::advance_over(&server, &second["next_attempt_at"], &receiver);
    receiver.wait_for(3);
    server.kill();
    answered.store(true, Ordering::SeqCst);
    server.restart();
    let client = server.client();
    let done = delivery(&client, &event);
    assert_eq!(
        (&done["state"], &done["attempts"], &done["next_attempt_at"]),
        (&json!("delivered"), &json!(3), &Value::Null)
    );
    let statuses: Vec<&Value> = done["log"].as_array().unwrap().iter().map(|one| &one["outcome"]["status"]).collect();
    assert_eq!(statuses, [500, 503, 200]);
    assert_eq!(done["log"][0]["outcome"]["body"], "no");

    let requests = receiver.received();
    assert_eq!(requests.len(), 4, "the attempt that was cut off is repeated once");
    for request in &requests {
        assert_eq!(request.header("webhook-id"), requests[0].header("webhook-id"));
        assert_eq!(request.body, requests[0].body);
    }
    assert_ne!(requests[0].header("webhook-signature"), requests[2].header("webhook-signature"), "each time is signed");
}

#[test]
fn a_delivery_is_dead_lettered_with_the_reason_after_the_last_attempt() {
    let server = Server::start(Options::default().set("HOOKWRIGHT_RETRY_DELAYS", "0,0"));
    let client = server.client();
    let receiver = Receiver::with_replies(&[Reply::status(500)]);
    hook(&client, &receiver.url(), &json!({}));
    let event = scene::send(&client, "go", &json!(1));
    let dead = delivery(&client, &event);
    assert_eq!((&dead["state"], &dead["attempts"]), (&json!("dead"), &json!(3)));
    assert!(text(&dead["last_error"]).contains("no attempts left"), "{dead:#}");
    assert!(dead["finished_at"].is_string());
    let story = scene::story(&client, &event);
    assert!(story["summary"].to_string().contains("was dead-lettered"), "{story:#}");
    assert_eq!(scene::all(&client, "/v1/deliveries?state=dead").len(), 1);
    assert_eq!(receiver.received().len(), 3);
}

#[test]
fn retry_after_delays_the_next_attempt() {
    let server = Server::start(Options::default().clock());
    let client = server.client();
    let receiver = Receiver::with_replies(&[Reply::status(429).header("retry-after", "600"), Reply::status(200)]);
    hook(&client, &receiver.url(), &json!({"retry": {"delays_seconds": [0], "jitter": 0}}));
    let event = scene::send(&client, "go", &json!(1));
    let (put_off, seconds) = waiting(&client, &event, 1);
    assert!((600..900).contains(&seconds), "{put_off:#}");
    due::advance_over(&server, &put_off["next_attempt_at"], &receiver);
    let done = delivery(&client, &event);
    assert_eq!((&done["state"], &done["attempts"]), (&json!("delivered"), &json!(2)));
}

#[test]
fn timeouts_and_refused_connections_fail_the_attempt() {
    let server = Server::shared();
    let client = server.space("timeout");
    let slow = Receiver::with_replies(&[Reply::status(200).after(Duration::from_secs(60))]);
    hook(&client, &slow.url(), &json!({"timeout_ms": 2000, "retry": {"delays_seconds": []}}));
    let event = scene::send(&client, "go", &json!(1));
    let dead = delivery(&client, &event);
    let outcome = &dead["log"][0]["outcome"];
    assert_eq!((&outcome["kind"], &outcome["code"]), (&json!("failed"), &json!("timeout")), "{dead:#}");
    assert!(text(&outcome["message"]).contains("within 2000 ms"), "{dead:#}");
    assert!(dead["log"][0]["duration_ms"].as_u64().unwrap() >= 2000);

    // Nothing listens on port 9. A port that was just released may be used by another program by now.
    for (url, code) in [("http://127.0.0.1:9/", "connect.refused"), ("http://nowhere.invalid/", "name.unresolved")] {
        let client = server.space(&format!("nobody-{}", code.replace('.', "-")));
        hook(&client, url, &json!({"retry": {"delays_seconds": []}}));
        let dead = delivery(&client, &scene::send(&client, "go", &json!(1)));
        assert_eq!(dead["log"][0]["outcome"]["code"], code, "{dead:#}");
    }
}

/// A name of this machine that is looked up, unlike `localhost`.
fn own_name() -> String {
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap();
    let lines = hosts.lines().map(|line| line.split('#').next().unwrap_or_default().split_whitespace().collect());
    let names = lines.flat_map(|words: Vec<&str>| words.into_iter().skip(1).map(str::to_owned).collect::<Vec<_>>());
    names.into_iter().find(|name| !name.contains("localhost")).expect("/etc/hosts names this machine")
}

#[test]
fn private_addresses_are_rejected_unless_allowed() {
    let options = Options::default().without("HOOKWRIGHT_ALLOW_NETWORKS");
    let server = Server::start(options);
    let client = server.client();
    for host in [
        "127.0.0.1",
        "127.9.9.9",
        "2130706433",
        "0x7f.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "192.0.2.1",
        "[::1]",
        "[::]",
        "[fe80::1]",
        "[fc00::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        // These names always mean this machine.
        "localhost",
        "LOCALHOST.",
        "api.localhost",
    ] {
        let answer = client.post("/v1/webhooks", &json!({"url": format!("http://{host}/"), "events": ["go"]}));
        let problem = answer.problem(422, "input.invalid");
        assert_eq!(answer.paths(), ["url"]);
        assert!(text(&problem["detail"]).contains("HOOKWRIGHT_ALLOW_NETWORKS"), "the remedy is named: {answer}");
    }
    // What another name stands for is known only when it is connected to.
    let receiver = Receiver::start();
    hook(&client, &format!("http://{}:{}/", own_name(), receiver.port()), &json!({"retry": {"delays_seconds": []}}));
    let dead = delivery(&client, &scene::send(&client, "go", &json!(1)));
    assert_eq!(dead["log"][0]["outcome"]["code"], "address.refused", "{dead:#}");
    assert!(receiver.received().is_empty());
    // A plugin has no other way out.
    scene::automation(
        &client,
        &json!({"name": "out", "on": ["out"], "then": [
        {"action": "webhook-call", "with": {"url": receiver.url()}}]}),
    );
    let story = scene::story(&client, &scene::send(&client, "out", &json!(1)));
    let outcome = &story["runs"][0]["steps"][0]["outcome"];
    assert_eq!(outcome["kind"], "failed", "{story:#}");
    assert!(receiver.received().is_empty());
}

#[test]
fn plain_http_is_rejected_unless_allowed() {
    let server = Server::start(Options::default().without("HOOKWRIGHT_ALLOW_HTTP"));
    let client = server.client();
    let answer = client.post("/v1/webhooks", &json!({"url": "http://127.0.0.1/", "events": ["go"]}));
    assert!(text(&answer.problem(422, "input.invalid")["detail"]).contains("HOOKWRIGHT_ALLOW_HTTP"), "{answer}");
    client.post("/v1/webhooks", &json!({"url": "https://127.0.0.1/", "events": ["go"]})).expect(201);
}

/// Sends a `DELETE` whose response is never read; the connection is closed when it is dropped.
fn begin_delete(server: &Server, path: &str) -> Raw {
    let mut raw = Raw::connect(&server.address());
    raw.send(format!("DELETE {path} HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {ADMIN_KEY}\r\n\r\n"));
    raw
}

/// Sends a `DELETE` and closes the connection without waiting for the response, in another part of the change for each
/// `place`.
fn delete_and_disconnect(server: &Server, path: &str, place: u64) {
    let _raw = begin_delete(server, path);
    std::thread::sleep(Duration::from_micros(place % 20 * 200));
}

#[test]
fn a_change_whose_client_disconnects_is_applied_completely_or_not_at_all() {
    let server = Server::shared();
    let client = server.client();
    for place in 0..40 {
        let id = hook(&client, "http://127.0.0.1:9/", &json!({"events": ["never.sent"], "signing": {"kind": "none"}}));
        let path = format!("/v1/webhooks/{id}");
        delete_and_disconnect(&server, &path, place);
        let again = client.delete(&path);
        assert!([204, 404].contains(&again.status), "{again}");
        eventually(|| if client.get(&path).status == 404 { Ok(()) } else { Err("it is shown still".to_owned()) });
    }
}

#[test]
fn a_deletion_completes_or_does_nothing_after_its_client_disconnects() {
    const ROUNDS: u64 = 20;
    let server = Server::shared();
    let client = server.client();
    for place in 0..=ROUNDS {
        let event_type = format!("client-left.{place}");
        let then = json!([{"action": "note-add", "with": {"id": 1, "text": "t"}}]);
        let automation = json!({"name": "left", "on": [event_type], "then": then});
        let id = scene::automation(&client, &automation);
        let path = format!("/v1/automations/{id}");
        if place < ROUNDS {
            delete_and_disconnect(&server, &path, place);
        } else {
            // The last client disconnects when the deletion is certain to have been carried out.
            let _raw = begin_delete(&server, &path);
            eventually(|| match client.get(&path) {
                answer if answer.status == 404 => Ok(()),
                answer => Err(answer.to_string()),
            });
        }
        let again = client.delete(&path);
        let possible: &[u16] = if place < ROUNDS { &[204, 404] } else { &[404] };
        assert!(possible.contains(&again.status), "{again}");
        let event = scene::send(&client, &event_type, &json!(1));
        // Tests share the space, so automations of others may have runs.
        let runs = scene::story(&client, &event)["runs"].clone();
        assert!(runs.as_array().unwrap().iter().all(|run| run["automation"] != id), "{again}: {runs:#}");
    }
}

#[test]
fn a_410_response_disables_the_webhook() {
    let server = Server::shared();
    let client = server.space("gone");
    let receiver = Receiver::with_replies(&[Reply::status(410)]);
    let id = hook(&client, &receiver.url(), &json!({"retry": {"delays_seconds": [0, 0]}}));
    let dead = delivery(&client, &scene::send(&client, "go", &json!(1)));
    assert_eq!((&dead["state"], &dead["attempts"]), (&json!("dead"), &json!(1)));
    let path = format!("/v1/webhooks/{id}");
    let disabled = eventually(|| {
        let found = client.get(&path).expect(200);
        if found["state"] == "disabled" { Ok(found) } else { Err(found.to_string()) }
    });
    assert!(text(&disabled["state_reason"]).contains("410"), "{disabled}");
    let event = scene::send(&client, "go", &json!(2));
    assert_eq!(scene::story(&client, &event)["deliveries"], json!([]), "whoever sees it disabled can rely on it");
    let again = client.patch(&path, &json!({"enabled": true})).expect(200);
    assert_eq!((&again["state"], again.get("state_reason")), (&json!("active"), None));
    assert_eq!(receiver.received().len(), 1);
}

#[test]
fn pending_deliveries_of_a_deleted_or_disabled_webhook_are_dead_lettered_at_once() {
    let server = Server::shared();
    let receiver = Receiver::with_replies(&[Reply::status(500)]);
    for (space, word) in [("wait-deleted", "deleted"), ("wait-disabled", "disabled")] {
        let client = server.space(space);
        let id = hook(&client, &receiver.url(), &json!({"retry": {"delays_seconds": [86400], "jitter": 0}}));
        let event = scene::send(&client, "go", &json!(1));
        delivery_when(&client, &event, |delivery| delivery["attempts"] == 1);
        let path = format!("/v1/webhooks/{id}");
        match word {
            "deleted" => client.delete(&path).expect(204),
            _ => client.patch(&path, &json!({"enabled": false})).expect(200),
        };
        let dead = delivery(&client, &event);
        assert_eq!((&dead["state"], &dead["attempts"]), (&json!("dead"), &json!(1)));
        assert!(text(&dead["last_error"]).contains(word), "{dead:#}");
    }
}

/// The queue is looked at again after the change, and not at the time that followed from the former rate.
#[test]
fn another_rate_applies_at_once_to_deliveries_that_wait() {
    let server = Server::shared();
    let client = server.space("another-rate").in_space("another-rate");
    let receiver = Receiver::start();
    let slow = json!({"requests": 1, "per_seconds": 86_400});
    let id = hook(&client, &receiver.url(), &json!({"events": ["go"], "rate": slow}));
    for n in 0..3 {
        scene::send(&client, "go", &json!(n));
    }
    receiver.wait_for(1);
    eventually(|| {
        let status = client.get(&format!("/v1/webhooks/{id}")).expect(200)["status"].clone();
        if status["queued"] == 2 && status["under_way"] == 0 { Ok(()) } else { Err(status.to_string()) }
    });
    client.patch(&format!("/v1/webhooks/{id}"), &json!({"rate": null})).expect(200);
    receiver.wait_for(3);
}
