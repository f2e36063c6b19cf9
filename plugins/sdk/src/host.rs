//! What the host offers, one module a capability. A component imports only the ones that it calls.
//!
//! Natively the same functions talk to the stand-in of [`testing`](crate::testing).

#[cfg(target_arch = "wasm32")]
use crate::bindings::imports::hookwright::plugin as platform;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::platform;

/// Lines for whoever operates the server. Their number and size are bounded for each call of a plugin.
pub mod log {
    use super::platform;

    /// Writes a line. `level` is trace, debug, info, warn or error; anything else counts as info.
    pub fn write(level: &str, message: &str, fields: &[(&str, &str)]) {
        let fields: crate::Pairs =
            fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        platform::log::write(level, message, &fields);
    }

    /// What a developer of the plugin wants to know.
    pub fn debug(message: &str, fields: &[(&str, &str)]) {
        write("debug", message, fields);
    }

    /// What an operator may want to know.
    pub fn info(message: &str, fields: &[(&str, &str)]) {
        write("info", message, fields);
    }

    /// What an operator should look at.
    pub fn warn(message: &str, fields: &[(&str, &str)]) {
        write("warn", message, fields);
    }

    /// What went wrong.
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
}

/// Tickets of the event's own space. Changes are buffered and commit with the step.
pub mod tickets {
    use serde::Serialize;
    use serde_json::Value;

    use super::platform;
    use crate::Failure;

    /// The ticket as this call would leave it, if there is one.
    ///
    /// # Errors
    /// What the host says.
    pub fn get(id: impl AsRef<str>) -> Result<Option<Value>, Failure> {
        platform::tickets::get(id.as_ref())?.map(|json| super::read("a ticket", &json)).transpose()
    }

    /// Changes the named fields and answers the ticket as it will be.
    ///
    /// # Errors
    /// There is no such ticket (`ticket.not_found`), or the host refuses a field or its value.
    pub fn update(id: impl AsRef<str>, changes: &impl Serialize) -> Result<Value, Failure> {
        super::read("a ticket", &update_json(id, changes)?)
    }

    /// The same, with the ticket as the JSON text that the host gave.
    ///
    /// # Errors
    /// As for [`update`].
    pub fn update_json(id: impl AsRef<str>, changes: &impl Serialize) -> Result<String, Failure> {
        platform::tickets::update(id.as_ref(), &super::write("the changes to a ticket", changes)?)
    }

    /// Adds a note and answers its id.
    ///
    /// # Errors
    /// There is no such ticket (`ticket.not_found`), or the host refuses the text.
    pub fn add_note(id: impl AsRef<str>, text: &str, is_public: bool) -> Result<String, Failure> {
        platform::tickets::add_note(id.as_ref(), text, is_public)
    }
}

/// New events, accepted when the step commits.
pub mod events {
    use serde::Serialize;

    use super::platform;
    use crate::Failure;

    /// Emits an event and answers its id.
    ///
    /// # Errors
    /// The host refuses the type or the data.
    pub fn emit(event_type: &str, subject: Option<&str>, data: &impl Serialize) -> Result<String, Failure> {
        platform::events::emit(event_type, subject, &super::write("the data of an event", data)?)
    }
}

/// HTTP requests to hosts that the operator allowed.
pub mod http {
    pub use crate::bindings::imports::hookwright::plugin::http::{Request, Response};

    use super::platform;
    use crate::{Failure, first};

    /// Sends a request at once: it leaves the machine at least once, whatever becomes of the step.
    ///
    /// Any answer is a response, also 500. Redirects are not followed.
    ///
    /// # Errors
    /// There was no answer, or the operator has not allowed the host.
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
