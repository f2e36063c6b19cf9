//! Asking a webhook's receiver whether it wants to be called, and its answer.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use hookwright_egress::Answer;
use hookwright_model::{
    Confirmation, Data, Event, EventDraft, Failure, Handshake, NewDelivery, NewEvent, Plan, Purpose, Rate,
    SigningPolicy, SnsPolicy, SpaceId, Webhook,
};
use hookwright_signing::{SnsEnvelope, SnsKind};
use http::Method;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::delivery::{HIDDEN, HOOK_SECRET, Item, Sent};
use super::lanes::Said;
use super::message::{Shape, Shaped};
use super::signers::Ready;
use crate::{Pipeline, PipelineError};

/// For how long a link works.
const LINK_WORKS: Duration = Duration::from_secs(3 * 86_400);
/// The lease that WebSub's challenge speaks of, in seconds.
const LEASE: u32 = 365 * 86_400;

/// What the envelope of Amazon SNS says, owned.
pub(super) struct Envelope {
    kind: SnsKind,
    topic_arn: String,
    token: Option<String>,
    link: Option<String>,
    unsubscribe: Option<String>,
    certificate: String,
}

impl Envelope {
    pub(super) fn borrowed(&self) -> SnsEnvelope<'_> {
        SnsEnvelope {
            kind: self.kind,
            topic_arn: &self.topic_arn,
            subject: None,
            token: self.token.as_deref(),
            subscribe_url: self.link.as_deref(),
            unsubscribe_url: self.unsubscribe.as_deref(),
            certificate_url: &self.certificate,
        }
    }
}

/// What following a link came to.
#[derive(Clone, Debug)]
pub struct Confirmed {
    /// The webhook.
    pub webhook: Webhook,
    /// The topic that its messages say they are of, in the words of Amazon SNS.
    pub topic_arn: String,
}

/// The topic that a webhook's messages say they are of.
fn topic_arn(webhook: &Webhook) -> String {
    format!("arn:aws:sns:hookwright:{}:{}", webhook.space, webhook.id)
}

impl Pipeline {
    /// A confirmation that nobody has given yet, with a link that is new.
    pub(crate) fn unconfirmed(&self, handshake: Handshake) -> Result<Confirmation, PipelineError> {
        if handshake == Handshake::None {
            return Ok(Confirmation::default());
        }
        let token = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        Ok(Confirmation {
            handshake,
            confirmed_at: None,
            token_digest: Some(digest(&token)),
            token: Some(self.vault.seal(token.as_bytes())?),
            expires_at: Some(self.now().after(LINK_WORKS)),
        })
    }

    fn token_of(&self, webhook: &Webhook) -> Result<String, PipelineError> {
        let sealed = webhook.confirmation.token.as_deref().unwrap_or_default();
        let token = self.vault.open_sealed(sealed)?;
        String::from_utf8(token).map_err(|_| PipelineError::Vault("the link cannot be read".to_owned()))
    }

    fn link_of(&self, webhook: &Webhook) -> Result<String, PipelineError> {
        Ok(format!("{}/confirm/{}", self.public_url(), self.token_of(webhook)?))
    }

    /// Queues the question. The journal says which link it is about, not the link itself.
    pub(crate) async fn queue_question(&self, webhook: &Webhook) -> Result<(), PipelineError> {
        let data = json!({"id": webhook.number, "link": webhook.confirmation.token_digest});
        self.send_own(webhook, "webhook.verify", &data, Purpose::Confirmation).await?;
        Ok(())
    }

    /// Appends an event of Hookwright's own that goes to this webhook and sets nothing else in motion.
    pub(super) async fn send_own(
        &self,
        webhook: &Webhook,
        event_type: &str,
        data: &serde_json::Value,
        purpose: Purpose,
    ) -> Result<String, PipelineError> {
        let source = super::notices::source_of(webhook);
        let draft = EventDraft::json(event_type, &source, Some(webhook.id.to_string()), data, None);
        let event = draft.accept(&webhook.space, self.now())?;
        let id = event.id.clone();
        let plan = Plan { deliveries: vec![NewDelivery::now(webhook, purpose)], ..Plan::default() };
        self.store.append(vec![NewEvent { event, plan }]).await?;
        Ok(id)
    }

