//! `/webhooks`: webhooks as Xurrent's (R4). The list is that of `/v1/webhooks`; an id is the webhook's number.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hookwright_model::{Mistake, Profile, SigningPolicy, Vocabulary, Webhook, WebhookInput, WebhookState};
use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use crate::Shared;
use crate::auth::Caller;
use crate::body::Json;
use crate::page::Named;
use crate::pages::{Numbered, linked};
use crate::problem::Problem;
use crate::resthooks::{event_of, newest_first, numbered};
use crate::webhooks::by;

/// How many webhooks a page has unless the caller says otherwise.
const USUAL: usize = 20;

/// What a caller sends. What is read-only may stand in it and is passed over, so that what was read can be sent back.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    event: Option<String>,
    uri: Option<String>,
    name: Option<String>,
    description: Option<String>,
    #[serde(default, deserialize_with = "switch")]
    disabled: Option<bool>,
    #[serde(default, deserialize_with = "given")]
    mail_exceptions_to: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    source: Option<Option<String>>,
    #[serde(default, rename = "sourceID", deserialize_with = "given")]
    source_id: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    webhook_policy: Option<Option<Reference>>,
    description_attachments: Option<Value>,
    #[serde(rename = "attachments")]
    _attachments: Option<Value>,
    #[serde(rename = "id")]
    _id: Option<Value>,
    #[serde(rename = "last_error")]
    _last_error: Option<Value>,
    #[serde(rename = "created_at")]
    _created_at: Option<Value>,
    #[serde(rename = "updated_at")]
    _updated_at: Option<Value>,
}

/// A policy: its id, or an object with it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Reference {
    Id(u64),
    Object { id: u64 },
}

/// A field that is there, be it null.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// True or false, or the same as text: that is how the article shows it in an answer.
fn switch<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::Bool(switch) => Ok(Some(switch)),
        Value::String(text) if text == "true" => Ok(Some(true)),
        Value::String(text) if text == "false" => Ok(Some(false)),
        _ => Err(serde::de::Error::custom("give true or false")),
    }
}

impl Input {
    /// The change in Hookwright's words. `old` is the webhook that is changed.
    fn change(self, old: Option<&Webhook>) -> Result<WebhookInput, Problem> {
        if self.description_attachments.is_some_and(|list| !list.is_null() && list != json!([])) {
            let message = "cannot be stored here: leave it out, and link to the files in the description";
            return Err(Mistake::new("description_attachments", message).into());
        }
        let mut input = WebhookInput {
            url: self.uri,
            name: self.name,
            description: self.description,
            enabled: self.disabled.map(|disabled| !disabled),
            source: self.source,
            source_id: self.source_id,
            policy: self.webhook_policy.map(|policy| {
                policy.map(|reference| match reference {
                    Reference::Id(id) | Reference::Object { id } => id,
                })
            }),
            mail_exceptions_to: self.mail_exceptions_to.map(|list| addresses(list.as_deref().unwrap_or_default())),
            ..WebhookInput::default()
        };
        match (self.event, old) {
            (Some(event), Some(old)) if old.profile != Profile::Xurrent => {
                if event != event_of(old, Profile::Xurrent) {
                    let words = Vocabulary::named(Profile::Xurrent.name());
                    input.events = words.map(|words| words.parse(&event)).transpose()?;
                }
            }
            (event, _) => input.event = event,
        }
        Ok(input)
    }
}

/// The addresses of a list with commas.
fn addresses(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|address| !address.is_empty()).map(str::to_owned).collect()
}

/// Whether nothing is sent: switched off, or given up.
fn is_off(webhook: &Webhook) -> bool {
    matches!(webhook.state(), WebhookState::Disabled | WebhookState::Dead)
}

/// What a list shows of a webhook. What has no value is left out, as in the article.
fn listed(webhook: &Webhook) -> Map<String, Value> {
    let mut shown = Map::new();
    let mut put = |name: &str, value: Value| {
        shown.insert(name.to_owned(), value);
    };
    let event = event_of(webhook, Profile::Xurrent);
    put("id", webhook.number.into());
    put("name", if webhook.name.is_empty() { event.clone().into() } else { webhook.name.clone().into() });
    put("event", event.into());
    put("uri", webhook.url.clone().into());
    if is_off(webhook) {
        // A text: that is how the article has it.
        put("disabled", "true".into());
    }
    for (name, text) in
        [("last_error", &webhook.last_error), ("source", &webhook.source), ("sourceID", &webhook.source_id)]
    {
        if let Some(text) = text {
            put(name, text.clone().into());
        }
    }
    put("created_at", webhook.created_at.to_seconds().into());
    put("updated_at", webhook.updated_at.to_seconds().into());
    shown
}

