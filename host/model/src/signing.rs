//! Signing policies of outgoing messages, without the keys.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::Mistakes;
use crate::whole::{whole, whole_or_null};

/// A signing policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum SigningPolicy {
    /// Nothing is signed.
    None {},
    /// HMAC-SHA256 with a shared secret, `v1` of Standard Webhooks 1.0.
    Standard {},
    /// Ed25519, `v1a` of Standard Webhooks 1.0.
    StandardAsymmetric {},
    /// The message is sent inside a JSON Web Token (RFC 7519), as with Xurrent's webhook policies.
    Jwt(JwtPolicy),
    /// The message is sent inside the envelope of Amazon SNS.
    Sns(SnsPolicy),
    /// HTTP Message Signatures (RFC 9421) with a digest of the body (RFC 9530).
    HttpMessageSignatures(MessagePolicy),
    /// As GitHub signs its webhooks.
    Github(GithubPolicy),
    /// As Stripe signs its webhooks.
    Stripe {},
    /// An HMAC in a header field of the owner's choice.
    Hmac(HmacPolicy),
}

// serde would read an internally tagged enum from a list too, member by member. A policy is an object.
impl<'de> Deserialize<'de> for SigningPolicy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members = Map::<String, Value>::deserialize(deserializer)?;
        Self::deserialize(Value::Object(members)).map_err(serde::de::Error::custom)
    }
}

impl Serialize for SigningPolicy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl Default for SigningPolicy {
    fn default() -> Self {
        Self::Standard {}
    }
}

/// Settings of JSON Web Tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwtPolicy {
    /// The algorithm (RFC 7518 section 3.1, RFC 8037).
    pub algorithm: JwtAlgorithm,
    /// The claim `aud`: the audience.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// The lifetime of a token, in seconds: 1 to 86400.
    #[serde(default = "default_expiry", deserialize_with = "whole::<_, 1, MOST_SECONDS>")]
    pub expires_in_seconds: u32,
    /// The claim `iss`: the issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
}

fn default_expiry() -> u32 {
    60
}

/// An algorithm of JSON Web Signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JwtAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// ECDSA on P-521 with SHA-512.
    ES512,
    /// HMAC with SHA-256.
    HS256,
    /// HMAC with SHA-384.
    HS384,
    /// HMAC with SHA-512.
    HS512,
    /// Ed25519 (RFC 8037).
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl JwtAlgorithm {
    /// Its name in the header of a token.
    pub fn name(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::ES512 => "ES512",
            Self::HS256 => "HS256",
            Self::HS384 => "HS384",
            Self::HS512 => "HS512",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// Settings of notifications of Amazon SNS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnsPolicy {
    /// The version of the signature.
    #[serde(default)]
    pub signature_version: SnsVersion,
    /// The topic in the messages. `None`: one that is derived from the space and the webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic_arn: Option<String>,
}

/// A version of the signature of Amazon SNS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SnsVersion {
    /// RSA with SHA-1: the default of Amazon SNS, which every validator accepts.
    #[default]
    #[serde(rename = "1")]
    V1,
    /// RSA with SHA-256.
    #[serde(rename = "2")]
    V2,
}

/// Settings of HTTP Message Signatures (RFC 9421).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessagePolicy {
    /// The algorithm.
    pub algorithm: MessageAlgorithm,
    /// The components covered, in this order: derived ones (`@method`) and names of header fields in lower case.
    #[serde(default = "default_components")]
    pub components: Vec<String>,
    /// The label of the signature.
    #[serde(default = "default_label")]
    pub label: String,
    /// The lifetime of a signature, in seconds: 1 to 86400. `None`: it does not expire.
    #[serde(
        default,
        deserialize_with = "whole_or_null::<_, 1, MOST_SECONDS>",
        skip_serializing_if = "Option::is_none"
    )]
    pub expires_in_seconds: Option<u32>,
    /// The parameter `tag`: the purpose of the signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Whether each signature contains a nonce.
    #[serde(default)]
    pub nonce: bool,
}

fn default_components() -> Vec<String> {
    ["@method", "@target-uri", "content-digest", "content-type", "webhook-id"].map(str::to_owned).into()
}

fn default_label() -> String {
    "sig1".to_owned()
}

/// An algorithm of HTTP Message Signatures (RFC 9421 section 3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MessageAlgorithm {
    /// EdDSA on curve edwards25519.
    #[serde(rename = "ed25519")]
    Ed25519,
    /// HMAC with SHA-256.
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ecdsa-p256-sha256")]
    EcdsaP256Sha256,
    /// ECDSA on P-384 with SHA-384.
    #[serde(rename = "ecdsa-p384-sha384")]
    EcdsaP384Sha384,
    /// RSASSA-PSS with SHA-512.
    #[serde(rename = "rsa-pss-sha512")]
    RsaPssSha512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "rsa-v1_5-sha256")]
    RsaV15Sha256,
}

