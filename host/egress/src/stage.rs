//! The stages of an exchange, and how long each took.

use serde::Serialize;

/// The stage that an exchange is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// The URL and the settings are checked; nothing was sent.
    #[default]
    Check,
    /// Resolution of the name.
    #[serde(rename = "dns")]
    Resolve,
    /// The TCP connection.
    Connect,
    /// The proxy's response to CONNECT.
    Proxy,
    /// The TLS handshake.
    Tls,
    /// The head of the response.
    Headers,
    /// The end of its body.
    Body,
}

impl Stage {
    /// The name that programs read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Resolve => "dns",
            Self::Connect => "connect",
            Self::Proxy => "proxy",
            Self::Tls => "tls",
            Self::Headers => "headers",
            Self::Body => "body",
        }
    }

    /// What timed out, for people.
    pub(crate) fn awaited(self) -> &'static str {
        match self {
            Self::Check | Self::Connect => "no connection",
            Self::Resolve => "no address",
            Self::Proxy => "no connection through the proxy",
            Self::Tls => "TLS handshake not complete",
            Self::Headers => "no response",
            Self::Body => "response not complete",
        }
    }
}

/// The duration of each part, in microseconds. It is `None` for a part that was not reached, or not needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Timing {
    /// Resolving the name; `None` for an address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<u64>,
    /// Connecting, with the proxy's part if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect: Option<u64>,
    /// The TLS handshake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<u64>,
    /// From an established connection to the head of the response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte: Option<u64>,
    /// From the start to the last byte that was read, or to the failure.
    pub total: u64,
    /// Whether the connection had been opened before, so that `dns`, `connect` and `tls` are `None`.
    pub reused: bool,
}
