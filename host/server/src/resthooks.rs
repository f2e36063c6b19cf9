//! `/api/v2/resthooks`: webhooks as Capsule's REST hooks (R1). The list is that of `/v1/webhooks`; a hook's id is the
//! webhook's number.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hookwright_model::{Batching, Profile, SigningPolicy, Vocabulary, Webhook, WebhookInput};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::Shared;
use crate::auth::Caller;
use crate::body::Json;
use crate::page::Named;
use crate::pages::{Numbered, linked};
use crate::problem::Problem;

/// How many hooks a page has unless the caller says otherwise.
const USUAL: usize = 50;
/// How many records one message of a batched hook carries at most, and where they stand in it.
const BATCH: u32 = 100;
const PAYLOAD: &str = "/payload";
/// For how long the first record of a batch waits for others, in milliseconds.
const BATCH_WAIT: u32 = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Envelope {
    #[serde(rename = "restHook")]
    rest_hook: Input,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Input {
    target_url: Option<String>,
    event: Option<String>,
    description: Option<String>,
    embed: Option<String>,
    batched: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Hook {
    id: u64,
    event: String,
    target_url: String,
    description: Option<String>,
    embed: Option<String>,
    batched: bool,
    created_at: String,
    updated_at: String,
}

impl From<Webhook> for Hook {
    fn from(webhook: Webhook) -> Self {
        Self {
            id: webhook.number,
            event: event_of(&webhook, Profile::Capsule),
            created_at: webhook.created_at.to_seconds(),
            updated_at: webhook.updated_at.to_seconds(),
            description: Some(webhook.description).filter(|text| !text.is_empty()),
            batched: webhook.batching.is_some(),
            embed: webhook.embed,
            target_url: webhook.url,
        }
    }
}

/// What a webhook's event is called by the clients of a system: as it was made, in that system's word for it, or as it
/// stands.
pub(crate) fn event_of(webhook: &Webhook, profile: Profile) -> String {
    if let Some(event) = webhook.event.as_ref().filter(|_| webhook.profile == profile) {
        return event.clone();
    }
    let first = webhook.events.first().map(ToString::to_string).unwrap_or_default();
    let word = Vocabulary::named(profile.name()).and_then(|words| words.name_of(&first));
    word.unwrap_or(first)
}

/// The webhook that an id of these systems names.
pub(crate) fn numbered(app: &Shared, caller: &Caller, id: &str) -> Result<Webhook, Problem> {
    let number = id.parse().map_err(|_| Problem::not_found("webhook", id))?;
    Ok(app.pipeline.webhook_numbered(&caller.space, number)?)
}

/// Every webhook of the space, the newest first.
pub(crate) fn newest_first(app: &Shared, caller: &Caller) -> Result<Vec<Webhook>, Problem> {
    let mut webhooks = app.pipeline.store().webhooks(&caller.space)?;
    webhooks.sort_by_key(|webhook| std::cmp::Reverse(webhook.number));
    Ok(webhooks)
}

pub(crate) async fn create(
    State(app): State<Shared>,
    caller: Caller,
    Json(Envelope { rest_hook }): Json<Envelope>,
) -> Result<Response, Problem> {
    let Input { target_url, event, description, embed, batched } = rest_hook;
    let batching =
        batched.unwrap_or_default().then(|| Batching { most: BATCH, wait_ms: BATCH_WAIT, list: PAYLOAD.to_owned() });
    let input = WebhookInput {
        profile: Some(Profile::Capsule),
        url: target_url,
        event,
        description,
        embed,
        batching: Some(batching),
        // There is no place in these messages, or in these answers, for a signature's secret.
        signing: Some(SigningPolicy::None {}),
        ..WebhookInput::default()
    };
    let made = app.pipeline.create_webhook(&caller.space, input).await?;
    let location = format!("/api/v2/resthooks/{}", made.webhook.number);
    let body = axum::Json(json!({"restHook": Hook::from(made.webhook)}));
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], body).into_response())
}

pub(crate) async fn list(State(app): State<Shared>, caller: Caller, wanted: Numbered) -> Result<Response, Problem> {
    let slice = wanted.of(newest_first(&app, &caller)?, USUAL, "perPage");
    let hooks: Vec<Hook> = slice.items.into_iter().map(Hook::from).collect();
    Ok(linked(slice.links, axum::Json(json!({"restHooks": hooks}))))
}

pub(crate) async fn read(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<Response, Problem> {
    let webhook = numbered(&app, &caller, &id)?;
    Ok(axum::Json(json!({"restHook": Hook::from(webhook)})).into_response())
}

pub(crate) async fn delete(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<StatusCode, Problem> {
    let webhook = numbered(&app, &caller, &id)?;
    app.pipeline.delete_webhook(&caller.space, webhook.id.as_str()).await?;
    Ok(StatusCode::NO_CONTENT)
}
