//! Webhooks that an event was not sent to, and why.

use std::collections::HashSet;
use std::sync::Arc;

use hookwright_delivery::missed::is_private;
use hookwright_model::{Event, EventPattern, SpaceId, Webhook, WebhookId, WebhookState};
use hookwright_routing::catalogue::Catalogue;
use serde::Serialize;

use crate::closeness::{Closeness, closeness};
use crate::delivery_story::{DeliveryStory, looping};

/// How many webhooks are listed.
const MAX_NAMED: usize = 50;

/// A webhook that an event was not sent to.
#[derive(Clone, Debug, Serialize)]
pub struct NotSent {
    /// Its id.
    pub webhook: WebhookId,
    /// Its name, or its URL if it has none.
    pub name: String,
    /// Why not.
    pub reason: String,
    /// Whether a delivery could have been expected: its patterns take the type of the event, or are close to it.
    #[serde(skip)]
    pub near: bool,
}

/// The first [`MAX_NAMED`] webhooks that the event was not sent to: those that take its type, then those that are close to it,
/// then the others, by name.
pub(crate) fn not_sent(
    catalogue: &Catalogue,
    space: &SpaceId,
    event: &Event,
    deliveries: &[DeliveryStory],
) -> Vec<NotSent> {
    // A test or a verification challenge goes to one webhook only.
    if is_private(deliveries.iter().map(|story| &story.view.delivery)) {
        return Vec::new();
    }
    let sent: HashSet<&WebhookId> = deliveries.iter().map(|story| &story.view.delivery.webhook).collect();
    let rank = |webhook: &Webhook| {
        let takes = webhook.events.iter().any(|pattern| pattern.takes(&event.event_type));
        (!takes, !takes && close(webhook, event).is_none())
    };
    let mut others: Vec<((bool, bool), Arc<Webhook>)> = catalogue
        .webhooks(space)
        .into_iter()
        .filter(|webhook| !sent.contains(&webhook.id) && !event.source.ends_with(webhook.id.as_str()))
        .map(|webhook| (rank(&webhook), webhook))
        .collect();
    let order = |a: &((bool, bool), Arc<Webhook>), b: &((bool, bool), Arc<Webhook>)| {
        (a.0, &a.1.name, a.1.number).cmp(&(b.0, &b.1.name, b.1.number))
    };
    if others.len() > MAX_NAMED {
        others.select_nth_unstable_by(MAX_NAMED, order);
        others.truncate(MAX_NAMED);
    }
    others.sort_by(order);
    let named = |((untaken, far), webhook): ((bool, bool), Arc<Webhook>)| NotSent {
        reason: if untaken { wants_others(&webhook, event) } else { why_not(&webhook, event) },
        near: !far,
        name: if webhook.name.is_empty() { webhook.url.clone() } else { webhook.name.clone() },
        webhook: webhook.id.clone(),
    };
    others.into_iter().map(named).collect()
}

fn close(webhook: &Webhook, event: &Event) -> Option<Closeness> {
    webhook.events.iter().find_map(|pattern| closeness(pattern, &event.event_type))
}

/// Why it was not sent to a webhook that takes other types.
fn wants_others(webhook: &Webhook, event: &Event) -> String {
    let wanted: Vec<&str> = webhook.events.iter().take(10).map(EventPattern::as_str).collect();
    let hint = close(webhook, event).map(|close| format!("; {}", close.hint())).unwrap_or_default();
    format!("the event's type is `{}`, the webhook takes {}{hint}", event.event_type, wanted.join(", "))
}

