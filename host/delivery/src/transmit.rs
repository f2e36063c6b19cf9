//! Signs one request to a webhook, sends it, judges the response, and records the outcome for its deliveries.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hookwright_egress::{Answer, Failed, Outgoing};
use hookwright_foundation::error::PipelineError;
use hookwright_foundation::keyed_locks::KeyedLocks;
use hookwright_foundation::outcome_log;
use hookwright_foundation::outcome_log::DeadLetters;
use hookwright_foundation::settings::PipelineSettings;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_invoke::egress::Egress;
use hookwright_model::{
    Attempt, AttemptOutcome, Delivery, DeliveryState, Event, Exhausted, Gone, HOPS_HEADER, Handshake, HeadOfLine,
    Header, Purpose, Redactor, SigningPolicy, SpaceId, Timestamp, Timing, Webhook,
};
use hookwright_routing::catalogue::Catalogue;
use hookwright_signing::{SnsEnvelope, SnsKind, Unsigned};
use hookwright_store::{AttemptCommit, Store, Tried, Vault, WebhookChange, fault_point};
use http::Method;

use crate::feedback::Feedback;
use crate::fields;
use crate::fields::{HIDDEN, MAX_LOGGED_BYTES, OwnHeader};
use crate::message::{Messages, Shaped, readable};
use crate::notices::{Exceptions, FailedRequest, Notices};
use crate::queues::{DeliveryQueues, RequestOutcome};
use crate::signers::{Ready, Signing};

/// How long a delivery waits for a plugin that cannot be called.
pub(crate) const WAIT_FOR_PLUGIN: Duration = Duration::from_secs(15);

const AGENT: &str = concat!("Hookwright/", env!("CARGO_PKG_VERSION"));

/// Signs and sends one request, and records its outcome.
pub struct Transmit {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) changing: Arc<KeyedLocks<SpaceId>>,
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) egress: Arc<Egress>,
    pub(crate) exceptions: Arc<Exceptions>,
    pub(crate) delivery_queues: Arc<DeliveryQueues>,
    pub(crate) settings: Arc<PipelineSettings>,
    pub(crate) store: Store,
    pub(crate) vault: Arc<Vault>,
    pub(crate) messages: Arc<Messages>,
    pub(crate) notices: Arc<Notices>,
    pub(crate) signing: Arc<Signing>,
}

impl Transmit {
    /// Checks a webhook's queue at once, so that its deliveries end now. Called after the webhook was disabled or
    /// deleted and the catalogue shows that. Nothing is stored for it, because it follows from the webhook's state.
    pub fn look_at_queue(&self, space: &SpaceId, queue: u64) {
        self.delivery_queues.look_at(&(space.clone(), queue), self.clock.now());
        self.delivery_queues.ended.notify_one();
    }

    /// Whether the webhook's url, and so its receiver, has changed since `webhook` was read.
    pub(crate) fn has_moved(&self, webhook: &Webhook) -> bool {
        let current = self.catalogue.webhook_of_queue(&webhook.space, webhook.number);
        current.is_some_and(|current| current.url != webhook.url)
    }
}

/// The content of an Amazon SNS envelope, owned.
pub(crate) struct Envelope {
    kind: SnsKind,
    topic_arn: String,
    token: Option<String>,
    link: Option<String>,
    unsubscribe: Option<String>,
    certificate: String,
}

impl Envelope {
    pub(crate) fn borrowed(&self) -> SnsEnvelope<'_> {
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

/// The topic that a webhook's messages name.
pub(crate) fn topic_arn(webhook: &Webhook) -> String {
    format!("arn:aws:sns:hookwright:{}:{}", webhook.space, webhook.id)
}

impl Transmit {
    pub(crate) fn token_of(&self, webhook: &Webhook) -> Result<String, PipelineError> {
        let sealed = webhook.confirmation.token.as_deref().unwrap_or_default();
        let token = self.vault.open_sealed(sealed)?;
        String::from_utf8(token).map_err(|_| PipelineError::Vault("the link cannot be read".to_owned()))
    }

    pub(crate) fn link_of(&self, webhook: &Webhook) -> Result<String, PipelineError> {
        Ok(format!("{}/confirm/{}", self.settings.public_url(), self.token_of(webhook)?))
    }

