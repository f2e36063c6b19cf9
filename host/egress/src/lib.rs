//! Outbound requests: one client, which connects only to addresses that the operator allows.
//!
//! The address that is checked is the one that is connected to, so that a name cannot resolve to another address in
//! between (DNS rebinding). Redirects are not followed: 3xx is a response like any other. A response is limited in
//! time, bytes and header fields; beyond a limit the caller gets an error, or a body that is marked as truncated.
//!
//! [`Egress::send`] is the single entry point. Plain requests share one pool of connections; a destination with its own
//! certificates, proxy or version of HTTP has a [`Transport`] with a separate pool. [`TokenSource`] fetches OAuth 2.0
//! tokens through the same client.

mod client;
mod connect;
mod decode;
mod error;
mod policy;
mod proxy;
mod resolve;
mod stage;
mod stream;
mod timing;
mod token;
mod token_fetch;
mod transport;

pub use client::{Answer, Egress, Outgoing};
pub use error::{EgressError, Failed, TlsProblem, TransportField};
pub use policy::{EgressPolicy, is_public};
pub use proxy::Proxy;
pub use stage::{Stage, Timing};
pub use token::{ClientAuth, Token, TokenSettings, TokenSource};
pub use transport::{Hidden, Http2, Reach, Transport, TransportSettings};

/// The maximum number of header fields of a response.
pub const MOST_HEADERS: usize = 100;
/// The maximum size of a response's head (status line and header fields), in bytes.
pub const MOST_HEAD_BYTES: usize = 64 * 1024;
/// The timeout until a connection is ready (name, connect, proxy and TLS together), unless the request's own timeout is
/// shorter.
pub const LONGEST_CONNECT: std::time::Duration = std::time::Duration::from_secs(10);
/// How long an idle connection is kept open.
pub const IDLE_TIME: std::time::Duration = std::time::Duration::from_secs(30);
/// The maximum number of idle connections to one destination: as many as a webhook has requests in flight by default,
/// since these end together and the next begin together.
pub const IDLE_PER_DESTINATION: usize = 64;
/// The number of open connections beyond which new ones are closed after one response instead of being reused.
pub const KEPT_CONNECTIONS: usize = 2048;
/// The maximum number of cached transports, each with a pool; the least recently used is evicted first.
pub const KEPT_TRANSPORTS: usize = 256;
/// The maximum number of cached token sources; the least recently used is evicted first.
pub const KEPT_TOKEN_SOURCES: usize = 1024;
