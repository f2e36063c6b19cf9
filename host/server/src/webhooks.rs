//! `/v1/webhooks`: everything that a webhook can be.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use hookwright_model::{
    Batching, Confirmation, CustomHeader, EventPattern, Exhausted, Gone, Handshake, OauthSettings, Order, Profile,
    Rate, RetrySchedule, SigningKey, SigningPolicy, Timestamp, TransportSettings, Webhook, WebhookId, WebhookInput,
    When,
};
use hookwright_pipeline::{RedeliveryFilter, RotateInput, ShownKey};
use http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::auth::Caller;
use crate::body::Json;
use crate::outcomes::{Parsed, parsed};
use crate::page::{Listed, Named, Paging};
use crate::problem::Problem;
use crate::{Shared, body};

/// A key, as it may be shown: never its private part.
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
struct Shown {
    id: WebhookId,
    number: u64,
    name: String,
    profile: Profile,
    url: String,
    events: Vec<EventPattern>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<String>,
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
    /// Only in the answer to what made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

fn shown(app: &Shared, webhook: Webhook, key: ShownKey) -> Shown {
    let state =
        if webhook.delivers() && app.pipeline.is_throttled(&webhook) { "throttled" } else { webhook.state().name() };
    let Confirmation { handshake, confirmed_at, .. } = webhook.confirmation;
    Shown {
        state,
        id: webhook.id,
        number: webhook.number,
        name: webhook.name,
        profile: webhook.profile,
        url: webhook.url,
        events: webhook.events,
        event: webhook.event,
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
        state_reason: webhook.state_reason,
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

/// Who changes something, for the record.
pub(crate) fn by(caller: &Caller) -> String {
    format!("key {}", caller.key)
}

pub(crate) async fn create(
    State(app): State<Shared>,
    caller: Caller,
    Json(input): Json<WebhookInput>,
) -> Result<Response, Problem> {
    let made = app.pipeline.create_webhook(&caller.space, input).await?;
    let location = format!("/v1/webhooks/{}", made.webhook.id);
    let body = axum::Json(shown(&app, made.webhook, made.key));
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], body).into_response())
}

#[derive(Deserialize)]
pub(crate) struct Filter {
    state: Option<String>,
    profile: Option<Profile>,
    event: Option<String>,
    enabled: Option<bool>,
}

const STATES: [&str; 5] = ["unconfirmed", "active", "throttled", "disabled", "dead"];

pub(crate) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    paging: Paging,
    filter: Parsed<Filter>,
) -> Result<Response, Problem> {
    let filter = parsed(filter)?;
    if let Some(state) = filter.state.as_deref().filter(|state| !STATES.contains(state)) {
        let state: String = state.chars().take(40).collect();
        return Err(Problem::bad("query.invalid", format!("state `{state}`: one of {}", STATES.join(", "))));
    }
    let before = paging.parse::<u64>()?.unwrap_or(u64::MAX);
    let mut webhooks = app.pipeline.store().webhooks(&caller.space)?;
    webhooks.sort_by_key(|webhook| std::cmp::Reverse(webhook.number));
    let mut page: Vec<Shown> = Vec::new();
    let mut next = None;
    let wanted = |webhook: &Webhook| {
        filter.profile.is_none_or(|profile| webhook.profile == profile)
            && filter.enabled.is_none_or(|enabled| webhook.enabled == enabled)
            && filter.event.as_deref().is_none_or(|event| webhook.events.iter().any(|pattern| pattern.takes(event)))
    };
    for webhook in webhooks.into_iter().filter(|one| one.number < before).filter(wanted) {
        let one = shown(&app, webhook, ShownKey::default());
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
    let webhook = app.pipeline.webhook(&caller.space, &id)?;
    let status = app.pipeline.webhook_status(&webhook)?;
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
    let changed = app.pipeline.change_webhook(&caller.space, &id, input, &by(&caller)).await?;
    Ok(axum::Json(shown(&app, changed.webhook, changed.key)).into_response())
}

pub(crate) async fn delete(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<StatusCode, Problem> {
    app.pipeline.delete_webhook(&caller.space, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn switch(app: &Shared, caller: &Caller, id: &str, enabled: bool) -> Result<Response, Problem> {
    let input = WebhookInput { enabled: Some(enabled), ..WebhookInput::default() };
    let changed = app.pipeline.change_webhook(&caller.space, id, input, &by(caller)).await?;
    Ok(axum::Json(shown(app, changed.webhook, changed.key)).into_response())
}

pub(crate) async fn enable(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<Response, Problem> {
    switch(&app, &caller, &id, true).await
}

pub(crate) async fn disable(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<Response, Problem> {
    switch(&app, &caller, &id, false).await
}

/// Sends a test. The answer names the event that was made for it, whose story shows what came of it.
pub(crate) async fn test(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<Response, Problem> {
    let event = app.pipeline.test_webhook(&caller.space, &id).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(json!({"event": event}))).into_response())
}

/// Gives the webhook a new key.
pub(crate) async fn rotate(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
    bytes: axum::body::Bytes,
) -> Result<Response, Problem> {
    let input: RotateInput = optional(&bytes)?;
    let (webhook, key) = app.pipeline.rotate_webhook(&caller.space, &id, input).await?;
    Ok(axum::Json(shown(&app, webhook, key)).into_response())
}

/// A JSON body that may be left out.
pub(crate) fn optional<T: serde::de::DeserializeOwned + Default>(bytes: &[u8]) -> Result<T, Problem> {
    if bytes.trim_ascii().is_empty() { Ok(T::default()) } else { body::json(bytes) }
}

/// Asks the receiver again.
pub(crate) async fn verify(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<Response, Problem> {
    let webhook = app.pipeline.verify_again(&caller.space, &id).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(shown(&app, webhook, ShownKey::default()))).into_response())
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recover {
    from: Option<Timestamp>,
    until: Option<Timestamp>,
}

/// Sends again what a webhook did not take.
pub(crate) async fn recover(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
    bytes: axum::body::Bytes,
) -> Result<Response, Problem> {
    let Recover { from, until } = optional(&bytes)?;
    let webhook = app.pipeline.webhook(&caller.space, &id)?;
    let filter = RedeliveryFilter { webhook: Some(webhook.id), from, until, ..RedeliveryFilter::default() };
    let redelivery = app.pipeline.redeliver_all(&caller.space, filter);
    let location = format!("/v1/redeliveries/{}", redelivery.id);
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], axum::Json(redelivery)).into_response())
}

/// A receiver follows the link that it was sent. It works once.
pub(crate) async fn confirm(
    State(app): State<Shared>,
    Named(token): Named,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let allowed = headers.get("webhook-allowed-rate").and_then(|rate| rate.to_str().ok());
    let confirmed = app.pipeline.follow_link(&token, allowed).await.map_err(|error| {
        let problem = Problem::from(error);
        if problem.is("confirmation.gone") { problem.with_status(StatusCode::GONE) } else { problem }
    })?;
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
    let pem = app.pipeline.certificate(&space, &webhook, key)?;
    let cached = "public, max-age=86400, immutable";
    Ok(([(header::CONTENT_TYPE, "application/x-pem-file"), (header::CACHE_CONTROL, cached)], pem).into_response())
}
