//! One request to a webhook: shape the message, sign it, send it, write down what came of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hookwright_egress::{Answer, Failed, Outgoing};
use hookwright_model::{
    Attempt, AttemptOutcome, Delivery, DeliveryState, Event, Exhausted, Gone, Handshake, HeadOfLine, Header, Purpose,
    Timestamp, Timing, Webhook,
};
use hookwright_signing::Unsigned;
use hookwright_store::{AttemptCommit, Tried, WebhookChange, fault_point};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::hints::Hints;
use super::lanes::{LaneKey, Queued, Said};
use super::message::{Shape, Shaped, joined};
use super::signers::Ready;
use crate::{Pipeline, PipelineError};

/// How much of each body the log of attempts keeps, in bytes.
const LOGGED: usize = 64 * 1024;
/// After how long it is looked again for a plugin that cannot be called.
const WAIT_FOR_PLUGIN: Duration = Duration::from_secs(15);
const AGENT: &str = concat!("Hookwright/", env!("CARGO_PKG_VERSION"));
/// What the log shows of a header field that lets its reader in.
pub(super) const HIDDEN: &str = "***";
/// The header field in which a receiver of REST Hooks gets its secret, and repeats it.
pub(super) const HOOK_SECRET: &str = "x-hook-secret";

/// A delivery that is due.
pub(super) struct Item {
    due: Timestamp,
    pub(super) delivery: Delivery,
    pub(super) event: Event,
}

/// A request that was made, and what came of it.
pub(super) struct Sent {
    /// What the log shows of the request's header fields.
    pub(super) request_headers: Vec<Header>,
    pub(super) request_body: Bytes,
    pub(super) started_at: Timestamp,
    pub(super) duration: Duration,
    pub(super) result: Result<Answer, Failed>,
}

impl Pipeline {
    /// Sends what is due to a webhook, in one request if it wants it so.
    pub(super) async fn deliver(&self, webhook: &Arc<Webhook>, rows: &[Queued]) -> Result<Said, PipelineError> {
        let (mut together, mut alone) = (Vec::new(), Vec::new());
        for row in rows {
            let Some(item) = self.item(webhook, row).await? else { continue };
            if webhook.batching.is_some() && item.delivery.purpose == Purpose::Event {
                together.push(item);
            } else {
                alone.push(item);
            }
        }
        let mut said = Said::Nothing;
        for item in alone {
            said = if item.delivery.purpose == Purpose::Confirmation {
                self.ask_receiver(webhook, item).await?
            } else {
                self.deliver_one(webhook, item).await?
            };
        }
        if !together.is_empty() {
            said = self.deliver_batch(webhook, together).await?;
        }
        Ok(said)
    }

    /// A delivery with its event, if it is still to be done; its row in the queue is taken away if it is not.
    async fn item(&self, webhook: &Webhook, (due, id): &Queued) -> Result<Option<Item>, PipelineError> {
        let delivery = self.store.delivery(&webhook.space, *id)?;
        let pending = delivery.filter(|one| one.state == DeliveryState::Pending && one.next_attempt_at == Some(*due));
        let (Some(delivery), Some(event)) = (pending, self.store.event_at(&webhook.space, id.seq)?) else {
            self.store.drop_queued(&webhook.space, webhook.number, *due, *id).await?;
            return Ok(None);
        };
        Ok(Some(Item { due: *due, delivery, event }))
    }