    /// The envelope of a message, if its policy has one.
    pub(crate) fn sns_envelope(
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
        let base = self.settings.public_url();
        Ok(Some(Envelope {
            kind: if asks { SnsKind::SubscriptionConfirmation } else { SnsKind::Notification },
            topic_arn,
            token: if asks { Some(self.token_of(webhook)?) } else { None },
            link,
            // Amazon's link ends the subscription for whoever follows it; ours only leads to where its owner can do
            // that.
            unsubscribe: (!asks).then(|| format!("{base}/v1/webhooks/{}", webhook.id)),
            certificate: format!("{base}/certificates/{}/{}/{key}.pem", webhook.space, webhook.id),
        }))
    }
}

/// A delivery that is due.
pub(crate) struct Item {
    pub(crate) due: Timestamp,
    pub(crate) delivery: Delivery,
    pub(crate) event: Arc<Event>,
}

/// A request that was made, and its result.
pub(crate) struct Sent {
    /// The request's header fields as the log shows them.
    pub(crate) request_headers: Vec<Header>,
    pub(crate) request_body: Bytes,
    /// The secrets in it, which are redacted wherever the receiver repeats them.
    pub(crate) secrets: Vec<String>,
    pub(crate) started_at: Timestamp,
    pub(crate) duration: Duration,
    pub(crate) result: Result<Answer, Failed>,
}

impl Transmit {
    /// Records that a delivery is not sent, and why.
    pub(crate) async fn drop_item(
        &self,
        webhook: &Arc<Webhook>,
        mut item: Item,
        reason: String,
    ) -> Result<(), PipelineError> {
        let now = self.clock.now();
        finish(&mut item.delivery, DeliveryState::Dropped, Some(reason), now);
        self.unattempted(webhook, item, now).await
    }

    /// Records a delivery that changed without an attempt.
    pub(crate) async fn unattempted(
        &self,
        webhook: &Arc<Webhook>,
        item: Item,
        now: Timestamp,
    ) -> Result<(), PipelineError> {
        let Item { due, delivery, .. } = item;
        let expected_attempts = delivery.attempts;
        let tried = Tried { delivery, expected_attempts, attempt: None, due_was: Some(due), release_key: false };
        self.record(webhook, now, vec![tried], None).await
    }

    /// The header fields of a request before it is signed, and which of them are the webhook's own.
    pub(crate) fn unsigned_fields(
        &self,
        webhook: &Webhook,
        event: &Event,
        mut fields: Vec<Header>,
    ) -> Result<(Vec<Header>, Vec<OwnHeader>), PipelineError> {
        let own = self.messages.own_headers(webhook, event)?;
        fields::set_default(&mut fields, "user-agent", AGENT);
        if webhook.confirmation.handshake == Handshake::CloudeventsOptions {
            // CloudEvents 1.0, HTTP Webhook, section 4.1.2: after the permission, each delivery names its origin.
            fields.push(("webhook-request-origin".to_owned(), self.settings.public_host()));
        }
        for header in &own {
            fields::set(&mut fields, &header.name, header.value.clone());
        }
        fields::set(&mut fields, HOPS_HEADER, event.depth().to_string());
        fields::check_size(&fields)?;
        Ok((fields, own))
    }

    /// Signs a message and sends it.
    pub(crate) async fn send_signed(
        &self,
        webhook: &Webhook,
        event: &Event,
        id: &str,
        shaped: Shaped,
        purpose: Purpose,
    ) -> Result<Sent, PipelineError> {
        fault_point("delivery.before-send");
        let ready = self.signing.ready(webhook)?;
        let (mut fields, own) = self.unsigned_fields(webhook, event, shaped.headers)?;
        // There is one such field, and it is the one that signatures cover.
        let own_type = fields::take_content_type(&mut fields);
        if let Some(own_type) = &own_type {
            readable(own_type, &shaped.body)?;
        }
        let content_type = own_type.unwrap_or(shaped.content_type);
        let started_at = self.clock.now();
        let envelope = self.sns_envelope(webhook, &ready, purpose)?;
        let unsigned = Unsigned {
            id,
            time: started_at,
            method: "POST",
            url: ready.url.as_str(),
            webhook: Some(webhook.id.as_str()),
            event_type: &event.event_type,
            headers: &fields,
            content_type: &content_type,
            body: &shaped.body,
            envelope: envelope.as_ref().map(crate::transmit::Envelope::borrowed),
        };
        let signed = ready.signer.sign(&unsigned)?;
        for (name, value) in signed.headers {
            fields::set(&mut fields, &name, value);
        }
        fields::set(&mut fields, "content-type", signed.content_type);
        let request_headers = fields::logged(&fields, &own);
        let url = ready.url.clone();
        let mut sent = self.send_to(&ready, webhook, Method::POST, url, &fields, request_headers, signed.body).await?;
        sent.secrets.extend(own.into_iter().flat_map(|header| header.secrets));
        Ok(sent)
    }

