//! JSON is read in one way: what is taken at the door reads the same in every condition, action and transform, digits
//! survive from the sender to the receiver, and what readers would differ about is refused with its place.

use hookwright_tests::scene::{self, text};
use hookwright_tests::{Answer, Client, Receiver, Reply, Server};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

const JSON: (&str, &str) = ("content-type", "application/json");

/// A source whose URL takes JSON, by a token in the query.
#[track_caller]
fn source(client: &Client, name: &str, event: &Value) -> impl Fn(&str, &[u8]) -> Answer + use<> {
    let made = client
        .post(
            "/v1/sources",
            &json!({"name": name, "kind": "token", "secret": "the-token-of-this-source", "active": true,
                "with": {"query": "token", "event": event}}),
        )
        .expect(201);
    let url = text(&made["url"]);
    let path = format!("{}?token=the-token-of-this-source", &url[url.find("/in/").unwrap()..]);
    let client = client.without_key();
    move |content_type, body| client.send("POST", &path, &[("content-type", content_type)], body)
}

/// Sends data as it is written in the native form.
#[track_caller]
fn send(client: &Client, event_type: &str, data: &str) -> String {
    let body = format!(r#"{{"type":"{event_type}","data":{data}}}"#);
    text(&client.send("POST", "/v1/events", &[JSON], body.as_bytes()).expect(202)["id"])
}

#[test]
fn ambiguous_json_is_rejected_at_every_endpoint_with_its_position() {
    let server = Server::shared();
    let client = server.space("ambiguous").in_space("ambiguous");
    let to_source = source(&client, "door", &json!({"type": "arrived"}));
    for (data, path, part) in [
        (r#"{"a":"x","e":1e400}"#, "e", "1e400"),
        (r#"{"a":"x","s":"\ud83d"}"#, "s", "surrogate"),
        (r#"{"a":{"b":[{"c":1,"c":2}]}}"#, "a.b[0].c", "twice"),
        (r#"{"n":{"$serde_json::private::Number":"1"}}"#, "n.$serde_json::private::Number", "reserved"),
        (r#"{"r":[1e-400]}"#, "r[0]", "too close to zero"),
    ] {
        let event =
            |name: &str| format!(r#"{{"specversion":"1.0","id":"1","source":"/s","type":"t","{name}":{data}}}"#);
        for (route, content_type, body, prefix) in [
            ("/v1/events", "application/json", format!(r#"{{"type":"a","data":{data}}}"#), "data."),
            (
                "/webhook",
                "application/json",
                format!(r#"{{"service":"a","trigger_event_type":"b","attributes":{data}}}"#),
                "attributes.",
            ),
            ("/v1/events", "application/cloudevents+json", event("data"), "data."),
            ("/v1/events", "application/cloudevents-batch+json", format!("[{}]", event("data")), "[0].data."),
            ("/v1/tickets", "application/json", format!(r#"{{"subject":"a","own":{data}}}"#), "own."),
        ] {
            let answer = client.send("POST", route, &[("content-type", content_type)], body.as_bytes());
            answer.problem(400, "body.ambiguous");
            assert_eq!(answer.paths(), [format!("{prefix}{path}")], "{answer}");
            assert!(text(&answer.json()["detail"]).contains(part), "{answer}");
        }
        let binary = [JSON, ("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/s"), ("ce-type", "t")];
        let answer = client.send("POST", "/v1/events", &binary, data.as_bytes());
        answer.problem(422, "input.invalid");
        assert_eq!(answer.paths(), [format!("data.{path}")], "{answer}");
        let answer = to_source("application/json", data.as_bytes());
        let said = answer.problem(400, "token.payload_invalid")["detail"].to_string();
        assert!(said.contains(path) && said.contains(part), "{answer}");
    }
    assert_eq!(scene::all(&client, "/v1/events").len(), 0);
}

#[test]
fn ids_in_a_payload_are_the_digits_as_they_were_written() {
    let server = Server::shared();
    let client = server.space("long-ids");
    let to_source = source(&client, "orders", &json!({"type": "order", "id": {"path": "id"}}));
    let ids = ["12345678901234567890123", "12345678901234567890124", "12345678901234567890125", "7", "0.10", "-0"];
    for id in ids.iter().chain(&ids[..1]) {
        let answer = to_source("application/json", format!(r#"{{"id":{id}}}"#).as_bytes());
        assert_eq!(answer.expect(202)["id"], *id, "{answer}");
    }
    let mut found: Vec<String> = scene::all(&client, "/v1/events").iter().map(|event| text(&event["id"])).collect();
    found.sort();
    let mut wanted = ids.to_vec();
    wanted.sort_unstable();
    assert_eq!(found, wanted);
}

#[test]
fn a_byte_order_mark_is_ignored() {
    let server = Server::shared();
    let client = server.space("marks").in_space("marks");
    let marked = |text: &str| [b"\xef\xbb\xbf", text.as_bytes()].concat();
    let to_source = source(&client, "marked", &json!({"type": {"path": "type"}}));
    for (content_type, body) in [
        ("application/json", r#"{"type":"source.json"}"#),
        ("application/x-www-form-urlencoded", "type=source.form&b=1"),
    ] {
        to_source(content_type, &marked(body)).expect(202);
    }
    for (route, content_type, body) in [
        ("/v1/events", "application/json", r#"{"type":"native","data":{"n":1.10}}"#),
        ("/webhook", "application/json", r#"{"service":"s","trigger_event_type":"pushed","attributes":{"n":1.10}}"#),
        (
            "/v1/events",
            "application/cloudevents+json",
            r#"{"specversion":"1.0","id":"c1","source":"/s","type":"cloud","data":{"n":1.10}}"#,
        ),
        (
            "/v1/events",
            "application/cloudevents-batch+json",
            r#"[{"specversion":"1.0","id":"c2","source":"/s","type":"batch","data":{"n":1.10}}]"#,
        ),
    ] {
        client.send("POST", route, &[("content-type", content_type)], &marked(body)).expect(202);
    }
    let binary = [JSON, ("ce-specversion", "1.0"), ("ce-id", "c3"), ("ce-source", "/s"), ("ce-type", "binary")];
    client.send("POST", "/v1/events", &binary, &marked(r#"{"n":1.10}"#)).expect(202);
    client.send("POST", "/v1/tickets", &[JSON], &marked(r#"{"subject":"a"}"#)).expect(201);
    let mut types: Vec<String> = Vec::new();
    for event in scene::all(&client, "/v1/events") {
        let story = scene::story(&client, &text(&event["id"]));
        let data = &story["event"]["data"];
        if data["n"].is_number() {
            assert_eq!(data["n"].to_string(), "1.10", "{story}");
        }
        types.push(text(&event["type"]));
    }
    for wanted in ["source.json", "source.form", "native", "pushed", "cloud", "batch", "binary", "ticket.created"] {
        assert!(types.iter().any(|found| found == wanted), "{wanted}: {types:?}");
    }
    // In the answer to a request, too.
    let receiver =
        Receiver::with(|_| Reply::status(200).header("content-type", "application/json").body("\u{feff}{\"n\":1.10}"));
    scene::automation(
        &client,
        &json!({"name": "a", "on": ["ask"], "then": [
        {"action": "webhook-call", "name": "asked", "with": {"url": receiver.url()}}]}),
    );
    let story = scene::story(&client, &send(&client, "ask", "{}"));
    assert_eq!(story["runs"][0]["steps"][0]["outcome"]["result"]["body"]["n"].to_string(), "1.10", "{story:#}");
}

#[test]
fn events_are_accepted_in_the_forms_that_clients_send() {
    let server = Server::shared();
    let client = server.space("as-sent").in_space("as-sent");
    let native = br#"{"type":"a","data":{"n":1}}"#;
    for headers in
        [&[][..], &[("content-type", "application/x-www-form-urlencoded")], &[("content-type", "text/plain")]]
    {
        client.send("POST", "/v1/events", headers, native).expect(202);
    }
    client
        .send("POST", "/v1/events", &[("content-type", "application/x-www-form-urlencoded")], b"a=1")
        .problem(400, "body.not_json");
    client
        .send("POST", "/v1/events", &[("content-type", "application/cloudevents+xml")], b"<x/>")
        .problem(415, "body.unsupported_type");
    // A binary CloudEvent whose data nobody gave a type.
    for (id, body, data) in [
        ("text", &b"hello"[..], json!("hello")),
        ("json", b"{\"n\":1}", json!({"n": 1})),
        ("bytes", b"\xff", json!("/w==")),
    ] {
        let headers = [("ce-specversion", "1.0"), ("ce-id", id), ("ce-source", "/s"), ("ce-type", "t")];
        client.send("POST", "/v1/events", &headers, body).expect(202);
        assert_eq!(scene::story(&client, id)["event"]["data"], data, "{id}");
    }
}

#[test]
fn all_missing_fields_are_reported_at_once_and_a_list_is_not_an_object() {
    let server = Server::shared();
    let client = server.space("envelopes").in_space("envelopes");
    for (route, body, paths) in [
        ("/webhook", "{}", vec!["service", "trigger_event_type", "attributes"]),
        ("/webhook", r#"{"service":7,"attributes":[]}"#, vec!["service", "trigger_event_type", "attributes"]),
        ("/webhook", r#"["jira","jira.x",{}]"#, vec![""]),
        ("/v1/events", r#"["a","b",null,null,null,{}]"#, vec![""]),
        ("/v1/events", r#"{"type":1,"source":2,"id":3}"#, vec!["type", "source", "id"]),
        ("/v1/keys", r#"["a","viewer"]"#, vec![""]),
        (
            "/v1/automations",
            r#"{"name":"a","on":["a"],"when":["match",{}],"then":[{"action":"event-emit","with":{"type":"b"}}]}"#,
            vec!["when"],
        ),
        (
            "/v1/webhooks",
            r#"{"url":"http://127.0.0.1:9/","events":["a"],"retry":[[1],null,null,null,0.1]}"#,
            vec!["retry"],
        ),
        ("/v1/automations", r#"{"on":5,"colour":1}"#, vec!["on", "colour", "name", "then"]),
        (
            "/v1/workflows",
            r#"{"steps":[{"wait":{"seconds":1},"colour":1}],"input":[]}"#,
            vec!["steps[0].colour", "input", "name"],
        ),
        ("/v1/schedules", r#"{"cron":5,"type":[]}"#, vec!["cron", "type", "name"]),
        (
            "/v1/webhooks",
            r#"{"headers":[{"name":5},{"value":"a"}],"concurrency":"x","events":"go"}"#,
            vec!["headers[0].name", "headers[0].value", "headers[1].name", "concurrency", "events", "url"],
        ),
        ("/v1/webhook-policies", r#"{"name":5}"#, vec!["name", "signing"]),
        ("/v1/sources", r#"{"with":[],"active":"yes"}"#, vec!["with", "active", "name", "kind"]),
        ("/v1/event-types", r#"{"strict":"yes"}"#, vec!["strict", "name"]),
        ("/v1/keys", r#"{"nmae":"a","user":{"name":5}}"#, vec!["nmae", "user.name", "user.id", "name", "role"]),
    ] {
        let answer = client.send("POST", route, &[JSON], body.as_bytes());
        answer.problem(422, "input.invalid");
        assert_eq!(answer.paths(), paths, "{body}: {answer}");
        let said = answer.text();
        for ours in ["struct ", "enum ", "NativeChecked", "Input", "u32", "usize"] {
            assert!(!said.contains(ours), "{body} shows `{ours}`: {said}");
        }
    }
}

#[test]
fn every_error_in_a_changes_shape_is_reported_and_absent_fields_are_not_errors() {
    let server = Server::shared();
    let client = server.space("changes-of-shape");
    let emit = json!({"action": "event-emit", "with": {"type": "b"}});
    let id = scene::automation(&client, &json!({"name": "a", "on": ["a"], "then": [emit]}));
    let path = format!("/v1/automations/{id}");
    let change =
        json!({"on": 5, "then": [{"wait": 5}, {"action": "note-add", "if": {"al": []}, "on_error": 7}], "x": 1});
    let answer = client.patch(&path, &change);
    answer.problem(422, "input.invalid");
    assert_eq!(answer.paths(), ["on", "then[0].wait", "then[1].if.al", "then[1].on_error", "x"], "{answer}");
    let ticket = scene::ticket(&client, "t");
    let answer = client.patch(&format!("/v1/tickets/{ticket}"), &json!({"subject": 4, "statsu": "x"}));
    let mut paths = answer.paths();
    paths.sort();
    assert_eq!(paths, ["statsu", "subject"], "{answer}");
}

#[test]
fn errors_do_not_name_internal_types() {
    let server = Server::shared();
    let client = server.space("plain-words").in_space("plain-words");
    let values = ["[]", "{}", "7", "1.5", "\"x\"", "true", "[[]]", "[{}]", "{\"x\":[]}"];
    let mut seen = 0;
    for (method, route, fields) in [
        ("POST", "/v1/events", &["type", "data", "source", "time"][..]),
        ("POST", "/webhook", &["service", "trigger_event_type", "attributes"]),
        ("POST", "/v1/automations", &["name", "on", "when", "then", "enabled", "concurrency", "on_unavailable"]),
        ("POST", "/v1/workflows", &["name", "steps", "input", "concurrency"]),
        ("POST", "/v1/schedules", &["name", "cron", "every_seconds", "timezone", "missed", "for_each", "event"]),
        (
            "POST",
            "/v1/webhooks",
            &["url", "events", "signing", "retry", "batching", "order", "headers", "rate", "transport", "when", "with"],
        ),
        ("POST", "/v1/sources", &["name", "kind", "with", "access", "rate", "poll", "active"]),
        ("POST", "/v1/keys", &["name", "role", "space", "user"]),
        ("POST", "/v1/tickets", &["subject", "status", "priority", "tags"]),
        ("POST", "/v1/event-types", &["name", "schema", "example"]),
        ("PATCH", "/v1/plugins/note-add/policy", &["grants", "limits", "instance", "recordings", "config"]),
        ("POST", "/v1/plugins/note-add/grants", &["http", "interfaces", "secrets", "records"]),
        ("POST", "/v1/configuration/plan", &["automations", "webhooks", "sources"]),
        ("POST", "/v1/redeliveries", &["webhook", "from", "to"]),
    ] {
        let bodies = values.iter().map(|value| (*value).to_owned());
        let bodies =
            bodies.chain(fields.iter().flat_map(|field| values.map(|value| format!(r#"{{"{field}":{value}}}"#))));
        for body in bodies {
            let answer = client.send(method, route, &[JSON], body.as_bytes());
            if answer.status < 400 {
                continue;
            }
            seen += 1;
            let said = answer.text();
            let ours = [
                "expected struct",
                "expected enum",
                "tagged enum",
                "expected tuple",
                "variant of",
                "unit variant",
                "newtype",
                "expected u",
                "expected i8",
                "expected i32",
                "expected i64",
                "expected f64",
                "Checked",
                "serde",
            ];
            let shown: Vec<&&str> = ours.iter().filter(|word| said.contains(**word)).collect();
            assert!(shown.is_empty(), "{method} {route} {body} shows {shown:?}: {said}");
        }
    }
    assert!(seen > 300, "{seen}");
}

/// The automation that lets everything that reads JSON read an event's data.
fn readers(receiver: &Receiver) -> Value {
    let own = json!({"action": "webhook-call", "with": {"url": receiver.url(), "body": {"v": "{{event.data}}"}}});
    json!({"name": "readers", "on": ["read"], "then": [
        {"transform": "raw", "name": "raw", "with": {}},
        {"transform": "jq", "name": "jq", "with": {"filter": "."}},
        {"transform": "jsonpath-pick", "name": "jsonpath", "with": {"path": "$"}},
        {"transform": "template", "name": "template", "with": {"template": "{{ data | tojson }}", "content_type": "application/json"}},
        {"transform": "raw", "name": "variable", "input": "{{event.data}}", "with": {}},
        {"action": "record-create", "name": "record", "with": {"kind": "lead", "fields": {"title": "a", "own": {"v": "{{event.data}}"}}}},
        {"action": "event-emit", "name": "emitted", "with": {"type": "again", "data": {"v": "{{event.data}}"}}},
        own,
        {"action": "event-emit", "name": "matched", "with": {"type": "matched"},
         "if": {"condition": "match", "with": {"path": "data", "equals": "{{event.data}}"}}},
        {"action": "event-emit", "name": "cel", "with": {"type": "cel"},
         "if": {"condition": "cel", "with": {"expression": "data == event.data"}}},
        {"action": "event-emit", "name": "steps", "with": {"type": "steps"},
         "if": {"condition": "match", "with": {"value": "{{steps.variable.result}}", "equals": "{{steps.raw.result}}"}}}
    ]})
}

/// Lets everything read `data`, and compares.
#[track_caller]
fn read_by_all(client: &Client, receiver: &Receiver, data: &str) {
    let wanted: Value = serde_json::from_str(data).unwrap();
    let sent = receiver.received().len();
    let story = scene::story(client, &send(client, "read", data));
    assert_eq!(story["event"]["data"], wanted, "{data}");
    let steps = story["runs"][0]["steps"].as_array().unwrap();
    let step = |name: &str| steps.iter().find(|step| step["name"] == name).unwrap();
    for name in ["raw", "jq", "jsonpath", "template", "variable"] {
        let outcome = &step(name)["outcome"];
        assert_eq!(outcome["result"], wanted, "{name} of {data}: {outcome}");
    }
    for name in ["emitted", "matched", "cel", "steps"] {
        assert_eq!(step(name)["outcome"]["kind"], "done", "{name} of {data}: {:#}", step(name));
    }
    let record = text(&step("record")["outcome"]["result"]["id"].to_string().trim_matches('"').into());
    let record = client.get(&format!("/v1/records/lead/{record}")).expect(200);
    assert_eq!(record["own"]["v"], wanted, "the record of {data}");
    let again = text(&step("emitted")["outcome"]["result"]["event"]);
    assert_eq!(scene::story(client, &again)["event"]["data"]["v"], wanted, "the event emitted for {data}");
    let request = &receiver.wait_for(sent + 1)[sent];
    assert_eq!(request.json()["v"], wanted, "what was sent for {data}");
}

#[test]
fn digits_survive_from_the_sender_to_every_reader() {
    let server = Server::shared();
    let client = server.space("digits");
    let receiver = Receiver::start();
    scene::automation(&client, &readers(&receiver));
    for data in [
        "12345678901234567890123456789",
        "1.10",
        "-0",
        "0.1000000000000000055511151231257827021181583404541015625",
        "[18446744073709551616, -9223372036854775809, 1e22, 5e-324, 0.0, -0.0]",
        r#"{"price": 1.10, "id": 12345678901234567890123, "list": [1.0, 1.00, 10], "deep": {"n": {"x": -0.50}}}"#,
        r#"{"text": "1.10", "": null, "a b": true, "😀": "\u0000\ud83d\ude00"}"#,
    ] {
        read_by_all(&client, &receiver, data);
    }
    // A dry run decides as the run does.
    let made = scene::automation(
        &client,
        &json!({"name": "dry", "on": ["number"],
        "when": {"condition": "match", "with": {"path": "data.n", "equals": "12345678901234567890124"}},
        "then": [{"action": "event-emit", "with": {"type": "fired"}}]}),
    );
    for (n, fires) in [("12345678901234567890124", true), ("12345678901234567890123", false)] {
        let event = send(&client, "number", &format!(r#"{{"n":{n}}}"#));
        assert_eq!(scene::story(&client, &event)["runs"][0]["decision"]["fired"], fires, "{n}");
        let path = format!("/v1/automations/{made}/test");
        for body in
            [format!(r#"{{"event":{{"type":"number","data":{{"n":{n}}}}}}}"#), format!(r#"{{"event_id":"{event}"}}"#)]
        {
            let tried = client.send("POST", &path, &[JSON], body.as_bytes()).expect(200);
            assert_eq!(tried["decision"]["fired"], fires, "{body}: {tried:#}");
        }
    }
}

/// JSON whose numbers, names and texts are written in every way.
fn any_json() -> impl Strategy<Value = String> {
    let string = prop::collection::vec(
        prop_oneof![
            "[a-z ]{0,4}".boxed(),
            prop_oneof![
                Just(r"\n"),
                Just(r#"\""#),
                Just(r"\u00e9"),
                Just(r"\ud83d\ude00"),
                Just("é{{x}}"),
                Just("😀"),
                Just(r"\\"),
                Just("<&'>")
            ]
            .prop_map(str::to_owned)
            .boxed(),
        ],
        0..3,
    )
    .prop_map(|pieces| format!("\"{}\"", pieces.concat()));
    let number = "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,25})?([eE][+-]?[0-9]{1,2})?";
    let leaf = prop_oneof![Just("null".to_owned()), Just("false".to_owned()), number, string];
    leaf.prop_recursive(4, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(inner, 0..4).prop_map(|parts| {
                let members: Vec<String> =
                    parts.iter().enumerate().map(|(at, part)| format!("\"n{at}\" : {part}")).collect();
                format!("{{{}}}", members.join(" , "))
            }),
        ]
    })
}

#[test]
fn all_parsers_agree_on_any_json() {
    let server = Server::shared();
    let client = server.space("every-reader");
    let receiver = Receiver::start();
    scene::automation(&client, &readers(&receiver));
    let config =
        ProptestConfig { cases: 40, failure_persistence: None, max_shrink_iters: 60, ..ProptestConfig::default() };
    let run = TestRunner::new(config).run(&any_json(), |data| {
        let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| read_by_all(&client, &receiver, &data)));
        read.map_err(|_| TestCaseError::fail(format!("readers differ about {data}")))
    });
    run.unwrap();
}
