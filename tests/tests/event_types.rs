//! The event catalogue: what can be subscribed to, types of a space's own, and payloads checked against schemas.

use hookwright_tests::Server;
use hookwright_tests::scene::{self, text};
use serde_json::{Value, json};

fn paid() -> Value {
    json!({"name": "order.paid", "summary": "An order was paid.", "strict": true,
        "schema": {"type": "object", "required": ["id", "lines"], "properties": {
            "id": {"type": "integer"},
            "lines": {"type": "array", "items": {"type": "object", "properties": {"amount": {"type": "number", "minimum": 0}}}}}},
        "example": {"id": 7, "lines": [{"amount": 9.5}]}})
}

#[test]
fn every_event_type_is_listed_with_schema_and_example_and_found_by_search() {
    let server = Server::shared();
    let client = server.space("types-list");
    let all = scene::all(&client, "/v1/event-types");
    let names: Vec<String> = all.iter().map(|one| text(&one["name"])).collect();
    assert!(names.is_sorted() && names.len() > 150, "{}", names.len());
    for known in &all {
        assert_eq!((&known["builtin"], &known["strict"]), (&json!(true), &json!(false)));
        assert!(known["schema"].is_object() && known["example"].is_object(), "{known}");
    }
    let names_of =
        |path: &str| -> Vec<String> { scene::all(&client, path).iter().map(|one| text(&one["name"])).collect() };
    let capsule = names_of("/v1/event-types?vocabulary=capsule");
    assert!(capsule.contains(&"party.created".to_owned()) && !capsule.contains(&"ticket.created".to_owned()));
    assert!(names_of("/v1/event-types?search=KASE/MOVED").contains(&"project.moved".to_owned()));
    assert!(names_of("/v1/event-types?search=dead-lettered").contains(&"delivery.exhausted".to_owned()));
    assert!(names_of("/v1/event-types?builtin=false").is_empty());
    client.get("/v1/event-types?vocabulary=x").problem(400, "query.invalid");
    let read = client.get("/v1/event-types/kase.created");
    let read =
        if read.status == 404 { client.get("/v1/event-types/project.created").expect(200) } else { read.expect(200) };
    assert_eq!(read["vocabularies"]["capsule"], "kase/created");
    client.get("/v1/event-types/never.heard").problem(404, "event_type.not_found");
    let two = client.get("/v1/event-types?limit=2").expect(200);
    assert_eq!((two["data"].as_array().unwrap().len(), &two["next"]), (2, &two["data"][1]["name"]));
}

#[test]
fn the_vocabularies_of_the_reference_systems_are_listed() {
    let server = Server::shared();
    let client = server.space("types-words");
    let all = client.get("/v1/vocabularies").expect(200)["data"].clone();
    let names: Vec<String> = all.as_array().unwrap().iter().map(|one| text(&one["name"])).collect();
    assert_eq!(names, ["capsule", "uspacy", "xurrent"]);
    let types = |vocabulary: usize, name: &str| {
        let events = all[vocabulary]["events"].as_array().unwrap();
        events.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("{name}"))["types"].clone()
    };
    assert_eq!(types(0, "task/completed"), json!(["task.completed"]));
    assert_eq!(types(1, "lead.stage_changed"), json!(["lead.moved"]));
    assert_eq!(types(2, "automation_rule"), json!(["automation.called"]));
    // Every event of the article's list.
    assert_eq!(all[2]["events"].as_array().unwrap().len(), 77);
}

#[test]
fn a_custom_event_type_is_registered_updated_and_deleted() {
    let server = Server::shared();
    let client = server.space("types-own");
    let answer = client.post("/v1/event-types", &paid());
    let made = answer.expect(201);
    assert_eq!(answer.header("location"), Some("/v1/event-types/order.paid"));
    assert_eq!((&made["builtin"], &made["strict"], &made["schema"]), (&json!(false), &json!(true), &paid()["schema"]));
    assert_eq!(client.get("/v1/event-types/order.paid").expect(200), made);
    assert_eq!(client.get("/v1/event-types?builtin=false").expect(200)["data"], json!([made]));
    client.post("/v1/event-types", &paid()).problem(409, "event_type.exists");
    let changed = client.put_json("/v1/event-types/order.paid", &json!({"summary": "Paid."})).expect(200);
    assert_eq!(
        (&changed["summary"], &changed["strict"], changed.get("schema")),
        (&json!("Paid."), &json!(false), None)
    );
    client.put_json("/v1/event-types/order.sent", &json!({})).expect(201);
    client.delete("/v1/event-types/order.sent").expect(204);
    client.delete("/v1/event-types/order.sent").problem(404, "event_type.not_found");
    client.put_json("/v1/event-types/ticket.created", &json!({})).problem(409, "event_type.builtin");
    client.delete("/v1/event-types/ticket.created").problem(409, "event_type.builtin");
    for (field, value, path) in [
        ("name", json!("order.*"), "name"),
        ("name", Value::Null, "name"),
        ("schema", json!({"type": "objekt"}), "schema"),
        ("schema", json!({"$ref": "https://example.com/"}), "schema"),
        ("schema", Value::Null, "strict"),
        ("example", json!({"id": "x", "lines": []}), "example.id"),
        ("extra", json!(1), "extra"),
    ] {
        let mut input = paid();
        input[field] = value;
        if field != "name" {
            input["name"] = json!("order.wrong");
        }
        let answer = client.post("/v1/event-types", &input);
        answer.problem(422, "input.invalid");
        assert_eq!(answer.paths(), [path], "{answer}");
    }
}

