//! Events in, and their stories out.

use std::borrow::Cow;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use hookwright_model::{Data, Event, EventDraft, EventPattern, MAX_DEPTH, Mistake, SpaceId, json_depth};
use hookwright_store::{Appended, EventLookup};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::Shared;
use crate::auth::Caller;
use crate::page::{Listed, Named, Paging};
use crate::problem::Problem;
use crate::{body, cloudevents};

/// The native form of an event.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Native<'a> {
    #[serde(rename = "type")]
    event_type: String,
    source: Option<String>,
    subject: Option<String>,
    id: Option<String>,
    time: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// The same for error messages: reading it names the path to what does not fit.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only read for its errors")]
struct NativeChecked {
    #[serde(rename = "type")]
    event_type: String,
    source: Option<String>,
    subject: Option<String>,
    id: Option<String>,
    time: Option<String>,
    data: Option<Value>,
}

/// R0.1: the form in which the first reference system takes events.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pushed<'a> {
    service: String,
    trigger_event_type: String,
    #[serde(borrow)]
    attributes: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only read for its errors")]
struct PushedChecked {
    service: String,
    trigger_event_type: String,
    attributes: serde_json::Map<String, Value>,
}

/// What the sender of events gets.
#[derive(Serialize)]
struct Accepted {
    id: String,
    /// The source sent this id before: nothing was done again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
}

impl From<Appended> for Accepted {
    fn from(appended: Appended) -> Self {
        Self { id: appended.id, duplicate: appended.repeat }
    }
}

/// `POST /v1/events`: native JSON, or CloudEvents in one of three modes.
pub(crate) async fn send(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let bytes = body::read(body, app.limits.body_bytes, app.limits.time).await?;
    let content_type = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    let media = content_type.unwrap_or("application/json").split(';').next().unwrap_or_default().trim();
    if media.eq_ignore_ascii_case("application/cloudevents-batch+json") {
        return batch(&app, &caller.space, &bytes).await;
    }
    let draft = if media.eq_ignore_ascii_case("application/cloudevents+json") {
        body::check_json(&bytes)?;
        cloudevents::structured(&bytes, 0..bytes.len())?
    } else if cloudevents::is_binary(&headers) {
        cloudevents::binary(&headers, bytes)?
    } else if media.eq_ignore_ascii_case("application/json") {
        native(bytes)?
    } else {
        let shown: String = media.chars().take(80).collect();
        let detail = format!(
            "`{shown}` is no form of an event: send application/json, application/cloudevents+json, \
             application/cloudevents-batch+json, or any type with ce- headers"
        );
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "body.unsupported_type", detail));
    };
    accepted(app.pipeline.accept(&caller.space, vec![draft]).await?)
}

/// `POST /webhook`: `{"service","trigger_event_type","attributes"}` (R0.1).
pub(crate) async fn push(State(app): State<Shared>, caller: Caller, body: Body) -> Result<Response, Problem> {
    let bytes = body::read(body, app.limits.body_bytes, app.limits.time).await?;
    let draft = match read::<Pushed<'_>>(&bytes) {
        Some(pushed) if pushed.attributes.get().starts_with('{') => EventDraft {
            event_type: pushed.trigger_event_type,
            source: pushed.service,
            content_type: Some("application/json".to_owned()),
            data: Some(span_of(&bytes, pushed.attributes)),
            payload: bytes.clone(),
            ..EventDraft::default()
        },
        _ => return Err(what_is_wrong::<PushedChecked>(&bytes)),
    };
    let appended = app.pipeline.accept(&caller.space, vec![draft]).await.map_err(in_words_of_push)?;
    accepted(appended)
}

/// The attributes of an event have other names in what the caller sent.
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
            let detail = format!("the attributes of `{event_type}` do not fit its schema: {mistakes}");
            Problem::mismatch(detail, mistakes)
        }
        other => other.into(),
    }
}

pub(crate) fn native(bytes: Bytes) -> Result<EventDraft, Problem> {
    let Some(native) = read::<Native<'_>>(&bytes) else {
        return Err(what_is_wrong::<NativeChecked>(&bytes));
    };
    Ok(EventDraft {
        id: native.id,
        event_type: native.event_type,
        source: native.source.unwrap_or_else(|| "api".to_owned()),
        subject: native.subject,
        time: native.time,
        content_type: Some("application/json".to_owned()),
        data: Some(native.data.map_or_else(|| Data::Json("null".to_owned()), |data| span_of(&bytes, data))),
        payload: bytes.clone(),
        ..EventDraft::default()
    })
}

