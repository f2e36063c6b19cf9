//! What the host offers, one module a capability. A component imports only the ones that it calls.
//!
//! Natively the same functions call the mock of [`testing`](crate::testing).

mod space;

pub use space::{events, kv, mail, records, secrets, tickets, workflows};

#[cfg(target_arch = "wasm32")]
use crate::bindings::imports::hookwright::plugin as platform;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::platform;

/// Log lines for operators. Their number and size are limited for each call.
pub mod log {
    use super::platform;

    /// Writes a line. `level` is trace, debug, info, warn or error; anything else counts as info.
    pub fn write(level: &str, message: &str, fields: &[(&str, &str)]) {
        let fields: crate::Pairs =
            fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        platform::log::write(level, message, &fields);
    }

    /// Debugging information for the plugin's developer.
    pub fn debug(message: &str, fields: &[(&str, &str)]) {
        write("debug", message, fields);
    }

    /// Information for operators.
    pub fn info(message: &str, fields: &[(&str, &str)]) {
        write("info", message, fields);
    }

    /// A warning for operators.
    pub fn warn(message: &str, fields: &[(&str, &str)]) {
        write("warn", message, fields);
    }

    /// An error.
    pub fn error(message: &str, fields: &[(&str, &str)]) {
        write("error", message, fields);
    }
}

/// The host's clock. It shows the same instant for the whole of one call.
pub mod clock {
    use super::platform;

    /// Whole milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn now_ms() -> f64 {
        platform::clock::now_ms()
    }

    /// The same instant as text (RFC 3339, UTC, milliseconds).
    #[must_use]
    pub fn now() -> String {
        platform::clock::now()
    }
}

/// Randomness fit for keys.
pub mod random {
    use super::platform;

    /// `count` random bytes, at most 65,536 of them a call.
    #[must_use]
    pub fn bytes(count: u32) -> Vec<u8> {
        platform::random::bytes(count)
    }

    /// A version 4 UUID (RFC 9562).
    #[must_use]
    pub fn uuid() -> String {
        platform::random::uuid()
    }

    /// 32 random bits.
    #[must_use]
    pub fn bits() -> u32 {
        platform::random::bits()
    }
}

/// Settings that the operator gave to this plugin.
pub mod config {
    use super::platform;

    /// The setting under `key`, if it was given.
    #[must_use]
    pub fn get(key: &str) -> Option<String> {
        platform::config::get(key)
    }
}

/// Hashes and keyed codes. Keys stay with the host: a plugin names a secret and never sees it.
pub mod crypto {
    use super::platform;
    use crate::Failure;

    /// The digest of `data`; `algorithm` is sha1, sha256 or sha512.
    ///
    /// # Errors
    /// The algorithm is none of these.
    pub fn digest(algorithm: &str, data: &[u8]) -> Result<Vec<u8>, Failure> {
        platform::crypto::digest(algorithm, data)
    }

    /// The HMAC (RFC 2104) of `data`, keyed by the named secret.
    ///
    /// # Errors
    /// The algorithm is unknown, or the operator has not given the secret.
    pub fn hmac(algorithm: &str, secret: &str, data: &[u8]) -> Result<Vec<u8>, Failure> {
        platform::crypto::hmac(algorithm, secret, data)
    }

    /// Whether `code` is the HMAC of `data`, compared in constant time.
    ///
    /// # Errors
    /// It is not (`signature.wrong`), the algorithm is unknown (`algorithm.unknown`), or the operator has not given the
    /// secret (`secret.unknown`).
    pub fn verify_hmac(algorithm: &str, secret: &str, data: &[u8], code: &[u8]) -> Result<(), Failure> {
        platform::crypto::verify_hmac(algorithm, secret, data, code)
    }

    /// Whether `token` is the named secret's text, compared in constant time: for providers that send a token and sign
    /// nothing.
    ///
    /// # Errors
    /// It is not (`signature.wrong`), or the operator has not given the secret (`secret.unknown`).
    pub fn verify_token(secret: &str, token: &str) -> Result<(), Failure> {
        platform::crypto::verify_token(secret, token)
    }

    /// Whether `signature` (64 bytes) is the one of `data` under `public_key` (32 bytes), by Ed25519 (RFC 8032).
    ///
    /// # Errors
    /// It is not (`signature.wrong`), or the key is none (`key.unusable`).
    pub fn verify_ed25519(public_key: &[u8], data: &[u8], signature: &[u8]) -> Result<(), Failure> {
        platform::crypto::verify_ed25519(public_key, data, signature)
    }

    /// Tells a wrong code or token, which the sender is to blame for, from a check that could not be made, which the
    /// operator has to mend.
    ///
    /// # Errors
    /// The check could not be made.
    pub fn checked(verified: Result<(), Failure>) -> Result<bool, Failure> {
        match verified {
            Ok(()) => Ok(true),
            Err(failure) if failure.code == "signature.wrong" => Ok(false),
            Err(failure) => Err(failure),
        }
    }
}

/// Base64, hexadecimal and UTF-8. Rust has them too; what the host does is not in the component.
pub mod encoding {
    use super::platform;
    use crate::Failure;

    /// Base64 with padding (RFC 4648, section 4).
    #[must_use]
    pub fn base64_encode(data: &[u8]) -> String {
        platform::encoding::base64_encode(data)
    }

    /// The bytes of a base64 text.
    ///
    /// # Errors
    /// The text is not base64.
    pub fn base64_decode(text: &str) -> Result<Vec<u8>, Failure> {
        platform::encoding::base64_decode(text)
    }

    /// Hexadecimal digits in lower case.
    #[must_use]
    pub fn hex_encode(data: &[u8]) -> String {
        platform::encoding::hex_encode(data)
    }

    /// The bytes of a hexadecimal text.
    ///
    /// # Errors
    /// The text is not hexadecimal.
    pub fn hex_decode(text: &str) -> Result<Vec<u8>, Failure> {
        platform::encoding::hex_decode(text)
    }

    /// The bytes of a body that was sent with this `Content-Encoding`.
    ///
    /// # Errors
    /// The coding is not gzip, deflate or br, or the bytes are not in it.
    pub fn content_decode(coding: &str, data: &[u8]) -> Result<Vec<u8>, Failure> {
        platform::encoding::content_decode(coding, data)
    }

    /// Decodes bytes in a charset of the Encoding standard, such as ISO-8859-1.
    ///
    /// # Errors
    /// There is no such charset, or the bytes are not text in it.
    pub fn text_decode(charset: &str, data: &[u8]) -> Result<String, Failure> {
        platform::encoding::text_decode(charset, data)
    }
}

/// HTTP requests to hosts that the operator allowed.
pub mod http {
    pub use crate::bindings::imports::hookwright::plugin::http::{Request, Response};

    use super::platform;
    use crate::{Failure, first};

    /// Sends a request at once: it is sent at least once, even if the step fails.
    ///
    /// Every status is a response, including 500. Redirects are not followed.
    ///
    /// # Errors
    /// There was no response, or the host was not granted.
    pub fn send(request: &Request) -> Result<Response, Failure> {
        platform::http::send(request)
    }

    impl Response {
        /// The first header of this name.
        #[must_use]
        pub fn header(&self, name: &str) -> Option<&str> {
            first(&self.headers, name)
        }
    }
}

fn read(what: &str, json: &str) -> Result<serde_json::Value, crate::Failure> {
    serde_json::from_str(json).map_err(|error| crate::Failure::json(what, &error))
}

fn write(what: &str, value: &impl serde::Serialize) -> Result<String, crate::Failure> {
    serde_json::to_string(value).map_err(|error| crate::Failure::json(what, &error))
}
