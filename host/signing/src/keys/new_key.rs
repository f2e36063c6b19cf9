//! A key that was made or imported, with its public half.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

/// A key that was generated or imported.
pub struct NewKey {
    /// The private part, which the caller seals and stores: a secret's bytes, or PKCS#8 in DER.
    pub private: Zeroizing<Vec<u8>>,
    /// The secret's text, which is shown once. `None` for pairs, whose private key the receiver does not need.
    pub shown: Option<String>,
    /// The public key that receivers verify with, for pairs.
    pub public: Option<PublicKey>,
}

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewKey").field("public", &self.public).finish_non_exhaustive()
    }
}

/// The public key of a pair, in every form that receivers need. It is not secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicKey {
    /// The algorithm, under the policy's name for it: `RS256`, `ecdsa-p256-sha256`, `ed25519`, ...
    pub algorithm: String,
    /// SubjectPublicKeyInfo in PEM (RFC 7468 section 13).
    pub pem: String,
    /// A JSON Web Key (RFC 7517) without `kid`.
    pub jwk: Value,
    /// `whpk_` and base64, for Standard Webhooks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// A certificate in PEM, signed by the key itself, for Amazon SNS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_pem: Option<String>,
}