/// A webhook with everything.
fn shown(app: &Shared, webhook: &Webhook) -> Result<Value, Problem> {
    let mut shown = listed(webhook);
    if !webhook.description.is_empty() {
        shown.insert("description".to_owned(), webhook.description.clone().into());
    }
    if !webhook.mail_exceptions_to.is_empty() {
        shown.insert("mail_exceptions_to".to_owned(), webhook.mail_exceptions_to.join(",").into());
    }
    if let Some(number) = webhook.policy {
        let policy = app.pipeline.webhook_policy(&webhook.space, number)?;
        shown.insert("webhook_policy".to_owned(), json!({"id": number, "name": policy.name}));
    }
    shown.insert("attachments".to_owned(), json!([]));
    Ok(shown.into())
}

fn page(
    app: &Shared,
    caller: &Caller,
    wanted: &Numbered,
    keep: impl Fn(&Webhook) -> bool,
) -> Result<Response, Problem> {
    let all = newest_first(app, caller)?.into_iter().filter(keep).collect();
    let slice = wanted.of(all, USUAL, "per_page");
    let body: Vec<_> = slice.items.iter().map(listed).collect();
    let mut response = linked(slice.links, axum::Json(body));
    for (name, value) in [
        ("x-pagination-per-page", slice.per_page),
        ("x-pagination-current-page", slice.page),
        ("x-pagination-total-pages", slice.pages),
        ("x-pagination-total-entries", slice.entries),
    ] {
        response.headers_mut().insert(name, HeaderValue::from(value));
    }
    Ok(response)
}

pub(crate) async fn list(State(app): State<Shared>, caller: Caller, wanted: Numbered) -> Result<Response, Problem> {
    page(&app, &caller, &wanted, |_| true)
}

pub(crate) async fn enabled(State(app): State<Shared>, caller: Caller, wanted: Numbered) -> Result<Response, Problem> {
    page(&app, &caller, &wanted, |webhook| !is_off(webhook))
}

pub(crate) async fn disabled(State(app): State<Shared>, caller: Caller, wanted: Numbered) -> Result<Response, Problem> {
    page(&app, &caller, &wanted, is_off)
}

/// Answers 200, as the article says.
pub(crate) async fn create(
    State(app): State<Shared>,
    caller: Caller,
    Json(input): Json<Input>,
) -> Result<Response, Problem> {
    let input = WebhookInput {
        profile: Some(Profile::Xurrent),
        // Signed if a policy says so, and not otherwise.
        signing: Some(SigningPolicy::None {}),
        ..input.change(None)?
    };
    let made = app.pipeline.create_webhook(&caller.space, input).await?;
    Ok(axum::Json(shown(&app, &made.webhook)?).into_response())
}

pub(crate) async fn read(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<Response, Problem> {
    let webhook = numbered(&app, &caller, &id)?;
    Ok(axum::Json(shown(&app, &webhook)?).into_response())
}

pub(crate) async fn change(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
    Json(input): Json<Input>,
) -> Result<Response, Problem> {
    let old = numbered(&app, &caller, &id)?;
    let input = input.change(Some(&old))?;
    let changed = app.pipeline.change_webhook(&caller.space, old.id.as_str(), input, &by(&caller)).await?;
    Ok(axum::Json(shown(&app, &changed.webhook)?).into_response())
}

pub(crate) async fn delete(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<StatusCode, Problem> {
    let webhook = numbered(&app, &caller, &id)?;
    app.pipeline.delete_webhook(&caller.space, webhook.id.as_str()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sends a test, be the webhook on or off.
pub(crate) async fn test(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<StatusCode, Problem> {
    let webhook = numbered(&app, &caller, &id)?;
    app.pipeline.test_webhook(&caller.space, webhook.id.as_str()).await?;
    Ok(StatusCode::NO_CONTENT)
}
