//! The keys that messages are signed with: created, imported, rotated; and policies that several webhooks share.

use std::sync::Arc;
use std::time::Duration;

use hookwright_delivery::signers::{Signers, Signing};
use hookwright_foundation::error::PipelineError;
use hookwright_foundation::permits::SpacePermits;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_model::{
    Creates, CustomHeader, Mistake, Mistakes, SigningKey, SigningPolicy, SpaceId, Webhook, WebhookPolicy,
    check_display_name, nullable, unique,
};
use hookwright_routing::catalogue::Catalogue;
use hookwright_signing::{NewKey, PublicKey};
use hookwright_store::{ConfigChange, Store, Swap, Vault};
use serde::Deserialize;

use crate::lifecycle::{Lifecycle, Resource};

/// The most conflicts with webhooks that an error lists.
const MAX_LISTED_CONFLICTS: usize = 20;

/// The most keys that sign at the same time.
const MAX_KEYS: usize = 8;

/// How long a key signs beside its replacement by default, in seconds.
const DEFAULT_OVERLAP_SECONDS: u64 = 86_400;

/// The longest overlap, in seconds: 30 days.
const MAX_OVERLAP_SECONDS: u64 = 30 * 86_400;

/// The input of a rotation.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotateInput {
    /// For how many seconds the present key still signs. Default: a day. 0: it stops at once.
    pub overlap_seconds: Option<u64>,
    /// The caller's own key in the policy's text form. One is generated if it is absent.
    pub secret: Option<String>,
}

/// The input to create or change a policy; omitted fields keep their values.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookPolicyInput {
    /// See [`WebhookPolicy::name`].
    #[serde(default, deserialize_with = "nullable::given")]
    pub name: Option<Option<String>>,
    /// See [`WebhookPolicy::signing`].
    #[serde(default, deserialize_with = "nullable::required")]
    pub signing: Option<SigningPolicy>,
    /// The caller's own key.
    pub secret: Option<String>,
}

impl Creates for WebhookPolicyInput {
    fn missing(has: &dyn Fn(&str) -> bool) -> Mistakes {
        let signing = "is missing: how messages are signed, such as {\"kind\": \"standard\"}";
        Mistakes::of_missing(&[("signing", signing)], has)
    }
}

/// A key that was just created, as it is shown once.
#[derive(Clone, Debug, Default)]
pub struct ShownKey {
    /// The secret's text. `None` if the receiver needs only the public part.
    pub secret: Option<String>,
    /// The public part.
    pub public: Option<PublicKey>,
}

/// A key, and what is shown of it. `None` for a policy that does not sign.
pub(crate) type MadeKey = Option<(SigningKey, ShownKey)>;

/// The keys of an object that signs with this one from now on, and what is shown of it.
pub(crate) fn first_keys(made: MadeKey) -> (Vec<SigningKey>, ShownKey) {
    made.map(|(key, shown)| (vec![key], shown)).unwrap_or_default()
}

/// A key that was created before the space was locked.
pub(crate) struct KeyAhead {
    /// The policy that it was created for.
    signing: SigningPolicy,
    made: MadeKey,
}

impl KeyAhead {
    /// The key, if it was created for this policy.
    pub(crate) fn of(&self, signing: &SigningPolicy) -> Option<&MadeKey> {
        (self.signing == *signing).then_some(&self.made)
    }
}

/// Signing policies of webhooks and their keys.
pub struct WebhookPolicies {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) making: Arc<SpacePermits>,
    pub(crate) signers: Arc<Signers>,
    pub(crate) store: Store,
    pub(crate) vault: Arc<Vault>,
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) signing: Arc<Signing>,
}

impl WebhookPolicies {
    /// Creates a key before the space is locked.
    pub(crate) async fn key_ahead(
        &self,
        space: &SpaceId,
        signing: &SigningPolicy,
        given: Option<String>,
    ) -> Result<KeyAhead, PipelineError> {
        let made = self.new_key(space, signing, given).await?;
        Ok(KeyAhead { signing: signing.clone(), made })
    }

    /// The key that was created ahead; another one if that was created for another policy.
    pub(crate) async fn key_now(
        &self,
        space: &SpaceId,
        signing: &SigningPolicy,
        given: Option<String>,
        ahead: Option<&KeyAhead>,
    ) -> Result<MadeKey, PipelineError> {
        match ahead.and_then(|ahead| ahead.of(signing)) {
            Some(made) => Ok(made.clone()),
            None => self.new_key(space, signing, given).await,
        }
    }

