//! What a variable stands for is data: whatever an outsider puts into an event, no parameter of any plugin changes its
//! meaning for it, no secret is reached, and no header is broken.

use std::collections::BTreeSet;

use hookwright_tests::scene::{self, text};
use hookwright_tests::{Client, Options, Receiver, Server};
use serde_json::{Map, Value, json};

/// What the secret holds that an outsider would like to see.
const SECRET: &str = "value-of-the-vault-5e1f";

/// What an outsider may put into an event, and how it is called here.
fn hostile() -> Vec<(&'static str, Value)> {
    vec![
        ("a secret", json!({"secret": "financial", "prefix": "leak: "})),
        ("a secret by position", json!(["financial", "leak: "])),
        ("a list of secrets", json!([{"secret": "financial"}, "x"])),
        ("an object of secrets", json!({"text": {"secret": "financial"}, "list": [{"secret": "financial"}]})),
        ("the name of a secret", json!("financial")),
        ("a placeholder", json!("hookwright-secret-00000000000000000000000000000000")),
        ("a variable", json!("{{space}} {{event.id}}")),
        ("a template", json!("{{ 7 * 7 }}{% raw %}")),
        ("lines", json!("a\r\nx-injected: 1\r\n\r\nbody")),
        ("NUL", json!("a\0b")),
        ("a mebibyte", json!("x".repeat(1 << 20))),
        ("an operator", json!({"exists": true})),
        ("operators", json!([{"prefix": ""}, {"anything-but": "y"}])),
        ("null", Value::Null),
        ("a number", serde_json::from_str("12345678901234567890.10").unwrap()),
        ("an empty object", json!({})),
    ]
}

/// Parameters that each plugin takes; a variable is put in the place of each in turn, and of each part of it.
fn parameters(plugin: &str, url: &str, ticket: u64) -> Option<Value> {
    Some(match plugin {
        "http-request" => json!({"url": url, "method": "POST", "query": {"q": "1", "q[]": ["a", "b"]},
            "headers": {"x-a": "1", "x-key": {"secret": "other", "prefix": "p", "suffix": "s"}},
            "form": {"text": "1", "several": ["a", "b"]}, "timeout_ms": 5000, "expect": [200], "max_result_bytes": 1000}),
        "webhook-call" => {
            json!({"url": url, "method": "POST", "headers": {"x-a": "1", "x-b": ["a", "b"]}, "body": {"a": 1},
            "timeout_ms": 5000, "expect": [200]})
        }
        "email-send" => json!({"to": ["a@example.com"], "cc": "b@example.com", "bcc": "c@example.com",
            "reply_to": "d@example.com", "from": "e@example.com", "subject": "s", "text": "t", "html": "<p>h</p>",
            "attachments": [{"name": "a.txt", "content_type": "text/plain", "text": "x"}]}),
        "slack-post" => json!({"token_secret": "other", "channel": "#a", "text": "t", "blocks": [{"type": "divider"}],
            "thread_ts": "1.2", "reply_broadcast": true, "unfurl_links": false, "api_base": format!("{url}/")}),
        "event-emit" => json!({"type": "emitted", "subject": "s", "data": {"a": 1}}),
        "note-add" => json!({"id": ticket, "text": "t", "public": false}),
        "ticket-update" => json!({"id": ticket, "subject": "Printer", "status": "open"}),
        "record-create" => json!({"kind": "lead", "fields": {"title": "a", "own": 1}}),
        "record-update" => json!({"kind": "ticket", "id": ticket, "changes": {"subject": "b", "own": 1}}),
        "record-find" => json!({"kind": "ticket", "where": {"external_id": "OPS-7", "subject": "b"}}),
        "workflow-start" => json!({"name": "aside", "input": {"a": 1}}),
        "match" => json!({"path": "data.kind", "about": format!("ticket/{ticket}"), "equals": "never", "as": "text",
            "ignore_case": true}),
        "event-pattern" => json!({"pattern": {"data": {"kind": ["never"], "n": [{"numeric": [">", 9]}]}}}),
        "cel" => json!({"expression": "data.kind == 'never'"}),
        "jsonschema" => json!({"schema": {"const": "never"}, "path": "data.kind"}),
        "template" => json!({"template": "{{ parameters.own }}", "content_type": "text/plain", "own": {"a": "b"}}),
        "jq" => json!({"filter": ".kind", "multiple": true}),
        "jsonpath-pick" => json!({"path": "$.kind", "mode": "all", "missing": "drop"}),
        "raw" => json!({"content_type": "text/plain"}),
        "standard" => json!({"thin": true}),
        _ => return None,
    })
}