#[test]
fn a_strict_type_rejects_invalid_data_at_every_inbound_endpoint() {
    let server = Server::shared();
    let client = server.space("types-strict").in_space("types-strict");
    client.post("/v1/event-types", &paid()).expect(201);
    let good = json!({"id": 1, "lines": [{"amount": 1}]});
    let bad = json!({"id": 1, "lines": [{"amount": 1}, {"amount": -1}]});
    scene::send(&client, "order.paid", &good);
    scene::send(&client, "order.other", &bad);

    let answer = client.post("/v1/events", &json!({"type": "order.paid", "data": bad}));
    answer.problem(422, "event.schema_mismatch");
    assert_eq!(answer.paths(), ["data.lines[1].amount"]);

    let pushed = |data: &Value| {
        client.post("/webhook", &json!({"service": "s", "trigger_event_type": "order.paid", "attributes": data}))
    };
    pushed(&good).expect(202);
    let answer = pushed(&bad);
    answer.problem(422, "event.schema_mismatch");
    assert_eq!(answer.paths(), ["attributes.lines[1].amount"]);

    // A batch is taken as a whole or not at all; the answer says which one it was.
    let cloud = |id: &str, data: &Value| json!({"specversion": "1.0", "id": id, "source": "/s", "type": "order.paid", "data": data});
    let batch = |events: Value| {
        let media = [("content-type", "application/cloudevents-batch+json")];
        client.send("POST", "/v1/events", &media, events.to_string().as_bytes())
    };
    let answer = batch(json!([cloud("b1", &good), cloud("b2", &bad)]));
    answer.problem(422, "event.schema_mismatch");
    assert_eq!(answer.paths(), ["[1].data.lines[1].amount"]);
    client.get("/v1/events/b1").problem(404, "event.not_found");
    batch(json!([cloud("b1", &good), cloud("b3", &good)])).expect(202);

    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-id", "b4"),
        ("ce-source", "/s"),
        ("ce-type", "order.paid"),
        ("content-type", "application/json"),
    ];
    client.send("POST", "/v1/events", &headers, bad.to_string().as_bytes()).problem(422, "event.schema_mismatch");

    // An automation's own event too: the step fails, and says why.
    scene::automation(
        &client,
        &json!({"name": "emits", "on": ["go"], "then": [
            {"action": "event-emit", "with": {"type": "order.paid", "data": "{{event.data}}"}}]}),
    );
    let outcome = |data: &Value| {
        let event = scene::send(&client, "go", data);
        scene::story(&client, &event)["runs"][0]["steps"][0]["outcome"].clone()
    };
    assert_eq!(outcome(&good)["kind"], "done");
    let failed = outcome(&bad);
    assert_eq!((&failed["kind"], &failed["code"]), (&json!("failed"), &json!("event.schema_mismatch")), "{failed}");
    assert!(text(&failed["message"]).contains("data.lines[1].amount"), "{failed}");

    // No longer strict, nothing is checked any more.
    client.delete("/v1/event-types/order.paid").expect(204);
    scene::send(&client, "order.paid", &bad);
}

#[test]
fn a_strict_type_is_strict_after_a_restart_and_in_its_own_space_only() {
    let mut server = Server::start(hookwright_tests::Options::default());
    let client = server.client();
    client.post("/v1/event-types", &paid()).expect(201);
    server.restart();
    let client = server.client();
    let wrong = json!({"type": "order.paid", "data": {}});
    client.post("/v1/events", &wrong).problem(422, "event.schema_mismatch");
    server.space("elsewhere").post("/v1/events", &wrong).expect(202);
}
