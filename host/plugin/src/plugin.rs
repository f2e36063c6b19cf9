//! A plugin that can be called.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hookwright_model::{
    Event, Failure, FailureKind, InstancePolicy, Kind, Manifest, Mistake, Outcome, Verdict, json_size,
};
use serde_json::{Map, Value, json};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::error::Elapsed;
use wasmtime::Store;
use wasmtime::component::Instance;

use crate::access::Access;
use crate::call::{Call, Called};
use crate::engine::Inner;
use crate::exchange::{Message, Reception, SourceRequest, Transformed};
use crate::guest::{Answered, Guest, Live};
use crate::meter::Usage;
use crate::schema::{NameOf, Schema};
use crate::state::State;
use crate::stop;
use crate::warm::{Bounds, Idle, Shared};

/// One version of one component, validated and compiled. Immutable: a new version is a new `Plugin`.
///
/// Every call gets a fresh instance, so no call sees the state of another, unless a policy permits warm instances, or the
/// conditions of an event share one. A call ends within the limits of its [`Access`], whatever the component does.
pub struct Plugin {
    pub(crate) engine: Arc<Inner>,
    pub(crate) guest: Box<dyn Guest>,
    pub(crate) manifest: Manifest,
    pub(crate) schema: Schema,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) digest: String,
    pub(crate) imports: Vec<String>,
    pub(crate) wants: Vec<String>,
    pub(crate) size: usize,
    pub(crate) compiled: bool,
    pub(crate) load_time: Duration,
    /// Permits for its concurrent calls.
    pub(crate) slots: Semaphore,
}

impl Plugin {
    /// Its manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its manifest and the properties of its component, as an object for people and programs.
    pub fn about(&self) -> Map<String, Value> {
        let manifest = &self.manifest;
        let fields: [(&str, Value); 10] = [
            ("version", manifest.version.as_str().into()),
            ("summary", manifest.summary.as_str().into()),
            ("kinds", self.kinds.iter().map(ToString::to_string).collect()),
            ("declared_name", manifest.name.as_str().into()),
            ("imports", self.imports.clone().into()),
            ("wants", self.wants.clone().into()),
            ("parameters", manifest.parameters.clone()),
            ("hints", json!(manifest.hints)),
            ("digest", self.digest.as_str().into()),
            ("size_bytes", self.size.into()),
        ];
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Its kinds.
    pub fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// SHA-256 of the component, in hex.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The interfaces that it imports, with their versions.
    pub fn imports(&self) -> &[String] {
        &self.imports
    }

    /// Size of the component in bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Whether it had to be compiled. False: its machine code was cached.
    pub fn compiled(&self) -> bool {
        self.compiled
    }

    /// How long it took to load.
    pub fn load_time(&self) -> Duration {
        self.load_time
    }

    /// The validation errors of these parameters.
    pub fn check_parameters(&self, parameters: &Value) -> Vec<Mistake> {
        self.schema.check(parameters)
    }

    /// The validation errors of these parameters that do not depend on the values of variables.
    pub fn check_template_parameters(&self, parameters: &Value) -> Vec<Mistake> {
        self.schema.check_template(parameters)
    }

    /// The validation errors of `filled`, which is `parameters` with the variables filled in. The values of variables
    /// are data: they cannot name a secret, nor be an object where the schema gives objects a meaning besides plain
    /// text.
    pub fn check_filled_parameters(&self, parameters: &Value, filled: &Value) -> Vec<Mistake> {
        self.schema.check_filled(parameters, filled)
    }

    /// Names that come from variables in parameters that name a secret. The call gets no secret by these names.
    pub fn names_from_data(&self, parameters: &Value, filled: &Value) -> Vec<String> {
        self.schema.names_from_data(parameters, filled)
    }

    /// Names of top-level parameters in which the host replaces no variables. Their schema has
    /// `"x-hookwright-verbatim": true`.
    pub fn verbatim(&self) -> &[String] {
        self.schema.verbatim()
    }

    /// Top-level parameters that are paths, each with the one into which the host puts the value at the path if it
    /// refers to a record (`ticket.`, `record.`). Their schema has `"x-hookwright-path": "NAME"`.
    pub fn paths(&self) -> &[(String, String)] {
        self.schema.paths()
    }

    /// The record, `KIND/ID`, to which the paths of these parameters refer: the one named by the parameter whose schema
    /// has `"x-hookwright-record": true`, else the event's subject.
    pub fn record_of<'a>(&self, parameters: &'a Value, event: &'a Event) -> Option<&'a str> {
        let named = self.schema.record().and_then(|name| parameters.get(name)).and_then(Value::as_str);
        named.or(event.subject.as_deref())
    }

    /// The parameter that names the record to which paths refer. Its schema has `"x-hookwright-record": true`.
    pub fn record_parameter(&self) -> Option<&str> {
        self.schema.record()
    }

    /// Top-level parameters whose value is the name of a workflow or of a kind of record. Their schema has
    /// `"x-hookwright-name-of": "workflow"` or `"kind"`.
    pub fn names(&self) -> &[(String, NameOf)] {
        self.schema.names()
    }

    /// The interfaces that it imports, except the harmless ones: those that it needs to be granted.
    pub fn wants(&self) -> &[String] {
        &self.wants
    }

    /// Whether it can have an effect outside of the store.
    pub fn sends_requests(&self) -> bool {
        self.wants.iter().any(|interface| crate::capability::sends_requests(interface))
    }

    /// Whether it prefers warm instances. An operator's policy takes precedence.
    pub fn prefers_warm(&self) -> bool {
        self.has_hint("instance", "warm")
    }

    /// Whether it gets the bodies of requests as they were sent, compressed or not.
    pub fn wants_body_as_sent(&self) -> bool {
        self.has_hint("body", "as-sent")
    }

    fn has_hint(&self, name: &str, value: &str) -> bool {
        self.manifest.hints.iter().any(|(hint, given)| hint == name && given == value)
    }

    /// Calls a condition.
    pub async fn evaluate(&self, call: Call, event: &Event, parameters: &Value) -> Called<Verdict> {
        self.evaluate_with(call, event, parameters, None).await
    }

    /// Calls a condition, in the instance that it shares with others of its event if the plugin may have one.
    pub async fn evaluate_with(
        &self,
        call: Call,
        event: &Event,
        parameters: &Value,
        shared: Option<Arc<Shared>>,
    ) -> Called<Verdict> {
        let parameters = parameters.to_string();
        let work = async |visit: &mut Visit<'_>| {
            let live = visit.live(self).await?;
            self.guest.evaluate(live, event, &parameters).await
        };
        self.visit(call, shared, work, |verdict| verdict.reason.len()).await
    }

