//! Whatever is sent, the answer is a problem with a stable code, nothing is lost, and the server goes on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hookwright_tests::raw::Raw;
use hookwright_tests::scene::{self, text};
use hookwright_tests::{ADMIN_KEY, Client, Options, Receiver, Reply, Server, eventually};
use serde_json::{Value, json};

/// The routes that read JSON, each with a body that it takes.
fn json_routes() -> [(&'static str, &'static str, Value); 7] {
    [
        ("POST", "/v1/events", json!({"type": "a.b", "data": {}})),
        ("POST", "/webhook", json!({"service": "a", "trigger_event_type": "b", "attributes": {}})),
        (
            "POST",
            "/v1/automations",
            json!({"name": "a", "on": ["a"], "then": [{"action": "event-emit", "with": {"type": "b"}}]}),
        ),
        ("POST", "/v1/tickets", json!({"subject": "a"})),
        ("POST", "/v1/webhooks", json!({"url": "http://127.0.0.1:9/", "events": ["a"]})),
        ("POST", "/v1/keys", json!({"name": "a", "role": "viewer"})),
        ("POST", "/v1/sources", json!({"name": "a", "kind": "github"})),
    ]
}

const JSON: (&str, &str) = ("content-type", "application/json");

#[track_caller]
fn still_well(client: &Client, space: &str) {
    client.get("/healthz").expect(200);
    for (method, path, body) in json_routes() {
        let answer = client.in_space(space).send(method, path, &[JSON], body.to_string().as_bytes());
        assert!([201, 202].contains(&answer.status), "{answer}");
    }
}

