//! What arrives from the world: compressed bodies, other charsets, redeliveries, dates in every form, large bodies.

use hookwright_tests::scene::{self, text};
use hookwright_tests::{Answer, Client, Options, Server};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const SECRET: &str = "It's a Secret to Everybody";

/// `{"event":"paid"}` in gzip, zlib's deflate and brotli.
const PLAIN: &[u8] = br#"{"event":"paid"}"#;
const GZIP: [u8; 36] = [
    31, 139, 8, 0, 0, 0, 0, 0, 2, 255, 171, 86, 74, 45, 75, 205, 43, 81, 178, 82, 42, 72, 204, 76, 81, 170, 5, 0, 234,
    147, 117, 217, 16, 0, 0, 0,
];
const DEFLATE: [u8; 24] =
    [120, 218, 171, 86, 74, 45, 75, 205, 43, 81, 178, 82, 42, 72, 204, 76, 81, 170, 5, 0, 47, 70, 5, 123];
const BROTLI: [u8; 20] = [
    0x8b, 0x07, 0x80, b'{', b'"', b'e', b'v', b'e', b'n', b't', b'"', b':', b'"', b'p', b'a', b'i', b'd', b'"', b'}', 3,
];

#[track_caller]
fn source(client: &Client, name: &str, kind: &str, with: &Value) -> (String, String) {
    let input = json!({"name": name, "kind": kind, "with": with, "secret": SECRET});
    let made = client.post("/v1/sources", &input).expect(201);
    (format!("/v1/sources/{}", text(&made["id"])), text(&made["url"]))
}

/// HMAC-SHA256 (RFC 2104), written out so that no code of the server's checks the server.
fn hmac(message: &[u8]) -> String {
    let mut block = [0; 64];
    block[..SECRET.len()].copy_from_slice(SECRET.as_bytes());
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(message).finalize();
    hex::encode(Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize())
}

/// The newest entry of a source's log.
fn last(client: &Client, source: &str) -> Value {
    client.get(&format!("{source}/requests")).expect(200)["data"][0].clone()
}

fn data(client: &Client, answer: &Value) -> Value {
    client.get(&format!("/v1/events/{}/payload", text(&answer["id"]))).json()
}

