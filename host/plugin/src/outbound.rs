//! Requests of plugins, on their way out of the machine.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hookwright_model::{Failure, SpaceId};

use crate::exchange::Pairs;

/// How requests of plugins leave the machine. It says which addresses are allowed, and bounds what comes back.
#[async_trait]
pub trait Outbound: Send + Sync {
    /// Sends `request` for `space`. Any answer is a response, no answer a failure.
    async fn send(&self, space: &SpaceId, request: OutboundRequest) -> Result<OutboundResponse, Failure>;
}

/// A request that a plugin asks for. It may hold secrets: it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct OutboundRequest {
    /// The name of the plugin, for messages.
    pub plugin: String,
    /// Why it may leave.
    pub allowed: Allowed,
    /// The method, as the plugin wrote it.
    pub method: String,
    /// Where it goes, as the plugin wrote it.
    pub url: String,
    /// The header fields, `Idempotency-Key` among them if the call has one.
    pub headers: Pairs,
    /// The body.
    pub body: Bytes,
    /// How long the answer may take; none: as long as the host allows.
    pub timeout: Option<Duration>,
}

/// Why a request may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// The plugin was granted the host.
    ByGrant,
    /// It was not: the server's own settings decide. They let a plugin that comes with the server reach the networks
    /// that are open to its webhooks.
    ByServer {
        /// Whether it comes with the server.
        trusted: bool,
    },
}

/// An answer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboundResponse {
    /// The status.
    pub status: u16,
    /// The header fields.
    pub headers: Pairs,
    /// The body.
    pub body: Bytes,
}
