//! The outcomes: runs and deliveries.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hookwright_model::{Delivery, DeliveryState, Run, RunStateName, Timestamp};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::Shared;
use crate::auth::Caller;
use crate::page::{Listed, Named, Paging};
use crate::problem::Problem;
use crate::query::Query;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunFilter {
    automation: Option<String>,
    workflow: Option<String>,
    event: Option<String>,
    event_type: Option<String>,
    subject: Option<String>,
    ticket: Option<u64>,
    state: Option<RunStateName>,
    fired: Option<bool>,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    error: Option<String>,
    /// Of the page, which [`Paging`] reads.
    #[serde(rename = "limit")]
    _limit: Option<IgnoredAny>,
    #[serde(rename = "cursor")]
    _cursor: Option<IgnoredAny>,
}

impl RunFilter {
    fn keeps(&self, run: &Run) -> bool {
        let about = |subject: &str| run.subject.as_deref() == Some(subject);
        self.automation.as_deref().is_none_or(|id| run.automation.as_str() == id)
            && self.workflow.as_deref().is_none_or(|name| run.workflow() == Some(name))
            && self.event.as_deref().is_none_or(|id| run.event == id)
            && self.event_type.as_deref().is_none_or(|wanted| run.event_type == wanted)
            && self.subject.as_deref().is_none_or(about)
            && self.ticket.is_none_or(|ticket| about(&format!("ticket/{ticket}")))
            && self.state.is_none_or(|state| run.state.name() == state)
            && self.fired.is_none_or(|fired| run.decision.fired == fired)
            && self.from.is_none_or(|from| from <= run.created_at)
            && self.until.is_none_or(|until| run.created_at < until)
            && self.error.as_deref().is_none_or(|text| run.errors().any(|error| error.contains(text)))
    }
}

/// `GET /v1/runs`: the log of every automation, fired or not.
pub(crate) async fn runs(
    State(app): State<Shared>,
    caller: Caller,
    paging: Paging,
    Query(filter): Query<RunFilter>,
) -> Result<Response, Problem> {
    let listing = app.pipeline.runs.stored.runs(&caller.space, paging.page()?, &|run| filter.keeps(run))?;
    let next = listing.next.map(|cursor| cursor.to_string());
    Ok(axum::Json(Listed { data: listing.items, next }).into_response())
}

pub(crate) async fn run(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<Response, Problem> {
    Ok(axum::Json(app.pipeline.runs.stored.run(&caller.space, &id)?).into_response())
}

/// `POST /v1/runs/{id}/cancel`: cancels a run before its last step.
pub(crate) async fn cancel(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<Response, Problem> {
    Ok(axum::Json(app.pipeline.runs.stored.cancel_run(&caller.space, &id).await?).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeliveryFilter {
    webhook: Option<String>,
    event: Option<String>,
    state: Option<DeliveryState>,
    /// Of the page, which [`Paging`] reads.
    #[serde(rename = "limit")]
    _limit: Option<IgnoredAny>,
    #[serde(rename = "cursor")]
    _cursor: Option<IgnoredAny>,
}

pub(crate) async fn deliveries(
    State(app): State<Shared>,
    caller: Caller,
    paging: Paging,
    Query(filter): Query<DeliveryFilter>,
) -> Result<Response, Problem> {
    let keep = |delivery: &Delivery| {
        filter.webhook.as_deref().is_none_or(|id| delivery.webhook.as_str() == id)
            && filter.event.as_deref().is_none_or(|id| delivery.event == id)
            && filter.state.is_none_or(|state| delivery.state == state)
    };
    let listing = app.pipeline.history.outcomes.deliveries(&caller.space, paging.page()?, &keep)?;
    let next = listing.next.map(|cursor| cursor.to_string());
    let data = listing.items.into_iter().map(|one| app.pipeline.delivery.holds.delivery_view(one)).collect();
    Ok(axum::Json(Listed { data, next }).into_response())
}

/// A delivery with its attempts.
pub(crate) async fn delivery(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<Response, Problem> {
    let delivery = app.pipeline.history.outcomes.delivery(&caller.space, &id)?;
    let log = app.pipeline.history.outcomes.attempts(&caller.space, delivery.id)?;
    let mut shown = json!(app.pipeline.delivery.holds.delivery_view(delivery));
    if let Value::Object(object) = &mut shown {
        object.insert("log".to_owned(), json!(log));
    }
    Ok(axum::Json(shown).into_response())
}