    /// What the envelope of a message says, if its policy has one.
    pub(super) fn sns_envelope(
        &self,
        webhook: &Webhook,
        ready: &Ready,
        purpose: Purpose,
    ) -> Result<Option<Envelope>, PipelineError> {
        let SigningPolicy::Sns(policy) = &ready.policy else { return Ok(None) };
        let asks = purpose == Purpose::Confirmation;
        let topic_arn = policy.topic_arn.clone().unwrap_or_else(|| topic_arn(webhook));
        let link = if asks { Some(self.link_of(webhook)?) } else { None };
        let key = ready.key.as_deref().unwrap_or_default();
        let base = self.public_url();
        Ok(Some(Envelope {
            kind: if asks { SnsKind::SubscriptionConfirmation } else { SnsKind::Notification },
            topic_arn,
            token: if asks { Some(self.token_of(webhook)?) } else { None },
            link,
            // Amazon's link takes the subscription away for whoever follows it; ours only leads to where its owner can.
            unsubscribe: (!asks).then(|| format!("{base}/v1/webhooks/{}", webhook.id)),
            certificate: format!("{base}/certificates/{}/{}/{key}.pem", webhook.space, webhook.id),
        }))
    }

    /// Asks the receiver, and takes its answer if it gives one at once.
    pub(super) async fn ask_receiver(&self, webhook: &Arc<Webhook>, item: Item) -> Result<Said, PipelineError> {
        let about = item.event.data_value();
        let reason = if webhook.confirmation.given() {
            Some("the receiver has confirmed since")
        } else if about.get("link").and_then(|link| link.as_str()) != webhook.confirmation.token_digest.as_deref() {
            Some("the receiver was asked again since, with another link")
        } else {
            None
        };
        if let Some(reason) = reason {
            self.drop_item(webhook, item, reason.to_owned()).await?;
            return Ok(Said::Nothing);
        }
        let handshake = webhook.confirmation.handshake;
        let asked = match handshake {
            Handshake::None | Handshake::Sns | Handshake::WebhookVerify => self.ask_by_link(webhook, &item).await,
            Handshake::CloudeventsOptions => self.ask_options(webhook).await,
            Handshake::WebsubChallenge => self.ask_challenge(webhook).await,
            Handshake::HookSecret => self.ask_hook_secret(webhook).await,
        };
        let (sent, yes) = match asked {
            Ok(asked) => asked,
            Err(error) => return self.unsendable(webhook, vec![item], error).await,
        };
        // With these the answer says it; with the others a link that may be followed later.
        let at_once = matches!(handshake, Handshake::WebsubChallenge | Handshake::HookSecret);
        let said = self.conclude(webhook, vec![item], sent, at_once && yes.is_none()).await?;
        if let Some(yes) = yes {
            self.confirm(webhook, yes.rate).await?;
        }
        Ok(said)
    }

    /// Sends the message that carries the link, which the log does not show.
    async fn ask_by_link(&self, webhook: &Arc<Webhook>, item: &Item) -> Result<(Sent, Option<Yes>), PipelineError> {
        let shaped = match self.question(webhook, item).await? {
            Shape::Send(shaped) => shaped,
            Shape::Drop(reason) => return Err(Failure::permanent("webhook.unconfirmable", reason).into()),
            Shape::Wait(unavailable) => {
                return Err(Failure::transient("plugin.unavailable", unavailable.reason).into());
            }
            Shape::Failed(failure) => return Err(failure.into()),
        };
        let id = &item.delivery.message_id;
        let mut sent = self.send_signed(webhook, &item.event, id, shaped, Purpose::Confirmation).await?;
        let token = self.token_of(webhook)?;
        sent.request_body = match std::str::from_utf8(&sent.request_body) {
            Ok(text) if text.contains(&token) => Bytes::from(text.replace(&token, HIDDEN)),
            // It stands there in another form, as within a JSON Web Token.
            _ => Bytes::from_static(HIDDEN.as_bytes()),
        };
        Ok((sent, None))
    }

