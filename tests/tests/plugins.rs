//! Plugins are put in, replaced and taken out while the server runs; a bad one changes nothing.

use std::path::Path;
use std::time::SystemTime;

use hookwright_tests::components::{describing, other_version, renamed, text as component};
use hookwright_tests::scene::{self, text};
use hookwright_tests::{Client, Options, Server, eventually, workspace};
use serde_json::{Value, json};

const MIB: usize = 1024 * 1024;

/// An automation that asks `match` and adds a note, to see that plugins still work.
#[track_caller]
fn noting(client: &Client, action: &str, ticket: u64) -> String {
    scene::automation(
        client,
        &json!({
            "name": "note",
            "on": ["plugins.try"],
            "when": {"condition": "match", "with": {"path": "event.data.text", "exists": true}},
            "then": [{"action": action, "with": {"id": ticket, "text": "{{event.data.text}}"}}],
        }),
    )
}

/// Sends an event and returns the versions of the condition and of the action that handled it.
#[track_caller]
fn handled_by(client: &Client, words: &str) -> (String, String) {
    let event = scene::send(client, "plugins.try", &json!({"text": words}));
    let story = scene::story(client, &event);
    let run = &story["runs"][0];
    assert_eq!(run["state"], "done", "{run:#}");
    (text(&run["decision"]["conditions"][0]["version"]), text(&run["steps"][0]["version"]))
}

#[test]
fn an_invalid_upload_is_rejected_with_its_reason_and_changes_nothing() {
    let server = Server::shared();
    let client = server.space("bad-uploads");
    let ticket = scene::ticket(&client, "Watched");
    noting(&client, "note-add", ticket);
    let before = client.get("/v1/plugins").expect(200);

    let good = workspace::plugin("match");
    let cached = std::fs::read_dir(server.data().join("cache")).unwrap().next().unwrap().unwrap().path();
    // The first forty bytes are the cache's own; machine code follows.
    let machine_code = std::fs::read(cached).unwrap()[40..].to_vec();
    let manifest_at_0 = "(i32.const 0)";
    let rows: &[(&str, Vec<u8>, u16, &str, &str)] = &[
        ("match", Vec::new(), 422, "plugin.not_wasm", "empty"),
        ("match", b"#!/bin/sh\necho hello".to_vec(), 422, "plugin.not_wasm", "begins with"),
        ("match", component("(module)"), 422, "plugin.core_module", "component new"),
        ("match", machine_code, 422, "plugin.precompiled", "never accepted"),
        ("match", good[..good.len() / 2].to_vec(), 422, "plugin.malformed", "damaged"),
        ("match", component("(component)"), 422, "plugin.no_known_world", "exports nothing"),
        ("match", renamed("match", "condition@0.1.0", "condition@9.9.9"), 422, "plugin.no_known_world", "9.9.9"),
        ("match", renamed("note-add", "plugin/action@", "plugin/potion@"), 422, "plugin.no_known_world", "potion"),
        (
            "match",
            renamed("note-add", "plugin/tickets@", "plugin/kitchen@"),
            422,
            "plugin.import_not_granted",
            "kitchen",
        ),
        ("match", describing("unreachable"), 422, "plugin.describe_trapped", "unreachable"),
        ("match", describing("(loop $on (br $on)) unreachable"), 422, "plugin.describe_failed", "limit"),
        ("match", describing(manifest_at_0), 422, "plugin.manifest_invalid", "`name`"),
        ("match", other_version("match", "0.1.x"), 422, "plugin.manifest_invalid", "0.1.x"),
        ("match", vec![0; 32 * MIB + 1], 413, "plugin.too_large", "33554432"),
        ("Match", good.clone(), 422, "plugin.name_invalid", "Match"),
        ("a%2Fb", good.clone(), 422, "plugin.name_invalid", "a/b"),
        ("%2e%2e%2Fmatch", good.clone(), 422, "plugin.name_invalid", "../match"),
        // It is good, but the automation above uses `match` as a condition.
        ("match", workspace::plugin("note-add"), 409, "plugin.parameters_incompatible", "when"),
    ];
    for (name, bytes, status, code, part) in rows {
        let answer = client.put(&format!("/v1/plugins/{name}"), bytes);
        let problem = answer.problem(*status, code);
        assert!(text(&problem["detail"]).contains(part), "{part}: {answer}");
        assert_eq!(client.get("/v1/plugins").expect(200), before, "{code} changed something");
    }
    assert_eq!(handled_by(&client, "still here"), ("0.1.0".to_owned(), "0.1.0".to_owned()));
    assert_eq!(scene::notes(&client, ticket), ["still here"]);
    server.client().get("/healthz").expect(200);
}

