//! Records of built-in and own kinds: made, changed, listed, remembered and told of.

use std::sync::{Arc, Barrier};

use hookwright_tests::scene::{self, text};
use hookwright_tests::{Answer, Client, Receiver, Server};
use serde_json::{Value, json};

const JSON: (&str, &str) = ("content-type", "application/merge-patch+json");

/// Sends a change that expects a version.
fn change_if(client: &Client, method: &str, path: &str, tag: &str, body: &Value) -> Answer {
    client.send(method, path, &[JSON, ("if-match", tag)], body.to_string().as_bytes())
}

fn ids(list: &Value) -> Vec<u64> {
    list["data"].as_array().unwrap().iter().map(|record| record["id"].as_u64().unwrap()).collect()
}

/// The types of the events about a record, oldest first.
fn event_types(client: &Client, subject: &str) -> Vec<String> {
    let mut events = scene::all(client, &format!("/v1/events?subject={subject}"));
    events.reverse();
    events.iter().map(|event| text(&event["type"])).collect()
}

/// A kind with every verb that a change can be told by.
fn order() -> Value {
    json!({
        "noun": "an order",
        "fields": {
            "number": {"type": "string", "required": true, "min": 1, "max": 20},
            "state": {"type": "string", "default": "new", "values": ["new", "paid", "Cancelled"], "indexed": true},
            "step": {"type": "string", "nullable": true, "indexed": true},
            "total": {"type": "number", "min": 0},
            "due": {"type": "date"},
            "address": {"type": "object", "fields": {"city": {"type": "string", "required": true}, "zip": {"type": "string"}}},
            "customer": {"type": "reference", "kind": "contact", "indexed": true},
        },
        "stage": "step", "status": "state", "closed": ["cancelled"], "completed": ["paid"],
        "verbs": ["created", "updated", "deleted", "moved", "status-changed", "closed", "completed", "note-added"],
        "example": {"id": 1, "number": "A-1", "state": "new"},
    })
}

#[test]
fn a_record_is_created_read_updated_and_deleted() {
    let server = Server::shared();
    let client = server.space("records-crud");
    client.put_json("/v1/kinds/order", &order()).expect(201);
    let made = client.post("/v1/records/order", &json!({"number": "A-1", "address": {"city": "Ulm", "zip": "89073"}}));
    assert_eq!((made.header("location"), made.header("etag")), (Some("/v1/records/order/1"), Some("\"1\"")), "{made}");
    let made = made.expect(201);
    assert_eq!((&made["id"], &made["state"], &made["created_at"]), (&json!(1), &json!("new"), &made["updated_at"]));

    let path = "/v1/records/order/1";
    let read = client.get(path);
    assert_eq!((read.header("etag"), read.expect(200)), (Some("\"1\""), made.clone()));
    for (tag, status) in [("\"1\"", 304), ("W/\"1\"", 304), ("*", 304), ("\"7\", \"1\"", 304), ("\"2\"", 200)] {
        let answer = client.send("GET", path, &[("if-none-match", tag)], b"");
        assert_eq!((answer.status, answer.header("etag")), (status, Some("\"1\"")), "{tag}: {answer}");
    }

    // A merge patch: what is in an object beside the change stays, null takes away.
    let patch = json!({"address": {"zip": null, "street": "Am Tor 1"}, "total": 12.5});
    let changed = client.patch(path, &patch);
    assert_eq!(changed.header("etag"), Some("\"2\""), "{changed}");
    let changed = changed.expect(200);
    assert_eq!(changed["address"], json!({"city": "Ulm", "street": "Am Tor 1"}));
    assert_eq!((&changed["total"], &changed["number"]), (&json!(12.5), &json!("A-1")));
    let same = client.patch(path, &json!({"total": 12.5}));
    assert_eq!((same.header("etag"), same.expect(200)), (Some("\"2\""), changed), "nothing changed");
    assert!(client.patch(path, &json!({"total": null})).expect(200).get("total").is_none());

    client.delete(path).expect(204);
    client.get(path).problem(404, "record.not_found");
    client.patch(path, &json!({"total": 1})).problem(404, "record.not_found");
    client.delete(path).problem(404, "record.not_found");
    let next = client.post("/v1/records/order", &json!({"number": "A-2"})).expect(201);
    assert_eq!(next["id"], 2, "an id is given once");
    assert_eq!(
        event_types(&client, "order/1"),
        ["order.created", "order.updated", "order.updated", "order.deleted"],
        "a change of nothing is told by nothing"
    );
}

