//! Signs messages.

use std::fmt;

use hookwright_model::SigningPolicy;

use crate::error::{MAX_KEYS, SigningError};
use crate::keys::{Algorithm, Key};
use crate::schemes::{github, hmac, jwt, message, sns, standard, stripe};
use crate::signed::{Signed, Unsigned, check_header};

/// Signs messages under one policy with the valid keys.
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
    /// Parses the keys, each with the id that receivers know it by: the newest first, then those that are still valid.
    ///
    /// # Errors
    /// If there is no key, there are more than eight, one does not belong to the policy, or an id is not valid in a
    /// header.
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
            if read.len() > MAX_KEYS {
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
    /// `http-message-signatures`. With the newest alone under `jwt`, `sns`, `github` and `hmac`, whose format permits
    /// one signature: their receivers must accept the new key before it becomes the newest, or fetch it by its id.
    ///
    /// # Errors
    /// If the message lacks a part that the policy needs, or contains a value that cannot be sent.
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