#[test]
fn compressed_bodies_are_decoded_for_sources_and_the_api() {
    let server = Server::shared();
    let client = server.space("inbound-compressed");
    let (inbox, url) = source(&client, "inbox", "inbox", &json!({}));
    for (coding, body) in [("gzip", &GZIP[..]), ("deflate", &DEFLATE[..]), ("br", &BROTLI[..]), ("identity", PLAIN)] {
        let headers = [("content-type", "application/json"), ("content-encoding", coding)];
        let answer = client.without_key().send("POST", &url, &headers, body).expect(202);
        assert_eq!(data(&client, &answer), json!({"event": "paid"}), "{coding}");
        assert_eq!(last(&client, &inbox)["body"]["text"], r#"{"event":"paid"}"#, "{coding}");
    }
    let event = br#"{"type":"a.b","data":{"n":1}}"#;
    let packed = gzip(event);
    let headers = [("content-type", "application/json"), ("content-encoding", "gzip")];
    let sent = client.send("POST", "/v1/events", &headers, &packed).expect(202);
    let listed = client.get(&format!("/v1/events/{}", text(&sent["id"]))).expect(200);
    assert_eq!(listed["event"]["data"], json!({"n": 1}), "{listed:#}");
    // Every other route that takes a body reads it too.
    client.send("POST", "/v1/tickets", &headers, &gzip(br#"{"subject":"S"}"#)).expect(201);
}

#[test]
fn unknown_codings_broken_bodies_and_bombs_have_distinct_errors() {
    let server = Server::shared();
    let client = server.space("inbound-codings");
    let (inbox, url) = source(&client, "inbox", "inbox", &json!({}));
    let bomb = gzip(&vec![b' '; 8 * 1024 * 1024]);
    assert!(bomb.len() < 64 * 1024);
    for (coding, body, status, code) in [
        ("zstd", PLAIN, 415, "body.encoding_unknown"),
        ("gzip, rot13", PLAIN, 415, "body.encoding_unknown"),
        ("gzip", PLAIN, 400, "body.encoding_invalid"),
        ("gzip", &GZIP[..20], 400, "body.encoding_invalid"),
        ("gzip", bomb.as_slice(), 413, "body.too_large"),
    ] {
        let headers = [("content-type", "application/json"), ("content-encoding", coding)];
        for answer in
            [client.without_key().send("POST", &url, &headers, body), client.send("POST", "/v1/events", &headers, body)]
        {
            answer.problem(status, code);
            let offered = answer.header("accept-encoding");
            assert_eq!(offered, (status == 415).then_some("gzip, deflate, br"), "{coding}");
        }
        assert_eq!(last(&client, &inbox)["code"], code);
    }
}

#[test]
fn a_signature_is_over_the_bytes_that_were_sent() {
    let server = Server::shared();
    let client = server.space("inbound-signed");
    let (_, as_sent) =
        source(&client, "sent", "hmac", &json!({"header": "x-sig", "event": {"type": {"path": "event"}}}));
    let with = json!({"header": "x-sig", "signed_body": "decoded", "event": {"type": {"path": "event"}}});
    let (_, decoded) = source(&client, "decoded", "hmac", &with);
    let send = |url: &str, signature: &str| {
        let headers = [("content-encoding", "gzip"), ("content-type", "application/json"), ("x-sig", signature)];
        client.without_key().send("POST", url, &headers, &GZIP)
    };
    for (url, signed, status) in
        [(&as_sent, &GZIP[..], 202), (&as_sent, PLAIN, 401), (&decoded, PLAIN, 202), (&decoded, &GZIP[..], 401)]
    {
        let answer = send(url, &hmac(signed)).expect(status);
        if status == 202 {
            assert_eq!(data(&client, &answer), json!({"event": "paid"}));
        }
    }
}

#[test]
fn an_unverifiable_source_is_rejected_when_it_is_saved() {
    let server = Server::shared();
    let client = server.space("inbound-saved");
    for with in [
        json!({"header": "x-sig", "prefix": ",sha256="}),
        json!({"header": "x-sig", "signed": "{timestamp}.{body}"}),
        json!({"header": "x-sig", "signed": "{url}{body}"}),
        json!({"header": "x-sig", "timestamp_format": "rfc3339"}),
    ] {
        let input = json!({"name": "acme", "kind": "hmac", "with": with});
        client.post("/v1/sources", &input).problem(422, "input.invalid");
    }
    let (_, url) = source(&client, "spaced", "hmac", &json!({"header": "x-sig", "prefix": "sha256 "}));
    let signature = format!("sha256 {}", hmac(PLAIN));
    client.without_key().send("POST", &url, &[("x-sig", &signature)], PLAIN).expect(202);
    // The same URL with a slash at its end.
    client.without_key().send("POST", &format!("{url}/"), &[("x-sig", &signature)], PLAIN).expect(202);
}

#[test]
fn a_form_is_decoded_in_its_charset_or_rejected() {
    let server = Server::shared();
    let client = server.space("inbound-forms");
    let (_, url) =
        source(&client, "form", "token", &json!({"header": "x-token", "event": {"subject": {"path": "subject"}}}));
    let form = "application/x-www-form-urlencoded";
    let send = |content_type: &str| {
        let headers = [("content-type", content_type), ("x-token", SECRET)];
        client.without_key().send("POST", &url, &headers, b"subject=caf%E9")
    };
    let answer = send(&format!("{form}; charset=ISO-8859-1")).expect(202);
    let event = client.get(&format!("/v1/events/{}", text(&answer["id"]))).expect(200);
    assert_eq!((&event["event"]["subject"], &event["event"]["data"]), (&json!("café"), &json!({"subject": "café"})));
    for content_type in [form.to_owned(), format!("{form}; charset=klingon")] {
        let told = send(&content_type).problem(400, "token.payload_invalid");
        assert!(text(&told["detail"]).contains("the value of subject"), "{told}");
    }
}

fn deliver(client: &Client, url: &str, id: &str, body: &[u8]) -> Answer {
    let signature = format!("sha256={}", hmac(body));
    let headers = [
        ("content-type", "application/json"),
        ("x-github-delivery", id),
        ("x-github-event", "issues"),
        ("x-hub-signature-256", &signature),
    ];
    client.without_key().send("POST", url, &headers, body)
}

#[test]
fn a_redelivery_is_marked_and_another_body_under_its_id_is_shown_as_such() {
    let server = Server::shared();
    let client = server.space("inbound-redelivered");
    let (github, url) = source(&client, "github", "github", &json!({}));
    let body = br#"{"action":"opened"}"#;
    let first = deliver(&client, &url, "d-1", body).expect(202);
    assert_eq!(first, json!({"id": "d-1", "ids": ["d-1"]}));
    assert_eq!(
        deliver(&client, &url, "d-1", body).expect(202),
        json!({"id": "d-1", "ids": ["d-1"], "repeats": ["d-1"]})
    );
    let entry = last(&client, &github);
    assert_eq!((&entry["repeats"], entry.get("changed")), (&json!(["d-1"]), None), "{entry}");
    let answer = deliver(&client, &url, "d-1", br#"{"action":"closed"}"#).expect(202);
    assert_eq!(answer, json!({"id": "d-1", "ids": ["d-1"], "repeats": ["d-1"], "changed": ["d-1"]}));
    assert_eq!(last(&client, &github)["changed"], json!(["d-1"]));
    assert_eq!(data(&client, &answer), json!({"action": "opened"}), "the first one is kept");
    // The API says the same of its own events.
    let event = |n: u8| client.post("/v1/events", &json!({"id": "e-1", "type": "a.b", "data": n}));
    assert_eq!(event(1).expect(202), json!({"id": "e-1"}));
    assert_eq!(event(1).expect(202), json!({"id": "e-1", "duplicate": true}));
    assert_eq!(event(2).expect(202), json!({"id": "e-1", "duplicate": true, "changed": true}));
}

#[test]
fn other_senders_cannot_claim_a_providers_event_ids() {
    let server = Server::shared();
    let client = server.space("inbound-claimed");
    let made = client.post("/v1/keys", &json!({"name": "other", "role": "ingest"})).expect(201);
    let other = client.with_key(&text(&made["key"]));
    // Before there is such a source, its name is free, and the ids that are used with it are not the provider's.
    other.post("/v1/events", &json!({"source": "github", "id": "d-0", "type": "x"})).expect(202);
    let (_, url) = source(&client, "github", "github", &json!({}));
    let body = br#"{"action":"opened"}"#;
    assert_eq!(deliver(&client, &url, "d-0", body).expect(202), json!({"id": "d-0", "ids": ["d-0"]}));
    let event = client.get("/v1/events/d-0").expect(200);
    assert_eq!(event["event"]["type"], "github.issues.opened", "the provider's is the one that is shown: {event:#}");
    for answer in [
        other.post("/v1/events", &json!({"source": "github", "id": "d-1", "type": "x"})),
        other.send(
            "POST",
            "/v1/events",
            &[("ce-specversion", "1.0"), ("ce-id", "d-1"), ("ce-source", "github"), ("ce-type", "x")],
            b"",
        ),
        client.post("/v1/events", &json!({"source": "github", "id": "d-1", "type": "x"})),
    ] {
        answer.problem(409, "source.reserved");
    }
    assert_eq!(deliver(&client, &url, "d-1", body).expect(202), json!({"id": "d-1", "ids": ["d-1"]}));
    // A name that no source has any more is free again.
    let sources = client.get("/v1/sources").expect(200);
    client.delete(&format!("/v1/sources/{}", text(&sources["data"][0]["id"]))).expect(204);
    other.post("/v1/events", &json!({"source": "github", "id": "d-2", "type": "x"})).expect(202);
}

#[test]
fn a_source_accepts_bodies_up_to_the_limit() {
    let server = Server::start(Options::default().set("HOOKWRIGHT_MAX_BODY_BYTES", "26214400"));
    let client = server.client();
    let (_, url) = source(&client, "github", "github", &json!({}));
    let body = format!(r#"{{"action":"opened","commits":["{}"]}}"#, "x".repeat(24 * 1024 * 1024));
    let answer = deliver(&client, &url, "large", body.as_bytes()).expect(202);
    let payload = client.get(&format!("/v1/events/{}/payload", text(&answer["id"])));
    assert_eq!(payload.body.len(), body.len());
    let too_large = vec![b' '; 27 * 1024 * 1024];
    let refused = client.without_key().try_send("POST", &url, &[("content-type", "application/json")], &too_large);
    // The connection may be cut before the whole of it was sent.
    if let Ok(answer) = refused {
        assert!(answer.text().contains("max_body_bytes"), "{answer}");
    }
}

#[test]
fn dates_of_every_provider_work_in_conditions_and_as_event_time() {
    let server = Server::shared();
    let client = server.space("inbound-dates");
    let with = json!({"header": "x-token", "event": {"type": "dated", "time": {"path": "at"}}});
    let (_, url) = source(&client, "dates", "token", &with);
    for (name, when) in [
        ("match", json!({"condition": "match", "with": {"path": "data.at", "before": "2024-06-02", "as": "date"}})),
        ("cel", json!({"condition": "cel", "with": {"expression": "timestamp(data.at) < timestamp('2024-06-02')"}})),
    ] {
        let note = json!({"action": "event-emit", "with": {"type": format!("held.{name}"), "data": {}}});
        scene::automation(&client, &json!({"name": name, "on": ["dated"], "when": when, "then": [note]}));
    }
    for (at, time) in [
        (json!("2024-06-01T12:00:00.000+0000"), "2024-06-01T12:00:00Z"),
        (json!("2015-04-12 14:53:17 UTC"), "2015-04-12T14:53:17Z"),
        (json!("Sat, 1 Jun 2024 12:00:00 +0000"), "2024-06-01T12:00:00Z"),
        (json!(1_717_243_200), "2024-06-01T12:00:00Z"),
        (json!(1_717_243_200_123_u64), "2024-06-01T12:00:00.123Z"),
    ] {
        let headers = [("content-type", "application/json"), ("x-token", SECRET)];
        let body = json!({"at": at}).to_string();
        let answer = client.without_key().send("POST", &url, &headers, body.as_bytes()).expect(202);
        let story = scene::story(&client, &text(&answer["id"]));
        assert_eq!(story["event"]["time"], time, "{at}");
        for run in story["runs"].as_array().unwrap() {
            assert_eq!(run["state"], "done", "{at}: {run:#}");
        }
        assert_eq!(story["runs"].as_array().unwrap().len(), 2, "{story:#}");
    }
    let body = json!({"at": "next Tuesday"}).to_string();
    let headers = [("content-type", "application/json"), ("x-token", SECRET)];
    let answer = client.without_key().send("POST", &url, &headers, body.as_bytes()).expect(202);
    let event = client.get(&format!("/v1/events/{}", text(&answer["id"]))).expect(200);
    assert_eq!(event["event"]["time-unread"], "next Tuesday", "{event:#}");
}

#[test]
fn a_ticket_is_found_by_its_jira_key_and_closed() {
    let server = Server::shared();
    let client = server.space("inbound-lookup");
    let ticket = client.post("/v1/tickets", &json!({"subject": "Printer", "external_id": "OPS-7"})).expect(201);
    client
        .post("/v1/tickets", &json!({"subject": "Other", "external_id": "OPS-8", "custom_fields": {"room": 4}}))
        .expect(201);
    scene::automation(
        &client,
        &json!({"name": "close", "on": ["jira.ticket_completed"], "then": [
            {"action": "record-find", "name": "found", "with": {"where": {"external_id": "{{event.data.key}}"}}},
            {"action": "ticket-update", "with": {"id": "{{steps.found.result.id}}", "status": "closed"}},
        ]}),
    );
    let headers = [("content-type", "application/json"), ("x-hookwright-id", "inbound-lookup")];
    let pushed =
        json!({"service": "jira", "trigger_event_type": "jira.ticket_completed", "attributes": {"key": "OPS-7"}});
    client.send("POST", "/webhook", &headers, pushed.to_string().as_bytes()).expect(202);
    scene::settled(&client);
    assert_eq!(client.get(&format!("/v1/tickets/{}", ticket["id"])).expect(200)["status"], "closed");
    let found = client.get("/v1/tickets?external_id=OPS-8").expect(200);
    assert_eq!((&found["data"][0]["status"], &found["data"][0]["custom_fields"]["room"]), (&json!("open"), &json!(4)));
    client.post("/v1/tickets", &json!({"subject": "S", "sla_solution_time": -1})).problem(422, "input.invalid");
    for path in ["/v1/tickets?subjekt=x", "/v1/attempts?tikcet=1"] {
        client.get(path).problem(400, "query.invalid");
    }
}

/// As `gzip` writes it, in stored blocks or with one run: enough for these tests, and no library of the server's.
fn gzip(body: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}
