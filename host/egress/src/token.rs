//! Tokens (OAuth 2.0 client credentials), what they are fetched with, and the newest of each source.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use http::HeaderValue;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use crate::{Failed, Hidden, Transport, TransportSettings};

/// How the client authenticates (RFC 6749, section 2.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// In the Authorization field.
    #[default]
    Basic,
    /// As `client_id` and `client_secret` in the body.
    Body,
}

/// Settings of a token source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenSettings {
    /// The token endpoint.
    pub token_url: String,
    /// The client's id.
    pub client_id: String,
    /// The client's secret.
    pub client_secret: Hidden,
    /// The scopes, separated by spaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The audience: not part of the RFC, but some endpoints require it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// How the client authenticates.
    #[serde(default)]
    pub auth: ClientAuth,
    /// The transport to the endpoint; `None`: the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<TransportSettings>,
}

/// A bearer token (RFC 6750). Only [`Token::header`] reveals its text.
#[derive(Clone)]
pub struct Token {
    pub(crate) header: HeaderValue,
    /// The time from which it is not used.
    pub(crate) until: Instant,
}

impl Token {
    /// The value of the Authorization field. It is marked as sensitive.
    pub fn header(&self) -> &HeaderValue {
        &self.header
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

/// Fetches tokens with one setting and caches the newest.
pub struct TokenSource {
    pub(crate) settings: TokenSettings,
    pub(crate) url: Url,
    pub(crate) transport: Option<Transport>,
    pub(crate) cached: ArcSwapOption<Token>,
    /// Locked while a token is fetched. Holds the failure of the last fetch, if it failed.
    pub(crate) fetching: Mutex<Option<(Instant, Failed)>>,
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSource").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl TokenSource {
    /// Drops a token that a receiver refused with 401, so that a new one is fetched. A newer token stays cached.
    pub fn invalidate(&self, token: &Arc<Token>) {
        let cached = self.cached.load();
        if cached.as_ref().is_some_and(|cached| Arc::ptr_eq(cached, token)) {
            self.cached.compare_and_swap(&*cached, None);
        }
    }

    pub(crate) fn good(&self) -> Option<Arc<Token>> {
        self.cached.load_full().filter(|token| Instant::now() < token.until)
    }
}
