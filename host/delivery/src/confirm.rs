//! Verification of a webhook's receiver: it is asked whether it wants to be called, and its answer is recorded.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use hookwright_egress::Answer;
use hookwright_foundation::error::PipelineError;
use hookwright_foundation::keyed_locks::KeyedLocks;
use hookwright_foundation::keys::token_digest;
use hookwright_foundation::settings::PipelineSettings;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_model::{
    Author, Cause, Confirmation, Data, Event, EventDraft, Failure, Handshake, NewDelivery, NewEvent, Plan, Purpose,
    Rate, SigningPolicy, SnsPolicy, SpaceId, Webhook,
};
use hookwright_routing::catalogue::Catalogue;
use hookwright_store::{Appended, Store, StoreError, Vault};
use http::Method;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::fields::{HIDDEN, HOOK_SECRET};
use crate::message::{Messages, Shape, Shaped};
use crate::notices::Notices;
use crate::queues::RequestOutcome;
use crate::signers::Signing;
use crate::transmit::{Item, Sent, Transmit, topic_arn};

/// How long a link is valid.
const LINK_LIFETIME: Duration = Duration::from_secs(3 * 86_400);

/// The lease that the WebSub challenge states, in seconds.
const LEASE_SECONDS: u32 = 365 * 86_400;

/// The result of following a link.
#[derive(Clone, Debug)]
pub struct Confirmed {
    /// The webhook.
    pub webhook: Webhook,
    /// The topic that its messages name, in the terms of Amazon SNS.
    pub topic_arn: String,
}

/// Verifies that receivers want to be called.
pub struct Confirmations {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) changing: Arc<KeyedLocks<SpaceId>>,
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) settings: Arc<PipelineSettings>,
    pub(crate) store: Store,
    pub(crate) vault: Arc<Vault>,
    pub(crate) messages: Arc<Messages>,
    pub(crate) notices: Arc<Notices>,
    pub(crate) signing: Arc<Signing>,
    pub(crate) transmit: Arc<Transmit>,
}

impl Confirmations {
    /// An unconfirmed confirmation with a new link.
    pub fn unconfirmed(&self, handshake: Handshake) -> Result<Confirmation, PipelineError> {
        if handshake == Handshake::None {
            return Ok(Confirmation::default());
        }
        let token = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        Ok(Confirmation {
            handshake,
            confirmed_at: None,
            token_digest: Some(token_digest(&token)),
            token: Some(self.vault.seal(token.as_bytes())?),
            expires_at: Some(self.clock.now().after(LINK_LIFETIME)),
        })
    }

    /// Queues the verification request. The journal records the digest of the link, not the link itself.
    pub async fn queue_verification(&self, webhook: &Webhook, by: &Author) -> Result<(), PipelineError> {
        let data = json!({"id": webhook.number, "link": webhook.confirmation.token_digest});
        self.send_own(webhook, "webhook.verify", &data, Purpose::Confirmation, by).await?;
        Ok(())
    }

    /// Appends an event of Hookwright itself that goes only to this webhook and matches no automation.
    pub(crate) async fn send_own(
        &self,
        webhook: &Webhook,
        event_type: &str,
        data: &serde_json::Value,
        purpose: Purpose,
        by: &Author,
    ) -> Result<Appended, PipelineError> {
        let source = crate::notices::source_of(webhook);
        let cause = Some(Cause::api().by(by));
        let draft = EventDraft::json(event_type, &source, Some(webhook.id.to_string()), data, cause);
        let event = draft.accept(&webhook.space, self.clock.now())?;
        let plan = Plan { deliveries: vec![NewDelivery::now(webhook, purpose)], ..Plan::default() };
        let events = vec![NewEvent { event, plan }];
        let appended = match purpose {
            // The verification request follows from a change that is already committed.
            Purpose::Confirmation => self.store.events.append_own(events).await?,
            _ => self.store.events.append(events).await?,
        };
        appended.into_iter().next().ok_or(PipelineError::Store(StoreError::Closed))
    }

