//! The pipeline, composed of its parts: each part is given what it needs.

use std::collections::BTreeSet;
use std::sync::Arc;

use hookwright_model::{Clock, SpaceId, Timestamp};
use hookwright_plugin::Registry;
use hookwright_store::{Store, Vault};
use tokio::sync::watch;

use crate::clock_watch::ClockWatch;
use crate::delivery::confirm::Confirmations;
use crate::delivery::deliveries::Deliveries;
use crate::delivery::dispatch;
use crate::delivery::holds::Holds;
use crate::delivery::lanes::DeliveryQueues;
use crate::delivery::message::Messages;
use crate::delivery::missed::MissedEvents;
use crate::delivery::notices::{Exceptions, Notices};
use crate::delivery::out_of_turn::OutOfTurn;
use crate::delivery::redeliver::{Redeliveries, Resending};
use crate::delivery::signers::{Signers, Signing};
use crate::delivery::transmit::Transmit;
use crate::foundation::error::PipelineError;
use crate::foundation::keyed_locks::KeyedLocks;
use crate::foundation::places::SpacePermits;
use crate::foundation::settings::PipelineSettings;
use crate::foundation::stopping::Stopping;
use crate::foundation::turns::Turns;
use crate::foundation::watched_clock::WatchedClock;
use crate::foundation::{stopping, watched_clock};
use crate::history::rehearsal::DryRuns;
use crate::history::replay::Replays;
use crate::history::rerun::Reruns;
use crate::history::shadows::Shadows;
use crate::history::story::Stories;
use crate::history::version_comparison::{Comparisons, VersionComparisons};
use crate::intake::accept::Intake;
use crate::intake::firing::Firing;
use crate::intake::gate::Gates;
use crate::intake::inbound::Inbound;
use crate::intake::polling::{Polls, PollsInFlight};
use crate::intake::scheduler::Scheduler;
use crate::intake::source_log::{RequestLog, SourceLog};
use crate::intake::{scheduler, source_log};
use crate::invoke::access::{AccessCache, PluginAccess};
use crate::invoke::breaker::Breakers;
use crate::invoke::calls::Invoke;
use crate::invoke::candidate::Rollouts;
use crate::invoke::egress::Egress;
use crate::invoke::loading::Loading;
use crate::invoke::logs::Logs;
use crate::invoke::parked::Parked;
use crate::invoke::tapes::{Recorder, Tapes};
use crate::invoke::versions::{Pinned, Versions};
use crate::resources::automations::Automations;
use crate::resources::configuration::configurations::Configurations;
use crate::resources::plugin_policies::PluginPolicies;
use crate::resources::plugins::Plugins;
use crate::resources::records::Records;
use crate::resources::references::References;
use crate::resources::schedules::Schedules;
use crate::resources::sources::Sources;
use crate::resources::webhook_policies::WebhookPolicies;
use crate::resources::webhooks::Webhooks;
use crate::resources::workflows::Workflows;
use crate::routing::catalogue::Catalogue;
use crate::routing::event_types::{EventTypes, Strict};
use crate::routing::planning::Routing;
use crate::runs::mails::{Mailer, Mails};
use crate::runs::runner;
use crate::runs::runner::Runner;
use crate::runs::steps::Steps;
use crate::runs::stored::Runs;
use crate::runs::suspects::Suspects;
use crate::upkeep;
use crate::upkeep::Upkeep;

/// Creates a part from clones of the variables that are named like its fields.
macro_rules! part {
    ($part:ident { $($field:ident),* $(,)? }) => {
        Arc::new($part { $($field: $field.clone()),* })
    };
}

