//! The pipeline, composed of its layers; the loops that run by themselves.

use std::sync::Arc;

use hookwright_delivery::dispatch;
use hookwright_foundation::error::PipelineError;
use hookwright_foundation::settings::PipelineSettings;
use hookwright_foundation::{Foundation, part};
use hookwright_intake::{scheduler, source_log};
use hookwright_model::{Clock, Timestamp};
use hookwright_plugin::{Registry, Workflows};
use hookwright_runs::runner;
use hookwright_store::{StorageHealth, Store, Vault};

use crate::clock_watch::ClockWatch;
use crate::upkeep;
use crate::upkeep::Upkeep;

/// Events in, effects and webhooks out: the layers of the pipeline with their parts.
pub struct Pipeline {
    foundation: Foundation,
    /// Calls plugins.
    pub invoke: hookwright_invoke::Layer,
    /// Which automations and webhooks match an event.
    pub routing: hookwright_routing::Layer,
    /// Decides and executes runs.
    pub runs: hookwright_runs::Layer,
    /// Webhooks out.
    pub delivery: hookwright_delivery::Layer,
    /// Events in.
    pub intake: hookwright_intake::Layer,
    /// What operators configure.
    pub resources: hookwright_resources::Layer,
    /// What happened and what would happen.
    pub history: hookwright_history::Layer,
    upkeep: Arc<Upkeep>,
    clock_watch: Arc<ClockWatch>,
}

impl Pipeline {
    /// Reads the configuration from the store. Nothing is processed before [`Pipeline::start`].
    pub fn open(
        store: Store,
        vault: Arc<Vault>,
        registry: Arc<Registry>,
        clock: Arc<dyn Clock>,
        settings: PipelineSettings,
    ) -> Result<Arc<Self>, PipelineError> {
        let foundation = Foundation::new(store, vault, registry, clock, settings);
        let routing = hookwright_routing::Layer::new(&foundation)?;
        let startable = Arc::clone(&routing.catalogue) as Arc<dyn Workflows>;
        let invoke = hookwright_invoke::Layer::new(&foundation, startable)?;
        let runs = hookwright_runs::Layer::new(&foundation, &invoke, &routing)?;
        let delivery = hookwright_delivery::Layer::new(&foundation, &invoke, &routing);
        let intake = hookwright_intake::Layer::new(&foundation, &invoke, &routing, &runs);
        let resources = hookwright_resources::Layer::new(&foundation, &invoke, &routing, &runs, &delivery, &intake)?;
        let history = hookwright_history::Layer::new(&foundation, &invoke, &routing, &runs, &delivery, &resources);

        let Foundation { store, clock, settings, stopping, .. } = &foundation;
        let (breakers, parked) = (&invoke.breakers, &invoke.parked);
        let (notices, source_log, events) = (&delivery.notices, &intake.source_log, &intake.events);
        let clock_watch = part!(ClockWatch { store, clock, breakers });
        let upkeep =
            part!(Upkeep { clock, clock_watch, events, notices, parked, settings, source_log, stopping, store });
        Ok(Arc::new(Self {
            foundation,
            invoke,
            routing,
            runs,
            delivery,
            intake,
            resources,
            history,
            upkeep,
            clock_watch,
        }))
    }

    /// Loads the plugins that were uploaded and those built into the binary, and resumes their rollouts.
    pub async fn load_plugins(&self, builtin: Vec<(&str, Vec<u8>)>) -> Result<(), PipelineError> {
        self.invoke.loading.load_plugins(builtin).await?;
        self.resources.plugins.load_rollouts().await
    }

    /// Starts to process what the store holds and what comes in. The handle completes after [`Pipeline::stop`], once
    /// everything in flight has ended.
    pub fn start(&self) -> tokio::task::JoinHandle<()> {
        self.invoke.parked.release_waiting();
        let workers = self.foundation.settings.workers.clone().unwrap_or_else(tokio::runtime::Handle::current);
        let keeper = tokio::spawn(upkeep::keep_up(Arc::clone(&self.upkeep)));
        let runner = workers.spawn(runner::dispatch(Arc::clone(&self.runs.runner)));
        let scheduler = workers.spawn(scheduler::dispatch(Arc::clone(&self.intake.scheduler)));
        let deliveries = workers.spawn(dispatch::dispatch(Arc::clone(&self.delivery.deliveries)));
        let rollouts = workers.spawn(Arc::clone(&self.history.shadows).keep_rollouts());
        let recorder = tokio::spawn(Arc::clone(&self.invoke.tapes).keep_recordings());
        let requests = tokio::spawn(source_log::keep(Arc::clone(&self.intake.source_log)));
        tokio::spawn(async move {
            for part in [runner, scheduler, deliveries, keeper, recorder, rollouts, requests] {
                if let Err(error) = part.await {
                    tracing::error!(%error, "a background task of the pipeline failed");
                }
            }
        })
    }

    /// Starts nothing new from now on.
    pub fn stop(&self) {
        self.foundation.stopping.stop();
    }

    /// The health of the store.
    pub fn storage_health(&self) -> StorageHealth {
        self.foundation.store.health()
    }

    /// The number of accepted events that wait to be processed.
    pub fn backlog(&self) -> usize {
        self.foundation.store.backlog.count()
    }

    /// Checks again what is due, and whether the clock was set back. Called after the clock was moved.
    pub fn clock_moved(&self) {
        self.foundation.clock.moved();
        self.clock_watch.look_at_due();
    }

    /// The present instant.
    pub fn now(&self) -> Timestamp {
        self.foundation.clock.now()
    }
}
