//! A plugin can harm only itself: every limit, tripped by a hostile component in a running server, while other automations
//! go on.

use std::time::Duration;

use hookwright_tests::components::text as component;
use hookwright_tests::scene::{self, text};
use hookwright_tests::{Client, Receiver, Reply, Server, workspace};
use serde_json::{Value, json};

/// Puts the hostile plugin into a space, with limits that are soon reached and the loopback host granted.
#[track_caller]
fn arm(client: &Client, receiver: &Receiver) {
    client.put("/v1/plugins/hostile", &workspace::example("hostile")).expect(200);
    let policy = json!({
        "grants": {"http": [{"host": "127.0.0.1", "port": receiver.port()}]},
        "limits": {"cpu_ms": 300, "wall_ms": 1_500, "memory_bytes": 8_388_608, "output_bytes": 10_000, "log_lines": 5,
            "log_bytes": 1_000, "host_calls": 1_000, "requests": 3, "egress_bytes": 8_000, "effects": 10,
            "transfer_bytes": 100_000, "kv_bytes": 50_000, "kv_keys": 3},
    });
    client.put_json("/v1/plugins/hostile/policy", &policy).expect(200);
    scene::automation(
        client,
        &json!({"name": "harm", "on": ["harm"], "then": [{"action": "hostile", "with": {
            "do": "{{event.data.do}}", "count": "{{event.data.count}}", "url": "{{event.data.url}}",
            "name": "{{event.data.name}}", "at": "{{event.data.at}}"}}]}),
    );
}

fn order(what: &str, count: u32, url: &str) -> Value {
    json!({"do": what, "count": count, "url": url, "name": "kept", "at": ""})
}

/// The step that an order came to.
#[track_caller]
fn carried_out(client: &Client, order: &Value) -> Value {
    let event = scene::send(client, "harm", order);
    let story = scene::story(client, &event);
    story["runs"][0]["steps"][0].clone()
}

#[test]
fn every_limit_ends_what_goes_past_it_and_says_which_it_was() {
    let server = Server::start(hookwright_tests::Options::default().set("HOOKWRIGHT_PLUGIN_BREAKER_STRIKES", "1000"));
    let client = server.client();
    let receiver = Receiver::with(|request| {
        let wait = if request.path.ends_with("/hang") { Duration::from_secs(60) } else { Duration::ZERO };
        Reply::status(200).body("x".repeat(5_000)).after(wait)
    });
    arm(&client, &receiver);
    let url = receiver.url();
    let hang = format!("{}/hang", url.trim_end_matches('/'));
    for (what, count, url, code) in [
        ("loop-for-ever", 0, url.as_str(), "plugin.cpu_exhausted"),
        ("send", 1, hang.as_str(), "plugin.timeout"),
        ("take-memory", 0, &url, "plugin.memory_exhausted"),
        ("recurse", 0, &url, "plugin.trapped"),
        ("trap", 0, &url, "plugin.trapped"),
        ("return", 10_001, &url, "plugin.output_too_large"),
        ("hand-over", 200_000, &url, "plugin.output_too_large"),
        ("emit", 11, &url, "effects.too_many"),
        ("call-host", 1_001, &url, "plugin.host_calls_exhausted"),
        ("send", 4, &url, "http.too_many_bytes"),
        ("send-headers", 101, &url, "http.request_invalid"),
        ("keep", 4, &url, "kv.quota_exceeded"),
        ("keep", 6, &url, "kv.quota_exceeded"),
    ] {
        let event = scene::send(&client, "harm", &order(what, count, url));
        // What may pass is tried again: the first try is enough here.
        let story = scene::story_when(&client, &event, |story| story["runs"][0]["steps"][0]["outcome"].is_object());
        let outcome = &story["runs"][0]["steps"][0]["outcome"];
        assert_eq!(outcome["code"], code, "{what} {count}: {outcome}");
        assert_eq!(story["runs"][0]["steps"][0]["effects"], Value::Null, "nothing of it is done: {story:#}");
    }
    // Requests: with smaller answers the count is what ends it.
    let small = Receiver::start();
    let grant = json!({"http": [{"host": "127.0.0.1", "port": small.port()}]});
    client.post("/v1/plugins/hostile/grants", &grant).expect(200);
    let step = carried_out(&client, &order("send", 4, &small.url()));
    assert_eq!(step["outcome"]["code"], "http.too_many_requests", "{step:#}");
    assert_eq!(small.received().len(), 3);

    // A log is cut, and the call goes on.
    for (what, count) in [("log", 100), ("log-one", 5_000)] {
        let step = carried_out(&client, &order(what, count, &url));
        assert_eq!(step["outcome"]["kind"], "done", "{step:#}");
        let log = step["log"].as_array().unwrap();
        assert!(log.len() <= 6 && text(log.last().unwrap()).contains("the log is cut here"), "{log:?}");
    }
    // And after all of it, it works as well as before.
    assert_eq!(carried_out(&client, &order("nothing", 0, &url))["outcome"]["kind"], "done");
    let usage = client.get("/v1/plugins/hostile").expect(200)["usage"].clone();
    assert!(usage["stops"].as_u64().unwrap() >= 6 && usage["calls"].as_u64().unwrap() >= 15, "{usage:#}");
    assert_eq!(usage["headroom"]["requests"], json!({"peak": 3, "limit": 3, "left": 0.0}), "{usage:#}");
}