#[test]
fn invalid_records_are_rejected_with_the_path_and_not_stored() {
    let server = Server::shared();
    let client = server.space("records-wrong");
    client.put_json("/v1/kinds/order", &order()).expect(201);
    let long = "x".repeat(21);
    for (given, paths) in [
        (json!({}), vec!["number"]),
        (json!({"number": ""}), vec!["number"]),
        (json!({"number": long}), vec!["number"]),
        (json!({"number": 1, "state": "lost", "total": "much"}), vec!["number", "state", "total"]),
        (json!({"number": "1", "total": -1}), vec!["total"]),
        (json!({"number": "1", "due": "2026-02-30"}), vec!["due"]),
        (json!({"number": "1", "colour": "red"}), vec!["colour"]),
        (json!({"number": "1", "address": {"zip": 1}}), vec!["address.city", "address.zip"]),
        (json!({"number": "1", "customer": {"name": "no id"}}), vec!["customer"]),
        (json!({"number": "1", "id": 7, "created_at": "2026-01-01T00:00:00Z"}), vec!["id", "created_at"]),
    ] {
        let answer = client.post("/v1/records/order", &given);
        answer.problem(422, "input.invalid");
        assert_eq!(answer.paths(), paths, "{given}: {answer}");
    }
    assert_eq!(client.get("/v1/records/order").expect(200)["data"], json!([]));
    let made = client.post("/v1/records/order", &json!({"number": "1", "address": {"city": "Ulm"}})).expect(201);
    assert_eq!(made["id"], 1, "what was refused took no id");
    for (patch, path) in [
        (json!({"number": null}), "number"),
        (json!({"address": {"city": null}}), "address.city"),
        (json!({"state": "lost"}), "state"),
        (json!({"updated_at": "x"}), "updated_at"),
        (json!({"colour": null}), "colour"),
    ] {
        let answer = client.patch("/v1/records/order/1", &patch);
        answer.problem(422, "input.invalid");
        assert_eq!(answer.paths(), [path], "{patch}: {answer}");
    }
    client.post("/v1/records/order", &json!([])).problem(422, "input.invalid");
    client.post("/v1/records/nothing", &json!({})).problem(404, "kind.not_found");
    client.get("/v1/records/nothing").problem(404, "kind.not_found");
    client.get("/v1/records/No_Kind").problem(404, "record.kind_invalid");
    client.delete("/v1/records/ticket/1").problem(422, "record.not_removable");
    client.post("/v1/records/user/1/notes", &json!({"text": "x"})).problem(422, "record.no_notes");
    client.get("/v1/records/order/1/history?cursor=x").problem(400, "query.invalid");
    assert_eq!(event_types(&client, "order/1"), ["order.created"]);
}

