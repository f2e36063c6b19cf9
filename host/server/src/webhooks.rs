//! `/v1/webhooks`: webhooks with all their fields.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use hookwright_model::{
    Batching, Confirmation, CustomHeader, EventPattern, Exhausted, Gone, Handshake, OauthSettings, Order, Profile,
    Rate, RetrySchedule, SigningKey, SigningPolicy, Timestamp, TransportSettings, Webhook, WebhookId, WebhookInput,
    When,
};
use hookwright_pipeline::{PipelineError, RedeliveryFilter, RotateInput, ShownKey};
use http::{HeaderMap, Method, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::auth::Caller;
use crate::body::{Json, NewJson, optional};
use crate::page::{Listed, Named, Paging};
use crate::problem::Problem;
use crate::query::{self, Query};
use crate::{Shared, attempts};

/// A key without its private part.
#[derive(Serialize)]
pub(crate) struct Key {
    id: String,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    public: Option<Value>,
}

pub(crate) fn keys(keys: Vec<SigningKey>) -> Vec<Key> {
    let shown = |SigningKey { id, created_at, expires_at, public, .. }| Key { id, created_at, expires_at, public };
    keys.into_iter().map(shown).collect()
}

#[derive(Serialize)]
struct WebhookView {
    id: WebhookId,
    number: u64,
    name: String,
    profile: Profile,
    url: String,
    events: Vec<EventPattern>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embed: Option<String>,
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    when: Option<When>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transform: Option<String>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    with: Map<String, Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    headers: Vec<CustomHeader>,
    signing: SigningPolicy,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<u64>,
    keys: Vec<Key>,
    enabled: bool,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_at: Option<Timestamp>,
    /// The time until which nothing is sent, while the state is `circuit-open` or `throttled`.
    #[serde(skip_serializing_if = "Option::is_none")]
    held_until: Option<Timestamp>,
    handshake: Handshake,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmed_at: Option<Timestamp>,
    retry: RetrySchedule,
    timeout_ms: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<Rate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrency: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<Order>,
    #[serde(skip_serializing_if = "Option::is_none")]
    batching: Option<Batching>,
    on_gone: Gone,
    on_exhausted: Exhausted,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mail_exceptions_to: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transport: Option<TransportSettings>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oauth: Option<OauthSettings>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
    /// Only in the response to the request that created it.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

fn shown(app: &Shared, webhook: Webhook, key: ShownKey) -> WebhookView {
    let hold = app.pipeline.delivery.holds.hold(&webhook);
    let state = hold.as_ref().map_or(webhook.state().name(), |hold| hold.state);
    let Confirmation { handshake, confirmed_at, .. } = webhook.confirmation;
    WebhookView {
        state,
        id: webhook.id,
        number: webhook.number,
        name: webhook.name,
        profile: webhook.profile,
        url: webhook.url,
        events: webhook.events,
        event: webhook.event,
        embed: webhook.embed,
        description: webhook.description,
        source: webhook.source,
        source_id: webhook.source_id,
        when: webhook.when,
        transform: webhook.transform,
        with: webhook.with,
        headers: webhook.headers,
        signing: webhook.signing,
        policy: webhook.policy,
        keys: keys(webhook.keys),
        enabled: webhook.enabled,
        held_until: hold.as_ref().map(|hold| hold.until).filter(|until| app.pipeline.now() < *until),
        state_reason: hold.map(|hold| hold.reason).or(webhook.state_reason),
        state_by: webhook.state_by,
        state_at: webhook.state_at,
        handshake,
        confirmed_at,
        retry: webhook.retry,
        timeout_ms: webhook.timeout_ms,
        rate: webhook.rate,
        concurrency: webhook.concurrency,
        order: webhook.order,
        batching: webhook.batching,
        on_gone: webhook.on_gone,
        on_exhausted: webhook.on_exhausted,
        mail_exceptions_to: webhook.mail_exceptions_to,
        transport: webhook.transport,
        oauth: webhook.oauth,
        last_error: webhook.last_error,
        created_at: webhook.created_at,
        updated_at: webhook.updated_at,
        secret: key.secret,
    }
}

pub(crate) async fn create(
    State(app): State<Shared>,
    caller: Caller,
    NewJson(input): NewJson<WebhookInput>,
) -> Result<Response, Problem> {
    input.check_alternatives().map_err(PipelineError::Invalid)?;
    let made = app.pipeline.resources.webhooks.create_webhook(&caller.space, input, &caller.author()).await?;
    let location = format!("/v1/webhooks/{}", made.webhook.id);
    let body = axum::Json(shown(&app, made.webhook, made.key));
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], body).into_response())
}

