//! The keys that messages are signed with: made, taken over, rotated; and policies that several webhooks share.

use std::time::Duration;

use hookwright_model::{Mistake, Mistakes, SigningKey, SigningPolicy, SpaceId, Webhook, WebhookPolicy, unique};
use hookwright_signing::{NewKey, PublicKey};
use serde::Deserialize;

use crate::{Pipeline, PipelineError};

/// How many keys sign at once at most.
const MOST_KEYS: usize = 8;
/// For how long a key signs beside the one that took its place, unless the caller says otherwise.
const OVERLAP: u64 = 86_400;
/// The longest overlap, in seconds: 30 days.
const LONGEST_OVERLAP: u64 = 30 * 86_400;

/// What a caller says about a rotation.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotateInput {
    /// For how many seconds the present key still signs. Default a day; 0: no longer.
    pub overlap_seconds: Option<u64>,
    /// A key of the caller's own in the policy's text form; one is made if it is absent.
    pub secret: Option<String>,
}

/// What a caller sends to make or change a policy; what is absent keeps its value.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookPolicyInput {
    /// See [`WebhookPolicy::name`].
    pub name: Option<String>,
    /// See [`WebhookPolicy::signing`].
    pub signing: Option<SigningPolicy>,
    /// A key of the caller's own.
    pub secret: Option<String>,
}

/// A key that was just made, as it is shown once.
#[derive(Clone, Debug, Default)]
pub struct ShownKey {
    /// The secret's text; none if the receiver needs only the public part.
    pub secret: Option<String>,
    /// The public part.
    pub public: Option<PublicKey>,
}

