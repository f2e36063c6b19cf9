//! What a receiver's answer means for the next attempts.

use std::time::Duration;

use hookwright_egress::{Answer, Failed};
use hookwright_model::Timestamp;
use http::HeaderMap;

use crate::queues::RequestOutcome;

/// The longest time by which a receiver may delay the next attempt with Retry-After.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(7 * 86_400);

/// What an answer means for the next attempts.
pub(crate) struct Feedback {
    /// The receiver is gone permanently (410).
    pub(crate) gone: bool,
    /// How long the receiver asks to wait, at most [`MAX_RETRY_AFTER`].
    pub(crate) retry_after: Option<Duration>,
    /// The outcome of the request for its queue.
    pub(crate) outcome: RequestOutcome,
}

impl Default for Feedback {
    fn default() -> Self {
        Self { gone: false, retry_after: None, outcome: RequestOutcome::NotSent }
    }
}

impl Feedback {
    pub(crate) fn of(result: &Result<Answer, Failed>, now: Timestamp) -> Self {
        let answer = match result {
            Ok(answer) => answer,
            Err(failed) => {
                // A request that our own rules forbid is no evidence about the receiver.
                let outcome = if failed.error.may_pass() { RequestOutcome::Failed } else { RequestOutcome::Refused };
                return Self { gone: false, retry_after: None, outcome };
            }
        };
        let retry_after = retry_after(&answer.headers, now).filter(|_| !(200..300).contains(&answer.status));
        let outcome = match (answer.status, retry_after) {
            (200..=299, _) => RequestOutcome::Succeeded,
            // Standard Webhooks 1.0: the sender throttles the endpoint.
            (429 | 502 | 504, wait) => RequestOutcome::Throttled { since: now, wait: wait.unwrap_or_default() },
            (503, Some(wait)) => RequestOutcome::Throttled { since: now, wait },
            (500..=599, _) => RequestOutcome::Failed,
            _ => RequestOutcome::Refused,
        };
        Self { gone: answer.status == 410, retry_after, outcome }
    }
}

/// Retry-After in seconds or as a date (RFC 9110, section 10.2.3), at most [`MAX_RETRY_AFTER`].
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
    Some(wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hookwright_egress::{EgressError, Stage, Timing};

    use super::*;
    use hookwright_samples::NOW;

    fn feedback(status: u16, retry_after: Option<&str>) -> Feedback {
        let mut headers = HeaderMap::new();
        if let Some(text) = retry_after {
            headers.insert("retry-after", text.parse().unwrap());
        }
        let answer = Answer {
            status,
            headers,
            body: Bytes::new(),
            truncated: false,
            encoding: None,
            http_version: http::Version::HTTP_11,
            timing: Timing::default(),
        };
        Feedback::of(&Ok(answer), NOW)
    }

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

    #[test]
    fn a_status_says_whether_the_receiver_is_slow_broken_or_only_refuses() {
        let throttled = |seconds| RequestOutcome::Throttled { since: NOW, wait: Duration::from_secs(seconds) };
        for (status, retry_after, outcome, wait) in [
            (200, None, RequestOutcome::Succeeded, None),
            (204, Some("60"), RequestOutcome::Succeeded, None),
            (301, None, RequestOutcome::Refused, None),
            (404, Some("60"), RequestOutcome::Refused, Some(60)),
            (410, None, RequestOutcome::Refused, None),
            (429, None, throttled(0), None),
            (429, Some("60"), throttled(60), Some(60)),
            (500, Some("60"), RequestOutcome::Failed, Some(60)),
            (502, None, throttled(0), None),
            (503, None, RequestOutcome::Failed, None),
            (503, Some("60"), throttled(60), Some(60)),
            (504, None, throttled(0), None),
        ] {
            let feedback = feedback(status, retry_after);
            assert_eq!(feedback.outcome, outcome, "{status} {retry_after:?}");
            assert_eq!(feedback.retry_after.map(|wait| wait.as_secs()), wait, "{status} {retry_after:?}");
            assert_eq!(feedback.gone, status == 410);
        }
    }

    #[test]
    fn a_request_that_our_own_rules_forbid_is_no_evidence_about_the_receiver() {
        for (error, outcome) in [
            (EgressError::Url("no".into()), RequestOutcome::Refused),
            (EgressError::HostRefused("no".into()), RequestOutcome::Refused),
            (EgressError::Reset("no".into()), RequestOutcome::Failed),
            (EgressError::Timeout { stage: Stage::Connect, limit_ms: 1 }, RequestOutcome::Failed),
        ] {
            let failed = Failed { error, stage: Stage::Connect, timing: Timing::default() };
            assert_eq!(Feedback::of(&Err(failed), NOW).outcome, outcome);
        }
    }
}
