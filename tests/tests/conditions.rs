//! Conditions on what an event changed, on the record that it is about, on dates and on lists, with what the reasons say.

use hookwright_tests::scene::{self, text};
use hookwright_tests::{Client, Server};
use serde_json::{Value, json};

/// An automation with one condition.
#[track_caller]
fn when(client: &Client, on: &str, with: &Value) -> String {
    let condition = json!({"condition": "match", "with": with});
    scene::automation(
        client,
        &json!({"name": with.to_string(), "on": [on], "when": condition, "then": [
            {"transform": "jq", "with": {"filter": "."}}]}),
    )
}

/// Whether the condition held for the event, and its reason.
#[track_caller]
fn verdict(client: &Client, event: &str, automation: &str) -> (bool, String) {
    let story = scene::story(client, event);
    let runs = story["runs"].as_array().unwrap();
    let run = runs.iter().find(|run| run["automation"] == automation).unwrap_or_else(|| panic!("{story:#}"));
    let asked = &run["decision"]["conditions"][0];
    (asked["holds"].as_bool().unwrap_or_else(|| panic!("{asked:#}")), text(&asked["reason"]))
}

#[track_caller]
fn send(client: &Client, event: &Value) -> String {
    text(&client.post("/v1/events", event).expect(202)["id"])
}

/// The events of a type that a ticket had, the newest first.
#[track_caller]
fn events_of(client: &Client, event_type: &str, ticket: u64) -> Vec<String> {
    let events = scene::all(client, &format!("/v1/events?type={event_type}&subject=ticket/{ticket}"));
    events.iter().map(|event| text(&event["id"])).collect()
}

#[test]
fn values_are_compared_as_the_requested_type() {
    let server = Server::shared();
    let client = server.space("conditions-typed");
    let rows = [
        (json!({"path": "n", "gt": "9007199254740992", "as": "number"}), true, "it is 9007199254740993"),
        (json!({"path": "word", "gt": 5, "as": "number"}), false, "it is \"soon\", which is not a number"),
        (json!({"path": "due", "lt": "2026-11-21T09:30:00Z", "as": "date"}), true, "as date"),
        (json!({"path": "due", "gt": 1_795_251_000, "as": "date"}), false, "as date"),
        (json!({"path": "nothing", "equals": null}), true, "it is null"),
        (
            json!({"path": "absent", "equals": null}),
            false,
            "absent is missing: the event's data has due, n, nothing, word",
        ),
        (json!({"path": "due", "older_than": "1d"}), true, "now is 20"),
        (json!({"path": "due", "after": "now-2h"}), false, "now is 20"),
        (json!({"path": "event.time", "within": "10m"}), true, "now is 20"),
        (json!({"path": "word", "before": "now"}), false, "which is not a date"),
    ];
    let made: Vec<String> = rows.iter().map(|(with, ..)| when(&client, "typed", with)).collect();
    let data = r#"{"n": 9007199254740993, "word": "soon", "due": "2020-11-21T10:00:00+01:00", "nothing": null}"#;
    let event = scene::send(&client, "typed", &serde_json::from_str(data).unwrap());
    for ((with, holds, said), automation) in rows.iter().zip(&made) {
        let (held, reason) = verdict(&client, &event, automation);
        assert!(held == *holds && reason.contains(said), "{with}: {held}, {reason}");
    }
}