    /// A key for a policy. `None` if it does not sign.
    pub(crate) async fn new_key(
        &self,
        space: &SpaceId,
        policy: &SigningPolicy,
        given: Option<String>,
    ) -> Result<MadeKey, PipelineError> {
        if matches!(policy, SigningPolicy::None {}) {
            return match given {
                None => Ok(None),
                Some(_) => Err(Mistake::new("secret", "is not used: the signing policy is `none`").into()),
            };
        }
        let imported = given.is_some();
        let policy = policy.clone();
        // An RSA key takes a third of a second to create.
        let is_slow = !imported && hookwright_signing::is_slow(&policy);
        let place = if is_slow { Some(self.making.take(space).await) } else { None };
        let made = tokio::task::spawn_blocking(move || {
            // Held until the key is created, even if the caller no longer waits for it.
            let _place = place;
            match given {
                Some(text) => hookwright_signing::import(&policy, &text),
                None => hookwright_signing::generate(&policy),
            }
        });
        let made = made.await.map_err(|error| PipelineError::Settings(error.to_string()))?;
        let NewKey { private, shown, public } = match made {
            Ok(key) => key,
            Err(error) if imported => return Err(Mistake::new("secret", error.to_string()).into()),
            Err(error) => return Err(error.into()),
        };
        let key = SigningKey {
            id: unique("key"),
            sealed: self.vault.seal(&private)?,
            public: public.as_ref().and_then(|public| serde_json::to_value(public).ok()),
            created_at: self.clock.now(),
            expires_at: None,
        };
        Ok(Some((key, ShownKey { secret: shown, public })))
    }

    /// Creates the key of a rotation before the space is locked.
    async fn rotation_ahead(
        &self,
        space: &SpaceId,
        signing: &SigningPolicy,
        input: &RotateInput,
    ) -> Result<KeyAhead, PipelineError> {
        let overlap = input.overlap_seconds.unwrap_or(DEFAULT_OVERLAP_SECONDS);
        if overlap > MAX_OVERLAP_SECONDS {
            let message = format!("{overlap}: at most {MAX_OVERLAP_SECONDS}, which is 30 days");
            return Err(Mistake::new("overlap_seconds", message).into());
        }
        self.key_ahead(space, signing, input.secret.clone()).await
    }

    /// Replaces the present key, which still signs during the overlap.
    async fn rotated(
        &self,
        space: &SpaceId,
        policy: &SigningPolicy,
        mut keys: Vec<SigningKey>,
        input: RotateInput,
        ahead: &KeyAhead,
    ) -> Result<(Vec<SigningKey>, ShownKey), PipelineError> {
        let overlap = input.overlap_seconds.unwrap_or(DEFAULT_OVERLAP_SECONDS);
        let Some((key, shown)) = self.key_now(space, policy, input.secret, Some(ahead)).await? else {
            return Err(PipelineError::Conflict {
                code: "webhook.unsigned",
                message: "its messages are not signed, so there is no key: set `signing` first".to_owned(),
            });
        };
        let now = self.clock.now();
        keys.retain(|key| key.expires_at.is_none_or(|until| now < until));
        for old in keys.iter_mut().filter(|key| key.expires_at.is_none()) {
            old.expires_at = Some(now.after(Duration::from_secs(overlap)));
        }
        keys.retain(|key| key.expires_at.is_none_or(|until| now < until));
        keys.insert(0, key);
        keys.truncate(MAX_KEYS);
        Ok((keys, shown))
    }

    /// Gives a webhook a new key.
    pub async fn rotate_webhook(
        &self,
        space: &SpaceId,
        id: &str,
        input: RotateInput,
    ) -> Result<(Webhook, ShownKey), PipelineError> {
        let own_key = || {
            let webhook = self.catalogue.existing_webhook(space, id)?;
            match webhook.policy {
                Some(policy) => Err(PipelineError::Conflict {
                    code: "webhook.policy_signs",
                    message: format!("its messages are signed by policy {policy}: rotate that one's key"),
                }),
                None => Ok(webhook),
            }
        };
        let ahead = self.rotation_ahead(space, &own_key()?.signing, &input).await?;
        let _changing = self.lifecycle.changing.lock(space).await;
        let mut webhook = own_key()?;
        let (keys, shown) = self.rotated(space, &webhook.signing, webhook.keys, input, &ahead).await?;
        webhook.keys = keys;
        webhook.updated_at = self.clock.now();
        self.store.webhooks.put_webhook(&webhook).await?;
        self.catalogue.put_webhook(webhook.clone());
        self.signers.forget();
        Ok((webhook, shown))
    }

