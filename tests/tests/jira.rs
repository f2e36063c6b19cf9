//! The use case of the first reference system from end to end: an issue is completed in Jira, the matching ticket
//! closes, gets a note, and whoever subscribed hears of it.

use hookwright_tests::programs::{Program, node, python};
use hookwright_tests::scene::{self, text};
use hookwright_tests::{Client, Options, Server, eventually};
use serde_json::{Value, json};

const TYPE: &str = "jira.ticket_completed";

fn close_on_completion(client: &Client) -> String {
    scene::automation(
        client,
        &json!({
            "name": "Close the ticket when Jira is done",
            "on": [TYPE],
            "when": {"condition": "match", "with": {"path": "analytics_event.attributes.status", "equals": "Closed"}},
            "then": [
                {"action": "ticket-update", "with": {"id": "{{analytics_event.attributes.ticket_id}}", "status": "closed"}},
                {"action": "note-add", "with": {
                    "id": "{{analytics_event.attributes.ticket_id}}",
                    "text": "Closed in Jira as {{analytics_event.attributes.key}} by {{analytics_event.service}}",
                }},
            ],
        }),
    )
}

/// Sends an event as the reference system's clients do.
#[track_caller]
fn push(client: &Client, space: &str, attributes: &Value) -> String {
    let body = json!({"service": "Jira", "trigger_event_type": TYPE, "attributes": attributes});
    text(&client.in_space(space).post("/webhook", &body).expect(202)["id"])
}

#[test]
fn closing_a_jira_issue_closes_the_ticket_and_sends_verified_webhooks() {
    let server = Server::start(Options::default());
    let client = server.client();
    let mut receivers = [node("receiver.mjs"), python("receiver.py")].map(|mut command| {
        let mut receiver = Program::start(&mut command);
        let url = format!("http://127.0.0.1:{}/hooks", receiver.line()["port"]);
        let (id, secret) = scene::webhook(&client, &url, &["ticket.*"]);
        receiver.tell(&secret);
        assert_eq!(receiver.line()["ready"], true);
        (receiver, id)
    });
    // What the ticket's own making sends out is not a part of the story.
    let ticket = scene::ticket(&client, "Printer on fire");
    for (receiver, _) in &mut receivers {
        let told = receiver.line();
        assert_eq!((&told["verified"], &told["payload"]["type"]), (&json!(true), &json!("ticket.created")), "{told}");
    }
    let automation = close_on_completion(&client);

    let event = push(&client, "main", &json!({"ticket_id": ticket, "status": "Closed", "key": "OPS-7"}));

    let closed = eventually(|| {
        let found = client.get(&format!("/v1/tickets/{ticket}")).expect(200);
        if found["notes"].as_array().is_some_and(|notes| !notes.is_empty()) {
            Ok(found)
        } else {
            Err(found.to_string())
        }
    });
    assert_eq!(closed["status"], "closed");
    assert_eq!(closed["notes"][0]["text"], "Closed in Jira as OPS-7 by Jira");

    let mut ids = Vec::new();
    for (receiver, _) in &mut receivers {
        let mut types = Vec::new();
        for _ in 0..4 {
            let told = receiver.line();
            assert_eq!(told["verified"], true, "{told}");
            assert_eq!(told["payload"]["data"]["id"], ticket);
            types.push(text(&told["payload"]["type"]));
            ids.push(text(&told["id"]));
        }
        types.sort();
        assert_eq!(types, ["ticket.closed", "ticket.note-added", "ticket.status-changed", "ticket.updated"]);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 8, "every message has an id of its own");

    let hooks: Vec<String> = receivers.iter().map(|(_, id)| id.clone()).collect();
    the_story_tells_it_all(&client, &event, &automation, ticket, &hooks);
}