    /// Calls an action.
    pub async fn run(&self, call: Call, event: &Event, parameters: &Value) -> Called<Outcome> {
        let parameters = parameters.to_string();
        let work = async |visit: &mut Visit<'_>| {
            let live = visit.live(self).await?;
            self.guest.run(live, event, &parameters).await
        };
        let size = |outcome: &Outcome| match outcome {
            Outcome::Done(value) => json_size(value),
            Outcome::Skipped(reason) => reason.len(),
        };
        self.visit(call, None, work, size).await
    }

    /// Calls a transform with a message.
    pub async fn apply(&self, call: Call, event: &Event, message: Message, parameters: &Value) -> Called<Transformed> {
        let parameters = parameters.to_string();
        let work = async |visit: &mut Visit<'_>| {
            let live = visit.live(self).await?;
            self.guest.apply(live, event, &message, &parameters).await
        };
        let size = |answer: &Transformed| match answer {
            Transformed::Send(message) => message.body.len(),
            Transformed::Drop(reason) => reason.len(),
        };
        self.visit(call, None, work, size).await
    }

    /// Calls a source with a provider's request.
    pub async fn receive(&self, mut call: Call, request: SourceRequest, parameters: &Value) -> Called<Reception> {
        call.body_bytes = u64::try_from(request.body.len().max(request.decoded_bytes)).unwrap_or(u64::MAX);
        let parameters = parameters.to_string();
        let work = async |visit: &mut Visit<'_>| {
            let live = visit.live(self).await?;
            self.guest.receive(live, &request, &parameters).await
        };
        let size = |answer: &Reception| match answer {
            Reception::Accepted(intake) => intake.events.iter().map(|event| event.data.len()).sum(),
            Reception::Refused { message, .. } => message.len(),
        };
        self.visit(call, None, work, size).await
    }

    /// Makes a call, from permits to the result.
    async fn visit<T>(
        &self,
        mut call: Call,
        shared: Option<Arc<Shared>>,
        work: impl AsyncFnOnce(&mut Visit<'_>) -> Answered<T>,
        size: impl Fn(&T) -> usize,
    ) -> Called<T> {
        let access = Arc::clone(&call.access);
        let wall = Duration::from_millis(access.limits.wall_ms);
        let wall = call.timeout.map_or(wall, |timeout| timeout.min(wall));
        if let Some(workbench) = &mut call.workbench {
            let size = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
            let limits = &access.limits;
            workbench.limit(size(limits.effects), size(limits.effects_bytes), size(limits.read_bytes));
        }
        let permits = match self.enter(&access, wall).await {
            Ok(permits) => permits,
            Err(failure) => {
                let usage = Usage::default();
                return Called {
                    result: Err(failure),
                    workbench: None,
                    log: Vec::new(),
                    usage,
                    stopped: false,
                    held: None,
                };
            }
        };
        let mut visit = Visit::begin(self, call, shared, permits);
        let mut cpu = Duration::ZERO;
        let answer = tokio::time::timeout(wall, Timed::new(work(&mut visit), &mut cpu)).await;
        visit.leave(self, answer, wall, cpu, size)
    }

    /// Waits for a free instance, for as long as a call may take.
    async fn enter<'p>(&'p self, access: &'p Access, wall: Duration) -> Result<Permits<'p>, Failure> {
        // The plugin's own permits first, so that no plugin holds a shared permit while it waits.
        let at_once = access
            .slots
            .try_acquire()
            .ok()
            .and_then(|space| Some((space, self.slots.try_acquire().ok()?)))
            .and_then(|(space, own)| Some((space, own, self.engine.slots.try_acquire().ok()?)));
        if let Some(permits) = at_once {
            return Ok(permits);
        }
        let waiting = async {
            let space = access.slots.acquire().await.ok()?;
            let own = self.slots.acquire().await.ok()?;
            Some((space, own, self.engine.slots.acquire().await.ok()?))
        };
        let waited = tokio::time::timeout(wall, waiting).await;
        waited.ok().flatten().ok_or_else(|| stop::busy(wall))
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        self.engine.warm.forget(&self.digest);
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin")
            .field("name", &self.manifest.name)
            .field("version", &self.manifest.version)
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

/// The permits of the plugin in the space, of the plugin, and of the instance.
type Permits<'p> = (SemaphorePermit<'p>, SemaphorePermit<'p>, SemaphorePermit<'p>);

/// A call in progress. The store is dropped first: a permit is released after its instance.
struct Visit<'p> {
    store: Store<State>,
    instance: Option<Instance>,
    /// By whom this instance may be reused.
    reuse: Reuse,
    was_warm: bool,
    started: Instant,
    permits: Permits<'p>,
}

