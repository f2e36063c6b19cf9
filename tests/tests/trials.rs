//! What an automation would do, without doing any of it; and why it did not do what somebody expected.

use hookwright_tests::scene::{self, text};
use hookwright_tests::{Client, Receiver, Server};
use serde_json::{Value, json};

#[track_caller]
fn tried(client: &Client, automation: &str, body: &Value) -> Value {
    client.post(&format!("/v1/automations/{automation}/test"), body).expect(200)
}

#[test]
fn a_dry_run_of_an_automation_reports_everything_and_changes_nothing() {
    let server = Server::shared();
    let client = server.space("trial");
    let receiver = Receiver::start();
    let ticket = scene::ticket(&client, "one");
    let automation = scene::automation(
        &client,
        &json!({"name": "a", "on": ["order.*"],
            "when": {"condition": "match", "with": {"path": "data.total", "gt": 100}},
            "then": [
                {"action": "note-add", "for_each": "{{event.data.items}}", "with": {"id": ticket, "text": "{{item}}"}},
                {"wait": {"seconds": 3600}},
                {"action": "event-emit", "with": {"type": "large.order", "data": "{{event.data.total}}"}},
                {"action": "webhook-call", "with": {"url": format!("{}?key=hidden", receiver.url())}}]}),
    );
    let events = scene::all(&client, "/v1/events").len();
    let event = json!({"type": "order.paid", "data": {"total": 120, "items": ["a", "b"]}});
    let shown = tried(&client, &automation, &json!({"event": event}));
    assert_eq!((&shown["triggered"], &shown["decision"]["fired"]), (&json!(true), &json!(true)), "{shown:#}");
    let kinds: Vec<&Value> = shown["steps"].as_array().unwrap().iter().map(|step| &step["outcome"]["kind"]).collect();
    assert_eq!(kinds, ["done", "done", "done", "failed"], "{shown:#}");
    assert_eq!(shown["steps"][0]["items"].as_array().map(Vec::len), Some(2));
    assert_eq!(shown["steps"][0]["outcome"]["result"].as_array().map(Vec::len), Some(2));
    assert_eq!(shown["steps"][3]["outcome"]["code"], "rehearsal.not_sent");
    assert_eq!(
        shown["requests"],
        json!([{"plugin": "webhook-call", "method": "POST", "url": receiver.url(),
            "body_bytes": shown["requests"][0]["body_bytes"], "sent": false}])
    );
    assert!(shown["events"].as_array().unwrap().iter().any(|event| event["type"] == "large.order"), "{shown:#}");
    assert!(shown["notes"].to_string().contains("step 2 would wait until"), "{}", shown["notes"]);
    // Nothing of it is there.
    assert_eq!(scene::notes(&client, ticket), [""; 0]);
    assert_eq!(scene::all(&client, "/v1/events").len(), events);
    assert_eq!(scene::all(&client, "/v1/runs"), Vec::<Value>::new());
    assert!(receiver.received().is_empty());

    let sent = tried(&client, &automation, &json!({"event": event, "requests": "send"}));
    assert_eq!((&sent["steps"][3]["outcome"]["kind"], receiver.received().len()), (&json!("done"), 1));
}

#[test]
fn a_stored_event_can_be_dry_run_and_each_decision_has_its_reason() {
    let server = Server::shared();
    let client = server.space("trial-stored");
    let event = scene::send(&client, "order.paid", &json!({"total": 50}));
    let automation = scene::automation(
        &client,
        &json!({"name": "a", "on": ["jira.*"], "enabled": false,
            "when": {"condition": "match", "with": {"path": "data.total", "gt": 100}},
            "then": [{"action": "event-emit", "with": {"type": "x"}}]}),
    );
    let shown = tried(&client, &automation, &json!({"event_id": event}));
    assert_eq!(
        (&shown["triggered"], &shown["decision"]["fired"], &shown["steps"]),
        (&json!(false), &json!(false), &json!([]))
    );
    assert!(text(&shown["decision"]["reason"]).contains("it is 50"), "{shown:#}");
    assert!(shown["notes"].to_string().contains("is disabled"));
    let path = format!("/v1/automations/{automation}/test");
    assert_eq!(client.post(&path, &json!({})).paths(), ["event"]);
    client.post(&path, &json!({"event_id": "none"})).problem(404, "event.not_found");
    client.post("/v1/automations/none/test", &json!({"event_id": event})).problem(404, "automation.not_found");
}

#[test]
fn events_that_fired_nothing_are_explained_by_cause() {
    let server = Server::shared();
    let client = server.space("explain");
    for (name, on, with) in [
        ("other type", "github.push", json!({"path": "data.status", "equals": "Closed"})),
        ("misspelt", "jira.ticket_completed", json!({"path": "data.status", "equals": "Closed"})),
        ("not met", "jira.*", json!({"path": "data.status", "equals": "Closed"})),
        ("missing", "jira.*", json!({"path": "data.state", "equals": "Closed"})),
        ("fires", "jira.*", json!({"path": "data.status", "equals": "Open"})),
    ] {
        scene::automation(
            &client,
            &json!({"name": name, "on": [on], "when": {"condition": "match", "with": with},
                "then": [{"action": "event-emit", "with": {"type": "made", "data": "{{event.data.nothing}}"}}]}),
        );
    }
    let broken = json!({"condition": "cel", "with": {"expression": "event.data.status >"}});
    let step = json!({"action": "event-emit", "with": {"type": "made"}});
    scene::automation(&client, &json!({"name": "broken", "on": ["jira.*"], "when": broken, "then": [step]}));
    let event = scene::send(&client, "jira.ticket-completed", &json!({"status": "Open", "id": 7}));
    scene::story(&client, &event);
    let shown = client.get(&format!("/v1/events/{event}/explain")).expect(200);
    let of = |name: &str| {
        let all = shown["automations"].as_array().unwrap();
        all.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("{name}: {shown:#}")).clone()
    };
    let other = of("other type");
    assert_eq!((&other["verdict"], other.get("near")), (&json!("not_triggered"), None));
    assert!(text(&other["explanation"]).contains("github.push"), "{other}");
    assert_eq!((&of("misspelt")["verdict"], &of("misspelt")["near"]), (&json!("not_triggered"), &json!(true)));
    let not_met = of("not met");
    assert_eq!(not_met["verdict"], "condition_not_met");
    assert_eq!(not_met["conditions"][0]["expected"], json!({"path": "data.status", "equals": "Closed"}));
    assert_eq!(not_met["conditions"][0]["actual"], "Open");
    let missing = of("missing");
    assert_eq!(missing["verdict"], "attribute_missing");
    assert!(text(&missing["conditions"][0]["missing"]).contains("has status, id"), "{missing}");
    let fires = of("fires");
    assert_eq!(fires["verdict"], "attribute_missing", "a step names what is not there");
    assert!(text(&fires["explanation"]).contains("event.data.nothing"), "{fires}");
    let broken = of("broken");
    assert_eq!(broken["verdict"], "failed", "nobody knows whether the condition holds: {broken}");
    assert!(text(&broken["explanation"]).contains("could not be evaluated"), "{broken}");
    client.get("/v1/events/none/explain").problem(404, "event.not_found");
}
