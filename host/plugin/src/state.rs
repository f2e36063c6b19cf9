//! What the host keeps for one call: what the call can reach, and what it has used up.

use std::time::Duration;

use wasmtime::{ResourceLimiter, Store, UpdateDeadline};

use crate::engine::TICK;
use crate::exchange::Call;
use crate::options::EngineOptions;
use crate::stop::Stop;

/// How many core instances, memories and tables one component may have. Toolchains with an adapter need several.
pub(crate) const CORE_INSTANCES: usize = 32;
/// See [`CORE_INSTANCES`].
pub(crate) const MEMORIES: usize = 4;
/// See [`CORE_INSTANCES`].
pub(crate) const TABLES: usize = 8;
/// Handles of resources; no interface has resources yet.
const HANDLES: usize = 1000;

/// The data of a store.
pub(crate) struct State {
    pub(crate) call: Call,
    pub(crate) budget: Budget,
    pub(crate) log: LogLines,
}

/// What one call may use up, and what it has.
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
    /// Requests sent, so that each has an idempotency key of its own.
    pub(crate) requests: u32,
    pub(crate) requests_most: u32,
    pub(crate) output_bytes: usize,
}

impl State {
    /// A fresh store for one call, with every limit in force.
    pub(crate) fn store(engine: &wasmtime::Engine, options: &EngineOptions, cpu: Duration, call: Call) -> Store<Self> {
        let ticks = u32::try_from(cpu.as_millis() / TICK.as_millis()).unwrap_or(u32::MAX);
        let budget = Budget {
            memory_most: options.memory_bytes,
            memory: 0,
            memory_peak: 0,
            table_most: options.table_elements,
            tables: 0,
            ticks_left: ticks,
            cpu,
            host_calls_most: options.host_calls,
            host_calls: 0,
            requests: 0,
            requests_most: options.requests,
            output_bytes: options.output_bytes,
        };
        let log = LogLines { lines: Vec::new(), room: options.log_lines, bytes: options.log_bytes, cut: false };
        let mut store = Store::new(engine, Self { call, budget, log });
        store.limiter(|state| &mut state.budget);
        store.set_hostcall_fuel(options.transfer_bytes);
        store.set_max_component_handles(HANDLES);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut context| {
            let budget = &mut context.data_mut().budget;
            match budget.ticks_left.checked_sub(1) {
                Some(left) => {
                    budget.ticks_left = left;
                    // Other calls get their turn on this thread, and the wall clock gets to end this one.
                    Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
                }
                None => Err(Stop::Cpu(budget.cpu).into()),
            }
        });
        store
    }

    /// Counts a call of the host. Every function that a plugin can call begins with it.
    pub(crate) fn host_call(&mut self) -> wasmtime::Result<()> {
        let budget = &mut self.budget;
        budget.host_calls = budget.host_calls.saturating_add(1);
        if budget.host_calls > budget.host_calls_most {
            return Err(Stop::HostCalls(budget.host_calls_most).into());
        }
        Ok(())
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

/// What a call has logged, within bounds.
pub(crate) struct LogLines {
    lines: Vec<String>,
    room: usize,
    bytes: usize,
    cut: bool,
}

impl LogLines {
    /// Keeps `line`, or the part of it that there is room for.
    pub(crate) fn add(&mut self, line: &str) {
        if self.cut {
            return;
        }
        if self.room == 0 {
            self.cut = true;
            self.lines.push("(the log is cut here: more lines than one call may write)".to_owned());
            return;
        }
        self.room = self.room.saturating_sub(1);
        let kept = crate::output::prefix(line, self.bytes);
        self.bytes = self.bytes.saturating_sub(line.len());
        self.lines.push(kept.to_owned());
        if kept.len() < line.len() {
            self.cut = true;
            self.lines.push("(the log is cut here: more bytes than one call may write)".to_owned());
        }
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(room: usize, bytes: usize) -> LogLines {
        LogLines { lines: Vec::new(), room, bytes, cut: false }
    }

    #[test]
    fn a_log_keeps_what_there_is_room_for_and_says_that_it_was_cut() {
        let mut lines = log(2, 100);
        for line in ["a", "b", "c", "d"] {
            lines.add(line);
        }
        assert_eq!(lines.into_lines(), ["a", "b", "(the log is cut here: more lines than one call may write)"]);
        let mut lines = log(9, 4);
        for line in ["abc", "äöü", "z"] {
            lines.add(line);
        }
        // One byte is left, and no half character is kept.
        assert_eq!(lines.into_lines(), ["abc", "", "(the log is cut here: more bytes than one call may write)"]);
    }
}
