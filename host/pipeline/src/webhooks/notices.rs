//! What Hookwright tells of its own webhooks: events that automations can act on, and mails about failures.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hookwright_model::{Cause, Delivery, Event, EventDraft, Letter, NewEvent, SpaceId, Timestamp, Webhook, WebhookId};
use hookwright_store::AttemptCommit;
use serde_json::{Value, json};

use crate::{Pipeline, PipelineError};

/// How often a webhook's failures are mailed at most.
const DIGEST: Duration = Duration::from_secs(3600);
/// How many failures a mail lists.
const LISTED: usize = 20;
/// Of how many webhooks failures are remembered.
const MOST: usize = 10_000;
/// What the sources of Hookwright's own notices begin with.
const SOURCE: &str = "hookwright/webhooks/";

/// The source of what is told of a webhook.
pub(super) fn source_of(webhook: &Webhook) -> String {
    format!("{SOURCE}{}", webhook.id)
}

impl Pipeline {
    /// An event that says that the webhook's state has changed.
    pub(super) fn notice_state(&self, webhook: &Webhook, verb: &str) -> Result<NewEvent, PipelineError> {
        let data = json!({"webhook": about(webhook), "reason": webhook.state_reason, "by": webhook.state_by});
        self.notice(webhook, &format!("webhook.{verb}"), &data, None)
    }

    /// An event that says that a delivery was given up; none if that delivery carried such a notice itself, or there would
    /// be no end of them.
    pub(super) fn notice_exhausted(
        &self,
        webhook: &Webhook,
        delivery: &Delivery,
        event: &Event,
    ) -> Result<Option<NewEvent>, PipelineError> {
        if event.source.starts_with(SOURCE) {
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
        let event = draft.accept(&webhook.space, self.now())?;
        let mut plan = self.catalogue.plan(&event);
        // What is told of a webhook does not go to itself.
        plan.deliveries.retain(|delivery| delivery.webhook != webhook.id);
        Ok(NewEvent { event, plan })
    }

    /// Tells that a receiver wanted fewer requests.
    pub(super) async fn notice_throttled(&self, webhook: &Webhook) {
        let until = self.lanes.held_until(webhook, self.now()).map(|until| until.to_string());
        let data = json!({"webhook": about(webhook), "until": until});
        let told = match self.notice(webhook, "webhook.throttled", &data, None) {
            Ok(event) => self.store.append(vec![event]).await.map(|_| ()).map_err(PipelineError::from),
            Err(error) => Err(error),
        };
        if let Err(error) = told {
            tracing::warn!(%error, webhook = %webhook.id, "nobody was told that the webhook is throttled");
        }
    }

    /// Mails the failures that have come together, where it is time for that.
    pub(crate) async fn mail_exceptions(&self) {
        let now = self.now();
        for (space, letter) in self.exceptions.due(now) {
            let mails = vec![(letter, Cause::api())];
            let commit = AttemptCommit { space, now, tries: Vec::new(), webhook: None, events: Vec::new(), mails };
            if let Err(error) = self.store.record_attempts(commit).await {
                tracing::warn!(%error, "a mail about failures could not be queued");
            }
        }
    }
}

/// What an event says of a webhook.
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
    failures: Vec<(Timestamp, String)>,
    more: usize,
}

impl Exceptions {
    /// Takes down a failure. Returns the mail about it, unless one was sent within the hour: then it waits for the next.
    pub(super) fn note(&self, webhook: &Webhook, error: &str, now: Timestamp) -> Option<(Letter, Cause)> {
        if webhook.mail_exceptions_to.is_empty() {
            return None;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.retain(|_, pending| !pending.failures.is_empty());
        }
        let place = (webhook.space.clone(), webhook.id.clone());
        let first = !all.contains_key(&place);
        let pending = all.entry(place).or_insert_with(|| Pending {
            to: Vec::new(),
            name: String::new(),
            mailed_at: now,
            failures: Vec::new(),
            more: 0,
        });
        pending.to.clone_from(&webhook.mail_exceptions_to);
        pending.name = if webhook.name.is_empty() { webhook.url.clone() } else { webhook.name.clone() };
        if pending.failures.len() < LISTED {
            pending.failures.push((now, error.to_owned()));
        } else {
            pending.more = pending.more.saturating_add(1);
        }
        (first || now >= pending.mailed_at.after(DIGEST)).then(|| (pending.letter(now), Cause::api()))
    }

    /// The mails whose time has come; webhooks that no longer fail are forgotten.
    fn due(&self, now: Timestamp) -> Vec<(SpaceId, Letter)> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut letters = Vec::new();
        all.retain(|(space, _), pending| {
            if now < pending.mailed_at.after(DIGEST) {
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
        let mut text = format!("The webhook \"{}\" failed:\n\n", self.name);
        for (at, error) in self.failures.drain(..) {
            let _ = writeln!(text, "{at}  {error}");
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
        assert!(exceptions.note(&webhook, "first", at(0)).unwrap().0.text.contains("first"));
        for minute in 1..30 {
            assert!(exceptions.note(&webhook, "again", at(minute)).is_none());
        }
        assert!(exceptions.due(at(59)).is_empty());
        let due = exceptions.due(at(60));
        assert_eq!(due.len(), 1);
        assert!(due[0].1.text.contains("again") && due[0].1.text.contains("and 9 times more"), "{}", due[0].1.text);
        assert!(exceptions.due(at(120)).is_empty(), "nothing failed since");
        assert!(exceptions.note(&webhook, "new", at(121)).is_some(), "and it begins anew");
        let silent = Webhook { mail_exceptions_to: Vec::new(), ..webhook };
        assert!(exceptions.note(&silent, "x", at(122)).is_none());
    }
}
