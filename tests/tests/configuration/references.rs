//! Objects of a configuration refer to workflows and kinds of record by name, wherever in the document those are.

use hookwright_tests::Server;
use serde_json::{Value, json};

use super::{body, has};

fn start(name: &str) -> Value {
    json!({"action": "workflow-start", "with": {"name": name, "input": {}}})
}

fn create(kind: &str) -> Value {
    json!({"action": "record-create", "with": {"kind": kind, "fields": {}}})
}

#[test]
fn objects_of_a_document_can_refer_to_one_another_and_used_ones_are_not_pruned() {
    let server = Server::shared();
    let client = server.space("referring");
    let document = body(json!({
        "workflows": [{"name": "first", "steps": [start("second")]}, {"name": "second", "steps": [start("first")]}],
        "kinds": [{"name": "order", "fields": {"number": {"type": "string"}}}],
        "automations": [{"name": "a", "on": ["go"], "then": [start("second"), create("order")]}],
        "schedules": [{"name": "s", "every_seconds": 3600, "type": "t", "for_each": {"kind": "order"}}],
    }));
    client.post("/v1/configuration/apply", &document).expect(200);
    let exported = client.get("/v1/configuration/export?section=automations,workflows,schedules,kinds").expect(200);
    let again = json!({"configuration": exported["configuration"]});
    server.space("referring-too").post("/v1/configuration/apply", &again).expect(200);

    let prune = |sections: Value| json!({"configuration": sections, "prune": true});
    let answer = client.post("/v1/configuration/plan", &prune(json!({"workflows": [], "kinds": []})));
    answer.problem(422, "input.invalid");
    assert_eq!(answer.paths(), ["kinds.order", "workflows.second"], "{answer}");
    has(&answer.text(), &["the automation `a` (aut_", "the schedule `s` (sch_", "change or delete those too"]);
    let answer = client.post(
        "/v1/configuration/plan",
        &prune(json!({"workflows": [{"name": "first", "steps": [start("second")]}], "automations": []})),
    );
    assert_eq!(answer.paths(), ["workflows.second"], "{answer}");
    has(&answer.text(), &["the workflow `first`"]);
    let all = prune(json!({"workflows": [], "kinds": [], "automations": [], "schedules": []}));
    let applied = client.post("/v1/configuration/apply", &all).expect(200);
    assert_eq!(applied["summary"]["delete"], 5, "{applied}");
}

#[test]
fn an_unresolved_name_is_rejected_unless_its_object_is_invalid_itself() {
    let server = Server::shared();
    let client = server.space("referring-to-nothing");
    let steps = json!([start("gone"), create("gone"), start("{{event.data.name}}")]);
    let automations = json!([{"name": "a", "on": ["go"], "then": steps}]);
    let answer = client.post("/v1/configuration/plan", &body(json!({"automations": automations})));
    answer.problem(422, "input.invalid");
    let expected = ["automations[0].then[0].with.name", "automations[0].then[1].with.kind"];
    assert_eq!(answer.paths(), expected, "{answer}");
    let answer = client.post(
        "/v1/configuration/plan",
        &body(json!({
            "automations": automations,
            "workflows": [{"name": "gone", "steps": [{"wait": 5}]}],
            "kinds": [{"name": "gone", "fields": 5}],
        })),
    );
    assert_eq!(answer.paths(), ["kinds[0].fields", "workflows[0].steps[0].wait"], "{answer}");
}

#[test]
fn a_workflow_named_like_an_automation_id_is_not_confused_with_it() {
    let server = Server::shared();
    let client = server.space("referring-by-id");
    let document = body(json!({
        "workflows": [{"name": "used", "steps": [start("used")]}],
        "automations": [{"name": "a", "on": ["go"], "then": [start("used")]}],
    }));
    client.post("/v1/configuration/apply", &document).expect(200);
    let plan = client.post("/v1/configuration/plan", &document).expect(200);
    let is_automation = |change: &&Value| change["kind"] == "automation";
    let id = plan["changes"].as_array().unwrap().iter().find(is_automation).unwrap()["id"].as_str().unwrap();
    let named = json!({"workflows": [{"name": id, "steps": [start("used")]}]});
    client.post("/v1/configuration/apply", &body(named)).expect(200);

    // The workflow changes, the automation of the same id does not: it still refers to the one that is deleted.
    let pruned = json!({"workflows": [{"name": id, "steps": [start(id)]}]});
    let answer = client.post("/v1/configuration/plan", &json!({"configuration": pruned, "prune": true}));
    answer.problem(422, "input.invalid");
    assert_eq!(answer.paths(), ["workflows.used"], "{answer}");
    has(&answer.text(), &["is used by the automation `a` (aut_"]);
}