#[test]
fn an_upload_replaces_the_built_in_plugin_and_deleting_it_restores_that() {
    let mut server = Server::start(Options::default());
    let client = server.space("uploads");
    let ticket = scene::ticket(&client, "Watched");
    noting(&client, "note-add", ticket);
    assert_eq!(handled_by(&client, "1"), ("0.1.0".to_owned(), "0.1.0".to_owned()));

    let put = client.put("/v1/plugins/note-add", &other_version("note-add", "0.2.0")).expect(200);
    assert_eq!((&put["name"], &put["origin"], &put["state"]), (&json!("note-add"), &json!("uploaded"), &json!("live")));
    assert_eq!((&put["version"], &put["kinds"]), (&json!("0.2.0"), &json!(["action"])));
    assert_eq!(put["replaced"]["version"], "0.1.0", "the one that came with the server");
    assert_eq!(handled_by(&client, "2").1, "0.2.0");
    let put = client.put("/v1/plugins/note-add", &other_version("note-add", "0.3.0")).expect(200);
    assert_eq!(put["replaced"]["version"], "0.2.0");
    assert_eq!(handled_by(&client, "3").1, "0.3.0");
    let read = client.get("/v1/plugins/note-add").expect(200);
    for field in ["digest", "size_bytes", "summary", "parameters", "imports"] {
        assert!(!read[field].is_null(), "{field}: {read:#}");
    }
    assert_eq!(read["parameters"]["required"], json!(["id", "text"]));

    server.restart();
    let client = client_again(&server, "uploads");
    assert_eq!(handled_by(&client, "4").1, "0.3.0", "an upload outlives a restart");

    client.delete("/v1/plugins/note-add").expect(204);
    let read = client.get("/v1/plugins/note-add").expect(200);
    assert_eq!((&read["version"], &read["origin"]), (&json!("0.1.0"), &json!("builtin")));
    assert_eq!(handled_by(&client, "5").1, "0.1.0");
    assert_eq!(scene::notes(&client, ticket), ["1", "2", "3", "4", "5"]);

    client.delete("/v1/plugins/note-add").problem(409, "plugin.not_uploaded");
    client.delete("/v1/plugins/nobody-knows").problem(404, "plugin.not_found");
    client.get("/v1/plugins/nobody-knows").problem(404, "plugin.not_found");
}

/// A key of the same space, at the address that the server has after a restart.
fn client_again(server: &Server, space: &str) -> Client {
    server.space(space)
}

#[test]
fn a_plugin_that_an_automation_uses_cannot_be_deleted() {
    let server = Server::shared();
    let client = server.space("in-use");
    let ticket = scene::ticket(&client, "Watched");
    client.put("/v1/plugins/my-note", &other_version("note-add", "0.4.0")).expect(200);
    let automation = noting(&client, "my-note", ticket);
    let problem = client.delete("/v1/plugins/my-note").problem(409, "plugin.in_use");
    assert!(text(&problem["detail"]).contains(&automation), "{problem}");
    assert_eq!(handled_by(&client, "used").1, "0.4.0");
    client.delete(&format!("/v1/automations/{automation}")).expect(204);
    client.delete("/v1/plugins/my-note").expect(204);
    client.get("/v1/plugins/my-note").problem(404, "plugin.not_found");
}

/// Waits until the plugin is listed so.
#[track_caller]
fn until(client: &Client, name: &str, is_so: impl Fn(u16, &Value) -> bool) -> Value {
    eventually(|| {
        let answer = client.get(&format!("/v1/plugins/{name}"));
        let found = answer.json();
        if is_so(answer.status, &found) { Ok(found) } else { Err(answer.to_string()) }
    })
}

#[test]
fn a_component_in_the_folder_is_live_while_it_exists_and_the_last_good_version_stays() {
    let server = Server::start(Options::default());
    let client = server.client();
    let folder = server.data().join("plugins");
    let file = folder.join("folder-note.wasm");
    let (first, second) = (other_version("note-add", "1.0.0"), other_version("note-add", "2.0.0"));
    let version = |wanted: &'static str| move |_: u16, found: &Value| found["version"] == wanted;

    std::fs::write(&file, &first).unwrap();
    let found = until(&client, "folder-note", version("1.0.0"));
    assert_eq!((&found["origin"], &found["state"]), (&json!("folder"), &json!("live")));
    let ticket = scene::ticket(&client, "Watched");
    noting(&client, "folder-note", ticket);
    assert_eq!(handled_by(&client, "1").1, "1.0.0");

    std::fs::write(&file, &second).unwrap();
    until(&client, "folder-note", version("2.0.0"));
    assert_eq!(handled_by(&client, "2").1, "2.0.0");

    // Somebody's copying breaks off in the middle.
    std::fs::write(&file, &first[..first.len() / 2]).unwrap();
    let found = until(&client, "folder-note", |_, found| found["error"]["code"] == "plugin.malformed");
    assert_eq!((&found["version"], &found["state"]), (&json!("2.0.0"), &json!("live")), "{found:#}");
    assert_eq!(handled_by(&client, "3").1, "2.0.0");

    // The rest arrives, by way of a rename.
    std::fs::write(folder.join(".folder-note.new"), &first).unwrap();
    std::fs::rename(folder.join(".folder-note.new"), &file).unwrap();
    let found = until(&client, "folder-note", version("1.0.0"));
    assert_eq!(found["error"], Value::Null, "{found:#}");

    std::fs::write(folder.join("Bad_Name.wasm"), &first).unwrap();
    std::fs::write(folder.join("new-and-bad.wasm"), b"nothing").unwrap();
    let found = until(&client, "new-and-bad", |status, _| status == 200);
    assert_eq!((&found["state"], &found["error"]["code"]), (&json!("failed"), &json!("plugin.not_wasm")), "{found:#}");

    std::fs::remove_file(&file).unwrap();
    until(&client, "folder-note", |status, _| status == 404);
    assert_eq!(scene::notes(&client, ticket), ["1", "2", "3"]);
    server.client().get("/healthz").expect(200);
}