    /// Gives up what waits for a webhook that takes nothing; tests and confirmations go out all the same, at their time.
    /// Returns when the next of these is due.
    pub(super) async fn give_up_or_send(
        &self,
        key: &LaneKey,
        webhook: Option<Arc<Webhook>>,
        rows: &[Queued],
        now: Timestamp,
    ) -> Result<Option<Timestamp>, PipelineError> {
        let (space, queue) = key;
        let mut later: Option<Timestamp> = None;
        let reason = webhook.as_ref().map_or_else(
            || "the webhook was deleted".to_owned(),
            |webhook| format!("the webhook is {}", webhook.state().name()),
        );
        let mut tries = Vec::new();
        for row @ (due, id) in rows {
            let delivery = self.store.delivery(space, *id)?.filter(|one| one.state == DeliveryState::Pending);
            let Some(mut delivery) = delivery else {
                self.store.drop_queued(space, *queue, *due, *id).await?;
                continue;
            };
            match (&webhook, delivery.purpose) {
                (Some(_), Purpose::Test | Purpose::Confirmation) if *due > now => {
                    later = Some(later.map_or(*due, |earlier| earlier.min(*due)));
                }
                (Some(webhook), Purpose::Test | Purpose::Confirmation) => {
                    self.deliver(webhook, std::slice::from_ref(row)).await?;
                }
                _ => {
                    let expected_attempts = delivery.attempts;
                    finish(&mut delivery, DeliveryState::Dead, Some(reason.clone()), now);
                    let due_was = Some(*due);
                    tries.push(Tried { delivery, expected_attempts, attempt: None, due_was, release_key: false });
                }
            }
        }
        if !tries.is_empty() {
            let space = space.clone();
            let (events, mails) = (Vec::new(), Vec::new());
            self.store.record_attempts(AttemptCommit { space, now, tries, webhook: None, events, mails }).await?;
        }
        Ok(later)
    }

    async fn deliver_one(&self, webhook: &Arc<Webhook>, item: Item) -> Result<Said, PipelineError> {
        let Some((item, shaped)) = self.shaped(webhook, item).await? else { return Ok(Said::Nothing) };
        let id = item.delivery.message_id.clone();
        let sent = match self.send_signed(webhook, &item.event, &id, shaped, item.delivery.purpose).await {
            Ok(sent) => sent,
            Err(error) => return self.unsendable(webhook, vec![item], error).await,
        };
        self.conclude(webhook, vec![item], sent, false).await
    }

    async fn deliver_batch(&self, webhook: &Arc<Webhook>, items: Vec<Item>) -> Result<Said, PipelineError> {
        let (mut ready, mut messages) = (Vec::new(), Vec::new());
        for item in items {
            if let Some((item, shaped)) = self.shaped(webhook, item).await? {
                ready.push(item);
                messages.push(shaped);
            }
        }
        let Some(batching) = &webhook.batching else { return Ok(Said::Nothing) };
        let Some(first) = ready.first() else { return Ok(Said::Nothing) };
        let Some(shaped) = joined(batching, &messages) else {
            let error = hookwright_model::Failure::permanent(
                "batching.unfit",
                format!("the messages cannot be joined at `{}`: they have no list there", batching.list),
            );
            return self.unsendable(webhook, ready, error.into()).await;
        };
        let id = first.delivery.message_id.clone();
        let event = first.event.clone();
        let sent = match self.send_signed(webhook, &event, &id, shaped, Purpose::Event).await {
            Ok(sent) => sent,
            Err(error) => return self.unsendable(webhook, ready, error).await,
        };
        self.conclude(webhook, ready, sent, false).await
    }

    /// The message of a delivery; none: it is not sent now, which is written down.
    async fn shaped(&self, webhook: &Arc<Webhook>, mut item: Item) -> Result<Option<(Item, Shaped)>, PipelineError> {
        let shape = self.shape(webhook, &item.delivery, &item.event).await?;
        let now = self.now();
        match shape {
            Shape::Send(shaped) => return Ok(Some((item, shaped))),
            Shape::Drop(reason) => {
                self.drop_item(webhook, item, reason).await?;
                return Ok(None);
            }
            Shape::Wait(unavailable) => {
                item.delivery.last_error = Some(format!("it waits: {}", unavailable.reason));
                let later = unavailable.busy_until.unwrap_or_else(|| now.after(WAIT_FOR_PLUGIN));
                item.delivery.next_attempt_at = Some(later);
            }
            Shape::Failed(failure) => {
                self.unsendable(webhook, vec![item], failure.into()).await?;
                return Ok(None);
            }
        }
        self.unattempted(webhook, item, now).await?;
        Ok(None)
    }

    /// Writes down that a delivery is not sent, and why.
    pub(super) async fn drop_item(
        &self,
        webhook: &Arc<Webhook>,
        mut item: Item,
        reason: String,
    ) -> Result<(), PipelineError> {
        let now = self.now();
        finish(&mut item.delivery, DeliveryState::Dropped, Some(reason), now);
        self.unattempted(webhook, item, now).await
    }