    /// Sends a request to the webhook's receiver, with an access token if the webhook has OAuth settings.
    #[expect(clippy::too_many_arguments, reason = "each is another part of the request")]
    pub(crate) async fn send_to(
        &self,
        ready: &Ready,
        webhook: &Webhook,
        method: Method,
        url: url::Url,
        fields: &[Header],
        mut request_headers: Vec<Header>,
        body: Bytes,
    ) -> Result<Sent, PipelineError> {
        let mut headers = fields::header_map(fields)?;
        let started_at = self.clock.now();
        let began = Instant::now();
        let token = match &ready.tokens {
            None => None,
            Some(source) => match self.egress.token(source).await {
                Ok(token) => {
                    headers.insert(http::header::AUTHORIZATION, token.header().clone());
                    request_headers.push(("authorization".to_owned(), HIDDEN.to_owned()));
                    Some((source, token))
                }
                Err(failed) => {
                    let duration = began.elapsed();
                    let (request_body, secrets, result) = (body, Vec::new(), Err(failed));
                    return Ok(Sent { request_headers, request_body, secrets, started_at, duration, result });
                }
            },
        };
        let outgoing = Outgoing {
            headers,
            body: body.clone(),
            timeout: Duration::from_millis(u64::from(webhook.timeout_ms)),
            body_limit: MAX_LOGGED_BYTES,
            // Receivers identify repeats by the webhook-id.
            repeatable: true,
            transport: ready.transport.clone(),
            ..Outgoing::new(method, url)
        };
        let result = self.egress.send(outgoing).await;
        let mut secrets = Vec::new();
        if let Some((source, token)) = token {
            secrets.extend(
                token.header().to_str().ok().and_then(|value| value.split_once(' ')).map(|(_, t)| t.to_owned()),
            );
            if let Ok(Answer { status: 401, .. }) = &result {
                source.invalidate(&token);
            }
        }
        Ok(Sent { request_headers, request_body: body, secrets, started_at, duration: began.elapsed(), result })
    }

    /// Records a request that could not be made.
    pub(crate) async fn unsendable(
        &self,
        webhook: &Arc<Webhook>,
        items: Vec<Item>,
        error: PipelineError,
    ) -> Result<RequestOutcome, PipelineError> {
        let failed = match error {
            PipelineError::Store(_) => return Err(error),
            PipelineError::Failed(failure) => failure,
            other => hookwright_model::Failure::permanent(other.code(), other.to_string()),
        };
        let now = self.clock.now();
        let sent = Unsent { failed, now };
        self.conclude_with(webhook, items, sent.outcome(), None, None, now).await?;
        Ok(RequestOutcome::NotSent)
    }

    /// Determines the outcome of a request and records it. `refused`: why the request failed although it was answered
    /// with 2xx.
    pub(crate) async fn conclude(
        &self,
        webhook: &Arc<Webhook>,
        items: Vec<Item>,
        sent: Sent,
        refused: Option<String>,
    ) -> Result<RequestOutcome, PipelineError> {
        fault_point("delivery.after-send");
        let timing = match &sent.result {
            Ok(answer) => answer.timing,
            Err(failed) => failed.timing,
        };
        let redactor = Redactor::new(&sent.secrets);
        // One instant for everything that is calculated from the end of the request.
        let now = self.clock.now();
        let feedback = Feedback::of(&sent.result, now);
        let request_outcome = feedback.outcome;
        let outcome = match sent.result {
            Ok(answer) => AttemptOutcome::Answered {
                status: answer.status,
                headers: fields::bounded(fields::logged_answer(&answer.headers, &redactor)),
                body: fields::cut(&redactor.bytes(&answer.body, answer.truncated)),
            },
            Err(failed) => AttemptOutcome::Failed {
                code: failed.code().to_owned(),
                message: redactor.text(&failed.error.to_string()),
            },
        };
        let attempt = Attempt {
            number: 0,
            started_at: sent.started_at,
            duration_ms: u64::try_from(sent.duration.as_millis()).unwrap_or(u64::MAX),
            timing: Timing {
                dns_us: timing.dns,
                connect_us: timing.connect,
                tls_us: timing.tls,
                first_byte_us: timing.first_byte,
                reused: timing.reused,
            },
            url: webhook.url.clone(),
            request_headers: fields::bounded(sent.request_headers),
            request_body: fields::cut(&sent.request_body),
            batch: u32::try_from(items.len()).ok().filter(|count| *count > 1),
            batch_first: None,
            outcome,
        };
        self.conclude_with(webhook, items, attempt, Some(feedback), refused, now).await?;
        Ok(request_outcome)
    }

