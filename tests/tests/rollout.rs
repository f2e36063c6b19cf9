//! A version comes into use by and by: compared in the shadow, tried on a part of the events, taken back if it fails more.

use std::collections::BTreeMap;

use hookwright_tests::components::{changed, numbered, other_version};
use hookwright_tests::scene::{self, text};
use hookwright_tests::{Client, Options, Receiver, Server, eventually, workspace};
use serde_json::{Value, json};

#[track_caller]
fn shown(client: &Client, plugin: &str) -> Value {
    client.get(&format!("/v1/plugins/{plugin}")).expect(200)
}

/// What a plugin is once `is_so` says yes to it.
#[track_caller]
fn shown_when(client: &Client, plugin: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    eventually(|| {
        let found = shown(client, plugin);
        if is_so(&found) { Ok(found) } else { Err(format!("{found:#}")) }
    })
}

/// An automation whose events say what the plugin `probe` does.
#[track_caller]
fn probe(client: &Client) {
    client.put("/v1/plugins/probe", &workspace::example("rust-action")).expect(200);
    let with = json!({"do": "{{event.data.do}}", "text": "t", "id": "{{event.data.id}}", "url": "{{event.data.url}}"});
    scene::automation(client, &json!({"name": "probe", "on": ["probe"], "then": [{"action": "probe", "with": with}]}));
}

fn order(what: &str, ticket: u64, url: &str) -> Value {
    json!({"do": what, "id": ticket, "url": url})
}

/// How many runs were carried out by each version of the step's plugin.
fn by_version(client: &Client) -> BTreeMap<String, u64> {
    let mut versions = BTreeMap::new();
    for run in scene::all(client, "/v1/runs") {
        assert_eq!(run["state"], "done", "{run:#}");
        *versions.entry(text(&run["steps"][0]["version"])).or_default() += 1;
    }
    versions
}

#[test]
fn a_canary_gets_its_percentage_of_events_until_it_is_promoted() {
    let mut server = Server::start(Options::default());
    let client = server.client();
    scene::automation(
        &client,
        &json!({"name": "echo", "on": ["in"], "then": [{"action": "event-emit", "with": {"type": "out"}}]}),
    );
    let put = "/v1/plugins/event-emit?rollout=canary&percent=30&minimum_calls=1000";
    let answer = client.put(put, &other_version("event-emit", "0.2.0")).expect(200);
    assert_eq!((&answer["state"], &answer["version"]), (&json!("canary"), &json!("0.2.0")), "{answer:#}");
    let versions = client.get("/v1/plugins/event-emit/versions").expect(200);
    assert_eq!((&versions["data"][0]["version"], &versions["data"][0]["state"]), (&json!("0.2.0"), &json!("canary")));
    let found = shown(&client, "event-emit");
    assert_eq!((&found["version"], &found["origin"]), (&json!("0.1.0"), &json!("builtin")), "{found:#}");
    let rollout = &found["rollout"];
    assert_eq!(
        (&rollout["version"], &rollout["mode"], &rollout["percent"]),
        (&json!("0.2.0"), &json!("canary"), &json!(30))
    );

    for _ in 0..200 {
        scene::send(&client, "in", &json!({}));
    }
    scene::settled(&client);
    let versions = by_version(&client);
    let (old, new) = (versions["0.1.0"], versions["0.2.0"]);
    assert_eq!(old + new, 200);
    assert!((30..=90).contains(&new), "{versions:?}");
    let rollout = shown(&client, "event-emit")["rollout"].clone();
    assert_eq!((&rollout["live"]["calls"], &rollout["candidate"]["calls"]), (&json!(old), &json!(new)), "{rollout:#}");
    // A dry run calls the version in use, and a replay for real has the share of its own event.
    server.restart();
    let client = server.client();
    let again = shown(&client, "event-emit")["rollout"].clone();
    assert_eq!(
        (&again["id"], &again["candidate"]["calls"]),
        (&rollout["id"], &json!(0)),
        "counts begin anew: {again:#}"
    );

    // The share can be made larger, which begins another rollout of the same version.
    let body = json!({"version": "0.2.0", "mode": "canary", "percent": 100});
    client.post("/v1/plugins/event-emit/rollout", &body).expect(200);
    let event = scene::send(&client, "in", &json!({}));
    assert_eq!(scene::story(&client, &event)["runs"][0]["steps"][0]["version"], "0.2.0");
    let promoted = client.post("/v1/plugins/event-emit/promote", &json!({})).expect(200);
    assert_eq!((&promoted["state"], &promoted["replaced"]["version"]), (&json!("live"), &json!("0.1.0")));
    let found = shown(&client, "event-emit");
    assert_eq!((&found["version"], &found["rollout"]), (&json!("0.2.0"), &Value::Null), "{found:#}");
    assert_eq!(found["last_rollout"]["outcome"], "promoted", "{found:#}");
}