    /// Writes down a delivery that changed without an attempt.
    async fn unattempted(&self, webhook: &Arc<Webhook>, item: Item, now: Timestamp) -> Result<(), PipelineError> {
        let Item { due, delivery, .. } = item;
        let expected_attempts = delivery.attempts;
        let tried = Tried { delivery, expected_attempts, attempt: None, due_was: Some(due), release_key: false };
        self.write_down(webhook, now, vec![tried], None).await
    }

    /// Signs a message and sends it.
    pub(super) async fn send_signed(
        &self,
        webhook: &Webhook,
        event: &Event,
        id: &str,
        shaped: Shaped,
        purpose: Purpose,
    ) -> Result<Sent, PipelineError> {
        fault_point("delivery.before-send");
        let ready = self.ready(webhook)?;
        let own = self.own_headers(webhook, event)?;
        let mut fields = shaped.headers;
        fields.push(("user-agent".to_owned(), AGENT.to_owned()));
        if webhook.confirmation.handshake == Handshake::CloudeventsOptions {
            // CloudEvents 1.0, HTTP Webhook, section 4.1.2: once it is allowed, each delivery says from whom it is.
            fields.push(("webhook-request-origin".to_owned(), self.public_host()));
        }
        for header in &own {
            fields.retain(|(name, _)| !name.eq_ignore_ascii_case(&header.name));
            fields.push((header.name.clone(), header.value.clone()));
        }
        let started_at = self.now();
        let envelope = self.sns_envelope(webhook, &ready, purpose)?;
        let unsigned = Unsigned {
            id,
            time: started_at,
            method: "POST",
            url: ready.url.as_str(),
            webhook: Some(webhook.id.as_str()),
            event_type: &event.event_type,
            headers: &fields,
            content_type: &shaped.content_type,
            body: &shaped.body,
            envelope: envelope.as_ref().map(super::confirm::Envelope::borrowed),
        };
        let signed = ready.signer.sign(&unsigned)?;
        for (name, value) in signed.headers {
            fields.retain(|(other, _)| !other.eq_ignore_ascii_case(&name));
            fields.push((name, value));
        }
        fields.push(("content-type".to_owned(), signed.content_type));
        let secret = |name: &str| own.iter().find(|header| header.name == name && header.logged != header.value);
        let logged = |(name, value): &Header| {
            let shown = match secret(name) {
                Some(header) => header.logged.clone(),
                None if name == "authorization" => HIDDEN.to_owned(),
                None => value.clone(),
            };
            (name.clone(), shown)
        };
        let request_headers = fields.iter().map(logged).collect();
        self.send_to(&ready, webhook, Method::POST, ready.url.clone(), &fields, request_headers, signed.body).await
    }

