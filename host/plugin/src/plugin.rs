//! A plugin that can be called.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hookwright_model::{Event, Failure, Kind, Manifest, Mistake, Outcome, Verdict};
use serde_json::Value;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::error::Elapsed;
use wasmtime::Store;

use crate::engine::Inner;
use crate::exchange::{Call, Called, Message, Reception, SourceRequest, Transformed, Usage};
use crate::guest::{Answered, Guest};
use crate::schema::Schema;
use crate::state::State;
use crate::stop;

/// One version of one component, checked and compiled. It never changes: a new version is a new one.
///
/// Every call gets a fresh instance, so no call sees what another left behind, and ends within the limits of
/// [`crate::EngineOptions`] whatever the component does.
pub struct Plugin {
    pub(crate) engine: Arc<Inner>,
    pub(crate) guest: Box<dyn Guest>,
    pub(crate) manifest: Manifest,
    pub(crate) schema: Schema,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) digest: String,
    pub(crate) imports: Vec<String>,
    pub(crate) size: usize,
    pub(crate) compiled: bool,
    pub(crate) load_time: Duration,
    /// How many calls of it may be under way.
    pub(crate) slots: Semaphore,
}

impl Plugin {
    /// What it says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What it can be used as.
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

    /// Whether it had to be compiled; false: its code was kept from an earlier start.
    pub fn compiled(&self) -> bool {
        self.compiled
    }

    /// How long it took from its bytes until it could be called.
    pub fn load_time(&self) -> Duration {
        self.load_time
    }

    /// What is wrong with these parameters.
    pub fn check_parameters(&self, parameters: &Value) -> Vec<Mistake> {
        self.schema.check(parameters)
    }

    /// What is wrong with these parameters whatever the variables in them stand for.
    pub fn check_template_parameters(&self, parameters: &Value) -> Vec<Mistake> {
        self.schema.check_template(parameters)
    }

    /// Names of top-level parameters whose `{{` belongs to the plugin: the host replaces no variables in them. Their
    /// schema says `"x-hookwright-verbatim": true`.
    pub fn verbatim(&self) -> &[String] {
        self.schema.verbatim()
    }

    /// Asks a condition.
    pub async fn evaluate(&self, call: Call, event: &Event, parameters: &Value) -> Called<Verdict> {
        let parameters = parameters.to_string();
        match self.enter(call).await {
            Ok(mut visit) => {
                let wall = self.engine.options.wall;
                let answer =
                    tokio::time::timeout(wall, self.guest.evaluate(&mut visit.store, event, &parameters)).await;
                visit.leave(answer, wall)
            }
            Err(failure) => refused(failure),
        }
    }

    /// Runs an action.
    pub async fn run(&self, call: Call, event: &Event, parameters: &Value) -> Called<Outcome> {
        let parameters = parameters.to_string();
        match self.enter(call).await {
            Ok(mut visit) => {
                let wall = self.engine.options.wall;
                let answer = tokio::time::timeout(wall, self.guest.run(&mut visit.store, event, &parameters)).await;
                visit.leave(answer, wall)
            }
            Err(failure) => refused(failure),
        }
    }

    /// Applies a transform to a message.
    pub async fn apply(&self, call: Call, event: &Event, message: Message, parameters: &Value) -> Called<Transformed> {
        let parameters = parameters.to_string();
        match self.enter(call).await {
            Ok(mut visit) => {
                let wall = self.engine.options.wall;
                let work = self.guest.apply(&mut visit.store, event, &message, &parameters);
                let answer = tokio::time::timeout(wall, work).await;
                visit.leave(answer, wall)
            }
            Err(failure) => refused(failure),
        }
    }

    /// Hands a provider's request to a source.
    pub async fn receive(&self, call: Call, request: SourceRequest, parameters: &Value) -> Called<Reception> {
        let parameters = parameters.to_string();
        match self.enter(call).await {
            Ok(mut visit) => {
                let wall = self.engine.options.wall;
                let answer =
                    tokio::time::timeout(wall, self.guest.receive(&mut visit.store, &request, &parameters)).await;
                visit.leave(answer, wall)
            }
            Err(failure) => refused(failure),
        }
    }

    /// Waits for a free instance, for as long as a call may take.
    async fn enter(&self, call: Call) -> Result<Visit<'_>, Failure> {
        let options = &self.engine.options;
        // The plugin's own permit first, so that no plugin waits while it holds what others could use.
        let at_once = self.slots.try_acquire().ok().and_then(|own| Some((own, self.engine.slots.try_acquire().ok()?)));
        let permits = match at_once {
            Some(permits) => permits,
            None => {
                let waiting = async {
                    let own = self.slots.acquire().await.ok()?;
                    Some((own, self.engine.slots.acquire().await.ok()?))
                };
                let waited = tokio::time::timeout(options.wall, waiting).await;
                waited.ok().flatten().ok_or_else(|| stop::busy(options.wall))?
            }
        };
        let store = State::store(&self.engine.wasm, options, options.cpu, call);
        Ok(Visit { store, started: Instant::now(), _permits: permits })
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

/// A call under way. The store goes first when it is dropped: a permit is given back when its instance is.
struct Visit<'p> {
    store: Store<State>,
    started: Instant,
    _permits: (SemaphorePermit<'p>, SemaphorePermit<'p>),
}

impl Visit<'_> {
    /// Ends the call. What failed leaves no changes.
    fn leave<T>(self, answer: Result<Answered<T>, Elapsed>, wall: Duration) -> Called<T> {
        let duration = self.started.elapsed();
        let result = match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => Err(stop::failure_of(&error)),
            Err(_) => Err(stop::timeout(wall)),
        };
        let State { call, budget, log } = self.store.into_data();
        let usage = Usage { duration, memory_peak: budget.memory_peak, host_calls: budget.host_calls };
        let workbench = call.workbench.filter(|_| result.is_ok());
        Called { result, workbench, log: log.into_lines(), usage }
    }
}

fn refused<T>(failure: Failure) -> Called<T> {
    Called { result: Err(failure), workbench: None, log: Vec::new(), usage: Usage::default() }
}
