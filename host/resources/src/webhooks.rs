//! Outgoing webhooks: created, changed and deleted.

use std::collections::BTreeSet;
use std::sync::Arc;

use hookwright_delivery::confirm::Confirmations;
use hookwright_delivery::holds::Holds;
use hookwright_delivery::notices::Notices;
use hookwright_delivery::queues::DeliveryQueues;
use hookwright_delivery::signers::Signing;
use hookwright_delivery::transmit::Transmit;
use hookwright_foundation::error::{PipelineError, together};
use hookwright_foundation::settings::PipelineSettings;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_invoke::egress::Egress;
use hookwright_model::{
    Author, Confirmation, Creates as _, EventPattern, Handshake, Mistake, Mistakes, Names, Pause, Profile,
    RetrySchedule, SigningPolicy, SpaceId, Vocabulary, Webhook, WebhookId, WebhookInput, check_names, check_variables,
    named,
};
use hookwright_routing::catalogue::Catalogue;
use hookwright_store::{ConfigChange, Store, Swap};
use serde_json::{Map, Value};

use crate::automations::Automations;
use crate::lifecycle::{Lifecycle, Resource};
use crate::pending_changes::PendingChanges;
use crate::references::References;
use crate::switching::only_switched_off;
use crate::webhook_policies::{ShownKey, WebhookPolicies, first_keys};
use crate::{webhook_naming, webhook_policies};

/// The most bytes of all PEM texts of a webhook.
const MAX_PEM_BYTES: usize = 64 * 1024;

/// A webhook that was just created, with what is shown only once.
#[derive(Clone, Debug)]
pub struct NewWebhook {
    /// The webhook.
    pub webhook: Webhook,
    /// Its key.
    pub key: ShownKey,
}

/// Creates, changes and deletes webhooks.
pub struct Webhooks {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) egress: Arc<Egress>,
    pub(crate) delivery_queues: Arc<DeliveryQueues>,
    pub(crate) settings: Arc<PipelineSettings>,
    pub(crate) store: Store,
    pub(crate) automations: Arc<Automations>,
    pub(crate) confirmations: Arc<Confirmations>,
    pub(crate) holds: Arc<Holds>,
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) notices: Arc<Notices>,
    pub(crate) references: Arc<References>,
    pub(crate) signing: Arc<Signing>,
    pub(crate) transmit: Arc<Transmit>,
    pub(crate) webhook_policies: Arc<WebhookPolicies>,
}

impl Webhooks {
    /// Subscribes a URL to event types. `by` is who does that.
    pub async fn create_webhook(
        &self,
        space: &SpaceId,
        input: WebhookInput,
        by: &Author,
    ) -> Result<NewWebhook, PipelineError> {
        let given = input.secret.clone();
        let mut webhook = self.new_webhook(space, input)?;
        let nameless = webhook.name.is_empty();
        if nameless {
            webhook.name = self.derived_name(&webhook);
        }
        // A plugin is loaded, and a key created, before the space is locked, so that others do not wait for them.
        self.lifecycle.prepare(self, space, None, webhook.clone(), &by.label()).await?;
        let (keys, shown) = first_keys(self.webhook_policies.new_key(space, &webhook.signing, given).await?);
        let changing = self.lifecycle.changing.lock(space).await;
        if nameless {
            webhook.name = self.derived_name(&webhook);
        }
        let mut webhook = self.lifecycle.prepare(self, space, None, webhook, &by.label()).await?;
        webhook.keys = keys;
        let webhook = self.lifecycle.save(self, space, None, webhook).await?;
        drop(changing);
        self.report_change(None, &webhook, by).await?;
        Ok(NewWebhook { webhook, key: shown })
    }

    /// The name of a webhook that was created without one.
    fn derived_name(&self, webhook: &Webhook) -> String {
        let others = self.catalogue.webhooks(&webhook.space);
        webhook_naming::derived(&webhook.url, &others.iter().map(|other| other.name.as_str()).collect())
    }