#[test]
fn a_list_is_filtered_sorted_and_paged() {
    let server = Server::shared();
    let client = server.space("records-list");
    client.put_json("/v1/kinds/order", &order()).expect(201);
    for (number, total, state, customer) in
        [("A", 5.0, "new", 1), ("B", 50.0, "paid", 1), ("C", 500.0, "new", 2), ("D", 5.0, "Cancelled", 2)]
    {
        let order =
            json!({"number": number, "total": total, "state": state, "customer": {"id": customer, "name": number}});
        client.post("/v1/records/order", &order).expect(201);
    }
    client.post("/v1/records/order", &json!({"number": "E", "due": "2026-11-21"})).expect(201);
    for (query, expected) in [
        ("", vec![5, 4, 3, 2, 1]),
        ("state=new", vec![5, 3, 1]),
        ("state[ne]=new", vec![4, 2]),
        ("state[in]=paid,Cancelled", vec![4, 2]),
        ("customer=2", vec![4, 3]),
        ("customer.name=C", vec![3]),
        ("state=new&customer=2", vec![3]),
        ("total[gt]=5", vec![3, 2]),
        ("total[gte]=5&total[lt]=500", vec![4, 2, 1]),
        ("total[exists]=false", vec![5]),
        ("due[lte]=2026-11-21", vec![5]),
        ("number[contains]=a", vec![1]),
        ("created_at[gt]=2020-01-01", vec![5, 4, 3, 2, 1]),
        ("sort=id", vec![1, 2, 3, 4, 5]),
        ("sort=total", vec![5, 4, 1, 2, 3]),
        ("sort=-total,number", vec![3, 2, 1, 4, 5]),
        ("state=new&sort=-number", vec![5, 3, 1]),
    ] {
        let path = format!("/v1/records/order?{query}");
        let list = client.get(&path).expect(200);
        assert_eq!(ids(&list), expected, "{query}");
        let tags = list["etags"].as_array().unwrap();
        assert!(tags.len() == expected.len() && tags.iter().all(|tag| tag == "\"1\""), "{list}");
        let mut paged = Vec::new();
        let mut next = Some(String::new());
        while let Some(cursor) = next {
            let joint = if query.is_empty() { "" } else { "&" };
            let cursor = if cursor.is_empty() { cursor } else { format!("&cursor={cursor}") };
            let page = client.get(&format!("{path}{joint}limit=2{cursor}")).expect(200);
            assert!(ids(&page).len() <= 2);
            paged.extend(ids(&page));
            next = page["next"].as_str().map(str::to_owned);
        }
        assert_eq!(paged, expected, "{query}, page by page");
    }
    // The cursor holds its place while records before it come and go.
    let first = client.get("/v1/records/order?sort=number&limit=2").expect(200);
    assert_eq!(ids(&first), [1, 2]);
    client.delete("/v1/records/order/2").expect(204);
    client.post("/v1/records/order", &json!({"number": "AA"})).expect(201);
    let cursor = text(&first["next"]);
    assert_eq!(ids(&client.get(&format!("/v1/records/order?sort=number&cursor={cursor}")).expect(200)), [3, 4, 5]);
    for (query, said) in [
        ("colour=red", "not a field of an order"),
        ("total[gt]=much", "the field is number"),
        ("state[like]=n", "not an operator"),
        ("sort=colour", "not a field"),
        ("limit=0", "limit"),
        (&format!("cursor={cursor}"), "cursor"),
        (&format!("sort=total&cursor={cursor}"), "cursor"),
    ] {
        let problem = client.get(&format!("/v1/records/order?{query}")).problem(400, "query.invalid");
        assert!(text(&problem["detail"]).contains(said), "{query}: {problem}");
    }
    scene::ticket(&client, "one");
    client.patch("/v1/tickets/1", &json!({"status": "pending"})).expect(200);
    scene::ticket(&client, "two");
    assert_eq!(ids(&client.get("/v1/tickets?status=pending").expect(200)), [1]);
    assert_eq!(ids(&client.get("/v1/records/ticket?subject[contains]=TWO&status=open").expect(200)), [2]);
}

#[test]
fn of_concurrent_changes_to_one_version_only_one_succeeds() {
    let server = Server::shared();
    let client = server.space("records-race");
    let lead = client.post("/v1/records/lead", &json!({"title": "L"}));
    let tag = lead.header("etag").unwrap().to_owned();
    lead.expect(201);
    const MANY: usize = 8;
    let barrier = Arc::new(Barrier::new(MANY));
    let race = |n: usize| {
        let (client, tag, barrier) = (client.clone(), tag.clone(), Arc::clone(&barrier));
        std::thread::spawn(move || {
            barrier.wait();
            change_if(&client, "PATCH", "/v1/records/lead/1", &tag, &json!({"comments": n.to_string()}))
        })
    };
    let racers: Vec<_> = (0..MANY).map(race).collect();
    let answers: Vec<Answer> = racers.into_iter().map(|racer| racer.join().unwrap()).collect();
    let made: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(made.len(), 1, "{answers:?}");
    for late in answers.iter().filter(|answer| answer.status != 200) {
        let problem = late.problem(412, "record.changed");
        assert!(text(&problem["detail"]).contains("\"2\""), "it says the present version: {problem}");
    }
    assert_eq!(client.get("/v1/records/lead/1").expect(200)["comments"], made[0].json()["comments"]);

    for method in ["PATCH", "DELETE"] {
        change_if(&client, method, "/v1/records/lead/1", "\"1\"", &json!({})).problem(412, "record.changed");
        change_if(&client, method, "/v1/records/lead/1", "W/\"2\"", &json!({})).problem(412, "record.changed");
        change_if(&client, method, "/v1/records/lead/9", "*", &json!({})).problem(404, "record.not_found");
    }
    change_if(&client, "PATCH", "/v1/records/lead/1", "\"1\", \"2\"", &json!({"title": "M"})).expect(200);
    change_if(&client, "DELETE", "/v1/records/lead/1", "*", &json!({})).expect(204);
    assert_eq!(event_types(&client, "lead/1"), ["lead.created", "lead.updated", "lead.updated", "lead.deleted"]);

    scene::ticket(&client, "T");
    let tag = client.get("/v1/tickets/1").header("etag").unwrap().to_owned();
    client.post("/v1/tickets/1/notes", &json!({"text": "n"})).expect(201);
    let late = change_if(&client, "PATCH", "/v1/tickets/1", &tag, &json!({"status": "closed"}));
    late.problem(412, "record.changed");
}