/// Composes the pipeline with what it reads from the store. Nothing is started yet.
pub(crate) fn compose(
    store: Store,
    vault: Arc<Vault>,
    registry: Arc<Registry>,
    clock: Arc<dyn Clock>,
    settings: PipelineSettings,
) -> Result<Pipeline, PipelineError> {
    let settings = Arc::new(settings);
    let clock = Arc::new(WatchedClock::new(clock));
    let egress = Arc::new(Egress::new(settings.egress.clone())?);
    let catalogue = Arc::new(Catalogue::load(&store)?);
    let strict = Arc::new(Strict::load(&store)?);
    let stopping = Stopping::new();
    // Held while automations, webhooks, sources or plugins of a space change, so that checks hold until the change is
    // committed. Spaces do not wait for one another. Plugins are loaded, and keys created, before it is taken, because
    // the outcomes of deliveries wait for it.
    let changing = Arc::new(KeyedLocks::<SpaceId>::default());
    // Permits for creating keys, which can take long.
    let making = Arc::new(SpacePermits::few());
    // Permits for plans of configurations, each of which holds a space's whole configuration in memory. A permit is
    // taken before `changing`, so that no change of the space waits for the plans of others.
    let plans = Arc::new(SpacePermits::few());
    let accesses = Arc::new(AccessCache::default());
    let breakers = Arc::new(Breakers::new(settings.breaker));
    let logs = Arc::new(Logs::default());
    let loading = watch::channel(BTreeSet::new()).0;
    let mailer = Arc::new(Mailer::new(settings.smtp.clone())?);
    let delivery_queues = Arc::new(DeliveryQueues::new(settings.concurrent_deliveries.max(1)));
    let signers = Arc::new(Signers::default());
    let exceptions = Arc::new(Exceptions::default());
    let redeliveries = Arc::new(Redeliveries::default());
    let polls = Arc::new(PollsInFlight::default());
    let suspects = Arc::new(Suspects::default());
    let recorder = Arc::new(Recorder::default());
    let comparisons = Arc::new(Comparisons::default());
    let rollouts = Arc::new(Rollouts::default());
    let pinned = Pinned::default();
    let gates = Arc::new(Gates::default());
    let turns = Arc::new(Turns::default());
    let requests = Arc::new(RequestLog::default());

    let loading = part!(Loading { loading, registry, store });
    let plugin_access = part!(PluginAccess { accesses, loading, registry, settings, store, vault });
    let versions = part!(Versions { clock, pinned, registry, store });
    let parked = part!(Parked { breakers, clock, registry, store });
    let routing = part!(Routing { catalogue, clock, strict });
    let reruns = part!(Reruns { catalogue, routing, store });
    let tapes = part!(Tapes { clock, recorder, rollouts, settings, stopping, store, vault });
    let startable = Arc::clone(&catalogue) as Arc<dyn hookwright_plugin::Workflows>;
    let invoke = part!(Invoke {
        accesses,
        breakers,
        startable,
        clock,
        egress,
        plugin_access,
        loading,
        logs,
        parked,
        registry,
        rollouts,
        store,
        versions,
        tapes
    });
    let steps = part!(Steps { catalogue, clock, invoke, routing, settings, store });
    let runs = part!(Runs { catalogue, clock, store });
    let runner = part!(Runner { catalogue, clock, parked, runs, settings, steps, stopping, store, suspects, turns });
    let mails = part!(Mails { clock, mailer, store });
    let signing = part!(Signing { clock, egress, signers, store, vault });
    let messages = part!(Messages { catalogue, clock, invoke, settings, signing });
    let notices = part!(Notices { catalogue, clock, exceptions, store });
    let transmit = part!(Transmit {
        catalogue,
        changing,
        clock,
        egress,
        exceptions,
        delivery_queues,
        messages,
        notices,
        settings,
        signing,
        store,
        vault
    });
    let confirmations = part!(Confirmations {
        catalogue,
        changing,
        clock,
        messages,
        notices,
        settings,
        signing,
        store,
        transmit,
        vault
    });
    let deliveries = part!(Deliveries {
        catalogue,
        clock,
        confirmations,
        delivery_queues,
        messages,
        notices,
        settings,
        stopping,
        store,
        transmit
    });
    let holds = part!(Holds { catalogue, clock, delivery_queues, store });
    let event_types = part!(EventTypes { changing, clock, store, strict });
    let out_of_turn = part!(OutOfTurn {
        store,
        clock,
        catalogue,
        delivery_queues,
        confirmations,
        deliveries,
        event_types,
        holds,
        transmit
    });
    let missed = part!(MissedEvents { store, catalogue });
    let resending = part!(Resending {
        catalogue,
        clock,
        holds,
        delivery_queues,
        missed,
        out_of_turn,
        redeliveries,
        stopping,
        store
    });
    let intake = part!(Intake { catalogue, clock, routing, settings, store });
    let source_log = part!(SourceLog { catalogue, clock, gates, requests, settings, stopping, store });
    let inbound =
        part!(Inbound { catalogue, clock, gates, intake, invoke, loading, settings, source_log, turns, vault });
    let polling = part!(Polls { clock, inbound, intake, polls, store, turns });
    let firing = part!(Firing { store, clock, routing, runs });
    let scheduler = part!(Scheduler { clock, firing, mails, polling, runner, settings, stopping, store, suspects });
    let references = part!(References { catalogue, loading, registry, store });
    let automations = part!(Automations { catalogue, changing, clock, loading, references, store });
    let workflows =
        part!(Workflows { automations, catalogue, changing, clock, intake, loading, references, runs, store });
    let schedules = part!(Schedules { changing, clock, references, runs, store });
    let sources =
        part!(Sources { catalogue, changing, clock, gates, loading, polling, polls, references, store, turns, vault });
    let webhook_policies =
        part!(WebhookPolicies { catalogue, changing, clock, making, signers, signing, store, vault });
    let webhooks = part!(Webhooks {
        automations,
        catalogue,
        changing,
        clock,
        confirmations,
        egress,
        holds,
        delivery_queues,
        loading,
        notices,
        references,
        settings,
        signing,
        store,
        transmit,
        webhook_policies
    });
    let records =
        part!(Records { catalogue, changing, clock, intake, invoke, references, source_log, store, strict, turns });
    let plugins = part!(Plugins {
        accesses,
        automations,
        changing,
        clock,
        invoke,
        registry,
        rollouts,
        routing,
        settings,
        store,
        versions
    });
    let shadows = part!(Shadows { plugin_access, plugins, reruns, rollouts, stopping });
    let plugin_policies =
        part!(PluginPolicies { accesses, breakers, changing, clock, plugin_access, registry, signers, store, vault });
    let configurations = part!(Configurations {
        automations,
        catalogue,
        changing,
        clock,
        confirmations,
        event_types,
        plugin_access,
        holds,
        invoke,
        loading,
        plans,
        plugins,
        polling,
        references,
        registry,
        schedules,
        settings,
        signers,
        sources,
        store,
        strict,
        transmit,
        turns,
        vault,
        versions,
        webhook_policies,
        webhooks,
        workflows
    });
    let dry_runs = part!(DryRuns { automations, clock, egress, loading, steps });
    let version_comparisons = part!(VersionComparisons {
        store,
        clock,
        registry,
        stopping,
        comparisons,
        loading,
        plugin_access,
        reruns,
        tapes,
        versions
    });
    let replays = part!(Replays { automations, catalogue, clock, dry_runs, runs, store, versions });
    let stories = part!(Stories { catalogue, clock, holds, runs, settings, store });
    let clock_watch = part!(ClockWatch { store, clock, breakers });
    let upkeep = part!(Upkeep { clock, clock_watch, intake, notices, parked, settings, source_log, stopping, store });

    Ok(Pipeline {
        store,
        vault,
        registry,
        clock,
        catalogue,
        settings,
        stopping,
        loading,
        parked,
        routing,
        tapes,
        invoke,
        runs,
        runner,
        signing,
        confirmations,
        deliveries,
        holds,
        event_types,
        resending,
        out_of_turn,
        intake,
        source_log,
        inbound,
        polling,
        scheduler,
        automations,
        workflows,
        schedules,
        sources,
        webhook_policies,
        webhooks,
        records,
        plugins,
        shadows,
        plugin_policies,
        configurations,
        dry_runs,
        replays,
        version_comparisons,
        stories,
        upkeep,
        clock_watch,
    })
}

