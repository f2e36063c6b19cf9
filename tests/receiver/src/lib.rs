//! A receiver that behaves as badly as it is told to, on loopback.
//!
//! [`Receiver::playing`] plays a script on each connection: what it reads, sends, leaves out, when it hangs up. With
//! [`Receiver::serving`] a proper HTTP server answers, HTTP/2 included. [`Receiver::proxying`] is a CONNECT proxy. Each
//! may stand behind TLS, with certificates of an [`Authority`] that the test makes. A receiver runs on a thread of its
//! own, so asynchronous and plain tests can both use it, and it ends when it is dropped.

mod authority;
mod pack;
mod proxy;
mod receiver;
mod script;
mod serve;

pub use authority::{Authority, Identity, Validity};
pub use pack::{bomb, gzip};
pub use receiver::{Receiver, Tls, full_backlog};
pub use script::{Seen, Step, answer, head};
pub use serve::{Reply, Request};
