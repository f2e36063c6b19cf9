//! Test cases of plugins, for whoever writes one: JSON files that say what a plugin is called with and what must come
//! of it.
//!
//! [`read`] reads the files, a [`Stage`] sets up the mock of a space that a case describes and calls the component
//! in the real engine, and [`run`] compares what came of it with what the case expects. The format is described in
//! `docs/plugins/testing.md`.

mod body;
mod case;
mod compare;
mod error;
mod exchange;
mod files;
mod outcome;
mod run;
mod stage;

pub use case::Case;
pub use compare::Mismatch;
pub use error::CaseError;
pub use files::{CaseFile, FOLDER, read, read_one};
pub use outcome::Ended;
pub use run::{Report, run};
pub use stage::Stage;
