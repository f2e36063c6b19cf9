//! Webhooks of a document, and the policies that they share.

use hookwright_foundation::error::PipelineError;
use hookwright_model::{
    Creates as _, Mistake, Mistakes, SigningKey, SigningPolicy, Webhook, WebhookInput, WebhookPolicy,
};
use serde_json::{Map, Value};

use crate::configuration::configurations::Configurations;
use crate::configuration::part::{Draft, Live, Made, Part, PendingKey};
use crate::configuration::secrets::{same_secret, secret_changes, secret_of};
use crate::configuration::shape;
use crate::configuration::shape::Shape;
use crate::configuration::state::{Section, State};
use crate::webhook_policies::{WebhookPolicies, WebhookPolicyInput, check_policy, same_key};
use crate::webhooks::Webhooks;

pub(crate) struct PoliciesPart;

impl Part for PoliciesPart {
    type Of = WebhookPolicies;
    const SECTION: Section = Section::WebhookPolicies;

    fn resource(configurations: &Configurations) -> &WebhookPolicies {
        &configurations.webhook_policies
    }

    fn live(state: &State) -> Vec<Live<'_, WebhookPolicy>> {
        state.policies.iter().map(|one| Live::of(&one.name, one.number, one)).collect()
    }

    fn make(
        draft: &mut Draft<'_>,
        mut item: Map<String, Value>,
        old: Option<&WebhookPolicy>,
    ) -> Result<Made<WebhookPolicy>, PipelineError> {
        let given = secret_of(draft, &mut item)?;
        let WebhookPolicyInput { name, signing, .. } = draft.read(item)?;
        WebhookPolicyInput::missing(&|_| signing.is_some()).check()?;
        let signing = signing.unwrap_or_default();
        let name = name.flatten().unwrap_or_default();
        check_policy(&name, &signing)?;
        let number = old.map_or_else(|| provisional(draft), |old| old.number);
        draft.policies.insert(name.clone(), number);
        draft.pending.policies.insert(number, signing.clone());
        let (keys, fields, pending_key) = keys(draft, old.map(|old| (&old.signing, &old.keys)), &signing, given)?;
        let policy = draft.configurations.webhook_policies.new_policy(draft.space, name, signing);
        Ok(Made { fields, pending_key, ..Made::plain(WebhookPolicy { number, keys, ..policy }) })
    }

    fn shape(_: &Draft<'_>, policy: &WebhookPolicy) -> Shape {
        shape::policy(policy)
    }

    fn remove(draft: &mut Draft<'_>, policy: &WebhookPolicy) -> Result<(), PipelineError> {
        draft.policies.remove(&policy.name);
        draft.policies_gone.push(policy.clone());
        Ok(())
    }
}

/// A provisional number for a policy that is created. The store assigns its number.
fn provisional(draft: &Draft<'_>) -> u64 {
    let made = u64::try_from(draft.pending.policies.len()).unwrap_or(u64::MAX);
    u64::MAX.saturating_sub(made)
}

type Keys = (Vec<SigningKey>, Vec<crate::configuration::compare::FieldChange>, Option<PendingKey>);

/// The keys that an object signs with, and the one to be created when the plan is applied.
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
        // Read now, so that an error in it is reported with the plan.
        let wrong = |error: hookwright_signing::SigningError| Mistake::new("secret", error.to_string());
        let imported = hookwright_signing::import(signing, given).map_err(wrong)?;
        if let Some((was, keys)) = old.filter(|(was, _)| same_key(was, signing)) {
            let newest = keys.first().map(|key| draft.configurations.vault.open_sealed(&key.sealed)).transpose()?;
            if newest.is_some_and(|newest| same_secret(&newest, &imported.private)) && same_key(was, signing) {
                return Ok((keys.clone(), Vec::new(), None));
            }
        }
    } else if let Some((_, keys)) = old.filter(|(was, _)| same_key(was, signing)) {
        return Ok((keys.clone(), Vec::new(), None));
    }
    let fields = if given.is_some() && old.is_some() { vec![secret_changes()] } else { Vec::new() };
    Ok((Vec::new(), fields, Some(PendingKey { signing: signing.clone(), given })))
}

pub(crate) struct WebhooksPart;

impl Part for WebhooksPart {
    type Of = Webhooks;
    const SECTION: Section = Section::Webhooks;

    fn resource(configurations: &Configurations) -> &Webhooks {
        &configurations.webhooks
    }

    fn live(state: &State) -> Vec<Live<'_, Webhook>> {
        state.webhooks.iter().map(|one| Live::of(&one.name, &one.id, one)).collect()
    }

    fn make(
        draft: &mut Draft<'_>,
        mut item: Map<String, Value>,
        old: Option<&Webhook>,
    ) -> Result<Made<Webhook>, PipelineError> {
        let given = secret_of(draft, &mut item)?;
        let policy = match item.shift_remove("policy") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) => match draft.policies.get(&name) {
                Some(number) => Some(*number),
                None if draft.pending.unread_policies.any || draft.pending.unread_policies.names.contains(&name) => {
                    None
                }
                None => {
                    let name = hookwright_model::abridged(&name);
                    let message = format!("there is no webhook policy `{name}`, neither here nor in the document");
                    return Err(Mistake::new("policy", message).into());
                }
            },
            Some(_) => return Err(Mistake::new("policy", "is not a string: give the policy's name").into()),
        };
        let input = WebhookInput { policy: policy.map(Some), ..draft.read(item)? };
        input.check_alternatives()?;
        let mut webhook = draft.configurations.webhooks.new_webhook(draft.space, input)?;
        if let Some(old) = old {
            stays(old, &webhook)?;
            if policy.is_some() {
                // The webhook's former signing is not part of the document: the policy signs.
                webhook.signing.clone_from(&old.signing);
            }
            webhook.dead = old.dead && (old.enabled || !webhook.enabled);
        }
        let (keys, fields, pending_key) =
            keys(draft, old.map(|old| (&old.signing, &old.keys)), &webhook.signing, given)?;
        webhook.keys = keys;
        Ok(Made { fields, pending_key, ..Made::plain(webhook) })
    }

    fn shape(draft: &Draft<'_>, webhook: &Webhook) -> Shape {
        let number = webhook.policy;
        let known = draft.policies.iter().find(|(_, policy)| Some(**policy) == number).map(|(name, _)| name.as_str());
        let gone = draft.policies_gone.iter().find(|policy| Some(policy.number) == number);
        shape::webhook(webhook, known.or(gone.map(|policy| policy.name.as_str())), &draft.state.webhook_defaults)
    }
}

/// Fails if a field differs that cannot be changed.
fn stays(old: &Webhook, new: &Webhook) -> Result<(), Mistakes> {
    let mut mistakes = Mistakes::default();
    for (field, stays) in [
        ("profile", old.profile == new.profile),
        ("handshake", old.confirmation.handshake == new.confirmation.handshake),
    ] {
        if !stays {
            mistakes.add(field, "cannot be changed: give the webhook another name, which creates another one");
        }
    }
    mistakes.check()
}
