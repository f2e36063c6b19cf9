//! What a receiver's answer says about the attempts to come.

use std::time::Duration;

use hookwright_egress::{Answer, Failed};
use hookwright_model::Timestamp;
use http::HeaderMap;

use super::lanes::Said;

/// The longest a receiver may put off the next attempt with Retry-After.
const LONGEST_WAIT: Duration = Duration::from_secs(7 * 86_400);

/// What an answer says about the next attempt.
pub(super) struct Hints {
    /// It is gone for good.
    pub(super) gone: bool,
    /// How long it wants to be let be, at most [`LONGEST_WAIT`].
    pub(super) retry_after: Option<Duration>,
    /// What it says of its lane.
    pub(super) said: Said,
}

impl Default for Hints {
    fn default() -> Self {
        Self { gone: false, retry_after: None, said: Said::Nothing }
    }
}

impl Hints {
    pub(super) fn of(result: &Result<Answer, Failed>, now: Timestamp) -> Self {
        let answer = match result {
            Ok(answer) => answer,
            Err(failed) => {
                // What our own rules forbid says nothing of the receiver.
                let said = if failed.error.may_pass() { Said::Failed } else { Said::Refused };
                return Self { gone: false, retry_after: None, said };
            }
        };
        let retry_after = retry_after(&answer.headers, now).filter(|_| !(200..300).contains(&answer.status));
        let said = match (answer.status, retry_after) {
            (200..=299, _) => Said::Well,
            // Standard Webhooks 1.0: the sender throttles the endpoint.
            (429 | 502 | 504, wait) => Said::Throttled(wait.unwrap_or_default()),
            (503, Some(wait)) => Said::Throttled(wait),
            (500..=599, _) => Said::Failed,
            _ => Said::Refused,
        };
        Self { gone: answer.status == 410, retry_after, said }
    }
}

/// Retry-After in seconds or as a date (RFC 9110, section 10.2.3), at most [`LONGEST_WAIT`].
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = httpdate::parse_http_date(text).ok()?;
            let since = at.duration_since(std::time::UNIX_EPOCH).ok()?;
            Timestamp::from_millis(i64::try_from(since.as_millis()).ok()?).since(now)
        }
    };
    Some(wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
        for (text, seconds) in [
            ("120", Some(120)),
            ("Thu, 01 Jan 2026 00:01:00 GMT", Some(60)),
            ("Wed, 31 Dec 2025 00:00:00 GMT", Some(0)),
            ("99999999999", Some(7 * 86_400)),
            ("soon", None),
            ("-1", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("retry-after", text.parse().unwrap());
            assert_eq!(retry_after(&headers, now).map(|wait| wait.as_secs()), seconds, "{text}");
        }
    }
}
