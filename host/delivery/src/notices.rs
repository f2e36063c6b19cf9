//! What Hookwright reports about its own webhooks: events that automations can match, and mails about failures.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use hookwright_foundation::error::PipelineError;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_model::{
    Attempt, AttemptOutcome, Author, Cause, Delivery, Event, EventDraft, Letter, NewEvent, SpaceId, Timestamp, Webhook,
    WebhookId,
};
use hookwright_routing::catalogue::Catalogue;
use hookwright_store::{AttemptCommit, Store};
use parking_lot::Mutex;
use serde_json::{Value, json};

/// The shortest time between two mails about one webhook's failures.
const MAIL_INTERVAL: Duration = Duration::from_secs(3600);

/// How many failures a mail lists.
const MAX_LISTED: usize = 20;

/// The most webhooks whose failures are held in memory.
const MAX_WEBHOOKS: usize = 10_000;

/// The prefix of the sources of Hookwright's own events about webhooks.
const SOURCE_PREFIX: &str = "hookwright/webhooks/";

/// The most characters of an answer in a mail.
const MAX_ANSWER_CHARS: usize = 500;

/// The source of events about a webhook.
pub(crate) fn source_of(webhook: &Webhook) -> String {
    format!("{SOURCE_PREFIX}{}", webhook.id)
}

/// Events and mails about webhooks themselves.
pub struct Notices {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) exceptions: Arc<Exceptions>,
    pub(crate) store: Store,
}

impl Notices {
    /// An event that reports that the webhook's state has changed. `by` is the holder of the API key that changed it;
    /// `None`: the receiver or the server did.
    pub fn notice_state(&self, webhook: &Webhook, verb: &str, by: Option<&Author>) -> Result<NewEvent, PipelineError> {
        let data = json!({"webhook": about(webhook), "reason": webhook.state_reason, "by": webhook.state_by});
        self.notice(webhook, &format!("webhook.{verb}"), &data, by.map(|by| Cause::api().by(by)))
    }

    /// An event that reports a dead-lettered delivery. `None` if that delivery carried such an event itself: otherwise
    /// each would cause another, without end.
    pub(crate) fn notice_exhausted(
        &self,
        webhook: &Webhook,
        delivery: &Delivery,
        event: &Event,
    ) -> Result<Option<NewEvent>, PipelineError> {
        if event.source.starts_with(SOURCE_PREFIX) {
            return Ok(None);
        }
        let data = json!({
            "webhook": about(webhook),
            "delivery": {
                "id": delivery.id.to_string(),
                "event": delivery.event,
                "event_type": delivery.event_type,
                "attempts": delivery.attempts,
                "last_error": delivery.last_error,
            },
        });
        self.notice(webhook, "delivery.exhausted", &data, Some(Cause::after(event))).map(Some)
    }

    fn notice(
        &self,
        webhook: &Webhook,
        event_type: &str,
        data: &Value,
        cause: Option<Cause>,
    ) -> Result<NewEvent, PipelineError> {
        let draft = EventDraft::json(event_type, &source_of(webhook), Some(webhook.id.to_string()), data, cause);
        let event = draft.accept(&webhook.space, self.clock.now())?;
        let mut plan = self.catalogue.plan(&event);
        // A webhook does not receive events about itself.
        plan.deliveries.retain(|delivery| delivery.webhook != webhook.id);
        Ok(NewEvent { event, plan })
    }

    /// Reports that the receiver limits the rate of requests, and gets none until then.
    pub(crate) async fn notice_throttled(&self, webhook: &Webhook, until: Timestamp) {
        let data = json!({"webhook": about(webhook), "until": until.to_string()});
        self.append_notice(webhook, "webhook.throttled", &data).await;
    }

    /// Reports that the webhook's circuit has opened.
    pub(crate) async fn notice_circuit_opened(&self, webhook: &Webhook, until: Timestamp) {
        let data = json!({"webhook": about(webhook), "until": until.to_string(), "last_error": webhook.last_error});
        self.append_notice(webhook, "webhook.circuit-opened", &data).await;
    }

