//! Signatures of outgoing webhooks: keys, and what each [`SigningPolicy`](hookwright_model::SigningPolicy) sends.
//!
//! This crate does no I/O except for randomness, which comes from the operating system. Keys are passed as bytes, which
//! the caller seals and stores; the time is part of each message; the result is header fields and a body.
//!
//! A [`Signer`] may have several keys: the newest, and those that receivers may still use while keys are rotated.
//! [`Signer::sign`] lists the schemes that can carry several signatures.

mod error;
mod keys;
mod schemes;
mod signed;
mod signer;

pub use error::SigningError;
pub use keys::{NewKey, PublicKey, generate, import, is_slow};
pub use signed::{Signed, SnsEnvelope, SnsKind, Unsigned};
pub use signer::Signer;