#[test]
fn the_history_says_who_changed_what_and_when() {
    let server = Server::shared();
    let admin = server.space("records-history");
    let key = admin.post("/v1/keys", &json!({"name": "Zapier", "role": "editor"})).expect(201);
    let client = admin.with_key(key["key"].as_str().unwrap());
    client.post("/v1/records/lead", &json!({"title": "L", "kanban_stage_id": 1})).expect(201);
    client.patch("/v1/records/lead/1", &json!({"kanban_stage_id": 2, "title": "L"})).expect(200);
    client.post("/v1/records/lead/1/notes", &json!({"text": "called"})).expect(201);
    let run = json!({"name": "win", "on": ["lead.note-added"], "then": [
        {"action": "record-update", "with": {"kind": "lead", "id": "{{event.data.id}}", "changes": {"comments": "{{record.title}}"}}}]});
    let automation = scene::automation(&admin, &run);
    client.post("/v1/records/lead/1/notes", &json!({"text": "again"})).expect(201);
    scene::settled(&admin);
    client.delete("/v1/records/lead/1").expect(204);

    let history = client.get("/v1/records/lead/1/history").expect(200);
    let entries = history["data"].as_array().unwrap();
    let rows: Vec<Value> = entries
        .iter()
        .map(|entry| json!([entry["version"], entry["change"], entry["changes"]["kanban_stage_id"]]))
        .collect();
    let none = Value::Null;
    assert_eq!(
        rows,
        [
            json!([6, "deleted", {"from": 2, "to": null}]),
            json!([5, "updated", none]),
            json!([4, "note-added", none]),
            json!([3, "note-added", none]),
            json!([2, "updated", {"from": 1, "to": 2}]),
            json!([1, "created", {"from": null, "to": 1}]),
        ]
    );
    assert_eq!(entries[4]["changes"].as_object().unwrap().len(), 1, "only what changed: {}", entries[4]);
    assert_eq!(entries[3]["notes"], json!([1]));
    assert_eq!(entries[0]["by"], json!({"key": key["id"], "key_name": "Zapier"}));
    let by = &entries[1]["by"];
    assert_eq!(json!([by["automation"], by["plugin"]]), json!([automation, "record-update"]));
    let run = client.get(&format!("/v1/runs/{}", text(&by["run"]))).expect(200);
    assert_eq!(run["automation"], json!(automation));
    assert_eq!(entries[1]["changes"]["comments"]["to"], "L", "a step sees the record that the event is about");
    assert!(entries.iter().all(|entry| text(&entry["at"]).ends_with('Z')));

    let page = client.get("/v1/records/lead/1/history?limit=4").expect(200);
    let rest = client.get(&format!("/v1/records/lead/1/history?limit=4&cursor={}", text(&page["next"]))).expect(200);
    assert_eq!(rest["data"].as_array().unwrap().len(), 2);
    client.get("/v1/records/lead/9/history").problem(404, "record.not_found");
}

