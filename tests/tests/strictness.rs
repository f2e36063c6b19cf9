//! Nothing that a caller or an operator writes is silently ignored: a misspelt parameter, setting or condition is refused with
//! what was meant.

use std::process::Command;
use std::time::Duration;

use hookwright_tests::scene::{self, text};
use hookwright_tests::{Options, Server, routes, workspace};
use serde_json::{Value, json};

#[test]
fn every_route_rejects_unknown_query_parameters_by_name() {
    let server = Server::shared();
    let client = server.space("unknown-parameters").in_space("unknown-parameters");
    let mut tried = 0;
    for route in routes::table().into_iter().filter(|route| route.path.starts_with("/v1/") && route.method != "ANY") {
        let path = route.path.replace(['{', '}'], "");
        let body = if route.method == "GET" { "" } else { "{}" };
        let answer = client.send(&route.method, &format!("{path}?nonsense=1"), &[], body.as_bytes());
        // The filters of records are fields of their kind; `kind` is none.
        if route.path == "/v1/records/{kind}" && route.method == "GET" {
            answer.problem(404, "kind.not_found");
            continue;
        }
        let detail = text(&answer.problem(400, "query.invalid")["detail"]);
        assert!(detail.contains("nonsense"), "{} {}: {detail}", route.method, route.path);
        tried += 1;
    }
    assert!(tried > 80, "{tried} routes were tried");
    let detail = text(&client.get("/v1/deliveries?stat=dead").problem(400, "query.invalid")["detail"]);
    assert!(detail.contains("did you mean `state`?"), "{detail}");
}

#[test]
fn short_lists_are_returned_whole_and_support_limit_and_cursor() {
    let server = Server::shared();
    let client = server.space("short-lists").in_space("short-lists");
    for n in 0..3 {
        client.put_json(&format!("/v1/secrets/s{n}"), &json!({"value": "x"})).expect(200);
        client.post("/v1/keys", &json!({"name": format!("k{n}"), "role": "viewer"})).expect(201);
        client.post("/v1/sources", &json!({"name": format!("i{n}"), "kind": "inbox", "with": {}})).expect(201);
        client.post("/v1/redeliveries", &json!({"all": true})).expect(202);
    }
    let mut paged = 0;
    for path in [
        "/v1/plugins",
        "/v1/secrets",
        "/v1/kinds",
        "/v1/vocabularies",
        "/v1/redeliveries",
        "/v1/sources",
        "/v1/keys",
        "/v1/comparisons",
    ] {
        let whole = client.get(path).expect(200);
        assert_eq!(whole["next"], Value::Null, "{path}");
        let mut walked = Vec::new();
        let mut next = String::new();
        loop {
            let page = client.get(&format!("{path}?limit=2{next}")).expect(200);
            let data = page["data"].as_array().unwrap().clone();
            assert!(data.len() <= 2, "{path}: {page:#}");
            walked.extend(data);
            match page["next"].as_str() {
                Some(cursor) => next = format!("&cursor={cursor}"),
                None => break,
            }
            paged += 1;
        }
        let names = |list: &[Value]| -> Vec<String> {
            list.iter().map(|item| format!("{}{}{}", item["id"], item["name"], item["kind"])).collect()
        };
        assert_eq!(names(&walked), names(whole["data"].as_array().unwrap()), "{path}");
        client.get(&format!("{path}?limit=0")).problem(400, "query.invalid");
        client.get(&format!("{path}?limt=1")).problem(400, "query.invalid");
    }
    assert!(paged > 20, "{paged}");
    // What is deleted between two pages does not end the list.
    let first = client.get("/v1/secrets?limit=1").expect(200);
    client.delete("/v1/secrets/s0").expect(204);
    let rest = client.get(&format!("/v1/secrets?cursor={}", text(&first["next"]))).expect(200);
    assert_eq!(rest["data"].as_array().map(Vec::len), Some(2), "{rest:#}");
}

fn automation(name: &str) -> Value {
    json!({"name": name, "on": ["x"], "then": [{"action": "event-emit", "with": {"type": "y"}}]})
}

