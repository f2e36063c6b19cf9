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