impl MessageAlgorithm {
    /// Its name in the parameter `alg`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::HmacSha256 => "hmac-sha256",
            Self::EcdsaP256Sha256 => "ecdsa-p256-sha256",
            Self::EcdsaP384Sha384 => "ecdsa-p384-sha384",
            Self::RsaPssSha512 => "rsa-pss-sha512",
            Self::RsaV15Sha256 => "rsa-v1_5-sha256",
        }
    }
}

/// Settings of signatures as GitHub makes them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GithubPolicy {
    /// Whether `X-Hub-Signature`, HMAC-SHA1, is sent too, for old receivers.
    #[serde(default)]
    pub sha1: bool,
}

/// An HMAC in a header field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HmacPolicy {
    /// The header field.
    pub header: String,
    /// The hash.
    pub algorithm: HmacAlgorithm,
    /// The encoding of the code.
    pub encoding: HmacEncoding,
    /// The prefix of the code, such as `sha256=`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// The header field of the Unix time in seconds. If it is set, `{timestamp}.{body}` is signed, otherwise the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp_header: Option<String>,
}

/// The hash of an HMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HmacAlgorithm {
    /// SHA-1, for old receivers.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl HmacAlgorithm {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }
}

/// The text encoding of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HmacEncoding {
    /// Two digits a byte, in lower case.
    Hex,
    /// RFC 4648 section 4, padded.
    Base64,
}

/// The range of the lifetime of a token or a signature, in seconds.
const MOST_SECONDS: u32 = 86_400;
/// Maximum number of components that a signature covers.
const MOST_COMPONENTS: usize = 16;
/// Components that are derived from a request (RFC 9421 section 2.2) and need no parameters.
const DERIVED: [&str; 7] = ["@method", "@target-uri", "@authority", "@scheme", "@request-target", "@path", "@query"];
/// Header fields that the sender sets itself, or that belong to the connection.
const RESERVED: [&str; 17] = [
    "connection",
    "content-digest",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "hookwright-hops",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "webhook-id",
    "webhook-timestamp",
];

impl SigningPolicy {
    /// Its name, the value of `kind`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::None {} => "none",
            Self::Standard {} => "standard",
            Self::StandardAsymmetric {} => "standard-asymmetric",
            Self::Jwt(_) => "jwt",
            Self::Sns(_) => "sns",
            Self::HttpMessageSignatures(_) => "http-message-signatures",
            Self::Github(_) => "github",
            Self::Stripe {} => "stripe",
            Self::Hmac(_) => "hmac",
        }
    }

    /// Names of the header fields that it sets in every message, which nothing else may set. `jwt` and `sns` replace
    /// the body, so they set its media type as well.
    pub fn header_fields(&self) -> Vec<&str> {
        let mut fields = vec!["webhook-id", "webhook-timestamp"];
        match self {
            Self::None {} => {}
            Self::Standard {} | Self::StandardAsymmetric {} => fields.push("webhook-signature"),
            Self::Jwt(_) => fields.push("content-type"),
            Self::Sns(_) => {
                fields.extend(["content-type", "x-amz-sns-message-type", "x-amz-sns-message-id", "x-amz-sns-topic-arn"])
            }
            Self::HttpMessageSignatures(_) => fields.extend(["content-digest", "signature-input", "signature"]),
            Self::Github(policy) => {
                fields.extend(["x-github-event", "x-github-delivery", "x-hub-signature-256"]);
                fields.extend(policy.sha1.then_some("x-hub-signature"));
            }
            Self::Stripe {} => fields.push("stripe-signature"),
            Self::Hmac(policy) => {
                fields.push(policy.header.as_str());
                fields.extend(policy.timestamp_header.as_deref());
            }
        }
        fields
    }

    /// Validates every field. Errors have the path of the field.
    pub fn check(&self) -> Result<(), Mistakes> {
        let mut mistakes = Mistakes::default();
        match self {
            Self::None {} | Self::Standard {} | Self::StandardAsymmetric {} | Self::Stripe {} | Self::Github(_) => {}
            Self::Jwt(policy) => policy.check(&mut mistakes),
            Self::Sns(policy) => policy.check(&mut mistakes),
            Self::HttpMessageSignatures(policy) => policy.check(&mut mistakes),
            Self::Hmac(policy) => policy.check(&mut mistakes),
        }
        mistakes.check()
    }
}

impl JwtPolicy {
    fn check(&self, mistakes: &mut Mistakes) {
        check_text("audience", self.audience.as_deref(), mistakes);
        check_text("issuer", self.issuer.as_deref(), mistakes);
        check_expiry(Some(self.expires_in_seconds), mistakes);
    }
}

