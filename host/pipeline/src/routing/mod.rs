//! Which automations and webhooks take an event, and which event types there are.

pub(crate) mod catalogue;
pub(crate) mod event_types;
pub(crate) mod planning;
