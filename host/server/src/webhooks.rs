use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hookwright_model::{EventPattern, RetrySchedule, Timestamp, Webhook, WebhookId, WebhookInput, WebhookState};
use http::{StatusCode, header};
use serde::Serialize;

use crate::Shared;
use crate::auth::Caller;
use crate::body::Json;
use crate::page::{Listed, Named};
use crate::problem::Problem;

#[derive(Serialize)]
struct Shown {
    id: WebhookId,
    url: String,
    events: Vec<EventPattern>,
    description: String,
    enabled: bool,
    state: WebhookState,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_reason: Option<String>,
    retry: RetrySchedule,
    timeout_ms: u32,
    created_at: Timestamp,
    updated_at: Timestamp,
    /// Only in the answer to the creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

fn shown(webhook: Webhook, secret: Option<String>) -> Shown {
    Shown {
        enabled: webhook.state.delivers(),
        id: webhook.id,
        url: webhook.url,
        events: webhook.events,
        description: webhook.description,
        state: webhook.state,
        state_reason: webhook.state_reason,
        retry: webhook.retry,
        timeout_ms: webhook.timeout_ms,
        created_at: webhook.created_at,
        updated_at: webhook.updated_at,
        secret,
    }
}

pub(crate) async fn create(
    State(app): State<Shared>,
    caller: Caller,
    Json(input): Json<WebhookInput>,
) -> Result<Response, Problem> {
    let made = app.pipeline.create_webhook(&caller.space, input).await?;
    let location = format!("/v1/webhooks/{}", made.webhook.id);
    let body = axum::Json(shown(made.webhook, Some(made.secret)));
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], body).into_response())
}

pub(crate) async fn list(State(app): State<Shared>, caller: Caller) -> Result<Response, Problem> {
    let mut webhooks = app.pipeline.store().webhooks(&caller.space)?;
    webhooks.sort_by(|a, b| b.id.cmp(&a.id));
    Ok(Listed::whole(webhooks.into_iter().map(|webhook| shown(webhook, None)).collect()).into_response())
}

pub(crate) async fn read(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<Response, Problem> {
    Ok(axum::Json(shown(app.pipeline.webhook(&caller.space, &id)?, None)).into_response())
}

pub(crate) async fn change(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
    Json(input): Json<WebhookInput>,
) -> Result<Response, Problem> {
    Ok(axum::Json(shown(app.pipeline.change_webhook(&caller.space, &id, input).await?, None)).into_response())
}

pub(crate) async fn delete(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<StatusCode, Problem> {
    app.pipeline.delete_webhook(&caller.space, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