/// A condition with a table that grows without end, and one whose code is one huge function.
#[test]
fn tables_and_compile_bombs_end_where_they_stand() {
    let server = Server::shared();
    let client = server.space("bombs");
    let bomb = |body: &str| component(&format!("(component (core module (func (result i32) {body})))"));
    for (bytes, part) in [
        (bomb(&format!("(i32.const 0) {}", "(i32.const 1) (i32.add) ".repeat(1_100_000))), "has more than"),
        (
            component(&format!("(component (core module {}))", "(func) ".repeat(200_001))),
            "has more than 200000 functions",
        ),
    ] {
        let answer = client.put("/v1/plugins/bomb", &bytes);
        answer.problem(422, "plugin.compile_failed");
        assert!(text(&answer.json()["detail"]).contains(part), "{answer}");
    }
    assert_eq!(client.get("/v1/plugins/bomb").status, 404, "nothing is left of it");
}

#[test]
fn while_one_plugin_does_harm_the_others_go_on() {
    let server = Server::start(hookwright_tests::Options::default().set("HOOKWRIGHT_PLUGIN_BREAKER_STRIKES", "1000"));
    let (villain, neighbour) = (server.space("villain"), server.space("neighbour"));
    let receiver = Receiver::with(|_| Reply::status(200).after(Duration::from_secs(60)));
    arm(&villain, &receiver);
    let longer = json!({"limits": {"cpu_ms": 2_000, "wall_ms": 4_000},
        "grants": {"http": [{"host": "127.0.0.1", "port": receiver.port()}]}});
    villain.put_json("/v1/plugins/hostile/policy", &longer).expect(200);
    let ticket = scene::ticket(&neighbour, "Quiet");
    scene::automation(
        &neighbour,
        &json!({"name": "note", "on": ["note"],
            "when": {"condition": "match", "with": {"path": "data.n", "exists": true}},
            "then": [{"action": "note-add", "with": {"id": ticket, "text": "{{event.data.n}}"}}]}),
    );
    // As many as are worked on at once are in the way: half of them compute, half of them wait.
    let mut harmful = Vec::new();
    for n in 0..16 {
        let what = if n % 2 == 0 { "loop-for-ever" } else { "send" };
        harmful.push(scene::send(&villain, "harm", &order(what, 1, &receiver.url())));
    }
    let events: Vec<String> = (0..20).map(|n| scene::send(&neighbour, "note", &json!({"n": n}))).collect();
    for event in &events {
        scene::story(&neighbour, event);
    }
    let unfinished = |event: &String| {
        let story = villain.get(&format!("/v1/events/{event}")).expect(200);
        story["runs"][0]["steps"][0]["outcome"].is_null()
    };
    let still = harmful.iter().filter(|event| unfinished(event)).count();
    assert_eq!(scene::notes(&neighbour, ticket).len(), 20, "every event of the neighbour was handled once");
    let runs = scene::all(&neighbour, "/v1/runs");
    assert!(runs.iter().all(|run| run["state"] == "done"), "{runs:#?}");
    assert!(still > 0, "the harm was over before the neighbour's work began: nothing was shown");
    server.client().get("/healthz").expect(200);
}
