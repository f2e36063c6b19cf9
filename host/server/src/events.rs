//! Accepts events, and returns their stories.

use std::borrow::Cow;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hookwright_model::{Data, Event, EventDraft, EventPattern, KeyedRequest, SpaceId, json};
use hookwright_pipeline::Appended;
use http::{HeaderValue, StatusCode, header};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Shared;
use crate::auth::Caller;
use crate::envelope::Envelope;
use crate::idempotency::KeyedBody;
use crate::page::{Listed, Named, Paging};
use crate::problem::Problem;
use crate::query::Query;
use crate::{body, cloudevents};

/// The response to the sender of events.
#[derive(Serialize)]
struct Accepted {
    id: String,
    /// The source sent this id before: the event has no effect (idempotency).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
    /// It is a duplicate with another payload. The first payload is retained.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    changed: bool,
}

impl From<Appended> for Accepted {
    fn from(appended: Appended) -> Self {
        Self { id: appended.id, duplicate: appended.repeat, changed: appended.changed }
    }
}

/// `POST /v1/events`: native JSON, or CloudEvents in one of three modes.
pub(crate) async fn send(
    State(app): State<Shared>,
    caller: Caller,
    KeyedBody { headers, bytes, request }: KeyedBody,
) -> Result<Response, Problem> {
    let content_type = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    let media = content_type.unwrap_or("application/json").split(';').next().unwrap_or_default().trim();
    let media = media.to_ascii_lowercase();
    if media == "application/cloudevents-batch+json" {
        return batch(&app, &caller.space, &bytes, request.as_ref()).await;
    }
    let draft = if media == "application/cloudevents+json" {
        let text = body::check_json(&bytes)?;
        cloudevents::structured(&bytes, bytes.len().saturating_sub(text.len())..bytes.len())?
    } else if cloudevents::is_binary(&headers) {
        cloudevents::binary(&headers, bytes)?
    } else if is_native(&media, &bytes) {
        native(bytes)?
    } else {
        let shown = hookwright_model::abridged(&media);
        let detail = format!(
            "the content type `{shown}` is not supported for events: send application/json, application/cloudevents+json, \
             application/cloudevents-batch+json, or any type with ce- headers"
        );
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "body.unsupported_type", detail));
    };
    accepted(app.pipeline.intake.events.accept_from_api(&caller.space, vec![draft], request.as_ref()).await?)
}

/// Whether a body is an event in the native form. As on every other route, JSON is accepted under other content types,
/// because clients often set the wrong one: `curl -d` sends it as a form.
fn is_native(media: &str, bytes: &[u8]) -> bool {
    match media {
        "application/json" | "application/x-www-form-urlencoded" => true,
        _ if media.starts_with("application/cloudevents") => false,
        _ => json::check(json::without_mark(bytes)).is_ok(),
    }
}

/// `POST /webhook`: `{"service","trigger_event_type","attributes"}`.
pub(crate) async fn push(
    State(app): State<Shared>,
    caller: Caller,
    KeyedBody { bytes, request, .. }: KeyedBody,
) -> Result<Response, Problem> {
    let mut envelope = Envelope::read(&bytes, &["service", "trigger_event_type", "attributes"])?;
    let (service, event_type) = (envelope.needed("service"), envelope.needed("trigger_event_type"));
    let attributes = envelope.object("attributes").map(|attributes| body::span_of(&bytes, attributes));
    envelope.finish()?;
    let draft = EventDraft {
        event_type,
        source: service,
        content_type: Some("application/json".to_owned()),
        data: attributes,
        payload: bytes.clone(),
        ..EventDraft::default()
    };
    let appended = app.pipeline.intake.events.accept_from_api(&caller.space, vec![draft], request.as_ref()).await;
    accepted(appended.map_err(in_words_of_push)?)
}

/// Translates the names of fields in an error to those in the caller's request.
fn in_words_of_push(error: hookwright_pipeline::PipelineError) -> Problem {
    match error {
        hookwright_pipeline::PipelineError::Invalid(mut mistakes) => {
            for mistake in &mut mistakes.0 {
                mistake.path = match mistake.path.as_str() {
                    "type" => "trigger_event_type".to_owned(),
                    "source" => "service".to_owned(),
                    other => other.to_owned(),
                };
            }
            Problem::invalid(mistakes)
        }
        hookwright_pipeline::PipelineError::Mismatch { event_type, mut mistakes } => {
            for mistake in &mut mistakes.0 {
                mistake.path = mistake.path.replacen("data", "attributes", 1);
            }
            let detail = format!("the attributes of `{event_type}` do not match its schema: {mistakes}");
            Problem::mismatch(detail, mistakes)
        }
        other => other.into(),
    }
}