    async fn conclude_with(
        &self,
        webhook: &Arc<Webhook>,
        items: Vec<Item>,
        attempt: Attempt,
        feedback: Option<Feedback>,
        refused: Option<String>,
        now: Timestamp,
    ) -> Result<(), PipelineError> {
        let succeeded = attempt.outcome.succeeded() && refused.is_none();
        let error = attempt.outcome.error().or(refused).unwrap_or_default();
        // The former receiver's answer does not delay the next attempt, which goes to the present receiver.
        let feedback = feedback.filter(|_| !self.has_moved(webhook)).unwrap_or_default();
        let mut tries = Vec::with_capacity(items.len());
        let mut exhausted = Vec::new();
        let not_retryable = fields::too_large(&attempt.outcome);
        // The log stores the request of a batch once, with its first delivery.
        let first = attempt.batch.and_then(|_| items.first().map(|item| item.delivery.id));
        let later = first.map(|first| {
            let mut later = attempt.clone();
            later.refer_to(first);
            (first, later)
        });
        for Item { due, mut delivery, event } in items {
            let expected_attempts = delivery.attempts;
            delivery.attempts = delivery.attempts.saturating_add(1);
            let logged = match &later {
                Some((first, later)) if *first != delivery.id => later,
                _ => &attempt,
            };
            let attempt = Attempt { number: delivery.attempts, ..logged.clone() };
            let order = webhook.order.as_ref().filter(|_| delivery.key.is_some()).map(|order| order.on_failure);
            if succeeded {
                finish(&mut delivery, DeliveryState::Delivered, None, now);
            } else if feedback.gone {
                finish(&mut delivery, DeliveryState::Dead, Some(format!("{error}: gone permanently")), now);
            } else if order == Some(HeadOfLine::Park) {
                finish(&mut delivery, DeliveryState::Parked, Some(format!("{error}; parked")), now);
            } else {
                let delay = match delivery.purpose {
                    Purpose::Test => None,
                    _ if not_retryable => None,
                    _ => webhook.retry.delay(delivery.attempts, rand::random()),
                };
                match delay {
                    None => {
                        finish(&mut delivery, DeliveryState::Dead, Some(format!("{error}; no attempts left")), now);
                    }
                    Some(delay) => {
                        let delay = delay.max(feedback.retry_after.unwrap_or_default());
                        delivery.next_attempt_at = Some(now.after(delay));
                        delivery.last_error = Some(error.clone());
                    }
                }
            }
            if delivery.state == DeliveryState::Dead && delivery.purpose != Purpose::Test {
                exhausted.push((delivery.clone(), event));
            }
            let release_key = order == Some(HeadOfLine::Skip);
            tries.push(Tried { delivery, expected_attempts, attempt: Some(attempt), due_was: Some(due), release_key });
        }
        let failed = (!succeeded).then(|| {
            let deliveries: Vec<&Delivery> = tries.iter().map(|tried| &tried.delivery).collect();
            FailedRequest::of(&attempt, &error, &deliveries, webhook, now)
        });
        let dead = DeadLetters::of(webhook, &attempt, exhausted.iter().map(|(delivery, _)| delivery));
        let outcome = Outcome {
            failed,
            error: (!succeeded).then_some(error),
            gone: feedback.gone,
            dies: !exhausted.is_empty() && !feedback.gone && webhook.on_exhausted == Exhausted::Die,
            exhausted,
        };
        self.record(webhook, now, tries, Some(outcome)).await?;
        dead.log();
        Ok(())
    }