    /// Creates a policy with a key of its own.
    pub async fn create_webhook_policy(
        &self,
        space: &SpaceId,
        input: WebhookPolicyInput,
    ) -> Result<(WebhookPolicy, ShownKey), PipelineError> {
        WebhookPolicyInput::missing(&|_| input.signing.is_some()).check()?;
        let signing = input.signing.unwrap_or_default();
        let name = input.name.flatten().unwrap_or_default();
        check_policy(&name, &signing)?;
        let (keys, shown) = first_keys(self.new_key(space, &signing, input.secret).await?);
        let policy = WebhookPolicy { keys, ..self.new_policy(space, name, signing) };
        let saved = self.lifecycle.put(self, space, "", || Ok((None, policy.clone()))).await?;
        Ok((saved.thing, shown))
    }

    /// A new policy without a number and keys.
    pub(crate) fn new_policy(&self, space: &SpaceId, name: String, signing: SigningPolicy) -> WebhookPolicy {
        let now = self.clock.now();
        let space = space.clone();
        WebhookPolicy { number: 0, space, name, signing, keys: Vec::new(), created_at: now, updated_at: now }
    }

    /// Changes the fields that `input` gives. Another kind of signing needs another key.
    pub async fn change_webhook_policy(
        &self,
        space: &SpaceId,
        number: u64,
        input: WebhookPolicyInput,
    ) -> Result<(WebhookPolicy, ShownKey), PipelineError> {
        let changed = || {
            let old = self.signing.webhook_policy(space, number)?;
            let signing = input.signing.clone().unwrap_or_else(|| old.signing.clone());
            let name = input.name.clone().map_or_else(|| old.name.clone(), Option::unwrap_or_default);
            check_policy(&name, &signing)?;
            if signing != old.signing {
                self.check_policy_users(space, number, &signing)?;
            }
            let needs_key = !same_key(&signing, &old.signing) || input.secret.is_some();
            let new = WebhookPolicy { name, signing, ..old.clone() };
            Ok::<_, PipelineError>((old, new, needs_key))
        };
        let mut ahead = None;
        if let (_, new, true) = changed()? {
            ahead = Some(self.key_ahead(space, &new.signing, input.secret.clone()).await?);
        }
        let _changing = self.lifecycle.changing.lock(space).await;
        let (old, new, needs_key) = changed()?;
        let mut policy = self.lifecycle.prepare(self, space, Some(&old), new, "").await?;
        let mut shown = ShownKey::default();
        if needs_key {
            let key = self.key_now(space, &policy.signing, input.secret.clone(), ahead.as_ref()).await?;
            (policy.keys, shown) = first_keys(key);
        }
        Ok((self.lifecycle.save(self, space, Some(old), policy).await?, shown))
    }

    /// Fails if webhooks that a policy signs have header fields of their own that the policy would set.
    fn check_policy_users(&self, space: &SpaceId, number: u64, signing: &SigningPolicy) -> Result<(), PipelineError> {
        let mut mistakes = Mistakes::default();
        for webhook in self.catalogue.webhooks(space).iter().filter(|one| one.policy == Some(number)) {
            mistakes.0.extend(field_conflicts(webhook, signing, "signing"));
        }
        mistakes.0.truncate(MAX_LISTED_CONFLICTS);
        Ok(mistakes.check()?)
    }

    /// Gives a policy a new key.
    pub async fn rotate_webhook_policy(
        &self,
        space: &SpaceId,
        number: u64,
        input: RotateInput,
    ) -> Result<(WebhookPolicy, ShownKey), PipelineError> {
        let ahead = self.rotation_ahead(space, &self.signing.webhook_policy(space, number)?.signing, &input).await?;
        let _changing = self.lifecycle.changing.lock(space).await;
        let old = self.signing.webhook_policy(space, number)?;
        let (keys, shown) = self.rotated(space, &old.signing, old.keys.clone(), input, &ahead).await?;
        let policy = WebhookPolicy { keys, updated_at: self.clock.now(), ..old.clone() };
        Ok((self.lifecycle.save(self, space, Some(old), policy).await?, shown))
    }

    /// The policies of a space.
    pub fn webhook_policies(&self, space: &SpaceId) -> Result<Vec<WebhookPolicy>, PipelineError> {
        Ok(self.store.webhooks.webhook_policies(space)?)
    }

