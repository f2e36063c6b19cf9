//! Messages in, signed messages out.

use std::fmt;

use bytes::Bytes;
use hookwright_model::{Header, SigningPolicy, Timestamp};

use crate::error::SigningError;
use crate::keys::{Algorithm, Key};
use crate::schemes::{github, hmac, jwt, message, sns, standard, stripe};

/// How many keys may be valid at a time.
pub(crate) const MOST_KEYS: usize = 8;

/// A message before it is signed.
#[derive(Clone, Debug)]
pub struct Unsigned<'a> {
    /// The message's id, the same for each attempt.
    pub id: &'a str,
    /// When it is signed.
    pub time: Timestamp,
    /// The method, in upper case.
    pub method: &'a str,
    /// Where it goes. The request must be sent to this URL in the form that the `url` crate gives it.
    pub url: &'a str,
    /// Which webhook it is for: the claim `sub` of tokens.
    pub webhook: Option<&'a str>,
    /// The event's type, as `X-GitHub-Event` shall carry it.
    pub event_type: &'a str,
    /// Further header fields that are sent, which a signature may cover.
    pub headers: &'a [Header],
    /// The body's media type.
    pub content_type: &'a str,
    /// The body.
    pub body: &'a Bytes,
    /// What only the policy `sns` needs.
    pub envelope: Option<SnsEnvelope<'a>>,
}

/// What a message of Amazon SNS is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnsKind {
    /// A message.
    Notification,
    /// Asks the receiver to confirm that it wants messages.
    SubscriptionConfirmation,
    /// Says that no more will come.
    UnsubscribeConfirmation,
}

/// What stands around a message of Amazon SNS. The URLs and the token are the caller's.
#[derive(Clone, Copy, Debug)]
pub struct SnsEnvelope<'a> {
    /// What it is.
    pub kind: SnsKind,
    /// The topic, unless the policy names one.
    pub topic_arn: &'a str,
    /// A line for people: control characters become spaces, and what is past 100 characters is left out.
    pub subject: Option<&'a str>,
    /// The token of a confirmation.
    pub token: Option<&'a str>,
    /// Where a subscription is confirmed; confirmations need it.
    pub subscribe_url: Option<&'a str>,
    /// Where it is ended; notifications may have it.
    pub unsubscribe_url: Option<&'a str>,
    /// Where the key's certificate can be had: another URL for each key, as receivers keep what they fetched by its URL.
    /// Many of them want `https` and a path that ends with `.pem`.
    pub certificate_url: &'a str,
}

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Header fields to be added, each in place of one of the same name: `webhook-id` and `webhook-timestamp` under
    /// every policy, then those of the scheme.
    pub headers: Vec<Header>,
    /// The media type of the body.
    pub content_type: String,
    /// The body.
    pub body: Bytes,
}

impl Signed {
    /// The body as it came, with further header fields.
    pub(crate) fn as_is(unsigned: &Unsigned<'_>, headers: Vec<Header>) -> Self {
        Self { headers, content_type: unsigned.content_type.to_owned(), body: unsigned.body.clone() }
    }
}

/// Signs messages under one policy with the keys that are valid.
pub struct Signer {
    policy: SigningPolicy,
    keys: Vec<(String, Key)>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<&str> = self.keys.iter().map(|(id, _)| id.as_str()).collect();
        f.debug_struct("Signer").field("policy", &self.policy).field("keys", &ids).finish()
    }
}

impl Signer {
    /// Reads the keys, each with the id that receivers know it by: the newest first, then those that still hold.
    ///
    /// # Errors
    /// If there is no key, there are more than eight, one is none of the policy's, or an id cannot stand in a header.
    pub fn new<'a>(
        policy: &SigningPolicy,
        keys: impl IntoIterator<Item = (String, &'a [u8])>,
    ) -> Result<Self, SigningError> {
        let Some(algorithm) = Algorithm::of(policy) else {
            return Ok(Self { policy: policy.clone(), keys: Vec::new() });
        };
        let mut read = Vec::new();
        for (id, private) in keys {
            check_header("the key's id", &id)?;
            let Some(key) = Key::read(algorithm.family(), private) else {
                return Err(SigningError::Stored { id, kind: policy.kind() });
            };
            read.push((id, key));
            if read.len() > MOST_KEYS {
                return Err(SigningError::TooManyKeys(read.len()));
            }
        }
        if read.is_empty() {
            return Err(SigningError::NoKey(policy.kind()));
        }
        Ok(Self { policy: policy.clone(), keys: read })
    }

    /// Signs a message.
    ///
    /// With every valid key, newest first, under `standard`, `standard-asymmetric`, `stripe` and
    /// `http-message-signatures`. With the newest alone under `jwt`, `sns`, `github` and `hmac`, whose form has room for
    /// one signature: their receivers take the new key before it is put first, or fetch it by its id.
    ///
    /// # Errors
    /// If the message lacks what the policy needs, or holds what cannot be sent.
    pub fn sign(&self, unsigned: &Unsigned<'_>) -> Result<Signed, SigningError> {
        check_header("the message's id", unsigned.id)?;
        let mut signed = match (&self.policy, self.keys.first()) {
            (SigningPolicy::None {}, _) => Signed::as_is(unsigned, Vec::new()),
            (policy, None) => return Err(SigningError::NoKey(policy.kind())),
            (SigningPolicy::Standard {} | SigningPolicy::StandardAsymmetric {}, Some(_)) => {
                standard::sign(&self.keys, unsigned)?
            }
            (SigningPolicy::Stripe {}, Some(_)) => stripe::sign(&self.keys, unsigned)?,
            (SigningPolicy::HttpMessageSignatures(policy), Some(_)) => message::sign(policy, &self.keys, unsigned)?,
            (SigningPolicy::Jwt(policy), Some(newest)) => jwt::sign(policy, newest, unsigned)?,
            (SigningPolicy::Sns(policy), Some(newest)) => sns::sign(policy, newest, unsigned)?,
            (SigningPolicy::Github(policy), Some(newest)) => github::sign(policy, newest, unsigned)?,
            (SigningPolicy::Hmac(policy), Some(newest)) => hmac::sign(policy, newest, unsigned)?,
        };
        let common =
            [("webhook-id", unsigned.id.to_owned()), ("webhook-timestamp", unsigned.time.seconds().to_string())];
        signed.headers.splice(0..0, common.map(|(name, value)| (name.to_owned(), value)));
        Ok(signed)
    }
}

/// Signs with one key of a signer.
pub(crate) fn sign_with(
    (id, key): &(String, Key),
    algorithm: Algorithm,
    parts: &[&[u8]],
) -> Result<Vec<u8>, SigningError> {
    key.sign(algorithm, parts).ok_or_else(|| SigningError::Failed(id.clone()))
}

/// Fails unless a value can stand in a header field.
pub(crate) fn check_header(name: &'static str, value: &str) -> Result<(), SigningError> {
    if (1..=256).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    let value = value.chars().filter(|c| !c.is_control()).take(80).collect();
    Err(SigningError::Header { name, value })
}