#[test]
fn runs_are_parked_visibly_while_their_plugin_is_missing() {
    let server = Server::start(Options::default());
    let client = server.client();
    let file = server.data().join("plugins/leaving.wasm");
    std::fs::write(&file, other_version("note-add", "1.0.0")).unwrap();
    until(&client, "leaving", |status, _| status == 200);
    let ticket = scene::ticket(&client, "Watched");
    noting(&client, "leaving", ticket);
    std::fs::remove_file(&file).unwrap();
    until(&client, "leaving", |status, _| status == 404);

    let event = scene::send(&client, "plugins.try", &json!({"text": "late"}));
    let story = scene::story_when(&client, &event, |story| story["runs"][0]["state"] == "parked");
    assert_eq!(story["runs"][0]["waits_for"], "leaving", "{story:#}");
    assert!(story["summary"].to_string().contains("waits for the plugin `leaving`"), "{story:#}");
    std::fs::write(&file, other_version("note-add", "1.0.1")).unwrap();
    assert_eq!(scene::story(&client, &event)["runs"][0]["state"], "done");
    assert_eq!(scene::notes(&client, ticket), ["late"]);
}

#[test]
fn an_action_written_in_javascript_works_like_any_other() {
    let server = Server::shared();
    let client = server.space("javascript");
    let put = client.put("/v1/plugins/summarise", &workspace::example("summarise")).expect(200);
    assert_eq!(put["kinds"], json!(["action"]));
    let ticket = scene::ticket(&client, "Summed up");
    scene::automation(
        &client,
        &json!({
            "name": "sum up",
            "on": ["build.*"],
            "then": [
                {"action": "summarise", "with": {"ticket": ticket, "fields": ["status", "minutes"]}},
                {"action": "note-add", "with": {"id": ticket, "text": "{{steps.summarise.outcome}}"}},
            ],
        }),
    );
    let event = scene::send(&client, "build.finished", &json!({"status": "grün", "minutes": 7, "else": 1}));
    let story = scene::story(&client, &event);
    assert_eq!(story["runs"][0]["state"], "done", "{story:#}");
    let notes = scene::notes(&client, ticket);
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes[0].starts_with("build.finished from api") && notes[0].contains("status \"grün\""), "{notes:?}");
    assert!(notes[0].contains("minutes 7") && notes[1] == "done", "{notes:?}");

    let wrong = json!({"name": "x", "on": ["x"], "then": [{"action": "summarise", "with": {"fields": "all"}}]});
    let answer = client.post("/v1/automations", &wrong);
    answer.problem(422, "input.invalid");
    assert_eq!(answer.paths(), ["then[0].with.fields"], "its schema is used as well: {answer}");
}

fn files(dir: &Path) -> Vec<(String, u64, SystemTime)> {
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let data = entry.metadata().unwrap();
            (entry.file_name().to_string_lossy().into_owned(), data.len(), data.modified().unwrap())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn a_second_start_compiles_nothing() {
    let mut server = Server::start(Options::default().cold());
    server.all_loaded();
    let client = server.client();
    client.put("/v1/plugins/uploaded", &other_version("note-add", "3.0.0")).expect(200);
    std::fs::write(server.data().join("plugins/dropped.wasm"), other_version("match", "3.0.0")).unwrap();
    until(&client, "dropped", |status, _| status == 200);
    let compiled = |client: &Client| -> Vec<(String, bool)> {
        let listed = scene::all(client, "/v1/plugins");
        listed.iter().map(|plugin| (text(&plugin["name"]), plugin["compiled"] == true)).collect()
    };
    let first = compiled(&client);
    assert!(first.len() >= 10 && first.iter().all(|(_, compiled)| *compiled), "{first:?}");
    server.stop();

    let cache = server.data().join("cache");
    let before = files(&cache);
    assert_eq!(before.len(), first.len(), "{before:?}");
    server.restart();
    let second = compiled(&server.client());
    assert_eq!(second.len(), first.len());
    assert!(second.iter().all(|(_, compiled)| !compiled), "{second:?}");
    assert_eq!(files(&cache), before, "the cache is untouched");

    // A cache that was damaged is as good as none.
    server.stop();
    for (name, length, _) in &before {
        std::fs::write(cache.join(name), vec![7; usize::try_from(*length).unwrap()]).unwrap();
    }
    server.restart();
    server.all_loaded();
    let third = compiled(&server.client());
    assert!(third.iter().all(|(_, compiled)| *compiled), "{third:?}");
}
