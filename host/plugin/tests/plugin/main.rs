//! What the plugin room promises, tried on the first-party components and on hostile ones.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod first_party;
mod folder;
mod guests;
mod limits;
mod load;
mod registry;
mod support;
