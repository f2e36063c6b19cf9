//! Everything that people set up, as files: what is written can be put in again, all of it or nothing.

mod export;
mod keys;
mod mistakes;
mod references;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;

use hookwright_tests::command::{Ran, has, hookwright};
use hookwright_tests::components::other_version;
use hookwright_tests::scene::{self, text};
use hookwright_tests::{ADMIN_KEY, Client, Options, Server, workspace};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// A webhook's own secret, which comes from a variable and must never be shown.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Runs `hookwright WORDS` in a folder, against a server.
#[track_caller]
fn run(server: &Server, folder: &Path, words: &str) -> Ran {
    let output = hookwright(words.split_whitespace())
        .current_dir(folder)
        .env("HOOKWRIGHT_URL", format!("http://{}", server.address()))
        .env("HOOKWRIGHT_KEY", ADMIN_KEY)
        .env("OWN_SECRET", SECRET)
        .env("XDG_CACHE_HOME", folder.join(".cache"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Ran::of(output, SECRET)
}

fn folder() -> TempDir {
    tempfile::Builder::new().prefix("hookwright-configuration-").tempdir().unwrap()
}

/// Every file of a folder, by its path in it.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(files(&path).into_iter().map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)));
        } else {
            found.insert(name, fs::read(&path).unwrap());
        }
    }
    found
}

