//! The host's state of one call: its permissions, and its usage of resources.

use std::time::Duration;

use hookwright_model::{Limits, Workbench};
use rand_chacha::ChaCha20Rng;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasmtime::{ResourceLimiter, Store, UpdateDeadline};

use crate::call::Call;
use crate::limits::{CORE_INSTANCES, MEMORIES, TABLES, TICK};
use crate::memory::{Exhausted, Held};
use crate::stop::Stop;

/// Handles of resources; no interface has resources yet.
const HANDLES: usize = 1000;

/// The data of a store.
pub(crate) struct State {
    pub(crate) call: Call,
    pub(crate) budget: Budget,
    pub(crate) log: LogLines,
    /// The memory of the workbench, out of the memory that all calls share.
    pub(crate) changes: Held,
    /// Placeholders that this call got, with the names of their secrets.
    pub(crate) placeholders: Vec<(String, String)>,
    /// The source of random numbers in a call that can be repeated.
    pub(crate) repeatable: Option<ChaCha20Rng>,
    /// Whether secrets that begin with `whsec_` are decoded before they key HMACs.
    pub(crate) wrapped_secrets: bool,
}

/// The limits and the usage of one call.
pub(crate) struct Budget {
    memory_most: usize,
    memory: usize,
    pub(crate) memory_peak: usize,
    table_most: usize,
    tables: usize,
    ticks_left: u32,
    cpu: Duration,
    host_calls_most: u32,
    pub(crate) host_calls: u32,
    /// Requests that the plugin made.
    pub(crate) requests: u32,
    /// Those of them that an earlier try of the step had sent, so that they were not sent again.
    pub(crate) answered: u32,
    pub(crate) requests_most: u32,
    pub(crate) egress: u64,
    pub(crate) egress_most: u64,
    pub(crate) output_bytes: usize,
    /// Its memory, out of the memory that all calls share.
    held: Held,
}

impl Budget {
    fn new(limits: &Limits, cpu: Duration, held: Held) -> Self {
        let size = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        let count = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        Self {
            memory_most: size(limits.memory_bytes),
            memory: 0,
            memory_peak: 0,
            table_most: size(limits.table_elements),
            tables: 0,
            ticks_left: u32::try_from(cpu.as_millis() / TICK.as_millis()).unwrap_or(u32::MAX),
            cpu,
            host_calls_most: count(limits.host_calls),
            host_calls: 0,
            requests: 0,
            answered: 0,
            requests_most: count(limits.requests),
            egress: 0,
            egress_most: limits.egress_bytes,
            output_bytes: size(limits.output_bytes),
            held,
        }
    }

    /// Linear memory of the instance, in bytes.
    pub(crate) fn held(&self) -> usize {
        self.memory
    }
}

/// Maximum size of the arguments of one host call.
fn transfer(call: &Call) -> usize {
    usize::try_from(call.limits().transfer_bytes).unwrap_or(usize::MAX)
}

