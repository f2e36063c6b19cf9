//! Workflows: made, changed, started by the API and by actions, and carried out to their end whatever happens meanwhile.

use hookwright_tests::scene::{self, text};
use hookwright_tests::{Client, Options, Server, eventually};
use serde_json::{Value, json};

fn emit(event_type: &str, data: Value) -> Value {
    json!({"action": "event-emit", "with": {"type": event_type, "data": data}})
}

#[track_caller]
fn ended(client: &Client, run: &str) -> Value {
    eventually(|| {
        let shown = client.get(&format!("/v1/runs/{run}")).expect(200);
        let live = ["running", "waiting", "queued", "parked"].contains(&text(&shown["state"]).as_str());
        if live { Err(format!("{shown:#}")) } else { Ok(shown) }
    })
}

#[test]
fn a_workflow_is_created_updated_and_deleted_and_keeps_its_versions() {
    let server = Server::shared();
    let client = server.space("workflow-crud");
    let input = json!({"name": "on-board", "description": "what for", "steps": [emit("a", json!(1))],
        "input": {"type": "object", "required": ["lead"]}});
    let answer = client.post("/v1/workflows", &input);
    let made = answer.expect(201);
    assert_eq!(answer.header("location"), Some("/v1/workflows/on-board"));
    assert_eq!((&made["version"], &made["enabled"], &made["input"]), (&json!(1), &json!(true), &input["input"]));
    assert_eq!(client.get("/v1/workflows/on-board").expect(200), made);
    client.post("/v1/workflows", &input).problem(409, "workflow.exists");

    let changed = client.patch("/v1/workflows/on-board", &json!({"steps": [emit("b", json!(2))]})).expect(200);
    assert_eq!((&changed["version"], &changed["description"]), (&json!(2), &json!("what for")));
    let versions = client.get("/v1/workflows/on-board/versions").expect(200);
    assert_eq!(versions["data"], json!([changed, made]));
    let page = client.get("/v1/workflows/on-board/versions?limit=1").expect(200);
    let next = client.get(&format!("/v1/workflows/on-board/versions?cursor={}", text(&page["next"]))).expect(200);
    assert_eq!((&page["data"], &next["data"]), (&json!([changed]), &json!([made])));
    assert_eq!(client.get("/v1/workflows").expect(200)["data"], json!([changed]));

    client.delete("/v1/workflows/on-board").expect(204);
    client.get("/v1/workflows/on-board").problem(404, "workflow.not_found");
    client.post("/v1/workflows/on-board/start", &json!({})).problem(404, "workflow.not_found");
    assert_eq!(client.post("/v1/workflows", &input).expect(201)["version"], 3, "versions of runs are not taken again");
}

#[test]
fn an_invalid_workflow_is_rejected_when_it_is_saved() {
    let server = Server::shared();
    let client = server.space("workflow-wrong");
    let refused = |workflow: Value| client.post("/v1/workflows", &workflow).paths();
    assert_eq!(refused(json!({})), ["name", "steps"]);
    assert_eq!(refused(json!({"name": "A b", "steps": []})), ["name"]);
    let with = |step: Value| json!({"name": "a", "steps": [step]});
    assert_eq!(refused(with(json!({"action": "none"}))), ["steps[0].action"]);
    assert_eq!(refused(with(emit("x", json!("{{item}}")))), ["steps[0].with.data"]);
    let schema = json!({"name": "a", "steps": [emit("x", json!(1))], "input": {"type": "objct"}});
    assert_eq!(refused(schema), ["input"]);
    let automation = json!({"name": "a", "on": ["x"], "then": [emit("y", json!("{{input.x}}"))]});
    assert_eq!(client.post("/v1/automations", &automation).paths(), ["then[0].with.data"]);
}