fn the_story_tells_it_all(client: &Client, event: &str, automation: &str, ticket: u64, hooks: &[String]) {
    let told = |story: &Value| story["caused"].to_string().matches("\"delivered\"").count() == 8;
    let story = scene::story_when(client, event, |story| story["state"] == "done" && told(story));
    assert_eq!(story["event"]["type"], TYPE);
    assert_eq!(story["event"]["source"], "Jira");
    assert_eq!(story["event"]["data"]["key"], "OPS-7");

    let run = &story["runs"][0];
    assert_eq!((&run["automation"], &run["state"]), (&json!(automation), &json!("done")), "{run:#}");
    assert_eq!(run["decision"]["fired"], true);
    let condition = &run["decision"]["conditions"][0];
    assert_eq!((&condition["path"], &condition["holds"]), (&json!("when"), &json!(true)));
    let reason = text(&condition["reason"]);
    assert!(reason.contains("status") && reason.contains("Closed"), "{reason}");

    let steps = run["steps"].as_array().unwrap();
    let names: Vec<&str> = steps.iter().map(|step| step["plugin"].as_str().unwrap()).collect();
    assert_eq!(names, ["ticket-update", "note-add"]);
    for step in steps {
        assert_eq!(step["outcome"]["kind"], "done", "{step:#}");
        assert_eq!(step["version"], "0.1.0");
        assert_eq!(step["attempts"], 1);
    }
    let changed = &steps[0]["effects"][0];
    assert_eq!((&changed["kind"], &changed["subject"]), (&json!("ticket.updated"), &json!(format!("ticket/{ticket}"))));
    assert_eq!(changed["detail"]["status"], json!({"from": "open", "to": "closed"}));
    assert_eq!(steps[1]["effects"][0]["kind"], "ticket.note-added");

    for caused in story["caused"].as_array().unwrap() {
        let deliveries = caused["deliveries"].as_array().unwrap();
        let mut to: Vec<String> = deliveries.iter().map(|delivery| text(&delivery["webhook"])).collect();
        to.sort();
        let mut wanted = hooks.to_vec();
        wanted.sort();
        assert_eq!(to, wanted, "{caused:#}");
        for delivery in deliveries {
            assert_eq!((&delivery["state"], &delivery["attempts"]), (&json!("delivered"), &json!(1)), "{delivery:#}");
            let attempt = &delivery["log"][0];
            assert_eq!(attempt["outcome"]["status"], 204);
            assert!(attempt["duration_ms"].is_u64() && attempt["started_at"].is_string());
            let body: Value = serde_json::from_str(attempt["request_body"].as_str().unwrap()).unwrap();
            assert_eq!(body["type"], caused["type"]);
            let headers = attempt["request_headers"].to_string();
            for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
                assert!(headers.contains(name), "{headers}");
            }
        }
    }
}

#[test]
fn a_non_matching_event_reports_expected_and_actual_values() {
    let server = Server::shared();
    let client = server.space("unmatched");
    let ticket = scene::ticket(&client, "Still open");
    let automation = close_on_completion(&client);
    let event = push(&client, "unmatched", &json!({"ticket_id": ticket, "status": "In review", "key": "OPS-8"}));

    let story = scene::story(&client, &event);
    let run = story["runs"].as_array().unwrap().iter().find(|run| run["automation"] == *automation).unwrap();
    assert_eq!((&run["state"], &run["decision"]["fired"]), (&json!("skipped"), &json!(false)));
    assert_eq!(run["decision"]["conditions"][0]["holds"], false);
    assert_eq!(run["steps"], json!([]));
    for reason in [&run["decision"]["reason"], &run["decision"]["conditions"][0]["reason"], &story["summary"][0]] {
        let reason = text(reason);
        assert!(reason.contains("Closed") && reason.contains("In review"), "{reason}");
    }
    assert_eq!(client.get(&format!("/v1/tickets/{ticket}")).expect(200)["status"], "open");
}