impl SnsPolicy {
    fn check(&self, mistakes: &mut Mistakes) {
        let Some(arn) = &self.topic_arn else { return };
        let parts = arn.split(':').count();
        if !arn.starts_with("arn:") || parts != 6 || arn.len() > 256 || !arn.bytes().all(|byte| byte.is_ascii_graphic())
        {
            let shown = crate::abridged(arn);
            mistakes.add(
                "topic_arn",
                format!(
                    "`{shown}` is not a topic ARN: write arn:PARTITION:sns:REGION:ACCOUNT:NAME, at most 256 characters"
                ),
            );
        }
    }
}

impl MessagePolicy {
    fn check(&self, mistakes: &mut Mistakes) {
        if self.components.len() > MOST_COMPONENTS {
            mistakes.add("components", format!("{} components: at most {MOST_COMPONENTS}", self.components.len()));
        }
        for (place, component) in self.components.iter().enumerate().take(MOST_COMPONENTS) {
            let path = format!("components[{place}]");
            let shown = crate::abridged(component);
            if component.starts_with('@') && !DERIVED.contains(&component.as_str()) {
                mistakes.add(path, format!("`{shown}` is not one of {}", DERIVED.join(", ")));
            } else if !(component.starts_with('@') || is_field(component) && is_lower(component)) {
                mistakes.add(path, format!("`{shown}` is not a valid header field: write its name in lower case"));
            } else if ["signature", "signature-input"].contains(&component.as_str()) {
                mistakes.add(path, format!("`{shown}` carries the signature and cannot be covered: leave it out"));
            } else if self.components.iter().take(place).any(|other| other == component) {
                mistakes.add(path, format!("`{shown}` is named twice: name it once"));
            }
        }
        if !self.components.iter().any(|component| component == "content-digest") {
            mistakes.add("components", "does not have `content-digest`: without it the body is not signed, add it");
        }
        if !is_label(&self.label) {
            let shown = crate::abridged(&self.label);
            mistakes
                .add("label", format!("`{shown}` is not a valid label: a-z first, then a-z 0-9 _ - . *, at most 64"));
        }
        check_text("tag", self.tag.as_deref(), mistakes);
        check_expiry(self.expires_in_seconds, mistakes);
    }
}

impl HmacPolicy {
    fn check(&self, mistakes: &mut Mistakes) {
        for (path, header) in [("header", Some(&self.header)), ("timestamp_header", self.timestamp_header.as_ref())] {
            let Some(header) = header else { continue };
            let shown = crate::abridged(header);
            if !is_field(header) {
                mistakes.add(
                    path,
                    format!("`{shown}` is not a valid header field: give letters, digits and -, at most 64"),
                );
            } else if RESERVED.contains(&header.to_ascii_lowercase().as_str()) {
                mistakes.add(path, format!("`{shown}` is set by the server: choose another, such as X-Signature"));
            }
        }
        if self.timestamp_header.as_ref().is_some_and(|header| header.eq_ignore_ascii_case(&self.header)) {
            mistakes.add("timestamp_header", "is the same as `header`: choose another");
        }
        check_text("prefix", self.prefix.as_deref(), mistakes);
    }
}

/// A string for a header or a claim: 1 to 256 characters of printable ASCII.
fn check_text(path: &str, text: Option<&str>, mistakes: &mut Mistakes) {
    let Some(text) = text else { return };
    if !(1..=256).contains(&text.len()) || !text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        let shown: String = text.chars().filter(|c| !c.is_control()).take(80).collect();
        mistakes.add(path, format!("`{shown}`: write 1 to 256 characters of printable ASCII, or leave it out"));
    }
}

fn check_expiry(seconds: Option<u32>, mistakes: &mut Mistakes) {
    if let Some(seconds) = seconds.filter(|seconds| !(1..=MOST_SECONDS).contains(seconds)) {
        mistakes.add("expires_in_seconds", format!("{seconds} s: give 1 to {MOST_SECONDS}"));
    }
}

