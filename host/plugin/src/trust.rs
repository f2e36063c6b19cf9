//! The keys that may sign components, and whether components must be signed.
//!
//! A signature is ed25519 (RFC 8032) over the text `sha256:` followed by the component's SHA-256 in lower-case hex.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};

use crate::error::LoadError;

/// Maximum number of signatures of one component that are checked.
const SIGNATURES: usize = 16;

/// The trusted keys.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    keys: Vec<(String, VerifyingKey)>,
    required: bool,
}

impl Trust {
    /// Parses names with public keys, 32 bytes in base64. `required`: only components that one of them signed are
    /// accepted.
    ///
    /// # Errors
    /// Which key is not valid, and why.
    pub fn new<'k>(keys: impl IntoIterator<Item = (&'k str, &'k str)>, required: bool) -> Result<Self, String> {
        let mut trusted = Vec::new();
        for (name, text) in keys {
            let bytes = STANDARD.decode(text.trim()).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
            let key = bytes.and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok());
            let key = key.ok_or_else(|| {
                format!("the key `{name}` is not a valid ed25519 public key: give 32 bytes in base64")
            })?;
            trusted.push((name.to_owned(), key));
        }
        if required && trusted.is_empty() {
            return Err("signatures are required, but no key is trusted: add one".to_owned());
        }
        Ok(Self { keys: trusted, required })
    }

    /// Whether components must be signed.
    pub fn required(&self) -> bool {
        self.required
    }

    /// The names of the trusted keys that signed the component with this SHA-256.
    ///
    /// # Errors
    /// A signature is malformed, or not of a trusted key, or one is required and missing.
    pub fn check(&self, digest: &str, signatures: &[String]) -> Result<Vec<String>, LoadError> {
        let text = signed_text(digest);
        let mut signers = Vec::new();
        for signature in signatures.iter().take(SIGNATURES) {
            let bytes = STANDARD.decode(signature.trim()).ok();
            let parsed = bytes.and_then(|bytes| Signature::from_slice(&bytes).ok());
            let Some(parsed) = parsed else {
                let shown = crate::cut::cut(signature.trim(), 40);
                return Err(LoadError::SignatureWrong(format!(
                    "`{shown}` is not a valid signature: give 64 bytes in base64"
                )));
            };
            let fits = |(_, key): &&(String, VerifyingKey)| key.verify_strict(text.as_bytes(), &parsed).is_ok();
            match self.keys.iter().find(fits) {
                Some((name, _)) if !signers.contains(name) => signers.push(name.clone()),
                Some(_) => {}
                None => {
                    return Err(LoadError::SignatureWrong(format!(
                        "a signature over `{text}` does not verify with any of the trusted keys ({})",
                        self.names()
                    )));
                }
            }
        }
        if signers.is_empty() && self.required {
            return Err(LoadError::Unsigned(self.names()));
        }
        Ok(signers)
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.keys.iter().map(|(name, _)| name.as_str()).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }
}

/// The text that is signed for the component with this SHA-256 in hex.
pub fn signed_text(digest: &str) -> String {
    format!("sha256:{digest}")
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer as _, SigningKey};

    use super::*;

    #[test]
    fn only_a_signature_of_a_trusted_key_over_this_digest_is_accepted() {
        let (ours, theirs) = (SigningKey::from_bytes(&[7; 32]), SigningKey::from_bytes(&[8; 32]));
        let public = STANDARD.encode(ours.verifying_key().as_bytes());
        let digest = "ab".repeat(32);
        let sign = |key: &SigningKey, text: &str| STANDARD.encode(key.sign(text.as_bytes()).to_bytes());
        let right = sign(&ours, &signed_text(&digest));
        let open = Trust::new([("ours", public.as_str())], false).unwrap();
        let strict = Trust::new([("ours", public.as_str())], true).unwrap();
        assert_eq!(strict.check(&digest, std::slice::from_ref(&right)).unwrap(), ["ours"]);
        assert_eq!(open.check(&digest, &[]).unwrap(), Vec::<String>::new());
        for (signatures, code) in [
            (vec![], "plugin.unsigned"),
            (vec![sign(&theirs, &signed_text(&digest))], "plugin.signature_wrong"),
            (vec![sign(&ours, &digest)], "plugin.signature_wrong"),
            (vec!["?".to_owned()], "plugin.signature_wrong"),
            (vec![right.clone(), "AAAA".to_owned()], "plugin.signature_wrong"),
        ] {
            assert_eq!(strict.check(&digest, &signatures).unwrap_err().code(), code);
        }
        assert!(strict.check(&"cd".repeat(32), &[right]).is_err(), "of another component");
        assert!(Trust::new([("ours", "AAAA")], false).is_err());
        assert!(Trust::new([], true).is_err());
    }
}
