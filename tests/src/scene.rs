//! The things that most tests begin with, and the questions that most tests end with.

use std::time::Duration;

use serde_json::{Value, json};

use crate::client::Client;
use crate::poll::{eventually, within};

/// Makes a ticket; returns its id.
#[track_caller]
pub fn ticket(client: &Client, subject: &str) -> u64 {
    let made = client.post("/v1/tickets", &json!({"subject": subject, "status": "open"})).expect(201);
    made["id"].as_u64().unwrap()
}

/// Makes an automation; returns its id.
#[track_caller]
pub fn automation(client: &Client, automation: &Value) -> String {
    text(&client.post("/v1/automations", automation).expect(201)["id"])
}

/// Makes a webhook; returns its id and its secret.
#[track_caller]
pub fn webhook(client: &Client, url: &str, events: &[&str]) -> (String, String) {
    let made = client.post("/v1/webhooks", &json!({"url": url, "events": events})).expect(201);
    (text(&made["id"]), text(&made["secret"]))
}

/// Sends an event in the native form; returns its id.
#[track_caller]
pub fn send(client: &Client, event_type: &str, data: &Value) -> String {
    text(&client.post("/v1/events", &json!({"type": event_type, "data": data})).expect(202)["id"])
}

/// The story of an event once nothing more is to be done for it.
#[track_caller]
pub fn story(client: &Client, event: &str) -> Value {
    story_when(client, event, |story| story["state"] == "done")
}

/// The story of an event once `is_so` says yes to it.
#[track_caller]
pub fn story_when(client: &Client, event: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    eventually(|| {
        let story = client.get(&format!("/v1/events/{event}")).expect(200);
        if is_so(&story) { Ok(story) } else { Err(format!("{story:#}")) }
    })
}

/// What came of the one delivery of a new event of the type `go`, once it has ended.
#[track_caller]
pub fn delivered(client: &Client, data: &Value) -> Value {
    let event = send(client, "go", data);
    let story = story(client, &event);
    assert_eq!(story["deliveries"].as_array().map(Vec::len), Some(1), "{story:#}");
    story["deliveries"][0].clone()
}

/// Every item of a list, over all of its pages.
#[track_caller]
pub fn all(client: &Client, path: &str) -> Vec<Value> {
    let joint = if path.contains('?') { '&' } else { '?' };
    let mut items = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let cursor = next.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let page = client.get(&format!("{path}{joint}limit=500{cursor}")).expect(200);
        items.extend(page["data"].as_array().unwrap().iter().cloned());
        next = page["next"].as_str().map(str::to_owned);
        if next.is_none() {
            return items;
        }
    }
}

/// The texts of a ticket's notes, oldest first.
#[track_caller]
pub fn notes(client: &Client, ticket: u64) -> Vec<String> {
    all(client, &format!("/v1/tickets/{ticket}/notes")).iter().map(|note| text(&note["text"])).collect()
}

/// Waits until every accepted event was worked on and every delivery has ended. On a server that tests share that is a
/// moment in which none of the others has an event in progress, so it is waited for longer than for anything else.
#[track_caller]
pub fn settled(client: &Client) {
    within(Duration::from_secs(240), || {
        let backlog = client.get("/healthz").expect(200)["backlog"].clone();
        if backlog != 0 {
            return Err(format!("{backlog} events wait"));
        }
        let pending = client.get("/v1/deliveries?state=pending&limit=1").expect(200);
        if pending["data"].as_array().is_some_and(Vec::is_empty) { Ok(()) } else { Err(pending.to_string()) }
    });
}

/// A string in an answer.
#[track_caller]
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is not text")).to_owned()
}
