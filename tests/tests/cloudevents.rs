//! CloudEvents 1.0 over HTTP, sent by the libraries of others in all three modes, and by hand where they cannot err.

use hookwright_tests::programs::{self, node, python};
use hookwright_tests::scene::{self, text};
use hookwright_tests::{Answer, Client, Server};
use serde_json::{Value, json};

const STRUCTURED: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";

fn sdk_events_come_through(space: &str, run: impl FnOnce(&str, &str) -> Vec<Value>) {
    let server = Server::shared();
    let admin = server.client();
    let key = admin.post("/v1/keys", &json!({"name": "sdk", "role": "editor", "space": space})).expect(201);
    let lines = run(&admin.url("/v1/events"), key["key"].as_str().unwrap());

    let modes: Vec<&str> = lines.iter().map(|line| line["mode"].as_str().unwrap()).collect();
    assert_eq!(modes, ["structured", "binary", "binary", "batched", "batched"]);
    for line in &lines {
        assert_eq!(line["status"], 202, "{line:#}");
        let (sent, read) = (line["sent"].as_object().unwrap(), line["read"].as_object().unwrap());
        let named = if line["mode"] == "batched" { &line["answer"]["ids"] } else { &line["answer"]["id"] };
        assert!(named.to_string().contains(sent["id"].as_str().unwrap()), "{line:#}");
        for (name, value) in sent {
            match name.as_str() {
                // Instants are told in UTC, without needless zeros.
                "time" => assert_eq!(instant(&read["time"]), instant(value), "{line:#}"),
                "data_base64" => assert_eq!(read["data"], *value, "{line:#}"),
                "data" if sent["type"] == "shop.order.bytes" => assert_eq!(read["data"], "AP+ACg==", "{line:#}"),
                _ => assert_eq!(read.get(name), Some(value), "{name}: {line:#}"),
            }
        }
        if sent["type"] == "shop.order.bytes" {
            assert_eq!(line["payload"], "AP+ACg==", "the payload is kept byte for byte: {line:#}");
        }
    }
    assert_eq!(scene::all(&admin.with_key(key["key"].as_str().unwrap()), "/v1/events").len(), 5);
}

fn instant(time: &Value) -> String {
    let text = text(time).replace("+00:00", "Z");
    text.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[test]
fn the_npm_library_sends_in_all_three_modes() {
    sdk_events_come_through("ce-npm", |url, key| programs::lines(node("cloudevents.mjs").args([url, key]), ""));
}

#[test]
fn the_pypi_library_sends_in_all_three_modes() {
    sdk_events_come_through("ce-pypi", |url, key| programs::lines(python("cloudevents_sdk.py").args([url, key]), ""));
}

fn post(client: &Client, content_type: &str, body: &[u8]) -> Answer {
    client.send("POST", "/v1/events", &[("content-type", content_type)], body)
}

#[test]
fn an_invalid_structured_event_is_rejected_with_the_path() {
    let server = Server::shared();
    let client = server.space("ce-wrong");
    for (path, body) in [
        ("specversion", json!({"id": "1", "source": "/s", "type": "t"})),
        ("specversion", json!({"specversion": "0.3", "id": "1", "source": "/s", "type": "t"})),
        ("specversion", json!({"specversion": "2.0", "id": "1", "source": "/s", "type": "t"})),
        ("id", json!({"specversion": "1.0", "source": "/s", "type": "t"})),
        ("id", json!({"specversion": "1.0", "id": "", "source": "/s", "type": "t"})),
        ("id", json!({"specversion": "1.0", "id": "x".repeat(257), "source": "/s", "type": "t"})),
        ("source", json!({"specversion": "1.0", "id": "1", "type": "t"})),
        ("type", json!({"specversion": "1.0", "id": "1", "source": "/s"})),
        ("type", json!({"specversion": "1.0", "id": "1", "source": "/s", "type": {}})),
        ("time", json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "time": "noon"})),
        ("myExt", json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "myExt": 1})),
        ("ext", json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "ext": [1]})),
        ("data_base64", json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data_base64": "?"})),
        (
            "data_base64",
            json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data": 1, "data_base64": ""}),
        ),
        ("", json!([])),
        ("", json!("event")),
    ] {
        let answer = post(&client, STRUCTURED, body.to_string().as_bytes());
        answer.problem(422, "input.invalid");
        assert_eq!(answer.paths(), [path], "{body}: {answer}");
    }
    post(&client, STRUCTURED, b"{").problem(400, "body.not_json");
    post(&client, "text/plain", b"hello").problem(415, "body.unsupported_type");
    assert_eq!(scene::all(&client, "/v1/events"), Vec::<Value>::new());
}

