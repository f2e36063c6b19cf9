//! A released version of the WIT package never changes, and components that were built for it load for ever: those in
//! `tests/golden/VERSION` are kept as they were on the day of its release.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hookwright_tests::scene::{self, text};
use hookwright_tests::{Server, workspace};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The released versions.
fn released() -> Vec<PathBuf> {
    let folder = workspace::root().join("tests/golden");
    let mut versions: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    versions.sort();
    assert!(!versions.is_empty(), "no released version has golden components");
    versions
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// SHA-256 in hex of a file.
fn digest(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    hex::encode(Sha256::digest(bytes))
}

/// Every file of a folder with its digest.
fn digests(folder: &Path) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    entries.filter(|path| path.is_file()).map(|path| (name(&path), digest(&path))).collect()
}

#[test]
fn released_wit_versions_are_unchanged() {
    for version in released() {
        let kept: BTreeMap<String, String> =
            serde_json::from_str(&std::fs::read_to_string(version.join("wit.json")).unwrap()).unwrap();
        let present = digests(&workspace::root().join("wit").join(name(&version)));
        assert_eq!(present, kept, "wit/{} was released: add a version beside it instead", name(&version));
    }
}

#[test]
fn the_golden_components_are_unchanged() {
    for version in released() {
        let kept: BTreeMap<String, String> =
            serde_json::from_str(&std::fs::read_to_string(version.join("components.json")).unwrap()).unwrap();
        let mut present = digests(&version);
        present.retain(|name, _| name.ends_with(".wasm"));
        assert_eq!(present, kept, "what was built on the day of the release is never built again");
        for kind in ["condition", "action", "transform", "source"] {
            assert!(kept.contains_key(&format!("{kind}.wasm")), "{kind} is missing in {}", version.display());
        }
    }
}

#[test]
fn plugins_built_for_any_released_version_load_and_work() {
    let server = Server::shared();
    for version in released() {
        let client = server.space(&format!("golden-{}", name(&version).replace('.', "-")));
        for (kind, of) in
            [("condition", "match"), ("action", "note-add"), ("transform", "form-to-json"), ("source", "token")]
        {
            let bytes = std::fs::read(version.join(format!("{kind}.wasm"))).unwrap();
            let put = client.put(&format!("/v1/plugins/golden-{kind}"), &bytes).expect(200);
            assert_eq!((&put["kinds"], &put["declared_name"]), (&json!([kind]), &json!(of)));
            let of_version = |import: &Value| text(import).ends_with(&format!("@{}", name(&version)));
            assert!(put["imports"].as_array().unwrap().iter().all(of_version), "{put:#}");
        }
        let ticket = scene::ticket(&client, "Golden");
        scene::automation(
            &client,
            &json!({"name": "golden", "on": ["golden"],
                "when": {"condition": "golden-condition", "with": {"path": "data.form", "contains": "a="}},
                "then": [
                    {"transform": "golden-transform", "name": "form", "input": "{{event.data.form}}",
                        "with": {"content_type": "application/x-www-form-urlencoded"}},
                    {"action": "golden-action", "with": {"id": ticket, "text": "a is {{steps.form.result.a}}"}}]}),
        );
        let event = scene::send(&client, "golden", &json!({"form": "a=1"}));
        let story = scene::story(&client, &event);
        assert_eq!(story["runs"][0]["decision"]["fired"], true, "{story:#}");
        assert_eq!(scene::notes(&client, ticket), ["a is 1"], "{story:#}");

        let made = client
            .post(
                "/v1/sources",
                &json!({"name": "golden", "kind": "golden-source", "secret": "s3cret",
                    "with": {"header": "x-token", "event": {"type": "golden.arrived"}}}),
            )
            .expect(201);
        let url = text(&made["url"]);
        let path = &url[url.find("/in/").unwrap()..];
        let bare = client.without_key();
        let headers = [("content-type", "application/json"), ("x-token", "s3cret")];
        assert_eq!(bare.send("POST", path, &headers, b"{\"n\":1}").status, 202);
        let wrong = [("content-type", "application/json"), ("x-token", "other")];
        assert_eq!(bare.send("POST", path, &wrong, b"{}").status, 401);
        let events = scene::all(&client, "/v1/events?type=golden.arrived");
        assert_eq!(events.len(), 1, "{events:?}");
    }
}
