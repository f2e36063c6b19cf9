//! The source's parameters.

use hookwright_sdk::inbound::{Encoding, Mapping, TimeFormat};
use serde::Deserialize;

/// The name of the secret.
pub(crate) const SECRET: &str = "signing-secret";

/// The parameters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    pub(crate) header: String,
    #[serde(default)]
    pub(crate) algorithm: Algorithm,
    #[serde(default)]
    pub(crate) encoding: Encoding,
    #[serde(default)]
    pub(crate) prefix: String,
    #[serde(default = "body")]
    pub(crate) signed: String,
    #[serde(default)]
    pub(crate) timestamp_header: Option<String>,
    #[serde(default)]
    pub(crate) timestamp_prefix: String,
    #[serde(default)]
    pub(crate) timestamp_format: TimeFormat,
    #[serde(default)]
    pub(crate) signed_body: SignedBody,
    #[serde(default = "five_minutes")]
    pub(crate) tolerance_seconds: u32,
    #[serde(default)]
    pub(crate) event: Mapping,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Algorithm {
    #[default]
    Sha256,
    Sha512,
    Sha1,
}

/// Which bytes of a compressed body the provider signs.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SignedBody {
    /// Those that it sends.
    #[default]
    AsSent,
    /// Those that it compressed.
    Decoded,
}

impl Algorithm {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
            Self::Sha1 => "sha1",
        }
    }
}

fn body() -> String {
    "{body}".into()
}

fn five_minutes() -> u32 {
    300
}
