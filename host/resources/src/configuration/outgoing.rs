//! Webhooks of a document, and the policies that they share.

use hookwright_foundation::error::PipelineError;
use hookwright_model::{
    Creates as _, Mistake, Mistakes, SigningKey, SigningPolicy, Webhook, WebhookInput, WebhookPolicy,
};
use hookwright_store::{ConfigChange, Swap};
use serde_json::{Map, Value};

use crate::configuration::part::{Draft, Live, Made, Part, PendingKey};
use crate::configuration::secrets::{same_secret, secret_changes, secret_of};
use crate::configuration::shape;
use crate::configuration::shape::Shape;
use crate::configuration::state::{Section, State};
use crate::webhook_policies::{WebhookPolicyInput, check_policy, same_key};

pub(crate) struct Policies;

impl Part for Policies {
    type Thing = WebhookPolicy;
    const SECTION: Section = Section::WebhookPolicies;

    fn live(state: &State) -> Vec<Live<'_, WebhookPolicy>> {
        state
            .policies
            .iter()
            .map(|one| Live { name: one.name.clone(), id: one.number.to_string(), thing: one })
            .collect()
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
        let now = draft.configurations.clock.now();
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
        draft.pending.policies.insert(number, policy.signing.clone());
        let (keys, fields, pending_key) =
            keys(draft, old.map(|old| (&old.signing, &old.keys)), &policy.signing, given)?;
        policy.keys = keys;
        Ok(Made { fields, pending_key, ..Made::plain(policy) })
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

pub(crate) struct Webhooks;

impl Part for Webhooks {
    type Thing = Webhook;
    const SECTION: Section = Section::Webhooks;

    fn live(state: &State) -> Vec<Live<'_, Webhook>> {
        state.webhooks.iter().map(|one| Live { name: one.name.clone(), id: one.id.to_string(), thing: one }).collect()
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
        let (mut webhook, handshake) = draft.configurations.webhooks.new_webhook(draft.space, input)?;
        webhook.confirmation.handshake = handshake;
        if let Some(old) = old {
            stays(old, &webhook)?;
            if policy.is_some() {
                // The webhook's former signing is not part of the document: the policy signs.
                webhook.signing.clone_from(&old.signing);
            }
            webhook.id = old.id.clone();
            webhook.number = old.number;
            webhook.created_at = old.created_at;
            webhook.dead = old.dead && (old.enabled || !webhook.enabled);
            webhook.state_reason.clone_from(&old.state_reason);
            webhook.state_by.clone_from(&old.state_by);
            webhook.state_at = old.state_at;
            webhook.paused = old.paused;
            webhook.last_error.clone_from(&old.last_error);
        }
        match old.filter(|old| old.url == webhook.url) {
            Some(old) => webhook.confirmation.clone_from(&old.confirmation),
            // This is another receiver, which has not consented yet.
            None => webhook.confirmation = draft.configurations.confirmations.unconfirmed(handshake)?,
        }
        let (keys, fields, pending_key) =
            keys(draft, old.map(|old| (&old.signing, &old.keys)), &webhook.signing, given)?;
        webhook.keys = keys;
        if old.is_some_and(|old| old.state() != webhook.state()) {
            webhook.came_to(None, &format!("key {}", draft.caller), draft.configurations.clock.now());
        }
        Ok(Made { fields, pending_key, ..Made::plain(webhook) })
    }

    fn shape(draft: &Draft<'_>, webhook: &Webhook) -> Shape {
        let number = webhook.policy;
        let known = draft.policies.iter().find(|(_, policy)| Some(**policy) == number).map(|(name, _)| name.as_str());
        let gone = draft.policies_gone.iter().find(|policy| Some(policy.number) == number);
        shape::webhook(webhook, known.or(gone.map(|policy| policy.name.as_str())), &draft.state.webhook_defaults)
    }

    fn check(draft: &mut Draft<'_>, webhook: &mut Webhook, _: Option<&Webhook>) -> Result<(), PipelineError> {
        draft.configurations.webhooks.check_webhook_ahead(&draft.pending, webhook, webhook.confirmation.handshake)
    }

    fn swap(swap: Swap<Webhook>) -> Vec<ConfigChange> {
        vec![ConfigChange::Webhook(Box::new(swap))]
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