/// Events in, effects and webhooks out: the parts of the pipeline.
pub struct Pipeline {
    store: Store,
    vault: Arc<Vault>,
    registry: Arc<Registry>,
    clock: Arc<watched_clock::WatchedClock>,
    catalogue: Arc<Catalogue>,
    settings: Arc<PipelineSettings>,
    stopping: stopping::Stopping,
    /// Plugins that are being loaded.
    pub loading: Arc<Loading>,
    /// Runs that are parked until a plugin can be called.
    pub(crate) parked: Arc<Parked>,
    /// Which automations and webhooks match an event.
    pub routing: Arc<Routing>,
    /// Records calls of plugins.
    pub tapes: Arc<Tapes>,
    /// Calls plugins: access, version, circuit breaker, limits, recording and logs.
    pub invoke: Arc<Invoke>,
    /// The runs, and the automations that they execute.
    pub runs: Arc<Runs>,
    /// Processes events: decides and executes runs.
    pub(crate) runner: Arc<Runner>,
    /// The keys, connections and tokens for requests to webhooks.
    pub signing: Arc<Signing>,
    /// Verifies that receivers want to be called.
    pub confirmations: Arc<Confirmations>,
    /// Delivers what is due in the queues of webhooks.
    pub(crate) deliveries: Arc<Deliveries>,
    /// Shows and ends what holds webhooks up.
    pub holds: Arc<Holds>,
    /// Event types that are declared.
    pub event_types: Arc<EventTypes>,
    /// Redelivers: one delivery, or all that match a filter.
    pub resending: Arc<Resending>,
    /// Sends tests and single redeliveries ahead of their queues.
    pub out_of_turn: Arc<OutOfTurn>,
    /// Accepts events.
    pub intake: Arc<Intake>,
    /// The log of requests to sources.
    pub source_log: Arc<SourceLog>,
    /// Receives requests at the URLs of sources.
    pub inbound: Arc<Inbound>,
    /// Polls sources.
    pub polling: Arc<Polls>,
    /// Starts what is due at a certain time.
    pub(crate) scheduler: Arc<Scheduler>,
    /// Creates, changes and deletes automations.
    pub automations: Arc<Automations>,
    /// Creates, changes, deletes and starts workflows.
    pub workflows: Arc<Workflows>,
    /// Creates, changes and deletes schedules.
    pub schedules: Arc<Schedules>,
    /// Creates, changes and deletes sources.
    pub sources: Arc<Sources>,
    /// Signing policies of webhooks and their keys.
    pub webhook_policies: Arc<WebhookPolicies>,
    /// Creates, changes and deletes webhooks.
    pub webhooks: Arc<Webhooks>,
    /// Reads and changes records.
    pub records: Arc<Records>,
    /// Installs plugins, switches between their versions and rolls them out.
    pub plugins: Arc<Plugins>,
    /// Calls candidates in the shadow of live calls, and rolls back those that fail.
    pub(crate) shadows: Arc<Shadows>,
    /// Grants, limits and secrets of plugins.
    pub plugin_policies: Arc<PluginPolicies>,
    /// Configuration as code: export, plan, apply.
    pub configurations: Arc<Configurations>,
    /// Dry runs: executes an automation for an event without saving anything.
    pub dry_runs: Arc<DryRuns>,
    /// Replays events and compares versions.
    pub replays: Arc<Replays>,
    /// Compares versions of a plugin on recorded calls.
    pub version_comparisons: Arc<VersionComparisons>,
    /// What happened to an event, and why.
    pub stories: Arc<Stories>,
    /// Periodic maintenance while the server runs.
    pub(crate) upkeep: Arc<Upkeep>,
    pub(crate) clock_watch: Arc<ClockWatch>,
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
        compose(store, vault, registry, clock, settings).map(Arc::new)
    }

    /// Loads the plugins that were uploaded and those built into the binary, and resumes their rollouts.
    pub async fn load_plugins(&self, builtin: Vec<(&str, Vec<u8>)>) -> Result<(), PipelineError> {
        self.loading.load_plugins(builtin).await?;
        self.plugins.load_rollouts().await
    }

    /// Starts to process what the store holds and what comes in. The handle completes after [`Pipeline::stop`], once
    /// everything in flight has ended.
    pub fn start(&self) -> tokio::task::JoinHandle<()> {
        self.parked.release_waiting();
        let workers = self.settings.workers.clone().unwrap_or_else(tokio::runtime::Handle::current);
        let keeper = tokio::spawn(upkeep::keep_up(Arc::clone(&self.upkeep)));
        let runner = workers.spawn(runner::dispatch(Arc::clone(&self.runner)));
        let scheduler = workers.spawn(scheduler::dispatch(Arc::clone(&self.scheduler)));
        let delivery_queues = workers.spawn(dispatch::dispatch(Arc::clone(&self.deliveries)));
        let rollouts = workers.spawn(Arc::clone(&self.shadows).keep_rollouts());
        let recorder = tokio::spawn(Arc::clone(&self.tapes).keep_recordings());
        let requests = tokio::spawn(source_log::keep(Arc::clone(&self.source_log)));
        tokio::spawn(async move {
            for part in [runner, scheduler, delivery_queues, keeper, recorder, rollouts, requests] {
                if let Err(error) = part.await {
                    tracing::error!(%error, "a background task of the pipeline failed");
                }
            }
        })
    }

    /// Starts nothing new from now on.
    pub fn stop(&self) {
        self.stopping.stop();
    }

    /// The store, for reading.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The plugins.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// The vault that seals secrets.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Which automations, webhooks and sources exist.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Checks again what is due, and whether the clock was set back. Called after the clock was moved.
    pub fn clock_moved(&self) {
        self.clock.moved();
        self.clock_watch.look_at_due();
    }

    /// The present instant.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
