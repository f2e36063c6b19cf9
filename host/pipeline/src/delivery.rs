//! One attempt of a delivery: shape the message, sign it, send it, write down what came of it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use hookwright_egress::{EgressError, Outgoing};
use hookwright_model::{
    Attempt, AttemptOutcome, Delivery, DeliveryId, DeliveryState, Event, Header, RetrySchedule, SpaceId, Timestamp,
    Webhook, WebhookState,
};
use hookwright_store::fault_point;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Map, Value};

use crate::{Pipeline, PipelineError, signature};

/// How much of each body the log of attempts keeps, in bytes.
const LOGGED: usize = 64 * 1024;
/// The longest a receiver may put off the next attempt with Retry-After.
const LONGEST_WAIT: Duration = Duration::from_secs(7 * 86_400);
const AGENT: &str = concat!("Hookwright/", env!("CARGO_PKG_VERSION"));

impl Pipeline {
    /// Makes the next attempt of a delivery.
    pub(crate) async fn deliver(&self, space: &SpaceId, id: DeliveryId, due: Timestamp) -> Result<(), PipelineError> {
        let Some(mut delivery) = self.store.delivery(space, id)? else { return Ok(()) };
        if delivery.state != DeliveryState::Pending {
            return Ok(());
        }
        let expected = delivery.attempts;
        let webhook = self.catalogue.webhook(space, &delivery.webhook);
        let (Some(webhook), Some(event)) = (webhook, self.store.event_at(space, id.seq)?) else {
            give_up(&mut delivery, "the webhook was deleted", self.clock.now());
            self.store.record_attempt(delivery, expected, None, Some(due), Vec::new()).await?;
            return Ok(());
        };
        if !webhook.state.delivers() {
            give_up(&mut delivery, "the webhook is disabled", self.clock.now());
            self.store.record_attempt(delivery, expected, None, Some(due), Vec::new()).await?;
            return Ok(());
        }
        fault_point("delivery.before-send");
        let (attempt, hints) = self.attempt(&webhook, &delivery, &event).await?;
        fault_point("delivery.after-send");
        delivery.attempts = attempt.number;
        self.judge(&mut delivery, &attempt, &hints, &webhook.retry);
        self.store.record_attempt(delivery, expected, Some(attempt), Some(due), Vec::new()).await?;
        if hints.gone {
            self.disable_gone(&webhook).await?;
        }
        Ok(())
    }

    async fn attempt(
        &self,
        webhook: &Webhook,
        delivery: &Delivery,
        event: &Event,
    ) -> Result<(Attempt, Hints), PipelineError> {
        let started_at = self.clock.now();
        let body = body_of(event);
        let secret = self.vault.open_sealed(&webhook.secret)?;
        let headers = headers_for(&delivery.message_id, started_at, &secret, &body)?;
        let request_headers = header_list(&headers);
        let began = Instant::now();
        let sent = match self.egress.check(&webhook.url) {
            Err(error) => Err(error),
            Ok(url) => {
                let outgoing = Outgoing {
                    headers,
                    body: body.clone(),
                    timeout: Duration::from_millis(u64::from(webhook.timeout_ms)),
                    body_limit: LOGGED,
                    // Receivers tell repeats by the webhook-id.
                    repeatable: true,
                    ..Outgoing::new(Method::POST, url)
                };
                self.egress.send(outgoing).await.map_err(EgressError::from)
            }
        };
        let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut hints = Hints::default();
        let outcome = match sent {
            Ok(answer) => {
                hints.gone = answer.status == 410;
                hints.retry_after = retry_after(&answer.headers, self.clock.now());
                AttemptOutcome::Answered {
                    status: answer.status,
                    headers: header_list(&answer.headers),
                    body: cut(&answer.body),
                }
            }
            Err(error) => AttemptOutcome::Failed { code: error.code().to_owned(), message: error.to_string() },
        };
        let attempt = Attempt {
            number: delivery.attempts.saturating_add(1),
            started_at,
            duration_ms,
            url: webhook.url.clone(),
            request_headers,
            request_body: cut(&body),
            outcome,
        };
        Ok((attempt, hints))
    }