    /// Records the outcome of a request, with its consequences for the webhook, in one commit.
    async fn record(
        &self,
        webhook: &Arc<Webhook>,
        now: Timestamp,
        tries: Vec<Tried>,
        outcome: Option<Outcome>,
    ) -> Result<(), PipelineError> {
        let space = webhook.space.clone();
        let Some(outcome) = outcome else {
            let commit = AttemptCommit { space, now, tries, webhook: None, events: Vec::new(), mails: Vec::new() };
            self.store.attempts.record_attempts(commit).await?;
            return Ok(());
        };
        let mut events = Vec::new();
        for (delivery, event) in &outcome.exhausted {
            events.extend(self.notices.notice_exhausted(webhook, delivery, event)?);
        }
        let mails =
            outcome.failed.and_then(|failed| self.exceptions.record_failure(webhook, failed)).into_iter().collect();
        let ends = outcome.gone || outcome.dies;
        let error_changed =
            outcome.error != webhook.last_error && (outcome.error.is_some() || webhook.last_error.is_some());
        if !ends && !error_changed {
            let commit = AttemptCommit { space, now, tries, webhook: None, events, mails };
            self.store.attempts.record_attempts(commit).await?;
            return Ok(());
        }
        let _changing = self.changing.lock(&space).await;
        let current = self.catalogue.webhook(&space, webhook.id.as_str());
        // The answer of the former receiver is no evidence about a webhook whose url was changed.
        let mut changed = current.filter(|current| current.url == webhook.url).map(|current| (*current).clone());
        let (mut change, mut ended) = (None, None);
        if let Some(changed) = &mut changed {
            changed.last_error.clone_from(&outcome.error);
            if ends && changed.delivers() {
                let (reason, verb) = if outcome.gone {
                    changed.enabled = false;
                    ("the receiver answered 410 Gone".to_owned(), "disabled")
                } else {
                    changed.dead = true;
                    let last = outcome.error.clone().unwrap_or_default();
                    (format!("a delivery was dead-lettered after its last attempt: {last}"), "dead")
                };
                changed.came_to(Some(reason), if outcome.gone { "receiver" } else { "server" }, now);
                changed.updated_at = now;
                events.push(self.notices.notice_state(changed, verb, None)?);
                ended = Some(verb);
            }
            change = Some(if outcome.gone && changed.on_gone == Gone::Delete {
                WebhookChange::Delete(changed.id.clone())
            } else {
                WebhookChange::Put(Box::new(changed.clone()))
            });
        }
        let deleted = matches!(change, Some(WebhookChange::Delete(_)));
        self.store
            .attempts
            .record_attempts(AttemptCommit { space, now, tries, webhook: change, events, mails })
            .await?;
        if let (Some(changed), Some(verb)) = (&changed, ended) {
            outcome_log::webhook_ended(changed, if deleted { "deleted" } else { verb });
        }
        let Some(changed) = changed else { return Ok(()) };
        let queue = changed.number;
        if deleted {
            self.catalogue.remove_webhook(&changed.space, &changed.id);
        } else {
            self.catalogue.put_webhook(changed);
        }
        if ended.is_some() {
            self.look_at_queue(&webhook.space, queue);
        }
        Ok(())
    }
}

/// The consequences of a request, besides those for its deliveries.
struct Outcome {
    error: Option<String>,
    failed: Option<FailedRequest>,
    gone: bool,
    dies: bool,
    exhausted: Vec<(Delivery, Arc<Event>)>,
}

/// A request that could not be made.
struct Unsent {
    failed: hookwright_model::Failure,
    now: Timestamp,
}

impl Unsent {
    fn outcome(self) -> Attempt {
        Attempt {
            number: 0,
            started_at: self.now,
            duration_ms: 0,
            timing: Timing::default(),
            url: String::new(),
            request_headers: Vec::new(),
            request_body: String::new(),
            batch: None,
            batch_first: None,
            outcome: AttemptOutcome::Failed { code: self.failed.code, message: self.failed.message },
        }
    }
}

pub(crate) fn finish(delivery: &mut Delivery, state: DeliveryState, reason: Option<String>, now: Timestamp) {
    delivery.state = state;
    delivery.next_attempt_at = None;
    delivery.last_error = reason;
    delivery.finished_at = Some(now);
}
