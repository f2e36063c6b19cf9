//! The show itself: a printer burns, Jira says that it is out, and a ticket closes.

use serde_json::{Value, json};

use super::show::{PATIENCE, Show};
use super::{signature, swap};
use crate::stop::Stop;

/// Plays every act.
pub(crate) fn tell(show: &mut Show<'_>) -> Result<(), Stop> {
    let ticket = ticket(show)?;
    let automation = automation(show, &ticket)?;
    webhook(show)?;
    closes(show, &ticket)?;
    does_not_fire(show, &ticket, &automation)?;
    github(show, &ticket)?;
    swap::tell(show, &ticket, &automation)?;
    Ok(())
}

fn ticket(show: &mut Show<'_>) -> Result<Value, Stop> {
    show.act("A user reports a problem")?;
    let made =
        show.call("POST", "/v1/tickets", &json!({"subject": "The printer is on fire", "status": "open"}), 201)?;
    let id = made.body.get("id").cloned().unwrap_or_default();
    show.expect(&format!("there is a ticket {id}, and it is open"), made.text("/status") == "open", &made.body)?;
    show.remember(format!("/v1/tickets/{id}"), "the ticket with its notes");
    Ok(id)
}

fn automation(show: &mut Show<'_>, ticket: &Value) -> Result<String, Stop> {
    show.act("An automation: when Jira closes an issue, close the ticket and add a note with the reason")?;
    let automation = json!({
        "name": "Close the ticket when Jira closes the issue",
        "on": ["jira.*"],
        "when": {"condition": "match", "with": {"path": "analytics_event.attributes.status", "equals": "Closed"}},
        "then": [
            {"action": "ticket-update", "with": {"id": "{{analytics_event.attributes.ticket_id}}", "status": "closed"}},
            {"action": "note-add", "with": {
                "id": "{{analytics_event.attributes.ticket_id}}",
                "text": "Jira closed {{analytics_event.attributes.key}}: {{analytics_event.attributes.resolution}}",
            }},
        ],
    });
    let made = show.call("POST", "/v1/automations", &automation, 201)?;
    show.say(&format!("The component `match` decides whether it fires; two others change ticket {ticket}."));
    show.remember("/v1/automations".to_owned(), "the automations");
    Ok(made.text("/id").to_owned())
}

fn webhook(show: &mut Show<'_>) -> Result<(), Stop> {
    show.act("A webhook: another program subscribes to ticket events")?;
    let subscription = json!({"url": show.receiver.url(), "events": ["ticket.*"]});
    let made = show.call("POST", "/v1/webhooks", &subscription, 201)?;
    let secret = made.text("/secret").to_owned();
    show.expect("its signing secret is shown only this once", secret.starts_with("whsec_"), &made.body)?;
    show.receiver.trust(&secret);
    show.remember("/v1/deliveries".to_owned(), "every delivery; with its id, each attempt's request and answer");
    Ok(())
}

fn closes(show: &mut Show<'_>, ticket: &Value) -> Result<(), Stop> {
    show.act("Jira's webhook arrives: the issue is closed")?;
    let attributes = json!({"key": "OPS-7", "status": "Closed", "resolution": "put out", "ticket_id": ticket});
    let event = json!({"service": "jira", "trigger_event_type": "jira.ticket_completed", "attributes": attributes});
    let accepted = show.call("POST", "/webhook", &event, 202)?;
    let id = accepted.text("/id").to_owned();
    let story = show.story(&id)?;
    show.remember(format!("/v1/events/{id}"), "the whole story of the event that closed it");
    let outcomes: Vec<&str> =
        story.list("/runs/0/steps").iter().filter_map(|step| step.pointer("/outcome/kind")?.as_str()).collect();
    show.expect("the automation fired, and both of its steps succeeded", outcomes == ["done", "done"], &story.body)?;
    let read = show.call("GET", &format!("/v1/tickets/{ticket}"), &Value::Null, 200)?;
    show.expect("the ticket is closed", read.text("/status") == "closed", &read.body)?;
    let note = read.text("/notes/0/text").to_owned();
    show.expect(&format!("its note says \"{note}\""), note == "Jira closed OPS-7: put out", &read.body)?;
    arrived(show)
}