#[test]
fn a_body_that_is_not_json_is_rejected_with_a_description() {
    let server = Server::shared();
    let client = server.space("no-json").in_space("no-json");
    let deep = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
    let deep_objects = [br#"{"a":"#.repeat(10_000), b"1".to_vec(), b"}".repeat(10_000)].concat();
    let within = |inner: &[u8]| [br#"{"type":"a","data":"#, inner, b"}"].concat();
    let rows: &[(&str, Vec<u8>, &str)] = &[
        ("empty", Vec::new(), "body.not_json"),
        ("blank", b" \n".to_vec(), "body.not_json"),
        ("cut off", br#"{"type":"a","#.to_vec(), "body.not_json"),
        ("a word", b"hello".to_vec(), "body.not_json"),
        ("two values", b"{} {}".to_vec(), "body.not_json"),
        ("a form", b"type=a&data=b".to_vec(), "body.not_json"),
        ("a comment", b"{} // really".to_vec(), "body.not_json"),
        ("not a number", br#"{"type":"a","data":NaN}"#.to_vec(), "body.not_json"),
        ("two byte order marks", b"\xef\xbb\xbf\xef\xbb\xbf{}".to_vec(), "body.not_json"),
        ("UTF-16", b"\xff\xfe{\0}\0".to_vec(), "body.not_utf8"),
        ("Latin-1", b"{\"type\":\"\xe4\"}".to_vec(), "body.not_utf8"),
        ("half a character", b"{\"type\":\"\xe2\x82\"}".to_vec(), "body.not_utf8"),
        ("an overlong character", b"{\"type\":\"\xc0\xaf\"}".to_vec(), "body.not_utf8"),
        ("10,000 levels of lists", deep(10_000), "body.too_deep"),
        ("10,000 levels of objects", deep_objects, "body.too_deep"),
        ("10,000 levels within data", within(&deep(10_000)), "body.too_deep"),
        ("10,000 levels that never close", b"[".repeat(10_000), "body.too_deep"),
    ];
    for (what, body, code) in rows {
        for (method, path, _) in json_routes() {
            let answer = client.send(method, path, &[JSON], body);
            assert_eq!((answer.status, &answer.json()["code"]), (400, &json!(code)), "{what}: {answer}");
            answer.problem(400, code);
            client.get("/healthz").expect(200);
        }
    }
    // What nests as deep as is allowed is taken.
    client.send("POST", "/v1/events", &[JSON], &within(&deep(127))).expect(202);
    client.send("POST", "/v1/events", &[JSON], &within(&deep(128))).problem(400, "body.too_deep");
    still_well(&client, "no-json");
}

#[test]
fn a_field_of_the_wrong_type_and_an_unknown_field_are_named_with_their_path() {
    let server = Server::shared();
    let client = server.space("fields").in_space("fields");
    for (method, path, good) in json_routes() {
        let mut unknown = good.clone();
        unknown["no_such_field"] = json!(1);
        let answer = client.send(method, path, &[JSON], unknown.to_string().as_bytes());
        answer.problem(422, "input.invalid");
        assert_eq!(answer.paths(), ["no_such_field"], "{answer}");
        for wrong in [json!([]), json!(7), json!("text"), Value::Null] {
            client.send(method, path, &[JSON], wrong.to_string().as_bytes()).problem(422, "input.invalid");
        }
        for (field, _) in good.as_object().unwrap() {
            if (path, field.as_str()) == ("/v1/events", "data") {
                continue;
            }
            let mut wrong = good.clone();
            wrong[field] = json!(true);
            let answer = client.send(method, path, &[JSON], wrong.to_string().as_bytes());
            answer.problem(422, "input.invalid");
            assert_eq!(answer.paths(), [field.as_str()], "{answer}");
        }
    }
    let ticket = scene::ticket(&client, "Bounded");
    for (path, method, body, wrong) in [
        (
            "/v1/tickets",
            "POST",
            json!({"subject": "a", "custom_field_values": [{"custom_field_id": "x"}]}),
            "custom_field_values[0].custom_field_id",
        ),
        ("/v1/tickets", "POST", json!({"subject": ""}), "subject"),
        ("/v1/tickets", "POST", json!({"subject": "x".repeat(1025)}), "subject"),
        ("/v1/tickets/{}", "PATCH", json!({"subject": 4}), "subject"),
        ("/v1/tickets/{}", "PATCH", json!({"status": null}), "status"),
        ("/v1/tickets/{}", "PATCH", json!({"id": 9}), "id"),
        ("/v1/webhooks", "POST", json!({"url": "http://127.0.0.1/", "events": ["a..b"]}), "events[0]"),
        ("/v1/events", "POST", json!({"type": "x".repeat(257)}), "type"),
        ("/v1/events", "POST", json!({"type": "a\nb"}), "type"),
        ("/v1/events", "POST", json!({"type": "a", "time": "yesterday"}), "time"),
    ] {
        let answer =
            client.send(method, &path.replace("{}", &ticket.to_string()), &[JSON], body.to_string().as_bytes());
        answer.problem(422, "input.invalid");
        assert_eq!(answer.paths(), [wrong], "{body}: {answer}");
    }
    let blank = client.post(&format!("/v1/tickets/{ticket}/notes"), &json!({"text": " "}));
    assert!(text(&blank.problem(422, "input.invalid")["detail"]).contains("text"), "{blank}");
}

#[test]
fn an_error_does_not_grow_with_the_name_or_the_value_that_it_names() {
    let server = Server::shared();
    let client = server.space("long-values").in_space("long-values");
    let long = "x".repeat(900_000);
    let unknown = || Value::Object([(long.clone(), json!(1))].into_iter().collect());
    let step = |step: Value| json!({"name": "a", "on": ["a"], "then": [step]});
    let note = |text: String| step(json!({"action": "note-add", "with": {"id": 1, "text": text}}));
    for (path, body) in [
        ("/v1/events", unknown()),
        ("/webhook", unknown()),
        ("/v1/automations", unknown()),
        ("/v1/automations", json!({"name": "a", "on": [long], "then": []})),
        ("/v1/automations", step(json!({"action": long}))),
        ("/v1/automations", step(json!({"wait": long}))),
        ("/v1/automations", step(json!({"action": "note-add", "with": unknown()}))),
        ("/v1/automations", note(format!("{{{{{long}}}}}"))),
        ("/v1/automations", note(format!("{{{{steps.{long}.result}}}}"))),
        ("/v1/keys", json!({"name": long, "role": "viewer"})),
        ("/v1/keys", json!({"name": "a", "role": long})),
        ("/v1/webhooks", json!({"url": long, "events": ["a"]})),
        ("/v1/webhooks", json!({"url": "http://127.0.0.1:9/", "events": ["a"], "transform": long})),
        (
            "/v1/webhooks",
            json!({"url": "http://127.0.0.1:9/", "events": ["a"], "headers": [{"name": long, "value": ""}]}),
        ),
        ("/v1/sources", json!({"name": "a", "kind": long})),
        ("/v1/schedules", json!({"name": "a", "every_seconds": 5, "workflow": long})),
        ("/v1/schedules", json!({"name": "a", "cron": "* * * * *", "timezone": long, "type": "x"})),
        ("/v1/configuration/plan", json!({"configuration": {"keys": [{"name": "a", "role": long}]}})),
    ] {
        let answer = client.post(path, &body);
        answer.problem(422, "input.invalid");
        assert!(answer.body.len() < 10_000, "{path}: {} bytes: {answer}", answer.body.len());
    }
    // Many errors are counted, not listed.
    let headers: Vec<Value> = (0..20_000).map(|_| json!({"name": "", "value": ""})).collect();
    let answer =
        client.post("/v1/webhooks", &json!({"url": "http://127.0.0.1:9/", "events": ["a"], "headers": headers}));
    let problem = answer.problem(422, "input.invalid");
    assert_eq!(problem["errors"].as_array().map(Vec::len), Some(501), "{answer}");
    assert!(text(&problem["errors"][500]["message"]).contains("validation errors in all"), "{answer}");
    assert!(answer.body.len() < 100_000, "{} bytes", answer.body.len());
}

#[test]
fn unknown_paths_methods_and_queries_are_reported() {
    let server = Server::shared();
    let client = server.client();
    for (method, path, status, code) in [
        ("GET", "/", 404, "route.not_found"),
        ("GET", "/v1", 404, "route.not_found"),
        ("GET", "/v1/nothing", 404, "route.not_found"),
        ("GET", "/v1/events/", 404, "route.not_found"),
        ("GET", "/v1/events/a/b/c", 404, "route.not_found"),
        ("GET", "/v1/events/%00", 404, "event.not_found"),
        ("GET", "/v1/events/..%2F..%2Fetc%2Fpasswd", 404, "event.not_found"),
        ("GET", "/v1/tickets/0", 404, "ticket.not_found"),
        ("GET", "/v1/tickets/-1", 404, "ticket.not_found"),
        ("GET", "/v1/tickets/99999999999999999999", 404, "ticket.not_found"),
        ("GET", "/v1/runs/run_1", 404, "run.not_found"),
        ("GET", "/v1/runs/run_999_0", 404, "run.not_found"),
        ("GET", "/v1/deliveries/dlv_x_y", 404, "delivery.not_found"),
        ("GET", "/v1/events/%ff%fe", 400, "path.invalid"),
        ("PUT", "/v1/plugins/%ff", 400, "path.invalid"),
        ("GET", "/v1/events/a?source=b&source=c", 400, "query.invalid"),
        ("GET", "/v1/events?limit=0", 400, "query.invalid"),
        ("GET", "/v1/events?limit=501", 400, "query.invalid"),
        ("GET", "/v1/events?limit=ten", 400, "query.invalid"),
        ("GET", "/v1/events?limit=1&limit=2", 400, "query.invalid"),
        ("GET", "/v1/events?cursor=nowhere", 400, "query.invalid"),
        ("GET", "/v1/tickets?cursor=-1", 400, "query.invalid"),
        ("GET", "/v1/plugins?cursor=match%200", 400, "query.invalid"),
        ("GET", "/v1/plugins?cursor=match", 400, "query.invalid"),
        ("GET", "/v1/plugins?cursor=Match,0", 400, "query.invalid"),
        ("GET", "/v1/plugins?cursor=match,3", 400, "query.invalid"),
        ("GET", "/v1/plugins?cursor=", 400, "query.invalid"),
        ("GET", "/v1/workflows?cursor=a%20b", 400, "query.invalid"),
        ("GET", "/v1/keys?cursor=%09", 400, "query.invalid"),
        ("GET", "/v1/events?type=a..b", 400, "query.invalid"),
        ("GET", "/v1/runs?state=lost", 400, "query.invalid"),
        ("GET", "/v1/deliveries?state=lost", 400, "query.invalid"),
    ] {
        client.send(method, path, &[], b"").problem(status, code);
    }
    for (method, path, allow) in [
        ("DELETE", "/v1/events", &["GET", "POST"][..]),
        ("PUT", "/v1/tickets/1", &["GET", "PATCH"]),
        ("POST", "/healthz", &["GET"]),
        ("GET", "/webhook", &["POST"]),
        ("PROPFIND", "/v1/keys", &["GET", "POST"]),
        ("TRACE", "/v1/plugins/match", &["GET", "PUT", "DELETE"]),
        ("OPTIONS", "/v1/webhooks/1", &["GET", "PATCH", "DELETE"]),
    ] {
        let answer = client.send(method, path, &[], b"");
        answer.problem(405, "method.not_allowed");
        let allowed = answer.header("allow").unwrap_or_default();
        let allowed: BTreeSet<&str> = allowed.split(',').map(str::trim).filter(|method| *method != "HEAD").collect();
        assert_eq!(allowed, allow.iter().copied().collect(), "{answer}");
    }
}

#[test]
fn an_oversized_body_is_rejected_without_side_effects() {
    let server = Server::start(Options::default().set("HOOKWRIGHT_MAX_BODY_BYTES", "100000"));
    let client = server.client().in_space("main");
    let of_size = |size: usize| {
        let frame = r#"{"type":"large","id":"","data":""}"#.len();
        let id = format!("size-{size}");
        let filler = "x".repeat(size - frame - id.len());
        format!(r#"{{"type":"large","id":"{id}","data":"{filler}"}}"#)
    };
    for size in [99_999, 100_000] {
        assert_eq!(
            client.send("POST", "/v1/events", &[JSON], of_size(size).as_bytes()).expect(202)["id"],
            format!("size-{size}")
        );
    }
    for (method, path, _) in json_routes() {
        let answer = client.send(method, path, &[JSON], of_size(100_001).as_bytes());
        answer.problem(413, "body.too_large");
    }
    // Without a length that says so in advance, the bytes are counted.
    let chunk = format!("2710\r\n{}\r\n", "x".repeat(10_000));
    let mut raw = Raw::connect(&server.address());
    raw.send(head("POST", "/v1/events", "transfer-encoding: chunked")).send(chunk.repeat(30));
    raw.answer().problem(413, "body.too_large");
    // A length alone must not make the server wait or reserve: it is refused at once.
    let mut raw = Raw::connect(&server.address());
    raw.send(head("POST", "/v1/events", "content-length: 99999999999")).send(of_size(100_100));
    raw.answer().problem(413, "body.too_large");

    still_well(&client, "main");
    let kept: BTreeSet<String> =
        scene::all(&client, "/v1/events?type=large").iter().map(|event| text(&event["id"])).collect();
    assert_eq!(kept, ["size-99999", "size-100000"].map(str::to_owned).into());
}

fn head(method: &str, path: &str, more: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {ADMIN_KEY}\r\n\
         content-type: application/json\r\n{more}\r\n\r\n"
    )
}

#[test]
fn incomplete_and_slow_requests_are_answered_and_leave_nothing() {
    let options =
        Options::default().set("HOOKWRIGHT_HEADER_TIMEOUT_MS", "2000").set("HOOKWRIGHT_BODY_TIMEOUT_MS", "2000");
    let server = Server::start(options);
    let address = server.address();
    let part = r#"{"type":"lost","data":"#;

    let mut raw = Raw::connect(&address);
    raw.send(head("POST", "/v1/events", "content-length: 100")).send(part).end();
    raw.answer().problem(400, "body.incomplete");
    let mut raw = Raw::connect(&address);
    raw.send(head("POST", "/v1/events", "transfer-encoding: chunked")).send("5\r\n{\"typ\r\n").end();
    raw.answer().problem(400, "body.incomplete");
    let mut raw = Raw::connect(&address);
    raw.send(head("POST", "/v1/events", "transfer-encoding: chunked")).send("five\r\n{\"typ\r\n");
    raw.answer().problem(400, "body.incomplete");

    let in_time = |problem: Value| assert!(text(&problem["detail"]).contains("within 2 s"), "{problem}");
    let mut raw = Raw::connect(&address);
    raw.send(head("POST", "/v1/events", "content-length: 100")).send(part);
    in_time(raw.answer().problem(408, "body.timeout"));
    let mut raw = Raw::connect(&address);
    raw.send("POST /v1/events HTTP/1.1\r\nhost: te");
    in_time(raw.answer().problem(408, "header.timeout"));
    // A byte now and then does not buy more time.
    let answer = std::thread::scope(|scope| {
        let mut slow = Raw::connect(&address);
        let slow = scope.spawn(move || {
            for byte in b"GET /healthz HTTP/1.1\r\nx-slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" {
                slow.send([*byte]);
                std::thread::sleep(Duration::from_millis(60));
            }
            slow.answer()
        });
        let mut raw = Raw::connect(&address);
        raw.send("GET /healthz HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        assert_eq!(raw.answer().status, 200, "others are served meanwhile");
        slow.join().unwrap()
    });
    in_time(answer.problem(408, "header.timeout"));
    // Who says nothing at all is let go without a word.
    assert_eq!(Raw::connect(&address).rest(), b"");

    still_well(&server.client(), "main");
    assert_eq!(scene::all(&server.client(), "/v1/events?type=lost"), Vec::<Value>::new());
}

/// The HTTP library answers what it cannot read by itself: a bare status, and the connection ends.
#[test]
fn invalid_http_closes_only_its_own_connection() {
    let server = Server::shared();
    let fields: String = (0..200).map(|n| format!("x-{n}: a\r\n")).collect();
    for (request, status) in [
        ("\x00\x01\x02 hello\r\n\r\n".to_owned(), 400),
        ("GET /healthz HTTP/9.9\r\n\r\n".to_owned(), 400),
        ("GET /healthz HTTP/1.1\r\nno colon\r\n\r\n".to_owned(), 400),
        ("POST /v1/events HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n".to_owned(), 400),
        ("POST /v1/events HTTP/1.1\r\ncontent-length: -1\r\n\r\n".to_owned(), 400),
        (format!("GET /healthz HTTP/1.1\r\n{fields}\r\n"), 431),
        (format!("GET /healthz HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(1_000_000)), 431),
        (format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(70_000)), 414),
    ] {
        let shown: String = request.chars().take(60).collect();
        assert_eq!(Raw::connect(&server.address()).send(request).answer().status, status, "{shown:?}");
    }
    server.client().get("/healthz").expect(200);
}

#[test]
fn an_ambiguous_request_is_rejected() {
    let server = Server::shared();
    let key = format!("authorization: Bearer {ADMIN_KEY}\r\ncontent-type: application/json");
    for (request, part) in [
        ("GET /healthz HTTP/1.1\r\n\r\n".to_owned(), "no Host"),
        ("GET /healthz HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n".to_owned(), "several Host"),
        ("GET /healthz HTTP/1.1\nhost: a\r\n\r\n".to_owned(), "LF alone"),
        (
            format!(
                "POST /v1/events HTTP/1.1\r\nhost: a\r\n{key}\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n\
                 0\r\n\r\n"
            ),
            "both Content-Length and Transfer-Encoding",
        ),
        (
            format!(
                "POST /v1/events HTTP/1.1\r\nhost: a\r\n{key}\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\n{{}}"
            ),
            "several Content-Length",
        ),
    ] {
        let problem = Raw::connect(&server.address()).send(&request).answer().problem(400, "request.ambiguous");
        assert!(text(&problem["detail"]).contains(part), "{request:?}: {problem}");
    }
    let mut raw = Raw::connect(&server.address());
    let answer = raw.send("GET /healthz HTTP/1.0\r\n\r\n").answer();
    assert_eq!(answer.status, 200, "HTTP/1.0 has no Host");
}

#[test]
fn an_oversized_body_is_answered_while_it_is_still_being_sent() {
    let server = Server::shared();
    let body = vec![b'x'; 10_000_000];
    for more in ["", "authorization: Bearer wrong\r\n"] {
        let mut raw = Raw::connect(&server.address());
        let head = match more {
            "" => head("POST", "/v1/events", &format!("content-length: {}", body.len())),
            more => format!("POST /v1/events HTTP/1.1\r\nhost: test\r\n{more}content-length: {}\r\n\r\n", body.len()),
        };
        raw.must_send(head).must_send(&body);
        let (status, code) = if more.is_empty() { (413, "body.too_large") } else { (401, "auth.invalid") };
        raw.answer().problem(status, code);
    }
}

#[test]
fn wrong_keys_are_throttled_and_valid_keys_are_not() {
    let server = Server::start(Options::default().set("HOOKWRIGHT_WRONG_KEYS_PER_MINUTE", "5").clock());
    let client = server.client();
    client.get("/v1/keys").expect(200);
    let other = client.post("/v1/keys", &json!({"name": "x", "role": "viewer"})).expect(201);
    for n in 0..5 {
        client.with_key(&format!("wrong-key-{n}")).get("/v1/keys").problem(401, "auth.invalid");
    }
    let refused = client.with_key("wrong-key-6").get("/v1/keys");
    refused.problem(429, "auth.throttled");
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=12).contains(&wait), "{refused}");
    client.get("/v1/keys").expect(200);
    let unseen = client.with_key(&text(&other["key"]));
    unseen.get("/v1/events").problem(429, "auth.throttled");
    server.advance(Duration::from_secs(wait));
    unseen.get("/v1/events").expect(200);
}

/// Few descriptors, and somebody who holds as many connections as he can.
#[test]
fn connections_without_credentials_block_neither_clients_nor_deliveries() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("hookwright");
    let program = hookwright_tests::workspace::binary();
    let lines = format!("#!/bin/sh\nulimit -n 256\nexec {} \"$@\"\n", program.display());
    hookwright_tests::executable::script(&script, &lines);
    let options = Options::default().program(script).set("HOOKWRIGHT_HEADER_TIMEOUT_MS", "60000");
    let server = Server::start(options);
    let client = server.client();
    let receiver = Receiver::start();
    scene::webhook(&client, &receiver.url(), &["x"]);
    let held: Vec<Raw> = (0..400)
        .map(|_| {
            let mut raw = Raw::connect(&server.address());
            raw.send("POST /v1/events HTTP/1.1\r\nhost: te");
            raw
        })
        .collect();
    for n in 0..20 {
        scene::send(&client, "x", &json!(n));
    }
    eventually(|| {
        let received = receiver.received().len();
        if received == 20 { Ok(()) } else { Err(format!("{received} of 20 were delivered")) }
    });
    assert_eq!(held.len(), 400);
    assert!(!server.log().contains("Too many open files"), "{}", server.log());
}

#[test]
fn with_a_full_queue_exactly_the_acknowledged_events_are_stored() {
    let server = Server::start(Options::default().set("HOOKWRIGHT_MAX_QUEUE", "1"));
    let client = server.client();
    let refused = AtomicBool::new(false);
    let sent: Vec<(String, bool)> = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..32)
            .map(|sender| {
                let (client, refused) = (server.client(), &refused);
                scope.spawn(move || {
                    let mut sent = Vec::new();
                    for n in 0..200 {
                        if n >= 20 && refused.load(Ordering::SeqCst) {
                            break;
                        }
                        let id = format!("q-{sender}-{n}");
                        let answer = client.post("/v1/events", &json!({"type": "queued", "id": id, "data": n}));
                        if answer.status != 202 {
                            answer.problem(503, "queue.full");
                            assert_eq!(answer.header("retry-after"), Some("1"), "{answer}");
                            refused.store(true, Ordering::SeqCst);
                        }
                        sent.push((id, answer.status == 202));
                    }
                    sent
                })
            })
            .collect();
        senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect()
    });
    let acknowledged: BTreeSet<String> = sent.iter().filter(|(_, taken)| *taken).map(|(id, _)| id.clone()).collect();
    assert!(acknowledged.len() < sent.len(), "32 senders never met a full queue of 1");
    let stored =
        || -> BTreeSet<String> { scene::all(&client, "/v1/events").iter().map(|event| text(&event["id"])).collect() };
    assert_eq!(stored(), acknowledged);

    // Whoever tries again, as Retry-After says, is served.
    for (id, _) in sent.iter().filter(|(_, taken)| !taken) {
        client.post("/v1/events", &json!({"type": "queued", "id": id, "data": 0})).expect(202);
    }
    assert_eq!(stored(), sent.into_iter().map(|(id, _)| id).collect());
}