impl<'p> Visit<'p> {
    fn begin(plugin: &Plugin, call: Call, shared: Option<Arc<Shared>>, permits: Permits<'p>) -> Self {
        let cpu = Duration::from_millis(call.limits().cpu_ms);
        let memory = usize::try_from(call.limits().memory_bytes).unwrap_or(usize::MAX);
        let policy = call.access.instance.or_else(|| plugin.prefers_warm().then(InstancePolicy::warm));
        let started = Instant::now();
        // A recorded call is to give the same result when it is repeated alone.
        let may_share = call.tape.is_none() && (call.access.trusted || plugin.has_hint("instance", "event"));
        let shared = shared.filter(|_| may_share);
        let (idle, reuse) = match (policy, shared) {
            (Some(InstancePolicy::Warm { calls, age_seconds, idle }), _) => {
                let bounds = Bounds { calls, age: Duration::from_secs(u64::from(age_seconds)), idle };
                let found = plugin.engine.warm.take(&plugin.digest, &call.space, memory);
                let (calls, born) = found.as_ref().map_or((0, started), |idle| (idle.calls, idle.born));
                (found, Reuse::Warm(Kept { bounds, calls, born }))
            }
            (None, Some(shared)) => {
                let found = shared.take(&plugin.digest, &call.access.plugin, memory);
                let calls = found.as_ref().map_or(0, |idle| idle.calls);
                (found, Reuse::Shared(shared, calls))
            }
            (Some(InstancePolicy::Fresh {}), _) | (None, None) => (None, Reuse::None),
        };
        match idle {
            Some(Idle { mut store, instance, .. }) => {
                State::renew(&mut store, cpu, call);
                Self { store, instance: Some(instance), reuse, was_warm: true, started, permits }
            }
            None => {
                let held = plugin.engine.memory.open(&call.space);
                let store = State::store(&plugin.engine.wasm, cpu, call, held);
                Self { store, instance: None, reuse, was_warm: false, started, permits }
            }
        }
    }