    /// Sends the verification request, and records the answer if the receiver gives one at once.
    pub(crate) async fn verify_receiver(
        &self,
        webhook: &Arc<Webhook>,
        item: Item,
    ) -> Result<RequestOutcome, PipelineError> {
        let about = item.event.data_value();
        let reason = if webhook.confirmation.given() {
            Some("the receiver has confirmed in the meantime")
        } else if about.get("link").and_then(|link| link.as_str()) != webhook.confirmation.token_digest.as_deref() {
            Some("a newer verification request with another link was queued")
        } else {
            None
        };
        if let Some(reason) = reason {
            self.transmit.drop_item(webhook, item, reason.to_owned()).await?;
            return Ok(RequestOutcome::NotSent);
        }
        let handshake = webhook.confirmation.handshake;
        let asked = match handshake {
            Handshake::None | Handshake::Sns | Handshake::WebhookVerify => self.verify_by_link(webhook, &item).await,
            Handshake::CloudeventsOptions => self.verify_by_options(webhook).await,
            Handshake::WebsubChallenge => self.verify_by_challenge(webhook).await,
            Handshake::HookSecret => self.verify_by_hook_secret(webhook).await,
        };
        let (sent, answer) = match asked {
            Ok(asked) => asked,
            Err(error) => return self.transmit.unsendable(webhook, vec![item], error).await,
        };
        let (yes, refused) = match answer {
            Consent::Given(yes) => (Some(yes), None),
            Consent::Refused(why) => (None, Some(why)),
            Consent::Later => (None, None),
        };
        let outcome = self.transmit.conclude(webhook, vec![item], sent, refused).await?;
        if let Some(yes) = yes {
            self.confirm(webhook, yes.rate).await?;
        }
        Ok(outcome)
    }

    /// Sends the message that contains the link. The log of attempts does not show the link.
    async fn verify_by_link(&self, webhook: &Arc<Webhook>, item: &Item) -> Result<(Sent, Consent), PipelineError> {
        let shaped = match self.verification_message(webhook, item).await? {
            Shape::Send(shaped) => shaped,
            Shape::Drop(reason) => return Err(Failure::permanent("webhook.unconfirmable", reason).into()),
            Shape::Wait(unavailable) => {
                return Err(Failure::transient(Failure::PLUGIN_UNAVAILABLE, unavailable.reason).into());
            }
            Shape::Failed(failure) => return Err(failure.into()),
        };
        let id = &item.delivery.message_id;
        let mut sent = self.transmit.send_signed(webhook, &item.event, id, shaped, Purpose::Confirmation).await?;
        let token = self.transmit.token_of(webhook)?;
        sent.secrets.push(token.clone());
        sent.request_body = match std::str::from_utf8(&sent.request_body) {
            Ok(text) if text.contains(&token) => Bytes::from(text.replace(&token, HIDDEN)),
            // The message contains the link in another form, for example within a JSON Web Token.
            _ => Bytes::from_static(HIDDEN.as_bytes()),
        };
        Ok((sent, Consent::Later))
    }

    /// The message that contains the link.
    async fn verification_message(&self, webhook: &Arc<Webhook>, item: &Item) -> Result<Shape, PipelineError> {
        if webhook.confirmation.handshake == Handshake::Sns {
            let text = format!(
                "You asked to receive events at this address. To confirm, follow the SubscribeURL of this message \
                 before {}.",
                webhook.confirmation.expires_at.map(|at| at.to_string()).unwrap_or_default()
            );
            let content_type = "text/plain; charset=UTF-8".to_owned();
            return Ok(Shape::Send(Shaped { headers: Vec::new(), content_type, body: Bytes::from(text) }));
        }
        let data = json!({"id": webhook.number, "callback": self.transmit.link_of(webhook)?});
        let payload = Bytes::from(data.to_string());
        let event = Event { data: Data::Span(0, payload.len()), payload, ..Event::clone(&item.event) };
        self.messages.shape(webhook, &item.delivery, &event).await
    }

    /// CloudEvents 1.0, HTTP Webhook, section 4.1.
    async fn verify_by_options(&self, webhook: &Webhook) -> Result<(Sent, Consent), PipelineError> {
        let origin = self.settings.public_host();
        let mut fields = vec![
            ("webhook-request-origin".to_owned(), origin.clone()),
            ("webhook-request-callback".to_owned(), self.transmit.link_of(webhook)?),
        ];
        if let Some(Rate { requests, per_seconds }) = webhook.rate {
            let per_minute = u64::from(requests).saturating_mul(60).checked_div(u64::from(per_seconds)).unwrap_or(0);
            fields.push(("webhook-request-rate".to_owned(), per_minute.max(1).to_string()));
        }
        let sent = self.send_plain(webhook, Method::OPTIONS, fields, None).await?;
        let consent = sent.result.as_ref().map_or(Consent::Later, |answer| allowed(answer, &origin));
        Ok((sent, consent))
    }

