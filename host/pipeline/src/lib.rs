//! The way of the data: events in, automations matched and carried out, effects committed, webhooks delivered.
//!
//! [`Pipeline`] is what the server talks to. It owns nothing durable: the store does, and after a crash everything here
//! is made again from it.

mod access;
mod advance;
mod automations;
mod breaker;
mod bucket;
mod calling;
mod catalogue;
mod conditions;
mod configuration;
mod egress;
mod error;
mod event_types;
mod explain;
mod keys;
mod loading;
mod logs;
mod mails;
mod outlook;
mod parking;
mod plugins;
mod polling;
mod records;
mod rehearsal;
mod replay;
mod rollout;
mod runner;
mod runs;
mod scheduler;
mod schedules;
mod sources;
mod steps;
mod story;
mod timetable;
mod upkeep;
mod webhooks;
mod workflows;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use hookwright_model::{
    Clock, Effects, Event, EventDraft, NewEvent, Rate, RequestNote, RetrySchedule, SpaceId, Told, Workbench,
};
use hookwright_plugin::Registry;
use hookwright_store::{Appended, Store, Vault};
use tokio::sync::watch;

pub use access::PolicyView;
pub use breaker::BreakerSettings;
pub use catalogue::Catalogue;
pub use configuration::{
    AppliedConfiguration, ChangeKind, Configuration, ConfigurationInput, ConfigurationPlan, ExportedConfiguration,
    FieldChange, LeftAlone, PlannedChange, Section, ShownOnce, Summary,
};
pub use error::PipelineError;
pub use event_types::{EventTypeChange, KnownType, OwnType};
pub use explain::{Explained, ExplainedCondition, Explanation, Verdict};
pub use hookwright_egress::{EgressError, EgressPolicy, Proxy, is_public};
pub use keys::make_key;
pub use logs::LogLine;
pub use mails::SmtpSettings;
pub use plugins::{Installed, VersionView};
pub use records::Changed;
pub use rehearsal::{Rehearsal, RehearsedRequest};
pub use replay::{Candidate, CompareInput, Comparison, Counts, Difference, ReplayInput, Replayed, Requests};
pub use sources::{Arrival, NewSource, Received, SourceInput, SourceRefusal, SourceRotation};
pub use story::Story;
pub use webhooks::{Confirmed, NewWebhook, Redelivery, RedeliveryFilter, RotateInput, ShownKey, WebhookPolicyInput};
pub use workflows::StartedWorkflow;

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
    /// Whether the first version of an uploaded plugin is granted the interfaces that it imports.
    pub grant_on_install: bool,
    /// When a plugin is no longer called.
    pub breaker: BreakerSettings,
    /// How mails leave; none: they are kept to be looked at.
    pub smtp: Option<SmtpSettings>,
    /// The address under which others reach the server, for links that messages carry.
    pub public_url: String,
    /// How many calls of a plugin are kept in a space, so that they can be repeated; 0: none.
    pub recordings_kept: u32,
    /// For how long.
    pub recording_retention: Duration,
    /// For how long requests to webhooks are kept in the log.
    pub attempt_retention: Duration,
    /// How many of them at most.
    pub attempts_kept: u64,
    /// How often each source's URL may be called unless it says otherwise; none: as often as one likes.
    pub source_rate: Option<Rate>,
    /// For how long requests at sources' URLs are kept in their logs.
    pub request_retention: Duration,
    /// How many of them at most, of each source.
    pub requests_kept: u64,
}

impl Default for PipelineSettings {
    fn default() -> Self {
        Self {
            egress: EgressPolicy::default(),
            concurrent_events: 64,
            concurrent_deliveries: 1024,
            step_retry: RetrySchedule { delays_seconds: vec![1, 10, 60, 600], jitter: 0.2 },
            delivery_retry: RetrySchedule::default(),
            delivery_timeout_ms: 15_000,
            plugin_config: HashMap::new(),
            grant_on_install: true,
            breaker: BreakerSettings::default(),
            smtp: None,
            public_url: "http://localhost".to_owned(),
            recordings_kept: 1000,
            recording_retention: Duration::from_secs(7 * 86_400),
            attempt_retention: Duration::from_secs(30 * 86_400),
            attempts_kept: 10_000_000,
            source_rate: Some(Rate { requests: 1000, per_seconds: 1 }),
            request_retention: Duration::from_secs(7 * 86_400),
            requests_kept: 500,
        }
    }
}

