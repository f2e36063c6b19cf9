//! Stored events are run again, and versions of plugins are compared on what they were called with.

use std::process::Command;

use hookwright_tests::components::{changed, other_version};
use hookwright_tests::scene::{self, text};
use hookwright_tests::{ADMIN_KEY, Client, Options, Receiver, Reply, Server, eventually, workspace};
use serde_json::{Value, json};

/// The example that calls the host in every way, as the plugin `probe` of a space, and an automation that lets events say
/// what it does.
#[track_caller]
fn probe(client: &Client, receiver: &Receiver) -> String {
    client.put("/v1/plugins/probe", &workspace::example("rust-action")).expect(200);
    client.put_json("/v1/secrets/signing", &json!({"value": "a-key"})).expect(200);
    let grants = json!({
        "http": [{"host": "127.0.0.1", "port": receiver.port()}],
        "secrets": [{"name": "signing"}],
    });
    client.post("/v1/plugins/probe/grants", &grants).expect(200);
    let with = ["do", "id", "text", "changes", "type", "data", "key", "value", "url", "body", "algorithm", "secret"];
    let with: serde_json::Map<String, Value> =
        with.iter().map(|name| ((*name).to_owned(), format!("{{{{event.data.{name}}}}}").into())).collect();
    scene::automation(client, &json!({"name": "probe", "on": ["probe"], "then": [{"action": "probe", "with": with}]}))
}

/// What an event tells the probe to do.
fn order(what: &str, more: &Value) -> Value {
    let mut order = json!({"do": what, "id": 0, "text": "t", "changes": {}, "type": "probe.emitted", "data": 1,
        "key": "k", "value": "v", "url": "", "body": {}, "algorithm": "sha256", "secret": "signing"});
    order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    order
}

/// Sends an order and waits until it is carried out; returns the event's id.
#[track_caller]
fn carried_out(client: &Client, what: &str, more: &Value) -> String {
    let event = scene::send(client, "probe", &order(what, more));
    scene::story(client, &event);
    event
}

/// Waits until so many calls of a plugin are recorded.
#[track_caller]
fn recorded(client: &Client, plugin: &str, calls: u64) {
    eventually(|| {
        let found = client.get(&format!("/v1/plugins/{plugin}")).expect(200)["recordings"].clone();
        if found["calls"] == calls { Ok(()) } else { Err(found.to_string()) }
    });
}

/// A comparison once it has ended.
#[track_caller]
fn ended(client: &Client, begun: &Value) -> Value {
    let path = format!("/v1/comparisons/{}", text(&begun["id"]));
    eventually(|| {
        let found = client.get(&path).expect(200);
        if found["state"] == "running" { Err(found.to_string()) } else { Ok(found) }
    })
}

/// What comes out when a component is compared with the one in use.
#[track_caller]
fn compared(client: &Client, plugin: &str, query: &str, component: &[u8]) -> Value {
    let path = format!("/v1/plugins/{plugin}/compare{query}");
    let begun = client.send("POST", &path, &[("content-type", "application/wasm")], component).expect(202);
    let found = ended(client, &begun);
    assert_eq!(found["state"], "done", "{found:#}");
    found
}

/// How many calls came out the same, different, failed, and not comparable.
fn counts(found: &Value) -> [u64; 4] {
    ["same", "different", "failed", "not_comparable"].map(|name| found[name].as_u64().unwrap())
}

/// The paths at which a comparison found differences, by event.
fn paths<'v>(found: &'v Value, event: &str) -> Vec<&'v str> {
    let differences = found["differences"].as_array().unwrap();
    let of_event = differences.iter().filter(|difference| difference["event"] == event);
    of_event.flat_map(|one| one["parts"].as_array().unwrap()).map(|part| part["path"].as_str().unwrap()).collect()
}

#[track_caller]
fn rehearsed(client: &Client, event: &str, body: &Value) -> Value {
    client.post(&format!("/v1/events/{event}/replay"), body).expect(200)
}