#[test]
fn a_binary_event_can_contain_any_bytes_and_they_are_preserved() {
    let server = Server::shared();
    let client = server.space("ce-binary");
    let every_byte: Vec<u8> = (0..=255).collect();
    for (id, content_type, payload, data) in [
        ("b-1", "application/octet-stream", every_byte.as_slice(), None),
        ("b-2", "application/xml", b"<a>\r\n</a>", Some(json!("<a>\r\n</a>"))),
        (
            "b-3",
            "application/json",
            b"{\"n\" : 1.0000000000000000001,  \"m\":2}",
            serde_json::from_str(r#"{"n":1.0000000000000000001,"m":2}"#).ok(),
        ),
        ("b-4", "application/vnd.x+json; charset=utf-8", b" [1] ", Some(json!([1]))),
        ("b-5", "text/plain", b"", Some(Value::Null)),
        ("b-6", "application/cloudevents", b"not structured", Some(json!("not structured"))),
    ] {
        let headers = [
            ("content-type", content_type),
            ("ce-specversion", "1.0"),
            ("ce-id", id),
            ("ce-source", "/by/hand"),
            ("ce-type", "by.hand"),
            ("ce-subject", "Euro%20%E2%82%AC%20100%25"),
            ("ce-partitionkey", "p-1"),
        ];
        let answer = client.send("POST", "/v1/events", &headers, payload);
        assert_eq!(answer.expect(202)["id"], id);
        let back = client.get(&format!("/v1/events/{id}/payload"));
        assert_eq!(back.body, payload, "{id}");
        assert_eq!(back.header("content-type"), Some(content_type));
        let event = client.get(&format!("/v1/events/{id}")).expect(200)["event"].clone();
        assert_eq!((&event["subject"], &event["partitionkey"]), (&json!("Euro € 100%"), &json!("p-1")));
        if let Some(data) = data {
            assert_eq!(event["data"], data, "{id}");
        }
    }
}

#[test]
fn an_invalid_binary_event_is_rejected() {
    let server = Server::shared();
    let client = server.space("ce-binary-wrong");
    let good = [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/s"), ("ce-type", "t")];
    for place in 0..good.len() {
        let mut headers = good.to_vec();
        let (absent, _) = headers.remove(place);
        headers.push(("content-type", "application/json"));
        let answer = client.send("POST", "/v1/events", &headers, b"1");
        answer.problem(422, "input.invalid");
        assert_eq!(answer.paths(), [absent.trim_start_matches("ce-")], "{answer}");
    }
    for (name, value, path) in [
        ("ce-specversion", "1.1", "specversion"),
        ("ce-subject", "bad%zz", "ce-subject"),
        ("ce-my-ext", "1", "my-ext"),
        ("ce-time", "yesterday", "time"),
    ] {
        let mut headers: Vec<(&str, &str)> = good.iter().filter(|(other, _)| *other != name).copied().collect();
        headers.extend([(name, value), ("content-type", "application/json")]);
        let answer = client.send("POST", "/v1/events", &headers, b"1");
        answer.problem(422, "input.invalid");
        assert_eq!(answer.paths(), [path], "{answer}");
    }
    let mut headers = good.to_vec();
    headers.push(("content-type", "application/json"));
    client.send("POST", "/v1/events", &headers, b"{\"a\":").problem(422, "input.invalid");
    assert_eq!(scene::all(&client, "/v1/events"), Vec::<Value>::new());
}

fn numbered(count: usize) -> Vec<Value> {
    let event = |n| json!({"specversion": "1.0", "id": format!("n-{n}"), "source": "/s", "type": "t", "data": n});
    (0..count).map(event).collect()
}

#[test]
fn a_batch_is_accepted_completely_or_not_at_all() {
    let server = Server::shared();
    let client = server.space("ce-batch");
    let send = |events: &[Value]| post(&client, BATCH, json!(events).to_string().as_bytes());

    send(&numbered(1001)).problem(422, "input.invalid");
    let mut broken = numbered(3);
    broken[2].as_object_mut().unwrap().remove("type");
    let answer = send(&broken);
    answer.problem(422, "input.invalid");
    assert_eq!(answer.paths(), ["[2].type"], "the place in the batch is named: {answer}");
    let mut bounded = numbered(3);
    bounded[1]["id"] = json!("x".repeat(300));
    assert_eq!(send(&bounded).paths(), ["[1].id"]);
    post(&client, BATCH, b"{}").problem(422, "input.invalid");
    assert_eq!(scene::all(&client, "/v1/events"), Vec::<Value>::new());

    assert_eq!(send(&[]).expect(202)["ids"], json!([]));
    let answer = send(&numbered(1000)).expect(202);
    assert_eq!(answer["ids"].as_array().map(Vec::len), Some(1000));
    assert_eq!(scene::all(&client, "/v1/events").len(), 1000);
}

#[test]
fn a_repeated_event_of_one_source_is_accepted_once() {
    let server = Server::shared();
    let client = server.space("ce-repeated");
    let event = json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data": "first"});
    assert_eq!(post(&client, STRUCTURED, event.to_string().as_bytes()).expect(202), json!({"id": "1"}));
    let mut again = event.clone();
    again["data"] = json!("second");
    for (body, expected) in [
        (event, json!({"id": "1", "duplicate": true})),
        (again, json!({"id": "1", "duplicate": true, "changed": true})),
    ] {
        assert_eq!(post(&client, STRUCTURED, body.to_string().as_bytes()).expect(202), expected);
    }
    assert_eq!(client.get("/v1/events/1").expect(200)["event"]["data"], "first");

    let batch = [json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}), numbered(1).remove(0)];
    let events = post(&client, BATCH, json!([batch[0], batch[1], batch[1]]).to_string().as_bytes()).expect(202);
    let duplicates: Vec<bool> =
        events["events"].as_array().unwrap().iter().map(|event| event["duplicate"] == true).collect();
    assert_eq!(duplicates, [true, false, true], "{events}");

    // Another source may use the same id: then the story must be asked for with the source.
    let other = json!({"specversion": "1.0", "id": "1", "source": "/other", "type": "t"});
    assert_eq!(post(&client, STRUCTURED, other.to_string().as_bytes()).expect(202), json!({"id": "1"}));
    client.get("/v1/events/1").problem(409, "event.ambiguous");
    assert_eq!(client.get("/v1/events/1?source=/other").expect(200)["event"]["source"], "/other");
    assert_eq!(scene::all(&client, "/v1/events").len(), 3);
}