/// Reads what is right in one pass; [`what_is_wrong`] takes its time with the rest.
fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    if json_depth(bytes) > MAX_DEPTH { None } else { serde_json::from_slice(bytes).ok() }
}

fn what_is_wrong<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Problem {
    match body::json::<T>(bytes) {
        Err(problem) => problem,
        Ok(_) => Mistake::new("", "the body is not of the form that this route takes").into(),
    }
}

/// Where a part of the body stands in it, so that it is stored once.
pub(crate) fn span_of(body: &[u8], part: &RawValue) -> Data {
    let text = part.get();
    let start = (text.as_ptr() as usize).saturating_sub(body.as_ptr() as usize);
    Data::Span(start, start.saturating_add(text.len()))
}

async fn batch(app: &Shared, space: &SpaceId, bytes: &Bytes) -> Result<Response, Problem> {
    body::check_json(bytes)?;
    let drafts = cloudevents::batched(bytes)?;
    let appended = if drafts.is_empty() { Vec::new() } else { app.pipeline.accept(space, drafts).await? };
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
pub(crate) struct Filter {
    #[serde(rename = "type")]
    event_type: Option<EventPattern>,
    source: Option<String>,
    subject: Option<String>,
}

#[derive(Serialize)]
struct Line {
    seq: u64,
    received_at: hookwright_model::Timestamp,
    #[serde(flatten)]
    envelope: serde_json::Map<String, Value>,
}

pub(crate) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    paging: Paging,
    filter: Result<Query<Filter>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let Query(filter) = filter.map_err(|error| Problem::bad("query.invalid", error.body_text()))?;
    let keep = |event: &Event| {
        filter.event_type.as_ref().is_none_or(|pattern| pattern.takes(&event.event_type))
            && filter.source.as_ref().is_none_or(|source| *source == event.source)
            && filter.subject.as_ref().is_none_or(|subject| event.subject.as_ref() == Some(subject))
    };
    let listing = app.pipeline.store().events(&caller.space, paging.page()?, &keep)?;
    let data = listing
        .items
        .into_iter()
        .map(|(seq, event)| Line { seq, received_at: event.received_at, envelope: event.envelope() })
        .collect();
    Ok(axum::Json(Listed { data, next: listing.next.map(|cursor| cursor.to_string()) }).into_response())
}

#[derive(Deserialize)]
pub(crate) struct Which {
    pub(crate) source: Option<String>,
}

pub(crate) fn find(app: &Shared, space: &SpaceId, id: &str, source: Option<&str>) -> Result<(u64, Event), Problem> {
    match app.pipeline.store().event(space, id, source)? {
        EventLookup::One(seq, event) => Ok((seq, *event)),
        EventLookup::None => Err(Problem::not_found("event", id)),
        EventLookup::Several(sources) => {
            let detail =
                format!("several sources sent an event with this id: add ?source= one of {}", sources.join(", "));
            Err(Problem::new(StatusCode::CONFLICT, "event.ambiguous", detail))
        }
    }
}

/// `GET /v1/events/{id}`: the whole story.
pub(crate) async fn story(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
    which: Result<Query<Which>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let Query(which) = which.map_err(|error| Problem::bad("query.invalid", error.body_text()))?;
    let (seq, event) = find(&app, &caller.space, &id, which.source.as_deref())?;
    Ok(axum::Json(app.pipeline.story(&caller.space, seq, &event)?).into_response())
}

/// `GET /v1/events/{id}/explain`: what each automation made of it, in plain words.
pub(crate) async fn explain(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
    which: Result<Query<Which>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let Query(which) = which.map_err(|error| Problem::bad("query.invalid", error.body_text()))?;
    let (seq, event) = find(&app, &caller.space, &id, which.source.as_deref())?;
    Ok(axum::Json(app.pipeline.explain(&caller.space, seq, &event)?).into_response())
}

/// `GET /v1/events/{id}/payload`: what came in, byte for byte.
pub(crate) async fn payload(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
    which: Result<Query<Which>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let Query(which) = which.map_err(|error| Problem::bad("query.invalid", error.body_text()))?;
    let (_, event) = find(&app, &caller.space, &id, which.source.as_deref())?;
    let content_type = event.content_type.map_or(Cow::Borrowed("application/octet-stream"), Cow::Owned);
    let content_type =
        HeaderValue::from_str(&content_type).unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream"));
    let mut response = Response::new(Body::from(event.payload));
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    // What a stranger sent is shown as data, never as a page of ours.
    response.headers_mut().insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}
