//! What is needed to send to a webhook, built once and cached until one of its inputs changes.

use std::collections::HashMap;
use std::sync::Arc;

use hookwright_egress::{
    ClientAuth, EgressError, Http2, TokenSettings, TokenSource, Transport, TransportField, TransportSettings,
};
use hookwright_foundation::error::{PipelineError, together};
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_invoke::egress::Egress;
use hookwright_model::{
    Failure, Mistake, OauthSettings, SigningKey, SigningPolicy, SpaceId, Timestamp,
    TransportSettings as WebhookTransport, Webhook, WebhookId, WebhookPolicy,
};
use hookwright_signing::Signer;
use hookwright_store::{Store, Vault};
use parking_lot::Mutex;
use url::Url;

/// How many webhooks are cached.
const MAX_CACHED: usize = 100_000;

/// The name of a transport setting in a webhook.
fn field_of(setting: TransportField) -> &'static str {
    match setting {
        TransportField::CaCertificates => "transport.ca_pem",
        TransportField::ClientCertificate => "transport.client_certificate_pem",
        TransportField::ClientKey => "transport.client_key_secret",
        TransportField::Proxy => "transport.proxy_secret",
    }
}

/// What is needed to send to a webhook.
pub(crate) struct Ready {
    pub(crate) url: Url,
    pub(crate) signer: Signer,
    pub(crate) policy: SigningPolicy,
    /// The id of the newest key.
    pub(crate) key: Option<String>,
    pub(crate) transport: Option<Transport>,
    pub(crate) tokens: Option<Arc<TokenSource>>,
}

/// The fields of a webhook that a [`Ready`] is built from. They are compared field by field and not by the time of the
/// last change: two changes can have the same time, in the same millisecond or after the clock was set back, and the
/// second would then be sent to the URL, and with the keys, of the first.
struct ReadyInputs {
    url: String,
    signing: SigningPolicy,
    policy: Option<u64>,
    keys: Vec<SigningKey>,
    transport: Option<WebhookTransport>,
    oauth: Option<OauthSettings>,
}

impl ReadyInputs {
    fn new(webhook: &Webhook) -> Self {
        Self {
            url: webhook.url.clone(),
            signing: webhook.signing.clone(),
            policy: webhook.policy,
            keys: webhook.keys.clone(),
            transport: webhook.transport.clone(),
            oauth: webhook.oauth.clone(),
        }
    }

    fn matches(&self, webhook: &Webhook) -> bool {
        self.url == webhook.url
            && self.signing == webhook.signing
            && self.policy == webhook.policy
            && self.keys == webhook.keys
            && self.transport == webhook.transport
            && self.oauth == webhook.oauth
    }
}

struct CachedReady {
    ready: Arc<Ready>,
    of: ReadyInputs,
    /// When a key expires.
    until: Option<Timestamp>,
}

/// The cache for all webhooks with recent requests.
#[derive(Default)]
pub struct Signers(Mutex<Cached>);

#[derive(Default)]
struct Cached {
    webhooks: HashMap<(SpaceId, WebhookId), CachedReady>,
    /// How often the cache was cleared. An entry that was built from secrets and policies before that is not stored
    /// afterwards.
    dropped: u64,
}

impl Signers {
    /// Clears the cache: a secret or a policy that entries are built from has changed.
    pub fn forget(&self) {
        let mut cached = self.0.lock();
        cached.webhooks.clear();
        cached.dropped = cached.dropped.wrapping_add(1);
    }
}

/// The keys, connections and tokens for requests to webhooks.
pub struct Signing {
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) egress: Arc<Egress>,
    pub(crate) signers: Arc<Signers>,
    pub(crate) store: Store,
    pub(crate) vault: Arc<Vault>,
}