    async fn append_notice(&self, webhook: &Webhook, event_type: &str, data: &Value) {
        let appended = match self.notice(webhook, event_type, data, None) {
            Ok(event) => self.store.events.append(vec![event]).await.map(|_| ()).map_err(PipelineError::from),
            Err(error) => Err(error),
        };
        if let Err(error) = appended {
            tracing::warn!(%error, webhook = %webhook.id, event_type, "an event about a webhook could not be appended");
        }
    }

    /// Queues the mails about failures that are due.
    pub async fn mail_exceptions(&self) {
        let now = self.clock.now();
        for (space, letter) in self.exceptions.due(now) {
            let mails = vec![(letter, Cause::api())];
            let commit = AttemptCommit { space, now, tries: Vec::new(), webhook: None, events: Vec::new(), mails };
            if let Err(error) = self.store.attempts.record_attempts(commit).await {
                tracing::warn!(%error, "a mail about failures could not be queued");
            }
        }
    }
}

/// The description of a webhook in an event.
fn about(webhook: &Webhook) -> Value {
    json!({
        "id": webhook.id,
        "number": webhook.number,
        "name": webhook.name,
        "url": webhook.url,
        "profile": webhook.profile,
        "state": webhook.state(),
    })
}

/// Failures that are to be mailed.
#[derive(Default)]
pub(crate) struct Exceptions(Mutex<HashMap<(SpaceId, WebhookId), Pending>>);

struct Pending {
    to: Vec<String>,
    name: String,
    mailed_at: Timestamp,
    url: String,
    failures: Vec<FailedRequest>,
    more: usize,
}

/// A request that failed, as a mail describes it.
#[derive(Clone, Debug)]
pub(crate) struct FailedRequest {
    pub(crate) at: Timestamp,
    /// The URL that it was sent to.
    pub(crate) url: String,
    pub(crate) error: String,
    /// Its content: event types with ids and deliveries.
    pub(crate) about: String,
    /// The receiver's answer, without secrets. `None`: there was no answer.
    pub(crate) answer: Option<String>,
}

impl FailedRequest {
    /// The failure of a request that carried these deliveries.
    pub(crate) fn of(
        attempt: &Attempt,
        error: &str,
        deliveries: &[&Delivery],
        webhook: &Webhook,
        now: Timestamp,
    ) -> Self {
        let about = match deliveries {
            [] => String::new(),
            [first, rest @ ..] => {
                let subject = first.subject.as_ref().map(|subject| format!(" about {subject}")).unwrap_or_default();
                let more =
                    if rest.is_empty() { String::new() } else { format!(", and {} more in one request", rest.len()) };
                format!(
                    "{} {}{subject}, delivery {}, attempt {}{more}",
                    first.event_type, first.event, first.id, first.attempts
                )
            }
        };
        let answer = match &attempt.outcome {
            AttemptOutcome::Answered { status, body, .. } => {
                let text: String =
                    body.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_ANSWER_CHARS).collect();
                let more = if body.chars().count() > MAX_ANSWER_CHARS { ".." } else { "" };
                Some(format!("{status} {text}{more}").trim_end().to_owned())
            }
            AttemptOutcome::Failed { .. } => None,
        };
        let url = if attempt.url.is_empty() { webhook.url.clone() } else { attempt.url.clone() };
        Self { at: now, url, error: error.to_owned(), about, answer }
    }
}

