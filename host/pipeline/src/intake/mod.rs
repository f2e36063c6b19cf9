//! Events in: from the API, from sources, by polls and schedules.

pub(crate) mod accept;
pub(crate) mod arrival;
pub(crate) mod firing;
pub(crate) mod fixed_times;
pub(crate) mod gate;
pub(crate) mod idempotency;
pub(crate) mod inbound;
pub(crate) mod polling;
pub(crate) mod scheduler;
pub(crate) mod source_log;
pub(crate) mod timetable;