#[test]
fn a_stored_event_is_dry_run_with_any_revision_and_nothing_is_saved() {
    let server = Server::shared();
    let client = server.space("rehearsed");
    let ticket = scene::ticket(&client, "one");
    let noting = |text: &str| json!({"then": [{"action": "note-add", "with": {"id": ticket, "text": text}}]});
    let mut automation = noting("first");
    automation.as_object_mut().unwrap().extend(json!({"name": "note", "on": ["order.*"]}).as_object().unwrap().clone());
    let automation = scene::automation(&client, &automation);
    let event = scene::send(&client, "order.paid", &json!({"total": 1}));
    scene::story(&client, &event);
    client.patch(&format!("/v1/automations/{automation}"), &noting("second")).expect(200);
    let events = scene::all(&client, "/v1/events").len();

    let added = |shown: &Value| {
        let effects = shown["runs"][0]["effects"].as_array().unwrap();
        let note = effects.iter().find(|effect| effect["kind"] == "ticket.note-added").unwrap();
        text(&note["detail"]["text"])
    };
    let now = rehearsed(&client, &event, &json!({}));
    assert_eq!((&now["dry_run"], &now["replays"]), (&json!(true), &json!(event)));
    assert_eq!((added(&now), &now["runs"][0]["revision"]), ("second".to_owned(), &json!(2)), "{now:#}");
    let then = rehearsed(&client, &event, &json!({"automation": automation, "revision": 1}));
    assert_eq!((added(&then), &then["runs"][0]["revision"]), ("first".to_owned(), &json!(1)), "{then:#}");
    assert_eq!(scene::notes(&client, ticket), ["first"]);
    assert_eq!(scene::all(&client, "/v1/events").len(), events);
    assert_eq!(scene::all(&client, "/v1/runs").iter().filter(|run| run["event"] == event).count(), 1);

    let path = format!("/v1/events/{event}/replay");
    let unknown = json!({"automation": automation, "revision": 9});
    client.post(&path, &unknown).problem(409, "automation.revision_unknown");
    client.post(&path, &json!({"automation": "aut_none"})).problem(404, "automation.not_found");
    let wrong = json!({"revision": 1, "deliver": true, "plugins": {}});
    assert_eq!(client.post(&path, &wrong).paths(), ["revision", "deliver"]);
    client.post("/v1/events/none/replay", &json!({})).problem(404, "event.not_found");
    assert_eq!(client.post(&path, &json!({"dryrun": false})).status, 422);

    client.delete(&format!("/v1/automations/{automation}")).expect(204);
    let gone = rehearsed(&client, &event, &json!({}));
    assert_eq!((&gone["runs"], &gone["left_out"][0]["automation"]), (&json!([]), &json!(automation)), "{gone:#}");
    client.post(&path, &json!({"dry_run": false})).problem(409, "replay.nothing");
}

#[test]
fn a_real_replay_is_a_new_event_that_names_the_original() {
    let server = Server::shared();
    let client = server.space("for-real");
    let receiver = Receiver::start();
    let ticket = scene::ticket(&client, "one");
    scene::webhook(&client, &receiver.url(), &["order.*"]);
    scene::automation(
        &client,
        &json!({"name": "note", "on": ["order.*"],
            "then": [{"action": "note-add", "with": {"id": ticket, "text": "{{event.data.total}}"}}]}),
    );
    let event = scene::send(&client, "order.paid", &json!({"total": 7}));
    scene::story(&client, &event);
    receiver.wait_for(1);

    let path = format!("/v1/events/{event}/replay");
    let answer = client.post(&path, &json!({"dry_run": false})).expect(202);
    let again = text(&answer["id"]);
    assert_ne!(again, event);
    let story = scene::story(&client, &again);
    assert_eq!(story["cause"]["replays"]["event"], event, "{story:#}");
    assert!(text(&story["summary"][0]).contains(&event), "{story:#}");
    assert_eq!((&story["event"]["data"], &story["event"]["type"]), (&json!({"total": 7}), &json!("order.paid")));
    assert_eq!(story["deliveries"], json!([]), "webhooks are told once");
    let explained = client.get(&format!("/v1/events/{again}/explain")).expect(200);
    assert_eq!(explained["replays"], event);
    assert_eq!(scene::notes(&client, ticket), ["7", "7"]);

    let told = client.post(&path, &json!({"dry_run": false, "deliver": true})).expect(202);
    let story = scene::story(&client, &text(&told["id"]));
    assert_eq!(story["deliveries"].as_array().unwrap().len(), 1, "{story:#}");
    assert_eq!(receiver.wait_for(2).len(), 2);
    // A replay can be replayed: it names the event that it was made of.
    let twice = client.post(&format!("/v1/events/{again}/replay"), &json!({"dry_run": false})).expect(202);
    assert_eq!(scene::story(&client, &text(&twice["id"]))["cause"]["replays"]["event"], again);
}

