//! Ticket triggers: a trigger of type Ticket with conditions, its action Trigger Webhook, and further actions.

use hookwright_tests::scene::{self, text};
use hookwright_tests::{Client, Receiver, Reply, Server};
use serde_json::{Value, json};

/// A trigger: when an urgent ticket's status changes, its packet is posted to `url` and a note says so.
fn trigger(client: &Client, url: &str) -> String {
    scene::automation(
        client,
        &json!({
            "name": "Tell the other system",
            "on": ["ticket.status-changed"],
            "when": {"all": [
                {"condition": "match", "with": {"path": "data.ticket.status", "equals": "closed"}},
                {"condition": "match", "with": {"path": "data.ticket.urgency", "equals": "high"}},
            ]},
            "then": [
                {"transform": "support-service", "name": "packet",
                 "with": {"webhook_events": [{"criteria": 2, "operator": 1}]}},
                {"action": "webhook-call", "name": "send", "with": {"url": url, "body": "{{steps.packet.result}}"}},
                {"action": "note-add", "name": "log", "with": {
                    "id": "{{event.data.id}}", "text": "Sent to the other system: {{steps.send.outcome}}"}},
            ],
        }),
    )
}

fn close(client: &Client, subject: &str, urgency: &str) -> u64 {
    let made = client.post("/v1/tickets", &json!({"subject": subject, "urgency": urgency})).expect(201);
    let id = made["id"].as_u64().unwrap();
    client.patch(&format!("/v1/tickets/{id}"), &json!({"status": "closed"})).expect(200);
    scene::settled(client);
    id
}

#[test]
fn a_trigger_with_conditions_posts_the_tickets_packet_to_its_url() {
    let server = Server::shared();
    let client = server.space("trigger-packet");
    let receiver = Receiver::start();
    trigger(&client, &receiver.url());
    close(&client, "Not urgent", "low");
    let id = close(&client, "Printer on fire", "high");
    let received = receiver.received();
    assert_eq!(received.len(), 1, "only the one that meets the conditions");
    assert_eq!((received[0].method.as_str(), received[0].header("content-type")), ("POST", "application/json"));
    let packet = received[0].json();
    assert_eq!(
        (&packet["Id"], &packet["Subject"], &packet["Status"], &packet["Urgency"]),
        (&json!(id), &json!("Printer on fire"), &json!("closed"), &json!("high"))
    );
    assert_eq!(packet["WebhookEvents"], json!([{"Criteria": 2, "Operator": 1}]));
    assert_eq!(scene::notes(&client, id), ["Sent to the other system: done"]);
}

#[test]
fn a_failing_receiver_stops_no_other_action_and_its_response_is_logged() {
    let server = Server::shared();
    let client = server.space("trigger-log");
    let receiver = Receiver::with_replies(&[Reply::status(200), Reply::status(422).body("subject is too hot")]);
    let automation = trigger(&client, &receiver.url());
    let good = close(&client, "One", "high");
    let refused = close(&client, "Two", "high");
    close(&client, "Three, not urgent", "low");
    assert_eq!(scene::notes(&client, good), ["Sent to the other system: done"]);
    assert_eq!(scene::notes(&client, refused), ["Sent to the other system: failed"]);

    let log = |query: &str| scene::all(&client, &format!("/v1/runs?automation={automation}&{query}"));
    let subjects = |query: &str| log(query).iter().map(|run| text(&run["subject"])).collect::<Vec<_>>();
    let (one, two) = (format!("ticket/{good}"), format!("ticket/{refused}"));
    assert_eq!(subjects("fired=true"), [two.clone(), one.clone()], "every firing, newest first");
    assert_eq!(subjects("").len(), 3, "and what did not fire, with the reason");
    assert_eq!(subjects(&format!("ticket={good}")), std::slice::from_ref(&one));
    assert_eq!(subjects("error=too+hot"), std::slice::from_ref(&two));
    assert_eq!(subjects("error=no+such+thing"), Vec::<String>::new());
    let first = &log("fired=true")[1];
    let at = text(&first["created_at"]);
    assert_eq!(subjects(&format!("fired=true&until={at}")), Vec::<String>::new());
    assert_eq!(subjects(&format!("fired=true&from={at}")), [two, one]);
    let failed: Vec<Value> = log("state=failed");
    assert_eq!(failed.len(), 1, "{failed:#?}");
    let outcome = &failed[0]["steps"][1]["outcome"];
    assert_eq!(outcome["kind"], "failed", "{outcome}");
    assert!(["422", "too hot"].iter().all(|part| text(&outcome["message"]).contains(part)), "{outcome}");
    client.get("/v1/runs?from=yesterday").problem(400, "query.invalid");
}