/// Files with something of every section.
fn write_everything(folder: &Path) {
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    file(
        "helpdesk.yaml",
        r#"
automations:
  - name: Close the ticket
    description: "Jira closes, we close.\nBoth sides agree."
    on: [jira.*]
    when:
      all:
        - condition: match
          with: {path: event.data.status, equals: Closed}
        - not: {condition: match, with: {path: event.data.labels, contains: keep-open}}
    then:
      - action: ticket-update
        with: {id: "{{event.data.ticket_id}}", status: closed}
      - action: noter
        with: {id: "{{event.data.ticket_id}}", text: closed}
workflows:
  - name: greet
    input: {type: object, properties: {id: {type: integer}}, required: [id]}
    steps:
      - action: noter
        with: {id: "{{input.id}}", text: hello}
---
schedules:
  - {name: greetings, every_seconds: 86400, workflow: greet, input: {id: 1}}
  - {name: nightly, cron: "0 3 * * *", timezone: Europe/Paris, type: night.begins, enabled: false}
"#,
    );
    file(
        "outside.yml",
        r#"
webhook_policies:
  - name: signed for partners
    signing: {kind: jwt, algorithm: HS256, audience: partners}
webhooks:
  - name: to partners
    url: http://127.0.0.1:9/partners
    events: [partner.*]
    policy: signed for partners
  - name: to us
    url: http://127.0.0.1:9/us
    events: ["own.*"]
    when: {condition: match, with: {path: event.type, not_equals: never}}
    headers: [{name: X-From, value: hookwright}]
    secret_env: OWN_SECRET
    retry: {first_seconds: 5, retries: 3}
    rate: {requests: 5, per_seconds: 1}
  - name: party/created
    profile: capsule
    url: http://127.0.0.1:9/capsule
    event: party/created
sources:
  - {name: code, kind: github}
  - {name: tools, kind: incoming, access: [crm, tasks], with: {user: 3}, rate: {requests: 20, per_seconds: 60}}
  - name: shop
    kind: poll
    with: {url: http://127.0.0.1:9/items, event: {type: item.found, id: {path: id}}}
    poll: {cron: "0 4 * * *", timezone: Europe/Paris}
event_types:
  - name: order.paid
    summary: An order was paid.
    schema: {type: object, required: [id]}
    example: {id: 1}
    strict: true
kinds:
  - name: order
    fields: {number: {type: string, indexed: true}, paid: {type: boolean}}
"#,
    );
    file(
        "keys.json",
        &json!({"keys": [{"name": "reader", "role": "viewer"}, {"name": "sender", "role": "ingest"}]}).to_string(),
    );
    file(
        "plugins.yaml",
        r"
plugins:
  - name: noter
    policy: {grants: {interfaces: [tickets]}, limits: {cpu_ms: 500}, recordings: 10}
  - name: http-request
    policy: {grants: {http: [{host: api.example.com}]}}
",
    );
    fs::create_dir_all(folder.join("plugins")).unwrap();
    fs::write(folder.join("plugins/noter.wasm"), other_version("note-add", "1.2.3")).unwrap();
}

#[test]
fn an_export_applied_to_another_server_exports_the_same_files() {
    let (first, second) = (Server::start(Options::default()), Server::start(Options::default()));
    let (given, one, two) = (folder(), folder(), folder());
    write_everything(given.path());

    let plan = run(&first, given.path(), "apply -f . --plan").ends(0);
    has(
        &plan,
        &["+ automation `Close the ticket` is created", "+ webhook `to us` is created", "0 to change, 0 to delete"],
    );
    run(&first, given.path(), "apply -f . --plan --exit-code").ends(3);
    assert_eq!(scene::all(&first.client(), "/v1/automations").len(), 0, "a plan changes nothing");
    let unasked = run(&first, given.path(), "apply -f .").ends(1);
    has(&unasked, &["standard input is not a terminal", "then pass --yes to apply it"]);

    let applied = run(&first, given.path(), "apply -f . --yes").ends(0);
    has(&applied, &["key `reader`: key hw_", "source `code`: url http", "source `code`: secret ", "Done."]);
    has(&applied, &["webhook policy `signed for partners`: secret ", "webhook `party/created`: secret whsec_"]);
    has(&run(&first, given.path(), "apply -f . --plan --exit-code").ends(0), &["No changes"]);

    let client = first.client();
    let ticket = scene::ticket(&client, "printer");
    let event = scene::send(&client, "jira.closed", &json!({"status": "Closed", "labels": [], "ticket_id": ticket}));
    scene::settled(&client);
    assert_eq!(scene::notes(&client, ticket), ["closed"], "{}", scene::story(&client, &event));
    client.post("/v1/events", &json!({"type": "order.paid", "data": {}})).problem(422, "event.schema_mismatch");
    let reader = applied.lines().find(|line| line.starts_with("key `reader`")).unwrap();
    let reader = client.with_key(reader.split_whitespace().find(|word| word.starts_with("hw_")).unwrap());
    reader.get("/v1/automations").expect(200);
    reader.delete("/v1/kinds/order").problem(403, "auth.forbidden");

    let sources = client.get("/v1/sources").expect(200);
    let shop = sources["data"].as_array().unwrap().iter().find(|source| source["name"] == "shop").unwrap();
    assert!(shop["status"]["next_at"].is_string(), "it is asked at its times: {shop:#}");
    assert_eq!(shop["poll"]["timezone"], "Europe/Paris");

    run(&first, one.path(), "export -o out").ends(0);
    has(&run(&first, one.path(), "apply -f out --plan --exit-code").ends(0), &["No changes"]);
    has(&run(&first, one.path(), "apply -f out --plan --prune --exit-code").ends(0), &["No changes"]);
    run(&second, one.path(), "apply -f out --yes").ends(0);
    run(&second, two.path(), "export -o out").ends(0);
    let (one, two) = (files(&one.path().join("out")), files(&two.path().join("out")));
    assert_eq!(one.keys().collect::<Vec<_>>(), two.keys().collect::<Vec<_>>());
    for (name, bytes) in &one {
        assert_eq!(String::from_utf8_lossy(bytes), String::from_utf8_lossy(&two[name]), "{name}");
    }
    assert_eq!(one["plugins/noter.wasm"], other_version("note-add", "1.2.3"));
    assert!(!one.values().any(|bytes| String::from_utf8_lossy(bytes).contains("whsec_")), "no secret in files");
    let shown = run(&second, given.path(), "export --kind automations,keys").ends(0);
    has(&shown, &["automations:", "- name: Close the ticket", "keys:", "role: viewer"]);
    assert!(!shown.contains("webhooks:"), "{shown}");

    let restarted = second.client().get("/v1/configuration/export").expect(200);
    let mut second = second;
    second.restart();
    assert_eq!(second.client().get("/v1/configuration/export").expect(200), restarted, "all of it is durable");
}

#[test]
fn any_error_prevents_all_changes_and_every_error_is_reported_with_file_and_line() {
    let server = Server::start(Options::default());
    let given = folder();
    write_everything(given.path());
    let before = server.client().get("/v1/configuration/export").expect(200);
    let last = "automations:
  - name: last
    on: [x]
    then:
      - action: ticket-updat
      - action: noter
        with: {id: 1, text: {}}
schedules:
  - {name: never, every_seconds: 5, workflow: gone}
";
    fs::write(given.path().join("zz.yaml"), last).unwrap();
    let told = run(&server, given.path(), "apply -f . --yes").ends(1);
    has(&told, &["zz.yaml:5: automations `last`: then[0].action: there is no action `ticket-updat`"]);
    has(&told, &["zz.yaml:7: automations `last`: then[1].with.text", "zz.yaml:9: schedules `never`: workflow"]);
    assert_eq!(server.client().get("/v1/configuration/export").expect(200), before);
    assert_eq!(server.client().get("/v1/plugins/noter").status, 404, "what was only put in serves nobody");

    fs::write(given.path().join("zz.yaml"), "webhooks:\n  - name: w\n    secret: whsec_x\n").unwrap();
    has(
        &run(&server, given.path(), "apply -f . --yes").ends(1),
        &["zz.yaml:3: webhooks `w`: secret: must not be written in a file: give `secret_env`"],
    );
    fs::write(given.path().join("zz.yaml"), "automations: [").unwrap();
    has(&run(&server, given.path(), "apply -f . --yes").ends(1), &["zz.yaml:"]);
}

fn body(configuration: Value) -> Value {
    json!({"configuration": configuration})
}

fn automation(name: &str, event_type: &str) -> Value {
    json!({"name": name, "on": [event_type], "then": [{"action": "event-emit", "with": {"type": "never"}}]})
}

fn plan(client: &Client, body: &Value) -> Value {
    client.post("/v1/configuration/plan", body).expect(200)
}

fn actions(plan: &Value) -> Vec<(String, String)> {
    let changes = plan["changes"].as_array().unwrap();
    changes.iter().map(|change| (text(&change["action"]), text(&change["name"]))).collect()
}

#[test]
fn a_plan_is_rejected_if_the_space_has_changed_since() {
    let server = Server::shared();
    let client = server.space("expecting");
    let mut body = body(json!({"automations": [automation("a", "x")]}));
    let planned = plan(&client, &body);
    assert_eq!(planned, plan(&client, &body), "the same plan has the same fingerprint");
    body["expect"] = planned["fingerprint"].clone();
    let made = scene::automation(&client, &automation("b", "y"));
    let problem = client.post("/v1/configuration/apply", &body).problem(409, "configuration.changed");
    assert!(text(&problem["detail"]).contains("has changed since the plan was made"), "{problem}");
    assert_eq!(scene::all(&client, "/v1/automations").len(), 1, "nothing was made");
    body["expect"] = plan(&client, &body)["fingerprint"].clone();
    client.post("/v1/configuration/apply", &body).expect(200);
    client.post("/v1/configuration/apply", &body).problem(409, "configuration.changed");

    client.patch(&format!("/v1/automations/{made}"), &json!({"name": "a"})).expect(200);
    let told = client.post("/v1/configuration/plan", &body).problem(422, "input.invalid");
    let message = text(&told["errors"][0]["message"]);
    assert!(message.contains(&made) && message.contains("rename or delete"), "{message}");
    let left = client.get("/v1/configuration/export").expect(200);
    assert_eq!(left["left_out"][0]["ids"].as_array().unwrap().len(), 2, "{left}");
}

#[test]
fn a_change_is_planned_field_by_field_and_hidden_state_is_preserved() {
    let server = Server::shared();
    let client = server.space("changing");
    let mut given = body(json!({
        "automations": [automation("a", "x")],
        "webhooks": [{"name": "w", "url": "http://127.0.0.1:9/", "events": ["x"]}],
        "sources": [{"name": "s", "kind": "github"}],
        "keys": [{"name": "k", "role": "viewer"}],
    }));
    let made = client.post("/v1/configuration/apply", &given).expect(200);
    let shown: Vec<String> = made["shown"].as_array().unwrap().iter().map(|one| text(&one["field"])).collect();
    assert_eq!(shown.len(), 4, "{made}");
    let key = made["shown"].as_array().unwrap().iter().find(|one| one["field"] == "key").unwrap();
    let holder = client.with_key(&text(&key["value"]));
    holder.get("/v1/automations").expect(200);
    let before = (scene::all(&client, "/v1/webhooks"), scene::all(&client, "/v1/sources"));

    given["configuration"]["automations"][0]["on"] = json!(["x", "y"]);
    given["configuration"]["keys"][0]["role"] = json!("editor");
    given["configuration"]["keys"][0]["user"] = json!({"id": 9, "name": "Ada"});
    given["configuration"]["webhooks"][0]["description"] = json!("told");
    let planned = plan(&client, &given);
    let field = |name: &str| {
        let found = planned["changes"].as_array().unwrap().iter().find(|change| change["name"] == name).unwrap();
        found["fields"].clone()
    };
    assert_eq!(field("a"), json!([{"path": "on[1]", "to": "y"}]));
    assert_eq!(
        field("k"),
        json!([{"path": "role", "from": "viewer", "to": "editor"}, {"path": "user", "to": {"id": 9, "name": "Ada"}}])
    );
    assert_eq!(field("w"), json!([{"path": "description", "to": "told"}]));
    let changed = client.post("/v1/configuration/apply", &given).expect(200);
    assert_eq!(changed["summary"], json!({"create": 0, "change": 3, "delete": 0, "unchanged": 1}));
    assert_eq!(changed["shown"], json!([]), "nothing is made, so nothing is shown");
    scene::automation(&holder, &automation("by its new role", "z"));
    let exported = client.get("/v1/configuration/export?section=keys").expect(200)["configuration"]["keys"].clone();
    let named = |name: &str| exported.as_array().unwrap().iter().find(|key| key["name"] == name).cloned();
    assert_eq!(named("k"), Some(json!({"name": "k", "role": "editor", "user": {"id": 9, "name": "Ada"}})));
    assert_eq!(plan(&client, &given)["summary"]["unchanged"], 4, "what was exported is what is there");
    let ticket = holder.post("/v1/tickets", &json!({"subject": "T"})).expect(201);
    let path = format!("/v1/records/ticket/{}/history", ticket["id"]);
    assert_eq!(client.get(&path).expect(200)["data"][0]["by"]["user"]["id"], 9, "and counts at once");
    // Of the key that is used, the user can be changed, the role cannot.
    let own = |role: &str| body(json!({"keys": [{"name": "test", "role": role, "user": {"id": 1, "name": "T"}}]}));
    client.post("/v1/configuration/plan", &own("viewer")).problem(422, "input.invalid");
    assert_eq!(plan(&client, &own("admin"))["summary"]["change"], 1);
    let wrong = body(json!({"keys": [{"name": "k", "role": "editor", "user": {"id": 9, "name": "A\r\nB"}}]}));
    assert_eq!(client.post("/v1/configuration/plan", &wrong).paths(), ["keys[0].user.name"]);
    let (webhook, source) = (&scene::all(&client, "/v1/webhooks")[0], &scene::all(&client, "/v1/sources")[0]);
    assert_eq!((&webhook["id"], &webhook["keys"]), (&before.0[0]["id"], &before.0[0]["keys"]));
    assert_eq!(*source, before.1[0]);
    let revisions: Vec<Value> =
        scene::all(&client, "/v1/automations").iter().map(|one| one["revision"].clone()).collect();
    assert!(revisions.contains(&json!(2)), "{revisions:?}");
}

#[test]
fn only_pruning_deletes_and_only_in_given_sections() {
    let server = Server::shared();
    let client = server.space("pruning");
    for name in ["kept", "stray"] {
        scene::automation(&client, &automation(name, "x"));
    }
    client.post("/v1/keys", &json!({"name": "stray", "role": "viewer"})).expect(201);
    scene::webhook(&client, "http://127.0.0.1:9/", &["x"]);
    for event in ["y", "z"] {
        client
            .post("/v1/webhooks", &json!({"name": "twin", "url": "http://127.0.0.1:9/", "events": [event]}))
            .expect(201);
    }
    client.put_json("/v1/kinds/used", &json!({"fields": {}})).expect(201);
    client.post("/v1/records/used", &json!({})).expect(201);
    let given = |prune: bool, more: Value| {
        let mut all = json!({"automations": [automation("kept", "x")], "webhooks": []});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"configuration": all, "prune": prune})
    };
    let row = |action: &str, name: &str| (action.to_owned(), name.to_owned());
    assert_eq!(actions(&plan(&client, &given(false, json!({})))), [row("unchanged", "kept")]);
    let planned = plan(&client, &given(true, json!({})));
    assert_eq!(actions(&planned), [row("unchanged", "kept"), row("delete", "stray"), row("delete", "127.0.0.1:9")]);
    assert_eq!(planned["left_alone"][0]["kind"], "webhook", "one name stands for two: {planned}");
    let told = client
        .post("/v1/configuration/plan", &given(true, json!({"kinds": [], "keys": []})))
        .problem(422, "input.invalid");
    let told = told["errors"].to_string();
    has(&told, &["records of the kind `used`", "the key that you are using"]);

    client.post("/v1/configuration/apply", &given(true, json!({}))).expect(200);
    assert_eq!(scene::all(&client, "/v1/automations").len(), 1);
    assert_eq!(scene::all(&client, "/v1/webhooks").len(), 2);
    assert!(scene::all(&client, "/v1/keys").iter().any(|key| key["name"] == "stray"), "keys were not given");
}

