use hookwright_model::{Mistake, Mistakes, SpaceId, Webhook, WebhookId, WebhookInput, WebhookState};

use crate::{Pipeline, PipelineError, signature};

/// A webhook that was just made, with what is shown only now.
#[derive(Clone, Debug)]
pub struct NewWebhook {
    /// The webhook.
    pub webhook: Webhook,
    /// Its signing secret, `whsec_...`.
    pub secret: String,
}

const MAX_PATTERNS: usize = 100;
const TIMEOUT_MS: std::ops::RangeInclusive<u32> = 100..=60_000;

impl Pipeline {
    /// Subscribes a URL to event types.
    pub async fn create_webhook(&self, space: &SpaceId, input: WebhookInput) -> Result<NewWebhook, PipelineError> {
        let _changing = self.changing.lock().await;
        let mut missing = Mistakes::default();
        if input.url.is_none() {
            missing.add("url", "is missing: the address that events are sent to");
        }
        if input.events.is_none() {
            missing.add("events", "is missing: the event types to send, such as [\"ticket.*\"]");
        }
        missing.check()?;
        self.check_webhook(&input)?;
        let secret = match &input.secret {
            Some(text) => signature::parse_secret(text).map_err(|error| Mistake::new("secret", error))?,
            None => signature::new_secret(),
        };
        let now = self.now();
        let webhook = Webhook {
            id: WebhookId::new(),
            space: space.clone(),
            url: input.url.unwrap_or_default(),
            events: input.events.unwrap_or_default(),
            description: input.description.unwrap_or_default(),
            secret: self.vault.seal(&secret)?,
            retry: input.retry.unwrap_or_else(|| self.settings.delivery_retry.clone()),
            timeout_ms: input.timeout_ms.unwrap_or(self.settings.delivery_timeout_ms),
            state: state(input.enabled.unwrap_or(true)),
            state_reason: None,
            created_at: now,
            updated_at: now,
        };
        self.store.put_webhook(&webhook).await?;
        self.catalogue.put_webhook(webhook.clone());
        Ok(NewWebhook { webhook, secret: signature::secret_text(&secret) })
    }

    /// Changes what `input` gives.
    pub async fn change_webhook(
        &self,
        space: &SpaceId,
        id: &str,
        input: WebhookInput,
    ) -> Result<Webhook, PipelineError> {
        let _changing = self.changing.lock().await;
        self.check_webhook(&input)?;
        let old = self.webhook(space, id)?;
        let secret = match &input.secret {
            Some(text) => {
                let bytes = signature::parse_secret(text).map_err(|error| Mistake::new("secret", error))?;
                self.vault.seal(&bytes)?
            }
            None => old.secret,
        };
        let webhook = Webhook {
            url: input.url.unwrap_or(old.url),
            events: input.events.unwrap_or(old.events),
            description: input.description.unwrap_or(old.description),
            secret,
            retry: input.retry.unwrap_or(old.retry),
            timeout_ms: input.timeout_ms.unwrap_or(old.timeout_ms),
            state: input.enabled.map_or(old.state, state),
            state_reason: if input.enabled.is_some() { None } else { old.state_reason },
            updated_at: self.now(),
            ..old
        };
        self.store.put_webhook(&webhook).await?;
        self.catalogue.put_webhook(webhook.clone());
        Ok(webhook)
    }

    /// The webhook, or an error that says there is none.
    pub fn webhook(&self, space: &SpaceId, id: &str) -> Result<Webhook, PipelineError> {
        self.store.webhook(space, id)?.ok_or_else(|| PipelineError::not_found("webhook", id))
    }

    /// Deletes a webhook. Deliveries to it that are still pending are given up, which their log says.
    pub async fn delete_webhook(&self, space: &SpaceId, id: &str) -> Result<(), PipelineError> {
        let _changing = self.changing.lock().await;
        if !self.store.delete_webhook(space, id).await? {
            return Err(PipelineError::not_found("webhook", id));
        }
        self.catalogue.remove_webhook(space, &WebhookId::from(id));
        Ok(())
    }

    fn check_webhook(&self, input: &WebhookInput) -> Result<(), Mistakes> {
        let mut mistakes = Mistakes::default();
        if let Some(url) = &input.url {
            if url.len() > 2048 {
                mistakes.add("url", format!("has {} bytes: at most 2048", url.len()));
            } else if let Err(error) = self.egress.check(url) {
                mistakes.add("url", error.to_string());
            }
        }
        if let Some(events) = &input.events
            && (events.is_empty() || events.len() > MAX_PATTERNS)
        {
            mistakes
                .add("events", format!("{} event types: give 1 to {MAX_PATTERNS}, such as `ticket.*`", events.len()));
        }
        if let Some(wrong) = input.retry.as_ref().and_then(hookwright_model::RetrySchedule::mistake) {
            mistakes.add("retry", wrong);
        }
        if let Some(timeout) = input.timeout_ms
            && !TIMEOUT_MS.contains(&timeout)
        {
            let (least, most) = (TIMEOUT_MS.start(), TIMEOUT_MS.end());
            mistakes.add("timeout_ms", format!("{timeout}: from {least} to {most}"));
        }
        if input.description.as_ref().is_some_and(|text| text.len() > 65_536) {
            mistakes.add("description", "has more than 64 KiB: shorten it");
        }
        mistakes.check()
    }
}

fn state(enabled: bool) -> WebhookState {
    if enabled { WebhookState::Active } else { WebhookState::Disabled }
}
