//! The delivery engine with a driven clock: schedules of hours take milliseconds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod bounds;
mod circuits;
mod clock;
mod idempotency;
mod queues;
mod retries;
mod stage;
