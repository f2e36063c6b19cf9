use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::{
    Automation, AutomationId, Concurrency, Event, MAX_CHAIN, Order, PatternIndex, Purpose, Scope, SpaceId, Webhook,
    WebhookId, Workflow, WorkflowStart, render,
};

/// The plan of an event: what it triggers. It is made from the event's type when the event is accepted, and stored with
/// it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Automations whose `on` matches the type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub automations: Vec<AutomationId>,
    /// Deliveries to the webhooks that subscribe to the type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deliveries: Vec<NewDelivery>,
    /// Positions of their runs in concurrency groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lanes: Vec<NewLane>,
}

impl Plan {
    /// Adds the run of the workflow that the event starts, as the first.
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

/// A position in a concurrency group, taken when the event is accepted, so that the order is that of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewLane {
    /// Which of the plan's automations, counted from 0.
    pub ordinal: u32,
    /// The group's key.
    pub key: String,
}

/// A delivery to be queued with the event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewDelivery {
    /// The webhook.
    pub webhook: WebhookId,
    /// The number of that webhook, which names its queue.
    #[serde(default)]
    pub queue: u64,
    /// The `webhook-id` of all its attempts.
    pub message_id: String,
    /// It waits for earlier deliveries of the same webhook and key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The reason for it.
    #[serde(default, skip_serializing_if = "Purpose::is_event")]
    pub purpose: Purpose,
    /// How long it waits for others of its batch, in milliseconds.
    #[serde(default)]
    pub wait_ms: u32,
}

impl NewDelivery {
    /// A delivery that is sent at once.
    pub fn now(webhook: &Webhook, purpose: Purpose) -> Self {
        Self {
            webhook: webhook.id.clone(),
            queue: webhook.number,
            message_id: crate::unique("msg"),
            key: None,
            purpose,
            wait_ms: 0,
        }
    }
}

/// A new event with its plan.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// The event.
    pub event: Event,
    /// Its plan.
    pub plan: Plan,
}

/// The subscriptions to event types, over all spaces.
#[derive(Clone, Debug, Default)]
pub struct Subscribers {
    spaces: HashMap<SpaceId, SpaceSubscribers>,
}

#[derive(Clone, Debug, Default)]
struct SpaceSubscribers {
    automations: PatternIndex<AutomationId>,
    webhooks: PatternIndex<WebhookId>,
    subscriptions: HashMap<WebhookId, Subscription>,
    /// Automations with limited concurrency.
    concurrency: HashMap<AutomationId, Concurrency>,
}

/// What is needed of a webhook to queue a delivery.
#[derive(Clone, Debug)]
struct Subscription {
    queue: u64,
    order: Option<Order>,
    wait_ms: u32,
}

impl Subscription {
    fn delivery(&self, webhook: WebhookId, event: &Event) -> NewDelivery {
        NewDelivery {
            webhook,
            queue: self.queue,
            message_id: crate::unique("msg"),
            key: self.order.as_ref().map(|order| order.key_of(event)),
            purpose: Purpose::Event,
            wait_ms: self.wait_ms,
        }
    }
}

/// Maximum length of a key, in bytes.
const LONGEST_KEY: usize = 256;

/// The rendered key. A variable without a value makes it empty, which is a key as well.
fn key(template: &str, event: &Event) -> String {
    let scope = Scope::new(event, &event.space, event.received_at);
    let value = render(&template.into(), &scope).unwrap_or_default();
    let mut text = match value {
        serde_json::Value::String(text) => text,
        serde_json::Value::Null => String::new(),
        other => other.to_string(),
    };
    while text.len() > LONGEST_KEY {
        text.pop();
    }
    text
}

impl Order {
    /// The key of an event's delivery.
    pub fn key_of(&self, event: &Event) -> String {
        key(&self.key, event)
    }
}

impl Subscribers {
    /// Adds an automation, unless it is disabled.
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

    /// Removes an automation, as it was added.
    pub fn remove_automation(&mut self, space: &SpaceId, automation: &Automation) {
        if let Some(entry) = self.spaces.get_mut(space) {
            for pattern in &automation.on {
                entry.automations.remove(pattern, &automation.id);
            }
            entry.concurrency.remove(&automation.id);
        }
    }

    /// Removes a webhook, as it was added.
    pub fn remove_webhook(&mut self, webhook: &Webhook) {
        if let Some(entry) = self.spaces.get_mut(&webhook.space) {
            for pattern in &webhook.events {
                entry.webhooks.remove(pattern, &webhook.id);
            }
            entry.subscriptions.remove(&webhook.id);
        }
    }

    /// Adds a webhook, unless nothing is delivered to it.
    pub fn add_webhook(&mut self, webhook: &Webhook) {
        if webhook.delivers() {
            let entry = self.spaces.entry(webhook.space.clone()).or_default();
            for pattern in &webhook.events {
                entry.webhooks.insert(pattern, webhook.id.clone());
            }
            let wait_ms = webhook.batching.as_ref().map_or(0, |batching| batching.wait_ms);
            let subscription = Subscription { queue: webhook.number, order: webhook.order.clone(), wait_ms };
            entry.subscriptions.insert(webhook.id.clone(), subscription);
        }
    }

    /// The plan of `event`. A chain of more than [`MAX_CHAIN`] events triggers no further automation, and is not
    /// delivered further if it was received over HTTP.
    pub fn plan(&self, event: &Event) -> Plan {
        if event.is_looping() {
            return Plan::default();
        }
        let Some(space) = self.spaces.get(&event.space) else { return Plan::default() };
        let automations =
            if event.depth() > MAX_CHAIN { Vec::new() } else { space.automations.find(&event.event_type) };
        let wanted = space.webhooks.find(&event.event_type).into_iter();
        let deliveries = wanted.filter_map(|id| space.subscriptions.get(&id).map(|s| s.delivery(id, event))).collect();
        let lanes = space.lanes(&automations, event);
        Plan { automations, deliveries, lanes }
    }
}

impl Subscribers {
    /// The plan of `event` with these automations, and with webhooks only if `deliver`.
    pub fn plan_for(&self, event: &Event, automations: Vec<AutomationId>, deliver: bool) -> Plan {
        let deliveries = if deliver { self.plan(event).deliveries } else { Vec::new() };
        let space = self.spaces.get(&event.space);
        let lanes = space.map(|space| space.lanes(&automations, event)).unwrap_or_default();
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

#[cfg(test)]
mod properties;