#[test]
fn if_match_is_evaluated_or_rejected() {
    let server = Server::shared();
    let client = server.space("if-match").in_space("if-match");
    let id = scene::automation(&client, &automation("first"));
    let path = format!("/v1/automations/{id}");
    let tag = client.get(&path).header("etag").expect("an automation has an entity tag").to_owned();
    let change = |tag: &str, name: &str| {
        client.send("PATCH", &path, &[("if-match", tag)], json!({"name": name}).to_string().as_bytes())
    };
    let changed = change(&tag, "second");
    changed.expect(200);
    assert_ne!(changed.header("etag"), Some(tag.as_str()));
    let detail = text(&change(&tag, "third").problem(412, "automation.precondition_failed")["detail"]);
    assert!(detail.contains(changed.header("etag").unwrap()), "{detail}");
    client.send("DELETE", &path, &[("if-match", "\"99\"")], b"").problem(412, "automation.precondition_failed");
    assert_eq!(client.get(&path).expect(200)["name"], "second");
    change("*", "fourth").expect(200);

    let hook = client.post("/v1/webhooks", &json!({"url": "http://127.0.0.1:9/", "events": ["a"]})).expect(201);
    let path = format!("/v1/webhooks/{}", text(&hook["id"]));
    client.send("PATCH", &path, &[("if-match", "\"1\"")], b"{}").problem(400, "precondition.unsupported");
    let post = |path: &str, tag: &str| client.send("POST", path, &[("if-match", tag)], b"{}");
    let (enable, disable) = (format!("/v1/automations/{id}/enable"), format!("/v1/automations/{id}/disable"));
    for switch in [&disable, &enable] {
        post(switch, "\"99\"").problem(412, "automation.precondition_failed");
    }
    let present = client.get(&format!("/v1/automations/{id}"));
    assert_eq!(present.expect(200)["enabled"], true);
    assert_eq!(post(&disable, present.header("etag").unwrap()).expect(200)["enabled"], false);
    post(&disable, present.header("etag").unwrap()).problem(412, "automation.precondition_failed");
    assert_eq!(post(&enable, "*").expect(200)["enabled"], true);
    for path in ["/v1/tickets", "/v1/workflows/none/start", "/v1/events", &format!("{path}/disable")] {
        post(path, "*").problem(400, "precondition.unsupported");
    }
}

