//! The log of requests to webhooks, and sending again.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hookwright_model::{Attempt, Delivery, DeliveryId, Timestamp};
use hookwright_pipeline::RedeliveryFilter;
use hookwright_store::{AttemptQuery, LogCursor, Page};
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Shared;
use crate::auth::Caller;
use crate::body::Json;
use crate::outcomes::{Parsed, parsed};
use crate::page::{Listed, Named, Paging};
use crate::problem::Problem;

/// How many attempts an export reads at a time.
const EXPORTED: usize = 200;

/// Which requests are wanted.
#[derive(Clone, Deserialize)]
pub(crate) struct Filter {
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    webhook: Option<String>,
    event: Option<String>,
    event_type: Option<String>,
    ticket: Option<u64>,
    status: Option<u16>,
    succeeded: Option<bool>,
    error: Option<String>,
}

impl Filter {
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
    filter: &Filter,
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
    let listing = app.pipeline.store().attempt_log(&caller.space, &query, page)?;
    Ok((listing.items.iter().map(|(delivery, attempt)| shown(delivery, attempt)).collect(), listing.next))
}

/// An attempt with what it was an attempt of.
fn shown(delivery: &Delivery, attempt: &Attempt) -> Value {
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
        shown.insert("succeeded".to_owned(), attempt.outcome.succeeded().into());
    }
    shown
}

/// The number of the webhook that the filter names; none in `Some`: there is no such webhook, so nothing fits.
fn queue_of(app: &Shared, caller: &Caller, filter: &Filter) -> Result<Option<u64>, Problem> {
    let Some(id) = &filter.webhook else { return Ok(None) };
    Ok(Some(app.pipeline.webhook(&caller.space, id)?.number))
}

pub(crate) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    paging: Paging,
    filter: Parsed<Filter>,
) -> Result<Response, Problem> {
    let filter = parsed(filter)?;
    let queue = queue_of(&app, &caller, &filter)?;
    let wanted = Page { before: paging.parse()?, limit: paging.limit };
    let (data, next) = page(&app, &caller, &filter, queue, wanted)?;
    Ok(axum::Json(Listed { data, next: next.map(|cursor| cursor.to_string()) }).into_response())
}

/// All that fit, one a line, newest first, read as the caller takes them.
pub(crate) async fn export(
    State(app): State<Shared>,
    caller: Caller,
    filter: Parsed<Filter>,
) -> Result<Response, Problem> {
    let filter = parsed(filter)?;
    let queue = queue_of(&app, &caller, &filter)?;
    let first = Some(None::<LogCursor>);
    let lines = futures_util::stream::unfold(first, move |state| {
        let (app, caller, filter) = (app.clone(), caller.clone(), filter.clone());
        async move {
            let before = state?;
            match page(&app, &caller, &filter, queue, Page { before, limit: EXPORTED }) {
                Ok((data, next)) => {
                    let mut text = String::new();
                    for line in data {
                        text.push_str(&line.to_string());
                        text.push('\n');
                    }
                    Some((Ok::<_, std::io::Error>(Bytes::from(text)), next.map(Some)))
                }
                // Broken off, so that nobody takes it for the whole.
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
    let made = app.pipeline.redeliver(&caller.space, delivery).await?;
    let location = format!("/v1/deliveries/{}", made.id);
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], axum::Json(made)).into_response())
}

pub(crate) async fn redeliver_all(
    State(app): State<Shared>,
    caller: Caller,
    Json(filter): Json<RedeliveryFilter>,
) -> Result<Response, Problem> {
    if let Some(webhook) = &filter.webhook {
        app.pipeline.webhook(&caller.space, webhook.as_str())?;
    }
    let redelivery = app.pipeline.redeliver_all(&caller.space, filter);
    let location = format!("/v1/redeliveries/{}", redelivery.id);
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], axum::Json(redelivery)).into_response())
}

pub(crate) async fn redeliveries(State(app): State<Shared>, caller: Caller) -> Result<Response, Problem> {
    Ok(Listed::whole(app.pipeline.redeliveries(&caller.space)).into_response())
}

pub(crate) async fn redelivery(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
) -> Result<Response, Problem> {
    Ok(axum::Json(app.pipeline.redelivery(&caller.space, &id)?).into_response())
}
