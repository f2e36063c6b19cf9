//! Real payloads from GitHub, signed by GitHub's own library.

use std::collections::BTreeSet;

use hookwright_tests::programs::{self, node};
use hookwright_tests::scene::{self, text};
use hookwright_tests::{Answer, Client, Server};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const SECRET: &str = "It's a Secret to Everybody";

#[track_caller]
fn source(client: &Client) -> Value {
    client.post("/v1/sources", &json!({"name": "github", "kind": "github", "secret": SECRET})).expect(201)
}

#[test]
fn every_example_payload_is_accepted_typed_and_stored_byte_for_byte() {
    let server = Server::shared();
    let client = server.space("github-examples");
    let url = text(&source(&client)["url"]);

    let sent = programs::lines(node("github.mjs").args([&url, SECRET]), "");
    assert!(sent.len() > 700, "{} payloads only: is the package there as a whole?", sent.len());
    for one in &sent {
        assert_eq!(one["status"], 202, "{one:#}");
        let answer: Value = serde_json::from_str(one["answer"].as_str().unwrap()).unwrap();
        assert_eq!(answer["id"], one["delivery"]);
    }

    let stored = scene::all(&client, "/v1/events");
    assert_eq!(stored.len(), sent.len());
    let mut types = BTreeSet::new();
    for one in &sent {
        let id = text(&one["delivery"]);
        let event = stored.iter().find(|event| event["id"] == *id).unwrap_or_else(|| panic!("{id} is not listed"));
        let action = one["action"].as_str().map(|action| format!(".{action}")).unwrap_or_default();
        let wanted = format!("github.{}{action}", text(&one["event"]));
        assert_eq!((&event["type"], &event["source"]), (&json!(wanted), &json!("github")));
        types.insert(wanted);
        let payload = client.get(&format!("/v1/events/{id}/payload"));
        assert_eq!(payload.header("content-type"), Some("application/json"));
        assert_eq!(hex::encode(Sha256::digest(&payload.body)), text(&one["sha256"]), "{event:#}");
    }
    assert!(types.len() > 100 && types.contains("github.issues.opened") && types.contains("github.push"));
}

/// A delivery by hand. `signature` is that of `signed`, which need not be what is sent.
fn deliver(client: &Client, url: &str, id: &str, body: &[u8], signed: &[u8], secret: &str) -> Answer {
    let signature = format!("sha256={}", hex::encode(hmac(secret.as_bytes(), signed)));
    let headers = [
        ("content-type", "application/json"),
        ("x-github-delivery", id),
        ("x-github-event", "issues"),
        ("x-hub-signature-256", &signature),
    ];
    client.without_key().send("POST", url, &headers, body)
}

/// HMAC-SHA256 (RFC 2104), written out so that no code of the server's checks the server.
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().into()
}

const OPENED: &[u8] = br#"{"action": "opened",  "repository": {"full_name": "octo/cat"}, "issue": {"number": 1}}"#;

#[test]
fn modified_or_unsigned_payloads_are_rejected_and_not_stored() {
    let server = Server::shared();
    let client = server.space("github-tampered");
    let url = text(&source(&client)["url"]);
    let tampered = String::from_utf8_lossy(OPENED).replace("\"number\": 1", "\"number\": 2");

    deliver(&client, &url, "t-1", tampered.as_bytes(), OPENED, SECRET).problem(401, "github.signature_wrong");
    deliver(&client, &url, "t-2", OPENED, OPENED, "another secret").problem(401, "github.signature_wrong");
    let bare = client.without_key();
    let named = [("content-type", "application/json"), ("x-github-delivery", "t-3"), ("x-github-event", "issues")];
    bare.send("POST", &url, &named, OPENED).problem(401, "github.signature_missing");
    for wrong in ["sha1=00", "sha256=zz", "sha256=", "sha256=00", ""] {
        let headers = [named[0], named[1], named[2], ("x-hub-signature-256", wrong)];
        bare.send("POST", &url, &headers, OPENED).problem(401, "github.signature_wrong");
    }
    bare.get(&url).problem(405, "github.method");
    assert_eq!(scene::all(&client, "/v1/events"), Vec::<Value>::new());
}

#[test]
fn a_redelivery_is_accepted_once() {
    let server = Server::shared();
    let client = server.space("github-repeated");
    let url = text(&source(&client)["url"]);
    let ticket = scene::ticket(&client, "Watched");
    scene::automation(
        &client,
        &json!({
            "name": "note",
            "on": ["github.issues.*"],
            "then": [{"action": "note-add", "with": {"id": ticket, "text": "{{event.id}} {{event.subject}}"}}],
        }),
    );
    for _ in 0..5 {
        let answer = deliver(&client, &url, "once-1", OPENED, OPENED, SECRET).expect(202);
        assert_eq!(answer["id"], "once-1");
    }
    scene::story(&client, "once-1");
    assert_eq!(scene::notes(&client, ticket), ["once-1 octo/cat"]);
    assert_eq!(scene::all(&client, "/v1/events?source=github").len(), 1);
}

#[test]
fn a_disabled_or_deleted_source_accepts_nothing() {
    let server = Server::shared();
    let client = server.space("github-off");
    let made = source(&client);
    let (url, path) = (text(&made["url"]), format!("/v1/sources/{}", text(&made["id"])));
    client.patch(&path, &json!({"active": false})).expect(200);
    deliver(&client, &url, "o-1", OPENED, OPENED, SECRET).problem(403, "source.inactive");
    client.patch(&path, &json!({"active": true})).expect(200);
    deliver(&client, &url, "o-2", OPENED, OPENED, SECRET).expect(202);
    client.delete(&path).expect(204);
    deliver(&client, &url, "o-3", OPENED, OPENED, SECRET).problem(404, "source.not_found");
    deliver(&client, &client.url("/in/no-such-token"), "o-4", OPENED, OPENED, SECRET).problem(404, "source.not_found");
    let ids: Vec<String> = scene::all(&client, "/v1/events").iter().map(|event| text(&event["id"])).collect();
    assert_eq!(ids, ["o-2"]);
}
