//! The mock of each capability, with the signatures of the generated bindings.

#![allow(missing_docs, clippy::missing_errors_doc, clippy::must_use_candidate, clippy::ptr_arg)]

mod space;

pub use space::{events, kv, mail, records, secrets, tickets, workflows};

pub mod log {
    use crate::Pairs;
    use crate::testing::with;

    pub fn write(level: &str, message: &str, fields: &Pairs) {
        let fields: String = fields.iter().map(|(name, value)| format!(" {name}={value}")).collect();
        with(|host| host.logged.push((level.into(), format!("{message}{fields}"))));
    }
}

pub mod clock {
    use crate::testing::with;

    pub fn now_ms() -> f64 {
        with(|host| host.now_ms)
    }

    pub fn now() -> String {
        with(|host| host.now.clone())
    }
}

pub mod random {
    use crate::testing::with;

    /// The same bytes in each run of a test: a counter, spread by the constant of SplitMix64.
    pub fn bytes(count: u32) -> Vec<u8> {
        with(|host| {
            (0..count)
                .map(|_| {
                    host.random = host.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
                    host.random.to_be_bytes()[0]
                })
                .collect()
        })
    }

    pub fn uuid() -> String {
        let hex = hex::encode(bytes(16));
        let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
        format!("{}-{}-4{}-8{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
    }

    pub fn bits() -> u32 {
        bytes(4).iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte))
    }
}

pub mod config {
    use crate::testing::with;

    pub fn get(key: &str) -> Option<String> {
        with(|host| host.config.get(key).cloned())
    }
}

pub mod crypto {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use ed25519_dalek::{Signature, VerifyingKey};
    use hmac::{Hmac, Mac};
    use sha1::Sha1;
    use sha2::{Digest, Sha256, Sha512};

    use crate::Failure;
    use crate::testing::with;

    fn unknown(algorithm: &str) -> Failure {
        Failure::permanent(
            "algorithm.unknown",
            format!("`{algorithm}` is not a supported algorithm: use sha1, sha256 or sha512"),
        )
    }

    fn secret(name: &str) -> Result<Vec<u8>, Failure> {
        with(|host| host.secrets.get(name).cloned())
            .ok_or_else(|| Failure::permanent("secret.unknown", format!("there is no secret `{name}`")))
    }

    /// The key of an HMAC: the secret's own bytes, or the decoded ones if the plugin's hints require it.
    fn key(name: &str) -> Result<Vec<u8>, Failure> {
        let secret = secret(name)?;
        let encoded = secret.strip_prefix(b"whsec_").filter(|_| with(|host| host.decodes_secrets));
        Ok(encoded.and_then(|encoded| STANDARD.decode(encoded).ok()).unwrap_or(secret))
    }

    fn code<M: Mac + hmac::digest::KeyInit>(key: &[u8], data: &[u8]) -> Result<Vec<u8>, Failure> {
        let mut mac = <M as Mac>::new_from_slice(key)
            .map_err(|error| Failure::permanent("secret.unusable", error.to_string()))?;
        mac.update(data);
        Ok(mac.finalize().into_bytes().to_vec())
    }

    pub fn digest(algorithm: &str, data: &[u8]) -> Result<Vec<u8>, Failure> {
        match algorithm {
            "sha1" => Ok(Sha1::digest(data).to_vec()),
            "sha256" => Ok(Sha256::digest(data).to_vec()),
            "sha512" => Ok(Sha512::digest(data).to_vec()),
            other => Err(unknown(other)),
        }
    }

    pub fn hmac(algorithm: &str, secret: &str, data: &[u8]) -> Result<Vec<u8>, Failure> {
        let key = key(secret)?;
        match algorithm {
            "sha1" => code::<Hmac<Sha1>>(&key, data),
            "sha256" => code::<Hmac<Sha256>>(&key, data),
            "sha512" => code::<Hmac<Sha512>>(&key, data),
            other => Err(unknown(other)),
        }
    }

    pub fn verify_hmac(algorithm: &str, secret: &str, data: &[u8], code: &[u8]) -> Result<(), Failure> {
        if hmac(algorithm, secret, data)? == code {
            return Ok(());
        }
        let message = format!("the code does not match the data and the secret `{secret}`");
        Err(Failure::permanent("signature.wrong", message))
    }

    pub fn verify_token(name: &str, token: &str) -> Result<(), Failure> {
        if secret(name)? == token.as_bytes() {
            return Ok(());
        }
        Err(Failure::permanent("signature.wrong", format!("the token does not match the secret `{name}`")))
    }

