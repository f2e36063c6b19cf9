//! Releases and development versions.

use hookwright_tests::components::{changed, other_version};
use serde_json::Value;

use super::{Desk, GOOD, has, row};

/// The component of a version with other bytes: its summary is another.
fn other_bytes(version: &str, letter: &str) -> Vec<u8> {
    changed(&other_version("note-add", version), "Adds a note", &format!("Adds {letter} note"))
}

#[test]
fn a_release_number_identifies_its_bytes() {
    let desk = Desk::new();
    desk.file("notes.wasm", other_version("note-add", "1.0.0"));
    desk.run("plugin push notes.wasm").ok();
    has(&desk.run("plugin push notes.wasm").ok(), &["notes 1.0.0"]);
    desk.file("notes.wasm", other_bytes("1.0.0", "b"));
    has(&desk.run("plugin push notes.wasm").ends(1), &["plugin.version_taken", "1.0.0", "another version"]);
    let client = desk.server.client();
    client.put("/v1/plugins/notes?activate=false", &other_bytes("1.0.0", "c")).problem(409, "plugin.version_taken");
    client.put("/v1/plugins/notes?rollout=canary", &other_bytes("1.0.0", "c")).problem(409, "plugin.version_taken");
    client.put("/v1/plugins/notes?dev=true", &other_bytes("1.0.0", "c")).expect(200);
}

#[test]
fn development_versions_evict_no_release_and_are_not_promoted() {
    let desk = Desk::new();
    let client = desk.server.client();
    for version in ["1.0.0", "1.1.0", "1.2.0"] {
        client.put("/v1/plugins/notes", &other_version("note-add", version)).expect(200);
    }
    for letter in "bcdefghijklmnopqrstuvwxyz".chars() {
        let put = client.put("/v1/plugins/notes?dev=true", &other_bytes("1.2.0", &letter.to_string())).expect(200);
        assert_eq!((&put["state"], &put["dev"]), (&"live".into(), &true.into()), "{put:#}");
    }
    let listed = desk.run("plugin versions notes --json").json();
    let listed: Vec<&Value> = listed["data"].as_array().unwrap().iter().collect();
    let count = |dev: bool| listed.iter().filter(|version| version["dev"] == dev).count();
    assert_eq!((count(true), count(false)), (5, 3));
    has(row(&desk.run("plugin versions notes").ok(), "1.2.0"), &["live, dev"]);

    let dev = listed.iter().find(|version| version["dev"] == true && version["state"] != "live").unwrap();
    let dev = &dev["digest"].as_str().unwrap()[..12];
    has(&desk.run(&format!("plugin activate notes {dev}")).ends(1), &["plugin.version_dev", dev]);
    let rolled = desk.run("plugin rollback notes").ok();
    has(&rolled, &["notes 1.2.0"]);
    assert!(!rolled.contains("dev"), "{rolled}");
    // Each call goes one release further back, and none comes back to what was left.
    has(&desk.run("plugin rollback notes").ok(), &["notes 1.1.0"]);
    has(&desk.run("plugin rollback notes").ok(), &["notes 1.0.0"]);
    has(&desk.run("plugin rollback notes").ends(1), &["plugin.no_former_version", "activate"]);
    has(&desk.run("plugin activate notes 1.2.0").ok(), &["notes 1.2.0"]);
}

#[test]
fn a_component_with_failing_cases_is_not_pushed_by_default() {
    let desk = Desk::new();
    desk.file("mine/match.wasm", other_version("match", "0.2.0"));
    desk.file("mine/cases/holds.json", GOOD.replace("true", "false"));
    has(&desk.run("plugin push mine/match.wasm").ends(1), &["case.failed", "FAIL  holds", "nothing is pushed"]);
    assert_ne!(desk.server.client().get("/v1/plugins/match/versions").status, 200, "nothing was uploaded");
    has(&desk.run("plugin push mine/match.wasm --no-test").ok(), &["match 0.2.0"]);
    desk.file("mine/cases/holds.json", GOOD);
    desk.file("mine/match.wasm", other_version("match", "0.3.0"));
    has(&desk.run("plugin push mine/match.wasm").ok(), &["match 0.3.0"]);
}