    /// The keys that sign a webhook's messages at present, its own or its policy's, the newest first.
    pub fn webhook_keys(&self, space: &SpaceId, id: &str) -> Result<Vec<SigningKey>, PipelineError> {
        let webhook = self.catalogue.existing_webhook(space, id)?;
        let (_, mut keys) = self.signing.signing_of(&webhook)?;
        let now = self.clock.now();
        keys.retain(|key| key.expires_at.is_none_or(|until| now < until));
        Ok(keys)
    }

    /// Deletes a policy that no webhook uses.
    pub async fn delete_webhook_policy(&self, space: &SpaceId, number: u64) -> Result<(), PipelineError> {
        self.lifecycle.delete(self, space, || self.signing.webhook_policy(space, number)).await
    }

    /// The certificate of a key that signs as Amazon SNS does, for verifiers of its messages.
    pub fn certificate(&self, space: &SpaceId, webhook: &str, key: &str) -> Result<String, PipelineError> {
        let missing = || PipelineError::not_found("certificate", key);
        let webhook = self.catalogue.webhook(space, webhook).ok_or_else(missing)?;
        let (_, keys) = self.signing.signing_of(&webhook)?;
        let found = keys.iter().find(|known| known.id == key).and_then(|known| known.public.as_ref());
        let pem = found.and_then(|public| public.get("certificate_pem")).and_then(|pem| pem.as_str());
        pem.map(str::to_owned).ok_or_else(missing)
    }
}

impl Resource for WebhookPolicies {
    type Thing = WebhookPolicy;
    const CHANGED: &'static str = "webhook_policy.changed";

    fn successor(
        &self,
        old: Option<&WebhookPolicy>,
        policy: WebhookPolicy,
        _by: &str,
    ) -> Result<WebhookPolicy, PipelineError> {
        let Some(old) = old else { return Ok(policy) };
        let updated_at = self.clock.now();
        Ok(WebhookPolicy { number: old.number, created_at: old.created_at, updated_at, ..policy })
    }

    fn check_deletion(&self, space: &SpaceId, policy: &WebhookPolicy) -> Result<(), PipelineError> {
        let users = self.catalogue.webhooks(space);
        let users = users.iter().filter(|one| one.policy == Some(policy.number));
        let users: Vec<String> = users.take(5).map(|one| one.id.to_string()).collect();
        if users.is_empty() {
            return Ok(());
        }
        Err(PipelineError::Conflict {
            code: "webhook_policy.in_use",
            message: format!("webhooks use it: {}; give them another first", users.join(", ")),
        })
    }

    fn changes(swap: Swap<WebhookPolicy>) -> Vec<ConfigChange> {
        vec![ConfigChange::WebhookPolicy(swap)]
    }

    fn set_number(policy: &mut WebhookPolicy, change: &ConfigChange) {
        if let ConfigChange::WebhookPolicy(Swap { is: Some(stored), .. }) = change {
            policy.number = stored.number;
        }
    }

    fn follow(&self, _space: &SpaceId, change: &ConfigChange) {
        if matches!(change, ConfigChange::WebhookPolicy(_)) {
            self.signers.forget();
        }
    }
}

/// A webhook's own header fields that its policy would set with this signing.
pub(crate) fn field_conflicts(webhook: &Webhook, signing: &SigningPolicy, path: &str) -> Vec<Mistake> {
    let conflict = |(place, header): (usize, &CustomHeader)| {
        let message = format!(
            "would set `{}`, which the webhook {} sets in headers[{place}]: remove it there first",
            header.name, webhook.id
        );
        Mistake::new(path, message)
    };
    webhook.fields_set_by(signing).map(conflict).collect()
}

/// Whether a key of one policy can be used for the other.
pub(crate) fn same_key(a: &SigningPolicy, b: &SigningPolicy) -> bool {
    match (a, b) {
        (SigningPolicy::Jwt(a), SigningPolicy::Jwt(b)) => a.algorithm == b.algorithm,
        (SigningPolicy::HttpMessageSignatures(a), SigningPolicy::HttpMessageSignatures(b)) => {
            a.algorithm == b.algorithm
        }
        (a, b) => a.kind() == b.kind(),
    }
}

pub(crate) fn check_policy(name: &str, signing: &SigningPolicy) -> Result<(), Mistakes> {
    let mut mistakes = Mistakes::default();
    // The name is optional.
    if !name.is_empty() {
        check_display_name("name", name, &mut mistakes);
    }
    for mistake in signing.check().err().unwrap_or_default().0 {
        mistakes.add(format!("signing.{}", mistake.path), mistake.message);
    }
    mistakes.check()
}
