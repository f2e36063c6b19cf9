//! Webhooks out: made, changed, confirmed, delivered to, and everything that was sent written down.

mod confirm;
mod delivery;
mod destinations;
mod hints;
mod keys;
mod lanes;
mod message;
mod notices;
mod redeliver;
mod signers;

use std::collections::BTreeSet;

use hookwright_model::{
    Confirmation, EventPattern, Handshake, Mistake, Mistakes, Profile, SigningPolicy, SpaceId, Vocabulary, Webhook,
    WebhookId, WebhookInput, check_variables, named,
};
use serde_json::{Map, Value, json};

pub use confirm::Confirmed;
pub(crate) use delivery::header_list;
pub use keys::{RotateInput, ShownKey, WebhookPolicyInput};
pub(crate) use keys::{check_policy, same_key};
pub(crate) use lanes::{Lanes, dispatch};
pub(crate) use notices::Exceptions;
pub(crate) use redeliver::Redeliveries;
pub use redeliver::{Redelivery, RedeliveryFilter};
pub(crate) use signers::Signers;

use crate::outlook::Outlook;
use crate::{Pipeline, PipelineError};

/// A webhook that was just made, with what is shown only now.
#[derive(Clone, Debug)]
pub struct NewWebhook {
    /// The webhook.
    pub webhook: Webhook,
    /// Its key.
    pub key: ShownKey,
}

/// How many bytes the PEM texts of a webhook may have together.
const MOST_PEM: usize = 64 * 1024;

impl Pipeline {
    /// Subscribes a URL to event types.
    pub async fn create_webhook(&self, space: &SpaceId, input: WebhookInput) -> Result<NewWebhook, PipelineError> {
        let changing = self.changing.lock().await;
        let given = input.secret.clone();
        let (mut webhook, handshake) = self.new_webhook(space, input)?;
        self.check_webhook(&webhook, handshake).await?;
        webhook.confirmation = self.unconfirmed(handshake)?;
        let key = self.new_key(&webhook.signing, given).await?;
        let (key, shown) = key.map_or((None, ShownKey::default()), |(key, shown)| (Some(key), shown));
        webhook.keys = key.into_iter().collect();
        let webhook = self.store.create_webhook(webhook).await?;
        self.catalogue.put_webhook(webhook.clone());
        drop(changing);
        if !webhook.confirmation.given() {
            self.queue_question(&webhook).await?;
        }
        Ok(NewWebhook { webhook, key: shown })
    }

    /// A new webhook without keys, and how its receiver is asked: what `input` does not give is as its profile has it.
    pub(crate) fn new_webhook(
        &self,
        space: &SpaceId,
        input: WebhookInput,
    ) -> Result<(Webhook, Handshake), PipelineError> {
        let mut missing = Mistakes::default();
        if input.url.is_none() {
            missing.add("url", "is missing: the address that events are sent to");
        }
        if input.events.is_none() && input.event.is_none() {
            missing.add("events", "is missing: the event types to send, such as [\"ticket.*\"]");
        }
        missing.check()?;
        let profile = input.profile.unwrap_or_default();
        let handshake = input.handshake.unwrap_or_else(|| profile.handshake());
        let now = self.now();
        let fresh = Webhook {
            id: WebhookId::new(),
            number: 0,
            space: space.clone(),
            name: String::new(),
            profile,
            url: String::new(),
            events: Vec::new(),
            event: None,
            embed: None,
            description: String::new(),
            source: None,
            source_id: None,
            when: None,
            transform: profile.transform().map(str::to_owned),
            with: Map::new(),
            headers: Vec::new(),
            signing: signing_of(profile),
            policy: None,
            keys: Vec::new(),
            retry: profile.retry().unwrap_or_else(|| self.settings.delivery_retry.clone()),
            timeout_ms: self.settings.delivery_timeout_ms,
            rate: None,
            concurrency: None,
            order: None,
            batching: None,
            on_gone: profile.on_gone(),
            on_exhausted: profile.on_exhausted(),
            mail_exceptions_to: Vec::new(),
            transport: None,
            oauth: None,
            enabled: true,
            dead: false,
            confirmation: Confirmation::default(),
            state_reason: None,
            state_by: None,
            state_at: None,
            last_error: None,
            created_at: now,
            updated_at: now,
        };
        Ok((self.changed(fresh, input)?, handshake))
    }

