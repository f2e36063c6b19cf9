//! `/webhooks`: webhooks in the form of Xurrent's API. The list is that of `/v1/webhooks`; an id is the webhook's
//! number.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hookwright_model::nullable::given;
use hookwright_model::{
    ANSWERED, Mistake, Profile, SigningPolicy, Vocabulary, Webhook, WebhookInput, WebhookState, split_addresses,
};
use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use crate::Shared;
use crate::auth::Caller;
use crate::body::Json;
use crate::page::Named;
use crate::pages::{Numbered, linked};
use crate::problem::Problem;
use crate::resthooks::{event_of, numbered};

/// The default page size.
const DEFAULT_PER_PAGE: usize = 20;

/// The body of a request. Read-only fields are accepted and ignored, so that a response can be sent back.
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
#[serde(try_from = "Value")]
struct Reference(u64);

impl TryFrom<Value> for Reference {
    type Error = &'static str;

    fn try_from(value: Value) -> Result<Self, &'static str> {
        let id = value.as_object().map_or(Some(&value), |object| object.get("id")).and_then(Value::as_u64);
        id.map(Self).ok_or("give the id of a policy, or an object with it: {\"id\": 1}")
    }
}

/// True or false, or the same as text, which is the form in the article's responses.
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
    /// The change in the form of Hookwright's API. `old` is the webhook that is changed.
    fn change(self, old: Option<&Webhook>) -> Result<WebhookInput, Problem> {
        if self.description_attachments.is_some_and(|list| !list.is_null() && list != json!([])) {
            let message = "cannot be stored here: leave it out, and link to the files in the description";
            return Err(Mistake::new("description_attachments", message).into());
        }
        let mut input = WebhookInput {
            url: self.uri,
            name: self.name.map(Some),
            description: self.description.map(Some),
            enabled: self.disabled.map(|disabled| Some(!disabled)),
            source: self.source,
            source_id: self.source_id,
            policy: self.webhook_policy.map(|policy| policy.map(|Reference(id)| id)),
            mail_exceptions_to: self.mail_exceptions_to.map(|list| list.as_deref().map(addresses)),
            ..WebhookInput::default()
        };
        match (self.event, old) {
            (Some(event), Some(old)) if old.profile != Profile::Xurrent => {
                if event != event_of(old, Profile::Xurrent) {
                    let words = Vocabulary::named(Profile::Xurrent.name());
                    input.events = words.map(|words| words.parse(&event)).transpose()?.map(Some);
                }
            }
            (event, _) => input.event = event.map(Some),
        }
        Ok(input)
    }
}

/// The addresses of a comma-separated list.
fn addresses(list: &str) -> Vec<String> {
    split_addresses(list).into_iter().map(str::to_owned).collect()
}

/// Whether nothing is sent: disabled or dead.
fn is_off(webhook: &Webhook) -> bool {
    matches!(webhook.state(), WebhookState::Disabled | WebhookState::Dead)
}

/// The last error; if the receiver answered, in the article's form: `404 Not Found`.
fn last_error(error: &str) -> String {
    let status = error.strip_prefix(ANSWERED).and_then(|status| status.parse::<StatusCode>().ok());
    status.map_or_else(|| error.to_owned(), |status| status.to_string())
}

/// A webhook in a list. Fields without a value are left out, as in the article.
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
        // A string, as in the article.
        put("disabled", "true".into());
    }
    if let Some(error) = &webhook.last_error {
        put("last_error", last_error(error).into());
    }
    for (name, text) in [("source", &webhook.source), ("sourceID", &webhook.source_id)] {
        if let Some(text) = text {
            put(name, text.clone().into());
        }
    }
    put("created_at", webhook.created_at.to_seconds().into());
    put("updated_at", webhook.updated_at.to_seconds().into());
    shown
}

/// A webhook with all fields.
fn shown(app: &Shared, webhook: &Webhook) -> Result<Value, Problem> {
    let mut shown = listed(webhook);
    if !webhook.description.is_empty() {
        shown.insert("description".to_owned(), webhook.description.clone().into());
    }
    if !webhook.mail_exceptions_to.is_empty() {
        shown.insert("mail_exceptions_to".to_owned(), webhook.mail_exceptions_to.join(",").into());
    }
    if let Some(number) = webhook.policy {
        let policy = app.pipeline.delivery.signing.webhook_policy(&webhook.space, number)?;
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
    let all =
        app.pipeline.resources.webhooks.webhooks(&caller.space).into_iter().filter(|webhook| keep(webhook)).collect();
    let slice = wanted.of(all, DEFAULT_PER_PAGE, "per_page");
    let body: Vec<_> = slice.items.iter().map(|webhook| listed(webhook)).collect();
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

/// Responds with 200, as the article defines.
pub(crate) async fn create(
    State(app): State<Shared>,
    caller: Caller,
    Json(input): Json<Input>,
) -> Result<Response, Problem> {
    let input = WebhookInput {
        profile: Some(Some(Profile::Xurrent)),
        // Signed only if a policy is given.
        signing: Some(Some(SigningPolicy::None {})),
        ..input.change(None)?
    };
    let made = app.pipeline.resources.webhooks.create_webhook(&caller.space, input, &caller.author()).await?;
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
    let changed =
        app.pipeline.resources.webhooks.change_webhook(&caller.space, old.id.as_str(), input, &caller.author()).await?;
    Ok(axum::Json(shown(&app, &changed.webhook)?).into_response())
}

pub(crate) async fn delete(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<StatusCode, Problem> {
    let webhook = numbered(&app, &caller, &id)?;
    app.pipeline.resources.webhooks.delete_webhook(&caller.space, webhook.id.as_str()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sends a test, even if the webhook is disabled.
pub(crate) async fn test(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<StatusCode, Problem> {
    let webhook = numbered(&app, &caller, &id)?;
    app.pipeline.delivery.out_of_turn.test_webhook(&caller.space, webhook.id.as_str(), &caller.author()).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::last_error;

    #[test]
    fn statuses_are_formatted_as_in_the_article() {
        for (error, shown) in [
            ("the receiver answered 404", "404 Not Found"),
            ("the receiver answered 500", "500 Internal Server Error"),
            ("the receiver answered 599", "599 <unknown status code>"),
            ("timeout: no answer within 100 ms", "timeout: no answer within 100 ms"),
        ] {
            assert_eq!(last_error(error), shown);
        }
    }
}