    fn judge(&self, delivery: &mut Delivery, attempt: &Attempt, hints: &Hints, retry: &RetrySchedule) {
        let now = self.clock.now();
        if attempt.outcome.succeeded() {
            delivery.state = DeliveryState::Delivered;
            delivery.next_attempt_at = None;
            delivery.last_error = None;
            delivery.finished_at = Some(now);
            return;
        }
        let error = match &attempt.outcome {
            AttemptOutcome::Answered { status, .. } => format!("the receiver answered {status}"),
            AttemptOutcome::Failed { code, message } => format!("{code}: {message}"),
        };
        if hints.gone {
            give_up(delivery, &format!("{error}: it is gone for good"), now);
            return;
        }
        match retry.delay(attempt.number, rand::random()) {
            None => give_up(delivery, &format!("{error}; no attempt is left"), now),
            Some(delay) => {
                delivery.next_attempt_at = Some(now.after(delay.max(hints.retry_after.unwrap_or_default())));
                delivery.last_error = Some(error);
            }
        }
    }

    /// 410 Gone: the receiver wants nothing more, ever (Standard Webhooks 1.0).
    async fn disable_gone(&self, webhook: &Webhook) -> Result<(), PipelineError> {
        let _changing = self.changing.lock().await;
        let Some(mut webhook) = self.store.webhook(&webhook.space, webhook.id.as_str())? else { return Ok(()) };
        webhook.state = WebhookState::Disabled;
        webhook.state_reason = Some("the receiver answered 410 Gone".to_owned());
        webhook.updated_at = self.clock.now();
        self.store.put_webhook(&webhook).await?;
        self.catalogue.put_webhook(webhook);
        Ok(())
    }
}

/// What an answer says about the next attempt.
#[derive(Default)]
struct Hints {
    gone: bool,
    retry_after: Option<Duration>,
}

fn give_up(delivery: &mut Delivery, reason: &str, now: Timestamp) {
    delivery.state = DeliveryState::Dead;
    delivery.next_attempt_at = None;
    delivery.last_error = Some(reason.to_owned());
    delivery.finished_at = Some(now);
}

/// The payload that Standard Webhooks 1.0 recommends (`type`, `timestamp`, `data`), with the event's other attributes.
fn body_of(event: &Event) -> Bytes {
    let mut message = Map::new();
    message.insert("type".to_owned(), event.event_type.as_str().into());
    message.insert("timestamp".to_owned(), event.time.as_str().into());
    message.insert("id".to_owned(), event.id.as_str().into());
    message.insert("source".to_owned(), event.source.as_str().into());
    if let Some(subject) = &event.subject {
        message.insert("subject".to_owned(), subject.as_str().into());
    }
    // The data goes out as it came in, digit by digit.
    let mut text = Value::Object(message).to_string();
    text.pop();
    text.push_str(",\"data\":");
    text.push_str(&event.data_json());
    text.push('}');
    Bytes::from(text)
}

fn headers_for(id: &str, now: Timestamp, secret: &[u8], body: &[u8]) -> Result<HeaderMap, PipelineError> {
    let signed = signature::sign(secret, id, now.seconds(), body);
    let signed = signed.ok_or_else(|| PipelineError::Vault("the signing secret cannot be used".to_owned()))?;
    let fields = [
        ("content-type", "application/json".to_owned()),
        ("user-agent", AGENT.to_owned()),
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", now.seconds().to_string()),
        ("webhook-signature", signed),
    ];
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let value = HeaderValue::from_str(&value)
            .map_err(|_| PipelineError::Vault(format!("the value of `{name}` cannot be sent")))?;
        headers.insert(name, value);
    }
    Ok(headers)
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

/// Header fields for a log, values as text.
pub(crate) fn header_list(headers: &HeaderMap) -> Vec<Header> {
    headers.iter().map(|(n, v)| (n.as_str().to_owned(), String::from_utf8_lossy(v.as_bytes()).into_owned())).collect()
}

fn cut(body: &[u8]) -> String {
    let kept = body.get(..body.len().min(LOGGED)).unwrap_or_default();
    String::from_utf8_lossy(kept).into_owned()
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

    #[test]
    fn the_data_goes_out_as_it_came_in() {
        let event = hookwright_model::EventDraft {
            event_type: "a.b".into(),
            source: "s".into(),
            payload: Bytes::from_static(b"{\"n\": 1.0000000000000000001, \"a\":1e2}"),
            ..Default::default()
        }
        .accept(&SpaceId::main(), Timestamp::from_millis(0))
        .unwrap();
        let body = body_of(&event);
        let text = std::str::from_utf8(&body).unwrap();
        assert!(text.ends_with("\"data\":{\"n\": 1.0000000000000000001, \"a\":1e2}}"), "{text}");
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["type"], "a.b");
    }
}