#[test]
fn a_version_incompatible_with_remaining_objects_is_not_activated() {
    let server = Server::shared();
    let client = server.space("fitting");
    let component = other_version("note-add", "3.2.1");
    let kept = client.put("/v1/plugins/noter?activate=false", &component).expect(200);
    assert_eq!((&kept["state"], &kept["live_since"]), (&json!("kept"), &Value::Null), "{kept}");
    client.get("/v1/plugins/noter").problem(404, "plugin.not_found");
    let digest = format!("{:x}", Sha256::digest(&component));
    let with = |digest: &str| body(json!({"plugins": [{"name": "noter", "digest": digest}]}));
    client.post("/v1/configuration/apply", &with(&digest)).expect(200);
    assert_eq!(client.get("/v1/plugins/noter").expect(200)["version"], "3.2.1");
    let user = json!({"name": "user", "on": ["x"], "then": [{"action": "noter", "with": {"id": 1, "text": "t"}}]});
    scene::automation(&client, &user);
    // A condition in the place of an action.
    let other = workspace::plugin("match");
    client.put("/v1/plugins/noter?activate=false", &other).expect(200);
    let told = client
        .post("/v1/configuration/apply", &with(&format!("{:x}", Sha256::digest(&other))))
        .problem(422, "input.invalid");
    has(&told["errors"].to_string(), &["the automation `user`", "would no longer fit"]);
    assert_eq!(client.get("/v1/plugins/noter").expect(200)["version"], "3.2.1");
    client.post("/v1/configuration/apply", &with("0123456789")).problem(422, "input.invalid");
}

#[test]
fn a_sources_previous_url_follows_configuration_changes_and_ends_with_the_source() {
    let server = Server::shared();
    let client = server.space("configuration-former-url");
    let anyone = client.without_key();
    let apply = |sources: Value, prune: bool| {
        let document = json!({"configuration": {"sources": sources}, "prune": prune});
        client.post("/v1/configuration/apply", &document).expect(200)
    };
    apply(json!([{"name": "in", "kind": "inbox"}]), false);
    let source = client.get("/v1/sources").expect(200)["data"][0].clone();
    let former = source["url"].as_str().unwrap().to_owned();
    let rotate = format!("/v1/sources/{}/rotate", source["id"].as_str().unwrap());
    let url = client.post(&rotate, &json!({"overlap_seconds": 3600})).expect(200)["url"].as_str().unwrap().to_owned();
    for url in [&former, &url] {
        anyone.post(url, &json!({})).expect(202);
    }
    apply(json!([{"name": "in", "kind": "inbox", "active": false}]), false);
    for url in [&former, &url] {
        anyone.post(url, &json!({})).problem(403, "source.inactive");
    }
    apply(json!([]), true);
    for url in [&former, &url] {
        anyone.post(url, &json!({})).problem(404, "source.not_found");
    }
}
