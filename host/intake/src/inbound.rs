//! Requests at the URLs of sources.

use std::sync::Arc;

use bytes::Bytes;
use hookwright_foundation::conflicts::{MAX_CONFLICTS, TryOutcome, retry_on_conflict};
use hookwright_foundation::error::PipelineError;
use hookwright_foundation::keys::token_digest;
use hookwright_foundation::settings::PipelineSettings;
use hookwright_foundation::turns::Turns;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_invoke::calls::Invoke;
use hookwright_invoke::loading::Loading;
use hookwright_model::{Cause, EventDraft, Failure, Ingress, Rate, Source, Told, Workbench};
use hookwright_plugin::{Plugin, Reception, Secrets, SourceDraft, SourceRequest, Tries};
use hookwright_routing::catalogue::Catalogue;
use hookwright_store::{Appended, Vault};
use serde_json::Value;

use crate::accept::Intake;
use crate::arrival::Arrival;
use crate::gate::{Gates, RATE_LIMITED};
use crate::source_log::SourceLog;

/// The header that states how a body was compressed.
const CONTENT_ENCODING: &str = "content-encoding";

/// The name by which plugins use a source's signing secret.
const SIGNING_SECRET: &str = "signing-secret";

/// The method of a request that the server itself makes to a source; clients cannot use it.
pub(crate) const POLL: &str = "POLL";

/// The result of a request to a source.
#[derive(Clone, Debug)]
pub enum Received {
    /// The events are durable; this is the answer. Status 0: answer as the event API does.
    Accepted {
        /// Ids of the events, new and repeated.
        ids: Vec<String>,
        /// Those that were accepted before: nothing was done again for them.
        repeats: Vec<String>,
        /// Those of the repeats whose body differs from the first one.
        changed: Vec<String>,
        /// The status.
        status: u16,
        /// Header fields.
        headers: Vec<(String, String)>,
        /// The body.
        body: Bytes,
    },
    /// The request was refused.
    Refused(SourceRefusal),
}

/// Why a request was refused.
#[derive(Clone, Debug)]
pub struct SourceRefusal {
    /// 400 to 499.
    pub status: u16,
    /// The error code, which is stable.
    pub code: String,
    /// The message for people.
    pub message: String,
    /// After how many seconds the request can be sent again.
    pub retry_after: Option<u32>,
}

/// Receives requests at the URLs of sources.
pub struct Inbound {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) gates: Arc<Gates>,
    pub(crate) settings: Arc<PipelineSettings>,
    pub(crate) turns: Arc<Turns>,
    pub(crate) vault: Arc<Vault>,
    pub(crate) intake: Arc<Intake>,
    pub(crate) invoke: Arc<Invoke>,
    pub(crate) loading: Arc<Loading>,
    pub(crate) source_log: Arc<SourceLog>,
}

impl Inbound {
    /// The source whose URL has this token.
    pub fn source_at(&self, token: &str) -> Result<Arc<Source>, PipelineError> {
        let found = self.catalogue.source_by_token(&token_digest(token), self.clock.now());
        found.ok_or_else(|| PipelineError::not_found("source", "of this URL"))
    }

    /// Whether a source accepts a request now: it is active, and its URL is within its rate limit.
    pub fn admit(&self, source: &Source) -> Result<(), SourceRefusal> {
        if let Some(rate) = source.rate.or(self.settings.source_rate)
            && let Err(seconds) = self.gates.pass(&source.id, rate, self.clock.now())
        {
            let Rate { requests, per_seconds } = rate;
            let message =
                format!("this URL takes {requests} requests in {per_seconds} s: call it again in {seconds} s");
            let code = RATE_LIMITED.to_owned();
            return Err(SourceRefusal { status: 429, code, message, retry_after: Some(seconds) });
        }
        if source.active {
            return Ok(());
        }
        let message = format!("the source `{}` is not active", source.name);
        Err(SourceRefusal { status: 403, code: "source.inactive".to_owned(), message, retry_after: None })
    }

