//! Test cases for authors of plugins: JSON files with the input of a call and its expected outcome.
//!
//! [`read`] reads the files, a [`Stage`] sets up the mock of a space that a case describes and calls the component in
//! the real engine, and [`run`] compares the outcome with the expected one. The format is described in
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
