//! Webhooks of a document, and the policies that they share.

use hookwright_model::{Mistake, SigningKey, SigningPolicy, Webhook, WebhookPolicy};
use hookwright_store::{ConfigChange, Swap};
use serde_json::{Map, Value};
use subtle::ConstantTimeEq as _;

use super::draft::{Draft, Errand, Live, Made, Part, read};
use super::shape::{self, Shape};
use super::state::{Section, State};
use super::things::secret_changes;
use crate::PipelineError;
use crate::webhooks::{WebhookPolicyInput, check_policy, same_key};

pub(super) struct Policies;

impl Part for Policies {
    type Thing = WebhookPolicy;
    const SECTION: Section = Section::WebhookPolicies;

    fn live(state: &State) -> Vec<Live<WebhookPolicy>> {
        let live =
            |one: &WebhookPolicy| Live { name: one.name.clone(), id: one.number.to_string(), thing: one.clone() };
        state.policies.iter().map(live).collect()
    }

    fn make(
        draft: &mut Draft<'_>,
        mut item: Map<String, Value>,
        old: Option<&WebhookPolicy>,
    ) -> Result<Made<WebhookPolicy>, PipelineError> {
        let given = secret_of(draft, &mut item)?;
        let WebhookPolicyInput { name, signing, .. } = read(item)?;
        let signing = signing.ok_or_else(|| {
            Mistake::new("signing", "is missing: how messages are signed, such as {\"kind\": \"standard\"}")
        })?;
        let name = name.unwrap_or_default();
        check_policy(&name, &signing)?;
        let now = draft.pipeline.now();
        let number = old.map_or_else(|| provisional(draft), |old| old.number);
        let mut policy = WebhookPolicy {
            number,
            space: draft.space.clone(),
            name,
            signing,
            keys: Vec::new(),
            created_at: old.map_or(now, |old| old.created_at),
            updated_at: now,
        };
        draft.policies.insert(policy.name.clone(), number);
        draft.outlook.policies.insert(number, policy.signing.clone());
        let (keys, fields, errand) = keys(draft, old.map(|old| (&old.signing, &old.keys)), &policy.signing, given)?;
        policy.keys = keys;
        Ok(Made { fields, errand, ..Made::plain(policy) })
    }

    fn shape(_: &Draft<'_>, policy: &WebhookPolicy) -> Shape {
        shape::policy(policy)
    }

    fn check(_: &mut Draft<'_>, _: &mut WebhookPolicy, _: Option<&WebhookPolicy>) -> Result<(), PipelineError> {
        Ok(())
    }

    fn delete(draft: &mut Draft<'_>, policy: &WebhookPolicy) -> Result<(), PipelineError> {
        draft.policies.remove(&policy.name);
        draft.policies_gone.push(policy.clone());
        Ok(())
    }

    fn swap(swap: Swap<WebhookPolicy>) -> Vec<ConfigChange> {
        vec![ConfigChange::WebhookPolicy(swap)]
    }
}

/// A number that stands for a policy that is made. The store gives it its own.
fn provisional(draft: &Draft<'_>) -> u64 {
    let made = u64::try_from(draft.outlook.policies.len()).unwrap_or(u64::MAX);
    u64::MAX.saturating_sub(made)
}

type Keys = (Vec<SigningKey>, Vec<super::FieldChange>, Option<Errand>);

/// The keys that something signs with, and which is to be made when the plan is carried out.
fn keys(
    draft: &Draft<'_>,
    old: Option<(&SigningPolicy, &Vec<SigningKey>)>,
    signing: &SigningPolicy,
    given: Option<String>,
) -> Result<Keys, PipelineError> {
    if let (SigningPolicy::None {}, Some(_)) = (signing, &given) {
        return Err(Mistake::new("secret", "is not used: the signing policy is `none`").into());
    }
    if let Some(given) = &given {
        // Read now, so that a mistake in it shows in the plan.
        let wrong = |error: hookwright_signing::SigningError| Mistake::new("secret", error.to_string());
        let imported = hookwright_signing::import(signing, given).map_err(wrong)?;
        if let Some((was, keys)) = old.filter(|(was, _)| same_key(was, signing)) {
            let newest = keys.first().map(|key| draft.pipeline.vault.open_sealed(&key.sealed)).transpose()?;
            if newest.is_some_and(|newest| same_secret(&newest, &imported.private)) && same_key(was, signing) {
                return Ok((keys.clone(), Vec::new(), None));
            }
        }
    } else if let Some((_, keys)) = old.filter(|(was, _)| same_key(was, signing)) {
        return Ok((keys.clone(), Vec::new(), None));
    }
    let fields = if given.is_some() && old.is_some() { vec![secret_changes()] } else { Vec::new() };
    Ok((Vec::new(), fields, Some(Errand { signing: signing.clone(), given })))
}