/// Whether a string can name a header field: a token (RFC 9110 section 5.6.2) of letters, digits, `-` and `_`.
fn is_field(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

fn is_lower(text: &str) -> bool {
    !text.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// Whether a string is a key of a structured field (RFC 8941 section 3.1.2).
fn is_label(text: &str) -> bool {
    let rest = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.*".contains(&byte);
    text.len() <= 64 && text.bytes().next().is_some_and(|first| first.is_ascii_lowercase()) && text.bytes().all(rest)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(value: Value) -> SigningPolicy {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn every_policy_reads_back_as_it_was_written() {
        for policy in [
            json!({"kind": "none"}),
            json!({"kind": "standard"}),
            json!({"kind": "standard-asymmetric"}),
            json!({"kind": "jwt", "algorithm": "EdDSA", "audience": "a", "expires_in_seconds": 60, "issuer": "i"}),
            json!({"kind": "sns", "signature_version": "1", "topic_arn": "arn:aws:sns:eu-west-1:1:t"}),
            json!({"kind": "http-message-signatures", "algorithm": "rsa-v1_5-sha256", "components": ["content-digest"],
                   "label": "sig1", "expires_in_seconds": 5, "tag": "t", "nonce": true}),
            json!({"kind": "github", "sha1": true}),
            json!({"kind": "stripe"}),
            json!({"kind": "hmac", "header": "X-S", "algorithm": "sha512", "encoding": "base64", "prefix": "p=",
                   "timestamp_header": "X-T"}),
        ] {
            let read = read(policy.clone());
            assert_eq!(read.check(), Ok(()), "{policy}");
            assert_eq!(policy["kind"], read.kind());
            assert_eq!(serde_json::to_value(read).unwrap(), policy);
        }
        assert_eq!(SigningPolicy::default(), read(json!({"kind": "standard"})));
    }

    #[test]
    fn absent_fields_have_defaults() {
        let SigningPolicy::Jwt(jwt) = read(json!({"kind": "jwt", "algorithm": "RS256"})) else { panic!("no jwt") };
        assert_eq!((jwt.expires_in_seconds, jwt.audience, jwt.issuer), (60, None, None));
        let SigningPolicy::Sns(sns) = read(json!({"kind": "sns"})) else { panic!("no sns") };
        assert_eq!(sns.signature_version, SnsVersion::V1);
        let policy = read(json!({"kind": "http-message-signatures", "algorithm": "ed25519"}));
        assert_eq!(policy.check(), Ok(()));
        let SigningPolicy::HttpMessageSignatures(message) = policy else { panic!("no message signatures") };
        assert_eq!(message.components, ["@method", "@target-uri", "content-digest", "content-type", "webhook-id"]);
        assert_eq!((message.label.as_str(), message.nonce), ("sig1", false));
    }

    #[test]
    fn a_field_that_is_not_known_is_refused() {
        for policy in [
            json!({"kind": "standard", "secret": "whsec_"}),
            json!({"kind": "stripe", "tolerance": 1}),
            json!({"kind": "github", "sha256": true}),
            json!({"kind": "jwt", "algorithm": "RS256", "expires": 1}),
            json!({"kind": "jwt", "algorithm": "none"}),
            json!({"kind": "jwt"}),
            json!({"kind": "sns", "signature_version": 2}),
            json!({"kind": "morse"}),
            json!({}),
            json!(["stripe"]),
            json!(["github", true]),
        ] {
            assert!(serde_json::from_value::<SigningPolicy>(policy.clone()).is_err(), "{policy}");
        }
    }

    #[test]
    fn an_invalid_policy_is_refused_with_the_path_of_the_error() {
        let message = |more: Value| {
            let mut policy = json!({"kind": "http-message-signatures", "algorithm": "ed25519"});
            policy.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            policy
        };
        let hmac = |header: &str, time: Option<&str>| json!({"kind": "hmac", "header": header, "algorithm": "sha256", "encoding": "hex", "timestamp_header": time});
        for (policy, path) in [
            (json!({"kind": "jwt", "algorithm": "RS256", "expires_in_seconds": 0}), "expires_in_seconds"),
            (json!({"kind": "jwt", "algorithm": "RS256", "expires_in_seconds": 86_401}), "expires_in_seconds"),
            (json!({"kind": "jwt", "algorithm": "RS256", "audience": ""}), "audience"),
            (json!({"kind": "jwt", "algorithm": "RS256", "issuer": "a\nb"}), "issuer"),
            (json!({"kind": "sns", "topic_arn": "topic"}), "topic_arn"),
            (message(json!({"components": ["@status", "content-digest"]})), "components[0]"),
            (message(json!({"components": ["content-digest", "Date"]})), "components[1]"),
            (message(json!({"components": ["content-digest", "content-digest"]})), "components[1]"),
            (message(json!({"components": ["content-digest", "signature"]})), "components[1]"),
            (message(json!({"components": ["@method"]})), "components"),
            (message(json!({"label": "Sig"})), "label"),
            (message(json!({"tag": "ä"})), "tag"),
            (message(json!({"expires_in_seconds": 0})), "expires_in_seconds"),
            (hmac("X Signature", None), "header"),
            (hmac("Content-Type", None), "header"),
            (hmac("X-A", Some("webhook-id")), "timestamp_header"),
            (hmac("X-A", Some("x-a")), "timestamp_header"),
        ] {
            let mistakes = read(policy.clone()).check().unwrap_err();
            assert_eq!(mistakes.0.first().unwrap().path, path, "{policy}: {mistakes}");
        }
    }
}