impl State {
    /// A fresh store for one call, with every limit set.
    pub(crate) fn store(engine: &wasmtime::Engine, cpu: Duration, call: Call, held: Held) -> Store<Self> {
        let transfer = transfer(&call);
        let limits = &call.limits();
        let (changes, log) = (held.beside(), LogLines::new(limits));
        let budget = Budget::new(limits, cpu, held);
        let mut store = Store::new(
            engine,
            Self { call, budget, log, changes, placeholders: Vec::new(), repeatable: None, wrapped_secrets: false },
        );
        store.limiter(|state| &mut state.budget);
        store.set_hostcall_fuel(transfer);
        store.set_max_component_handles(HANDLES);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut context| {
            let budget = &mut context.data_mut().budget;
            match budget.ticks_left.checked_sub(1) {
                Some(left) => {
                    budget.ticks_left = left;
                    // Yielding lets other calls run on this thread, and lets the timeout end this one.
                    Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
                }
                None => Err(Stop::Cpu(budget.cpu).into()),
            }
        });
        store
    }

    /// Prepares a store of an earlier call for another one: nothing of that call is left except the state of the
    /// instance itself.
    pub(crate) fn renew(store: &mut Store<Self>, cpu: Duration, call: Call) {
        store.set_hostcall_fuel(transfer(&call));
        store.set_epoch_deadline(1);
        let state = store.data_mut();
        let limits = &call.limits();
        let (memory, tables) = (state.budget.memory, state.budget.tables);
        let held = state.budget.held.take();
        state.budget = Budget { memory, memory_peak: memory, tables, ..Budget::new(limits, cpu, held) };
        state.log = LogLines::new(limits);
        state.placeholders.clear();
        state.repeatable = None;
        state.call = call;
    }

    /// The result of `make`, through the call's tape if it has one.
    pub(crate) fn taped<T: Serialize + DeserializeOwned>(
        &self,
        call: &str,
        key: impl FnOnce() -> String,
        make: impl FnOnce() -> T,
    ) -> T {
        match &self.call.tape {
            Some(tape) => tape.answer(call, key, make),
            None => make(),
        }
    }

    /// Counts a host call. Every function that a plugin can call begins with it.
    pub(crate) fn host_call(&mut self) -> wasmtime::Result<()> {
        let budget = &mut self.budget;
        budget.host_calls = budget.host_calls.saturating_add(1);
        if budget.host_calls > budget.host_calls_most {
            return Err(Stop::HostCalls(budget.host_calls_most).into());
        }
        self.hold_changes()
    }

    /// Admits memory for what the host calls so far have left on the workbench.
    pub(crate) fn hold_changes(&mut self) -> wasmtime::Result<()> {
        let bytes = self.call.workbench.as_ref().map_or(0, Workbench::held_bytes);
        self.changes.grow_to(bytes).map_err(|Exhausted| Stop::MemoryBusy.into())
    }
}

impl ResourceLimiter for Budget {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = self.memory.saturating_add(desired.saturating_sub(current));
        if wanted > self.memory_most {
            return Err(Stop::Memory { wanted, most: self.memory_most }.into());
        }
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.held.grow_to(wanted).map_err(|Exhausted| Stop::MemoryBusy)?;
        self.memory = wanted;
        self.memory_peak = self.memory_peak.max(wanted);
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = self.tables.saturating_add(desired.saturating_sub(current));
        if wanted > self.table_most {
            return Err(Stop::Table { wanted, most: self.table_most }.into());
        }
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.tables = wanted;
        Ok(true)
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES
    }

    fn memories(&self) -> usize {
        MEMORIES
    }

    fn tables(&self) -> usize {
        TABLES
    }
}

/// The log lines of a call, within bounds.
pub(crate) struct LogLines {
    lines: Vec<String>,
    room: usize,
    bytes: usize,
    cut: bool,
    /// Printed text without an end of line yet.
    printed: Vec<u8>,
    pub(crate) written: u64,
    /// The last error that the plugin printed, which explains a trap that follows.
    last_error: Option<String>,
}

/// Maximum size of an explanation, in bytes.
const EXPLANATION: usize = 1000;
/// The prefixes of what runtimes print when they end a program; the last is of C's `assert`.
const LAST_WORDS: [&str; 4] = ["panic: ", "fatal error: ", "runtime error: ", "Assertion failed: "];
/// What libc++ prints after the name of an exception that a program built without exceptions would throw.
const WOULD_THROW: &str = " was thrown in -fno-exceptions mode";

/// Maximum length of a line of printed text, in bytes.
const PRINTED: usize = 4096;

impl LogLines {
    fn new(limits: &Limits) -> Self {
        let size = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        Self::within(size(limits.log_lines), size(limits.log_bytes))
    }