#[test]
fn a_canary_with_a_higher_failure_rate_is_rolled_back_and_reported() {
    let server = Server::shared();
    let client = server.space("taken-back");
    probe(&client);
    let ticket = scene::ticket(&client, "watched");
    scene::automation(
        &client,
        &json!({"name": "alarm", "on": ["plugin.rolled_back"], "then": [
            {"action": "note-add", "with": {"id": ticket, "text": "{{event.data.plugin}}: {{event.data.reason}}"}}]}),
    );
    // It no longer knows what to do when it is to echo.
    let broken = changed(&workspace::example("rust-action"), "echo", "ecko");
    let broken = numbered(&broken, "examples/rust/action/src/lib.rs", "0.2.0");
    client.put("/v1/plugins/probe?rollout=canary&percent=50&minimum_calls=10", &broken).expect(200);
    let live = shown(&client, "probe")["digest"].clone();
    for _ in 0..80 {
        scene::send(&client, "probe", &order("echo", 0, ""));
    }
    let found = shown_when(&client, "probe", |found| found["rollout"].is_null());
    let last = &found["last_rollout"];
    assert_eq!((&last["outcome"], &found["digest"]), (&json!("rolled_back"), &live), "{found:#}");
    assert!(text(&last["reason"]).contains("% of its"), "{last:#}");
    let told = eventually(|| {
        let told = scene::all(&client, "/v1/events?type=plugin.rolled_back");
        if told.is_empty() { Err("nothing is told".to_owned()) } else { Ok(told) }
    });
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(told[0]["source"], "hookwright/plugins/probe");
    let notes = eventually(|| {
        let notes = scene::notes(&client, ticket);
        if notes.is_empty() { Err("no note yet".to_owned()) } else { Ok(notes) }
    });
    assert!(notes[0].starts_with("probe: "), "{notes:?}");

    scene::settled(&client);
    for _ in 0..20 {
        let event = scene::send(&client, "probe", &order("echo", 0, ""));
        let step = scene::story(&client, &event)["runs"][0]["steps"][0].clone();
        assert_eq!(step["outcome"]["kind"], "done", "every event goes to the version in use: {step:#}");
    }
    // It is kept, and can be looked into.
    let versions = client.get("/v1/plugins/probe/versions").expect(200);
    assert_eq!(versions["data"].as_array().unwrap().len(), 2, "{versions:#}");
}

#[test]
fn a_canary_that_traps_is_rolled_back_after_five_calls() {
    let server = Server::shared();
    let client = server.space("trapping");
    let hostile = workspace::example("hostile");
    client.put("/v1/plugins/harm", &hostile).expect(200);
    scene::automation(
        &client,
        &json!({"name": "harm", "on": ["harm"], "then": [{"action": "harm", "with": {"do": "{{event.data.do}}",
            "count": 0, "url": "", "name": "", "at": ""}}]}),
    );
    let other = numbered(&hostile, "tests/hostile/src/lib.rs", "0.2.0");
    client.put("/v1/plugins/harm?rollout=canary&percent=100&minimum_calls=1000", &other).expect(200);
    for _ in 0..5 {
        scene::send(&client, "harm", &json!({"do": "trap"}));
    }
    let found = shown_when(&client, "harm", |found| found["rollout"].is_null());
    assert_eq!(found["last_rollout"]["outcome"], "rolled_back", "{found:#}");
    assert_eq!(found["usage"]["breaker"]["strikes"], 0, "the version in use has done nothing: {found:#}");
}