#[test]
fn each_change_emits_each_of_its_events_exactly_once() {
    let server = Server::shared();
    let client = server.space("records-events");
    let receiver = Receiver::start();
    scene::webhook(&client, &receiver.url(), &["*"]);
    let mut sent = 0;
    for (kind, fields, change, expected) in [
        ("deal", json!({"kanban_stage_id": 1}), json!({"kanban_stage_id": 2}), vec!["updated", "moved"]),
        ("deal", json!({"kanban_stage_id": 1}), json!({"kanban_stage_id": 1, "title": "x"}), vec!["updated"]),
        ("deal", json!({}), json!({"closed_at": 1_732_629_999}), vec!["updated", "closed"]),
        (
            "opportunity",
            json!({"name": "o", "milestone": {"id": 1}}),
            json!({"milestone": {"id": 2}}),
            vec!["updated", "moved"],
        ),
        ("kase", json!({"name": "k"}), json!({"status": "CLOSED"}), vec!["updated", "status-changed", "closed"]),
        ("kase", json!({"name": "k"}), json!({"stage": {"id": 3}}), vec!["updated", "moved"]),
        ("kase", json!({"name": "k", "status": "CLOSED"}), json!({"name": "l"}), vec!["updated"]),
        ("task", json!({"title": "t"}), json!({"status": "done"}), vec!["updated", "status-changed", "completed"]),
        (
            "task",
            json!({"title": "t", "kanbanStageId": "11"}),
            json!({"kanbanStageId": "12"}),
            vec!["updated", "moved"],
        ),
        ("contact", json!({}), json!({"stage": 2}), vec!["updated"]),
        (
            "request",
            json!({"subject": "r"}),
            json!({"team": {"id": 1}, "member": {"id": 2}}),
            vec!["updated", "team-changed", "member-changed"],
        ),
        ("request", json!({"subject": "r"}), json!({"agile_board_column": {"id": 2}}), vec!["updated", "moved"]),
        (
            "request",
            json!({"subject": "r"}),
            json!({"major_incident_status": "accepted"}),
            vec!["updated", "major-incident-status-changed"],
        ),
        ("problem", json!({"subject": "p"}), json!({"manager": {"id": 1}}), vec!["updated", "manager-changed"]),
        (
            "ticket",
            json!({"subject": "t"}),
            json!({"stage": "b", "status": "closed"}),
            vec!["updated", "status-changed", "moved", "closed"],
        ),
        ("party", json!({"type": "person"}), json!({"firstName": "Scott"}), vec!["updated"]),
        ("party", json!({"type": "person"}), json!({}), vec![]),
    ] {
        let id = client.post(&format!("/v1/records/{kind}"), &fields).expect(201)["id"].clone();
        client.patch(&format!("/v1/records/{kind}/{id}"), &change).expect(200);
        let mut expected: Vec<String> = expected.iter().map(|verb| format!("{kind}.{verb}")).collect();
        expected.insert(0, format!("{kind}.created"));
        assert_eq!(event_types(&client, &format!("{kind}/{id}")), expected, "{change}");
        sent += expected.len();
    }
    let received = receiver.wait_for(sent);
    scene::settled(&client);
    assert_eq!(receiver.received().len(), sent, "no more than those");
    let message = |kind: &str| received.iter().map(|one| one.json()).find(|body| body["type"] == kind).unwrap();
    let moved = message("opportunity.moved");
    assert_eq!(json!([moved["data"]["from"], moved["data"]["to"]]), json!([{"id": 1}, {"id": 2}]));
    assert_eq!(moved["data"]["opportunity"]["milestone"], json!({"id": 2}));
    assert_eq!(message("kase.closed")["data"]["changes"]["status"], json!({"from": "OPEN", "to": "CLOSED"}));
}

