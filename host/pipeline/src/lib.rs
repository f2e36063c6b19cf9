//! The way of the data: events in, automations matched and carried out, effects committed, webhooks delivered.
//!
//! [`Pipeline`] is what the server talks to. It owns nothing durable: the store does, and after a crash everything here
//! is made again from it.

mod automations;
mod catalogue;
mod conditions;
mod delivery;
mod egress;
mod error;
mod plugins;
mod records;
mod runner;
mod scheduler;
mod signature;
mod sources;
mod steps;
mod story;
mod webhooks;

use std::collections::HashMap;
use std::sync::Arc;

use hookwright_model::{Clock, EventDraft, NewEvent, RetrySchedule, SpaceId};
use hookwright_plugin::Registry;
use hookwright_store::{Appended, Store, Vault};
use tokio::sync::watch;

pub use catalogue::Catalogue;
pub use egress::{EgressError, EgressPolicy, is_public};
pub use error::PipelineError;
pub use plugins::Installed;
pub use records::Changed;
pub use signature::{new_secret, parse_secret, secret_text, sign};
pub use sources::{Arrival, NewSource, Received, SourceInput};
pub use story::Story;
pub use webhooks::NewWebhook;

/// What an operator may set about the way of the data.
#[derive(Clone, Debug)]
pub struct PipelineSettings {
    /// Where requests may go.
    pub egress: EgressPolicy,
    /// How many events are worked on at once.
    pub concurrent_events: usize,
    /// How many deliveries are under way at once.
    pub concurrent_deliveries: usize,
    /// When a step whose failure may pass is tried again.
    pub step_retry: RetrySchedule,
    /// When a delivery to a webhook without a schedule of its own is tried again.
    pub delivery_retry: RetrySchedule,
    /// How long one attempt may take unless the webhook says otherwise, in milliseconds.
    pub delivery_timeout_ms: u32,
    /// Settings that plugins can read through `config`.
    pub plugin_config: HashMap<String, String>,
}

impl Default for PipelineSettings {
    fn default() -> Self {
        Self {
            egress: EgressPolicy::default(),
            concurrent_events: 64,
            concurrent_deliveries: 256,
            step_retry: RetrySchedule { delays_seconds: vec![1, 10, 60, 600], jitter: 0.2 },
            delivery_retry: RetrySchedule::default(),
            delivery_timeout_ms: 15_000,
            plugin_config: HashMap::new(),
        }
    }
}

/// Events in, effects and webhooks out.
pub struct Pipeline {
    store: Store,
    vault: Arc<Vault>,
    registry: Arc<Registry>,
    clock: Arc<dyn Clock>,
    catalogue: Catalogue,
    egress: Arc<egress::Egress>,
    settings: PipelineSettings,
    plugin_config: Arc<HashMap<String, String>>,
    stopping: watch::Sender<bool>,
    /// Held while automations, webhooks, sources or plugins change, so that checks hold until the change is made.
    changing: tokio::sync::Mutex<()>,
}

impl Pipeline {
    /// Reads the configuration from the store. Nothing is worked on before [`Pipeline::start`].
    pub fn open(
        store: Store,
        vault: Arc<Vault>,
        registry: Arc<Registry>,
        clock: Arc<dyn Clock>,
        settings: PipelineSettings,
    ) -> Result<Arc<Self>, PipelineError> {
        let egress = Arc::new(egress::Egress::new(settings.egress.clone())?);
        let catalogue = Catalogue::load(&store)?;
        let plugin_config = Arc::new(settings.plugin_config.clone());
        let (stopping, _) = watch::channel(false);
        let changing = tokio::sync::Mutex::new(());
        Ok(Arc::new(Self {
            store,
            vault,
            registry,
            clock,
            catalogue,
            egress,
            settings,
            plugin_config,
            stopping,
            changing,
        }))
    }

    /// Begins to work on what the store holds and on what comes in. The handle ends after [`Pipeline::stop`], once
    /// what was under way has ended.
    pub fn start(self: &Arc<Self>) -> tokio::task::JoinHandle<()> {
        let runner = tokio::spawn(runner::dispatch(Arc::clone(self)));
        let scheduler = tokio::spawn(scheduler::dispatch(Arc::clone(self)));
        tokio::spawn(async move {
            for part in [runner, scheduler] {
                if let Err(error) = part.await {
                    tracing::error!(%error, "a part of the pipeline ended badly");
                }
            }
        })
    }

    /// Begins nothing new from now on.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// The store, for reading.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The plugins.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Where secrets are sealed.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Who wants which events.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The present instant.
    pub fn now(&self) -> hookwright_model::Timestamp {
        self.clock.now()
    }

    /// Accepts events: when this returns they are durable. All of them, or none.
    pub async fn accept(&self, space: &SpaceId, drafts: Vec<EventDraft>) -> Result<Vec<Appended>, PipelineError> {
        let now = self.clock.now();
        let many = drafts.len() > 1;
        let mut events = Vec::with_capacity(drafts.len());
        for (place, draft) in drafts.into_iter().enumerate() {
            let event = draft.accept(space, now).map_err(|mut mistake| {
                if many {
                    mistake.path = format!("[{place}].{}", mistake.path);
                }
                mistake
            })?;
            let plan = self.catalogue.plan(&event);
            events.push(NewEvent { event, plan });
        }
        Ok(self.store.append(events).await?)
    }
}
