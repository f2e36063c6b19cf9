//! Whatever a provider sends: kept byte for byte, shown in the source's log, and made an automation of.

use hookwright_tests::scene::{self, text};
use hookwright_tests::{Client, Options, Server, eventually};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

#[track_caller]
fn source(client: &Client, kind: &str, with: &Value, secret: Option<&str>) -> (String, String) {
    let mut input = json!({"name": kind, "kind": kind, "with": with});
    if let Some(secret) = secret {
        input["secret"] = secret.into();
    }
    let made = client.post("/v1/sources", &input).expect(201);
    (format!("/v1/sources/{}", text(&made["id"])), text(&made["url"]))
}

/// Bodies of every sort, with what the inbox makes of them.
fn bodies() -> Vec<(&'static str, Vec<u8>, Value)> {
    let multipart =
        b"--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b\r\nContent-Disposition: form-data; \
        name=\"f\"; filename=\"x.bin\"\r\nContent-Type: image/png\r\n\r\n\x89PNG\xff\r\n--b--\r\n";
    let parts = json!({"parts": [{"name": "a", "text": "1"},
        {"name": "f", "filename": "x.bin", "content_type": "image/png", "base64": "iVBOR/8="}]});
    vec![
        (
            "application/json",
            b"{ \"n\": 1.10,\r\n \"b\":[ ] }".to_vec(),
            serde_json::from_str(r#"{"n": 1.10, "b": []}"#).unwrap(),
        ),
        ("application/x-www-form-urlencoded", b"a=1&b=x+y&a=%C3%BC".to_vec(), json!({"a": ["1", "ü"], "b": "x y"})),
        ("multipart/form-data; boundary=b", multipart.to_vec(), parts),
        (
            "application/xml",
            b"<?xml version='1.0'?>\n<o id='7'> <i>x</i></o>".to_vec(),
            json!({"o": {"@id": "7", "i": "x"}}),
        ),
        ("text/plain", b" hello\r\n".to_vec(), json!(" hello\r\n")),
        ("application/octet-stream", b"\x00\xff\xfe".to_vec(), json!("AP/+")),
        ("application/json", b"{oops".to_vec(), json!("{oops")),
    ]
}

/// The event of an answer: its payload is the body, byte for byte.
#[track_caller]
fn kept(client: &Client, answer: &Value, content_type: &str, body: &[u8]) -> Value {
    let id = text(&answer["id"]);
    let payload = client.get(&format!("/v1/events/{id}/payload"));
    assert_eq!(payload.body, body, "{content_type}: the payload is not what was sent");
    assert_eq!(payload.header("content-type"), Some(content_type));
    let listed = scene::all(client, "/v1/events").into_iter().find(|event| event["id"] == id.as_str());
    listed.unwrap_or_else(|| panic!("{id} is not listed"))
}

#[test]
fn every_type_of_body_is_stored_byte_for_byte_and_can_be_read() {
    let server = Server::shared();
    let client = server.space("inbox-bodies");
    let (_, url) = source(&client, "inbox", &json!({}), None);
    for (content_type, body, data) in bodies() {
        let answer = client.without_key().send("POST", &url, &[("content-type", content_type)], &body).expect(202);
        let event = kept(&client, &answer, content_type, &body);
        assert_eq!((&event["type"], &event["source"]), (&json!("inbox.received"), &json!("inbox")));
        let story = client.get(&format!("/v1/events/{}", text(&answer["id"]))).expect(200);
        assert_eq!(story["event"]["data"], data, "{content_type}: {story:#}");
    }
}

/// HMAC-SHA256 (RFC 2104), written out so that no code of the server's checks the server.
fn hmac(key: &[u8], message: &[u8]) -> String {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(message).finalize();
    let code = Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize();
    hex::encode(code)
}

#[test]
fn verified_sources_store_every_type_of_body_byte_for_byte() {
    let server = Server::shared();
    let client = server.space("inbox-verified");
    let (_, signed) = source(&client, "hmac", &json!({"header": "X-Signature"}), Some("s3cret"));
    let (_, token) = source(&client, "token", &json!({"header": "X-Token"}), Some("s3cret"));
    let anyone = client.without_key();
    for (content_type, body, _) in bodies().into_iter().filter(|(_, body, _)| body != b"{oops") {
        let kind = ("content-type", content_type);
        let code = hmac(b"s3cret", &body);
        let answer = anyone.send("POST", &signed, &[kind, ("x-signature", &code)], &body).expect(202);
        kept(&client, &answer, content_type, &body);
        let mut changed = body.clone();
        changed.push(b' ');
        anyone.send("POST", &signed, &[kind, ("x-signature", &code)], &changed).problem(401, "hmac.signature_wrong");
        let answer = anyone.send("POST", &token, &[kind, ("x-token", "s3cret")], &body).expect(202);
        kept(&client, &answer, content_type, &body);
        anyone.send("POST", &token, &[kind, ("x-token", "other")], &body).problem(401, "token.wrong");
    }
}

#[test]
fn handshakes_are_answered_and_repeats_are_deduplicated_by_id() {
    let server = Server::shared();
    let client = server.space("inbox-handshake");
    let with = json!({"challenge": {"query": "hub.challenge"},
        "event": {"type": {"header": "x-github-event", "prefix": "github."}, "id": {"header": "x-github-delivery"}}});
    let (path, url) = source(&client, "inbox", &with, None);
    let anyone = client.without_key();
    let answer = anyone.get(&format!("{url}?hub.mode=subscribe&hub.challenge=77&hub.verify_token=hush"));
    assert_eq!((answer.status, answer.text().as_str()), (200, "77"), "{answer}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    let headers = [("content-type", "application/json"), ("x-github-event", "push"), ("x-github-delivery", "d-1")];
    for _ in 0..2 {
        assert_eq!(anyone.send("POST", &url, &headers, b"{}").expect(202)["id"], "d-1");
    }
    let events = scene::all(&client, "/v1/events");
    assert_eq!((events.len(), &events[0]["type"]), (1, &json!("github.push")));
    let log = scene::all(&client, &format!("{path}/requests"));
    let with = |status: u16| log.iter().filter(|entry| entry["status"] == status).collect::<Vec<_>>();
    assert_eq!((log.len(), with(202).len(), with(200).len()), (3, 2, 1), "{log:?}");
    assert_eq!(with(200)[0]["query"], "hub.mode=subscribe&hub.challenge=77&hub.verify_token=(not kept)");
    assert!(!client.get(&format!("{path}/requests")).text().contains("hush"));
}

#[test]
fn the_log_shows_redacted_requests_and_their_results() {
    let server = Server::shared();
    let client = server.space("inbox-log");
    let (path, url) = source(&client, "token", &json!({"header": "X-Mine"}), Some("hush-hush"));
    let anyone = client.without_key();
    let headers =
        [("content-type", "text/plain"), ("x-mine", "hush-hush"), ("authorization", "Bearer hush"), ("x-a", "1")];
    let taken = anyone.send("POST", &format!("{url}/below?a=1&token=hush"), &headers, b"body").expect(202);
    anyone.send("POST", &url, &[("x-mine", "hushed")], b"\xff").problem(401, "token.wrong");
    anyone.send("POST", &url, &[], &vec![b'x'; 1024 * 1024 + 1]).problem(413, "body.too_large");
    let all = client.get(&format!("{path}/requests"));
    assert!(!all.text().contains("hush"), "a secret is shown: {all}");
    let log = all.expect(200)["data"].as_array().unwrap().clone();
    assert_eq!(log.len(), 3);
    assert_eq!((&log[0]["status"], &log[0]["code"]), (&json!(413), &json!("body.too_large")));
    assert_eq!((&log[1]["status"], &log[1]["code"]), (&json!(401), &json!("token.wrong")));
    assert!(text(&log[1]["message"]).contains("secret"), "{}", log[1]);
    assert_eq!(log[1]["body"], json!({"bytes": 1, "base64": "/w==", "truncated": false}));
    let first = &log[2];
    assert_eq!(
        (&first["method"], &first["path"], &first["query"]),
        (&json!("POST"), &json!("/below"), &json!("a=1&token=(not kept)"))
    );
    assert_eq!((&first["status"], &first["events"]), (&json!(202), &json!([taken["id"]])));
    assert_eq!((&first["remote_address"], &first["body"]["text"]), (&json!("127.0.0.1"), &json!("body")));
    let kept: Vec<&Value> = first["headers"].as_array().unwrap().iter().collect();
    assert!(
        kept.contains(&&json!(["x-a", "1"])) && kept.contains(&&json!(["x-mine", "(9 bytes, not kept)"])),
        "{first}"
    );
    assert_eq!(client.get(&format!("{path}/requests/{}", text(&first["id"]))).expect(200), *first);
    client.get(&format!("{path}/requests/req_99")).problem(404, "request.not_found");
    let page = client.get(&format!("{path}/requests?limit=2")).expect(200);
    assert_eq!(client.get(&format!("{path}/requests?cursor={}", text(&page["next"]))).expect(200)["data"][0], *first);
    client.delete(&path).expect(204);
    client.get(&format!("{path}/requests")).problem(404, "source.not_found");
}

#[test]
fn the_log_is_bounded_and_outlives_a_restart() {
    let mut server = Server::start(Options::default().set("HOOKWRIGHT_MAX_SOURCE_LOG", "5"));
    let (path, url) = source(&server.client(), "inbox", &json!({}), None);
    let token = url.rsplit('/').next().unwrap().to_owned();
    for n in 0..12 {
        server.client().without_key().post(&url, &json!({"n": n})).expect(202);
    }
    server.client().without_key().send("OPTIONS", &url, &[], b"").expect(204);
    let shown = |client: &Client| scene::all(client, &format!("{path}/requests"));
    let log = shown(&server.client());
    assert_eq!(log.len(), 5);
    assert_eq!((&log[0]["method"], &log[1]["body"]["text"]), (&json!("OPTIONS"), &json!("{\"n\":11}")));
    server.kill();
    server.restart();
    assert_eq!(shown(&server.client()), log, "what was acknowledged is in the log after a crash");
    server.client().without_key().post(&format!("/in/{token}"), &json!({})).expect(202);
    server.restart_with(Options::default().set("HOOKWRIGHT_SOURCE_LOG_DAYS", "0"));
    eventually(|| match shown(&server.client()).as_slice() {
        [] => Ok(()),
        left => Err(format!("{} are left", left.len())),
    });
}

#[test]
fn a_request_of_a_new_provider_becomes_a_working_automation_proposal() {
    let server = Server::shared();
    let client = server.space("inbox-automation");
    let (path, url) = source(&client, "inbox", &json!({}), None);
    let anyone = client.without_key();
    let sent =
        json!({"action": "opened", "issue": {"number": 7, "state": "open", "title": "It rains in"}, "list": [1]});
    anyone.post(&url, &sent).expect(202);
    let log = scene::all(&client, &format!("{path}/requests"));
    let proposal = client.get(&format!("{path}/requests/{}/automation", text(&log[0]["id"]))).expect(200);
    assert_eq!(proposal["on"], json!(["inbox.received"]));
    let paths: Vec<&Value> = proposal["when"]["all"].as_array().unwrap().iter().map(|c| &c["with"]["path"]).collect();
    assert_eq!(paths, ["event.source", "data.action", "data.issue.state"], "{proposal:#}");

    client.post("/v1/automations", &proposal).expect(201);
    anyone.post(&url, &json!({"action": "closed", "issue": {"number": 7, "state": "open"}})).expect(202);
    anyone.post(&url, &sent).expect(202);
    scene::settled(&client);
    let noticed = scene::all(&client, "/v1/events?type=noticed.inbox.received");
    assert_eq!(noticed.len(), 1, "it fires on the same request, and on no other");
    let story = scene::story(&client, &text(&noticed[0]["id"]));
    assert_eq!(
        (&story["event"]["data"]["issue_number"], &story["event"]["data"]["issue_title"]),
        (&json!(7), &json!("It rains in"))
    );

    anyone.send("OPTIONS", &url, &[], b"").expect(204);
    let log = scene::all(&client, &format!("{path}/requests"));
    client.get(&format!("{path}/requests/{}/automation", text(&log[0]["id"]))).problem(409, "request.no_event");
}