    fn within(room: usize, bytes: usize) -> Self {
        Self { lines: Vec::new(), room, bytes, cut: false, printed: Vec::new(), written: 0, last_error: None }
    }

    /// Stores `line`, or the part of it that is within the bounds.
    pub(crate) fn add(&mut self, line: &str) {
        self.written = self.written.saturating_add(u64::try_from(line.len()).unwrap_or(u64::MAX));
        if self.cut {
            return;
        }
        if self.room == 0 {
            self.cut = true;
            self.lines.push("(the log is cut here: more lines than one call may write)".to_owned());
            return;
        }
        self.room = self.room.saturating_sub(1);
        let kept = crate::cut::prefix(line, self.bytes);
        self.bytes = self.bytes.saturating_sub(line.len());
        self.lines.push(kept.to_owned());
        if kept.len() < line.len() {
            self.cut = true;
            self.lines.push("(the log is cut here: more bytes than one call may write)".to_owned());
        }
    }

    /// Remembers an error that the plugin prints, even if the log is full.
    pub(crate) fn explain(&mut self, message: &str) {
        self.last_error = Some(crate::cut::cut(message, EXPLANATION));
    }

    /// The plugin's explanation of its end.
    pub(crate) fn explanation(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// Takes the output of a runtime, and adds each complete line.
    pub(crate) fn print(&mut self, output: &[u8]) {
        for byte in output {
            if *byte == b'\n' || self.printed.len() >= PRINTED {
                self.end_line();
            }
            if *byte != b'\n' {
                self.printed.push(*byte);
            }
        }
    }

    fn end_line(&mut self) {
        let printed = std::mem::take(&mut self.printed);
        let text: String = String::from_utf8_lossy(&printed).chars().filter(|c| !c.is_control()).collect();
        if LAST_WORDS.iter().any(|words| text.starts_with(words)) || text.contains(WOULD_THROW) {
            self.explain(&text);
        }
        if !text.is_empty() {
            self.add(&format!("info {text}"));
        }
    }

    /// Ends an incomplete line.
    pub(crate) fn end(&mut self) {
        self.end_line();
    }

    /// Takes the lines.
    pub(crate) fn take(&mut self) -> Vec<String> {
        self.end_line();
        std::mem::take(&mut self.lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(room: usize, bytes: usize) -> LogLines {
        LogLines::within(room, bytes)
    }

    #[test]
    fn a_log_is_truncated_at_its_limit_and_says_so() {
        let mut lines = log(2, 100);
        for line in ["a", "b", "c", "d"] {
            lines.add(line);
        }
        assert_eq!(lines.take(), ["a", "b", "(the log is cut here: more lines than one call may write)"]);
        let mut lines = log(9, 4);
        for line in ["abc", "äöü", "z"] {
            lines.add(line);
        }
        // One byte is left, and a character is never split.
        assert_eq!(lines.take(), ["abc", "", "(the log is cut here: more bytes than one call may write)"]);
    }

    #[test]
    fn the_last_printed_error_explains_a_trap() {
        let mut lines = log(0, 0);
        assert_eq!(lines.explanation(), None);
        lines.explain("panicked at src/lib.rs:3: no");
        assert_eq!(lines.explanation(), Some("panicked at src/lib.rs:3: no"));
        for last in [
            "panic: index out of range",
            "Assertion failed: n > 0 (src/plugin.c: run: 20)",
            "out_of_range was thrown in -fno-exceptions mode with message \"vector\"",
        ] {
            lines.print(format!("all is well\n{last}").as_bytes());
            lines.end();
            assert_eq!(lines.explanation(), Some(last));
        }
    }

    #[test]
    fn output_in_pieces_becomes_lines() {
        let mut lines = log(9, 1000);
        for piece in [&b"one\ntw"[..], b"o\r\n\n", b"\xffthree"] {
            lines.print(piece);
        }
        assert_eq!(lines.take(), ["info one", "info two", "info \u{fffd}three"]);
    }
}