    /// Changes what `input` gives. `by` is who does. Another way of signing comes with another key, which is shown now.
    pub async fn change_webhook(
        &self,
        space: &SpaceId,
        id: &str,
        input: WebhookInput,
        by: &str,
    ) -> Result<NewWebhook, PipelineError> {
        let _changing = self.changing.lock().await;
        let old = self.webhook(space, id)?;
        let mut fixed = Mistakes::default();
        if input.profile.is_some_and(|profile| profile != old.profile) {
            fixed.add("profile", "stays as it was made: make another webhook");
        }
        if input.handshake.is_some_and(|handshake| handshake != old.confirmation.handshake) {
            fixed.add("handshake", "stays as it was made: make another webhook");
        }
        fixed.check()?;
        let given = input.secret.clone();
        let (was, signed) = (old.state(), old.signing.clone());
        let moved = input.url.as_ref().is_some_and(|url| *url != old.url);
        let mut webhook = self.changed(old, input)?;
        self.check_webhook(&webhook, webhook.confirmation.handshake).await?;
        let mut shown = ShownKey::default();
        if given.is_some() || !keys::same_key(&signed, &webhook.signing) {
            let key = self.new_key(&webhook.signing, given).await?;
            let (key, show) = key.map_or((None, ShownKey::default()), |(key, shown)| (Some(key), shown));
            webhook.keys = key.into_iter().collect();
            shown = show;
        }
        if moved {
            // Another receiver, which has not said yes yet and must not be answered for by the one before.
            webhook.confirmation = self.unconfirmed(webhook.confirmation.handshake)?;
        }
        let now = self.now();
        if webhook.state() != was {
            webhook.state_reason = None;
            webhook.state_by = Some(by.to_owned());
            webhook.state_at = Some(now);
        }
        webhook.updated_at = now;
        self.store.put_webhook(&webhook).await?;
        self.catalogue.put_webhook(webhook.clone());
        drop(_changing);
        if moved && !webhook.confirmation.given() {
            self.queue_question(&webhook).await?;
        }
        if webhook.state() != was {
            self.tell_state(&webhook).await?;
        }
        Ok(NewWebhook { webhook, key: shown })
    }

    /// Appends the event that says that the webhook's state has changed.
    pub(crate) async fn tell_state(&self, webhook: &Webhook) -> Result<(), PipelineError> {
        let verb = if webhook.delivers() { "enabled" } else { webhook.state().name() };
        let notice = self.notice_state(webhook, verb)?;
        self.store.append(vec![notice]).await?;
        Ok(())
    }

    /// The webhook as `input` has it.
    fn changed(&self, old: Webhook, input: WebhookInput) -> Result<Webhook, PipelineError> {
        let mut webhook = old;
        if let Some(event) = input.event {
            webhook.events = patterns(webhook.profile, &event)?;
            if webhook.name.is_empty() {
                webhook.name.clone_from(&event);
            }
            webhook.event = Some(event);
        }
        if let Some(events) = input.events {
            webhook.events = events;
            webhook.event = None;
        }
        if let Some(enabled) = input.enabled {
            webhook.enabled = enabled;
            webhook.dead = webhook.dead && !enabled;
        }
        Ok(Webhook {
            name: input.name.unwrap_or(webhook.name),
            url: input.url.unwrap_or(webhook.url),
            embed: input.embed.or(webhook.embed),
            description: input.description.unwrap_or(webhook.description),
            source: input.source.unwrap_or(webhook.source),
            source_id: input.source_id.unwrap_or(webhook.source_id),
            when: input.when.unwrap_or(webhook.when),
            transform: input.transform.unwrap_or(webhook.transform),
            with: input.with.unwrap_or(webhook.with),
            headers: input.headers.unwrap_or(webhook.headers),
            signing: input.signing.unwrap_or(webhook.signing),
            policy: input.policy.unwrap_or(webhook.policy),
            retry: input.retry.unwrap_or(webhook.retry),
            timeout_ms: input.timeout_ms.unwrap_or(webhook.timeout_ms),
            rate: input.rate.unwrap_or(webhook.rate),
            concurrency: input.concurrency.unwrap_or(webhook.concurrency),
            order: input.order.unwrap_or(webhook.order),
            batching: input.batching.unwrap_or(webhook.batching),
            on_gone: input.on_gone.unwrap_or(webhook.on_gone),
            on_exhausted: input.on_exhausted.unwrap_or(webhook.on_exhausted),
            mail_exceptions_to: input.mail_exceptions_to.unwrap_or(webhook.mail_exceptions_to),
            transport: input.transport.unwrap_or(webhook.transport),
            oauth: input.oauth.unwrap_or(webhook.oauth),
            ..webhook
        })
    }

