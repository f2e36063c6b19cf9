//! Outbound requests of plugins.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hookwright_model::{Failure, SpaceId};

use crate::exchange::Pairs;

/// Sends requests of plugins. It decides which addresses are allowed, and limits responses.
#[async_trait]
pub trait Outbound: Send + Sync {
    /// Sends `request` for `space`. Every status is a response; no response is a failure.
    async fn send(&self, space: &SpaceId, request: OutboundRequest) -> Result<OutboundResponse, Failure>;
}

/// A request of a plugin. It may contain secrets: it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct OutboundRequest {
    /// The name of the plugin, for messages.
    pub plugin: String,
    /// Why it is permitted.
    pub allowed: Allowed,
    /// The method, as the plugin wrote it.
    pub method: String,
    /// The URL, as the plugin wrote it.
    pub url: String,
    /// The header fields, `Idempotency-Key` among them if the call has one.
    pub headers: Pairs,
    /// The body.
    pub body: Bytes,
    /// The timeout. `None`: the host's maximum.
    pub timeout: Option<Duration>,
}

/// Why a request is permitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// The plugin was granted the host.
    ByGrant,
    /// The plugin was not granted the host: the server's own settings decide. They permit first-party plugins the
    /// networks that are open to its webhooks.
    ByServer {
        /// Whether it is built in.
        trusted: bool,
    },
}

/// The response to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboundResponse {
    /// The status.
    pub status: u16,
    /// The header fields.
    pub headers: Pairs,
    /// The body.
    pub body: Bytes,
}
