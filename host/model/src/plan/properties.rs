//! Properties that hold for all subscriptions.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use super::*;
use crate::pattern::properties::{event_type, pattern, takes, words};
use crate::{EventDraft, EventPattern, Timestamp};

const SPACES: [&str; 2] = ["main", "other"];

/// A subscriber.
#[derive(Clone, Debug)]
struct Subscriber {
    space: &'static str,
    patterns: Vec<EventPattern>,
    is_on: bool,
    is_removed: bool,
}

impl Subscriber {
    fn wants(&self, space: &str, event_type: &str) -> bool {
        let takes = |pattern: &EventPattern| takes(&words(pattern.as_str()), &words(event_type));
        self.is_on && !self.is_removed && self.space == space && self.patterns.iter().any(takes)
    }

    fn automation(&self, number: usize) -> Automation {
        serde_json::from_value(json!({"id": format!("aut_{number:02}"), "name": "a", "on": self.patterns, "then": [],
            "enabled": self.is_on, "revision": 1, "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z"}))
        .unwrap()
    }

    fn webhook(&self, number: usize) -> Webhook {
        serde_json::from_value(json!({"id": format!("whk_{number:02}"), "number": number, "space": self.space,
            "url": "https://example.com", "events": self.patterns, "retry": {"delays_seconds": []}, "timeout_ms": 1000,
            "enabled": self.is_on, "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}))
        .unwrap()
    }
}

fn subscribers() -> impl Strategy<Value = Vec<Subscriber>> {
    let space = select(SPACES.to_vec());
    let one = (space, prop::collection::vec(pattern(), 1..4), prop::bool::weighted(0.8), prop::bool::weighted(0.2));
    let one = one.prop_map(|(space, patterns, is_on, is_removed)| Subscriber { space, patterns, is_on, is_removed });
    prop::collection::vec(one, 0..12)
}

/// The numbers of the subscribers that match an event.
fn wanting(subscribers: &[Subscriber], space: &str, event_type: &str) -> Vec<usize> {
    let wants = |(number, one): (usize, &Subscriber)| one.wants(space, event_type).then_some(number);
    subscribers.iter().enumerate().filter_map(wants).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_event_is_planned_for_exactly_the_subscribers_of_its_space(
        automations in subscribers(),
        webhooks in subscribers(),
        types in prop::collection::vec(event_type(), 1..8),
    ) {
        let mut index = Subscribers::default();
        for (number, one) in automations.iter().enumerate() {
            index.add_automation(&one.space.parse().unwrap(), &one.automation(number));
        }
        for (number, one) in webhooks.iter().enumerate() {
            index.add_webhook(&one.webhook(number));
        }
        for (number, one) in automations.iter().enumerate().filter(|(_, one)| one.is_removed) {
            index.remove_automation(&one.space.parse().unwrap(), &one.automation(number));
        }
        for (number, one) in webhooks.iter().enumerate().filter(|(_, one)| one.is_removed) {
            index.remove_webhook(&one.webhook(number));
        }
        for event_type in types {
            for name in SPACES {
                let space: SpaceId = name.parse().unwrap();
                let draft = EventDraft::json(&event_type, "s", None, &json!({}), None);
                // A blank type is refused before anything is planned.
                let Ok(event) = draft.accept(&space, Timestamp::from_millis(0)) else { continue };
                let plan = index.plan(&event);
                let expected: Vec<AutomationId> = wanting(&automations, name, &event_type)
                    .into_iter()
                    .map(|number| AutomationId::from(format!("aut_{number:02}").as_str()))
                    .collect();
                prop_assert_eq!(plan.automations, expected, "{}", event_type);
                let planned: Vec<(WebhookId, u64)> =
                    plan.deliveries.iter().map(|delivery| (delivery.webhook.clone(), delivery.queue)).collect();
                let expected: Vec<(WebhookId, u64)> = wanting(&webhooks, name, &event_type)
                    .into_iter()
                    .map(|number| (WebhookId::from(format!("whk_{number:02}").as_str()), number as u64))
                    .collect();
                prop_assert_eq!(planned, expected, "{}", event_type);
            }
        }
    }
}
