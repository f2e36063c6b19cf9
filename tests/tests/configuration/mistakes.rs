//! Every validation error of a configuration is reported at once, whichever step finds it.

use std::fs;

use hookwright_tests::{Options, Server};
use serde_json::{Value, json};

use super::{body, folder, has, run};

#[test]
fn errors_of_different_checks_are_reported_together() {
    let server = Server::start(Options::default());
    let given = folder();
    let file = |name: &str, text: &str| fs::write(given.path().join(name), text).unwrap();
    file(
        "a.yaml",
        "automations:
  - name: first
    on: [x]
    colour: red
    then:
      - wait: 5
      - action: note-ad
      - action: note-add
        with: {id: 1, text: {}}
        on_error: 7
  - name: second
    on: [x, 5]
    when: {condition: match, with: {path: event.type, equals: x, as: int}}
    then:
      - action: event-emit
        with: {type: y, data: \"{{steps.nowhere.result}}\"}
schedules:
  - {name: never, every_seconds: 5, workflow: gone}
keys:
  - {name: k, role: owner, user: {id: 1, name: \"\"}}
webhooks:
  - name: w
    url: http://127.0.0.1:9/
    events: [x]
    secret: whsec_x
    policy: none
    headers: [{name: A, value: \"{{secrets.gone}}\"}]
    transform: gone
things: []
",
    );
    file("b.json", "{\"keys\": [\n  {\"name\": \"json\",\n   \"role\": \"viewer\", \"until\": 1}]}");
    let told = run(&server, given.path(), "apply -f . --yes").ends(1);
    for part in [
        "a.yaml:4: automations `first`: colour: unknown field `colour`",
        "a.yaml:6: automations `first`: then[0].wait: `5` is not a valid wait: give an object",
        "a.yaml:7: automations `first`: then[1].action: there is no action `note-ad`",
        "a.yaml:9: automations `first`: then[2].with.text",
        "a.yaml:10: automations `first`: then[2].on_error: invalid type: the number `7`",
        "a.yaml:12: automations `second`: on[1]: invalid type: the number `5`",
        "a.yaml:13: automations `second`: when.with.as",
        "a.yaml:16: automations `second`: then[0].with.data",
        "a.yaml:18: schedules `never`: workflow",
        "a.yaml:20: keys `k`: role: unknown variant `owner`",
        "a.yaml:20: keys `k`: user.name",
        "a.yaml:25: webhooks `w`: secret: must not be written in a file: give `secret_env`",
        "a.yaml:26: webhooks `w`: policy: there is no webhook policy `none`",
        "a.yaml:27: webhooks `w`: headers[0].value: there is no secret `gone`",
        "a.yaml:28: webhooks `w`: transform: there is no transform `gone`",
        "a.yaml:29: `things` is not a section",
        "b.json:3: keys `json`: until: unknown field `until`",
    ] {
        has(&told, &[part]);
    }
    let lines = told.lines().filter(|line| line.trim_start().starts_with("./")).count();
    assert_eq!(lines, 17, "nothing is reported twice, and nothing that only follows from another mistake:\n{told}");
}

#[test]
fn an_invalid_name_or_type_hides_no_other_error_of_the_object() {
    let server = Server::shared();
    let client = server.space("hidden-errors");
    let step = json!([{"action": "none"}]);
    let document = body(json!({
        "kinds": [
            {"name": "ticket", "noun": "x".repeat(65),
                "fields": {"a": {"type": "text"}, "b": {"type": "integer", "min": 2, "max": 1}}},
            {"name": "No_Kind", "fields": [], "colour": "red"},
        ],
        "event_types": [{"name": "ticket.created", "summary": 5, "schema": {"type": "objekt"}}],
        "workflows": [{"name": "A b", "steps": step, "input": {"type": "objct"}}],
        "automations": [{"name": 123, "on": [], "then": step}, {"on": ["a"], "then": step}],
        "schedules": [
            {"name": "s", "every_seconds": 5, "type": "x"},
            {"name": "s", "every_seconds": 0, "type": "x"},
        ],
        "sources": [{"name": " ", "kind": "none"}, {"name": "p", "kind": "poll", "with": {"url": 5}, "poll": {}}],
        "keys": [{"name": " ", "role": "viewer", "expires_at": "2000-01-01T00:00:00Z"}],
    }));
    let answer = client.post("/v1/configuration/plan", &document);
    let problem = answer.problem(422, "input.invalid");
    let paths = answer.paths();
    for path in [
        "kinds[0].name",
        "kinds[0].fields.a.type",
        "kinds[0].fields.b.min",
        "kinds[0].noun",
        "kinds[1].fields",
        "kinds[1].colour",
        "kinds[1].name",
        "event_types[0].summary",
        "event_types[0].name",
        "event_types[0].schema",
        "workflows[0].name",
        "workflows[0].steps[0].action",
        "workflows[0].input",
        "automations[0].name",
        "automations[0].on",
        "automations[0].then[0].action",
        "automations[1].name",
        "automations[1].then[0].action",
        "schedules[1].name",
        "schedules[1].every_seconds",
        "sources[0].name",
        "sources[0].kind",
        "sources[1].with.url",
        "sources[1].poll.cron",
        "keys[0].name",
        "keys[0].expires_at",
    ] {
        assert_eq!(paths.iter().filter(|found| *found == path).count(), 1, "{path}: {paths:#?}");
    }
    for followed in ["kinds[0].kind", "kinds[1].kind", "workflows[0].steps", "schedules[0].name"] {
        assert!(!paths.iter().any(|found| found == followed), "{followed}: {paths:#?}");
    }
    let number = problem["errors"].as_array().unwrap().iter().find(|error| error["path"] == "automations[0].name");
    has(&number.unwrap()["message"].to_string(), &["`123`", "put it in quotes"]);
}

#[test]
fn an_error_in_a_file_names_the_object_the_field_and_the_remedy() {
    let server = Server::start(Options::default());
    let given = folder();
    let told = run(&server, given.path(), "apply -f . --plan").ends(1);
    has(&told, &["configuration.not_found: no configuration was found in the folder ."]);
    let text = "kinds:
  - {name: ticket, fields: {a: {type: string}}}
automations:
  - name: 123
    on: [x]
    then:
      - {wait: {seconds: 1}, input: 5}
      - {wait: {seconds: 1}, with: {}}
      - {action: event-emit, with: {type: y}, timeout_ms: \"x\"}
      - {action: event-emit, with: {type: y}, name: a.b}
webhooks:
  - {name: w, url: \"http://127.0.0.1:9/\", events: [x], secret_env: NOWHERE, timeout_ms: \"5 s\"}
";
    fs::write(given.path().join("a.yaml"), text).unwrap();
    let told = run(&server, given.path(), "apply -f . --yes").ends(1);
    for part in [
        "a.yaml:2: kinds `ticket`: name: the kind `ticket` comes with the server and cannot be declared: leave it out",
        "a.yaml:4: automations[0]: name: is `123`, which is not a string: put it in quotes",
        "a.yaml:7: automations[0]: then[0]: `input` belongs to a step that calls a plugin; this one waits",
        "a.yaml:8: automations[0]: then[1]: `with` belongs to a step that calls a plugin; this one waits",
        "a.yaml:9: automations[0]: then[2].timeout_ms: invalid type: the string \"x\", expected a whole number from",
        "a.yaml:10: automations[0]: then[3].name: `a.b` has a dot",
        "a.yaml:12: webhooks `w`: secret_env: the variable `NOWHERE` is not set",
        "a.yaml:12: webhooks `w`: timeout_ms: invalid type: the string \"5 s\", expected a whole number from 100",
    ] {
        has(&told, &[part]);
    }
}

#[test]
fn consequential_errors_are_not_reported() {
    let server = Server::start(Options::default());
    let given = folder();
    let file = |name: &str, text: &str| fs::write(given.path().join(name), text).unwrap();
    // Whether there is the workflow, the policy or the plugin is not known while the file cannot be read.
    file("a.yaml", "workflows: [");
    file(
        "b.yaml",
        "schedules:
  - {name: s, every_seconds: 5, workflow: elsewhere}
webhooks:
  - {name: w, url: \"http://127.0.0.1:9/\", events: [x], policy: elsewhere, timeout_ms: soon}
automations:
  - {name: a, on: [x], then: [{action: elsewhere}, {action: note-add, with: {}}]}
",
    );
    let told = run(&server, given.path(), "apply -f . --yes").ends(1);
    has(&told, &["a.yaml:", "b.yaml:4: webhooks `w`: timeout_ms", "b.yaml:6: automations `a`: then[1].with"]);
    assert!(!told.contains("`elsewhere`"), "{told}");

    // What refers to an object that is wrong is not wrong itself.
    let client = server.client();
    let document = body(json!({
        "workflows": [{"name": "greet", "steps": [{"wait": 5}], "input": {"type": "object", "required": ["id"]}}],
        "webhook_policies": [{"name": "p", "signing": {"kind": "none"}, "colour": "red"}],
        "schedules": [{"name": "s", "every_seconds": 60, "workflow": "greet"}],
        "webhooks": [{"name": "w", "url": "http://127.0.0.1:9/", "events": ["x"], "policy": "p"}],
    }));
    let answer = client.post("/v1/configuration/plan", &document);
    assert_eq!(answer.paths(), ["workflows[0].steps[0].wait", "webhook_policies[0].colour"], "{answer}");

    let document = body(json!({
        "webhook_policies": [{"name": "p", "signing": {"kind": "none"}}],
        "webhooks": [{"name": "w", "url": "http://127.0.0.1:9/", "events": ["x"], "policy": "p", "signing": {"kind": "none"}}],
    }));
    let answer = client.post("/v1/configuration/plan", &document);
    assert_eq!(answer.paths(), ["webhooks[0].policy"], "{answer}");
    assert!(answer.text().contains("combined with `signing`"), "{answer}");

    let mut document: Value = body(json!({"keys": []}));
    document["incomplete"] = json!(["workflows"]);
    client.post("/v1/configuration/plan", &document).expect(200);
    assert_eq!(client.post("/v1/configuration/apply", &document).paths(), ["incomplete"]);
    document["incomplete"] = json!(["work"]);
    assert_eq!(client.post("/v1/configuration/plan", &document).paths(), ["incomplete"]);
}

#[test]
fn a_policy_of_an_unknown_plugin_is_rejected() {
    let server = Server::shared();
    let client = server.space("policy-of-nothing");
    let policy = json!({"grants": {"http": [{"host": "api.example.com"}]}});
    let document = |name: &str| body(json!({"plugins": [{"name": name, "policy": policy}]}));
    let answer = client.post("/v1/configuration/apply", &document("http-reqest"));
    answer.problem(422, "input.invalid");
    assert_eq!(answer.paths(), ["plugins[0].policy"], "{answer}");
    has(&answer.text(), &["there is no plugin `http-reqest`", "correct the name", "PUT /v1/plugins/http-reqest"]);
    let mut lacking = document("http-reqest");
    lacking["incomplete"] = json!(["plugins"]);
    client.post("/v1/configuration/plan", &lacking).expect(200);
    client.post("/v1/configuration/apply", &document("http-request")).expect(200);

    // The API grants before the plugin is there; a document that repeats it changes nothing.
    client.put_json("/v1/plugins/coming/policy", &policy).expect(200);
    let plan = client.post("/v1/configuration/plan", &document("coming")).expect(200);
    assert_eq!(plan["summary"]["unchanged"], 1, "{plan}");
    let exported = client.get("/v1/configuration/export?section=plugins").expect(200);
    assert!(!exported["configuration"].to_string().contains("coming"), "no other space takes it: {exported}");
    has(&exported["left_out"].to_string(), &["coming", "install the plugin"]);
}
