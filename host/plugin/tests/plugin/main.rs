//! The guarantees of the plugin crate, tested with first-party and hostile components.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod first_party;
mod folder;
mod guests;
mod limits;
mod load;
mod registry;
mod support;
