//! Decides and executes runs.

pub mod advance;
pub mod attempt;
pub mod breadth;
pub mod items;
pub mod mails;
pub mod open_steps;
pub mod recorded;
pub mod runner;
pub mod steps;
pub mod stored;
pub mod suspects;

use std::sync::Arc;

use hookwright_foundation::error::PipelineError;
use hookwright_foundation::{Foundation, part};

use crate::mails::{Mailer, Mails};
use crate::runner::Runner;
use crate::steps::Steps;
use crate::stored::Runs;
use crate::suspects::Suspects;

/// The parts of this layer.
pub struct Layer {
    /// Events that were in flight at a crash.
    pub suspects: Arc<Suspects>,
    /// Executes the steps of runs.
    pub steps: Arc<Steps>,
    /// The runs, and the automations that they execute.
    pub stored: Arc<Runs>,
    /// Processes events: decides and executes runs.
    pub runner: Arc<Runner>,
    /// Sends mails that are due.
    pub mails: Arc<Mails>,
}

impl Layer {
    /// Creates the parts.
    pub fn new(
        foundation: &Foundation,
        hookwright_invoke::Layer { calls: invoke, parked, .. }: &hookwright_invoke::Layer,
        hookwright_routing::Layer { catalogue, planning: routing, .. }: &hookwright_routing::Layer,
    ) -> Result<Self, PipelineError> {
        let Foundation { store, clock, settings, stopping, turns, .. } = foundation;
        let mailer = Arc::new(Mailer::new(settings.smtp.clone())?);
        let suspects = Arc::new(Suspects::default());
        let steps = part!(Steps { catalogue, clock, invoke, routing, settings, store });
        let runs = part!(Runs { catalogue, clock, store });
        let runner =
            part!(Runner { catalogue, clock, parked, runs, settings, steps, stopping, store, suspects, turns });
        let mails = part!(Mails { clock, mailer, store });
        Ok(Self { suspects, steps, stored: runs, runner, mails })
    }
}