#[test]
fn with_a_full_backlog_new_events_are_rejected_and_accepted_ones_processed() {
    let options = Options::default().set("HOOKWRIGHT_MAX_BACKLOG", "5").set("HOOKWRIGHT_CONCURRENT_EVENTS", "1");
    let server = Server::start(options);
    let client = server.client();
    let open = Arc::new(AtomicBool::new(false));
    let receiver = Receiver::with_replies(&[Reply::status(200).once(&open)]);
    scene::automation(
        &client,
        &json!({"name": "slow", "on": ["slow"], "then": [{"action": "webhook-call", "with": {"url": receiver.url()}}]}),
    );
    let mut accepted = Vec::new();
    let refusal = loop {
        assert!(accepted.len() < 50, "the backlog has no bound");
        let answer = client.post("/v1/events", &json!({"type": "slow", "data": accepted.len()}));
        if answer.status != 202 {
            break answer;
        }
        accepted.push(text(&answer.json()["id"]));
    };
    refusal.problem(503, "backlog.full");
    assert_eq!(refusal.header("retry-after"), Some("5"), "{refusal}");
    assert_eq!(accepted.len(), 5);
    // What gives no work is taken all the same.
    scene::send(&client, "wanted.by.nobody", &json!(1));

    open.store(true, Ordering::SeqCst);
    for event in &accepted {
        assert_eq!(scene::story(&client, event)["runs"][0]["state"], "done");
    }
    eventually(|| {
        let answer = client.post("/v1/events", &json!({"type": "slow", "data": "again"}));
        if answer.status == 202 { Ok(()) } else { Err(answer.to_string()) }
    });
    assert_eq!(scene::all(&client, "/v1/events?type=slow").len(), 6);
}
