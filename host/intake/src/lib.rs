//! Events in: from the API, from sources, by polls and schedules.

pub mod accept;
pub mod arrival;
pub mod firing;
pub mod fixed_times;
pub mod gate;
pub mod idempotency;
pub mod inbound;
pub mod polling;
pub mod scheduler;
pub mod source_log;
pub mod timetable;

use std::sync::Arc;

use hookwright_foundation::{Foundation, part};

use crate::accept::Intake;
use crate::firing::Firing;
use crate::gate::Gates;
use crate::inbound::Inbound;
use crate::polling::{Polls, PollsInFlight};
use crate::scheduler::Scheduler;
use crate::source_log::{RequestLog, SourceLog};

/// The parts of this layer.
pub struct Layer {
    /// Rate limits of sources.
    pub gates: Arc<Gates>,
    /// Polls that are running.
    pub polls: Arc<PollsInFlight>,
    /// Accepts events.
    pub events: Arc<Intake>,
    /// The log of requests to sources.
    pub source_log: Arc<SourceLog>,
    /// Receives requests at the URLs of sources.
    pub inbound: Arc<Inbound>,
    /// Polls sources.
    pub polling: Arc<Polls>,
    /// Starts what is due at a certain time.
    pub scheduler: Arc<Scheduler>,
}

impl Layer {
    /// Creates the parts.
    pub fn new(
        foundation: &Foundation,
        hookwright_invoke::Layer { calls: invoke, loading, .. }: &hookwright_invoke::Layer,
        hookwright_routing::Layer { catalogue, planning: routing, .. }: &hookwright_routing::Layer,
        hookwright_runs::Layer { stored: runs, suspects, runner, mails, .. }: &hookwright_runs::Layer,
    ) -> Self {
        let Foundation { store, vault, clock, settings, stopping, turns, .. } = foundation;
        let polls = Arc::new(PollsInFlight::default());
        let gates = Arc::new(Gates::default());
        let requests = Arc::new(RequestLog::default());

        let intake = part!(Intake { catalogue, clock, routing, settings, store });
        let source_log = part!(SourceLog { catalogue, clock, gates, requests, settings, stopping, store });
        let inbound =
            part!(Inbound { catalogue, clock, gates, intake, invoke, loading, settings, source_log, turns, vault });
        let polling = part!(Polls { clock, inbound, intake, polls, store, turns });
        let firing = part!(Firing { store, clock, routing, runs });
        let scheduler = part!(Scheduler { clock, firing, mails, polling, runner, settings, stopping, store, suspects });
        Self { gates, polls, events: intake, source_log, inbound, polling, scheduler }
    }
}