#[derive(Deserialize)]
pub(crate) struct WebhookFilter {
    state: Option<String>,
    profile: Option<Profile>,
    event: Option<String>,
    enabled: Option<bool>,
}

const STATES: [&str; 6] = ["unconfirmed", "active", "circuit-open", "throttled", "disabled", "dead"];

pub(crate) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    paging: Paging,
    Query(filter): Query<WebhookFilter>,
) -> Result<Response, Problem> {
    if let Some(state) = filter.state.as_deref().filter(|state| !STATES.contains(state)) {
        let state = hookwright_model::abridged(state);
        return Err(query::invalid(format!("state `{state}`: give one of {}", STATES.join(", "))));
    }
    let before = paging.parse::<u64>()?.unwrap_or(u64::MAX);
    let webhooks = app.pipeline.resources.webhooks.webhooks(&caller.space);
    let mut page: Vec<WebhookView> = Vec::new();
    let mut next = None;
    let wanted = |webhook: &Webhook| {
        filter.profile.is_none_or(|profile| webhook.profile == profile)
            && filter.enabled.is_none_or(|enabled| webhook.enabled == enabled)
            && filter.event.as_deref().is_none_or(|event| webhook.events.iter().any(|pattern| pattern.takes(event)))
    };
    for webhook in webhooks.into_iter().filter(|one| one.number < before && wanted(one)) {
        let one = shown(&app, Arc::unwrap_or_clone(webhook), ShownKey::default());
        if filter.state.as_deref().is_some_and(|state| state != one.state) {
            continue;
        }
        if page.len() == paging.limit {
            next = page.last().map(|last| last.number.to_string());
            break;
        }
        page.push(one);
    }
    Ok(axum::Json(Listed { data: page, next }).into_response())
}

