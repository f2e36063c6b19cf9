//! What an export writes, and what it leaves out.

use hookwright_tests::{Options, Server};
use serde_json::{Value, json};

use super::{body, folder, has, plan, run};

#[test]
fn values_that_equal_the_default_are_not_exported() {
    let server = Server::shared();
    let client = server.space("configuration-defaults");
    let given = body(json!({
        "automations": [{"name": "a", "on": ["x"], "on_unavailable": "park", "concurrency": {"key": "k", "most": 1},
            "then": [{"action": "event-emit", "with": {"type": "never"}, "on_error": "continue",
                "retry": {"delays_seconds": [1], "jitter": 0.2}}]}],
        "schedules": [{"name": "s", "every_seconds": 60, "type": "t", "timezone": "UTC",
            "for_each": {"kind": "ticket", "once": false}}],
        "webhooks": [
            {"name": "plain", "url": "http://127.0.0.1:9/", "events": ["x"]},
            {"name": "signed", "url": "http://127.0.0.1:9/", "events": ["x"], "rate": {"requests": 5, "per_seconds": 1},
                "order": {"key": "{{event.subject}}", "on_failure": "block"}, "retry": {"delays_seconds": [7, 8]},
                "signing": {"kind": "jwt", "algorithm": "HS256", "audience": "a", "expires_in_seconds": 60}}],
        "kinds": [{"name": "order", "noun": "an order", "fields": {"number": {"type": "string"}}, "more_fields": false,
            "created": "created_at"}],
    }));
    client.post("/v1/configuration/apply", &given).expect(200);
    let exported = client.get("/v1/configuration/export").expect(200)["configuration"].clone();
    let lean = json!({
        "automations": [{"name": "a", "on": ["x"], "concurrency": {"key": "k"}, "then": [
            {"action": "event-emit", "with": {"type": "never"}, "retry": {"delays_seconds": [1]}}]}],
        "schedules": [{"name": "s", "every_seconds": 60, "type": "t", "for_each": {"kind": "ticket"}}],
        "webhooks": [
            {"name": "plain", "url": "http://127.0.0.1:9/", "events": ["x"]},
            {"name": "signed", "url": "http://127.0.0.1:9/", "events": ["x"], "rate": {"requests": 5},
                "order": {"key": "{{event.subject}}"}, "retry": {"delays_seconds": [7, 8]}, "signing": {"kind": "jwt", "algorithm": "HS256", "audience": "a"}}],
        "kinds": [{"name": "order", "fields": {"number": {"type": "string"}}}],
    });
    for section in ["automations", "schedules", "webhooks", "kinds"] {
        assert_eq!(exported[section], lean[section], "{section}");
    }
    for same in [&given, &body(lean)] {
        let summary = plan(&client, same)["summary"].clone();
        assert_eq!(summary, json!({"create": 0, "change": 0, "delete": 0, "unchanged": 5}));
    }
}

#[test]
fn an_export_into_one_file_keeps_every_digit() {
    let server = Server::start(Options::default());
    let client = server.client();
    let given = folder();
    // YAML's own notation has no -0 that is an integer: such a document is JSON.
    for number in ["12345678901234567890", "0.1000", "-0"] {
        let document = format!(
            r#"{{"configuration": {{"automations": [{{"name": "a", "on": ["x"], "then": [
                {{"action": "event-emit", "with": {{"type": "never", "data": {{"n": {number}}}}}}}]}}]}}}}"#
        );
        client.send("POST", "/v1/configuration/apply", &[], document.as_bytes()).expect(200);
        let shown = run(&server, given.path(), "export --kind automations").out;
        has(&shown, &[number]);
        std::fs::write(given.path().join("all.yaml"), shown).unwrap();
        has(&run(&server, given.path(), "apply -f all.yaml --plan --exit-code").ends(0), &["No changes"]);
    }
}

#[test]
fn an_export_of_some_sections_ignores_the_others() {
    let server = Server::start(Options::default());
    let client = server.client();
    for event in ["y", "z"] {
        let twin = json!({"name": "twin", "url": "http://127.0.0.1:9/", "events": [event]});
        client.post("/v1/webhooks", &twin).expect(201);
    }
    let exported =
        |sections: &str| -> Value { client.get(&format!("/v1/configuration/export?section={sections}")).expect(200) };
    assert_eq!(
        exported("automations,kinds"),
        json!({"configuration": {"automations": [], "kinds": []}, "left_out": []})
    );
    assert_eq!(exported("webhooks")["left_out"].as_array().map(Vec::len), Some(1));
    client.get("/v1/configuration/export?section=automations,hooks").problem(400, "query.invalid");

    let given = folder();
    let shown = run(&server, given.path(), "export --kind automations,kinds").ends(0);
    has(&shown, &["kinds:", "automations:"]);
    assert!(!shown.contains("skipped") && !shown.contains("webhooks:"), "{shown}");
    has(&run(&server, given.path(), "export --kind webhooks").ends(1), &["skipped: webhook"]);
    has(&run(&server, given.path(), "export").ends(1), &["skipped: webhook"]);
}