#[test]
fn writes_return_the_entity_tag_of_the_next_read() {
    let server = Server::shared();
    let client = server.space("etags").in_space("etags");
    let rename = json!({"name": "second"});
    for (route, input, change) in [
        ("/v1/automations", automation("first"), rename),
        ("/v1/schedules", json!({"name": "first", "every_seconds": 3600, "type": "x"}), json!({"name": "second"})),
        ("/v1/tickets", json!({"subject": "first"}), json!({"subject": "second"})),
        ("/v1/records/lead", json!({"title": "first"}), json!({"title": "second"})),
    ] {
        let made = client.post(route, &input);
        let id = made.expect(201)["id"].to_string().trim_matches('"').to_owned();
        let path = format!("{route}/{id}");
        let read = || client.get(&path).header("etag").map(str::to_owned);
        assert!(made.header("etag").is_some(), "{made}");
        assert_eq!(made.header("etag").map(str::to_owned), read(), "{made}");
        let changed = client.patch(&path, &change);
        changed.expect(200);
        assert_ne!(changed.header("etag"), made.header("etag"), "{changed}");
        assert_eq!(changed.header("etag").map(str::to_owned), read(), "{changed}");
        let tag = changed.header("etag").unwrap();
        client.send("PATCH", &path, &[("if-match", tag)], input.to_string().as_bytes()).expect(200);
    }
    // A retry is answered with the tag of the ticket as it is by then.
    let once = [("idempotency-key", "once"), ("content-type", "application/json")];
    let create = || client.send("POST", "/v1/tickets", &once, br#"{"subject": "a"}"#);
    let path = create().header("location").unwrap().to_owned();
    let changed = client.patch(&path, &json!({"subject": "b"}));
    assert_eq!(create().header("etag"), changed.header("etag"));
    let id = scene::automation(&client, &automation("switched"));
    for word in ["disable", "enable"] {
        let switched = client.post(&format!("/v1/automations/{id}/{word}"), &json!({}));
        switched.expect(200);
        let read = client.get(&format!("/v1/automations/{id}"));
        assert!(switched.header("etag").is_some(), "{switched}");
        assert_eq!(switched.header("etag"), read.header("etag"));
    }
}

#[test]
fn a_rotated_key_works_for_its_overlap_and_an_expired_one_not_at_all() {
    let server = Server::start(Options::default().clock());
    let admin = server.space("key-life").in_space("key-life");
    let made = admin.post("/v1/keys", &json!({"name": "a", "role": "viewer"})).expect(201);
    let (id, old) = (text(&made["id"]), text(&made["key"]));
    let rotated = admin.post(&format!("/v1/keys/{id}/rotate"), &json!({"overlap_seconds": 3600})).expect(201);
    for key in [&old, &text(&rotated["key"])] {
        admin.with_key(key).get("/v1/tickets").expect(200);
    }
    assert!(admin.get(&format!("/v1/keys/{id}")).expect(200)["expires_at"].is_string());
    admin.post(&format!("/v1/keys/{id}/rotate"), &json!({"overlap": 1})).problem(422, "input.invalid");
    admin.post(&format!("/v1/keys/{id}/rotate"), &json!({"overlap_seconds": 604_801})).problem(422, "input.invalid");

    let plain = admin.post("/v1/keys", &json!({"name": "b", "role": "viewer"})).expect(201);
    admin.send("POST", &format!("/v1/keys/{}/rotate", text(&plain["id"])), &[], b"").expect(201);
    admin.with_key(&text(&plain["key"])).get("/v1/tickets").problem(401, "auth.invalid");

    let brief = admin.post("/v1/keys", &json!({"name": "c", "role": "viewer", "expires_in_seconds": 60})).expect(201);
    let brief = admin.with_key(&text(&brief["key"]));
    brief.get("/v1/tickets").expect(200);
    server.advance(Duration::from_secs(60));
    brief.get("/v1/tickets").problem(401, "auth.invalid");
    admin
        .post("/v1/keys", &json!({"name": "d", "role": "viewer", "expires_in_seconds": 0}))
        .problem(422, "input.invalid");
}

#[test]
fn a_webhook_without_a_name_gets_a_generated_one_that_is_exported() {
    let server = Server::shared();
    let client = server.space("derived-names").in_space("derived-names");
    let hook = json!({"url": "http://127.0.0.1:9/hook?token=secret", "events": ["a"]});
    let names: Vec<String> = (0..2).map(|_| text(&client.post("/v1/webhooks", &hook).expect(201)["name"])).collect();
    assert_eq!(names, ["127.0.0.1:9/hook", "127.0.0.1:9/hook (2)"]);
    let exported = client.get("/v1/configuration/export").expect(200);
    let webhooks = exported["configuration"]["webhooks"].as_array().unwrap();
    assert_eq!(webhooks.len(), 2, "{exported:#}");
}

#[test]
fn the_server_does_not_start_with_a_misspelt_setting() {
    for (name, value, part) in [
        ("HOOKWRIGHT_MAX_QUEU", "5", "did you mean HOOKWRIGHT_MAX_QUEUE?"),
        ("HOOKWRIGHT_PUBLIC_URL", "foo", "public_url: `foo` is not a URL"),
        ("HOOKWRIGHT_LOG", "hookwright=loud", "HOOKWRIGHT_LOG `hookwright=loud`"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let output = Command::new(workspace::binary())
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(folder.path().join("data"))
            .env(name, value)
            .output()
            .unwrap();
        let shown = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && shown.contains(part), "{name}: {shown}");
    }
}

/// Objects with every field that null removes, and the fields that cannot be null.
fn objects_to_change() -> Vec<(&'static str, Value, Value, Vec<&'static str>)> {
    let steps = json!([{"wait": {"seconds": 1}}]);
    vec![
        (
            "/v1/automations",
            json!({"name": "a", "on": ["x"], "then": steps}),
            json!({"description": "d", "when": {"condition": "match", "with": {"path": "event.data.a", "exists": true}},
                "on_unavailable": "closed", "concurrency": {"key": "k", "most": 1}, "enabled": false}),
            vec!["name", "on", "then"],
        ),
        (
            "/v1/workflows",
            json!({"name": "w", "steps": steps}),
            json!({"description": "d", "input": {"type": "object"}, "on_unavailable": "open",
                "concurrency": {"key": "k", "most": 1}, "enabled": false}),
            vec!["name", "steps"],
        ),
        (
            "/v1/schedules",
            json!({"name": "s", "every_seconds": 3600, "type": "t"}),
            json!({"timezone": "Europe/Berlin", "missed": "skip", "overlap": true, "data": {"a": 1},
                "for_each": {"kind": "ticket"}, "enabled": false}),
            vec!["name", "every_seconds", "type"],
        ),
        (
            "/v1/webhooks",
            json!({"name": "h", "url": "http://127.0.0.1:9/", "events": ["x"]}),
            json!({"description": "d", "source": "s", "source_id": "1", "embed": "tags",
                "when": {"condition": "match", "with": {"path": "event.data.a", "exists": true}},
                "with": {"thin": true}, "transform": "standard", "headers": [{"name": "x-a", "value": "1"}],
                "signing": {"kind": "none"}, "retry": {"delays_seconds": [1]}, "timeout_ms": 1234,
                "rate": {"requests": 5}, "concurrency": 2, "order": {"key": "k"},
                "on_gone": "delete", "on_exhausted": "die", "mail_exceptions_to": ["a@example.com"], "enabled": false}),
            vec!["name", "url", "events"],
        ),
        ("/v1/webhook-policies", json!({"signing": {"kind": "standard"}}), json!({"name": "p"}), vec!["signing"]),
        (
            "/v1/sources",
            json!({"name": "i", "kind": "inbox", "with": {}}),
            json!({"active": false, "rate": {"requests": 5}}),
            vec!["name", "kind", "owner"],
        ),
    ]
}

#[test]
fn null_in_a_change_restores_the_default_and_is_rejected_for_required_fields() {
    let server = Server::shared();
    for (place, (route, bare, more, needed)) in objects_to_change().into_iter().enumerate() {
        let client = server.space(&format!("nulls-{place}")).in_space(&format!("nulls-{place}"));
        let path_of = |made: &Value| {
            let id = if made["id"].is_null() { &made["name"] } else { &made["id"] };
            format!("{route}/{}", id.to_string().trim_matches('"'))
        };
        let path = path_of(&client.post(route, &bare).expect(201));
        let default = client.get(&path).expect(200);
        let fields: Vec<String> = more.as_object().unwrap().keys().cloned().collect();
        client.patch(&path, &more).expect(200);
        let full = client.get(&path).expect(200);
        for field in &fields {
            assert_ne!(full[field], default[field], "{route} {field}");
        }
        for field in needed {
            let answer = client.patch(&path, &json!({field: null}));
            let detail = answer.problem(422, "input.invalid");
            let expected = if field == "every_seconds" { "cron" } else { field };
            assert_eq!(answer.paths(), [expected], "{route} {field}: {detail:#}");
        }
        for field in &fields {
            client.patch(&path, &json!({field: null})).expect(200);
            assert_eq!(client.get(&path).expect(200)[field], default[field], "{route} {field}");
        }
    }
}

#[test]
fn null_removes_a_schedules_workflow_and_its_replacement_can_be_set_in_the_same_change() {
    let server = Server::shared();
    let client = server.space("schedule-nulls").in_space("schedule-nulls");
    client.post("/v1/workflows", &json!({"name": "w", "steps": [{"wait": {"seconds": 1}}]})).expect(201);
    let made = client
        .post("/v1/schedules", &json!({"name": "s", "cron": "0 0 * * *", "workflow": "w", "input": {"a": 1}}))
        .expect(201);
    let path = format!("/v1/schedules/{}", text(&made["id"]));
    assert_eq!(client.patch(&path, &json!({"input": null})).expect(200)["input"], Value::Null);
    let changed = client.patch(&path, &json!({"cron": null, "every_seconds": 60})).expect(200);
    assert_eq!((&changed["cron"], &changed["every_seconds"]), (&Value::Null, &json!(60)));
    let changed = client.patch(&path, &json!({"workflow": null, "type": "t"})).expect(200);
    assert_eq!((&changed["workflow"], &changed["type"]), (&Value::Null, &json!("t")));
}
