//! The stand-in's side of each capability, with the signatures of the generated bindings.

#![allow(missing_docs, clippy::missing_errors_doc, clippy::must_use_candidate, clippy::ptr_arg)]

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
}

pub mod config {
    use crate::testing::with;

    pub fn get(key: &str) -> Option<String> {
        with(|host| host.config.get(key).cloned())
    }
}

pub mod crypto {
    use hmac::{Hmac, Mac};
    use sha1::Sha1;
    use sha2::{Digest, Sha256, Sha512};

    use crate::Failure;
    use crate::testing::with;

    fn unknown(algorithm: &str) -> Failure {
        Failure::permanent("algorithm.unknown", format!("`{algorithm}` is not sha1, sha256 or sha512"))
    }

    fn key(secret: &str) -> Result<Vec<u8>, Failure> {
        with(|host| host.secrets.get(secret).cloned())
            .ok_or_else(|| Failure::permanent("secret.unknown", format!("there is no secret `{secret}`")))
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
        Err(Failure::permanent("signature.wrong", "the code is not the one that the secret gives"))
    }
}

pub mod encoding {
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
}

pub mod tickets {
    use serde_json::Value;

    use crate::Failure;
    use crate::testing::{Note, with};

    fn unknown(id: &str) -> Failure {
        Failure::permanent("ticket.not_found", format!("there is no ticket {id}"))
    }

    pub fn get(id: &str) -> Result<Option<String>, Failure> {
        Ok(with(|host| host.tickets.get(id).map(Value::to_string)))
    }

    pub fn update(id: &str, changes: &str) -> Result<String, Failure> {
        let changes: Value = serde_json::from_str(changes).map_err(|error| Failure::json("the changes", &error))?;
        with(|host| {
            let ticket = host.tickets.get_mut(id).ok_or_else(|| unknown(id))?;
            if let (Some(ticket), Value::Object(changes)) = (ticket.as_object_mut(), changes) {
                ticket.extend(changes);
            }
            Ok(ticket.to_string())
        })
    }

    pub fn add_note(id: &str, text: &str, is_public: bool) -> Result<String, Failure> {
        with(|host| {
            if !host.tickets.contains_key(id) {
                return Err(unknown(id));
            }
            host.notes.push(Note { ticket: id.into(), text: text.into(), is_public });
            Ok(format!("note_{}", host.notes.len()))
        })
    }
}

pub mod events {
    use crate::Failure;
    use crate::testing::{Emitted, with};

    pub fn emit(event_type: &str, subject: Option<&str>, data: &str) -> Result<String, Failure> {
        let data = serde_json::from_str(data).map_err(|error| Failure::json("the event's data", &error))?;
        with(|host| {
            host.emitted.push(Emitted { event_type: event_type.into(), subject: subject.map(str::to_owned), data });
            Ok(format!("evt_emitted_{}", host.emitted.len()))
        })
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
