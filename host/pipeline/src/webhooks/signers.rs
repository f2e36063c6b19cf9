//! What is needed to send to a webhook, made once and kept until something of it changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use hookwright_egress::{ClientAuth, Http2, TokenSettings, TokenSource, Transport, TransportSettings};
use hookwright_model::{Mistake, SigningKey, SigningPolicy, SpaceId, Timestamp, Webhook, WebhookId};
use hookwright_signing::Signer;
use url::Url;

use crate::{Pipeline, PipelineError};

/// How many webhooks' are kept.
const MOST: usize = 100_000;

/// What is needed to send to a webhook.
pub(super) struct Ready {
    pub(super) url: Url,
    pub(super) signer: Signer,
    pub(super) policy: SigningPolicy,
    /// The id of the newest key.
    pub(super) key: Option<String>,
    pub(super) transport: Option<Transport>,
    pub(super) tokens: Option<Arc<TokenSource>>,
}

struct Kept {
    ready: Arc<Ready>,
    /// Of which state of the webhook.
    of: Timestamp,
    /// When a key runs out.
    until: Option<Timestamp>,
}

/// Those of all webhooks that were sent to lately.
#[derive(Default)]
pub(crate) struct Signers(Mutex<HashMap<(SpaceId, WebhookId), Kept>>);

impl Signers {
    /// Something that they are made of has changed.
    pub(crate) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Pipeline {
    /// What is needed to send to the webhook.
    pub(super) fn ready(&self, webhook: &Webhook) -> Result<Arc<Ready>, PipelineError> {
        let now = self.now();
        let place = (webhook.space.clone(), webhook.id.clone());
        {
            let kept = self.signers.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(kept) = kept.get(&place)
                && kept.of == webhook.updated_at
                && kept.until.is_none_or(|until| now < until)
            {
                return Ok(Arc::clone(&kept.ready));
            }
        }
        let (policy, keys) = self.signing_of(webhook)?;
        let valid: Vec<&SigningKey> =
            keys.iter().filter(|key| key.expires_at.is_none_or(|until| now < until)).collect();
        let opened = valid.iter().map(|key| Ok((key.id.clone(), self.vault.open_sealed(&key.sealed)?)));
        let opened = opened.collect::<Result<Vec<_>, PipelineError>>()?;
        let signer = Signer::new(&policy, opened.iter().map(|(id, key)| (id.clone(), key.as_slice())))?;
        let ready = Arc::new(Ready {
            url: self.egress.check(&webhook.url)?,
            signer,
            key: valid.first().map(|key| key.id.clone()),
            policy,
            transport: self.transport_of(webhook)?,
            tokens: self.tokens_of(webhook)?,
        });
        let until = valid.iter().filter_map(|key| key.expires_at).min();
        let mut kept = self.signers.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(place, Kept { ready: Arc::clone(&ready), of: webhook.updated_at, until });
        Ok(ready)
    }

    /// How the webhook's messages are signed, and with which keys.
    pub(super) fn signing_of(&self, webhook: &Webhook) -> Result<(SigningPolicy, Vec<SigningKey>), PipelineError> {
        let Some(number) = webhook.policy else { return Ok((webhook.signing.clone(), webhook.keys.clone())) };
        let policy = self.webhook_policy(&webhook.space, number)?;
        Ok((policy.signing, policy.keys))
    }

    /// Fails if the webhook's certificates, keys or token endpoint cannot be used.
    pub(super) fn check_transport(&self, webhook: &Webhook) -> Result<(), PipelineError> {
        let wrong =
            |path: &'static str| move |error: PipelineError| PipelineError::from(Mistake::new(path, error.to_string()));
        self.transport_of(webhook).map_err(wrong("transport"))?;
        self.tokens_of(webhook).map_err(wrong("oauth"))?;
        Ok(())
    }

    fn transport_of(&self, webhook: &Webhook) -> Result<Option<Transport>, PipelineError> {
        let Some(settings) = &webhook.transport else { return Ok(None) };
        let key = settings.client_key_secret.as_deref();
        let client_key = key.map(|name| self.secret_text(&webhook.space, name)).transpose()?;
        let settings = TransportSettings {
            ca_certificates: settings.ca_pem.iter().cloned().collect(),
            client_certificate: settings.client_certificate_pem.clone(),
            client_key: client_key.map(Into::into),
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