    /// A new webhook without keys. Omitted fields take the defaults of its profile.
    pub(crate) fn new_webhook(&self, space: &SpaceId, input: WebhookInput) -> Result<Webhook, PipelineError> {
        let has = |field: &str| match field {
            "url" => input.url.is_some(),
            "event" => matches!(input.event, Some(Some(_))),
            _ => matches!(input.events, Some(Some(_))),
        };
        WebhookInput::missing(&has).check()?;
        let profile = input.profile.flatten().unwrap_or_default();
        let handshake = input.handshake.flatten().unwrap_or_else(|| profile.handshake());
        let now = self.clock.now();
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
            retry: self.retry_of(profile),
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
            confirmation: Confirmation { handshake, ..Confirmation::default() },
            state_reason: None,
            state_by: None,
            state_at: None,
            paused: None,
            last_error: None,
            created_at: now,
            updated_at: now,
        };
        let mut webhook = self.changed(fresh, input)?;
        if !webhook.enabled {
            webhook.paused = Some(Pause { from: now, until: None });
        }
        Ok(webhook)
    }

    /// Changes the fields that `input` gives. `by` is who changes them. Another kind of signing needs another key,
    /// which is shown now.
    pub async fn change_webhook(
        &self,
        space: &SpaceId,
        id: &str,
        input: WebhookInput,
        by: &Author,
    ) -> Result<NewWebhook, PipelineError> {
        let given = input.secret.clone();
        let needs_key =
            |old: &Webhook, new: &Webhook| given.is_some() || !webhook_policies::same_key(&old.signing, &new.signing);
        let (old, webhook) = self.changed_from(space, id, input.clone())?;
        // A plugin is loaded, and a key created, before the space is locked, so that others do not wait for them.
        let webhook = self.lifecycle.prepare(self, space, Some(&old), webhook, &by.label()).await?;
        let mut ahead = None;
        if needs_key(&old, &webhook) {
            ahead = Some(self.webhook_policies.key_ahead(space, &webhook.signing, given.clone()).await?);
        }
        let switched_on = input.enabled.is_some_and(|enabled| enabled.unwrap_or(true));
        let changing = self.lifecycle.changing.lock(space).await;
        let (old, webhook) = self.changed_from(space, id, input)?;
        let mut webhook = self.lifecycle.prepare(self, space, Some(&old), webhook, &by.label()).await?;
        let mut shown = ShownKey::default();
        if needs_key(&old, &webhook) {
            let key = self.webhook_policies.key_now(space, &webhook.signing, given, ahead.as_ref()).await?;
            (webhook.keys, shown) = first_keys(key);
        }
        self.before_move(Some(&old), &webhook).await?;
        let webhook = self.lifecycle.save(self, space, Some(old.clone()), webhook).await?;
        drop(changing);
        if switched_on && webhook.url == old.url {
            self.holds.reset_receiver(&webhook);
        }
        self.report_change(Some(&old), &webhook, by).await?;
        Ok(NewWebhook { webhook, key: shown })
    }

    /// What must be durable before another url is. The caller holds `changing`.
    pub(crate) async fn before_move(&self, was: Option<&Webhook>, webhook: &Webhook) -> Result<(), PipelineError> {
        if was.is_some_and(|was| was.url != webhook.url) {
            self.holds.forget_retry_after(webhook).await?;
        }
        Ok(())
    }

    /// What follows from a committed change once the space is unlocked: the receiver of a new url is verified, and
    /// another state is reported. `by` is who made the change.
    pub(crate) async fn report_change(
        &self,
        was: Option<&Webhook>,
        webhook: &Webhook,
        by: &Author,
    ) -> Result<(), PipelineError> {
        let moved = was.is_none_or(|was| was.url != webhook.url);
        if was.is_some() && moved {
            self.holds.forget_late_retry_after(webhook).await;
        }
        if moved && !webhook.confirmation.given() {
            self.confirmations.queue_verification(webhook, by).await?;
        }
        if was.is_some_and(|was| was.state() != webhook.state()) {
            self.report_state(webhook, by).await?;
        }
        Ok(())
    }

    /// A webhook as it is, and as `input` changes it.
    fn changed_from(
        &self,
        space: &SpaceId,
        id: &str,
        input: WebhookInput,
    ) -> Result<(Webhook, Webhook), PipelineError> {
        let old = self.catalogue.existing_webhook(space, id)?;
        let mut fixed = input.null_of_needed();
        if input.profile.is_some_and(|profile| profile.unwrap_or_default() != old.profile) {
            fixed.add("profile", "cannot be changed: create another webhook");
        }
        let handshake = input.handshake.map(|given| given.unwrap_or_else(|| old.profile.handshake()));
        if handshake.is_some_and(|handshake| handshake != old.confirmation.handshake) {
            fixed.add("handshake", "cannot be changed: create another webhook");
        }
        fixed.check()?;
        let webhook = self.changed(old.clone(), input)?;
        Ok((old, webhook))
    }

    /// Appends the event that reports that the webhook's state was changed. `by` is who changed it.
    async fn report_state(&self, webhook: &Webhook, by: &Author) -> Result<(), PipelineError> {
        let verb = if webhook.delivers() { "enabled" } else { webhook.state().name() };
        let notice = self.notices.notice_state(webhook, verb, Some(by))?;
        self.store.events.append_own(vec![notice]).await?;
        Ok(())
    }

    /// The webhook as `input` changes it.
    fn changed(&self, old: Webhook, input: WebhookInput) -> Result<Webhook, PipelineError> {
        let mut webhook = old;
        if input.event == Some(None) {
            // The patterns of the former word stay.
            webhook.event = None;
        }
        if let Some(event) = input.event.flatten() {
            webhook.events = patterns(webhook.profile, &event)?;
            if webhook.name.is_empty() {
                webhook.name.clone_from(&event);
            }
            webhook.event = Some(event);
        }
        if let Some(events) = input.events.flatten() {
            webhook.events = events;
            webhook.event = None;
        }
        if let Some(enabled) = input.enabled {
            let enabled = enabled.unwrap_or(true);
            webhook.enabled = enabled;
            webhook.dead = webhook.dead && !enabled;
        }
        let profile = webhook.profile;
        Ok(Webhook {
            name: input.name.flatten().unwrap_or(webhook.name),
            url: input.url.unwrap_or(webhook.url),
            embed: input.embed.unwrap_or(webhook.embed),
            description: input.description.map_or(webhook.description, Option::unwrap_or_default),
            source: input.source.unwrap_or(webhook.source),
            source_id: input.source_id.unwrap_or(webhook.source_id),
            when: input.when.unwrap_or(webhook.when),
            transform: input.transform.unwrap_or(webhook.transform),
            with: input.with.map_or(webhook.with, Option::unwrap_or_default),
            headers: input.headers.map_or(webhook.headers, Option::unwrap_or_default),
            signing: input.signing.map_or(webhook.signing, |signing| signing.unwrap_or_else(|| signing_of(profile))),
            policy: input.policy.unwrap_or(webhook.policy),
            retry: input.retry.map_or(webhook.retry, |retry| retry.unwrap_or_else(|| self.retry_of(profile))),
            timeout_ms: input
                .timeout_ms
                .map_or(webhook.timeout_ms, |timeout| timeout.unwrap_or(self.settings.delivery_timeout_ms)),
            rate: input.rate.unwrap_or(webhook.rate),
            concurrency: input.concurrency.unwrap_or(webhook.concurrency),
            order: input.order.unwrap_or(webhook.order),
            batching: input.batching.unwrap_or(webhook.batching),
            on_gone: input.on_gone.map_or(webhook.on_gone, |on_gone| on_gone.unwrap_or_else(|| profile.on_gone())),
            on_exhausted: input
                .on_exhausted
                .map_or(webhook.on_exhausted, |on_exhausted| on_exhausted.unwrap_or_else(|| profile.on_exhausted())),
            mail_exceptions_to: input.mail_exceptions_to.map_or(webhook.mail_exceptions_to, Option::unwrap_or_default),
            transport: input.transport.unwrap_or(webhook.transport),
            oauth: input.oauth.unwrap_or(webhook.oauth),
            ..webhook
        })
    }

    /// The default retry schedule.
    fn retry_of(&self, profile: Profile) -> RetrySchedule {
        profile.retry().unwrap_or_else(|| self.settings.delivery_retry.clone())
    }

    /// Every webhook of the space, the newest first.
    pub fn webhooks(&self, space: &SpaceId) -> Vec<Arc<Webhook>> {
        let mut webhooks = self.catalogue.webhooks(space);
        webhooks.sort_by_key(|webhook| std::cmp::Reverse(webhook.number));
        webhooks
    }

    /// The webhook, or an error if it does not exist.
    pub fn webhook(&self, space: &SpaceId, id: &str) -> Result<Webhook, PipelineError> {
        self.catalogue.existing_webhook(space, id)
    }

    /// The webhook with this number, for systems whose ids are numbers.
    pub fn webhook_numbered(&self, space: &SpaceId, number: u64) -> Result<Webhook, PipelineError> {
        let found = self.catalogue.webhook_of_queue(space, number);
        found.map(|webhook| (*webhook).clone()).ok_or_else(|| PipelineError::not_found("webhook", &number.to_string()))
    }

    /// Deletes a webhook. Its pending deliveries are dead-lettered, with that reason.
    pub async fn delete_webhook(&self, space: &SpaceId, id: &str) -> Result<(), PipelineError> {
        self.lifecycle.delete(self, space, || self.catalogue.existing_webhook(space, id)).await
    }

    /// The webhook's current status as the API shows it: requests in flight, throttling, breaker, queue.
    pub fn webhook_status(&self, webhook: &Webhook) -> Result<Value, PipelineError> {
        let mut status = self.delivery_queues.show(webhook, self.clock.now());
        if let Some(status) = status.as_object_mut() {
            let queued = self.store.queues.queue_length(&webhook.space, webhook.number, 10_000)?;
            status.insert("queued".to_owned(), queued.into());
        }
        Ok(status)
    }

    fn check_header(
        &self,
        space: &SpaceId,
        value: &str,
        path: &str,
        mistakes: &mut Mistakes,
    ) -> Result<(), PipelineError> {
        for name in named(value, "secrets") {
            self.check_secret_there(space, Some(name), path, mistakes)?;
        }
        let names = Names { secrets: true, ..Names::default() };
        mistakes.0.extend(check_names(&value.into(), path, names));
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
            && self.store.secrets.secret(space, name)?.is_none()
        {
            let name = hookwright_model::abridged(name);
            mistakes.add(path, format!("there is no secret `{name}` in this space: PUT /v1/secrets/{name} first"));
        }
        Ok(())
    }
}