/// Events in, effects and webhooks out.
pub struct Pipeline {
    store: Store,
    vault: Arc<Vault>,
    registry: Arc<Registry>,
    clock: Arc<dyn Clock>,
    catalogue: Arc<Catalogue>,
    egress: Arc<egress::Egress>,
    settings: PipelineSettings,
    plugin_config: HashMap<String, String>,
    accesses: access::Accesses,
    breakers: Arc<breaker::Breakers>,
    logs: logs::Logs,
    mailer: mails::Mailer,
    lanes: Arc<webhooks::Lanes>,
    signers: webhooks::Signers,
    exceptions: webhooks::Exceptions,
    redeliveries: webhooks::Redeliveries,
    strict: event_types::Strict,
    polls: polling::UnderWay,
    recorder: replay::Recorder,
    comparisons: replay::Comparisons,
    rollouts: rollout::Rollouts,
    /// Versions that are called besides those in use.
    pinned: calling::Pinned,
    gates: sources::Gates,
    requests: sources::RequestLog,
    /// Names of the server's own plugins that are still being loaded.
    loading: watch::Sender<BTreeSet<String>>,
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
        let catalogue = Arc::new(Catalogue::load(&store)?);
        let strict = event_types::Strict::load(&store)?;
        let plugin_config = settings.plugin_config.clone();
        let (stopping, _) = watch::channel(false);
        let changing = tokio::sync::Mutex::new(());
        Ok(Arc::new(Self {
            store,
            vault,
            registry,
            clock,
            catalogue,
            egress,
            plugin_config,
            accesses: access::Accesses::default(),
            breakers: Arc::new(breaker::Breakers::new(settings.breaker)),
            logs: logs::Logs::default(),
            loading: watch::channel(BTreeSet::new()).0,
            mailer: mails::Mailer::new(settings.smtp.clone())?,
            lanes: Arc::new(webhooks::Lanes::new()),
            signers: webhooks::Signers::default(),
            exceptions: webhooks::Exceptions::default(),
            redeliveries: webhooks::Redeliveries::default(),
            strict,
            polls: polling::UnderWay::default(),
            recorder: replay::Recorder::default(),
            comparisons: replay::Comparisons::default(),
            rollouts: rollout::Rollouts::default(),
            pinned: calling::Pinned::default(),
            gates: sources::Gates::default(),
            requests: sources::RequestLog::default(),
            settings,
            stopping,
            changing,
        }))
    }

    /// Begins to work on what the store holds and on what comes in. The handle ends after [`Pipeline::stop`], once
    /// what was under way has ended.
    pub fn start(self: &Arc<Self>) -> tokio::task::JoinHandle<()> {
        self.release_waiting();
        let keeper = tokio::spawn(upkeep::keep_up(Arc::clone(self)));
        let runner = tokio::spawn(runner::dispatch(Arc::clone(self)));
        let scheduler = tokio::spawn(scheduler::dispatch(Arc::clone(self)));
        let lanes = tokio::spawn(webhooks::dispatch(Arc::clone(self)));
        let rollouts = tokio::spawn(Arc::clone(self).keep_rollouts());
        let recorder = tokio::spawn(Arc::clone(self).keep_recordings());
        let requests = tokio::spawn(sources::keep_log(Arc::clone(self)));
        tokio::spawn(async move {
            for part in [runner, scheduler, lanes, keeper, recorder, rollouts, requests] {
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

    /// The address under which others reach the server, without a slash at its end.
    pub(crate) fn public_url(&self) -> &str {
        self.settings.public_url.trim_end_matches('/')
    }

    /// The host of that address.
    pub(crate) fn public_host(&self) -> String {
        let url = url::Url::parse(self.public_url()).ok();
        url.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_else(|| "localhost".to_owned())
    }

    /// Looks again at what is due: the clock was moved.
    pub fn clock_moved(&self) {
        self.store.touched_signal().notify_one();
        self.store.due_signal().notify_one();
    }

    /// The present instant.
    pub fn now(&self) -> hookwright_model::Timestamp {
        self.clock.now()
    }

    /// Accepts events: when this returns they are durable. All of them, or none.
    pub async fn accept(&self, space: &SpaceId, drafts: Vec<EventDraft>) -> Result<Vec<Appended>, PipelineError> {
        Ok(self.store.append(self.planned(space, drafts)?).await?)
    }

    /// The same, together with what a source keeps and a note in its log; none if what it keeps was changed by somebody
    /// else meanwhile.
    async fn accept_with(
        &self,
        space: &SpaceId,
        drafts: Vec<EventDraft>,
        workbench: Option<Workbench>,
        note: Option<RequestNote>,
    ) -> Result<Option<Vec<Appended>>, PipelineError> {
        let effects = workbench.map(|workbench| self.catalogue.finish(workbench)).filter(|e| !e.kept_reads.is_empty());
        if effects.is_none() && drafts.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let events = self.planned(space, drafts)?;
        let request = note.map(|mut note| {
            let ids = events.iter().map(|new| new.event.id.clone());
            note.entry.told = Told::taken(note.entry.told.status, ids);
            note
        });
        let effects = Effects { request, ..effects.unwrap_or_default() };
        Ok(self.store.append_with(space, events, effects).await?)
    }

    /// The event that a draft would become. Nothing is kept of it.
    pub fn imagined(&self, space: &SpaceId, draft: EventDraft) -> Result<Event, PipelineError> {
        Ok(draft.accept(space, self.clock.now())?)
    }

    /// The drafts as events, with what each sets in motion.
    fn planned(&self, space: &SpaceId, drafts: Vec<EventDraft>) -> Result<Vec<NewEvent>, PipelineError> {
        let now = self.clock.now();
        let many = drafts.len() > 1;
        let mut events = Vec::with_capacity(drafts.len());
        for (place, mut draft) in drafts.into_iter().enumerate() {
            let starts = draft.starts.take();
            let event = draft.accept(space, now).map_err(|mut mistake| {
                if many {
                    mistake.path = format!("[{place}].{}", mistake.path);
                }
                mistake
            })?;
            let root = if many { format!("[{place}].data") } else { "data".to_owned() };
            self.strict.check(&event, &root)?;
            let plan = self.catalogue.plan(&event).starting(starts.as_ref(), &event);
            events.push(NewEvent { event, plan });
        }
        Ok(events)
    }
}