#[test]
fn a_replay_can_call_plugins_in_another_version_even_after_a_restart() {
    let mut server = Server::start(Options::default());
    let client = server.client();
    let ticket = scene::ticket(&client, "one");
    scene::automation(
        &client,
        &json!({"name": "note", "on": ["order.*"],
            "then": [{"action": "note-add", "with": {"id": ticket, "text": "x"}}]}),
    );
    for version in ["0.2.0", "0.3.0"] {
        client.put("/v1/plugins/note-add", &other_version("note-add", version)).expect(200);
    }
    let event = scene::send(&client, "order.paid", &json!({}));
    assert_eq!(scene::story(&client, &event)["runs"][0]["steps"][0]["version"], "0.3.0");
    for version in ["0.1.0", "0.2.0", "0.3.0"] {
        let shown = rehearsed(&client, &event, &json!({"plugins": {"note-add": version}}));
        assert_eq!(shown["runs"][0]["steps"][0]["version"], version, "{shown:#}");
    }
    server.restart();
    let client = server.client();
    let path = format!("/v1/events/{event}/replay");
    let real = json!({"dry_run": false, "plugins": {"note-add": "0.2.0"}});
    let again = text(&client.post(&path, &real).expect(202)["id"]);
    let story = scene::story(&client, &again);
    assert_eq!(
        (&story["runs"][0]["state"], &story["runs"][0]["steps"][0]["version"]),
        (&json!("done"), &json!("0.2.0"))
    );
    let unknown = client.post(&path, &json!({"plugins": {"note-add": "9.9.9"}}));
    assert!(text(&unknown.problem(409, "plugin.version_unknown")["detail"]).contains("0.2.0"));
    client.post(&path, &json!({"plugins": {"nothing": "1"}})).problem(404, "plugin.not_found");
}

#[test]
fn host_responses_are_replayed_regardless_of_later_changes() {
    let server = Server::shared();
    let client = server.space("played-back");
    let receiver = Receiver::with_replies(&[Reply::status(200).header("content-type", "text/x-then").body("then")]);
    probe(&client, &receiver);
    let ticket = scene::ticket(&client, "then");
    let url = receiver.url();
    let orders = [
        ("time", json!({})),
        ("random", json!({})),
        ("emit", json!({"type": "probe.emitted", "data": {"a": 1}})),
        ("ticket", json!({"id": ticket, "changes": {"subject": "changed"}})),
        ("note", json!({"id": ticket, "text": "a note"})),
        ("kv", json!({"value": "kept"})),
        ("hmac", json!({})),
        ("http", json!({"url": url, "body": {"n": 1}})),
        ("log", json!({})),
        ("fail", json!({})),
        ("skip", json!({})),
    ];
    for (what, more) in &orders {
        carried_out(&client, what, more);
    }
    let calls = orders.len() as u64;
    recorded(&client, "probe", calls);
    // Nothing is as it was.
    client.patch(&format!("/v1/tickets/{ticket}"), &json!({"subject": "now", "status": "closed"})).expect(200);
    client.put_json("/v1/secrets/signing", &json!({"value": "another-key"})).expect(200);
    carried_out(&client, "kv", &json!({"value": "newer"}));
    recorded(&client, "probe", calls + 1);
    let (notes, requests) = (scene::notes(&client, ticket), receiver.received().len());
    let (events, runs) = (scene::all(&client, "/v1/events").len(), scene::all(&client, "/v1/runs").len());

    let found = compared(&client, "probe", "?last=100&reasons=true", &workspace::example("rust-action"));
    assert_eq!(counts(&found), [calls + 1, 0, 0, 0], "{found:#}");
    assert_eq!(found["live"]["digest"], found["candidate"]["digest"]);
    let first = compared(&client, "probe", "?last=3", &workspace::example("rust-action"));
    assert_eq!(first["calls"], 3);
    let none = compared(&client, "probe", "?until=2020-01-01T00:00:00Z", &workspace::example("rust-action"));
    assert_eq!(none["calls"], 0);
    // Neither version did anything.
    assert_eq!((scene::notes(&client, ticket), receiver.received().len()), (notes, requests));
    assert_eq!(scene::all(&client, "/v1/events").len(), events);
    assert_eq!(scene::all(&client, "/v1/runs").len(), runs);
    client.get("/v1/comparisons/cmp_none").problem(404, "comparison.not_found");
    assert_eq!(client.get("/v1/comparisons").expect(200)["data"].as_array().unwrap().len(), 3);
}