pub(crate) fn native(bytes: Bytes) -> Result<EventDraft, Problem> {
    let mut envelope = Envelope::read(&bytes, &["type", "source", "subject", "id", "time", "data"])?;
    let draft = EventDraft {
        event_type: envelope.needed("type"),
        source: envelope.text("source").unwrap_or_else(|| "api".to_owned()),
        subject: envelope.text("subject"),
        id: envelope.text("id"),
        time: envelope.text("time"),
        content_type: Some("application/json".to_owned()),
        data: Some(
            envelope.json("data").map_or_else(|| Data::Json("null".to_owned()), |data| body::span_of(&bytes, data)),
        ),
        payload: bytes.clone(),
        ..EventDraft::default()
    };
    envelope.finish()?;
    Ok(draft)
}

async fn batch(
    app: &Shared,
    space: &SpaceId,
    bytes: &Bytes,
    request: Option<&KeyedRequest>,
) -> Result<Response, Problem> {
    body::check_json(bytes)?;
    let drafts = cloudevents::batched(bytes)?;
    let appended = app.pipeline.intake.events.accept_from_api(space, drafts, request).await?;
    let events: Vec<Accepted> = appended.into_iter().map(Accepted::from).collect();
    let ids: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
    let answer = serde_json::json!({"id": ids.first(), "ids": ids, "events": events});
    Ok((StatusCode::ACCEPTED, axum::Json(answer)).into_response())
}

fn accepted(appended: Vec<Appended>) -> Result<Response, Problem> {
    let Some(first) = appended.into_iter().next() else {
        return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the event was not written"));
    };
    Ok((StatusCode::ACCEPTED, axum::Json(Accepted::from(first))).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventFilter {
    #[serde(rename = "type")]
    event_type: Option<EventPattern>,
    source: Option<String>,
    subject: Option<String>,
    /// Of the page, which [`Paging`] reads.
    #[serde(rename = "limit")]
    _limit: Option<IgnoredAny>,
    #[serde(rename = "cursor")]
    _cursor: Option<IgnoredAny>,
}

#[derive(Serialize)]
struct EventSummary {
    seq: u64,
    received_at: hookwright_model::Timestamp,
    #[serde(flatten)]
    envelope: serde_json::Map<String, Value>,
}

pub(crate) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    paging: Paging,
    Query(filter): Query<EventFilter>,
) -> Result<Response, Problem> {
    let keep = |event: &Event| {
        filter.event_type.as_ref().is_none_or(|pattern| pattern.takes(&event.event_type))
            && filter.source.as_ref().is_none_or(|source| *source == event.source)
            && filter.subject.as_ref().is_none_or(|subject| event.subject.as_ref() == Some(subject))
    };
    let listing = app.pipeline.history.outcomes.events(&caller.space, paging.page()?, &keep)?;
    let data = listing
        .items
        .into_iter()
        .map(|(seq, event)| EventSummary { seq, received_at: event.received_at, envelope: event.envelope() })
        .collect();
    Ok(axum::Json(Listed { data, next: listing.next.map(|cursor| cursor.to_string()) }).into_response())
}

#[derive(Deserialize)]
pub(crate) struct SourceQuery {
    pub(crate) source: Option<String>,
}

/// `GET /v1/events/{id}`: the whole story.
pub(crate) async fn story(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
    Query(which): Query<SourceQuery>,
) -> Result<Response, Problem> {
    let (seq, event) = app.pipeline.history.outcomes.event(&caller.space, &id, which.source.as_deref())?;
    Ok(axum::Json(app.pipeline.history.stories.story(&caller.space, seq, &event)?).into_response())
}

/// `GET /v1/events/{id}/explain`: what each automation did with it, in sentences.
pub(crate) async fn explain(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
    Query(which): Query<SourceQuery>,
) -> Result<Response, Problem> {
    let (seq, event) = app.pipeline.history.outcomes.event(&caller.space, &id, which.source.as_deref())?;
    Ok(axum::Json(app.pipeline.history.stories.explain(&caller.space, seq, &event)?).into_response())
}

/// `GET /v1/events/{id}/payload`: the payload, byte for byte.
pub(crate) async fn payload(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
    Query(which): Query<SourceQuery>,
) -> Result<Response, Problem> {
    let (_, event) = app.pipeline.history.outcomes.event(&caller.space, &id, which.source.as_deref())?;
    let content_type = event.content_type.map_or(Cow::Borrowed("application/octet-stream"), Cow::Owned);
    let content_type =
        HeaderValue::from_str(&content_type).unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream"));
    let mut response = Response::new(Body::from(event.payload));
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    // Content from outside is offered as a download, so that a browser never shows it as a page of this server.
    response.headers_mut().insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}
