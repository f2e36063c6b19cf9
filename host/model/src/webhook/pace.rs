//! The rate, the order and the batching of a webhook's deliveries.

use serde::{Deserialize, Serialize};

use crate::Mistakes;
use crate::whole::whole;

const MOST_REQUESTS: u32 = 100_000;
const MOST_RATE_SECONDS: u32 = 86_400;
/// Maximum number of requests to a webhook in flight.
pub(super) const MOST_CONCURRENCY: u32 = 1000;
const LEAST_BATCH: u32 = 2;
const MOST_BATCH: u32 = 1000;
const MOST_BATCH_WAIT_MS: u32 = 60_000;

/// A rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Number of requests.
    #[serde(deserialize_with = "whole::<_, 1, MOST_REQUESTS>")]
    pub requests: u32,
    /// The interval, in seconds.
    #[serde(default = "one", deserialize_with = "whole::<_, 1, MOST_RATE_SECONDS>")]
    pub per_seconds: u32,
}

fn one() -> u32 {
    1
}

impl Rate {
    /// Adds its validation errors. Valid are 1 to 100,000 requests in 1 to 86,400 seconds.
    pub fn check(self, mistakes: &mut Mistakes) {
        let Self { requests, per_seconds } = self;
        if !(1..=MOST_REQUESTS).contains(&requests) {
            mistakes.add("rate.requests", format!("{requests}: give 1 to {MOST_REQUESTS}"));
        }
        if !(1..=MOST_RATE_SECONDS).contains(&per_seconds) {
            mistakes.add("rate.per_seconds", format!("{per_seconds}: give 1 to {MOST_RATE_SECONDS}"));
        }
    }
}

/// What happens to the deliveries behind one that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeadOfLine {
    /// They wait until it is delivered or dead-lettered.
    #[default]
    Block,
    /// They are sent; the failed one is retried by the schedule.
    Skip,
    /// They are sent; the failed one is parked at once, until it is redelivered.
    Park,
}

/// Deliveries with the same key are sent one after the other, in the order of their events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// The key, with variables: `{{event.subject}}`. Its rendered value is truncated to 256 bytes.
    pub key: String,
    /// What happens to the deliveries behind one that failed.
    #[serde(default)]
    pub on_failure: HeadOfLine,
}

/// Several events in one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batching {
    /// Maximum number of events: 2 to 1000.
    #[serde(deserialize_with = "whole::<_, LEAST_BATCH, MOST_BATCH>")]
    pub most: u32,
    /// How long the first one waits for others, in milliseconds: at most 60000.
    #[serde(default = "second", deserialize_with = "whole::<_, 0, MOST_BATCH_WAIT_MS>")]
    pub wait_ms: u32,
    /// A JSON pointer (RFC 6901) to the list in the message to which the others are added. Empty: the messages
    /// themselves become the list.
    #[serde(default)]
    pub list: String,
}

fn second() -> u32 {
    1000
}

/// Adds their validation errors.
pub(super) fn check(
    rate: Option<&Rate>,
    concurrency: Option<u32>,
    order: Option<&Order>,
    batching: Option<&Batching>,
    mistakes: &mut Mistakes,
) {
    if let Some(rate) = rate {
        rate.check(mistakes);
    }
    if let Some(concurrency) = concurrency.filter(|concurrency| !(1..=MOST_CONCURRENCY).contains(concurrency)) {
        mistakes.add("concurrency", format!("{concurrency}: give 1 to {MOST_CONCURRENCY}"));
    }
    if let Some(order) = order {
        if order.key.is_empty() || order.key.len() > 1024 {
            let message = format!("has {} bytes: give it 1 to 1024, such as `{{{{event.subject}}}}`", order.key.len());
            mistakes.add("order.key", message);
        }
        if batching.is_some() {
            mistakes.add("batching", "cannot be combined with `order`: leave one of them out");
        }
    }
    if let Some(Batching { most, wait_ms, list }) = batching {
        if !(LEAST_BATCH..=MOST_BATCH).contains(most) {
            mistakes.add("batching.most", format!("{most}: give {LEAST_BATCH} to {MOST_BATCH}"));
        }
        if *wait_ms > MOST_BATCH_WAIT_MS {
            mistakes.add("batching.wait_ms", format!("{wait_ms}: at most {MOST_BATCH_WAIT_MS}"));
        }
        if list.len() > 256 || !(list.is_empty() || list.starts_with('/')) {
            mistakes.add("batching.list", "is not a JSON pointer: give one such as `/payload`, at most 256 bytes");
        }
    }
}
