//! Webhooks out: subscribed, signed, tried again by their schedule, and every attempt written down.

use std::time::{Duration, Instant};

use hookwright_tests::scene::{self, text};
use hookwright_tests::{Client, Options, Receiver, Reply, Server, eventually};
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

#[track_caller]
fn hook(client: &Client, url: &str, more: &Value) -> String {
    let mut input = json!({"url": url, "events": ["go"]});
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    text(&client.post("/v1/webhooks", &input).expect(201)["id"])
}

#[test]
fn a_webhook_is_made_listed_read_changed_and_deleted_and_its_secret_is_shown_once() {
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
fn a_webhook_that_cannot_work_is_refused_with_the_reason() {
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
        (good("url", json!("not a url")), "url", "no URL"),
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
    ] {
        let answer = client.post("/v1/webhooks", &input);
        answer.problem(422, "input.invalid");
        assert_eq!(answer.paths(), [path], "{answer}");
        assert!(answer.text().contains(part), "{part}: {answer}");
    }
    assert_eq!(client.get("/v1/webhooks").expect(200)["data"], json!([]));
}

#[test]
fn only_2xx_counts_as_received_and_every_attempt_is_written_down() {
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
fn what_goes_out_has_the_headers_and_the_body_of_standard_webhooks() {
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
fn a_failed_delivery_is_tried_again_by_the_schedule_with_the_same_id_also_after_a_restart() {
    let mut server = Server::start(Options::default().set("HOOKWRIGHT_RETRY_DELAYS", "1,2"));
    let client = server.client();
    let receiver = Receiver::with_replies(&[Reply::status(500).body("no"), Reply::status(503), Reply::status(200)]);
    let made = client.post("/v1/webhooks", &json!({"url": receiver.url(), "events": ["go"]})).expect(201);
    assert_eq!(made["retry"], json!({"delays_seconds": [1, 2], "jitter": 0.0}), "the setting is the default");
    let event = scene::send(&client, "go", &json!(1));
    let waiting = delivery_when(&client, &event, |delivery| delivery["attempts"] == 2);
    assert_eq!(waiting["state"], "pending");
    assert!(text(&waiting["last_error"]).contains("503") && waiting["next_attempt_at"].is_string(), "{waiting:#}");

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
    let gaps: Vec<Duration> = requests.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    for (gap, least) in gaps.iter().zip([1, 2]) {
        let least = Duration::from_secs(least) - Duration::from_millis(50);
        assert!((least..least + Duration::from_secs(20)).contains(gap), "{gaps:?}");
    }
    for request in &requests {
        assert_eq!(request.header("webhook-id"), requests[0].header("webhook-id"));
        assert_eq!(request.body, requests[0].body);
    }
    assert_ne!(requests[0].header("webhook-signature"), requests[2].header("webhook-signature"), "each time is signed");
}

#[test]
fn after_the_last_attempt_a_delivery_is_dead_and_says_why() {
    let server = Server::start(Options::default().set("HOOKWRIGHT_RETRY_DELAYS", "1,1"));
    let client = server.client();
    let receiver = Receiver::with_replies(&[Reply::status(500)]);
    hook(&client, &receiver.url(), &json!({}));
    let event = scene::send(&client, "go", &json!(1));
    let dead = delivery(&client, &event);
    assert_eq!((&dead["state"], &dead["attempts"]), (&json!("dead"), &json!(3)));
    assert!(text(&dead["last_error"]).contains("no attempt is left"), "{dead:#}");
    assert!(dead["finished_at"].is_string());
    let story = scene::story(&client, &event);
    assert!(story["summary"].to_string().contains("was given up"), "{story:#}");
    assert_eq!(scene::all(&client, "/v1/deliveries?state=dead").len(), 1);
    assert_eq!(receiver.received().len(), 3);
}

#[test]
fn retry_after_puts_the_next_attempt_off() {
    let server = Server::shared();
    let client = server.space("retry-after");
    let receiver = Receiver::with_replies(&[Reply::status(429).header("retry-after", "2"), Reply::status(200)]);
    hook(&client, &receiver.url(), &json!({"retry": {"delays_seconds": [0], "jitter": 0}}));
    let done = delivery(&client, &scene::send(&client, "go", &json!(1)));
    assert_eq!((&done["state"], &done["attempts"]), (&json!("delivered"), &json!(2)));
    let requests = receiver.received();
    let gap = requests[1].at - requests[0].at;
    assert!(gap >= Duration::from_millis(1900), "{gap:?}");
}

#[test]
fn a_receiver_that_does_not_answer_in_time_or_at_all_has_failed() {
    let server = Server::shared();
    let client = server.space("timeout");
    let slow = Receiver::with_replies(&[Reply::status(200).after(Duration::from_secs(60))]);
    let began = Instant::now();
    hook(&client, &slow.url(), &json!({"timeout_ms": 300, "retry": {"delays_seconds": []}}));
    let event = scene::send(&client, "go", &json!(1));
    let dead = delivery(&client, &event);
    assert!(began.elapsed() < Duration::from_secs(20));
    let outcome = &dead["log"][0]["outcome"];
    assert_eq!((&outcome["kind"], &outcome["code"]), (&json!("failed"), &json!("timeout")), "{dead:#}");
    assert!(dead["log"][0]["duration_ms"].as_u64().unwrap() >= 300);

    // Nobody listens there: a port that was just given back.
    let gone = Receiver::start().url();
    for (url, code) in [(gone.as_str(), "connect.refused"), ("http://nowhere.invalid/", "name.unresolved")] {
        let client = server.space(&format!("nobody-{}", code.replace('.', "-")));
        hook(&client, url, &json!({"retry": {"delays_seconds": []}}));
        let dead = delivery(&client, &scene::send(&client, "go", &json!(1)));
        assert_eq!(dead["log"][0]["outcome"]["code"], code, "{dead:#}");
    }
}

#[test]
fn private_addresses_are_refused_unless_they_are_allowed() {
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
    ] {
        let answer = client.post("/v1/webhooks", &json!({"url": format!("http://{host}/"), "events": ["go"]}));
        let problem = answer.problem(422, "input.invalid");
        assert_eq!(answer.paths(), ["url"]);
        assert!(text(&problem["detail"]).contains("HOOKWRIGHT_ALLOW_NETWORKS"), "the remedy is named: {answer}");
    }
    // What a name stands for is known only when it is connected to.
    let receiver = Receiver::start();
    hook(&client, &format!("http://localhost:{}/", receiver.port()), &json!({"retry": {"delays_seconds": []}}));
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
fn without_tls_only_where_that_is_allowed() {
    let server = Server::start(Options::default().without("HOOKWRIGHT_ALLOW_HTTP"));
    let client = server.client();
    let answer = client.post("/v1/webhooks", &json!({"url": "http://127.0.0.1/", "events": ["go"]}));
    assert!(text(&answer.problem(422, "input.invalid")["detail"]).contains("HOOKWRIGHT_ALLOW_HTTP"), "{answer}");
    client.post("/v1/webhooks", &json!({"url": "https://127.0.0.1/", "events": ["go"]})).expect(201);
}

#[test]
fn a_receiver_that_is_gone_for_good_gets_nothing_more() {
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
    assert_eq!(scene::story(&client, &event)["deliveries"], json!([]));
    let again = client.patch(&path, &json!({"enabled": true})).expect(200);
    assert_eq!((&again["state"], again.get("state_reason")), (&json!("active"), None));
    assert_eq!(receiver.received().len(), 1);
}

#[test]
fn deliveries_that_wait_for_a_deleted_or_disabled_webhook_are_given_up_visibly() {
    let server = Server::shared();
    let receiver = Receiver::with_replies(&[Reply::status(500)]);
    for (space, word) in [("wait-deleted", "deleted"), ("wait-disabled", "disabled")] {
        let client = server.space(space);
        let id = hook(&client, &receiver.url(), &json!({"retry": {"delays_seconds": [1], "jitter": 0}}));
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