#[test]
fn a_workflow_is_started_with_an_input_that_matches_its_schema() {
    let server = Server::shared();
    let client = server.space("workflow-start");
    client
        .post(
            "/v1/workflows",
            &json!({"name": "greet", "steps": [
                {"transform": "jq", "name": "name", "with": {"filter": ".name | ascii_upcase"}, "input": "{{input}}"},
                emit("greeted", json!("{{steps.name.result}} {{input.name}}"))],
              "input": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}}),
        )
        .expect(201);
    let start = |body: &Value| client.post("/v1/workflows/greet/start", body);
    assert_eq!(start(&json!({})).paths(), ["input.name"]);
    assert_eq!(start(&json!({"input": {"name": 7}})).paths(), ["input.name"]);
    let started = start(&json!({"input": {"name": "ada"}})).expect(202);
    assert_eq!((&started["workflow"], &started["version"]), (&json!("greet"), &json!(1)));
    let run = ended(&client, &text(&started["id"]));
    assert_eq!(
        (&run["state"], &run["automation"], &run["revision"]),
        (&json!("done"), &json!("workflow/greet"), &json!(1))
    );
    let story = scene::story(&client, &text(&started["event"]));
    assert_eq!(story["event"]["type"], "workflow.started");
    assert_eq!(story["event"]["data"], json!({"workflow": "greet", "version": 1, "input": {"name": "ada"}}));
    let greeted = client.get(&format!("/v1/events/{}", text(&story["caused"][0]["id"]))).expect(200);
    assert_eq!(
        (&greeted["event"]["data"], &greeted["event"]["source"]),
        (&json!("ADA ada"), &json!("hookwright/workflows/greet"))
    );
    assert_eq!(client.get("/v1/runs?workflow=greet").expect(200)["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(client.get("/v1/runs?workflow=other").expect(200)["data"], json!([]));

    client.patch("/v1/workflows/greet", &json!({"enabled": false})).expect(200);
    start(&json!({"input": {"name": "ada"}})).problem(409, "workflow.disabled");
    // An event that only says so starts nothing.
    let event =
        scene::send(&client, "workflow.started", &json!({"workflow": "greet", "version": 1, "input": {"name": "x"}}));
    assert_eq!(scene::story(&client, &event)["runs"], json!([]));
}

#[test]
fn a_request_without_a_body_starts_a_workflow_with_empty_input() {
    let server = Server::shared();
    let client = server.space("workflow-start-empty");
    client.post("/v1/workflows", &json!({"name": "plain", "steps": [emit("started", json!("{{input}}"))]})).expect(201);
    for body in ["", " \r\n", "{}", r#"{"input": null}"#] {
        let started = client.send("POST", "/v1/workflows/plain/start", &[], body.as_bytes()).expect(202);
        assert_eq!(ended(&client, &text(&started["id"]))["state"], "done", "{body:?}");
        let story = scene::story(&client, &text(&started["event"]));
        assert_eq!(story["event"]["data"]["input"], json!({}), "{body:?}: {story:#}");
    }
    client.send("POST", "/v1/workflows/plain/start", &[], b"{").problem(400, "body.not_json");
}

#[test]
fn an_action_starts_a_workflow_when_its_step_commits() {
    let server = Server::shared();
    let client = server.space("workflow-action");
    let steps = json!([emit("child.done", json!("{{input.n}}"))]);
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
    client.post("/v1/workflows", &json!({"name": "child", "steps": steps, "input": schema})).expect(201);
    scene::automation(
        &client,
        &json!({"name": "a", "on": ["go"], "then": [
            {"action": "workflow-start", "with": {"name": "child", "input": {"n": "{{event.data.n}}"}}},
            {"action": "workflow-start", "with": {"name": "{{event.data.other}}", "input": {}}}]}),
    );
    let story = scene::story(&client, &scene::send(&client, "go", &json!({"n": 7, "other": "none"})));
    let steps = &story["runs"][0]["steps"];
    assert_eq!(steps[0]["outcome"]["kind"], "done", "{steps:#}");
    let run = ended(&client, &text(&steps[0]["outcome"]["result"]["run"]));
    assert_eq!((&run["state"], &run["automation"]), (&json!("done"), &json!("workflow/child")));
    assert_eq!(story["caused"][0]["type"], "workflow.started");
    assert_eq!(steps[1]["outcome"]["code"], "workflow.not_found");
    let story = scene::story(&client, &scene::send(&client, "go", &json!({"n": "seven", "other": "none"})));
    assert_eq!(story["runs"][0]["steps"][0]["outcome"]["code"], "workflow.input_invalid");
}

#[test]
fn a_referenced_workflow_must_exist_and_cannot_be_deleted() {
    let server = Server::shared();
    let client = server.space("workflow-references");
    let start = |name: &str| json!({"action": "workflow-start", "with": {"name": name, "input": {}}});
    let automation = |name: &str| json!({"name": "starter", "on": ["go"], "then": [start(name)]});
    let answer = client.post("/v1/automations", &automation("gone"));
    answer.problem(422, "input.invalid");
    assert_eq!(answer.paths(), ["then[0].with.name"], "{answer}");
    assert!(answer.text().contains("there is no workflow `gone` in this space"), "{answer}");
    let other = |name: &str| json!({"name": "other", "steps": [start(name)]});
    assert_eq!(client.post("/v1/workflows", &other("gone")).paths(), ["steps[0].with.name"]);

    client.post("/v1/workflows", &json!({"name": "child", "steps": [emit("a", json!(1))]})).expect(201);
    let made = scene::automation(&client, &automation("child"));
    let path = format!("/v1/automations/{made}");
    assert_eq!(client.patch(&path, &json!({"then": [start("gone")]})).paths(), ["then[0].with.name"]);
    client.post("/v1/workflows", &other("child")).expect(201);
    let nightly = json!({"name": "nightly", "every_seconds": 86_400, "workflow": "child"});
    let schedule = format!("/v1/schedules/{}", text(&client.post("/v1/schedules", &nightly).expect(201)["id"]));
    let detail = text(&client.delete("/v1/workflows/child").problem(409, "workflow.in_use")["detail"]);
    for user in [made.as_str(), "the automation `starter`", "the schedule `nightly`", "the workflow `other`"] {
        assert!(detail.contains(user), "{user}: {detail}");
    }
    for user in [path.as_str(), schedule.as_str(), "/v1/workflows/other", "/v1/workflows/child"] {
        client.delete(user).expect(204);
    }
    client.delete("/v1/workflows/child").problem(404, "workflow.not_found");
}

#[test]
fn a_workflow_that_starts_itself_is_stopped_with_a_reason() {
    let server = Server::shared();
    let client = server.space("workflow-loop");
    let steps = json!([{"action": "workflow-start", "with": {"name": "loop", "input": {}}}]);
    // It is being created, so its own name counts as existing.
    client.post("/v1/workflows", &json!({"name": "loop", "steps": steps})).expect(201);
    client.post("/v1/workflows/loop/start", &json!({})).expect(202);
    let cut = eventually(|| {
        let failed = client.get("/v1/runs?state=failed").expect(200);
        failed["data"][0].is_object().then(|| failed["data"][0].clone()).ok_or_else(|| failed.to_string())
    });
    assert_eq!(cut["steps"][0]["outcome"]["code"], "chain.too_long");
    scene::settled(&client);
    assert_eq!(scene::all(&client, "/v1/runs").len(), 17, "the first, and 16 that followed, the last of which was cut");
}

#[test]
fn a_waiting_run_continues_with_its_version_after_a_crash() {
    let mut server = Server::start(Options::default().clock());
    let client = server.client();
    let steps =
        |word: &str| json!([emit("before", json!(word)), {"wait": {"seconds": 3600}}, emit("after", json!(word))]);
    client.post("/v1/workflows", &json!({"name": "slow", "steps": steps("old")})).expect(201);
    let run = text(&client.post("/v1/workflows/slow/start", &json!({})).expect(202)["id"]);
    let waiting = eventually(|| {
        let shown = client.get(&format!("/v1/runs/{run}")).expect(200);
        if shown["wait_until"].is_string() { Ok(shown) } else { Err(shown.to_string()) }
    });
    client.patch("/v1/workflows/slow", &json!({"steps": steps("new")})).expect(200);
    server.kill();
    server.restart();
    let client = server.client();
    client.delete("/v1/workflows/slow").expect(204);
    server.advance_to(&waiting["wait_until"]);
    let shown = ended(&client, &run);
    assert_eq!((&shown["state"], shown["steps"].as_array().map(Vec::len)), (&json!("done"), Some(3)), "{shown:#}");
    let after = client.get("/v1/events?type=after").expect(200)["data"].as_array().unwrap().clone();
    assert_eq!(after.len(), 1);
    let story = client.get(&format!("/v1/events/{}", text(&after[0]["id"]))).expect(200);
    assert_eq!(story["event"]["data"], "old");
}

#[test]
fn runs_of_a_workflow_are_queued_and_can_be_cancelled() {
    let server = Server::shared();
    let client = server.space("workflow-turns");
    client
        .post(
            "/v1/workflows",
            &json!({"name": "one", "concurrency": {"key": "{{input.key}}"},
                "steps": [{"wait": {"seconds": "{{input.seconds}}"}}]}),
        )
        .expect(201);
    let start = |seconds: u32| {
        let input = json!({"input": {"key": "k", "seconds": seconds}});
        text(&client.post("/v1/workflows/one/start", &input).expect(202)["id"])
    };
    let (first, second) = (start(3600), start(0));
    eventually(|| {
        let shown = client.get(&format!("/v1/runs/{second}")).expect(200);
        if shown["state"] == "queued" { Ok(()) } else { Err(shown.to_string()) }
    });
    eventually(|| {
        let shown = client.get(&format!("/v1/runs/{first}")).expect(200);
        if shown["state"] == "waiting" { Ok(()) } else { Err(shown.to_string()) }
    });
    assert_eq!(client.post(&format!("/v1/runs/{first}/cancel"), &json!({})).expect(200)["state"], "cancelled");
    assert_eq!(ended(&client, &second)["state"], "done");
}
