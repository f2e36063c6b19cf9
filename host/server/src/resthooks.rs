//! `/api/v2/resthooks`: webhooks as Capsule's REST hooks. The list is that of `/v1/webhooks`; a hook's id is the
//! webhook's number.

use std::sync::Arc;

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

/// The default page size.
const DEFAULT_PER_PAGE: usize = 50;
/// The maximum number of records in one message of a batched hook, and their position in it.
const MAX_BATCH: u32 = 100;
const PAYLOAD: &str = "/payload";
/// How long the first record of a batch waits for others, in milliseconds.
const MAX_BATCH_WAIT_MS: u32 = 1000;

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

/// The name of a webhook's event for clients of a system: the name that it was created with, or the system's name for
/// it, or the type itself.
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
    Ok(app.pipeline.resources.webhooks.webhook_numbered(&caller.space, number)?)
}

/// Whether it is among Capsule's hooks: a dead one is unsubscribed, as Capsule defines.
fn is_subscribed(webhook: &Webhook) -> bool {
    !(webhook.profile == Profile::Capsule && webhook.dead)
}

fn hook(app: &Shared, caller: &Caller, id: &str) -> Result<Webhook, Problem> {
    let webhook = numbered(app, caller, id)?;
    if is_subscribed(&webhook) { Ok(webhook) } else { Err(Problem::not_found("webhook", id)) }
}

pub(crate) async fn create(
    State(app): State<Shared>,
    caller: Caller,
    Json(Envelope { rest_hook }): Json<Envelope>,
) -> Result<Response, Problem> {
    let Input { target_url, event, description, embed, batched } = rest_hook;
    let batching = batched.unwrap_or_default().then(|| Batching {
        most: MAX_BATCH,
        wait_ms: MAX_BATCH_WAIT_MS,
        list: PAYLOAD.to_owned(),
    });
    let input = WebhookInput {
        profile: Some(Some(Profile::Capsule)),
        url: target_url,
        event: event.map(Some),
        description: description.map(Some),
        embed: embed.map(Some),
        batching: Some(batching),
        // Neither these messages nor these responses have a field for a signature or its secret.
        signing: Some(Some(SigningPolicy::None {})),
        ..WebhookInput::default()
    };
    let made = app.pipeline.resources.webhooks.create_webhook(&caller.space, input, &caller.author()).await?;
    let location = format!("/api/v2/resthooks/{}", made.webhook.number);
    let body = axum::Json(json!({"restHook": Hook::from(made.webhook)}));
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], body).into_response())
}

pub(crate) async fn list(State(app): State<Shared>, caller: Caller, wanted: Numbered) -> Result<Response, Problem> {
    let subscribed =
        app.pipeline.resources.webhooks.webhooks(&caller.space).into_iter().filter(|one| is_subscribed(one)).collect();
    let slice = wanted.of(subscribed, DEFAULT_PER_PAGE, "perPage");
    let hooks: Vec<Hook> = slice.items.into_iter().map(|webhook| Hook::from(Arc::unwrap_or_clone(webhook))).collect();
    Ok(linked(slice.links, axum::Json(json!({"restHooks": hooks}))))
}

pub(crate) async fn read(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<Response, Problem> {
    let webhook = hook(&app, &caller, &id)?;
    Ok(axum::Json(json!({"restHook": Hook::from(webhook)})).into_response())
}

pub(crate) async fn delete(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<StatusCode, Problem> {
    let webhook = hook(&app, &caller, &id)?;
    app.pipeline.resources.webhooks.delete_webhook(&caller.space, webhook.id.as_str()).await?;
    Ok(StatusCode::NO_CONTENT)
}