/// Whether two secrets are the same, compared in constant time.
pub(super) fn same_secret(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// The secret that an item is given: as it is, or as the space's secret of this name.
pub(super) fn secret_of(draft: &Draft<'_>, item: &mut Map<String, Value>) -> Result<Option<String>, PipelineError> {
    let text = |field: &str, value: Value| match value {
        Value::String(text) => Ok(text),
        _ => Err(Mistake::new(field, "is no text")),
    };
    let given = item.shift_remove("secret").map(|value| text("secret", value)).transpose()?;
    let name = item.shift_remove("secret_name").map(|value| text("secret_name", value)).transpose()?;
    let Some(name) = name else { return Ok(given) };
    if given.is_some() {
        return Err(Mistake::new("secret_name", "is given beside `secret`: keep one of them").into());
    }
    let Some(secret) = draft.pipeline.store.secret(draft.space, &name)? else {
        let message = format!("there is no secret `{name}` in this space: PUT /v1/secrets/{name} first");
        return Err(Mistake::new("secret_name", message).into());
    };
    let opened = draft.pipeline.vault.open_sealed(&secret.sealed)?;
    let opened = String::from_utf8(opened).map_err(|_| Mistake::new("secret_name", "holds no text"))?;
    Ok(Some(opened))
}

pub(super) struct Webhooks;

impl Part for Webhooks {
    type Thing = Webhook;
    const SECTION: Section = Section::Webhooks;

    fn live(state: &State) -> Vec<Live<Webhook>> {
        let live = |one: &Webhook| Live { name: one.name.clone(), id: one.id.to_string(), thing: one.clone() };
        state.webhooks.iter().map(live).collect()
    }

    fn make(
        draft: &mut Draft<'_>,
        mut item: Map<String, Value>,
        old: Option<&Webhook>,
    ) -> Result<Made<Webhook>, PipelineError> {
        let given = secret_of(draft, &mut item)?;
        let policy = match item.shift_remove("policy") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) => Some(*draft.policies.get(&name).ok_or_else(|| {
                Mistake::new("policy", format!("there is no webhook policy `{name}`, neither here nor in the document"))
            })?),
            Some(_) => return Err(Mistake::new("policy", "is no text: give the policy's name").into()),
        };
        let (mut webhook, handshake) = draft.pipeline.new_webhook(draft.space, read(item)?)?;
        webhook.policy = policy;
        webhook.confirmation.handshake = handshake;
        if let Some(old) = old {
            stays(old, &webhook)?;
            webhook.id = old.id.clone();
            webhook.number = old.number;
            webhook.created_at = old.created_at;
            webhook.dead = old.dead && (old.enabled || !webhook.enabled);
            webhook.state_reason.clone_from(&old.state_reason);
            webhook.state_by.clone_from(&old.state_by);
            webhook.state_at = old.state_at;
            webhook.last_error.clone_from(&old.last_error);
        }
        match old.filter(|old| old.url == webhook.url) {
            Some(old) => webhook.confirmation.clone_from(&old.confirmation),
            // Another receiver, which has not said yes yet.
            None => webhook.confirmation = draft.pipeline.unconfirmed(handshake)?,
        }
        let (keys, fields, errand) = keys(draft, old.map(|old| (&old.signing, &old.keys)), &webhook.signing, given)?;
        webhook.keys = keys;
        if old.is_some_and(|old| old.state() != webhook.state()) {
            webhook.state_reason = None;
            webhook.state_by = Some(format!("key {}", draft.caller));
            webhook.state_at = Some(draft.pipeline.now());
        }
        Ok(Made { fields, errand, ..Made::plain(webhook) })
    }

    fn shape(draft: &Draft<'_>, webhook: &Webhook) -> Shape {
        let number = webhook.policy;
        let known = draft.policies.iter().find(|(_, policy)| Some(**policy) == number).map(|(name, _)| name.as_str());
        let gone = draft.policies_gone.iter().find(|policy| Some(policy.number) == number);
        shape::webhook(webhook, known.or(gone.map(|policy| policy.name.as_str())))
    }

    fn check(draft: &mut Draft<'_>, webhook: &mut Webhook, _: Option<&Webhook>) -> Result<(), PipelineError> {
        draft.pipeline.check_webhook_ahead(&draft.outlook, webhook, webhook.confirmation.handshake)
    }

    fn swap(swap: Swap<Webhook>) -> Vec<ConfigChange> {
        vec![ConfigChange::Webhook(Box::new(swap))]
    }
}

/// Fails if something differs that stays as it was made.
fn stays(old: &Webhook, new: &Webhook) -> Result<(), Mistake> {
    let message = "stays as it was made: give the webhook another name, which makes another one";
    if old.profile != new.profile {
        return Err(Mistake::new("profile", message));
    }
    if old.confirmation.handshake != new.confirmation.handshake {
        return Err(Mistake::new("handshake", message));
    }
    Ok(())
}