    pub fn verify_ed25519(public_key: &[u8], data: &[u8], signature: &[u8]) -> Result<(), Failure> {
        let unusable = |message: String| Failure::permanent("key.unusable", message);
        let length = public_key.len();
        let key = <[u8; 32]>::try_from(public_key)
            .map_err(|_| unusable(format!("an ed25519 key has 32 bytes, this one {length}")))?;
        let key = VerifyingKey::from_bytes(&key)
            .map_err(|_| unusable("these 32 bytes are not a valid ed25519 key".to_owned()))?;
        let wrong = || Failure::permanent("signature.wrong", "the signature does not match the data and the key");
        let signature = Signature::from_slice(signature).map_err(|_| wrong())?;
        key.verify_strict(data, &signature).map_err(|_| wrong())
    }
}

pub mod encoding {
    use std::io::Read;

    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use crate::Failure;

    pub fn base64_encode(data: &[u8]) -> String {
        STANDARD.encode(data)
    }

    pub fn base64_decode(text: &str) -> Result<Vec<u8>, Failure> {
        STANDARD.decode(text).map_err(|error| Failure::permanent("encoding.invalid", error.to_string()))
    }

    pub fn hex_encode(data: &[u8]) -> String {
        hex::encode(data)
    }

    pub fn hex_decode(text: &str) -> Result<Vec<u8>, Failure> {
        hex::decode(text).map_err(|error| Failure::permanent("encoding.invalid", error.to_string()))
    }

    pub fn text_decode(charset: &str, data: &[u8]) -> Result<String, Failure> {
        let invalid = |said: String| Failure::permanent("encoding.invalid", said);
        let known = encoding_rs::Encoding::for_label(charset.as_bytes())
            .ok_or_else(|| invalid(format!("`{charset}` is not a known charset")))?;
        let text = known.decode_without_bom_handling_and_without_replacement(data);
        text.map(Into::into).ok_or_else(|| invalid(format!("this is not {charset}")))
    }

    /// Of the codings only gzip, which is enough to try a source with.
    pub fn content_decode(coding: &str, data: &[u8]) -> Result<Vec<u8>, Failure> {
        let invalid = |said: String| Failure::permanent("encoding.invalid", said);
        if coding != "gzip" {
            return Err(invalid(format!("the tests' stand-in for the host does not decode `{coding}`, only gzip")));
        }
        let mut decoded = Vec::new();
        flate2::read::MultiGzDecoder::new(data)
            .read_to_end(&mut decoded)
            .map_err(|error| invalid(format!("the body is not valid gzip: {error}")))?;
        Ok(decoded)
    }
}

pub mod http {
    use crate::Failure;
    use crate::http::{Request, Response};
    use crate::testing::with;

    pub fn send(request: &Request) -> Result<Response, Failure> {
        with(|host| {
            host.sent.push(request.clone());
            (host.respond)(request)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::crypto;
    use crate::testing::Host;

    /// A plugin's test may quote a message, and a plugin passes it on.
    #[test]
    fn a_mismatch_is_refused_with_the_hosts_message() {
        Host::default().with_secret("token", b"s3cret").install();
        let no_point = [[2_u8].as_slice(), &[0; 31]].concat();
        for (refused, code, message) in [
            (
                crypto::verify_hmac("sha256", "token", b"data", b"x"),
                "signature.wrong",
                "the code does not match the data and the secret `token`",
            ),
            (
                crypto::verify_hmac("md5", "token", b"data", b"x"),
                "algorithm.unknown",
                "`md5` is not a supported algorithm: use sha1, sha256 or sha512",
            ),
            (crypto::verify_token("token", "x"), "signature.wrong", "the token does not match the secret `token`"),
            (crypto::verify_ed25519(&[1, 2], b"data", &[]), "key.unusable", "an ed25519 key has 32 bytes, this one 2"),
            (
                crypto::verify_ed25519(&no_point, b"data", &[]),
                "key.unusable",
                "these 32 bytes are not a valid ed25519 key",
            ),
            (
                crypto::verify_ed25519(&[1; 32], b"data", &[]),
                "signature.wrong",
                "the signature does not match the data and the key",
            ),
        ] {
            let failure = refused.unwrap_err();
            assert_eq!((failure.code.as_str(), failure.message.as_str()), (code, message));
        }
    }
}