impl Signing {
    /// What is needed to send to the webhook.
    pub(crate) fn ready(&self, webhook: &Webhook) -> Result<Arc<Ready>, PipelineError> {
        let now = self.clock.now();
        let place = (webhook.space.clone(), webhook.id.clone());
        let dropped = {
            let cached = self.signers.0.lock();
            if let Some(kept) = cached.webhooks.get(&place)
                && kept.of.matches(webhook)
                && kept.until.is_none_or(|until| now < until)
            {
                return Ok(Arc::clone(&kept.ready));
            }
            cached.dropped
        };
        let (policy, keys) = self.signing_of(webhook)?;
        let valid: Vec<&SigningKey> =
            keys.iter().filter(|key| key.expires_at.is_none_or(|until| now < until)).collect();
        let mut opened = Vec::with_capacity(valid.len());
        for key in &valid {
            match self.vault.open_sealed(&key.sealed) {
                Ok(secret) => opened.push((key.id.clone(), secret)),
                // A replaced key may be sealed with a secret key that is lost, and the rotation is the remedy for that.
                Err(error) if !opened.is_empty() => {
                    tracing::warn!(webhook = %webhook.id, key = %key.id, %error, "a replaced signing key cannot be opened");
                }
                Err(error) => return Err(error.into()),
            }
        }
        let signer = Signer::new(&policy, opened.iter().map(|(id, key)| (id.clone(), key.as_slice())))?;
        let ready = Arc::new(Ready {
            url: self.egress.check(&webhook.url)?,
            signer,
            key: valid.first().map(|key| key.id.clone()),
            policy,
            transport: self.transport_of(webhook).map_err(|error| match in_own_words(&error) {
                Some((field, problem)) => EgressError::Settings(format!("{field}: {problem}")).into(),
                None => error,
            })?,
            tokens: self.tokens_of(webhook)?,
        });
        let until = valid.iter().filter_map(|key| key.expires_at).min();
        let mut cached = self.signers.0.lock();
        if cached.dropped == dropped {
            if cached.webhooks.len() >= MAX_CACHED {
                cached.webhooks.clear();
            }
            cached
                .webhooks
                .insert(place, CachedReady { ready: Arc::clone(&ready), of: ReadyInputs::new(webhook), until });
        }
        Ok(ready)
    }

    /// The webhook's signing policy, and the keys that it signs with.
    pub fn signing_of(&self, webhook: &Webhook) -> Result<(SigningPolicy, Vec<SigningKey>), PipelineError> {
        let Some(number) = webhook.policy else { return Ok((webhook.signing.clone(), webhook.keys.clone())) };
        let policy = self.webhook_policy(&webhook.space, number)?;
        Ok((policy.signing, policy.keys))
    }

    /// Fails if the webhook's certificates, keys, proxy or token endpoint cannot be used.
    pub fn check_transport(&self, webhook: &Webhook) -> Result<(), PipelineError> {
        let wrong = |path: &'static str| {
            move |error: PipelineError| {
                let (field, message) = in_own_words(&error).unwrap_or_else(|| (path, error.to_string()));
                PipelineError::from(Mistake::new(field, message))
            }
        };
        let proxy = || self.check_proxy(webhook).map_err(wrong("transport.proxy_secret"));
        let transport = self.transport_of(webhook).map_err(wrong("transport")).and_then(|_| proxy());
        let tokens = self.tokens_of(webhook).map(|_| ()).map_err(wrong("oauth"));
        together([transport, tokens])
    }

    fn check_proxy(&self, webhook: &Webhook) -> Result<(), PipelineError> {
        let name = webhook.transport.as_ref().and_then(|transport| transport.proxy_secret.as_deref());
        let Some(name) = name else { return Ok(()) };
        Ok(self.egress.check_proxy(&self.secret_text(&webhook.space, name)?)?)
    }

    fn transport_of(&self, webhook: &Webhook) -> Result<Option<Transport>, PipelineError> {
        let Some(settings) = &webhook.transport else { return Ok(None) };
        let secret =
            |name: &Option<String>| name.as_deref().map(|name| self.secret_text(&webhook.space, name)).transpose();
        let (client_key, proxy) = (secret(&settings.client_key_secret)?, secret(&settings.proxy_secret)?);
        let settings = TransportSettings {
            ca_certificates: settings.ca_pem.iter().cloned().collect(),
            client_certificate: settings.client_certificate_pem.clone(),
            client_key: client_key.map(Into::into),
            proxy: proxy.map(Into::into),
            http2: if settings.http2 { Http2::Auto } else { Http2::Never },
            ..TransportSettings::default()
        };
        Ok(Some(self.egress.transport(&settings)?))
    }

    fn tokens_of(&self, webhook: &Webhook) -> Result<Option<Arc<TokenSource>>, PipelineError> {
        let Some(oauth) = &webhook.oauth else { return Ok(None) };
        let settings = TokenSettings {
            token_url: oauth.token_url.clone(),
            client_id: oauth.client_id.clone(),
            client_secret: self.secret_text(&webhook.space, &oauth.client_secret)?.into(),
            scope: oauth.scope.clone(),
            audience: oauth.audience.clone(),
            auth: if oauth.credentials_in_body { ClientAuth::Body } else { ClientAuth::Basic },
            transport: None,
        };
        Ok(Some(self.egress.token_source(&settings)?))
    }
}