    /// The webhook, or an error that says there is none.
    pub fn webhook(&self, space: &SpaceId, id: &str) -> Result<Webhook, PipelineError> {
        self.store.webhook(space, id)?.ok_or_else(|| PipelineError::not_found("webhook", id))
    }

    /// The webhook of this number, for systems whose ids are numbers.
    pub fn webhook_numbered(&self, space: &SpaceId, number: u64) -> Result<Webhook, PipelineError> {
        let found = self.catalogue.webhook_of_queue(space, number);
        found.map(|webhook| (*webhook).clone()).ok_or_else(|| PipelineError::not_found("webhook", &number.to_string()))
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

    /// Sends the webhook a test, be it on or off. Returns the id of the event that was made for it.
    pub async fn test_webhook(&self, space: &SpaceId, id: &str) -> Result<String, PipelineError> {
        let webhook = self.webhook(space, id)?;
        // Xurrent's are made disabled, tested until all is well, and enabled then.
        let on_trial = webhook.profile == Profile::Xurrent && !webhook.enabled;
        if !webhook.confirmation.given() && !on_trial {
            return Err(PipelineError::Conflict {
                code: "webhook.unconfirmed",
                message: "its receiver has not confirmed yet that it wants to be called, and gets nothing before: \
                          POST /v1/webhooks/{id}/verify asks it again"
                    .to_owned(),
            });
        }
        let event_type = test_type(&webhook);
        let example = self.find_event_type(space, &event_type)?.and_then(|found| found.event_type.example);
        let data = example.unwrap_or_else(|| json!({"test": true, "webhook": webhook.id}));
        self.send_own(&webhook, &event_type, &data, hookwright_model::Purpose::Test).await
    }

    /// What an operator sees of how the webhook does at the moment: requests under way, throttling, breaker, queue.
    pub fn webhook_status(&self, webhook: &Webhook) -> Result<Value, PipelineError> {
        let mut status = self.lanes.show(webhook, self.now());
        if let Some(status) = status.as_object_mut() {
            let queued = self.store.queue_length(&webhook.space, webhook.number, 10_000)?;
            status.insert("queued".to_owned(), queued.into());
        }
        Ok(status)
    }

    /// Whether nothing is sent for now, because the receiver wanted so.
    pub fn is_throttled(&self, webhook: &Webhook) -> bool {
        self.lanes.held_until(webhook, self.now()).is_some()
    }

    async fn check_webhook(&self, webhook: &Webhook, handshake: Handshake) -> Result<(), PipelineError> {
        let mut plugins: BTreeSet<&str> = webhook.transform.iter().map(String::as_str).collect();
        if let Some(when) = &webhook.when {
            when.conditions("when", &mut |_, condition| {
                plugins.insert(&condition.plugin);
            });
        }
        self.loaded(&webhook.space, &plugins).await;
        self.check_webhook_ahead(&Outlook::default(), webhook, handshake)
    }

    /// Checks a webhook as things will be.
    pub(crate) fn check_webhook_ahead(
        &self,
        outlook: &Outlook,
        webhook: &Webhook,
        handshake: Handshake,
    ) -> Result<(), PipelineError> {
        let mut mistakes = Mistakes::default();
        webhook.check(&mut mistakes);
        if webhook.url.len() <= 2048
            && let Err(error) = self.egress.check(&webhook.url)
        {
            mistakes.add("url", error.to_string());
        }
        for (place, header) in webhook.headers.iter().enumerate() {
            self.check_header(&webhook.space, &header.value, &format!("headers[{place}].value"), &mut mistakes)?;
        }
        for (place, address) in webhook.mail_exceptions_to.iter().enumerate() {
            if let Err(error) = address.parse::<lettre::Address>() {
                mistakes.add(format!("mail_exceptions_to[{place}]"), format!("is no address: {error}"));
            }
        }
        if let Some(order) = &webhook.order {
            mistakes.0.extend(check_variables(&order.key.as_str().into(), "order.key", &[]));
        }
        let signing = self.signing_ahead(outlook, webhook)?;
        if let (Some(policy), None) = (webhook.policy, &signing) {
            mistakes.add("policy", format!("there is no webhook policy {policy}: GET /v1/webhook-policies lists them"));
        }
        if handshake == Handshake::Sns
            && mistakes.0.is_empty()
            && signing.is_some_and(|signing| signing.kind() != "sns")
        {
            let message = "the link of the handshake `sns` stands in messages that are signed so: give it \
                           {\"kind\": \"sns\"}, or another handshake";
            mistakes.add(if webhook.policy.is_some() { "policy" } else { "signing" }, message);
        }
        let mut pem = 0;
        if let Some(transport) = &webhook.transport {
            pem = [&transport.ca_pem, &transport.client_certificate_pem].into_iter().flatten().map(String::len).sum();
            if transport.client_certificate_pem.is_some() != transport.client_key_secret.is_some() {
                mistakes.add("transport", "client_certificate_pem and client_key_secret belong together");
            }
            self.check_secret_there(
                &webhook.space,
                transport.client_key_secret.as_deref(),
                "transport.client_key_secret",
                &mut mistakes,
            )?;
        }
        if pem > MOST_PEM {
            mistakes.add("transport", format!("has {pem} bytes of PEM: at most {MOST_PEM}"));
        }
        if let Some(oauth) = &webhook.oauth {
            if let Err(error) = self.egress.check(&oauth.token_url) {
                mistakes.add("oauth.token_url", error.to_string());
            }
            self.check_secret_there(&webhook.space, Some(&oauth.client_secret), "oauth.client_secret", &mut mistakes)?;
        }
        mistakes.check()?;
        mistakes = Mistakes::default();
        self.check_webhook_plugins(outlook, webhook, &mut mistakes);
        mistakes.check()?;
        // Certificates and keys are read now, so that a mistake in them shows at once.
        if webhook.transport.is_some() || webhook.oauth.is_some() {
            self.check_transport(webhook)?;
        }
        Ok(())
    }

    fn check_header(
        &self,
        space: &SpaceId,
        value: &str,
        path: &str,
        mistakes: &mut Mistakes,
    ) -> Result<(), PipelineError> {
        let secrets = named(value, "secrets");
        for name in &secrets {
            self.check_secret_there(space, Some(name), path, mistakes)?;
        }
        let wrong = check_variables(&value.into(), path, &[]);
        let known = |mistake: &Mistake| !mistake.message.contains("secrets") || secrets.is_empty();
        mistakes.0.extend(wrong.into_iter().filter(known));
        Ok(())
    }

    fn check_secret_there(
        &self,
        space: &SpaceId,
        name: Option<&str>,
        path: &str,
        mistakes: &mut Mistakes,
    ) -> Result<(), PipelineError> {
        if let Some(name) = name
            && self.store.secret(space, name)?.is_none()
        {
            mistakes.add(path, format!("there is no secret `{name}` in this space: PUT /v1/secrets/{name} first"));
        }
        Ok(())
    }
}

/// The event types that a profile's word stands for.
fn patterns(profile: Profile, event: &str) -> Result<Vec<EventPattern>, PipelineError> {
    match Vocabulary::named(profile.name()) {
        Some(vocabulary) => Ok(vocabulary.parse(event).map_err(|mistake| Mistake::new("event", mistake.message))?),
        None => {
            let pattern = event.parse::<EventPattern>().map_err(|error| Mistake::new("event", error.to_string()))?;
            Ok(vec![pattern])
        }
    }
}

/// How a profile's messages are signed.
pub(crate) fn signing_of(profile: Profile) -> SigningPolicy {
    match profile {
        Profile::Uspacy => SigningPolicy::Sns(Default::default()),
        _ => SigningPolicy::Standard {},
    }
}

/// The event type that a test has: the first that the webhook subscribes to, where that is one.
fn test_type(webhook: &Webhook) -> String {
    let concrete = webhook.events.iter().map(ToString::to_string).find(|pattern| !pattern.contains('*'));
    concrete.unwrap_or_else(|| "webhook.test".to_owned())
}