#[test]
fn a_version_in_shadow_mode_changes_and_sends_nothing() {
    let server = Server::shared();
    let client = server.space("shadow");
    let receiver = Receiver::start();
    probe(&client);
    let grant = json!({"http": [{"host": "127.0.0.1", "port": receiver.port()}]});
    client.post("/v1/plugins/probe/grants", &grant).expect(200);
    let ticket = scene::ticket(&client, "watched");
    let live = workspace::example("rust-action");
    let other = changed(&changed(&live, "probe.failed", "probe.fallen"), "x-probe", "x-prove");
    let other = numbered(&other, "examples/rust/action/src/lib.rs", "0.2.0");
    let answer = client.put("/v1/plugins/probe?rollout=shadow", &other).expect(200);
    assert_eq!(answer["state"], "shadow", "{answer:#}");
    let mut calls = 0;
    for (what, times) in [("note", 3), ("fail", 2), ("http", 2), ("time", 3), ("random", 2)] {
        for _ in 0..times {
            let event = scene::send(&client, "probe", &order(what, ticket, &receiver.url()));
            scene::story(&client, &event);
            calls += 1;
        }
    }
    let found = shown_when(&client, "probe", |found| found["rollout"]["shadow"]["calls"] == calls);
    let (rollout, shadow) = (&found["rollout"], &found["rollout"]["shadow"]);
    assert_eq!(
        [&shadow["same"], &shadow["different"], &shadow["failed"], &rollout["dropped"]],
        [&json!(8), &json!(2), &json!(2), &json!(0)],
        "{rollout:#}"
    );
    assert_eq!(rollout["differences"].as_array().unwrap().len(), 4, "{rollout:#}");
    assert_eq!(scene::notes(&client, ticket).len(), 3, "notes are added once");
    assert_eq!(receiver.received().len(), 2, "requests leave once");
    let digest = found["digest"].clone();

    client.delete("/v1/plugins/probe/rollout").expect(204);
    let found = shown(&client, "probe");
    assert_eq!((&found["rollout"], &found["digest"]), (&Value::Null, &digest), "{found:#}");
    assert_eq!(found["last_rollout"]["outcome"], "ended");
    client.delete("/v1/plugins/probe/rollout").problem(409, "rollout.none");
}

#[test]
fn invalid_rollouts_are_rejected_with_the_reason() {
    let server = Server::shared();
    let client = server.space("refused-rollouts");
    let other = other_version("note-add", "0.2.0");
    client.put("/v1/plugins/fresh?rollout=canary", &other).problem(409, "rollout.nothing_live");
    client.put("/v1/plugins/note-add?rollout=canary&percent=0", &other).problem(422, "input.invalid");
    client.put("/v1/plugins/note-add?rollout=sideways", &other).problem(400, "query.invalid");
    let same = workspace::plugin("note-add");
    client.put("/v1/plugins/note-add?rollout=canary", &same).problem(409, "rollout.already_live");
    client.post("/v1/plugins/note-add/promote", &json!({})).problem(409, "plugin.not_uploaded");
    client.put("/v1/plugins/note-add", &other).expect(200);
    client.put("/v1/plugins/note-add", &other_version("note-add", "0.3.0")).expect(200);
    client.post("/v1/plugins/note-add/promote", &json!({})).problem(409, "rollout.none");
    let path = "/v1/plugins/note-add/rollout";
    let wrong = json!({"version": "0.2.0", "percent": 101, "rollback_when": {"percent_above_live": -1}});
    assert_eq!(client.post(path, &wrong).paths(), ["mode", "percent", "rollback_when.percent_above_live"]);
    client.post(path, &json!({"version": "9.9.9", "mode": "shadow"})).problem(409, "plugin.version_unknown");
    client.post(path, &json!({"version": "0.3.0", "mode": "shadow"})).problem(409, "rollout.already_live");
    client.post(path, &json!({"version": "0.2.0", "mode": "shadow"})).expect(200);
    // A version that is put in ends it.
    client.post("/v1/plugins/note-add/activate", &json!({"version": "0.2.0"})).expect(200);
    let found = shown(&client, "note-add");
    assert_eq!((&found["version"], &found["rollout"]), (&json!("0.2.0"), &Value::Null), "{found:#}");
    let activate = "/v1/plugins/note-add/activate?rollout=canary&percent=5";
    assert_eq!(client.post(activate, &json!({"version": "0.3.0"})).expect(200)["state"], "canary");
    assert_eq!(shown(&client, "note-add")["rollout"]["percent"], 5);
}
