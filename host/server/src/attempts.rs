//! The log of requests to webhooks, and redelivery.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hookwright_model::{Attempt, Delivery, DeliveryId, Timestamp};
use hookwright_pipeline::{AttemptQuery, LogCursor, Page, RedeliveryFilter};
use http::{StatusCode, header};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::Shared;
use crate::auth::Caller;
use crate::body::Json;
use crate::page::{Listed, Named, Paging, Window};
use crate::problem::Problem;
use crate::query::Query;

/// The number of attempts that an export reads at a time.
const EXPORT_PAGE: usize = 200;

/// Filters requests.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AttemptFilter {
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    webhook: Option<String>,
    event: Option<String>,
    event_type: Option<String>,
    ticket: Option<u64>,
    status: Option<u16>,
    succeeded: Option<bool>,
    error: Option<String>,
    /// Part of the query for paging, which [`Paging`] parses.
    #[serde(rename = "limit")]
    _limit: Option<IgnoredAny>,
    #[serde(rename = "cursor")]
    _cursor: Option<IgnoredAny>,
}

impl AttemptFilter {
    fn keeps(&self, delivery: &Delivery, attempt: &Attempt) -> bool {
        let about = |ticket: &u64| delivery.subject.as_deref() == Some(format!("ticket/{ticket}").as_str());
        self.event.as_ref().is_none_or(|event| *event == delivery.event)
            && self.event_type.as_ref().is_none_or(|wanted| *wanted == delivery.event_type)
            && self.ticket.as_ref().is_none_or(about)
            && self.error.as_ref().is_none_or(|text| {
                let said = attempt.outcome.error().unwrap_or_default();
                let answered = match &attempt.outcome {
                    hookwright_model::AttemptOutcome::Answered { body, .. } => body.as_str(),
                    hookwright_model::AttemptOutcome::Failed { .. } => "",
                };
                !attempt.outcome.succeeded() && (said.contains(text.as_str()) || answered.contains(text.as_str()))
            })
    }
}

fn page(
    app: &Shared,
    caller: &Caller,
    filter: &AttemptFilter,
    queue: Option<u64>,
    page: Page<LogCursor>,
) -> Result<(Vec<Value>, Option<LogCursor>), Problem> {
    let keep = |delivery: &Delivery, attempt: &Attempt| filter.keeps(delivery, attempt);
    let query = AttemptQuery {
        from: filter.from,
        until: filter.until,
        queue,
        succeeded: filter.succeeded,
        status: filter.status,
        keep: &keep,
    };
    let listing = app.pipeline.history.outcomes.attempt_log(&caller.space, &query, page)?;
    Ok((listing.items.iter().map(|(delivery, attempt)| shown(app, delivery, attempt)).collect(), listing.next))
}

/// An attempt with its delivery, and the present state of that.
fn shown(app: &Shared, delivery: &Delivery, attempt: &Attempt) -> Value {
    let mut shown = json!(attempt);
    if let Value::Object(shown) = &mut shown {
        let about = json!({
            "delivery": delivery.id.to_string(),
            "webhook": delivery.webhook,
            "event": delivery.event,
            "event_type": delivery.event_type,
            "subject": delivery.subject,
            "purpose": delivery.purpose,
            "redelivery_of": delivery.redelivery_of.map(|id| id.to_string()),
            "redelivered_by": delivery.redelivered_by.map(|id| id.to_string()),
            "retry_of": (attempt.number > 1).then(|| attempt.number - 1),
            "retried_by": (attempt.number < delivery.attempts).then(|| attempt.number + 1),
        });
        if let Value::Object(about) = about {
            shown.extend(about);
        }
        shown.insert("delivery_state".to_owned(), delivery.state.name().into());
        if let Some(waiting) = app.pipeline.delivery.holds.delivery_view(delivery.clone()).waiting {
            shown.insert("waiting".to_owned(), waiting.into());
        }
        shown.insert("succeeded".to_owned(), attempt.outcome.succeeded().into());
    }
    shown
}

/// The number of the webhook that the filter names; none in `Some`: there is no such webhook, so nothing matches.
fn queue_of(app: &Shared, caller: &Caller, filter: &AttemptFilter) -> Result<Option<u64>, Problem> {
    let Some(id) = &filter.webhook else { return Ok(None) };
    Ok(Some(app.pipeline.resources.webhooks.webhook(&caller.space, id)?.number))
}

pub(crate) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    paging: Paging,
    Query(filter): Query<AttemptFilter>,
) -> Result<Response, Problem> {
    let queue = queue_of(&app, &caller, &filter)?;
    let wanted = Page { before: paging.parse()?, limit: paging.limit };
    let (data, next) = page(&app, &caller, &filter, queue, wanted)?;
    Ok(axum::Json(Listed { data, next: next.map(|cursor| cursor.to_string()) }).into_response())
}

/// All matching attempts, one per line, newest first, read while the caller receives them.
pub(crate) async fn export(
    State(app): State<Shared>,
    caller: Caller,
    Query(filter): Query<AttemptFilter>,
) -> Result<Response, Problem> {
    let queue = queue_of(&app, &caller, &filter)?;
    let first = Some(None::<LogCursor>);
    let lines = futures_util::stream::unfold(first, move |state| {
        let (app, caller, filter) = (app.clone(), caller.clone(), filter.clone());
        async move {
            let before = state?;
            match page(&app, &caller, &filter, queue, Page { before, limit: EXPORT_PAGE }) {
                Ok((data, next)) => {
                    let mut text = String::new();
                    for line in data {
                        text.push_str(&line.to_string());
                        text.push('\n');
                    }
                    Some((Ok::<_, std::io::Error>(Bytes::from(text)), next.map(Some)))
                }
                // Abort the response, so that the caller does not mistake it for a complete one.
                Err(_) => Some((Err(std::io::Error::other("the log cannot be read")), None)),
            }
        }
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}

pub(crate) async fn redeliver(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
) -> Result<Response, Problem> {
    let delivery: DeliveryId = id.parse().map_err(|()| Problem::not_found("delivery", &id))?;
    let made = app.pipeline.delivery.resending.redeliver(&caller.space, delivery).await?;
    let location = format!("/v1/deliveries/{}", made.id);
    Ok((
        StatusCode::ACCEPTED,
        [(header::LOCATION, location)],
        axum::Json(app.pipeline.delivery.holds.delivery_view(made)),
    )
        .into_response())
}

pub(crate) async fn redeliver_all(
    State(app): State<Shared>,
    caller: Caller,
    Json(filter): Json<RedeliveryFilter>,
) -> Result<Response, Problem> {
    send_again(&app, &caller, filter).await
}

/// Starts a redelivery, or counts the deliveries that it would send.
pub(crate) async fn send_again(app: &Shared, caller: &Caller, filter: RedeliveryFilter) -> Result<Response, Problem> {
    if filter.preview {
        return Ok(axum::Json(app.pipeline.delivery.resending.preview_redelivery(&caller.space, &filter).await?)
            .into_response());
    }
    let redelivery = app.pipeline.delivery.resending.redeliver_all(&caller.space, filter)?;
    let location = format!("/v1/redeliveries/{}", redelivery.id);
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], axum::Json(redelivery)).into_response())
}

pub(crate) async fn redeliveries(State(app): State<Shared>, caller: Caller, window: Window) -> Response {
    window.descending(app.pipeline.delivery.resending.redeliveries(&caller.space), |one| one.id.clone()).into_response()
}

pub(crate) async fn redelivery(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
) -> Result<Response, Problem> {
    Ok(axum::Json(app.pipeline.delivery.resending.redelivery(&caller.space, &id)?).into_response())
}