#[test]
fn conditions_can_test_which_field_an_update_changed() {
    let server = Server::shared();
    let client = server.space("conditions-changed");
    let rows = [
        (json!({"path": "status", "changed": true}), true, "it changed from \"open\" to \"closed\""),
        (
            json!({"path": "data.ticket.status", "changed_from": "open", "changed_to": "closed"}),
            true,
            "it changed from",
        ),
        (json!({"path": "ticket.status", "changed_to": "pending"}), false, "it changed from \"open\" to \"closed\""),
        (json!({"path": "urgency", "changed": true}), false, "it did not change; changed are status"),
    ];
    let made: Vec<String> = rows.iter().map(|(with, ..)| when(&client, "ticket.updated", with)).collect();
    let by_verb = when(&client, "ticket.status-changed", &json!({"path": "status", "changed_to": "closed"}));
    let moved = when(&client, "ticket.moved", &json!({"path": "ticket.stage", "changed_from": "new"}));
    let created = when(&client, "ticket.created", &json!({"path": "status", "changed": true}));
    let ticket = scene::ticket(&client, "Printer");
    let path = format!("/v1/tickets/{ticket}");
    let (held, reason) = verdict(&client, &events_of(&client, "ticket.created", ticket)[0], &created);
    assert!(!held && reason.ends_with("ticket.created is not an update: its data has no changes"), "{reason}");
    client.patch(&path, &json!({"status": "closed"})).expect(200);
    let event = events_of(&client, "ticket.updated", ticket).remove(0);
    for ((with, holds, said), automation) in rows.iter().zip(&made) {
        let (held, reason) = verdict(&client, &event, automation);
        assert!(held == *holds && reason.contains(said), "{with}: {held}, {reason}");
    }
    assert!(verdict(&client, &events_of(&client, "ticket.status-changed", ticket)[0], &by_verb).0);
    client.patch(&path, &json!({"stage": "new"})).expect(200);
    client.patch(&path, &json!({"stage": "done"})).expect(200);
    let (held, reason) = verdict(&client, &events_of(&client, "ticket.moved", ticket)[0], &moved);
    assert!(held && reason.contains("it changed from \"new\" to \"done\""), "{reason}");
}

#[test]
fn conditions_read_the_current_state_of_the_events_record() {
    let server = Server::shared();
    let client = server.space("conditions-record");
    let made = client.post("/v1/tickets", &json!({"subject": "Printer", "urgency": "high"})).expect(201);
    let ticket = made["id"].as_u64().unwrap();
    let team = client.post("/v1/records/team", &json!({"name": "Network"})).expect(201)["id"].clone();
    let input = json!({"subject": "Login", "team": team});
    let request = client.post("/v1/records/request", &input).expect(201)["id"].as_u64().unwrap();
    let urgent = when(&client, "seen", &json!({"path": "ticket.urgency", "equals": "high"}));
    let absent = when(&client, "seen", &json!({"path": "record.urgent", "equals": "high"}));
    let network = when(&client, "seen", &json!({"path": "record.team.name", "equals": "Network"}));
    let about = |subject: Value| send(&client, &json!({"type": "seen", "subject": subject, "data": {"x": 1}}));

    let event = about(json!(format!("ticket/{ticket}")));
    assert_eq!(verdict(&client, &event, &urgent), (true, "ticket.urgency equals \"high\": it is \"high\"".to_owned()));
    let (held, reason) = verdict(&client, &event, &absent);
    assert!(!held && reason.contains("record.urgent is missing: record has"), "{reason}");
    client.patch(&format!("/v1/tickets/{ticket}"), &json!({"urgency": "low"})).expect(200);
    let event = about(json!(format!("ticket/{ticket}")));
    let (held, reason) = verdict(&client, &event, &urgent);
    assert!(!held && reason.ends_with("it is \"low\""), "{reason}");
    // What was there when it was asked stays what is shown, whatever becomes of the record.
    client.patch(&format!("/v1/tickets/{ticket}"), &json!({"urgency": "high"})).expect(200);
    let explained = client.get(&format!("/v1/events/{event}/explain")).expect(200);
    let one = |automation: &str| {
        let all = explained["automations"].as_array().unwrap();
        all.iter().find(|one| one["automation"] == automation).unwrap().clone()
    };
    assert_eq!(one(&urgent)["verdict"], "condition_not_met");
    assert_eq!(one(&urgent)["conditions"][0]["actual"], "low");
    assert_eq!(one(&absent)["verdict"], "attribute_missing");

    let event = about(json!(format!("request/{request}")));
    let (held, reason) = verdict(&client, &event, &network);
    assert!(held && reason == "record.team.name equals \"Network\": it is \"Network\"", "{reason}");
    for (subject, said) in [
        (json!(null), "the event is not about a record: it has no subject"),
        (json!("order 7"), "the event is not about a record: its subject is `order 7`"),
        (json!("ticket/4711"), "there is no ticket/4711 in this space"),
        (json!(format!("request/{request}")), "which is not a ticket"),
    ] {
        let (held, reason) = verdict(&client, &about(subject), &urgent);
        assert!(!held && reason.contains(said), "{reason}");
    }
    // An event that names the ticket in its data.
    let about = json!({"path": "ticket.urgency", "equals": "high", "about": "ticket/{{event.data.ticket_id}}"});
    let named = when(&client, "named", &about);
    let event = send(&client, &json!({"type": "named", "data": {"ticket_id": ticket}}));
    assert!(verdict(&client, &event, &named).0);
    // Other spaces' records are none.
    let other = server.space("conditions-record-other");
    let automation = when(&other, "seen", &json!({"path": "ticket.urgency", "exists": true}));
    let event = send(&other, &json!({"type": "seen", "subject": format!("ticket/{ticket}"), "data": {}}));
    assert!(!verdict(&other, &event, &automation).0);
}

