//! Signatures of outgoing webhooks: keys, and what each [`SigningPolicy`](hookwright_model::SigningPolicy) sends.
//!
//! Nothing here does I/O but for randomness, which comes from the operating system. Keys come in as bytes that the caller
//! has sealed and stored, the time comes with each message, and what goes out is header fields and a body.
//!
//! A [`Signer`] may have several keys: the newest, and those that receivers may still hold while keys are rotated. Which
//! schemes can carry several signatures at a time is said at [`Signer::sign`].

mod error;
mod keys;
mod schemes;
mod signer;

pub use error::SigningError;
pub use keys::{NewKey, PublicKey, generate, import};
pub use signer::{Signed, Signer, SnsEnvelope, SnsKind, Unsigned};
