//! One file per scheme: what is signed, and how the signature is sent.

pub(crate) mod github;
pub(crate) mod hmac;
pub(crate) mod jwt;
pub(crate) mod message;
pub(crate) mod sns;
pub(crate) mod standard;
pub(crate) mod stripe;

#[cfg(test)]
mod tests;
