//! Conversions between the WIT's types and the model's.

use bytes::Bytes;
use hookwright_model::{Event, Failure, Outcome, Verdict};

use super::bindings::exports::hookwright::plugin::{action, condition, source, transform};
use super::types;
use crate::exchange::{Answer, Intake, Message, Reception, SourceDraft, SourceRequest, Transformed};
use crate::output;

/// Borrowed pairs.
pub(super) type Borrowed<'a> = Vec<(&'a str, &'a str)>;

impl From<Failure> for types::Failure {
    fn from(failure: Failure) -> Self {
        Self { code: failure.code, message: failure.message, retry_after_ms: failure.retry_after_ms }
    }
}

pub(super) fn failure(failure: types::Failure) -> Failure {
    output::failure(failure.code, failure.message, failure.retry_after_ms)
}

pub(super) fn pairs(pairs: &[(String, String)]) -> Borrowed<'_> {
    pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// The content type, and the other attributes of the event.
pub(super) fn attributes(event: &Event) -> Borrowed<'_> {
    let mut attributes = Vec::with_capacity(event.attributes.len() + 1);
    attributes.extend(event.content_type.as_deref().map(|content_type| ("content-type", content_type)));
    attributes.extend(event.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    attributes
}

pub(super) fn event<'a>(event: &'a Event, data: &'a str, attributes: &'a Borrowed<'a>) -> types::Event<'a> {
    types::Event {
        id: &event.id,
        event_type: &event.event_type,
        source: &event.source,
        subject: event.subject.as_deref(),
        time: &event.time,
        data,
        attributes,
    }
}

pub(super) fn message<'a>(message: &'a Message, headers: &'a Borrowed<'a>) -> transform::MessageParam<'a> {
    transform::MessageParam { headers, content_type: &message.content_type, body: &message.body }
}

pub(super) fn request<'a>(request: &'a SourceRequest, headers: &'a Borrowed<'a>) -> source::Request<'a> {
    source::Request {
        method: &request.method,
        path: &request.path,
        query: &request.query,
        headers,
        body: &request.body,
        remote_address: &request.remote_address,
    }
}

pub(super) fn verdict(verdict: condition::Verdict) -> Verdict {
    output::verdict(verdict.holds, verdict.reason)
}

pub(super) fn outcome(outcome: action::Outcome, most: usize) -> Result<Outcome, Failure> {
    match outcome {
        action::Outcome::Done(json) => output::done(&json, most),
        action::Outcome::Skipped(reason) => Ok(output::skipped(reason)),
    }
}

pub(super) fn transformed(verdict: transform::Verdict, most: usize) -> Result<Transformed, Failure> {
    match verdict {
        transform::Verdict::Send(message) => {
            let transform::MessageResult { headers, content_type, body } = message;
            output::send(Message { headers, content_type, body: Bytes::from(body) }, most)
        }
        transform::Verdict::Drop(reason) => Ok(output::dropped(reason)),
    }
}

pub(super) fn reception(reception: source::Reception, most: usize) -> Result<Reception, Failure> {
    match reception {
        source::Reception::Accepted(source::Intake { events, answer }) => {
            let answer = Answer { status: answer.status, headers: answer.headers, body: Bytes::from(answer.body) };
            output::accepted(Intake { events: events.into_iter().map(draft).collect(), answer }, most)
        }
        source::Reception::Refused(refusal) => output::refused(refusal.status, refusal.code, refusal.message),
    }
}

fn draft(draft: source::Draft) -> SourceDraft {
    let source::Draft { id, event_type, subject, time, data, attributes } = draft;
    SourceDraft { id, event_type, subject, time, data, attributes }
}
