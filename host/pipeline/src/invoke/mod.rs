//! The one way to call plugins: access, version, circuit breaker, limits, recording, logs.

pub(crate) mod access;
pub(crate) mod breaker;
pub(crate) mod call_result;
pub(crate) mod callable;
pub(crate) mod calls;
pub(crate) mod candidate;
pub(crate) mod comparison;
pub(crate) mod conditions;
pub(crate) mod egress;
pub(crate) mod invocation;
pub(crate) mod loading;
pub(crate) mod logs;
pub(crate) mod occasion;
pub(crate) mod parked;
pub(crate) mod plugin_place;
pub(crate) mod recording;
pub(crate) mod rendering;
pub(crate) mod result_diff;
pub(crate) mod tapes;
pub(crate) mod versions;
