//! Why a plugin is called: for which event, and for a run or a delivery.

use std::sync::Arc;

use hookwright_model::{DeliveryId, Event, Run, RunId, SpaceId};
use hookwright_plugin::Shared;

/// The event for which a plugin is called, and on whose behalf.
#[derive(Clone, Copy)]
pub struct Occasion<'a> {
    /// The space of the event.
    pub space: &'a SpaceId,
    /// The event.
    pub event: &'a Event,
    /// On whose behalf the plugin is called.
    pub by: By,
    /// The instances that its conditions share with others of the event.
    pub shared: Option<&'a Arc<Shared>>,
}

/// On whose behalf a plugin is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A dry run, of which nothing is stored.
    DryRun,
    /// A run.
    Run(RunId),
    /// A delivery to a webhook.
    Webhook(DeliveryId),
}

impl<'a> Occasion<'a> {
    /// A call for a run, or a dry run.
    pub fn of_run(run: &'a Run, event: &'a Event) -> Self {
        let by = if run.id == RunId::DRY_RUN { By::DryRun } else { By::Run(run.id) };
        Self { space: &run.space, event, by, shared: None }
    }
}