impl Pipeline {
    /// A key for a policy; none if it signs nothing.
    pub(crate) async fn new_key(
        &self,
        policy: &SigningPolicy,
        given: Option<String>,
    ) -> Result<Option<(SigningKey, ShownKey)>, PipelineError> {
        if matches!(policy, SigningPolicy::None {}) {
            return match given {
                None => Ok(None),
                Some(_) => Err(Mistake::new("secret", "is not used: the signing policy is `none`").into()),
            };
        }
        let imported = given.is_some();
        let policy = policy.clone();
        // An RSA key takes a third of a second to make.
        let made = tokio::task::spawn_blocking(move || match given {
            Some(text) => hookwright_signing::import(&policy, &text),
            None => hookwright_signing::generate(&policy),
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
            created_at: self.now(),
            expires_at: None,
        };
        Ok(Some((key, ShownKey { secret: shown, public })))
    }

    /// Puts a new key in the place of the present one, which signs beside it for a while.
    async fn rotated(
        &self,
        policy: &SigningPolicy,
        mut keys: Vec<SigningKey>,
        input: RotateInput,
    ) -> Result<(Vec<SigningKey>, ShownKey), PipelineError> {
        let overlap = input.overlap_seconds.unwrap_or(OVERLAP);
        if overlap > LONGEST_OVERLAP {
            let message = format!("{overlap}: at most {LONGEST_OVERLAP}, which is 30 days");
            return Err(Mistake::new("overlap_seconds", message).into());
        }
        let Some((key, shown)) = self.new_key(policy, input.secret).await? else {
            return Err(PipelineError::Conflict {
                code: "webhook.unsigned",
                message: "its messages are not signed, so there is no key: set `signing` first".to_owned(),
            });
        };
        let now = self.now();
        keys.retain(|key| key.expires_at.is_none_or(|until| now < until));
        for old in keys.iter_mut().filter(|key| key.expires_at.is_none()) {
            old.expires_at = Some(now.after(Duration::from_secs(overlap)));
        }
        keys.retain(|key| key.expires_at.is_none_or(|until| now < until));
        keys.insert(0, key);
        keys.truncate(MOST_KEYS);
        Ok((keys, shown))
    }

    /// Gives a webhook a new key.
    pub async fn rotate_webhook(
        &self,
        space: &SpaceId,
        id: &str,
        input: RotateInput,
    ) -> Result<(Webhook, ShownKey), PipelineError> {
        let _changing = self.changing.lock().await;
        let mut webhook = self.webhook(space, id)?;
        if let Some(policy) = webhook.policy {
            return Err(PipelineError::Conflict {
                code: "webhook.policy_signs",
                message: format!("its messages are signed by policy {policy}: rotate that one's key"),
            });
        }
        let (keys, shown) = self.rotated(&webhook.signing, webhook.keys, input).await?;
        webhook.keys = keys;
        webhook.updated_at = self.now();
        self.store.put_webhook(&webhook).await?;
        self.catalogue.put_webhook(webhook.clone());
        self.signers.forget();
        Ok((webhook, shown))
    }

    /// Makes a policy with a key of its own.
    pub async fn create_webhook_policy(
        &self,
        space: &SpaceId,
        input: WebhookPolicyInput,
    ) -> Result<(WebhookPolicy, ShownKey), PipelineError> {
        let _changing = self.changing.lock().await;
        let mut mistakes = Mistakes::default();
        if input.signing.is_none() {
            mistakes.add("signing", "is missing: how messages are signed, such as {\"kind\": \"standard\"}");
        }
        mistakes.check()?;
        let signing = input.signing.unwrap_or_default();
        check_policy(input.name.as_deref().unwrap_or_default(), &signing)?;
        let key = self.new_key(&signing, input.secret).await?;
        let (key, shown) = key.map_or((None, ShownKey::default()), |(key, shown)| (Some(key), shown));
        let now = self.now();
        let policy = WebhookPolicy {
            number: 0,
            space: space.clone(),
            name: input.name.unwrap_or_default(),
            signing,
            keys: key.into_iter().collect(),
            created_at: now,
            updated_at: now,
        };
        Ok((self.store.create_webhook_policy(policy).await?, shown))
    }

    /// Changes what `input` gives. Another way of signing comes with another key.
    pub async fn change_webhook_policy(
        &self,
        space: &SpaceId,
        number: u64,
        input: WebhookPolicyInput,
    ) -> Result<(WebhookPolicy, ShownKey), PipelineError> {
        let _changing = self.changing.lock().await;
        let mut policy = self.webhook_policy(space, number)?;
        let signing = input.signing.unwrap_or_else(|| policy.signing.clone());
        policy.name = input.name.unwrap_or(policy.name);
        check_policy(&policy.name, &signing)?;
        let mut shown = ShownKey::default();
        if !same_key(&signing, &policy.signing) || input.secret.is_some() {
            let key = self.new_key(&signing, input.secret).await?;
            let (key, show) = key.map_or((None, ShownKey::default()), |(key, shown)| (Some(key), shown));
            policy.keys = key.into_iter().collect();
            shown = show;
        }
        policy.signing = signing;
        policy.updated_at = self.now();
        self.store.put_webhook_policy(&policy).await?;
        self.signers.forget();
        Ok((policy, shown))
    }

    /// Gives a policy a new key.
    pub async fn rotate_webhook_policy(
        &self,
        space: &SpaceId,
        number: u64,
        input: RotateInput,
    ) -> Result<(WebhookPolicy, ShownKey), PipelineError> {
        let _changing = self.changing.lock().await;
        let mut policy = self.webhook_policy(space, number)?;
        let (keys, shown) = self.rotated(&policy.signing, policy.keys, input).await?;
        policy.keys = keys;
        policy.updated_at = self.now();
        self.store.put_webhook_policy(&policy).await?;
        self.signers.forget();
        Ok((policy, shown))
    }

    /// The policy, or an error that says there is none.
    pub fn webhook_policy(&self, space: &SpaceId, number: u64) -> Result<WebhookPolicy, PipelineError> {
        let missing = || PipelineError::not_found("webhook policy", &number.to_string());
        self.store.webhook_policy(space, number)?.ok_or_else(missing)
    }

    /// The keys that sign a webhook's messages at present, its own or its policy's, the newest first.
    pub fn webhook_keys(&self, space: &SpaceId, id: &str) -> Result<Vec<SigningKey>, PipelineError> {
        let webhook = self.webhook(space, id)?;
        let (_, mut keys) = self.signing_of(&webhook)?;
        let now = self.now();
        keys.retain(|key| key.expires_at.is_none_or(|until| now < until));
        Ok(keys)
    }

    /// Deletes a policy that no webhook uses.
    pub async fn delete_webhook_policy(&self, space: &SpaceId, number: u64) -> Result<(), PipelineError> {
        let _changing = self.changing.lock().await;
        self.webhook_policy(space, number)?;
        let users = self.store.webhooks(space)?;
        let users: Vec<String> =
            users.iter().filter(|one| one.policy == Some(number)).take(5).map(|one| one.id.to_string()).collect();
        if !users.is_empty() {
            return Err(PipelineError::Conflict {
                code: "webhook_policy.in_use",
                message: format!("webhooks use it: {}; give them another first", users.join(", ")),
            });
        }
        self.store.delete_webhook_policy(space, number).await?;
        Ok(())
    }

    /// The certificate of a key that signs as Amazon SNS does, for whoever verifies its messages.
    pub fn certificate(&self, space: &SpaceId, webhook: &str, key: &str) -> Result<String, PipelineError> {
        let missing = || PipelineError::not_found("certificate", key);
        let webhook = self.store.webhook(space, webhook)?.ok_or_else(missing)?;
        let (_, keys) = self.signing_of(&webhook)?;
        let found = keys.iter().find(|known| known.id == key).and_then(|known| known.public.as_ref());
        let pem = found.and_then(|public| public.get("certificate_pem")).and_then(|pem| pem.as_str());
        pem.map(str::to_owned).ok_or_else(missing)
    }
}

/// Whether a key of the one policy serves the other.
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
    if name.len() > 256 || name.chars().any(char::is_control) {
        mistakes.add("name", "has more than 256 bytes or control characters");
    }
    for mistake in signing.check().err().unwrap_or_default().0 {
        mistakes.add(format!("signing.{}", mistake.path), mistake.message);
    }
    mistakes.check()
}