/// The field of a webhook that a transport error concerns, and the problem in the terms of a webhook. `None`: the error
/// concerns no field of the transport.
fn in_own_words(error: &PipelineError) -> Option<(&'static str, String)> {
    let PipelineError::Egress(EgressError::Transport { field, problem }) = error else { return None };
    let problem = problem.replace("client_certificate", "client_certificate_pem");
    Some((field_of(*field), problem.replace("client_key", "client_key_secret")))
}

impl Signing {
    /// A secret of the space, as text.
    pub(crate) fn secret_text(&self, space: &hookwright_model::SpaceId, name: &str) -> Result<String, PipelineError> {
        let Some(secret) = self.store.secrets.secret(space, name)? else {
            let message = format!("there is no secret `{name}` in this space: PUT /v1/secrets/{name}");
            return Err(Failure::permanent("secret.unknown", message).into());
        };
        let value = self.vault.open_sealed(&secret.sealed)?;
        String::from_utf8(value)
            .map_err(|_| Failure::permanent("secret.unusable", format!("the secret `{name}` is not text")).into())
    }

    /// The policy, or an error if it does not exist.
    pub fn webhook_policy(&self, space: &SpaceId, number: u64) -> Result<WebhookPolicy, PipelineError> {
        let missing = || PipelineError::not_found("webhook policy", &number.to_string());
        self.store.webhooks.webhook_policy(space, number)?.ok_or_else(missing)
    }
}

#[cfg(test)]
mod tests {
    use hookwright_egress::EgressPolicy;
    use hookwright_receiver::Authority;

    use super::*;

    #[test]
    fn a_transport_error_names_the_webhooks_field() {
        let egress = Egress::new(EgressPolicy::default()).unwrap();
        let authority = Authority::new("here");
        let (one, other) = (authority.client("one"), authority.client("other"));
        let settings = TransportSettings::default;
        for (settings, field, shown) in [
            (
                TransportSettings { proxy: Some("https://proxy.example".into()), ..settings() },
                "transport.proxy_secret",
                "the scheme is `https`, and only http can be used: write http://HOST:PORT",
            ),
            (
                TransportSettings { ca_certificates: vec!["x".to_owned()], ..settings() },
                "transport.ca_pem",
                "there is no certificate in the text: give certificates in PEM",
            ),
            (
                TransportSettings { client_certificate: Some(one.certificate.clone()), ..settings() },
                "transport.client_key_secret",
                "is required with client_certificate_pem",
            ),
            (
                TransportSettings { client_key: Some(one.key.into()), ..settings() },
                "transport.client_certificate_pem",
                "is required with client_key_secret",
            ),
            (
                TransportSettings {
                    client_certificate: Some(one.certificate),
                    client_key: Some(other.key.into()),
                    ..settings()
                },
                "transport.client_key_secret",
                "does not fit client_certificate_pem, or cannot be used: ",
            ),
        ] {
            let error = PipelineError::Egress(egress.transport(&settings).unwrap_err());
            let (named, problem) = in_own_words(&error).unwrap();
            assert_eq!(named, field, "{problem}");
            assert!(problem.starts_with(shown), "{problem}");
            let rest = problem.replace("client_certificate_pem", "").replace("client_key_secret", "");
            assert!(!rest.contains("client_certificate") && !rest.contains("client_key"), "{problem}");
        }
        assert_eq!(in_own_words(&PipelineError::Egress(EgressError::Settings("proxy: x".to_owned()))), None);
    }
}
