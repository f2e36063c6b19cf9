//! One attempt of a step: its input, and its result.

use std::sync::Arc;

use hookwright_invoke::rendering::Item;
use hookwright_model::{Automation, Effects, Event, Failure, ItemRecord, Run, Step, StepRecord};
use hookwright_plugin::{Outbound, Tries};

/// The most items that a step is executed for.
pub const MAX_ITEMS: usize = 1000;

/// One attempt of a step, or of one item of it.
#[derive(Clone, Copy)]
pub(crate) struct StepAttempt<'a> {
    pub(crate) automation: &'a Automation,
    pub(crate) step: &'a Step,
    /// The run before the attempt, with the records of earlier steps only.
    pub(crate) run: &'a Run,
    pub(crate) event: &'a Event,
    /// The place of the step among those of the automation, from 0.
    pub(crate) position: usize,
    /// The dry run that it belongs to, of which nothing is stored. `None`: it is real.
    pub(crate) dry_run: Option<&'a DryRun>,
    /// What it shares with earlier tries of it that did not commit.
    pub(crate) tries: &'a Arc<Tries>,
}

impl StepAttempt<'_> {
    /// The name of the step, with the index of the item.
    pub(crate) fn name(&self, item: Option<Item<'_>>) -> String {
        let name = self.automation.step_names().get(self.position).cloned().unwrap_or_else(|| self.step.plugin.clone());
        item.map_or_else(|| name.clone(), |item| format!("{name}[{}]", item.index))
    }
}

/// The state of a dry run in progress.
pub struct DryRun {
    /// The records of the items so far, each with the number of its step.
    pub items: Vec<(u32, ItemRecord)>,
    /// Answers the requests of plugins in place of the network.
    pub outbound: Arc<dyn Outbound>,
}

/// The result of one attempt of a step, before it is committed.
pub(crate) struct AttemptResult {
    pub(crate) record: StepRecord,
    pub(crate) failure: Option<Failure>,
    pub(crate) effects: Effects,
}