/// Every place of a value at which a variable can stand, with the value in which it does.
fn with_variables(value: &Value) -> Vec<(String, Value)> {
    let variable = json!("{{event.data.v}}");
    let mut found = vec![(String::new(), variable)];
    match value {
        Value::Object(members) => {
            for (name, part) in members {
                for (path, changed) in with_variables(part) {
                    let mut members = members.clone();
                    members.insert(name.clone(), changed);
                    found.push((format!(".{name}{path}"), Value::Object(members)));
                }
            }
        }
        Value::Array(items) => {
            for (at, part) in items.iter().enumerate() {
                for (path, changed) in with_variables(part) {
                    let mut items = items.clone();
                    items[at] = changed;
                    found.push((format!("[{at}]{path}"), Value::Array(items)));
                }
            }
        }
        _ => {}
    }
    found
}

#[track_caller]
fn secrets(client: &Client, receiver: &Receiver) {
    for (name, value) in [("financial", SECRET), ("other", "value-that-may-be-sent")] {
        client.put_json(&format!("/v1/secrets/{name}"), &json!({"value": value})).expect(200);
    }
    for plugin in ["http-request", "slack-post", "webhook-call"] {
        let grant = json!({"http": [{"host": "127.0.0.1", "port": receiver.port()}],
            "secrets": [{"name": "financial", "hosts": ["127.0.0.1"]}, {"name": "other", "hosts": ["127.0.0.1"]}]});
        client.post(&format!("/v1/plugins/{plugin}/grants"), &grant).expect(200);
    }
}

/// The place of a step or a condition for a plugin of a kind.
fn automation(kind: &str, plugin: &str, with: &Value) -> Value {
    match kind {
        "condition" => json!({"when": {"condition": plugin, "with": with},
            "then": [{"action": "event-emit", "with": {"type": "held"}}]}),
        _ => json!({"then": [{kind: plugin, "with": with}]}),
    }
}

#[test]
fn event_data_cannot_change_a_parameters_meaning_reach_a_secret_or_break_a_header() {
    // The largest value is over the bound of a body by default.
    let server = Server::start(Options::default().set("HOOKWRIGHT_MAX_BODY_BYTES", "4194304"));
    let client = server.space("hostile-data");
    let receiver = Receiver::start();
    secrets(&client, &receiver);
    client.post("/v1/workflows", &json!({"name": "aside", "steps": [{"wait": {"seconds": 0}}]})).expect(201);
    let ticket = scene::ticket(&client, "Printer");
    let mut without = BTreeSet::new();
    let (mut names, mut refused) = (Vec::new(), Vec::new());
    for plugin in scene::all(&client, "/v1/plugins") {
        let name = text(&plugin["name"]);
        let kind = text(&plugin["kinds"][0]);
        let takes_any = plugin["parameters"]["properties"].as_object().is_some_and(|properties| !properties.is_empty());
        let Some(with) = parameters(&name, &receiver.url(), ticket) else {
            if kind != "source" && takes_any {
                without.insert(name);
            }
            continue;
        };
        for (path, with) in with_variables(&with).into_iter().filter(|(path, _)| !path.is_empty()) {
            let called = format!("{name} {path}");
            let mut input = automation(&kind, &name, &with);
            input["name"] = json!(called);
            input["on"] = json!(["hostile"]);
            let answer = client.post("/v1/automations", &input);
            match answer.status {
                201 => names.push(called),
                _ => {
                    answer.problem(422, "input.invalid");
                    refused.push(called);
                }
            }
        }
    }
    // A plugin that is new has its parameters tried here too.
    let known = ["capsule", "cloudevents", "form-to-json", "support-service", "uspacy", "xml-to-json", "xurrent"];
    let unknown: Vec<&String> = without.iter().filter(|name| !known.contains(&name.as_str())).collect();
    assert!(unknown.is_empty(), "give {unknown:?} parameters in this test");
    for path in ["slack-post .token_secret", "http-request .headers.x-key.secret"] {
        assert!(refused.iter().any(|name| name == path), "{path} is written out: {refused:?}");
    }
    assert!(names.len() > 60, "{names:?}");
    for (what, value) in hostile() {
        let event = scene::send(&client, "hostile", &json!({"v": value, "kind": "plain", "n": 1}));
        let story = scene::story(&client, &event);
        assert!(!story.to_string().contains(SECRET), "{what} shows the secret");
        let runs = story["runs"].as_array().unwrap();
        assert_eq!(runs.len(), names.len(), "{what}");
        for run in runs {
            let code = run["steps"][0]["outcome"]["code"].as_str().unwrap_or_default();
            let whole: String = run.to_string().chars().take(2000).collect();
            assert!(!code.starts_with("plugin.") || code == "plugin.output_too_large", "{what}: {whole}");
            // Nothing that an outsider says makes a condition hold that asks for something else.
            let asks = run["decision"]["conditions"].as_array().is_some_and(|conditions| !conditions.is_empty());
            assert!(!asks || run["decision"]["fired"] == json!(false), "{what}: {whole}");
        }
    }
    for request in receiver.received() {
        let head = format!("{} {:?}", request.path, request.headers);
        let body = String::from_utf8_lossy(&request.body);
        assert!(!head.contains(SECRET) && !body.contains(SECRET), "{head}");
        assert!(request.header("x-injected").is_empty(), "{head}");
    }
}