/// Why it was not sent to a webhook that takes its type.
fn why_not(webhook: &Webhook, event: &Event) -> String {
    let then = event.received_at;
    if event.is_looping() {
        looping(event)
    } else if event.replays().is_some() {
        "the event is a replay, which was not sent to webhooks".to_owned()
    } else if webhook.created_at > then {
        format!("it was created after the event was accepted, at {}", webhook.created_at)
    } else if webhook.state() != WebhookState::Active {
        format!("it is {}", webhook.standing())
    } else if let Some(pause) = webhook.paused.filter(|pause| pause.from <= then) {
        let until = pause.until.map(|until| format!(" until {until}")).unwrap_or_default();
        format!(
            "it was disabled or dead from {}{until}; POST /v1/webhooks/{{id}}/recover sends what it missed",
            pause.from
        )
    } else if let Some(confirmed) = webhook.confirmation.confirmed_at.filter(|confirmed| *confirmed > then) {
        format!("its receiver had not confirmed yet; it confirmed at {confirmed}")
    } else if webhook.updated_at > then {
        format!("it did not take this type when the event was accepted; it was changed last at {}", webhook.updated_at)
    } else {
        "it was enabled, or took this type, only once the event was accepted".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use hookwright_model::{Cause, Delivery, MAX_CHAIN, Purpose, Replay};
    use serde_json::{Value, json};

    use super::*;
    use hookwright_delivery::holds::DeliveryView;
    use hookwright_samples::{delivery, event, minutes, webhook};

    /// What is listed of these webhooks for an event `go.now`.
    fn listed(webhooks: Vec<Webhook>, event: &Event, deliveries: Vec<Delivery>) -> Vec<NotSent> {
        let catalogue = Catalogue::default();
        webhooks.into_iter().for_each(|webhook| catalogue.put_webhook(webhook));
        let story = |delivery| DeliveryStory { view: DeliveryView { delivery, waiting: None }, log: vec![] };
        let deliveries: Vec<DeliveryStory> = deliveries.into_iter().map(story).collect();
        not_sent(&catalogue, &SpaceId::main(), event, &deliveries)
    }

    fn go() -> Event {
        event("go.now", &json!({}))
    }

    fn reason(more: &Value, event: &Event) -> String {
        listed(vec![webhook("a", more)], event, vec![]).remove(0).reason
    }

    #[test]
    fn webhooks_that_take_the_type_come_first_then_those_that_are_close_to_it() {
        let webhooks = vec![
            webhook("a", &json!({"number": 1, "events": ["stripe.paid"]})),
            webhook("b", &json!({"number": 2, "events": ["stripe.paid", "go.nwo"]})),
            webhook("c", &json!({"number": 3, "enabled": false})),
        ];
        let found = listed(webhooks, &go(), vec![]);
        let names: Vec<(&str, bool)> = found.iter().map(|one| (one.name.as_str(), one.near)).collect();
        assert_eq!(names, [("c", true), ("b", true), ("a", false)]);
        let close = "the webhook takes stripe.paid, go.nwo; that is close: is one of the two misspelt?";
        assert_eq!(found[1].reason, format!("the event's type is `go.now`, {close}"));
        assert_eq!(found[2].reason, "the event's type is `go.now`, the webhook takes stripe.paid");
    }

    #[test]
    fn the_state_of_a_webhook_at_the_time_of_the_event_is_the_reason() {
        let (earlier, later) = (minutes(-1).to_string(), minutes(1).to_string());
        for (more, wanted) in [
            (json!({"created_at": later, "enabled": false}), "it was created after the event was accepted"),
            (json!({"enabled": false}), "it is disabled"),
            (json!({"dead": true}), "it is dead"),
            (json!({"confirmation": {"handshake": "sns"}}), "it is unconfirmed"),
            (json!({"paused": {"from": earlier, "until": later}}), "it was disabled or dead from"),
            (json!({"paused": {"from": later}}), "only once the event was accepted"),
            (
                json!({"confirmation": {"handshake": "sns", "confirmed_at": later}}),
                "its receiver had not confirmed yet",
            ),
            (
                json!({"confirmation": {"handshake": "sns", "confirmed_at": earlier}}),
                "only once the event was accepted",
            ),
            (json!({"updated_at": later}), "it did not take this type when the event was accepted"),
            (json!({}), "only once the event was accepted"),
        ] {
            let reason = reason(&more, &go());
            assert!(reason.contains(wanted), "{more}: {reason}");
        }
    }

    #[test]
    fn a_loop_and_a_replay_are_reasons_before_all_others() {
        let disabled = json!({"enabled": false});
        let looping = Event { cause: Some(Cause { hops: MAX_CHAIN + 1, ..Cause::api() }), ..go() };
        assert!(reason(&disabled, &looping).contains("Hookwright-Hops"));
        let replay = Replay { event: "evt".to_owned(), seq: 1, revision: None, plugins: BTreeMap::new() };
        let replay = Event { cause: Some(Cause { replays: Some(replay), ..Cause::api() }), ..go() };
        assert!(reason(&disabled, &replay).contains("is a replay"));
    }

    #[test]
    fn webhooks_that_got_the_event_or_that_it_is_about_are_not_listed() {
        let all = || vec![webhook("a", &json!({"number": 1})), webhook("b", &json!({"number": 2}))];
        let ids = |found: Vec<NotSent>| found.into_iter().map(|one| one.webhook.to_string()).collect::<Vec<_>>();
        assert_eq!(ids(listed(all(), &go(), vec![delivery("a")])), ["whk_b"]);
        let about = Event { source: "hookwright/webhooks/whk_b".to_owned(), ..go() };
        assert_eq!(ids(listed(all(), &about, vec![])), ["whk_a"]);
        for purpose in [Purpose::Test, Purpose::Confirmation] {
            let private = Delivery { purpose, ..delivery("a") };
            assert!(listed(all(), &go(), vec![private]).is_empty(), "it went to one webhook only");
        }
    }

    #[test]
    fn the_list_is_bounded_and_keeps_those_that_take_the_type() {
        let far = |number: u32| json!({"number": number, "events": ["stripe.paid"]});
        let mut webhooks: Vec<Webhook> = (1..=60).map(|number| webhook(&format!("a{number}"), &far(number))).collect();
        webhooks.push(webhook("z", &json!({"number": 61, "enabled": false})));
        let found = listed(webhooks, &go(), vec![]);
        assert_eq!((found.len(), found[0].name.as_str()), (MAX_NAMED, "z"));
    }
}
