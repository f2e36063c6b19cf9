//! Delivers events to webhooks: signed, retried, logged.

pub(crate) mod circuits;
pub(crate) mod confirm;
pub(crate) mod deliveries;
pub(crate) mod dispatch;
pub(crate) mod fields;
pub(crate) mod hints;
pub(crate) mod holds;
pub(crate) mod hosts;
pub(crate) mod lanes;
pub(crate) mod message;
pub(crate) mod missed;
pub(crate) mod notices;
pub(crate) mod out_of_turn;
pub(crate) mod queue_key;
pub(crate) mod redeliver;
pub(crate) mod redelivery_filter;
pub(crate) mod signers;
pub(crate) mod transmit;