impl Exceptions {
    /// Records a failure. Returns the mail about it, unless one was sent within the hour: then the failure waits for
    /// the next mail.
    pub(crate) fn record_failure(&self, webhook: &Webhook, failed: FailedRequest) -> Option<(Letter, Cause)> {
        let now = failed.at;
        if webhook.mail_exceptions_to.is_empty() {
            return None;
        }
        let mut all = self.0.lock();
        if all.len() >= MAX_WEBHOOKS {
            all.retain(|_, pending| !pending.failures.is_empty());
        }
        let place = (webhook.space.clone(), webhook.id.clone());
        let first = !all.contains_key(&place);
        let pending = all.entry(place).or_insert_with(|| Pending {
            to: Vec::new(),
            name: String::new(),
            url: String::new(),
            mailed_at: now,
            failures: Vec::new(),
            more: 0,
        });
        pending.to.clone_from(&webhook.mail_exceptions_to);
        pending.url.clone_from(&webhook.url);
        pending.name = if webhook.name.is_empty() { webhook.url.clone() } else { webhook.name.clone() };
        if pending.failures.len() < MAX_LISTED {
            pending.failures.push(failed);
        } else {
            pending.more = pending.more.saturating_add(1);
        }
        (first || now >= pending.mailed_at.after(MAIL_INTERVAL)).then(|| (pending.letter(now), Cause::api()))
    }

    /// The mails that are due; webhooks that no longer fail are removed.
    fn due(&self, now: Timestamp) -> Vec<(SpaceId, Letter)> {
        let mut all = self.0.lock();
        let mut letters = Vec::new();
        all.retain(|(space, _), pending| {
            if now < pending.mailed_at.after(MAIL_INTERVAL) {
                return true;
            }
            if pending.failures.is_empty() {
                return false;
            }
            letters.push((space.clone(), pending.letter(now)));
            true
        });
        letters
    }
}

impl Pending {
    fn letter(&mut self, now: Timestamp) -> Letter {
        self.mailed_at = now;
        let mut text = format!("The webhook \"{}\" failed. It sends to {}\n\n", self.name, self.url);
        for failed in self.failures.drain(..) {
            let FailedRequest { at, url, error, about, answer } = failed;
            let _ = writeln!(text, "{at}  {error}");
            let _ = writeln!(text, "  event: {about}");
            let _ = writeln!(text, "  sent to: {url}");
            let _ = writeln!(text, "  answer: {}", answer.as_deref().unwrap_or("none"));
        }
        if self.more > 0 {
            let _ = writeln!(text, "and {} times more.", std::mem::take(&mut self.more));
        }
        text.push_str("\nFurther failures come in one mail an hour. GET /v1/attempts shows each of them.\n");
        Letter {
            to: self.to.clone(),
            subject: format!("Webhook failed: {}", self.name.chars().filter(|c| !c.is_control()).collect::<String>()),
            text,
            ..Letter::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_is_mailed_at_once_and_the_others_together_an_hour_later() {
        let webhook: Webhook = serde_json::from_value(json!({
            "id": "whk_1", "space": "main", "url": "https://example.com", "events": ["a"],
            "retry": {"delays_seconds": []}, "timeout_ms": 1000, "mail_exceptions_to": ["a@example.com"],
            "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        }))
        .unwrap();
        let exceptions = Exceptions::default();
        let at = |minutes: i64| Timestamp::from_millis(minutes * 60_000);
        let failed = |error: &str, minutes: i64| FailedRequest {
            at: at(minutes),
            url: "https://example.com".to_owned(),
            error: error.to_owned(),
            about: "a.b evt_1".to_owned(),
            answer: Some("404 no such hook".to_owned()),
        };
        let text = exceptions.record_failure(&webhook, failed("first", 0)).unwrap().0.text;
        for part in ["first", "https://example.com", "a.b evt_1", "404 no such hook"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        for minute in 1..30 {
            assert!(exceptions.record_failure(&webhook, failed("again", minute)).is_none());
        }
        assert!(exceptions.due(at(59)).is_empty());
        let due = exceptions.due(at(60));
        assert_eq!(due.len(), 1);
        assert!(due[0].1.text.contains("again") && due[0].1.text.contains("and 9 times more"), "{}", due[0].1.text);
        assert!(exceptions.due(at(120)).is_empty(), "nothing failed since");
        assert!(exceptions.record_failure(&webhook, failed("new", 121)).is_some(), "and it begins anew");
        let silent = Webhook { mail_exceptions_to: Vec::new(), ..webhook };
        assert!(exceptions.record_failure(&silent, failed("x", 122)).is_none());
    }
}