#[test]
fn a_missing_attribute_fails_the_step_and_lists_the_available_ones() {
    let server = Server::shared();
    let client = server.space("absent");
    let automation = close_on_completion(&client);
    let event = push(&client, "absent", &json!({"status": "Closed", "key": "OPS-9", "assignee": "kim"}));

    let story = scene::story(&client, &event);
    let run = story["runs"].as_array().unwrap().iter().find(|run| run["automation"] == *automation).unwrap();
    assert_eq!(run["state"], "failed");
    for step in run["steps"].as_array().unwrap() {
        assert_eq!(
            (&step["outcome"]["kind"], &step["outcome"]["code"]),
            (&json!("failed"), &json!("variable.missing"))
        );
        let message = text(&step["outcome"]["message"]);
        assert!(message.contains("analytics_event.attributes.ticket_id"), "{message}");
        assert!(message.contains("status, key, assignee"), "it names what the payload had: {message}");
    }
}

#[test]
fn an_event_of_another_type_reports_the_expected_type() {
    let server = Server::shared();
    let client = server.space("untyped");
    let automation = close_on_completion(&client);
    let event = scene::send(&client, "jira.ticket_created", &json!({"status": "Closed"}));
    let story = scene::story(&client, &event);
    assert!(story["runs"].as_array().unwrap().iter().all(|run| run["automation"] != *automation));
    let not = story["not_considered"].as_array().unwrap().iter().find(|one| one["automation"] == *automation).unwrap();
    let reason = text(&not["reason"]);
    assert!(reason.contains("jira.ticket_created") && reason.contains(TYPE), "{reason}");
}

/// Each mistake in a pushed event has an answer of its own.
#[test]
fn each_error_in_a_pushed_event_has_its_own_code() {
    let server = Server::shared();
    let client = server.client();
    let named = client.in_space("main");
    let good = json!({"service": "Jira", "trigger_event_type": TYPE, "attributes": {"a": 1}});
    assert!(named.post("/webhook", &good).expect(202)["id"].is_string());

    client.without_key().in_space("main").post("/webhook", &good).problem(401, "auth.missing");
    client.with_key("hw_wrong").in_space("main").post("/webhook", &good).problem(401, "auth.invalid");
    client.post("/webhook", &good).problem(401, "space.missing");
    client.in_space("elsewhere").post("/webhook", &good).problem(403, "space.mismatch");
    named.get("/webhook").problem(405, "method.not_allowed");
    named.send("POST", "/webhook", &[], b"{\"service\":").problem(400, "body.not_json");

    for (field, value, path) in [
        ("service", Value::Null, "service"),
        ("trigger_event_type", json!(7), "trigger_event_type"),
        ("trigger_event_type", json!(""), "trigger_event_type"),
        ("service", json!("\u{7}"), "service"),
        ("attributes", json!([1]), "attributes"),
        ("attributes", json!("text"), "attributes"),
        ("attribute", json!({}), "attribute"),
    ] {
        let mut body = good.clone();
        body[field] = value;
        let answer = named.post("/webhook", &body);
        answer.problem(422, "input.invalid");
        assert_eq!(answer.paths(), [path], "{answer}");
    }
    for field in ["service", "trigger_event_type", "attributes"] {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(field);
        let answer = named.post("/webhook", &body);
        let problem = answer.problem(422, "input.invalid");
        assert!(text(&problem["detail"]).contains(field), "{answer}");
    }
}