#[test]
fn list_elements_are_tested_and_the_deciding_one_is_reported() {
    let server = Server::shared();
    let client = server.space("conditions-lists");
    let rows = [
        (
            json!({"path": "items", "any": {"path": "price", "gt": 100}}),
            true,
            "element 1 does: price gt 100: it is 150",
        ),
        (
            json!({"path": "items", "all": {"path": "price", "gt": 100}}),
            false,
            "element 0 does not: price gt 100: it is 5",
        ),
        (json!({"path": "items", "none": {"path": "tags", "any": {"equals": "x"}}}), true, "none of 2 does"),
        (
            json!({"path": "items", "any": [{"path": "price", "lt": 10}, {"path": "tags", "contains": "b"}]}),
            false,
            "none of 2 does",
        ),
        (json!({"path": "name", "any": {"exists": true}}), false, "it is \"n\", which is not a list"),
    ];
    let made: Vec<String> = rows.iter().map(|(with, ..)| when(&client, "listed", with)).collect();
    let data = json!({"items": [{"price": 5, "tags": ["a"]}, {"price": 150, "tags": ["b"]}], "name": "n"});
    let event = scene::send(&client, "listed", &data);
    for ((with, holds, said), automation) in rows.iter().zip(&made) {
        let (held, reason) = verdict(&client, &event, automation);
        assert!(held == *holds && reason.contains(said), "{with}: {held}, {reason}");
    }
}

#[test]
fn an_invalid_condition_is_rejected_when_it_is_saved() {
    let server = Server::shared();
    let client = server.space("conditions-wrong");
    for (with, path) in [
        (json!({"path": "a", "equals": 1, "as": "int"}), "when.with.as"),
        (json!({"path": "a", "older_than": "2 days"}), "when.with.older_than"),
        (json!({"path": "a", "equals": 1, "found": {"value": 1}}), "when.with.found"),
    ] {
        let automation = json!({"name": "a", "on": ["a"], "when": {"condition": "match", "with": with},
            "then": [{"transform": "jq", "with": {"filter": "."}}]});
        assert_eq!(client.post("/v1/automations", &automation).paths(), [path], "{with}");
    }
    for with in [
        json!({"path": "a"}),
        json!({"path": "a", "changed": true, "changed_to": 1}),
        json!({"path": "a", "any": {"path": "b"}}),
        json!({"path": "a", "any": {"path": "b", "gt": 1, "lt": 2}}),
    ] {
        let automation = json!({"name": "a", "on": ["a"], "when": {"condition": "match", "with": with},
            "then": [{"transform": "jq", "with": {"filter": "."}}]});
        client.post("/v1/automations", &automation).expect(422);
    }
}