#[test]
fn differences_between_versions_are_reported_by_event_and_path() {
    let server = Server::shared();
    let client = server.space("compared");
    let receiver = Receiver::start();
    probe(&client, &receiver);
    let fail = carried_out(&client, "fail", &json!({}));
    let asked = carried_out(&client, "http", &json!({"url": receiver.url()}));
    for _ in 0..3 {
        carried_out(&client, "skip", &json!({}));
    }
    recorded(&client, "probe", 5);
    let requests = receiver.received().len();
    let live = workspace::example("rust-action");
    let other = changed(&changed(&live, "probe.failed", "probe.fallen"), "x-probe", "x-prove");

    let found = compared(&client, "probe", "", &other);
    assert_eq!(counts(&found), [3, 1, 1, 0], "{found:#}");
    assert_eq!(paths(&found, &fail), ["code"], "{found:#}");
    let paths = paths(&found, &asked);
    for path in ["outcome", "code", "requests[0]", "asked_for_something_else"] {
        assert!(paths.contains(&path), "{path}: {found:#}");
    }
    let difference = &found["differences"][0];
    assert_eq!(
        (&difference["event"], &difference["failed"], &difference["place"]),
        (&json!(asked), &json!(true), &json!("probe"))
    );
    assert!(text(&difference["run"]).starts_with("run_"), "{difference:#}");
    assert_eq!(receiver.received().len(), requests, "nothing left");
    assert_eq!(client.get("/v1/plugins/probe/versions").expect(200)["data"].as_array().unwrap().len(), 1);

    // A kept version is compared by its name, and one that is not an action fails at every call.
    let digest = text(&found["live"]["digest"]);
    let kept = client.post("/v1/plugins/probe/compare", &json!({"version": digest, "last": 2})).expect(202);
    assert_eq!(counts(&ended(&client, &kept)), [2, 0, 0, 0]);
    let wrong = compared(&client, "probe", "", &workspace::plugin("match"));
    // The call that failed in both is told of as different: its code is another.
    assert_eq!(counts(&wrong), [0, 1, 4, 0], "{wrong:#}");

    let path = "/v1/plugins/probe/compare";
    assert_eq!(client.post(path, &json!({})).paths(), ["version"]);
    client.post(path, &json!({"version": "9.9.9"})).problem(409, "plugin.version_unknown");
    assert_eq!(client.post(path, &json!({"version": digest, "last": 10_001})).paths(), ["last"]);
    client.send("POST", path, &[("content-type", "application/wasm")], b"x").problem(422, "plugin.not_wasm");
    client.post("/v1/plugins/nothing/compare", &json!({"version": "1"})).problem(404, "plugin.not_found");
}

#[test]
fn conditions_and_transforms_are_compared_as_well() {
    let server = Server::shared();
    let client = server.space("kinds-compared");
    let receiver = Receiver::start();
    client.put("/v1/plugins/probing", &workspace::example("rust-condition")).expect(200);
    scene::automation(
        &client,
        &json!({"name": "a", "on": ["project.*"],
            "when": {"condition": "probing", "with": {"path": "state", "equals": "won"}},
            "then": [{"action": "event-emit", "with": {"type": "never"}}]}),
    );
    let webhook = json!({"url": receiver.url(), "events": ["project.*"], "transform": "capsule"});
    client.post("/v1/webhooks", &webhook).expect(201);
    let moved = scene::send(&client, "project.moved", &json!({"id": 3, "state": "lost"}));
    scene::story(&client, &moved);
    receiver.wait_for(1);
    recorded(&client, "probing", 1);
    recorded(&client, "capsule", 1);

    let other = changed(&workspace::plugin("capsule"), "kase", "case");
    let found = compared(&client, "capsule", "", &other);
    assert_eq!((counts(&found), paths(&found, &moved)), ([0, 1, 0, 0], vec!["body.event"]), "{found:#}");
    assert_eq!(found["differences"][0]["parts"][0]["candidate"], "case/moved");
    assert!(text(&found["differences"][0]["place"]).starts_with("webhook "), "{found:#}");

    // A reason is for people: another one is a difference only if that is wanted.
    let other = changed(&workspace::example("rust-condition"), "expected", "wanted::");
    assert_eq!(counts(&compared(&client, "probing", "", &other)), [1, 0, 0, 0]);
    let found = compared(&client, "probing", "?reasons=true", &other);
    assert_eq!((counts(&found), paths(&found, &moved)), ([0, 1, 0, 0], vec!["reason"]), "{found:#}");
    assert_eq!(found["differences"][0]["place"], "when");
}

