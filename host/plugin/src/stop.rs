//! Why a call ended without a result: converts wasmtime's errors to failures.

use std::time::Duration;

use hookwright_model::Failure;
use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};

/// Maximum number of shown frames of a backtrace.
const FRAMES: usize = 6;
/// The text of an error for which wasmtime has no public type: more bytes were passed than
/// [`wasmtime::Store::set_hostcall_fuel`] permits. `tests/plugin/limits.rs` provokes it.
const TOO_MUCH_COPIED: &str = "fuel allocated for hostcalls";
/// The same for a component with more instances, memories or tables than [`wasmtime::ResourceLimiter`] permits. The
/// test below provokes it.
const TOO_MANY_PARTS: &str = "resource limit exceeded";
/// Maximum length of the description of what happened inside a plugin, in bytes.
const MOST: usize = 1500;

/// Why the host ended a call. It passes through wasmtime as an error and is converted to a [`Failure`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stop {
    #[error("the plugin used more than {} ms of CPU time: make it do less per call, or raise `limits.cpu_ms` in its policy", .0.as_millis())]
    Cpu(Duration),
    #[error(
        "the plugin requested {wanted} bytes of memory: at most {most} per call; make it use less at a time, or raise `limits.memory_bytes` in its policy"
    )]
    Memory { wanted: usize, most: usize },
    #[error(
        "the plugin requested tables with {wanted} entries: at most {most} per call, as `limits.table_elements` in its policy says"
    )]
    Table { wanted: usize, most: usize },
    #[error(
        "the plugin called the host more than {0} times: make it do less per call, or raise `limits.host_calls` in its policy"
    )]
    HostCalls(u32),
    #[error(
        "the calls in flight hold all memory for plugins: this call is retried later; process fewer events at once, or raise \
         plugin_memory_total_bytes"
    )]
    MemoryBusy,
    #[error("{0}")]
    Misuse(String),
}

impl Stop {
    fn failure(&self) -> Failure {
        let code = match self {
            Self::Cpu(_) => "plugin.cpu_exhausted",
            Self::Memory { .. } | Self::Table { .. } => "plugin.memory_exhausted",
            // Other calls hold it, so this plugin is not at fault.
            Self::MemoryBusy => return Failure::transient(Failure::PLUGIN_MEMORY_BUSY, self.to_string()),
            Self::HostCalls(_) => "plugin.host_calls_exhausted",
            Self::Misuse(_) => Failure::PLUGIN_TRAPPED,
        };
        Failure::permanent(code, self.to_string())
    }
}

/// The call took too long, including waits.
pub(crate) fn timeout(wall: Duration) -> Failure {
    let message = format!("the plugin did not return within {} ms: what it waits for may be slow", wall.as_millis());
    Failure::transient("plugin.timeout", message)
}

/// No instance became free in time.
pub(crate) fn busy(wall: Duration) -> Failure {
    let message = format!(
        "no instance became free within {} ms: too many calls are in progress; try again later, or allow more instances",
        wall.as_millis()
    );
    Failure::transient(Failure::PLUGIN_BUSY, message)
}

/// The message for the user of the plugin. `explanation` is the last error that the plugin itself printed.
pub(crate) fn failure_of(error: &wasmtime::Error, explanation: Option<&str>) -> Failure {
    if let Some(stop) = error.downcast_ref::<Stop>() {
        return stop.failure();
    }
    if error.downcast_ref::<PoolConcurrencyLimitError>().is_some() {
        return Failure::transient(
            Failure::PLUGIN_BUSY,
            format!("no instance is free: {}", brief(&format!("{error:#}"))),
        );
    }
    let root = error.root_cause().to_string();
    if root.contains(TOO_MUCH_COPIED) {
        let message = "the plugin passed too many bytes to the host in one call: make its results and requests smaller, or raise \
             `limits.transfer_bytes` in its policy";
        return Failure::permanent("plugin.output_too_large", message);
    }
    if root.contains(TOO_MANY_PARTS) {
        return Failure::permanent(
            "plugin.memory_exhausted",
            format!("the plugin requested too much at once: {}", brief(&root)),
        );
    }
    let what = match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => "the call stack overflowed (infinite recursion?)".to_owned(),
        Some(trap) => trap.to_string(),
        None => root,
    };
    let place = error.downcast_ref::<WasmBacktrace>().map(backtrace).unwrap_or_default();
    let message = match explanation {
        Some(explanation) => format!("the plugin trapped: {explanation} ({what}{place})"),
        None => format!("the plugin trapped: {what}{place}"),
    };
    Failure::permanent(Failure::PLUGIN_TRAPPED, brief(&message))
}

fn backtrace(backtrace: &WasmBacktrace) -> String {
    let mut text = String::new();
    // The first line is a heading; each other one numbers a frame.
    for line in backtrace.to_string().lines().skip(1).take(FRAMES) {
        let frame = line.trim().split_once(':').map_or(line, |(_, frame)| frame.trim());
        text.push_str(if text.is_empty() { "; at " } else { " < " });
        text.push_str(frame);
    }
    text
}

fn brief(text: &str) -> String {
    crate::cut::cut(text, MOST)
}

#[cfg(test)]
mod tests {
    use wasmtime::{Engine, Instance, Module, Store, StoreLimitsBuilder};

    use super::*;

    #[test]
    fn too_many_instances_are_distinguished_from_a_trap() {
        let engine = Engine::default();
        let module = Module::new(&engine, b"\0asm\x01\0\0\0").unwrap();
        let mut store = Store::new(&engine, StoreLimitsBuilder::new().instances(0).build());
        store.limiter(|limits| limits);
        let error = Instance::new(&mut store, &module, &[]).unwrap_err();
        assert_eq!(failure_of(&error, None).code, "plugin.memory_exhausted", "{error:?}");
    }
}
