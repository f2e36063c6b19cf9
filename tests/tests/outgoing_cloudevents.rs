//! Events sent as CloudEvents in all three modes, read by the libraries of others.

use hookwright_tests::programs::{Program, node, python};
use hookwright_tests::scene;
use hookwright_tests::{Client, Server};
use serde_json::{Value, json};

#[track_caller]
fn hook(client: &Client, program: &mut Program, more: &Value) {
    let port = program.line()["port"].as_u64().unwrap();
    let mut input =
        json!({"url": format!("http://127.0.0.1:{port}/"), "events": ["shop.*"], "transform": "cloudevents"});
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    client.post("/v1/webhooks", &input).expect(201);
}

/// Sends an event in binary mode.
fn send(client: &Client, id: &str, content_type: &str, payload: &[u8]) {
    let headers = [
        ("content-type", content_type),
        ("ce-specversion", "1.0"),
        ("ce-id", id),
        ("ce-source", "/shop/eu"),
        ("ce-type", "shop.order"),
        ("ce-subject", "Bestellung%20%E2%84%96%207%20100%25"),
        ("ce-time", "2026-01-02T03:04:05Z"),
        ("ce-partitionkey", "p-1"),
    ];
    client.send("POST", "/v1/events", &headers, payload).expect(202);
}

const ORDER: &[u8] = br#"{"order": 7, "items": [{"sku": "\u00e4-1", "price": 12.5}]}"#;

#[track_caller]
fn is_order(event: &Value, id: &str) {
    assert_eq!(
        (&event["id"], &event["specversion"], &event["type"]),
        (&json!(id), &json!("1.0"), &json!("shop.order"))
    );
    assert_eq!((&event["source"], &event["partitionkey"]), (&json!("/shop/eu"), &json!("p-1")), "{event:#}");
    assert_eq!(event["subject"], "Bestellung № 7 100%", "{event:#}");
    assert!(event["time"].as_str().unwrap().starts_with("2026-01-02T03:04:05"), "{event:#}");
}

fn the_library_reads(space: &str, start: impl Fn() -> Program) {
    let server = Server::shared();
    for mode in ["structured", "binary"] {
        let client = server.space(&format!("{space}-{mode}"));
        let mut program = start();
        hook(&client, &mut program, &json!({"with": {"mode": mode}}));
        send(&client, "json-1", "application/json", ORDER);
        let read = program.line();
        assert_eq!(read["mode"], mode, "{read:#}");
        is_order(&read["events"][0], "json-1");
        assert_eq!(read["events"][0]["data"], serde_json::from_slice::<Value>(ORDER).unwrap(), "{read:#}");
        assert_eq!(read["events"][0]["datacontenttype"], "application/json", "{read:#}");
        send(&client, "text-1", "text/plain", "Größe".as_bytes());
        let read = program.line();
        is_order(&read["events"][0], "text-1");
        assert_eq!(read["events"][0]["data"], "Größe", "{read:#}");
        send(&client, "bytes-1", "application/octet-stream", b"\x00\xff\x80\n");
        let read = program.line();
        is_order(&read["events"][0], "bytes-1");
        assert_eq!(read["events"][0]["data_base64"], "AP+ACg==", "{read:#}");
        scene::settled(&client);
        assert_eq!(scene::all(&client, "/v1/deliveries?state=delivered").len(), 3, "the receiver took each");
    }

    // A batch is as many events as come together, up to the most that is wanted.
    let client = server.space(&format!("{space}-batched"));
    let mut program = start();
    hook(&client, &mut program, &json!({"with": {"mode": "batched"}, "batching": {"most": 4, "wait_ms": 60_000}}));
    for n in 0..8 {
        send(&client, &format!("batch-{n}"), "application/json", ORDER);
    }
    let mut ids = Vec::new();
    for _ in 0..2 {
        let read = program.line();
        assert_eq!(read["mode"], "batched", "{read:#}");
        let events = read["events"].as_array().unwrap_or_else(|| panic!("{read:#}"));
        assert_eq!(events.len(), 4, "{read:#}");
        for event in events {
            is_order(event, event["id"].as_str().unwrap());
            ids.push(event["id"].as_str().unwrap().to_owned());
        }
    }
    ids.sort();
    assert_eq!(ids, (0..8).map(|n| format!("batch-{n}")).collect::<Vec<_>>(), "each once");
    scene::settled(&client);
    let attempts = scene::all(&client, "/v1/attempts");
    assert_eq!(attempts.len(), 8);
    assert!(attempts.iter().all(|attempt| attempt["batch"] == 4), "{attempts:#?}");
    let (firsts, others): (Vec<&Value>, Vec<&Value>) =
        attempts.iter().partition(|attempt| attempt.get("batch_first").is_none());
    assert_eq!(firsts.len(), 2, "the log has each batch once: {attempts:#?}");
    assert!(firsts.iter().all(|first| first["request_body"] != ""), "{attempts:#?}");
    for other in others {
        let first = firsts.iter().find(|first| first["delivery"] == other["batch_first"]);
        assert!(first.is_some() && other["request_body"] == "", "{other:#}");
    }
}

#[test]
fn the_npm_library_reads_events_in_all_three_modes() {
    the_library_reads("ce-out-npm", || Program::start(&mut node("cloudevents_receiver.mjs")));
}

#[test]
fn the_pypi_library_reads_events_in_all_three_modes() {
    the_library_reads("ce-out-pypi", || Program::start(&mut python("cloudevents_receiver.py")));
}

#[test]
fn an_incomplete_batch_is_sent_after_its_maximum_wait() {
    let server = Server::shared();
    let client = server.space("ce-out-time");
    let mut program = Program::start(&mut node("cloudevents_receiver.mjs"));
    hook(&client, &mut program, &json!({"with": {"mode": "batched"}, "batching": {"most": 1000, "wait_ms": 300}}));
    for n in 0..3 {
        send(&client, &format!("few-{n}"), "application/json", ORDER);
    }
    let mut count = 0;
    while count < 3 {
        count += program.line()["events"].as_array().unwrap().len();
    }
    assert_eq!(count, 3);
    scene::settled(&client);
}