impl Resource for Webhooks {
    type Thing = Webhook;
    const CHANGED: &'static str = "webhook.changed";

    fn successor(&self, old: Option<&Webhook>, mut webhook: Webhook, by: &str) -> Result<Webhook, PipelineError> {
        let now = self.clock.now();
        if let Some(old) = old {
            webhook = Webhook {
                id: old.id.clone(),
                number: old.number,
                state_reason: old.state_reason.clone(),
                state_by: old.state_by.clone(),
                state_at: old.state_at,
                paused: old.paused,
                last_error: old.last_error.clone(),
                created_at: old.created_at,
                updated_at: now,
                ..webhook
            };
        }
        webhook.confirmation = match old.filter(|old| old.url == webhook.url) {
            Some(old) => old.confirmation.clone(),
            // This is another receiver, which has not consented yet; the consent of the former one does not count.
            None => self.confirmations.unconfirmed(webhook.confirmation.handshake)?,
        };
        if old.is_some_and(|old| old.state() != webhook.state()) {
            webhook.came_to(None, by, now);
        }
        Ok(webhook)
    }

    fn plugins(webhook: &Webhook) -> BTreeSet<&str> {
        let mut plugins: BTreeSet<&str> = webhook.transform.iter().map(String::as_str).collect();
        if let Some(when) = &webhook.when {
            when.conditions("when", &mut |_, condition| {
                plugins.insert(&condition.plugin);
            });
        }
        plugins
    }