/// Runs one step on an event with the value; returns what came of it.
#[track_caller]
fn outcome(client: &Client, place: &str, step: &Value, value: &Value) -> Value {
    let event_type = format!("row.{place}");
    scene::automation(client, &json!({"name": event_type, "on": [event_type], "then": [step]}));
    let event = scene::send(client, &event_type, &json!({"text": value}));
    scene::story(client, &event)["runs"][0]["steps"][0]["outcome"].clone()
}

#[test]
fn a_parameter_for_text_or_a_secret_treats_variables_as_text() {
    let server = Server::shared();
    let client = server.space("text-or-secret");
    let receiver = Receiver::start();
    secrets(&client, &receiver);
    let v = "{{event.data.text}}";
    let url = receiver.url();
    for (row, with, value, field) in [
        (1, json!({"form": {"text": v}}), json!({"secret": "financial", "prefix": "leak: "}), "form.text"),
        (2, json!({"form": {"text": v}}), json!(["financial", "leak: "]), "form.text"),
        (3, json!({"query": {"text": v}}), json!({"secret": "financial"}), "query.text"),
        (4, json!({"query": {"text": [v]}}), json!(["financial"]), "query.text[0]"),
        (5, json!({"headers": {"x-text": v}}), json!({"secret": "financial"}), "headers.x-text"),
        (6, json!({"form": v}), json!({"text": {"secret": "financial"}}), "form.text"),
        (7, json!({"headers": {"x-text": v}}), json!("a\r\nx-injected: 1"), "headers.x-text"),
        (8, json!({"headers": {"x-text": format!("b {v}")}}), json!("a\0"), "headers.x-text"),
    ] {
        let mut with = with;
        with["url"] = json!(url);
        let outcome = outcome(&client, &row.to_string(), &json!({"action": "http-request", "with": with}), &value);
        assert_eq!(outcome["code"], "parameters.invalid", "{with} {value}: {outcome}");
        assert!(text(&outcome["message"]).contains(field), "{outcome}");
    }
    assert!(receiver.received().is_empty());
    // What is written out is what it says.
    let with = json!({"url": url, "query": {"q[]": ["financial", "investment"]}, "form": {"text": v, "key": {"secret": "other"}}});
    let sent = outcome(&client, "sent", &json!({"action": "http-request", "with": with}), &json!("{{space}} & more"));
    assert_eq!(sent["kind"], "done", "{sent}");
    let request = &receiver.wait_for(1)[0];
    assert!(request.path.ends_with("?q%5B%5D=financial&q%5B%5D=investment"), "{}", request.path);
    let body = String::from_utf8_lossy(&request.body).into_owned();
    assert_eq!(body, "key=value-that-may-be-sent&text=%7B%7Bspace%7D%7D+%26+more");
}

#[test]
fn a_secret_named_by_a_variable_is_rejected_when_the_automation_is_saved() {
    let server = Server::shared();
    let client = server.space("named-by-data");
    let v = "{{event.data.v}}";
    let mut paths = Map::new();
    for (plugin, with, path) in [
        (
            "http-request",
            json!({"url": "http://127.0.0.1/", "form": {"a": {"secret": v}}}),
            "then[0].with.form.a.secret",
        ),
        ("slack-post", json!({"token_secret": v, "channel": "#a", "text": "t"}), "then[0].with.token_secret"),
        ("slack-post", json!({"webhook_secret": format!("a-{v}"), "text": "t"}), "then[0].with.webhook_secret"),
    ] {
        let answer = client
            .post("/v1/automations", &json!({"name": "a", "on": ["a"], "then": [{"action": plugin, "with": with}]}));
        answer.problem(422, "input.invalid");
        paths.insert(path.to_owned(), json!(answer.paths()));
        assert_eq!(answer.paths(), [path], "{answer}");
    }
    assert_eq!(paths.len(), 3);
}