    /// W3C WebSub, section 5.3: the receiver repeats the challenge.
    async fn verify_by_challenge(&self, webhook: &Webhook) -> Result<(Sent, Consent), PipelineError> {
        let challenge = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 24]>());
        let topic = webhook.events.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let query = [
            ("hub.mode", "subscribe".to_owned()),
            ("hub.topic", topic),
            ("hub.challenge", challenge.clone()),
            ("hub.lease_seconds", LEASE_SECONDS.to_string()),
        ];
        let sent = self.send_plain(webhook, Method::GET, Vec::new(), Some(&query)).await?;
        let repeats =
            |answer: &Answer| (200..300).contains(&answer.status) && answer.body.trim_ascii() == challenge.as_bytes();
        let given = sent.result.as_ref().is_ok_and(repeats);
        Ok((sent, Consent::at_once(given, "the body of the answer is not the value of `hub.challenge`")))
    }

    /// REST Hooks: the receiver repeats the header field.
    async fn verify_by_hook_secret(&self, webhook: &Webhook) -> Result<(Sent, Consent), PipelineError> {
        let secret = self.transmit.token_of(webhook)?;
        let fields = vec![(HOOK_SECRET.to_owned(), secret.clone())];
        let sent = self.send_plain(webhook, Method::POST, fields, None).await?;
        let repeats = |answer: &Answer| {
            let field = answer.headers.get(HOOK_SECRET).map_or(&[][..], |value| value.as_bytes());
            (200..300).contains(&answer.status) && Sha256::digest(field) == Sha256::digest(secret.as_bytes())
        };
        let given = sent.result.as_ref().is_ok_and(repeats);
        Ok((sent, Consent::at_once(given, "the answer does not repeat the header field `X-Hook-Secret`")))
    }

    /// A request without a message.
    async fn send_plain(
        &self,
        webhook: &Webhook,
        method: Method,
        mut fields: Vec<hookwright_model::Header>,
        query: Option<&[(&str, String)]>,
    ) -> Result<Sent, PipelineError> {
        let ready = self.signing.ready(webhook)?;
        let mut url = ready.url.clone();
        if let Some(query) = query {
            url.query_pairs_mut().extend_pairs(query);
        }
        fields.push(("user-agent".to_owned(), concat!("Hookwright/", env!("CARGO_PKG_VERSION")).to_owned()));
        let hidden = |(name, value): &hookwright_model::Header| {
            let secret = name == HOOK_SECRET || name == "webhook-request-callback";
            (name.clone(), if secret { HIDDEN.to_owned() } else { value.clone() })
        };
        let logged = fields.iter().map(hidden).collect();
        let mut sent = self.transmit.send_to(&ready, webhook, method, url, &fields, logged, Bytes::new()).await?;
        sent.secrets.extend(webhook.confirmation.token.is_some().then(|| self.transmit.token_of(webhook)).transpose()?);
        Ok(sent)
    }

    /// The webhook whose receiver was sent the link with this token.
    ///
    /// # Errors
    /// The token is unknown, or its link was used already or has expired.
    pub fn webhook_of_link(&self, token: &str) -> Result<Arc<Webhook>, PipelineError> {
        let asked = self.catalogue.webhook_by_token(&token_digest(token)).ok_or_else(link_not_valid)?;
        if asked.confirmation.expires_at.is_some_and(|until| until <= self.clock.now()) {
            return Err(gone("this link has expired: POST /v1/webhooks/{id}/verify sends a new one"));
        }
        Ok(asked)
    }

    /// Confirms the webhook of the link with this token. A link works once. `allowed_rate` is the value of the header
    /// field `WebHook-Allowed-Rate`, if present (CloudEvents 1.0, HTTP Webhook, section 4.1.3).
    ///
    /// # Errors
    /// The token is unknown, or its link was used already or has expired.
    pub async fn follow_link(&self, token: &str, allowed_rate: Option<&str>) -> Result<Confirmed, PipelineError> {
        let asked = self.webhook_of_link(token)?;
        let asks_for_rate = asked.confirmation.handshake == Handshake::CloudeventsOptions;
        let rate = allowed_rate.filter(|_| asks_for_rate).and_then(per_minute);
        let webhook = self.confirm(&asked, rate).await?.ok_or_else(link_not_valid)?;
        let topic_arn = match self.signing.signing_of(&webhook)?.0 {
            SigningPolicy::Sns(SnsPolicy { topic_arn: Some(topic_arn), .. }) => topic_arn,
            _ => topic_arn(&webhook),
        };
        Ok(Confirmed { topic_arn, webhook })
    }

    /// Records that the receiver wants to be called. `asked` is the webhook as it was when the verification request was
    /// sent. `None`: that request is no longer the current one, because it was answered or repeated in the meantime, or
    /// the webhook's url was changed.
    async fn confirm(&self, asked: &Webhook, rate: Option<Rate>) -> Result<Option<Webhook>, PipelineError> {
        let _changing = self.changing.lock(&asked.space).await;
        let mut webhook = self.catalogue.existing_webhook(&asked.space, asked.id.as_str())?;
        if webhook.confirmation.given() || webhook.confirmation.token_digest != asked.confirmation.token_digest {
            return Ok(None);
        }
        let now = self.clock.now();
        let kept = if webhook.confirmation.handshake == Handshake::HookSecret {
            webhook.confirmation.token.take()
        } else {
            None
        };
        webhook.confirmation = Confirmation {
            handshake: webhook.confirmation.handshake,
            confirmed_at: Some(now),
            token: kept,
            ..Confirmation::default()
        };
        webhook.rate = slower(webhook.rate, rate);
        webhook.came_to(Some("the receiver confirmed that it wants to be called".to_owned()), "receiver", now);
        webhook.updated_at = now;
        self.store.webhooks.put_webhook(&webhook).await?;
        self.catalogue.put_webhook(webhook.clone());
        let notice = self.notices.notice_state(&webhook, "confirmed", None)?;
        self.store.events.append_own(vec![notice]).await?;
        Ok(Some(webhook))
    }

    /// Sends the verification request again with a new link; the previous link stops working.
    pub async fn verify_again(&self, space: &SpaceId, id: &str, by: &Author) -> Result<Webhook, PipelineError> {
        let changing = self.changing.lock(space).await;
        let mut webhook = self.catalogue.existing_webhook(space, id)?;
        if webhook.confirmation.given() {
            return Err(PipelineError::Conflict {
                code: "webhook.confirmed",
                message: "the webhook is confirmed already, or needs no confirmation".to_owned(),
            });
        }
        webhook.confirmation = self.unconfirmed(webhook.confirmation.handshake)?;
        webhook.updated_at = self.clock.now();
        self.store.webhooks.put_webhook(&webhook).await?;
        self.catalogue.put_webhook(webhook.clone());
        drop(changing);
        self.queue_verification(&webhook, by).await?;
        Ok(webhook)
    }
}

