//! Why a call ended without an answer, from wasmtime's errors to the failure that people read.

use std::time::Duration;

use hookwright_model::Failure;
use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};

/// How much of a backtrace is shown.
const FRAMES: usize = 6;
/// The longest account of what happened inside a plugin, in bytes.
const MOST: usize = 1500;

/// Why the host ended a call. It travels through wasmtime as an error and comes out as a [`Failure`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stop {
    #[error("the plugin computed for more than {} ms: make it do less per call, or raise the limit", .0.as_millis())]
    Cpu(Duration),
    #[error(
        "the plugin wanted {wanted} bytes of memory: at most {most} are given to a call; make it hold less at a time, or raise the limit"
    )]
    Memory { wanted: usize, most: usize },
    #[error("the plugin wanted tables with {wanted} entries: at most {most} are given to a call")]
    Table { wanted: usize, most: usize },
    #[error("the plugin called the host more than {0} times: make it do less per call, or raise the limit")]
    HostCalls(u32),
    #[error("{0}")]
    Misuse(String),
}

impl Stop {
    fn failure(&self) -> Failure {
        let code = match self {
            Self::Cpu(_) => "plugin.cpu_exhausted",
            Self::Memory { .. } | Self::Table { .. } => "plugin.memory_exhausted",
            Self::HostCalls(_) => "plugin.host_calls_exhausted",
            Self::Misuse(_) => "plugin.trapped",
        };
        Failure::permanent(code, self.to_string())
    }
}

/// The call took too long, whatever it was waiting for.
pub(crate) fn timeout(wall: Duration) -> Failure {
    let message = format!("the plugin had not answered after {} ms: what it waits for may be slow", wall.as_millis());
    Failure::transient("plugin.timeout", message)
}

/// No instance became free in time.
pub(crate) fn busy(wall: Duration) -> Failure {
    let message = format!(
        "no instance became free within {} ms: too many calls are under way; try later, or allow more instances",
        wall.as_millis()
    );
    Failure::transient("plugin.busy", message)
}

/// What went wrong, in words for whoever uses the plugin.
pub(crate) fn failure_of(error: &wasmtime::Error) -> Failure {
    if let Some(stop) = error.downcast_ref::<Stop>() {
        return stop.failure();
    }
    if error.downcast_ref::<PoolConcurrencyLimitError>().is_some() {
        return Failure::transient("plugin.busy", format!("no instance is free: {}", brief(&format!("{error:#}"))));
    }
    let root = error.root_cause().to_string();
    if root.contains("fuel allocated for hostcalls") {
        let message =
            "the plugin handed the host more bytes at a time than it may: make its results and requests smaller";
        return Failure::permanent("plugin.output_too_large", message);
    }
    if root.contains("resource limit exceeded") {
        return Failure::permanent(
            "plugin.memory_exhausted",
            format!("the plugin wanted too much at once: {}", brief(&root)),
        );
    }
    let what = match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => "the call stack was used up (endless recursion?)".to_owned(),
        Some(trap) => trap.to_string(),
        None => root,
    };
    let place = error.downcast_ref::<WasmBacktrace>().map(backtrace).unwrap_or_default();
    Failure::permanent("plugin.trapped", brief(&format!("the plugin trapped: {what}{place}")))
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
    crate::output::cut(text, MOST)
}
