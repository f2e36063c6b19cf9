//! The delivery engine with a driven clock: schedules of hours take milliseconds.

mod lanes;
mod retries;
mod stage;