fn gone(message: &str) -> PipelineError {
    PipelineError::Gone { code: "confirmation.gone", message: message.to_owned() }
}

fn link_not_valid() -> PipelineError {
    gone("this link was used already, was replaced by a newer one, or is not valid")
}

/// A receiver's consent, with the rate that it allows.
pub(crate) struct Approval {
    rate: Option<Rate>,
}

/// A receiver's answer to a verification request.
pub(crate) enum Consent {
    /// It wants to be called.
    Given(Approval),
    /// It does not want to be called, for this reason.
    Refused(String),
    /// Undecided: a link may be followed later, or there was no answer.
    Later,
}

impl Consent {
    /// The consent of a handshake that the receiver answers at once.
    fn at_once(given: bool, otherwise: &str) -> Self {
        if given { Self::Given(Approval { rate: None }) } else { Self::Refused(otherwise.to_owned()) }
    }
}

/// Whether an answer allows our origin, and at which rate (CloudEvents 1.0, HTTP Webhook, section 4.2). An answer that
/// allows no origin may be followed by a request to the callback.
fn allowed(answer: &Answer, origin: &str) -> Consent {
    let field = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let (Some(origins), 200..=299) = (field("webhook-allowed-origin"), answer.status) else { return Consent::Later };
    if origins == "*" || origins.eq_ignore_ascii_case(origin) {
        return Consent::Given(Approval { rate: field("webhook-allowed-rate").and_then(per_minute) });
    }
    let shown: String = origins.chars().take(200).collect();
    Consent::Refused(format!(
        "the receiver allows another origin: WebHook-Allowed-Origin is `{shown}`, expected `{origin}` or `*`"
    ))
}

/// Requests per minute (CloudEvents 1.0, HTTP Webhook, section 4.2.2). `None` for `*`, which allows any rate.
fn per_minute(allowed: &str) -> Option<Rate> {
    let requests = allowed.trim().parse::<u32>().ok()?;
    Some(Rate { requests: requests.clamp(1, 100_000), per_seconds: 60 })
}

/// The slower of the webhook's own rate and the rate that the receiver allows.
fn slower(own: Option<Rate>, allowed: Option<Rate>) -> Option<Rate> {
    let pace = |rate: &Rate| f64::from(rate.requests) / f64::from(rate.per_seconds.max(1));
    match (own, allowed) {
        (Some(own), Some(allowed)) if pace(&own) <= pace(&allowed) => Some(own),
        (own, None) => own,
        (_, allowed) => allowed,
    }
}
