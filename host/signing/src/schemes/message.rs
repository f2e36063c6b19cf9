//! HTTP Message Signatures (RFC 9421) of requests, with a digest of the body (RFC 9530).

use std::borrow::Cow;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hookwright_model::MessagePolicy;
use rand_core::{OsRng, RngCore as _};
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::error::SigningError;
use crate::keys::Key;
use crate::signed::{Signed, Unsigned, sign_with};

/// One signature for each key, each under a separate label: the policy's, then the same with `-2`, `-3`, ...
pub(crate) fn sign(
    policy: &MessagePolicy,
    keys: &[(String, Key)],
    unsigned: &Unsigned<'_>,
) -> Result<Signed, SigningError> {
    let digest = format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(unsigned.body)));
    let seconds = unsigned.time.seconds();
    let computed = [
        ("content-digest", digest.as_str()),
        ("content-length", &unsigned.body.len().to_string()),
        ("content-type", unsigned.content_type),
        ("webhook-id", unsigned.id),
        ("webhook-timestamp", &seconds.to_string()),
    ];
    let request = Request::new(unsigned.method, unsigned.url, &computed, unsigned)?;
    let lines = request.lines(&policy.components)?;
    let (mut input, mut signatures) = (String::new(), String::new());
    for (place, key) in keys.iter().enumerate() {
        let nonce = policy.nonce.then(nonce).transpose()?;
        let parameters = Parameters {
            created: seconds,
            expires: policy.expires_in_seconds.map(|more| seconds.saturating_add(i64::from(more))),
            keyid: &key.0,
            alg: Some(policy.algorithm.name()),
            nonce: nonce.as_deref(),
            tag: policy.tag.as_deref(),
        };
        let written = parameters.written(&policy.components);
        let base = base(&lines, &written);
        let signature = STANDARD.encode(sign_with(key, policy.algorithm.into(), &[base.as_bytes()])?);
        let (comma, label) = match place {
            0 => ("", Cow::Borrowed(policy.label.as_str())),
            _ => (", ", Cow::Owned(format!("{}-{}", policy.label, place + 1))),
        };
        let _ = write!(input, "{comma}{label}={written}");
        let _ = write!(signatures, "{comma}{label}=:{signature}:");
    }
    let headers = [("Content-Digest", digest.clone()), ("Signature-Input", input), ("Signature", signatures)];
    Ok(Signed::as_is(unsigned, headers.map(|(name, value)| (name.to_owned(), value)).into()))
}

fn nonce() -> Result<String, SigningError> {
    let mut random = [0_u8; 16];
    OsRng.try_fill_bytes(&mut random).map_err(|_| SigningError::Generation("no randomness"))?;
    Ok(URL_SAFE_NO_PAD.encode(random))
}

/// The request that components are taken from.
pub(super) struct Request<'a> {
    method: &'a str,
    url: Url,
    /// Computed header fields, by name in lower case; they take precedence over those of the message.
    computed: &'a [(&'a str, &'a str)],
    headers: &'a [hookwright_model::Header],
}

impl<'a> Request<'a> {
    pub(super) fn new(
        method: &'a str,
        url: &str,
        computed: &'a [(&'a str, &'a str)],
        unsigned: &'a Unsigned<'_>,
    ) -> Result<Self, SigningError> {
        let mut url = Url::parse(url).map_err(|error| SigningError::Url(error.to_string()))?;
        if !url.has_host() {
            return Err(SigningError::Url("it has no host".to_owned()));
        }
        // Neither is sent in a request.
        url.set_fragment(None);
        let _ = url.set_username("");
        let _ = url.set_password(None);
        Ok(Self { method, url, computed, headers: unsigned.headers })
    }

    /// The lines of the signature base except the last (RFC 9421 section 2.5).
    pub(super) fn lines(&self, components: &[String]) -> Result<String, SigningError> {
        let mut lines = String::new();
        for component in components {
            let value = self.value(component)?;
            if !value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
                return Err(SigningError::FieldValue(component.clone()));
            }
            let _ = writeln!(lines, "\"{component}\": {value}");
        }
        Ok(lines)
    }

    /// The value of a component (RFC 9421 sections 2.1 and 2.2).
    fn value(&self, component: &str) -> Result<Cow<'_, str>, SigningError> {
        let path = self.url.path();
        let query = self.url.query();
        Ok(match component {
            "@method" => self.method.into(),
            "@target-uri" => self.url.as_str().into(),
            "@authority" | "host" => self.authority().into(),
            "@scheme" => self.url.scheme().into(),
            "@request-target" => match query {
                Some(query) => format!("{path}?{query}").into(),
                None => path.into(),
            },
            "@path" => path.into(),
            "@query" => format!("?{}", query.unwrap_or_default()).into(),
            field => return self.field(field),
        })
    }

    /// The host in lower case, with the port unless it is the scheme's default.
    fn authority(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        match self.url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    fn field(&self, name: &str) -> Result<Cow<'_, str>, SigningError> {
        if let Some((_, value)) = self.computed.iter().find(|(known, _)| *known == name) {
            return Ok(value.trim().into());
        }
        let values: Vec<&str> = self
            .headers
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .collect();
        match values.as_slice() {
            [] => Err(SigningError::MissingField(name.to_owned())),
            [one] => Ok((*one).into()),
            several => Ok(several.join(", ").into()),
        }
    }
}

/// The parameters of a signature (RFC 9421 section 2.3).
pub(super) struct Parameters<'a> {
    pub(super) created: i64,
    pub(super) expires: Option<i64>,
    pub(super) keyid: &'a str,
    pub(super) alg: Option<&'a str>,
    pub(super) nonce: Option<&'a str>,
    pub(super) tag: Option<&'a str>,
}

impl Parameters<'_> {
    /// The covered components and the parameters, in the form of `Signature-Input`.
    pub(super) fn written(&self, components: &[String]) -> String {
        let names: Vec<String> = components.iter().map(|name| format!("\"{name}\"")).collect();
        let mut written = format!("({});created={}", names.join(" "), self.created);
        if let Some(expires) = self.expires {
            let _ = write!(written, ";expires={expires}");
        }
        for (name, value) in [("keyid", Some(self.keyid)), ("alg", self.alg), ("nonce", self.nonce), ("tag", self.tag)]
        {
            if let Some(value) = value {
                let _ = write!(written, ";{name}={}", quoted(value));
            }
        }
        written
    }
}

/// The signature base: the lines of the components and of the parameters.
pub(super) fn base(lines: &str, written: &str) -> String {
    format!("{lines}\"@signature-params\": {written}")
}

/// A string of a structured field (RFC 8941 section 4.1.6).
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
