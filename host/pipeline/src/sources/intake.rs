//! What comes to a source's URL, and what becomes of it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookwright_model::{Cause, EventDraft, Failure, Rate, Source, Told, Workbench};
use hookwright_plugin::{Reception, Secrets, SourceDraft, SourceRequest};
use serde_json::Value;

use super::digest;
use super::gate::RATE_LIMITED;
use crate::polling::POLL;
use crate::{Pipeline, PipelineError};

/// A request that came to a source's URL.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The method.
    pub method: String,
    /// What followed the token, with its slash.
    pub path: String,
    /// The query, without the `?`.
    pub query: String,
    /// Header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// Who sent it.
    pub remote: IpAddr,
}

/// What a source's request came to.
#[derive(Clone, Debug)]
pub enum Received {
    /// The events are durable; this is the answer. Status 0: answer as the event API does.
    Accepted {
        /// Ids of the events, new and repeated.
        ids: Vec<String>,
        /// The status.
        status: u16,
        /// Header fields.
        headers: Vec<(String, String)>,
        /// The body.
        body: Bytes,
    },
    /// It was not taken.
    Refused(SourceRefusal),
}

/// Why a request was not taken.
#[derive(Clone, Debug)]
pub struct SourceRefusal {
    /// 400 to 499.
    pub status: u16,
    /// Stable.
    pub code: String,
    /// For people.
    pub message: String,
    /// After how many seconds it can be sent again.
    pub retry_after: Option<u32>,
}

/// The name by which plugins use a source's signing secret.
const SIGNING_SECRET: &str = "signing-secret";
/// How often a source is asked again because somebody else changed what it had read.
pub(crate) const MAX_CONFLICTS: u32 = 100;

impl Pipeline {
    /// The source behind the token in a URL.
    pub fn source_at(&self, token: &str) -> Result<Arc<Source>, PipelineError> {
        let found = self.catalogue.source_by_token(&digest(token), self.now());
        found.ok_or_else(|| PipelineError::not_found("source", "of this URL"))
    }

    /// Whether a source takes a request now: it is switched on, and its URL has not been called too often.
    pub fn admit(&self, source: &Source) -> Result<(), SourceRefusal> {
        if let Some(rate) = source.rate.or(self.settings.source_rate)
            && let Err(seconds) = self.gates.pass(&source.id, rate, self.now())
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
        let message = format!("the source `{}` is switched off", source.name);
        Err(SourceRefusal { status: 403, code: "source.inactive".to_owned(), message, retry_after: None })
    }

    /// Lets the plugin of a source take a request. Its events are durable when this returns, with a note in its log.
    pub async fn receive(&self, source: &Source, arrival: &Arrival) -> Result<Received, PipelineError> {
        if arrival.method == POLL {
            let message = format!("{POLL} is what the server asks its own sources with: send another method");
            let code = "source.method".to_owned();
            return Ok(Received::Refused(SourceRefusal { status: 405, code, message, retry_after: None }));
        }
        let content_type = arrival.headers.iter().find(|(name, _)| name == "content-type").map(|(_, v)| v.clone());
        let request = SourceRequest {
            method: arrival.method.clone(),
            path: arrival.path.clone(),
            query: arrival.query.clone(),
            headers: arrival.headers.clone(),
            body: arrival.body.clone(),
            remote_address: arrival.remote.to_string(),
        };
        for conflicts in 0..MAX_CONFLICTS {
            let (reception, workbench) = self.ask_source(source, request.clone()).await?;
            let intake = match reception {
                Reception::Refused { status, code, message } => {
                    let status = status.clamp(400, 499);
                    return Ok(Received::Refused(SourceRefusal { status, code, message, retry_after: None }));
                }
                Reception::Accepted(intake) => intake,
            };
            let drafts = drafts(source, &arrival.body, content_type.as_deref(), intake.events)?;
            let status = if intake.answer.status == 0 { 202 } else { intake.answer.status };
            let is_event = !drafts.is_empty();
            let note = is_event.then(|| self.note(source, arrival, Told::taken(status, [])));
            if let Some(accepted) = self.accept_with(&source.space, drafts, workbench, note).await? {
                if !is_event {
                    self.note_taken(source, arrival, status);
                }
                return Ok(Received::Accepted {
                    ids: accepted.into_iter().map(|appended| appended.id).collect(),
                    status: intake.answer.status,
                    headers: intake.answer.headers,
                    body: intake.answer.body,
                });
            }
            tokio::time::sleep(Duration::from_micros(rand::random_range(0..100) * u64::from(conflicts))).await;
        }
        Err(PipelineError::Conflict {
            code: "record.contended",
            message: format!("others changed what the source keeps {MAX_CONFLICTS} times meanwhile: send it again"),
        })
    }

    /// Lets the plugin of a source look at a request.
    pub(crate) async fn ask_source(
        &self,
        source: &Source,
        request: SourceRequest,
    ) -> Result<(Reception, Option<Workbench>), PipelineError> {
        let (space, kind) = (&source.space, source.kind.as_str());
        self.loaded(space, &[kind].into()).await;
        let callable = self
            .present(space, kind)
            .map_err(|unavailable| Failure::transient("plugin.unavailable", unavailable.reason))?;
        let mut call = self.call(space, &callable.access);
        call.workbench = Some(self.workbench(space, &source.name, Cause::source(&source.name)));
        if let Some(sealed) = &source.secret {
            call.secrets = Secrets::from_iter([(SIGNING_SECRET.to_owned(), self.vault.open_sealed(sealed)?)]);
        }
        let parameters = Value::Object(source.with.clone());
        let called = callable.plugin.receive(call, request, &parameters).await;
        self.note_call(callable, space, &source.name, &called);
        Ok((called.result?, called.workbench))
    }
}

/// The events that a source made of a request.
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
            starts: None,
        });
    }
    Ok(drafts)
}

/// Where the data stands in the body, if it does: then it is stored once.
fn data_in(body: &Bytes, data: String) -> Result<hookwright_model::Data, PipelineError> {
    hookwright_model::json_span(data.as_bytes(), "data")?;
    if body.as_ref() == data.as_bytes() {
        Ok(hookwright_model::Data::Span(0, body.len()))
    } else {
        Ok(hookwright_model::Data::Json(data))
    }
}