#[test]
fn a_rejected_push_is_listed_with_its_reason() {
    let server = Server::shared();
    let client = server.space("refused");
    let named = client.in_space("refused");
    let good = json!({"service": "Jira", "trigger_event_type": TYPE, "attributes": {"a": 1}});
    named.post("/webhook", &good).expect(202);
    let reasons = || {
        let all = client.get("/v1/refused-requests").expect(200)["data"].as_array().unwrap().clone();
        all.into_iter().map(|one| (text(&one["code"]), one)).collect::<Vec<_>>()
    };
    assert_eq!(reasons(), [], "what was accepted is an event");
    client.with_key("hw_wrong").in_space("refused").post("/webhook", &good).problem(401, "auth.invalid");
    client.post("/webhook", &good).problem(401, "space.missing");
    named.post("/webhook", &json!({"service": "Jira", "attributes": {}})).problem(422, "input.invalid");
    client.post("/v1/events", &json!({"typ": "a"})).problem(422, "input.invalid");
    named.send("POST", "/webhook", &[], b"{\"service\":").problem(400, "body.not_json");
    // Nobody's: there is no such space.
    client.with_key("hw_wrong").in_space("nowhere-at-all").post("/webhook", &good).problem(401, "auth.invalid");
    let all = reasons();
    let codes: Vec<&str> = all.iter().map(|(code, _)| code.as_str()).collect();
    assert_eq!(codes, ["body.not_json", "input.invalid", "input.invalid", "space.missing", "auth.invalid"]);
    let (_, wrong) = &all[2];
    assert_eq!((&wrong["path"], &wrong["status"], &wrong["method"]), (&json!("/webhook"), &json!(422), &json!("POST")));
    assert!(text(&wrong["message"]).contains("trigger_event_type"), "{wrong:#}");
    assert!(text(&wrong["body"]["text"]).contains("Jira"), "{wrong:#}");
    assert!(!json!(all).to_string().contains("hw_wrong"), "no key stands there: {wrong:#}");
    assert_eq!(all[4].1["headers"].to_string().matches("refused").count(), 1, "the id that was sent does");
    let one = client.get(&format!("/v1/refused-requests/{}", text(&wrong["id"]))).expect(200);
    assert_eq!(one, *wrong);
    client.get("/v1/refused-requests/req_999").problem(404, "request.not_found");
}

#[test]
fn disabled_automations_and_the_chain_limit_are_explained() {
    let server = Server::shared();
    let client = server.space("explain-off");
    let then = json!([{"action": "event-emit", "with": {"type": "fe.x", "data": {"n": 1}}}]);
    let off = scene::automation(&client, &json!({"name": "off", "on": ["loop.x"], "then": then}));
    let shown = client.post(&format!("/v1/automations/{off}/disable"), &json!({})).expect(200);
    let event = scene::send(&client, "loop.x", &json!({}));
    let explained = client.get(&format!("/v1/events/{event}/explain")).expect(200);
    let explanation = text(&explained["automations"][0]["explanation"]);
    let since =
        format!("it has been disabled since {}, by {}", text(&shown["switched"]["at"]), text(&shown["switched"]["by"]));
    assert!(explanation.contains(&since) && !explanation.contains("misspelt"), "{explained:#}");
    let event = scene::send(&client, "fe.x", &json!({}));
    let explained = client.get(&format!("/v1/events/{event}/explain")).expect(200);
    assert_eq!(explained["automations"][0].get("near"), None, "loop.x and fe.x are not close: {explained:#}");

    let again = json!([{"action": "event-emit", "with": {"type": "chain.next", "data": {}}}]);
    scene::automation(&client, &json!({"name": "chain", "on": ["chain.next"], "then": again}));
    scene::send(&client, "chain.next", &json!({}));
    let last = eventually(|| {
        let newest = text(&client.get("/v1/events?type=chain.next&limit=1").expect(200)["data"][0]["id"]);
        let summary = scene::story(&client, &newest)["summary"].to_string();
        if summary.contains("the chain was cut here") { Ok(newest) } else { Err(summary) }
    });
    let explained = client.get(&format!("/v1/events/{last}/explain")).expect(200);
    let chain = explained["automations"].as_array().unwrap().iter().find(|one| one["name"] == "chain").unwrap();
    assert!(text(&chain["explanation"]).contains("the chain was cut here"), "{explained:#}");
    assert!(!text(&chain["explanation"]).contains("misspelt"), "{explained:#}");
}