pub(crate) async fn read(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<Response, Problem> {
    let webhook = app.pipeline.resources.webhooks.webhook(&caller.space, &id)?;
    let status = app.pipeline.resources.webhooks.webhook_status(&webhook)?;
    let mut body = json!(shown(&app, webhook, ShownKey::default()));
    if let Some(body) = body.as_object_mut() {
        body.insert("status".to_owned(), status);
    }
    Ok(axum::Json(body).into_response())
}

pub(crate) async fn change(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
    Json(input): Json<WebhookInput>,
) -> Result<Response, Problem> {
    input.check_alternatives().map_err(PipelineError::Invalid)?;
    let changed = app.pipeline.resources.webhooks.change_webhook(&caller.space, &id, input, &caller.author()).await?;
    Ok(axum::Json(shown(&app, changed.webhook, changed.key)).into_response())
}

pub(crate) async fn delete(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<StatusCode, Problem> {
    app.pipeline.resources.webhooks.delete_webhook(&caller.space, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Enables a webhook, or disables it.
pub(crate) async fn switch<const ENABLED: bool>(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
) -> Result<Response, Problem> {
    let input = WebhookInput { enabled: Some(Some(ENABLED)), ..WebhookInput::default() };
    let changed = app.pipeline.resources.webhooks.change_webhook(&caller.space, &id, input, &caller.author()).await?;
    Ok(axum::Json(shown(&app, changed.webhook, changed.key)).into_response())
}

/// Sends a test at once. The response has its outcome, and names the event that was created for it.
pub(crate) async fn test(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<Response, Problem> {
    let test = app.pipeline.delivery.out_of_turn.test_webhook(&caller.space, &id, &caller.author()).await?;
    let (event, delivery) = (test.event.clone(), test.delivery);
    let view = app.pipeline.delivery.out_of_turn.test_result(&caller.space, test).await?;
    let body = json!({
        "event": event,
        "delivery": delivery.to_string(),
        "state": view.delivery.state,
        "last_error": view.delivery.last_error,
        "waiting": view.waiting,
        "log": app.pipeline.history.outcomes.attempts(&caller.space, delivery)?,
    });
    Ok((StatusCode::ACCEPTED, axum::Json(body)).into_response())
}

/// Gives the webhook a new key.
pub(crate) async fn rotate(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
    bytes: axum::body::Bytes,
) -> Result<Response, Problem> {
    let input: RotateInput = optional(&bytes)?;
    let (webhook, key) = app.pipeline.resources.webhook_policies.rotate_webhook(&caller.space, &id, input).await?;
    Ok(axum::Json(shown(&app, webhook, key)).into_response())
}

/// Sends the receiver another verification challenge.
pub(crate) async fn verify(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<Response, Problem> {
    let webhook = app.pipeline.delivery.confirmations.verify_again(&caller.space, &id, &caller.author()).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(shown(&app, webhook, ShownKey::default()))).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Recover {
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    #[serde(default = "yes")]
    missed: bool,
    #[serde(default)]
    preview: bool,
}

impl Default for Recover {
    fn default() -> Self {
        Self { from: None, until: None, missed: true, preview: false }
    }
}

fn yes() -> bool {
    true
}

/// Redelivers a webhook's dead letters, and the events that it missed while it was disabled or dead.
pub(crate) async fn recover(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
    bytes: axum::body::Bytes,
) -> Result<Response, Problem> {
    let Recover { from, until, missed, preview } = optional(&bytes)?;
    let webhook = Some(app.pipeline.resources.webhooks.webhook(&caller.space, &id)?.id);
    let filter = RedeliveryFilter { webhook, from, until, missed, preview, ..RedeliveryFilter::default() };
    attempts::send_again(&app, &caller, filter).await
}

/// A receiver follows the link of its verification challenge, which works once. `GET` follows it, and `POST` where the
/// handshake permits that; `HEAD` and other methods, which link checkers send, change nothing.
pub(crate) async fn confirm(
    State(app): State<Shared>,
    Named(token): Named,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asked = app.pipeline.delivery.confirmations.webhook_of_link(&token)?;
    let posts = asked.confirmation.handshake.link_takes_post();
    if method == Method::HEAD {
        return Ok(StatusCode::OK.into_response());
    }
    if method != Method::GET && !(posts && method == Method::POST) {
        let allow = if posts { "GET, HEAD, POST" } else { "GET, HEAD" };
        let method: String = method.as_str().chars().take(20).collect();
        let detail = format!("a confirmation link does not support {method}; it supports {allow}, and GET follows it");
        let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method.not_allowed", detail).unread(&headers);
        return Ok(([(header::ALLOW, allow)], problem).into_response());
    }
    let allowed = headers.get("webhook-allowed-rate").and_then(|rate| rate.to_str().ok());
    let confirmed = app.pipeline.delivery.confirmations.follow_link(&token, allowed).await?;
    let webhook = confirmed.webhook;
    let body = json!({"confirmed": true, "webhook": webhook.id, "topic": confirmed.topic_arn});
    Ok(axum::Json(body).into_response())
}

#[derive(Deserialize)]
pub(crate) struct Certificate {
    space: String,
    webhook: String,
    file: String,
}

/// The certificate of a key that signs as Amazon SNS does.
pub(crate) async fn certificate(
    State(app): State<Shared>,
    Path(Certificate { space, webhook, file }): Path<Certificate>,
) -> Result<Response, Problem> {
    let missing = || Problem::not_found("certificate", &file);
    let key = file.strip_suffix(".pem").ok_or_else(missing)?;
    let space = space.parse().map_err(|_| missing())?;
    let pem = app.pipeline.resources.webhook_policies.certificate(&space, &webhook, key)?;
    let cached = "public, max-age=86400, immutable";
    Ok(([(header::CONTENT_TYPE, "application/x-pem-file"), (header::CACHE_CONTROL, cached)], pem).into_response())
}