/// The messages that the two steps lead to.
fn arrived(show: &mut Show<'_>) -> Result<(), Stop> {
    let wanted = ["ticket.updated", "ticket.status-changed", "ticket.closed", "ticket.note-added"];
    let messages = show.receiver.of_types(&wanted, PATIENCE);
    let types: Vec<&str> = messages.iter().map(|message| message.event_type.as_str()).collect();
    let instead = format!("of {} only {}", wanted.join(", "), types.join(", "));
    show.expect("the other program received the events of the ticket", types == wanted, &instead)?;
    for message in messages {
        let what = format!("{} arrived as {}, and its signature is valid", message.event_type, message.id);
        let instead = message.verified.clone().err().unwrap_or_default();
        show.expect(&what, message.verified.is_ok(), &instead)?;
    }
    Ok(())
}

fn does_not_fire(show: &mut Show<'_>, ticket: &Value, automation: &str) -> Result<(), Stop> {
    show.act("Why did it not fire? An issue that is only in progress")?;
    let attributes = json!({"key": "OPS-8", "status": "In progress", "ticket_id": ticket});
    let event = json!({"service": "jira", "trigger_event_type": "jira.ticket_updated", "attributes": attributes});
    let accepted = show.call("POST", "/webhook", &event, 202)?;
    let id = accepted.text("/id").to_owned();
    let story = show.story(&id)?;
    let considered = story.text("/runs/0/automation") == automation && story.text("/runs/0/state") == "skipped";
    show.expect("the automation was evaluated and did not fire", considered, &story.body)?;
    let reason = story.text("/runs/0/decision/conditions/0/reason").to_owned();
    let both = reason.contains("In progress") && reason.contains("Closed");
    show.expect("the reason names the actual and the expected value", both, &reason)?;
    show.remember(format!("/v1/events/{id}"), "the story of the event that did not fire");
    Ok(())
}

fn github(show: &mut Show<'_>, ticket: &Value) -> Result<(), Stop> {
    show.act("A source: GitHub sends its webhooks to the source's URL")?;
    let made = show.call("POST", "/v1/sources", &json!({"name": "our-repository", "kind": "github"}), 201)?;
    let (url, secret) = (made.text("/url").to_owned(), made.text("/secret").to_owned());
    let on_issue = json!({
        "name": "Write GitHub issues on the ticket",
        "on": ["github.issues.opened"],
        "then": [{"action": "note-add", "with": {
            "id": ticket,
            "text": "{{event.data.sender.login}} opened #{{event.data.issue.number}}: {{event.data.issue.title}}",
        }}],
    });
    show.call("POST", "/v1/automations", &on_issue, 201)?;
    let payload = json!({
        "action": "opened",
        "issue": {"number": 12, "title": "Smoke detector wanted"},
        "repository": {"full_name": "octo/office"},
        "sender": {"login": "octocat"},
    })
    .to_string();
    let signature = signature::github(&secret, payload.as_bytes()).map_err(Stop::new)?;
    let mut headers = [
        ("content-type", "application/json"),
        ("x-github-event", "issues"),
        ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
        ("x-hub-signature-256", signature.as_str()),
    ];
    let accepted = show.provide(&url, &headers, payload.as_bytes(), 202)?;
    let story = show.story(accepted.text("/id"))?;
    let event_type = story.text("/event/type").to_owned();
    show.expect("its type is github.issues.opened", event_type == "github.issues.opened", &event_type)?;
    let notes = show.call("GET", &format!("/v1/tickets/{ticket}/notes"), &Value::Null, 200)?;
    let note = "octocat opened #12: Smoke detector wanted";
    let found = notes.list("/data").iter().any(|one| one.get("text").and_then(Value::as_str) == Some(note));
    show.expect(&format!("the ticket has the note \"{note}\""), found, &notes.body)?;
    let sent = !show.receiver.of_types(&["ticket.note-added"], PATIENCE).is_empty();
    show.expect("the other program received the note too", sent, &"no ticket.note-added arrived")?;

    let forged = payload.replace("octocat", "mallory");
    if let Some(delivery) = headers.get_mut(2) {
        delivery.1 = "72d3162e-cc78-11e3-81ab-4c9367dc0959";
    }
    let refused = show.provide(&url, &headers, forged.as_bytes(), 401)?;
    show.expect("a forged request is rejected", refused.text("/code") == "github.signature_wrong", &refused.body)
}