    /// The instance, created if no warm one is available.
    async fn live(&mut self, plugin: &Plugin) -> wasmtime::Result<Live<'_>> {
        let instance = match self.instance {
            Some(instance) => instance,
            None => {
                self.store.data_mut().wrapped_secrets = plugin.has_hint("secret-format", "whsec");
                plugin.guest.instantiate(&mut self.store).await?
            }
        };
        self.instance = Some(instance);
        Ok(Live { store: &mut self.store, instance })
    }

    /// Ends the call. A failed one leaves no changes; a stopped instance is dropped.
    fn leave<T>(
        mut self,
        plugin: &Plugin,
        answer: Result<Answered<T>, Elapsed>,
        wall: Duration,
        cpu: Duration,
        size: impl Fn(&T) -> usize,
    ) -> Called<T> {
        let duration = self.started.elapsed();
        let (mut result, stopped) = match answer {
            Ok(Ok(answer)) => (answer, false),
            Ok(Err(error)) => {
                let log = &mut self.store.data_mut().log;
                log.end();
                (Err(stop::failure_of(&error, log.explanation())), true)
            }
            Err(_) => (Err(stop::timeout(wall)), true),
        };
        let state = self.store.data_mut();
        if let (true, Err(error)) = (result.is_ok(), state.hold_changes()) {
            result = Err(stop::failure_of(&error, None));
        }
        let held = result.is_ok().then(|| state.changes.take());
        let log = state.log.take();
        let usage = Usage {
            duration,
            cpu,
            memory_peak: state.budget.memory_peak,
            host_calls: state.budget.host_calls,
            requests: state.budget.requests.saturating_sub(state.budget.answered),
            egress_bytes: state.budget.egress,
            output_bytes: result.as_ref().map_or(0, |answer| u64::try_from(size(answer)).unwrap_or(u64::MAX)),
            log_bytes: state.log.written,
            warm: self.was_warm,
            rerun: state.call.tries.as_ref().is_some_and(|tries| tries.reruns() > 0),
        };
        let access = Arc::clone(&state.call.access);
        let workbench = state.call.workbench.take().filter(|_| result.is_ok());
        // A lack of shared memory does not count against the plugin, but its instance was stopped all the same.
        let busy = result.as_ref().is_err_and(|failure| failure.kind() == FailureKind::PluginMemoryBusy);
        access.meter.count(&usage, result.is_err(), stopped && !busy);
        let Self { store, instance, reuse, started, permits, .. } = self;
        match (reuse, instance.filter(|_| !stopped)) {
            (Reuse::Warm(Kept { bounds, calls, born }), Some(instance)) => {
                let space = store.data().call.space.clone();
                let idle = Idle { store, instance, calls: calls.saturating_add(1), born };
                plugin.engine.warm.keep(&plugin.digest, space, idle, bounds);
            }
            (Reuse::Shared(shared, calls), Some(instance)) => {
                let idle = Idle { store, instance, calls: calls.saturating_add(1), born: started };
                plugin.engine.warm.share(&plugin.digest, &access.plugin, idle, &shared);
            }
            _ => drop(store),
        }
        drop(permits);
        Called { result, workbench, log, usage, stopped: stopped && !busy, held }
    }
}

/// By whom an instance may be reused after a call.
enum Reuse {
    /// By nobody.
    None,
    /// By further calls of the space.
    Warm(Kept),
    /// By further conditions of the event; the number of calls so far.
    Shared(Arc<Shared>, u32),
}

/// The bounds of a warm instance, and what is used of them.
struct Kept {
    bounds: Bounds,
    calls: u32,
    born: Instant,
}

/// Measures the time in which a future is polled, not the time in which it waits.
struct Timed<'c, F> {
    inner: Pin<Box<F>>,
    spent: &'c mut Duration,
}

impl<'c, F> Timed<'c, F> {
    fn new(inner: F, spent: &'c mut Duration) -> Self {
        Self { inner: Box::pin(inner), spent }
    }
}

impl<F: Future> Future for Timed<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let began = Instant::now();
        let polled = self.inner.as_mut().poll(context);
        *self.spent += began.elapsed();
        polled
    }
}
