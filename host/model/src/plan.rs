use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::{
    Automation, AutomationId, Concurrency, Event, MAX_CHAIN, PatternIndex, SpaceId, Webhook, WebhookId, Workflow,
    WorkflowStart,
};

/// What an event sets in motion, decided from its type when it is accepted and kept with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Automations whose `on` takes the type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub automations: Vec<AutomationId>,
    /// Deliveries to the webhooks that subscribe to the type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deliveries: Vec<NewDelivery>,
    /// Lanes in which runs of those automations wait for their turn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lanes: Vec<NewLane>,
}

impl Plan {
    /// With the run of the workflow that the event starts, as the first.
    #[must_use]
    pub fn starting(mut self, start: Option<&WorkflowStart>, event: &Event) -> Self {
        let Some(start) = start else { return self };
        for lane in &mut self.lanes {
            lane.ordinal = lane.ordinal.saturating_add(1);
        }
        self.automations.insert(0, Workflow::id(&start.name));
        if let Some(concurrency) = &start.concurrency {
            self.lanes.push(NewLane { ordinal: 0, key: concurrency.key_for(event, &event.space) });
        }
        self
    }
}

/// A place in a lane, taken when the event is accepted, so that the order is that of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewLane {
    /// Which of the plan's automations, counted from 0.
    pub ordinal: u32,
    /// What the runs in it have in common.
    pub key: String,
}

/// A delivery to be queued with the event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewDelivery {
    /// Where to.
    pub webhook: WebhookId,
    /// The `webhook-id` of all its attempts.
    pub message_id: String,
}

/// An event on its way into the journal.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// The event.
    pub event: Event,
    /// What it sets in motion.
    pub plan: Plan,
}

/// Who wants which event types, over all spaces.
#[derive(Clone, Debug, Default)]
pub struct Subscribers {
    spaces: HashMap<SpaceId, SpaceSubscribers>,
}

#[derive(Clone, Debug, Default)]
struct SpaceSubscribers {
    automations: PatternIndex<AutomationId>,
    webhooks: PatternIndex<WebhookId>,
    /// Automations that bound how many runs they have at a time.
    concurrency: HashMap<AutomationId, Concurrency>,
}

impl Subscribers {
    /// Files an automation, unless it is off.
    pub fn add_automation(&mut self, space: &SpaceId, automation: &Automation) {
        if automation.enabled {
            let entry = self.spaces.entry(space.clone()).or_default();
            for pattern in &automation.on {
                entry.automations.insert(pattern, automation.id.clone());
            }
            if let Some(concurrency) = &automation.concurrency {
                entry.concurrency.insert(automation.id.clone(), concurrency.clone());
            }
        }
    }

    /// Takes an automation out, as it was filed.
    pub fn remove_automation(&mut self, space: &SpaceId, automation: &Automation) {
        if let Some(entry) = self.spaces.get_mut(space) {
            for pattern in &automation.on {
                entry.automations.remove(pattern, &automation.id);
            }
            entry.concurrency.remove(&automation.id);
        }
    }

    /// Takes a webhook out, as it was filed.
    pub fn remove_webhook(&mut self, webhook: &Webhook) {
        if let Some(entry) = self.spaces.get_mut(&webhook.space) {
            for pattern in &webhook.events {
                entry.webhooks.remove(pattern, &webhook.id);
            }
        }
    }

    /// Files a webhook, unless it is off.
    pub fn add_webhook(&mut self, webhook: &Webhook) {
        if webhook.state.delivers() {
            let entry = self.spaces.entry(webhook.space.clone()).or_default();
            for pattern in &webhook.events {
                entry.webhooks.insert(pattern, webhook.id.clone());
            }
        }
    }

    /// What `event` sets in motion. A chain of more than [`MAX_CHAIN`] events sets no further automation in motion.
    pub fn plan(&self, event: &Event) -> Plan {
        let Some(space) = self.spaces.get(&event.space) else { return Plan::default() };
        let automations =
            if event.depth() > MAX_CHAIN { Vec::new() } else { space.automations.find(&event.event_type) };
        let deliveries = space
            .webhooks
            .find(&event.event_type)
            .into_iter()
            .map(|webhook| NewDelivery { webhook, message_id: crate::unique("msg") })
            .collect();
        let lanes = space.lanes(&automations, event);
        Plan { automations, deliveries, lanes }
    }
}

impl SpaceSubscribers {
    fn lanes(&self, automations: &[AutomationId], event: &Event) -> Vec<NewLane> {
        if self.concurrency.is_empty() {
            return Vec::new();
        }
        let bounded = automations.iter().enumerate().filter_map(|(place, id)| {
            let key = self.concurrency.get(id)?.key_for(event, &event.space);
            Some(NewLane { ordinal: u32::try_from(place).unwrap_or(u32::MAX), key })
        });
        bounded.collect()
    }
}
