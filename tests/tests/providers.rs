//! Payloads of Stripe and Slack that others recorded, signed as each of them signs.

use hookwright_tests::programs::{self, node};
use hookwright_tests::scene::{self, text};
use hookwright_tests::{Client, Server};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const SECRET: &str = "whsec_0123456789abcdef";

/// Sends the payloads of `provider` to a source of its own, and looks at what was stored.
fn sent(client: &Client, provider: &str) -> Vec<Value> {
    let input = json!({"name": provider, "kind": provider, "secret": SECRET});
    let url = text(&client.post("/v1/sources", &input).expect(201)["url"]);
    let sent = programs::lines(node("providers.mjs").args([provider, &url, SECRET]), "");
    for one in &sent {
        assert!([200, 202].contains(&one["status"].as_u64().unwrap()), "{one:#}");
        let id = text(&one["id"]);
        let story = scene::story(client, &id);
        assert_eq!((&story["event"]["type"], &story["event"]["source"]), (&one["type"], &json!(provider)), "{story:#}");
        let payload = client.get(&format!("/v1/events/{id}/payload"));
        let digest = hex::encode(Sha256::digest(&payload.body));
        assert_eq!(json!(digest), one["sha256"], "{id} is not kept byte for byte");
    }
    assert_eq!(scene::all(client, "/v1/events").len(), sent.len());
    sent
}

#[test]
fn a_stripe_event_is_accepted_and_triggers_an_automation() {
    let server = Server::shared();
    let client = server.space("providers-stripe");
    let path = "event.data.data.object";
    scene::automation(
        &client,
        &json!({
            "name": "Large payments", "on": ["stripe.charge.succeeded"],
            "when": {"condition": "match", "with": {"path": format!("{path}.amount"), "gte": 10000}},
            "then": [{"action": "event-emit", "with": {"type": "payment.large", "subject": "{{event.subject}}",
                "data": {"amount": format!("{{{{{path}.amount}}}}"), "of": format!("{{{{{path}.billing_details.email}}}}")}}}],
        }),
    );
    let input = json!({"name": "stripe", "kind": "stripe", "secret": SECRET});
    let url = text(&client.post("/v1/sources", &input).expect(201)["url"]);
    let sent = programs::lines(node("providers.mjs").args(["stripe", &url, SECRET]), "");
    assert!(sent.len() >= 4, "{} payloads only: is the package there as a whole?", sent.len());
    scene::settled(&client);
    for one in &sent {
        let story = scene::story(&client, &text(&one["id"]));
        assert_eq!((&story["event"]["type"], &story["event"]["subject"]), (&one["type"], &one["subject"]), "{story:#}");
    }
    let made = scene::all(&client, "/v1/events?type=payment.large");
    assert_eq!(made.len(), 1, "{made:#?}");
    let event = scene::story(&client, &text(&made[0]["id"]))["event"].clone();
    assert_eq!(
        (&event["data"]["amount"], &event["data"]["of"]),
        (&json!(10000), &json!("test@gmail.com")),
        "{event:#}"
    );
}

#[test]
fn stripe_and_slack_payloads_are_stored_byte_for_byte_with_their_type() {
    let server = Server::shared();
    assert!(sent(&server.space("providers-stripe-bytes"), "stripe").len() >= 4);
    let sent = sent(&server.space("providers-slack-bytes"), "slack");
    let types: Vec<String> = sent.iter().map(|one| text(&one["type"])).collect();
    for wanted in ["slack.message", "slack.reaction_added", "slack.team_join", "slack.interaction.block_actions"] {
        assert!(types.iter().any(|one| one == wanted), "{wanted} of {types:?}");
    }
}