#[test]
fn a_custom_kind_is_declared_shown_updated_and_deleted() {
    let server = Server::shared();
    let client = server.space("records-kinds");
    let made = client.put_json("/v1/kinds/order", &order());
    assert_eq!(made.header("location"), Some("/v1/kinds/order"), "{made}");
    let made = made.expect(201);
    assert_eq!((&made["name"], &made["built_in"], &made["noun"]), (&json!("order"), &json!(false), &json!("an order")));
    let types: Vec<&str> =
        made["events"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert!(types.contains(&"order.created") && types.contains(&"order.moved") && types.len() == 8, "{types:?}");
    assert_eq!(made["schema"]["properties"]["total"], json!({"type": "number", "minimum": 0}));
    assert_eq!(made["schema"]["additionalProperties"], false);
    assert_eq!(client.get("/v1/kinds/order").expect(200), made);
    let lead = client.get("/v1/kinds/lead").expect(200);
    assert_eq!((&lead["built_in"], &lead["stage"]), (&json!(true), &json!("kanban_stage_id")));
    assert!(lead["events"].to_string().contains("lead.stage_changed"), "and what others call its events");
    let list = client.get("/v1/kinds").expect(200);
    let names: Vec<&str> = list["data"].as_array().unwrap().iter().map(|kind| kind["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 36);
    for name in [
        "ticket",
        "task",
        "lead",
        "deal",
        "contact",
        "company",
        "activity",
        "post",
        "comment",
        "party",
        "kase",
        "opportunity",
        "user",
        "project",
        "order",
    ] {
        assert!(names.contains(&name), "{name}");
    }

    // A field more, and another one indexed: records that are there are found by it.
    client.post("/v1/records/order", &json!({"number": "A-1"})).expect(201);
    let mut more = order();
    more["fields"]["colour"] = json!({"type": "string"});
    more["fields"]["number"]["indexed"] = json!(true);
    client.put_json("/v1/kinds/order", &more).expect(200);
    assert_eq!(ids(&client.get("/v1/records/order?number=A-1").expect(200)), [1]);
    assert_eq!(client.patch("/v1/records/order/1", &json!({"colour": "red"})).expect(200)["colour"], "red");
    client.delete("/v1/kinds/order").problem(409, "kind.in_use");
    client.delete("/v1/records/order/1").expect(204);
    client.delete("/v1/kinds/order").expect(204);
    client.delete("/v1/kinds/order").problem(404, "kind.not_found");
    client.post("/v1/records/order", &json!({"number": "A-1"})).problem(404, "kind.not_found");

    client.put_json("/v1/kinds/lead", &json!({"fields": {}})).problem(409, "kind.built_in");
    client.delete("/v1/kinds/lead").problem(409, "kind.built_in");
    for (wrong, path) in [
        (json!({"fields": {"a": {"type": "text"}}}), "fields.a.type"),
        (json!({"fields": {"a": {"type": "list", "indexed": true}}}), "fields.a.indexed"),
        (json!({"fields": {}, "verbs": ["created", "updated", "moved"]}), "verbs.moved"),
        (json!({"fields": {}, "colour": 1}), "colour"),
    ] {
        let answer = client.put_json("/v1/kinds/thing", &wrong);
        answer.problem(422, "input.invalid");
        assert_eq!(answer.paths(), [path], "{answer}");
    }
    assert_eq!(client.put_json("/v1/kinds/No_Kind", &json!({"fields": {}})).paths(), ["kind"]);
}

#[test]
fn a_kind_that_something_refers_to_must_exist_and_is_not_deleted() {
    let server = Server::shared();
    let client = server.space("records-references");
    let about = |kind: &str| {
        let with = json!({"path": "record.number", "about": format!("{kind}/{{{{event.data.id}}}}"), "equals": "1"});
        json!({"name": "about", "on": ["go"], "when": {"condition": "match", "with": with},
            "then": [{"action": "record-find", "with": {"kind": kind, "where": {"number": "1"}}}]})
    };
    let each = |kind: &str| json!({"name": "each", "every_seconds": 86_400, "type": "t", "for_each": {"kind": kind}, "enabled": false});
    let answer = client.post("/v1/automations", &about("order"));
    answer.problem(422, "input.invalid");
    assert_eq!(answer.paths(), ["when.with.about", "then[0].with.kind"], "{answer}");
    assert!(answer.text().contains("PUT /v1/kinds/{kind}"), "{answer}");
    assert_eq!(client.post("/v1/schedules", &each("order")).paths(), ["for_each.kind"]);

    client.put_json("/v1/kinds/order", &order()).expect(201);
    let automation = client.post("/v1/automations", &about("order")).expect(201);
    let schedule = client.post("/v1/schedules", &each("order")).expect(201);
    let detail = client.delete("/v1/kinds/order").problem(409, "kind.in_use")["detail"].to_string();
    assert!(detail.contains("the automation `about`") && detail.contains("the schedule `each`"), "{detail}");
    client.delete(&format!("/v1/automations/{}", automation["id"].as_str().unwrap())).expect(204);
    client.delete(&format!("/v1/schedules/{}", schedule["id"].as_str().unwrap())).expect(204);
    client.delete("/v1/kinds/order").expect(204);
}

#[test]
fn a_field_refers_to_a_kind_that_exists_and_that_kind_is_not_deleted() {
    let server = Server::shared();
    let client = server.space("kind-references").in_space("kind-references");
    let to = |kind: &str| {
        let other = json!({"type": "reference", "kind": kind});
        json!({"fields": {"other": other, "more": {"type": "list", "items": {"type": "object", "fields": {"deep": other}}}}})
    };
    let answer = client.put_json("/v1/kinds/parcel", &to("carrier"));
    answer.problem(422, "input.invalid");
    assert_eq!(answer.paths(), ["fields.other.kind", "fields.more.items.fields.deep.kind"], "{answer}");
    assert!(answer.text().contains("PUT /v1/kinds/{kind}"), "{answer}");
    client.put_json("/v1/kinds/letter", &to("contact")).expect(201);
    client.put_json("/v1/kinds/carrier", &to("carrier")).expect(201);
    client.put_json("/v1/kinds/parcel", &to("carrier")).expect(201);
    let detail = client.delete("/v1/kinds/carrier").problem(409, "kind.in_use")["detail"].to_string();
    assert!(detail.contains("the kind `parcel`"), "{detail}");

    let named = |name: &str, kind: &str| {
        let mut kind = to(kind);
        kind["name"] = json!(name);
        kind
    };
    let plan = |kinds: Value, prune: bool| {
        client.post("/v1/configuration/plan", &json!({"configuration": {"kinds": kinds}, "prune": prune}))
    };
    plan(json!([named("a", "b"), named("b", "a")]), false).expect(200);
    assert_eq!(plan(json!([named("a", "nowhere")]), false).paths().len(), 2);
    let answer = plan(json!([named("parcel", "carrier")]), true);
    assert_eq!(answer.paths(), ["kinds.carrier"], "{answer}");
    assert!(answer.text().contains("the kind `parcel`"), "{answer}");

    client.delete("/v1/kinds/parcel").expect(204);
    client.delete("/v1/kinds/carrier").expect(204);
}

#[test]
fn only_permitted_roles_change_records_and_kinds() {
    let server = Server::shared();
    let admin = server.space("records-roles");
    admin.put_json("/v1/kinds/order", &order()).expect(201);
    let role = |role: &str| {
        let key = admin.post("/v1/keys", &json!({"name": role, "role": role})).expect(201);
        admin.with_key(key["key"].as_str().unwrap())
    };
    let (editor, viewer, ingest) = (role("editor"), role("viewer"), role("ingest"));
    editor.post("/v1/records/order", &json!({"number": "1"})).expect(201);
    editor.put_json("/v1/kinds/other", &json!({"fields": {}})).problem(403, "auth.forbidden");
    viewer.get("/v1/records/order/1").expect(200);
    viewer.get("/v1/kinds/order").expect(200);
    viewer.patch("/v1/records/order/1", &json!({"total": 1})).problem(403, "auth.forbidden");
    viewer.delete("/v1/records/order/1").problem(403, "auth.forbidden");
    ingest.get("/v1/records/order").problem(403, "auth.forbidden");
    let other = server.space("records-roles-other");
    other.get("/v1/kinds/order").problem(404, "kind.not_found");
    other.get("/v1/records/order/1").problem(404, "kind.not_found");
    other.put_json("/v1/kinds/order", &json!({"fields": {}})).expect(201);
    other.get("/v1/records/order/1").problem(404, "record.not_found");
    assert_eq!(admin.get("/v1/kinds/order").expect(200)["noun"], "an order", "each space has its own");
}

#[test]
fn records_kinds_and_histories_survive_a_restart() {
    let mut server = Server::start(hookwright_tests::Options::default());
    server.client().put_json("/v1/kinds/order", &order()).expect(201);
    server.client().post("/v1/records/order", &json!({"number": "A-1", "step": "one"})).expect(201);
    server.client().patch("/v1/records/order/1", &json!({"step": "two"})).expect(200);
    server.kill();
    server.restart();
    let client = server.client();
    assert_eq!(ids(&client.get("/v1/records/order?step=two").expect(200)), [1]);
    assert_eq!(ids(&client.get("/v1/records/order?step=one").expect(200)), Vec::<u64>::new());
    assert_eq!(client.get("/v1/records/order/1/history").expect(200)["data"].as_array().unwrap().len(), 2);
    assert_eq!(client.post("/v1/records/order", &json!({"number": "A-2"})).expect(201)["id"], 2);
}