    /// The message that carries the link.
    async fn question(&self, webhook: &Arc<Webhook>, item: &Item) -> Result<Shape, PipelineError> {
        if webhook.confirmation.handshake == Handshake::Sns {
            let text = format!(
                "You have asked to be told of events at this address. To confirm that, follow the SubscribeURL of this \
                 message before {}.",
                webhook.confirmation.expires_at.map(|at| at.to_string()).unwrap_or_default()
            );
            let content_type = "text/plain; charset=UTF-8".to_owned();
            return Ok(Shape::Send(Shaped { headers: Vec::new(), content_type, body: Bytes::from(text) }));
        }
        let data = json!({"id": webhook.number, "callback": self.link_of(webhook)?});
        let payload = Bytes::from(data.to_string());
        let event = Event { data: Data::Span(0, payload.len()), payload, ..item.event.clone() };
        self.shape(webhook, &item.delivery, &event).await
    }

    /// CloudEvents 1.0, HTTP Webhook, section 4.1.
    async fn ask_options(&self, webhook: &Webhook) -> Result<(Sent, Option<Yes>), PipelineError> {
        let origin = self.public_host();
        let mut fields = vec![
            ("webhook-request-origin".to_owned(), origin.clone()),
            ("webhook-request-callback".to_owned(), self.link_of(webhook)?),
        ];
        if let Some(Rate { requests, per_seconds }) = webhook.rate {
            let per_minute = u64::from(requests).saturating_mul(60).checked_div(u64::from(per_seconds)).unwrap_or(0);
            fields.push(("webhook-request-rate".to_owned(), per_minute.max(1).to_string()));
        }
        let sent = self.send_plain(webhook, Method::OPTIONS, fields, None).await?;
        let yes = sent.result.as_ref().ok().and_then(|answer| allowed(answer, &origin));
        Ok((sent, yes))
    }

    /// W3C WebSub, section 5.3: the receiver repeats the challenge.
    async fn ask_challenge(&self, webhook: &Webhook) -> Result<(Sent, Option<Yes>), PipelineError> {
        let challenge = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 24]>());
        let topic = webhook.events.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let query = [
            ("hub.mode", "subscribe".to_owned()),
            ("hub.topic", topic),
            ("hub.challenge", challenge.clone()),
            ("hub.lease_seconds", LEASE.to_string()),
        ];
        let sent = self.send_plain(webhook, Method::GET, Vec::new(), Some(&query)).await?;
        let repeats =
            |answer: &Answer| (200..300).contains(&answer.status) && answer.body.trim_ascii() == challenge.as_bytes();
        let yes = sent.result.as_ref().is_ok_and(repeats).then_some(Yes { rate: None });
        Ok((sent, yes))
    }

    /// REST Hooks: the receiver repeats the header field.
    async fn ask_hook_secret(&self, webhook: &Webhook) -> Result<(Sent, Option<Yes>), PipelineError> {
        let secret = self.token_of(webhook)?;
        let fields = vec![(HOOK_SECRET.to_owned(), secret.clone())];
        let sent = self.send_plain(webhook, Method::POST, fields, None).await?;
        let repeats = |answer: &Answer| {
            let field = answer.headers.get(HOOK_SECRET).map_or(&[][..], |value| value.as_bytes());
            (200..300).contains(&answer.status) && Sha256::digest(field) == Sha256::digest(secret.as_bytes())
        };
        let yes = sent.result.as_ref().is_ok_and(repeats).then_some(Yes { rate: None });
        Ok((sent, yes))
    }

    /// A request without a message.
    async fn send_plain(
        &self,
        webhook: &Webhook,
        method: Method,
        mut fields: Vec<hookwright_model::Header>,
        query: Option<&[(&str, String)]>,
    ) -> Result<Sent, PipelineError> {
        let ready = self.ready(webhook)?;
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
        self.send_to(&ready, webhook, method, url, &fields, logged, Bytes::new()).await
    }

    /// Somebody has followed the link with this token. It works once. `allowed_rate` is what the header field
    /// `WebHook-Allowed-Rate` said, if it was there (CloudEvents 1.0, HTTP Webhook, section 4.1.3).
    ///
    /// # Errors
    /// There is none, it was followed already, or it is too old.
    pub async fn follow_link(&self, token: &str, allowed_rate: Option<&str>) -> Result<Confirmed, PipelineError> {
        let asked = self.catalogue.webhook_by_token(&digest(token)).ok_or_else(used)?;
        if asked.confirmation.expires_at.is_some_and(|until| until <= self.now()) {
            return Err(gone("this link is too old: POST /v1/webhooks/{id}/verify sends a new one"));
        }
        let asks_for_rate = asked.confirmation.handshake == Handshake::CloudeventsOptions;
        let rate = allowed_rate.filter(|_| asks_for_rate).and_then(per_minute);
        let webhook = self.confirm(&asked, rate).await?.ok_or_else(used)?;
        let topic_arn = match self.signing_of(&webhook)?.0 {
            SigningPolicy::Sns(SnsPolicy { topic_arn: Some(topic_arn), .. }) => topic_arn,
            _ => topic_arn(&webhook),
        };
        Ok(Confirmed { topic_arn, webhook })
    }

    /// Takes down that the receiver wants to be called that was asked as `asked` says. None: the question is no longer
    /// that one, since it was answered meanwhile, asked anew, or the webhook has moved to another receiver.
    async fn confirm(&self, asked: &Webhook, rate: Option<Rate>) -> Result<Option<Webhook>, PipelineError> {
        let _changing = self.changing.lock().await;
        let mut webhook = self.webhook(&asked.space, asked.id.as_str())?;
        if webhook.confirmation.given() || webhook.confirmation.token_digest != asked.confirmation.token_digest {
            return Ok(None);
        }
        let now = self.now();
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
        webhook.state_reason = Some("the receiver confirmed that it wants to be called".to_owned());
        webhook.state_by = Some("receiver".to_owned());
        webhook.state_at = Some(now);
        webhook.updated_at = now;
        self.store.put_webhook(&webhook).await?;
        self.catalogue.put_webhook(webhook.clone());
        let notice = self.notice_state(&webhook, "confirmed")?;
        self.store.append(vec![notice]).await?;
        Ok(Some(webhook))
    }

    /// Asks the receiver again, with a new link; the old one no longer works.
    pub async fn verify_again(&self, space: &SpaceId, id: &str) -> Result<Webhook, PipelineError> {
        let changing = self.changing.lock().await;
        let mut webhook = self.webhook(space, id)?;
        if webhook.confirmation.given() {
            return Err(PipelineError::Conflict {
                code: "webhook.confirmed",
                message: "the webhook is confirmed already, or needs no confirmation".to_owned(),
            });
        }
        webhook.confirmation = self.unconfirmed(webhook.confirmation.handshake)?;
        webhook.updated_at = self.now();
        self.store.put_webhook(&webhook).await?;
        self.catalogue.put_webhook(webhook.clone());
        drop(changing);
        self.queue_question(&webhook).await?;
        Ok(webhook)
    }
}

