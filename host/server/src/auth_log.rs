//! One log line for each request that is refused because of its key, rate limited so that a flood of them cannot fill a
//! disk.

use std::net::IpAddr;

use hookwright_model::{Rate, Timestamp};
use hookwright_pipeline::TokenBucket;
use parking_lot::Mutex;

use crate::problem::Problem;

/// The log target of refused requests.
const LOG_TARGET: &str = "hookwright::auth";
/// The maximum rate of lines. Suppressed lines are counted, and the next line has their number.
const MAX_LINE_RATE: Rate = Rate { requests: 30, per_seconds: 60 };
/// The prefix of this server's keys.
const PREFIX: &str = "hw_";
/// Their minimum length.
const MIN_KEY_LENGTH: usize = 40;
/// The number of their characters that lists of keys show.
const KEY_PREFIX_LENGTH: usize = 9;

/// Writes the lines.
#[derive(Debug)]
pub(crate) struct AuthLog(Mutex<State>);

#[derive(Debug)]
struct State {
    lines: TokenBucket,
    suppressed: u64,
}

impl AuthLog {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self(Mutex::new(State { lines: TokenBucket::new(MAX_LINE_RATE, now), suppressed: 0 }))
    }

    /// Logs a refusal, unless the rate is exceeded.
    pub(crate) fn refused(&self, remote: IpAddr, path: &str, key: Option<&str>, problem: &Problem, now: Timestamp) {
        let Some(suppressed) = self.admit(now) else { return };
        let (path, code): (String, &str) = (path.chars().take(200).collect(), problem.code());
        let key = key.map_or("none", shown);
        tracing::info!(target: LOG_TARGET, %remote, path, code, key, suppressed, "authentication failed");
    }

    /// The number of lines suppressed since the last one; `None`: this one is suppressed.
    fn admit(&self, now: Timestamp) -> Option<u64> {
        let mut state = self.0.lock();
        if state.lines.try_take(now).is_err() {
            state.suppressed = state.suppressed.saturating_add(1);
            return None;
        }
        Some(std::mem::take(&mut state.suppressed))
    }
}

/// The part of a key that the log shows: its prefix, as in lists of keys, if it has the form of a key. Any other text
/// may be a password that was sent by mistake.
fn shown(key: &str) -> &str {
    let is_key = key.starts_with(PREFIX) && key.len() >= MIN_KEY_LENGTH;
    key.get(..KEY_PREFIX_LENGTH).filter(|_| is_key).unwrap_or("not in the form of this server's keys")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_failures_is_counted_instead_of_logged() {
        let at = |ms| Timestamp::from_millis(ms);
        let log = AuthLog::new(at(0));
        for _ in 0..MAX_LINE_RATE.requests {
            assert_eq!(log.admit(at(0)), Some(0));
        }
        for _ in 0..1000 {
            assert_eq!(log.admit(at(0)), None);
        }
        assert_eq!(log.admit(at(2000)), Some(1000), "the next line says how many there were");
        assert_eq!(log.admit(at(2000)), None);
    }

    #[test]
    fn only_the_prefix_of_a_key_is_logged_and_nothing_of_a_password() {
        assert_eq!(shown(&format!("hw_{}", "x".repeat(43))), "hw_xxxxxx");
        for other in ["hunter2", "hw_short", &"p".repeat(60), "hw_\u{e9}\u{e9}\u{e9}\u{e9}"] {
            assert!(shown(other).starts_with("not in the form"), "{other}");
        }
    }
}
