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
        // As much wall time for the CPU time as there is before a request that hangs times out by itself (10 s).
        "limits": {"cpu_ms": 300, "wall_ms": 9_000, "memory_bytes": 8_388_608, "output_bytes": 10_000, "log_lines": 5,
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
fn exceeding_a_limit_stops_the_call_and_names_the_limit() {
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
fn tables_and_compile_bombs_are_stopped() {
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
fn a_harmful_plugin_does_not_affect_others() {
    let server = Server::start(hookwright_tests::Options::default().set("HOOKWRIGHT_PLUGIN_BREAKER_STRIKES", "1000"));
    let (villain, neighbour) = (server.space("villain"), server.space("neighbour"));
    let receiver = Receiver::with(|_| Reply::status(200).after(Duration::from_secs(60)));
    arm(&villain, &receiver);
    // Those that wait are in the way for longer than the neighbour needs.
    let longer = json!({"limits": {"cpu_ms": 2_000, "wall_ms": 60_000},
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

const MIB: u64 = 1024 * 1024;

/// Events whose steps ask for forty times more than the server may have at all, at the limits that hold by default.
#[test]
fn the_servers_memory_stays_bounded_whatever_plugins_request() {
    let server = Server::start(
        hookwright_tests::Options::default()
            .set("HOOKWRIGHT_PLUGIN_BREAKER_STRIKES", "1000")
            .set("HOOKWRIGHT_PLUGIN_MEMORY_TOTAL_BYTES", &(256 * MIB).to_string())
            .set("HOOKWRIGHT_STEP_RETRY_DELAYS", "1")
            .memory(1024 * MIB),
    );
    let client = server.space("flood");
    client.put("/v1/plugins/hostile", &workspace::example("hostile")).expect(200);
    scene::automation(
        &client,
        &json!({"name": "harm", "on": ["harm"], "then": [{"action": "hostile",
            "with": {"do": "{{event.data.do}}", "count": "{{event.data.count}}"}}]}),
    );
    let neighbour = server.space("neighbour");
    let ticket = scene::ticket(&neighbour, "Quiet");
    scene::automation(
        &neighbour,
        &json!({"name": "note", "on": ["note"], "then": [{"action": "note-add", "with": {"id": ticket, "text": "n"}}]}),
    );
    let events: Vec<String> = (0..40)
        .map(|n| {
            scene::send(
                &client,
                "harm",
                &json!({"do": if n % 2 == 0 { "emit-large" } else { "mail-large" }, "count": 1000}),
            )
        })
        .collect();
    let quiet = scene::send(&neighbour, "note", &json!({}));
    assert_eq!(scene::story(&neighbour, &quiet)["runs"][0]["state"], "done");
    let mut too_large = 0;
    for event in &events {
        let story = scene::story(&client, event);
        let outcome = &story["runs"][0]["steps"][0]["outcome"];
        // Others may have held all memory each time that the step was tried.
        let code = text(&outcome["code"]);
        assert!(["effects.too_large", "plugin.memory_busy"].contains(&code.as_str()), "{outcome}");
        too_large += usize::from(code == "effects.too_large");
        assert_eq!(story["runs"][0]["steps"][0]["effects"], Value::Null, "nothing of it is done: {story:#}");
    }
    assert!(too_large > 0, "no call reached its limit");
    assert!(scene::all(&client, "/v1/mails").is_empty());
    let peak = server.peak_memory();
    assert!(peak < 1024 * MIB, "the server had {} MiB", peak / MIB);
}

/// A plan compares a document with all that a space holds, of which there may be a lot.
#[test]
fn plans_share_the_current_automations_instead_of_copying_them() {
    const AUTOMATIONS: u64 = 8_000;
    const TEXT: u64 = 8_000;
    let options = hookwright_tests::Options::default().set("HOOKWRIGHT_MAX_BODY_BYTES", &(16 * MIB).to_string());
    let mut server = Server::start(options.memory(1024 * MIB));
    let long = "x".repeat(usize::try_from(TEXT).unwrap());
    let automation = |name: String| {
        let note = json!({"action": "note-add", "with": {"id": 1, "text": long}});
        json!({"name": name, "on": ["held"], "then": [note]})
    };
    for first in (0..AUTOMATIONS).step_by(1_000) {
        let part: Vec<Value> = (first..first + 1_000).map(|n| automation(format!("held {n}"))).collect();
        let applied = server.client().post("/v1/configuration/apply", &json!({"configuration": {"automations": part}}));
        assert_eq!(applied.expect(200)["summary"]["create"], 1_000, "{applied}");
    }
    // A new start gives back what it took to write them, in which a copy would find room.
    server.stop();
    server.restart();
    hookwright_tests::eventually(|| {
        let ready = server.client().get("/readyz");
        if ready.status == 200 { Ok(()) } else { Err(ready.to_string()) }
    });
    server.forget_peak_memory();
    let before = server.peak_memory();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let (client, automation) = (server.client(), &automation);
            scope.spawn(move || {
                let document = [automation(format!("new {n}")), automation(format!("held {n}"))];
                let input = json!({"configuration": {"automations": document}});
                let plan = client.post("/v1/configuration/plan", &input).expect(200);
                assert_eq!(plan["summary"], json!({"create": 1, "change": 0, "delete": 0, "unchanged": 1}));
            });
        }
    });
    let (grown, held) = (server.peak_memory().saturating_sub(before), AUTOMATIONS * TEXT);
    assert!(grown < held / 2, "plans took {} MiB, the automations have {} MiB", grown / MIB, held / MIB);
}

/// A few kilobytes that stand for sixteen million instances.
#[test]
fn a_component_is_rejected_by_its_expanded_size_before_compilation() {
    let server = Server::start(hookwright_tests::Options::default().memory(1024 * MIB));
    let client = server.client();
    let before = server.peak_memory();
    let mut whole = String::from("(component $c0)");
    for level in 1..=24 {
        let inner = level - 1;
        whole = format!(
            "(component $c{level} {whole} (instance (instantiate $c{inner})) (instance (instantiate $c{inner})))"
        );
    }
    let bytes = component(&whole);
    assert!(bytes.len() < 20_000);
    let answer = client.put("/v1/plugins/bomb", &bytes);
    answer.problem(422, "plugin.compile_failed");
    assert!(text(&answer.json()["detail"]).contains("once every component in it is instantiated"), "{answer}");
    let grown = server.peak_memory().saturating_sub(before);
    assert!(grown < 64 * MIB, "looking at it took {} MiB", grown / MIB);
}

/// What a user's schema makes of a string is bounded when it is saved and when it is checked.
#[test]
fn regular_expressions_in_schemas_are_bounded_in_states_and_work() {
    let server = Server::shared();
    let client = server.space("patterns");
    let workflow = |patterns: usize| {
        let properties: serde_json::Map<String, Value> = (0..patterns)
            .map(|n| (format!("p{n}"), json!({"type": "string", "pattern": format!("a[ab]{{3000}}[^ab]{n}")})))
            .collect();
        json!({"name": format!("w{patterns}"), "input": {"type": "object", "properties": properties},
            "steps": [{"wait": {"seconds": 1}}]})
    };
    let refused = client.post("/v1/workflows", &workflow(90));
    assert!(refused.status == 422 || refused.status == 400, "{refused}");
    assert!(refused.to_string().contains("20000 states"), "{refused}");
    client.post("/v1/workflows", &workflow(2)).expect(201);
    let start =
        |text: String| client.post("/v1/workflows/w2/start", &json!({"input": {"p0": text.clone(), "p1": text}}));
    let refused = start("ab".repeat(5_000));
    assert!(refused.to_string().contains("takes too long"), "{refused}");
    let refused = start("ab".repeat(100));
    assert!(!refused.to_string().contains("takes too long"), "a short one is checked: {refused}");
}

/// An automation that sets itself off ten times over for each event.
#[test]
fn an_event_storm_in_one_space_is_bounded_and_does_not_affect_others() {
    let server = Server::start(hookwright_tests::Options::default().set("HOOKWRIGHT_MAX_EVENTS_PER_ROOT", "2000"));
    let (storm, neighbour) = (server.space("storm"), server.space("neighbour"));
    scene::automation(
        &storm,
        &json!({"name": "echo", "on": ["echo"], "then": [{"action": "event-emit", "for_each": "{{event.data.list}}",
            "with": {"type": "echo", "data": {"list": "{{event.data.list}}"}}}]}),
    );
    let ticket = scene::ticket(&neighbour, "Quiet");
    scene::automation(
        &neighbour,
        &json!({"name": "note", "on": ["note"],
            "then": [{"action": "note-add", "with": {"id": ticket, "text": "{{event.data.n}}"}}]}),
    );
    let root = scene::send(&storm, "echo", &json!({"list": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]}));
    let backlog = || server.client().get("/healthz").expect(200)["backlog"].as_u64().unwrap();
    hookwright_tests::eventually(|| if backlog() > 500 { Ok(()) } else { Err(backlog().to_string()) });
    let events: Vec<String> = (0..20).map(|n| scene::send(&neighbour, "note", &json!({"n": n}))).collect();
    for event in &events {
        assert_eq!(scene::story(&neighbour, event)["runs"][0]["state"], "done");
    }
    assert!(backlog() > 0, "the storm was over before the neighbour's work was done: nothing was shown");
    scene::settled(&server.client());
    let story = storm.get(&format!("/v1/events/{root}")).expect(200);
    let descendants = story["descendants"].as_u64().unwrap();
    // Steps in flight may each have made their events when the bound was reached.
    assert!((1_500..=2_200).contains(&descendants), "{descendants}");
    assert!(story["summary"].to_string().contains("has triggered"), "{story:#}");
    let failed = storm.get("/v1/runs?state=failed&limit=1").expect(200);
    assert!(failed["data"][0]["steps"].to_string().contains("chain.too_wide"), "{failed:#}");
}

/// The server dies whenever it calls a step: after a few times it leaves the event alone, and goes on with the others.
#[test]
fn an_event_that_repeatedly_crashes_the_server_is_dead_lettered() {
    let mut server = Server::start(hookwright_tests::Options::default());
    let client = server.client();
    scene::automation(
        &client,
        &json!({"name": "deadly", "on": ["deadly"], "then": [{"action": "event-emit", "with": {"type": "x"}}]}),
    );
    let deadly = hookwright_tests::Options::default().set("HOOKWRIGHT_FAULT_POINT", "step.before-call");
    server.restart_with(deadly.clone());
    // The server may be gone before its response is read.
    let event = "the-deadly-one";
    let body = json!({"type": "deadly", "id": event, "data": {}}).to_string();
    let _ = server.client().try_send("POST", "/v1/events", &[("content-type", "application/json")], body.as_bytes());
    assert!(!server.wait().success());
    for _ in 0..2 {
        assert!(!server.restart_to_die(deadly.clone()).success());
    }
    // The same fault lies in wait, and the event is not tried again.
    server.restart_with(deadly);
    let client = server.client();
    let story = scene::story(&client, event);
    let run = &story["runs"][0];
    assert_eq!((&run["state"], &run["steps"][0]["outcome"]["code"]), (&json!("failed"), &json!("event.dead_lettered")));
    assert!(story["summary"].to_string().contains("the server ended 3 times"), "{story:#}");
    assert!(server.lives());
    // Without the fault the automation takes the next event as ever.
    server.restart_with(hookwright_tests::Options::default());
    let client = server.client();
    let event = scene::send(&client, "deadly", &json!({}));
    assert_eq!(scene::story(&client, &event)["runs"][0]["state"], "done");
}
