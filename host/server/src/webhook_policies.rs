//! Signing policies that webhooks share, and public keys.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hookwright_model::{SigningPolicy, Timestamp, WebhookPolicy};
use hookwright_pipeline::{RotateInput, ShownKey, WebhookPolicyInput};
use http::{StatusCode, header};
use serde::Serialize;
use serde_json::{Value, json};

use crate::Shared;
use crate::auth::Caller;
use crate::body::{Json, NewJson, optional};
use crate::page::{Listed, Named, Paging};
use crate::problem::Problem;
use crate::webhooks::{Key, keys};

#[derive(Serialize)]
struct PolicyView {
    id: u64,
    name: String,
    signing: SigningPolicy,
    keys: Vec<Key>,
    created_at: Timestamp,
    updated_at: Timestamp,
    /// Only in the response to the request that created it, and only for a shared secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// The public half of the newest key, if that is a pair.
    #[serde(skip_serializing_if = "Option::is_none")]
    public: Option<Value>,
}

fn shown(policy: WebhookPolicy, key: ShownKey) -> PolicyView {
    let WebhookPolicy { number, name, signing, keys: all, created_at, updated_at, .. } = policy;
    let public = all.first().and_then(|key| key.public.clone());
    PolicyView { id: number, name, signing, keys: keys(all), created_at, updated_at, secret: key.secret, public }
}

/// The policy that a path names.
fn found(app: &Shared, caller: &Caller, id: &str) -> Result<WebhookPolicy, Problem> {
    let number = id.parse().map_err(|_| Problem::not_found("webhook_policy", id))?;
    Ok(app.pipeline.delivery.signing.webhook_policy(&caller.space, number)?)
}

pub(crate) async fn create(
    State(app): State<Shared>,
    caller: Caller,
    NewJson(input): NewJson<WebhookPolicyInput>,
) -> Result<Response, Problem> {
    let (policy, key) = app.pipeline.resources.webhook_policies.create_webhook_policy(&caller.space, input).await?;
    let location = format!("/v1/webhook-policies/{}", policy.number);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], axum::Json(shown(policy, key))).into_response())
}

pub(crate) async fn list(State(app): State<Shared>, caller: Caller, paging: Paging) -> Result<Response, Problem> {
    let before = paging.parse::<u64>()?.unwrap_or(u64::MAX);
    let mut policies = app.pipeline.resources.webhook_policies.webhook_policies(&caller.space)?;
    policies.retain(|policy| policy.number < before);
    policies.sort_by_key(|policy| std::cmp::Reverse(policy.number));
    let more = policies.len() > paging.limit;
    policies.truncate(paging.limit);
    let next = policies.last().filter(|_| more).map(|last| last.number.to_string());
    let data: Vec<PolicyView> = policies.into_iter().map(|policy| shown(policy, ShownKey::default())).collect();
    Ok(axum::Json(Listed { data, next }).into_response())
}

pub(crate) async fn read(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<Response, Problem> {
    Ok(axum::Json(shown(found(&app, &caller, &id)?, ShownKey::default())).into_response())
}

pub(crate) async fn change(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
    Json(input): Json<WebhookPolicyInput>,
) -> Result<Response, Problem> {
    let number = found(&app, &caller, &id)?.number;
    let (policy, key) =
        app.pipeline.resources.webhook_policies.change_webhook_policy(&caller.space, number, input).await?;
    Ok(axum::Json(shown(policy, key)).into_response())
}

pub(crate) async fn delete(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<StatusCode, Problem> {
    let number = found(&app, &caller, &id)?.number;
    app.pipeline.resources.webhook_policies.delete_webhook_policy(&caller.space, number).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives the policy a new key.
pub(crate) async fn rotate(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
    bytes: axum::body::Bytes,
) -> Result<Response, Problem> {
    let input: RotateInput = optional(&bytes)?;
    let number = found(&app, &caller, &id)?.number;
    let (policy, key) =
        app.pipeline.resources.webhook_policies.rotate_webhook_policy(&caller.space, number, input).await?;
    Ok(axum::Json(shown(policy, key)).into_response())
}

/// The public key of the newest key as PEM (RFC 7468 section 13), to be saved as a file.
pub(crate) async fn public_key(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
) -> Result<Response, Problem> {
    let policy = found(&app, &caller, &id)?;
    let public = policy.keys.first().and_then(|key| key.public.as_ref());
    let pem = public.and_then(|public| public.get("pem")).and_then(Value::as_str).map(str::to_owned);
    let pem = pem.ok_or_else(|| {
        let detail =
            "its messages are signed with a secret that both sides have, or not at all: there is no public key";
        Problem::new(StatusCode::NOT_FOUND, "public_key.not_found", detail)
    })?;
    let file = format!("attachment; filename=\"webhook-policy-{}.pem\"", policy.number);
    let headers = [(header::CONTENT_TYPE, "application/x-pem-file".to_owned()), (header::CONTENT_DISPOSITION, file)];
    Ok((headers, pem).into_response())
}

/// The public keys that verify a webhook's messages, as a key set (RFC 7517 section 5).
pub(crate) async fn key_set(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<Response, Problem> {
    let keys = app.pipeline.resources.webhook_policies.webhook_keys(&caller.space, &id)?;
    let keys: Vec<Value> = keys
        .into_iter()
        .filter_map(|key| {
            let Value::Object(mut jwk) = key.public?.get("jwk")?.clone() else { return None };
            jwk.insert("kid".to_owned(), key.id.into());
            jwk.entry("use").or_insert_with(|| "sig".into());
            Some(jwk.into())
        })
        .collect();
    Ok(([(header::CONTENT_TYPE, "application/jwk-set+json")], json!({"keys": keys}).to_string()).into_response())
}