#[test]
fn recordings_are_encrypted_bounded_and_optional() {
    let mut server = Server::start(Options::default().set("HOOKWRIGHT_RECORDINGS", "3"));
    let client = server.client();
    let secret = "nobody-may-read-this-field";
    let receiver = Receiver::with_replies(&[Reply::status(200).header("x-private", secret)]);
    probe(&client, &receiver);
    for _ in 0..5 {
        carried_out(&client, "http", &json!({"url": receiver.url()}));
    }
    recorded(&client, "probe", 3);
    client.put_json("/v1/plugins/quiet/policy", &json!({"recordings": 10_001})).problem(422, "input.invalid");
    client.put("/v1/plugins/quiet", &workspace::example("rust-condition")).expect(200);
    client.put_json("/v1/plugins/quiet/policy", &json!({"recordings": 0})).expect(200);
    let when = json!({"condition": "quiet", "with": {"path": "do", "equals": "x"}});
    scene::automation(
        &client,
        &json!({"name": "quiet", "on": ["probe"], "when": when,
            "then": [{"action": "event-emit", "with": {"type": "never"}}]}),
    );
    carried_out(&client, "skip", &json!({}));
    recorded(&client, "probe", 3);
    recorded(&client, "quiet", 0);
    server.stop();
    for file in std::fs::read_dir(server.data()).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let shown = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!shown, "{} has what a receiver answered", path.display());
        }
    }
    server.restart();
    let client = server.client();
    let found = compared(&client, "probe", "", &workspace::example("rust-action"));
    assert_eq!(counts(&found), [3, 0, 0, 0], "recordings outlive a restart: {found:#}");
    client.put("/v1/plugins/probe", &workspace::example("rust-action")).expect(200);
    client.delete("/v1/plugins/probe?force=true").expect(204);
    client.put("/v1/plugins/probe", &workspace::example("rust-action")).expect(200);
    recorded(&client, "probe", 0);
}

#[test]
fn the_command_compares_as_diff_does() {
    let server = Server::start(Options::default());
    let client = server.client();
    let receiver = Receiver::start();
    probe(&client, &receiver);
    let folder = tempfile::tempdir().unwrap();
    let live = workspace::example("rust-action");
    let (same, other) = (folder.path().join("same.wasm"), folder.path().join("other.wasm"));
    std::fs::write(&same, &live).unwrap();
    std::fs::write(&other, changed(&live, "probe.failed", "probe.fallen")).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(workspace::binary());
        command.current_dir(folder.path()).env("HOOKWRIGHT_URL", format!("http://{}", server.address()));
        let ran = command.env("HOOKWRIGHT_KEY", ADMIN_KEY).arg("replay").args(arguments).output().unwrap();
        let out = String::from_utf8(ran.stdout).unwrap();
        (ran.status.code(), out, String::from_utf8(ran.stderr).unwrap())
    };
    let with = |file: &std::path::Path, more: &[&str]| {
        let file = file.to_str().unwrap();
        run(&[&["--plugin", file, "--name", "probe", "--last", "1000"], more].concat())
    };
    let (code, _, error) = with(&same, &[]);
    assert_eq!(code, Some(2), "nothing is recorded: {error}");
    assert!(error.contains("comparison.empty"), "{error}");

    let event = carried_out(&client, "fail", &json!({}));
    carried_out(&client, "skip", &json!({}));
    recorded(&client, "probe", 2);
    let (code, out, error) = with(&same, &["--diff"]);
    assert_eq!(code, Some(0), "{out}{error}");
    assert!(out.contains("2 calls of `probe`") && out.contains("2 the same, 0 different"), "{out}");
    let (code, out, error) = with(&other, &["--diff"]);
    assert_eq!(code, Some(1), "{out}{error}");
    for part in [event.as_str(), "- \"probe.failed\"", "+ \"probe.fallen\"", "1 the same, 1 different"] {
        assert!(out.contains(part), "{part}: {out}");
    }
    let (code, out, _) = with(&other, &["--json"]);
    let shown: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &shown["different"]), (Some(1), &json!(1)));
    // Without a name the plugin is meant that the component says it is, which is not there.
    let (code, _, error) = run(&["--plugin", same.to_str().unwrap()]);
    assert_eq!(code, Some(2));
    assert!(error.contains("plugin.not_found") && error.contains("probe-action"), "{error}");

    let (code, out, error) = run(&[&event]);
    assert_eq!(code, Some(0), "{error}");
    assert!(out.contains("`probe` (revision 1) would fire"), "{out}");
    let runs = scene::all(&client, "/v1/runs").len();
    let (code, out, error) = run(&[&event, "--for-real"]);
    assert_eq!(code, Some(0), "{error}");
    assert!(out.contains(&format!("repeats {event}")), "{out}");
    eventually(|| {
        let found = scene::all(&client, "/v1/runs").len();
        if found == runs + 1 { Ok(()) } else { Err(format!("{found} runs")) }
    });
    assert_eq!(run(&["none"]).0, Some(2));
}
