//! How fast and in which order a webhook is delivered to.

use serde::{Deserialize, Serialize};

use crate::Mistakes;
use crate::whole::whole;

const MOST_REQUESTS: u32 = 100_000;
const MOST_RATE_SECONDS: u32 = 86_400;
/// How many requests to a webhook may be in flight at most.
pub(super) const MOST_CONCURRENCY: u32 = 1000;
const LEAST_BATCH: u32 = 2;
const MOST_BATCH: u32 = 1000;
const MOST_BATCH_WAIT_MS: u32 = 60_000;

/// At most so many requests in so much time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// How many requests.
    #[serde(deserialize_with = "whole::<_, 1, MOST_REQUESTS>")]
    pub requests: u32,
    /// In how many seconds.
    #[serde(default = "one", deserialize_with = "whole::<_, 1, MOST_RATE_SECONDS>")]
    pub per_seconds: u32,
}

fn one() -> u32 {
    1
}

impl Rate {
    /// Adds what is wrong with it, if anything: 1 to 100,000 requests in 1 to 86,400 seconds.
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

/// What becomes of the deliveries behind one that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeadOfLine {
    /// They wait until it was delivered or given up.
    #[default]
    Block,
    /// They go on; it is tried again by the schedule.
    Skip,
    /// They go on; it is put aside at once, until somebody redelivers it.
    Park,
}

/// Deliveries of the same key go out one after the other, in the order of their events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// The key, with variables: `{{event.subject}}`. What it comes to is cut to 256 bytes.
    pub key: String,
    /// What becomes of those behind one that failed.
    #[serde(default)]
    pub on_failure: HeadOfLine,
}

/// Several events in one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batching {
    /// How many events at most: 2 to 1000.
    #[serde(deserialize_with = "whole::<_, LEAST_BATCH, MOST_BATCH>")]
    pub most: u32,
    /// For how long the first one waits for others, in milliseconds: at most 60000.
    #[serde(default = "second", deserialize_with = "whole::<_, 0, MOST_BATCH_WAIT_MS>")]
    pub wait_ms: u32,
    /// Where in the message the list stands that the others are added to, as a JSON pointer (RFC 6901); empty: the
    /// messages themselves become the list.
    #[serde(default)]
    pub list: String,
}

fn second() -> u32 {
    1000
}

/// Adds what is wrong with them, if anything.
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