    fn is_only_disabled(old: &Webhook, new: &Webhook) -> bool {
        only_switched_off(old, new, new.enabled)
    }

    fn check(&self, _space: &SpaceId, pending: &PendingChanges, webhook: &mut Webhook) -> Result<(), PipelineError> {
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
            if let Err(error) = hookwright_runs::mails::check_receiver(address) {
                mistakes.add(format!("mail_exceptions_to[{place}]"), format!("is not a mail address: {error}"));
            }
        }
        if let Some(order) = &webhook.order {
            mistakes.0.extend(check_variables(&order.key.as_str().into(), "order.key", &[]));
        }
        let signing = self.references.signing_ahead(pending, webhook)?;
        if let (Some(policy), None) = (webhook.policy, &signing) {
            mistakes.add("policy", format!("there is no webhook policy {policy}: GET /v1/webhook-policies lists them"));
        }
        if let Some(signing) = &signing {
            for (place, header) in webhook.fields_set_by(signing) {
                let message = format!(
                    "`{}` is set by the signing policy `{}` of this webhook: leave it out",
                    header.name,
                    signing.kind()
                );
                mistakes.add(format!("headers[{place}].name"), message);
            }
        }
        if webhook.confirmation.handshake == Handshake::Sns
            && mistakes.0.is_empty()
            && signing.is_some_and(|signing| signing.kind() != "sns")
        {
            let message = "the handshake `sns` sends its link in messages with the signing policy `sns`: give \
                           {\"kind\": \"sns\"}, or another handshake";
            mistakes.add(if webhook.policy.is_some() { "policy" } else { "signing" }, message);
        }
        let mut pem = 0;
        if let Some(transport) = &webhook.transport {
            pem = [&transport.ca_pem, &transport.client_certificate_pem].into_iter().flatten().map(String::len).sum();
            if transport.client_certificate_pem.is_some() != transport.client_key_secret.is_some() {
                mistakes.add("transport", "client_certificate_pem and client_key_secret belong together");
            }
            for (path, secret) in [
                ("transport.client_key_secret", &transport.client_key_secret),
                ("transport.proxy_secret", &transport.proxy_secret),
            ] {
                self.check_secret_there(&webhook.space, secret.as_deref(), path, &mut mistakes)?;
            }
        }
        if pem > MAX_PEM_BYTES {
            mistakes.add("transport", format!("has {pem} bytes of PEM: at most {MAX_PEM_BYTES}"));
        }
        if let Some(oauth) = &webhook.oauth {
            if let Err(error) = self.egress.check(&oauth.token_url) {
                mistakes.add("oauth.token_url", error.to_string());
            }
            self.check_secret_there(&webhook.space, Some(&oauth.client_secret), "oauth.client_secret", &mut mistakes)?;
        }
        self.automations.check_webhook_plugins(pending, webhook, &mut mistakes);
        // Certificates and keys are read now, so that an error in them is reported when the webhook is saved.
        let is_outward = |mistake: &Mistake| ["transport", "oauth"].iter().any(|field| mistake.path.starts_with(field));
        let outward = if mistakes.0.iter().any(is_outward) { Ok(()) } else { self.signing.check_transport(webhook) };
        together([mistakes.check().map_err(PipelineError::Invalid), outward])
    }

    fn changes(swap: Swap<Webhook>) -> Vec<ConfigChange> {
        vec![ConfigChange::Webhook(Box::new(swap))]
    }

    fn set_number(webhook: &mut Webhook, change: &ConfigChange) {
        if let ConfigChange::Webhook(swap) = change
            && let Some(stored) = &swap.is
        {
            webhook.number = stored.number;
        }
    }

    fn follow(&self, space: &SpaceId, change: &ConfigChange) {
        let ConfigChange::Webhook(swap) = change else { return };
        let Some(was) = &swap.was else { return };
        match &swap.is {
            Some(is) if is.url != was.url => self.holds.change_receiver(is),
            Some(is) if is.delivers() && !was.delivers() => self.holds.reset_receiver(is),
            // What is queued ends if it is no longer delivered to, and another rate applies at once.
            _ => self.transmit.look_at_queue(space, was.number),
        }
    }
}

/// The event types of a profile's word.
fn patterns(profile: Profile, event: &str) -> Result<Vec<EventPattern>, PipelineError> {
    match Vocabulary::named(profile.name()) {
        Some(vocabulary) => Ok(vocabulary.parse(event).map_err(|mistake| Mistake::new("event", mistake.message))?),
        None => {
            let pattern = event.parse::<EventPattern>().map_err(|error| Mistake::new("event", error.to_string()))?;
            Ok(vec![pattern])
        }
    }
}

/// The default signing policy of a profile.
pub(crate) fn signing_of(profile: Profile) -> SigningPolicy {
    match profile {
        Profile::Uspacy => SigningPolicy::Sns(Default::default()),
        _ => SigningPolicy::Standard {},
    }
}
