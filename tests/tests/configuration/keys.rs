//! Keys of a configuration: rotated, expiring, expired.

use std::time::Duration;

use hookwright_tests::scene::{self, text};
use hookwright_tests::{Client, Options, Server};
use serde_json::{Value, json};

use super::{actions, body, has, plan};

/// The keys of a space, by name, as an export has them.
fn exported_keys(client: &Client) -> Vec<Value> {
    let exported = client.get("/v1/configuration/export?section=keys").expect(200);
    assert_eq!(exported["left_out"], json!([]), "{exported}");
    exported["configuration"]["keys"].as_array().unwrap().clone()
}

#[test]
fn a_rotated_key_is_one_key_of_the_configuration_during_its_overlap() {
    let server = Server::shared();
    let client = server.space("configuration-rotated-key");
    let own = json!({"name": "test", "role": "admin"});
    let viewer = json!({"name": "k", "role": "viewer"});
    let given = body(json!({"keys": [viewer]}));
    let made = client.post("/v1/configuration/apply", &given).expect(200);
    let former = client.with_key(&text(&made["shown"][0]["value"]));
    let id_of = |name: &str| -> Vec<String> {
        let keys = scene::all(&client, "/v1/keys");
        keys.iter().filter(|key| key["name"] == name).map(|key| text(&key["id"])).collect()
    };
    let old = id_of("k").remove(0);
    let rotate = format!("/v1/keys/{old}/rotate");
    let rotated = client.post(&rotate, &json!({"overlap_seconds": 3600})).expect(201);
    assert_eq!(id_of("k").len(), 2);
    let shown = client.get(&format!("/v1/keys/{old}")).expect(200);
    assert_eq!((&shown["replaced_by"], rotated.get("replaced_by")), (&rotated["id"], None));

    assert_eq!(exported_keys(&client), [viewer.clone(), own.clone()]);
    assert_eq!(plan(&client, &given)["summary"], json!({"create": 0, "change": 0, "delete": 0, "unchanged": 1}));
    let editor = body(json!({"keys": [{"name": "k", "role": "editor"}]}));
    client.post("/v1/configuration/apply", &editor).expect(200);
    let role = |id: &str| client.get(&format!("/v1/keys/{id}")).expect(200)["role"].clone();
    assert_eq!((role(&text(&rotated["id"])), role(&old)), (json!("editor"), json!("viewer")));
    client.post(&rotate, &json!({"overlap_seconds": 60})).problem(409, "key.replaced");

    let pruned = json!({"configuration": {"keys": [own]}, "prune": true});
    let planned = plan(&client, &pruned);
    let row = |action: &str, name: &str| (action.to_owned(), name.to_owned());
    assert_eq!(actions(&planned), [row("unchanged", "test"), row("delete", "k")]);
    assert_eq!(planned.get("left_alone"), None, "{planned}");
    client.post("/v1/configuration/apply", &pruned).expect(200);
    assert!(id_of("k").is_empty(), "the replaced one ends with it");
    former.get("/v1/tickets").problem(401, "auth.invalid");
}

#[test]
fn a_replaced_key_has_no_more_permissions_than_its_successor() {
    let server = Server::shared();
    let client = server.space("configuration-lowered-key");
    let given = |role: &str, more: Value| {
        let mut key = json!({"name": "k", "role": role});
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body(json!({"keys": [key]}))
    };
    client.post("/v1/configuration/apply", &given("editor", json!({}))).expect(200);
    let keys = scene::all(&client, "/v1/keys");
    let old = format!("/v1/keys/{}", text(&keys.iter().find(|key| key["name"] == "k").unwrap()["id"]));
    let rotated = client.post(&format!("{old}/rotate"), &json!({"overlap_seconds": 86_400})).expect(201);
    let role = || client.get(&old).expect(200)["role"].clone();
    client.post("/v1/configuration/apply", &given("admin", json!({}))).expect(200);
    assert_eq!(role(), "editor", "it was not given more");
    client.post("/v1/configuration/apply", &given("viewer", json!({}))).expect(200);
    assert_eq!(role(), "viewer");
    let soon = text(
        &client.post("/v1/keys", &json!({"name": "s", "role": "viewer", "expires_in_seconds": 600})).expect(201)["expires_at"],
    );
    client.post("/v1/configuration/apply", &given("viewer", json!({"expires_at": soon}))).expect(200);
    assert_eq!(client.get(&old).expect(200)["expires_at"], soon);

    client.delete(&format!("/v1/keys/{}", text(&rotated["id"]))).expect(204);
    client.get(&old).problem(404, "key.not_found");
}