    /// Sends a request to the webhook's receiver, with a token if it wants one.
    #[expect(clippy::too_many_arguments, reason = "each is another part of the request")]
    pub(super) async fn send_to(
        &self,
        ready: &Ready,
        webhook: &Webhook,
        method: Method,
        url: url::Url,
        fields: &[Header],
        mut request_headers: Vec<Header>,
        body: Bytes,
    ) -> Result<Sent, PipelineError> {
        let mut headers = header_map(fields)?;
        let started_at = self.now();
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
                    return Ok(Sent { request_headers, request_body: body, started_at, duration, result: Err(failed) });
                }
            },
        };
        let outgoing = Outgoing {
            headers,
            body: body.clone(),
            timeout: Duration::from_millis(u64::from(webhook.timeout_ms)),
            body_limit: LOGGED,
            // Receivers tell repeats by the webhook-id.
            repeatable: true,
            transport: ready.transport.clone(),
            ..Outgoing::new(method, url)
        };
        let result = self.egress.send(outgoing).await;
        if let (Some((source, token)), Ok(Answer { status: 401, .. })) = (token, &result) {
            source.invalidate(&token);
        }
        Ok(Sent { request_headers, request_body: body, started_at, duration: began.elapsed(), result })
    }

    /// What is written down of a request that could not even be made.
    pub(super) async fn unsendable(
        &self,
        webhook: &Arc<Webhook>,
        items: Vec<Item>,
        error: PipelineError,
    ) -> Result<Said, PipelineError> {
        let failed = match error {
            PipelineError::Store(_) => return Err(error),
            PipelineError::Failed(failure) => failure,
            other => hookwright_model::Failure::permanent(other.code(), other.to_string()),
        };
        let now = self.now();
        let sent = Unsent { failed, now };
        self.conclude_with(webhook, items, sent.outcome(), None, false).await?;
        Ok(Said::Nothing)
    }

    /// Judges what came of a request, and writes it down. `failed_anyway`: whatever the answer, the request has failed.
    pub(super) async fn conclude(
        &self,
        webhook: &Arc<Webhook>,
        items: Vec<Item>,
        sent: Sent,
        failed_anyway: bool,
    ) -> Result<Said, PipelineError> {
        fault_point("delivery.after-send");
        let timing = match &sent.result {
            Ok(answer) => answer.timing,
            Err(failed) => failed.timing,
        };
        let hints = Hints::of(&sent.result, self.now());
        let said = hints.said;
        let outcome = match sent.result {
            Ok(answer) => AttemptOutcome::Answered {
                status: answer.status,
                headers: logged_answer(&answer.headers),
                body: cut(&answer.body),
            },
            Err(failed) => AttemptOutcome::Failed { code: failed.code().to_owned(), message: failed.error.to_string() },
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
            request_headers: sent.request_headers,
            request_body: cut(&sent.request_body),
            batch: u32::try_from(items.len()).ok().filter(|count| *count > 1),
            outcome,
        };
        self.conclude_with(webhook, items, attempt, Some(hints), failed_anyway).await?;
        Ok(said)
    }

    async fn conclude_with(
        &self,
        webhook: &Arc<Webhook>,
        items: Vec<Item>,
        attempt: Attempt,
        hints: Option<Hints>,
        failed_anyway: bool,
    ) -> Result<(), PipelineError> {
        let now = self.now();
        let succeeded = attempt.outcome.succeeded() && !failed_anyway;
        let error = attempt.outcome.error().unwrap_or_else(|| "the receiver did not answer as it should".to_owned());
        let hints = hints.unwrap_or_default();
        let mut tries = Vec::with_capacity(items.len());
        let mut exhausted = Vec::new();
        for Item { due, mut delivery, event } in items {
            let expected_attempts = delivery.attempts;
            delivery.attempts = delivery.attempts.saturating_add(1);
            let attempt = Attempt { number: delivery.attempts, ..attempt.clone() };
            let order = webhook.order.as_ref().filter(|_| delivery.key.is_some()).map(|order| order.on_failure);
            if succeeded {
                finish(&mut delivery, DeliveryState::Delivered, None, now);
            } else if hints.gone {
                finish(&mut delivery, DeliveryState::Dead, Some(format!("{error}: it is gone for good")), now);
            } else if order == Some(HeadOfLine::Park) {
                finish(&mut delivery, DeliveryState::Parked, Some(format!("{error}; put aside")), now);
            } else {
                let delay = match delivery.purpose {
                    Purpose::Test => None,
                    _ => webhook.retry.delay(delivery.attempts, rand::random()),
                };
                match delay {
                    None => {
                        finish(&mut delivery, DeliveryState::Dead, Some(format!("{error}; no attempt is left")), now);
                    }
                    Some(delay) => {
                        let delay = delay.max(hints.retry_after.unwrap_or_default());
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
        let outcome = Outcome {
            error: (!succeeded).then_some(error),
            gone: hints.gone,
            dies: !exhausted.is_empty() && !hints.gone && webhook.on_exhausted == Exhausted::Die,
            exhausted,
        };
        self.write_down(webhook, now, tries, Some(outcome)).await
    }

    /// Writes down what a request came to, with what follows from it for the webhook, in one commit.
    async fn write_down(
        &self,
        webhook: &Arc<Webhook>,
        now: Timestamp,
        tries: Vec<Tried>,
        outcome: Option<Outcome>,
    ) -> Result<(), PipelineError> {
        let space = webhook.space.clone();
        let Some(outcome) = outcome else {
            let commit = AttemptCommit { space, now, tries, webhook: None, events: Vec::new(), mails: Vec::new() };
            self.store.record_attempts(commit).await?;
            return Ok(());
        };
        let mut events = Vec::new();
        for (delivery, event) in &outcome.exhausted {
            events.extend(self.notice_exhausted(webhook, delivery, event)?);
        }
        let mails = match &outcome.error {
            Some(error) => self.exceptions.note(webhook, error, now).into_iter().collect(),
            None => Vec::new(),
        };
        let ends = outcome.gone || outcome.dies;
        let noted = outcome.error != webhook.last_error && (outcome.error.is_some() || webhook.last_error.is_some());
        if !ends && !noted {
            let commit = AttemptCommit { space, now, tries, webhook: None, events, mails };
            self.store.record_attempts(commit).await?;
            return Ok(());
        }
        let _changing = self.changing.lock().await;
        let mut changed = self.store.webhook(&space, webhook.id.as_str())?;
        let mut change = None;
        if let Some(changed) = &mut changed {
            changed.last_error.clone_from(&outcome.error);
            if ends && changed.delivers() {
                let (reason, verb) = if outcome.gone {
                    changed.enabled = false;
                    ("the receiver answered 410 Gone".to_owned(), "disabled")
                } else {
                    changed.dead = true;
                    let last = outcome.error.clone().unwrap_or_default();
                    (format!("a delivery was given up after its last attempt: {last}"), "dead")
                };
                changed.state_reason = Some(reason);
                changed.state_by = Some(if outcome.gone { "receiver" } else { "server" }.to_owned());
                changed.state_at = Some(now);
                changed.updated_at = now;
                events.push(self.notice_state(changed, verb)?);
            }
            change = Some(if outcome.gone && changed.on_gone == Gone::Delete {
                WebhookChange::Delete(changed.id.clone())
            } else {
                WebhookChange::Put(Box::new(changed.clone()))
            });
        }
        let deleted = matches!(change, Some(WebhookChange::Delete(_)));
        self.store.record_attempts(AttemptCommit { space, now, tries, webhook: change, events, mails }).await?;
        match changed {
            Some(changed) if deleted => self.catalogue.remove_webhook(&changed.space, &changed.id),
            Some(changed) => self.catalogue.put_webhook(changed),
            None => {}
        }
        Ok(())
    }
}

/// What follows from a request besides what is written of the deliveries.
struct Outcome {
    error: Option<String>,
    gone: bool,
    dies: bool,
    exhausted: Vec<(Delivery, Event)>,
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
            outcome: AttemptOutcome::Failed { code: self.failed.code, message: self.failed.message },
        }
    }
}

pub(super) fn finish(delivery: &mut Delivery, state: DeliveryState, reason: Option<String>, now: Timestamp) {
    delivery.state = state;
    delivery.next_attempt_at = None;
    delivery.last_error = reason;
    delivery.finished_at = Some(now);
}

fn header_map(fields: &[Header]) -> Result<HeaderMap, PipelineError> {
    let mut headers = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields {
        let wrong = || {
            let message = format!("the header field `{name}` cannot be sent: its name or value holds what none may");
            PipelineError::from(hookwright_model::Failure::permanent("header.invalid", message))
        };
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        headers.append(key, HeaderValue::from_str(value).map_err(|_| wrong())?);
    }
    Ok(headers)
}

/// Header fields for a log, values as text.
pub(crate) fn header_list(headers: &HeaderMap) -> Vec<Header> {
    headers.iter().map(|(n, v)| (n.as_str().to_owned(), String::from_utf8_lossy(v.as_bytes()).into_owned())).collect()
}

/// Those of an answer: a receiver that repeats its secret shows it to nobody else.
fn logged_answer(headers: &HeaderMap) -> Vec<Header> {
    let mut list = header_list(headers);
    for (_, value) in list.iter_mut().filter(|(name, _)| name == HOOK_SECRET) {
        HIDDEN.clone_into(value);
    }
    list
}

fn cut(body: &[u8]) -> String {
    let kept = body.get(..body.len().min(LOGGED)).unwrap_or_default();
    String::from_utf8_lossy(kept).into_owned()
}
