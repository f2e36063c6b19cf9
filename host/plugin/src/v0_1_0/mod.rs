//! Version 0.1.0 of the WIT package: its bindings, and conversions between its types and the model's.

#[cfg(test)]
pub(crate) mod bare;
mod bindings;
mod convert;
mod guest;

use crate::guest::WitVersion;
pub(crate) use bindings::hookwright::plugin::{
    clock, config, crypto, encoding, events, http, kv, log, mail, random, records, secrets, tickets, types, workflows,
};

/// The version of the WIT package.
pub(crate) const VERSION: WitVersion = WitVersion { name: "0.1.0", open: guest::open };