    /// Passes a request to the source's plugin. Its events are durable when this returns, with an entry in the source's
    /// log.
    pub async fn receive(&self, source: &Source, arrival: &Arrival) -> Result<Received, PipelineError> {
        if arrival.method == POLL {
            let message = format!("{POLL} is reserved for the server's own polls: send another method");
            let code = "source.method".to_owned();
            return Ok(Received::Refused(SourceRefusal { status: 405, code, message, retry_after: None }));
        }
        let content_type = arrival.headers.iter().find(|(name, _)| name == "content-type").map(|(_, v)| v.clone());
        let tries = Arc::new(Tries::new(self.clock.now()));
        let received = retry_on_conflict(&self.turns, &source.space, || async {
            let (reception, workbench) =
                self.call_source(source, |plugin| request_for(plugin, arrival), &tries).await?;
            let intake = match reception {
                Reception::Refused { status, code, message } => {
                    let status = status.clamp(400, 499);
                    let refusal = SourceRefusal { status, code, message, retry_after: None };
                    return Ok(TryOutcome::Done(Received::Refused(refusal)));
                }
                Reception::Accepted(intake) => intake,
            };
            let drafts = drafts(source, &arrival.body, content_type.as_deref(), intake.events)?;
            let status = if intake.answer.status == 0 { 202 } else { intake.answer.status };
            let is_event = !drafts.is_empty();
            let note = is_event.then(|| self.source_log.note(source, arrival, Told::taken(status, [])));
            match self.intake.accept_with(&source.space, drafts, workbench, note).await? {
                Ok(accepted) => {
                    if !is_event {
                        self.source_log.log_accepted(source, arrival, status);
                    }
                    let of = |keep: fn(&Appended) -> bool| {
                        accepted.iter().filter(|one| keep(one)).map(|one| one.id.clone()).collect::<Vec<_>>()
                    };
                    Ok(TryOutcome::Done(Received::Accepted {
                        repeats: of(|one| one.repeat),
                        changed: of(|one| one.changed),
                        ids: of(|_| true),
                        status: intake.answer.status,
                        headers: intake.answer.headers,
                        body: intake.answer.body,
                    }))
                }
                Err(what) => {
                    tries.again();
                    Ok(TryOutcome::Conflict(what))
                }
            }
        });
        received.await?.ok_or_else(|| PipelineError::Conflict {
            code: "record.contended",
            message: format!(
                "write conflict: the source's stored values were changed concurrently {MAX_CONFLICTS} times: \
                 send the request again"
            ),
        })
    }

    /// Calls the source's plugin with a request.
    pub(crate) async fn call_source(
        &self,
        source: &Source,
        request: impl FnOnce(&Plugin) -> SourceRequest,
        tries: &Arc<Tries>,
    ) -> Result<(Reception, Option<Workbench>), PipelineError> {
        let (space, kind) = (&source.space, source.kind.as_str());
        self.loading.loaded(space, &[kind].into()).await;
        let callable = self
            .invoke
            .present(space, kind)
            .map_err(|unavailable| Failure::transient(Failure::PLUGIN_UNAVAILABLE, unavailable.reason))?;
        let mut call = self.invoke.call(space, &callable.access);
        call.now = tries.began();
        call.workbench = Some(self.invoke.workbench_of(tries, space, &source.name, Cause::source(&source.name)));
        call.tries = Some(Arc::clone(tries.retained()));
        if let Some(sealed) = &source.secret {
            call.secrets = Secrets::from_iter([(SIGNING_SECRET.to_owned(), self.vault.open_sealed(sealed)?)]);
        }
        let parameters = Value::Object(source.with.clone());
        let request = request(&callable.plugin);
        let called = self.invoke.receive(callable, source, call, request, &parameters).await;
        Ok((called.result?, called.workbench))
    }
}

/// The request for the plugin of a source: a compressed body is decoded, unless the plugin verifies a signature over
/// the bytes that were sent.
fn request_for(plugin: &Plugin, arrival: &Arrival) -> SourceRequest {
    let as_sent = plugin.wants_body_as_sent();
    let is_handed_over = |name: &str| as_sent || name != CONTENT_ENCODING;
    SourceRequest {
        method: arrival.method.clone(),
        path: arrival.path.clone(),
        query: arrival.query.clone(),
        headers: arrival.headers.iter().filter(|(name, _)| is_handed_over(name)).cloned().collect(),
        body: if as_sent { arrival.sent.clone() } else { arrival.body.clone() },
        decoded_bytes: arrival.body.len(),
        remote_address: arrival.remote.to_string(),
    }
}

/// The events that a source made from a request.
pub(crate) fn drafts(
    source: &Source,
    body: &Bytes,
    content_type: Option<&str>,
    events: Vec<SourceDraft>,
) -> Result<Vec<EventDraft>, PipelineError> {
    let mut drafts = Vec::with_capacity(events.len());
    for event in events {
        let data = data_in(body, event.data)?;
        drafts.push(EventDraft {
            id: event.id,
            event_type: event.event_type,
            source: source.name.clone(),
            subject: event.subject,
            time: event.time,
            content_type: content_type.map(str::to_owned),
            attributes: event.attributes,
            payload: body.clone(),
            data: Some(data),
            cause: None,
            ingress: Some(Ingress::Source(source.id.clone())),
            starts: None,
        });
    }
    Ok(drafts)
}

/// The position of the data in the body, if it is part of the body: then it is stored once.
fn data_in(body: &Bytes, data: String) -> Result<hookwright_model::Data, PipelineError> {
    hookwright_model::json_span(data.as_bytes(), "data")?;
    let unmarked = hookwright_model::json::without_mark(body);
    if unmarked == data.as_bytes() {
        Ok(hookwright_model::Data::Span(body.len().saturating_sub(unmarked.len()), body.len()))
    } else {
        Ok(hookwright_model::Data::Json(data))
    }
}