fn gone(message: &str) -> PipelineError {
    PipelineError::Conflict { code: "confirmation.gone", message: message.to_owned() }
}

fn used() -> PipelineError {
    gone("this link was followed already, was replaced by a newer one, or never was one")
}

/// A receiver's yes, with the rate that it allows.
pub(super) struct Yes {
    rate: Option<Rate>,
}

/// Whether an answer allows our origin, and how much (CloudEvents 1.0, HTTP Webhook, section 4.2).
fn allowed(answer: &Answer, origin: &str) -> Option<Yes> {
    let field = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let origins = field("webhook-allowed-origin")?;
    let ours = (200..300).contains(&answer.status) && (origins == "*" || origins.eq_ignore_ascii_case(origin));
    ours.then(|| Yes { rate: field("webhook-allowed-rate").and_then(per_minute) })
}

/// Requests a minute (CloudEvents 1.0, HTTP Webhook, section 4.2.2); none for `*`, which is as many as there are.
fn per_minute(allowed: &str) -> Option<Rate> {
    let requests = allowed.trim().parse::<u32>().ok()?;
    Some(Rate { requests: requests.clamp(1, 100_000), per_seconds: 60 })
}

/// The slower one of what the owner wants and what the receiver allows.
fn slower(own: Option<Rate>, allowed: Option<Rate>) -> Option<Rate> {
    let pace = |rate: &Rate| f64::from(rate.requests) / f64::from(rate.per_seconds.max(1));
    match (own, allowed) {
        (Some(own), Some(allowed)) if pace(&own) <= pace(&allowed) => Some(own),
        (own, None) => own,
        (_, allowed) => allowed,
    }
}

fn digest(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}