#[test]
fn applying_a_document_during_key_rotation_locks_nobody_out() {
    let server = Server::shared();
    let client = server.space("configuration-own-key");
    let own = text(&client.get("/v1/keys").expect(200)["data"][0]["id"]);
    client.post(&format!("/v1/keys/{own}/rotate"), &json!({"overlap_seconds": 3600})).expect(201);
    let pruned = json!({"configuration": {"keys": []}, "prune": true});
    let lowered = body(json!({"keys": [{"name": "test", "role": "viewer"}]}));
    for (document, path) in [(pruned, "keys.test"), (lowered, "keys[0].role")] {
        let answer = client.post("/v1/configuration/apply", &document);
        assert_eq!(answer.paths(), [path], "{answer}");
        has(&answer.json()["errors"].to_string(), &["this replaced the key that you are using"]);
    }
    assert_eq!(scene::all(&client, "/v1/keys").len(), 2);
}

#[test]
fn keys_in_files_expire_as_configured_and_expired_ones_are_rejected() {
    let server = Server::start(Options::default().clock());
    let client = server.client();
    let expiring = |name: &str, seconds: u64| {
        let made = json!({"name": name, "role": "viewer", "expires_in_seconds": seconds});
        text(&client.post("/v1/keys", &made).expect(201)["expires_at"])
    };
    let (soon, later) = (expiring("soon", 3600), expiring("later", 7200));
    let found = exported_keys(&client).into_iter().find(|key| key["name"] == "soon");
    assert_eq!(found, Some(json!({"name": "soon", "role": "viewer", "expires_at": soon})));

    let given = |end: Value| {
        let mut key = json!({"name": "k", "role": "viewer"});
        key.as_object_mut().unwrap().extend(end.as_object().unwrap().clone());
        body(json!({"keys": [key]}))
    };
    let fields = |end: Value| plan(&client, &given(end))["changes"][0]["fields"].clone();
    client.post("/v1/configuration/apply", &given(json!({"expires_at": soon}))).expect(200);
    let listed = scene::all(&client, "/v1/keys");
    assert_eq!(listed.iter().find(|key| key["name"] == "k").unwrap()["expires_at"], soon);
    assert_eq!(plan(&client, &given(json!({"expires_at": soon})))["summary"]["unchanged"], 1);
    assert_eq!(fields(json!({"expires_at": later})), json!([{"path": "expires_at", "from": soon, "to": later}]));
    assert_eq!(fields(json!({})), json!([{"path": "expires_at", "from": soon}]));
    for (wrong, part) in [
        ("2020-01-01T00:00:00Z", "is past: give a later time"),
        ("2999-01-01T00:00:00Z", "is too far away"),
        ("tomorrow", "RFC 3339"),
    ] {
        let answer = client.post("/v1/configuration/plan", &given(json!({"expires_at": wrong})));
        assert_eq!(answer.paths(), ["keys[0].expires_at"], "{wrong}: {answer}");
        has(&answer.json()["errors"].to_string(), &[part]);
    }

    expiring("brief", 60);
    let exported = || exported_keys(&client).iter().any(|key| key["name"] == "brief");
    assert!(exported());
    server.advance(Duration::from_secs(60));
    assert!(!exported());
    assert!(scene::all(&client, "/v1/keys").iter().any(|key| key["name"] == "brief"), "it is still listed");
    let brief = body(json!({"keys": [{"name": "brief", "role": "viewer"}]}));
    assert_eq!(plan(&client, &brief)["summary"]["create"], 1, "its name is free");
}
