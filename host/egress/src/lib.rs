//! Requests that leave the machine: one client, which connects only to addresses that the operator allows.
//!
//! The address that is connected to is the one that is checked, so that a name cannot be made to point elsewhere in
//! between. No redirect is followed: 3xx is an answer like any other. What comes back is bounded in time, in bytes and in
//! header fields; past a bound the caller has a clear error or a body that is marked as cut.
//!
//! [`Egress::send`] is the one door. Plain requests share one pool of connections; a destination with its own
//! certificates, proxy or version of HTTP has a [`Transport`] with a pool of its own. [`TokenSource`] fetches OAuth 2.0
//! tokens through the same door.

mod client;
mod connect;
mod decode;
mod error;
mod policy;
mod proxy;
mod resolve;
mod stream;
mod timing;
mod token;
mod transport;

pub use client::{Answer, Egress, Outgoing, Reach};
pub use error::{EgressError, Failed, TlsProblem};
pub use policy::{EgressPolicy, is_public};
pub use proxy::Proxy;
pub use timing::{Stage, Timing};
pub use token::{ClientAuth, Token, TokenSettings, TokenSource};
pub use transport::{Hidden, Http2, Transport, TransportSettings};

/// The most header fields that an answer may have.
pub const MOST_HEADERS: usize = 100;
/// The most bytes that the head of an answer may have: status line and header fields.
pub const MOST_HEAD_BYTES: usize = 64 * 1024;
/// How long it may take until a connection is ready (name, connect, proxy and TLS together), if the request's own time
/// is not shorter.
pub const LONGEST_CONNECT: std::time::Duration = std::time::Duration::from_secs(10);
/// How long a connection is kept while nothing is sent on it.
pub const IDLE_TIME: std::time::Duration = std::time::Duration::from_secs(30);
/// How many connections to one destination are kept while nothing is sent on them.
pub const IDLE_PER_DESTINATION: usize = 16;
/// How many connections may be open before new ones are closed after one answer rather than kept.
pub const KEPT_CONNECTIONS: usize = 2048;
/// How many distinct transports are kept, each with a pool; the one that was used longest ago goes first.
pub const KEPT_TRANSPORTS: usize = 256;
/// How many sources of tokens are kept; the one that was used longest ago goes first.
pub const KEPT_TOKEN_SOURCES: usize = 1024;
