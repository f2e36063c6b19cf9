//! Loaded components of any WIT version.

use async_trait::async_trait;
use hookwright_model::{Event, Failure, Kind, Outcome, Verdict};
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

use crate::exchange::{Message, Reception, SourceRequest, Transformed};
use crate::manifest::Described;
use crate::state::State;

/// A version of the WIT package.
pub(crate) struct WitVersion {
    /// Such as `0.1.0`.
    pub(crate) name: &'static str,
    /// Prepares a component that exports these kinds to be called.
    pub(crate) open: Open,
}

/// Looks up the exports that the kinds need.
type Open = fn(InstancePre<State>, &[Kind]) -> wasmtime::Result<Box<dyn Guest>>;

/// The result of a call that ran to its end: the plugin's result, its failure, or a result that is not valid.
pub(crate) type Answered<T> = wasmtime::Result<Result<T, Failure>>;

/// The reason for which a first instance could not be created or described.
pub(crate) enum Introduction {
    /// An export does not have the type that the WIT declares.
    Mismatch(wasmtime::Error),
    /// Instantiation or the call of `describe` failed.
    Failed(wasmtime::Error),
}

/// One version of one component. Every call takes an instance in the store in which it was created.
#[async_trait]
pub(crate) trait Guest: Send + Sync {
    /// Checks the types of all exports and calls `describe`.
    async fn introduce(&self, store: &mut Store<State>) -> Result<Described, Introduction>;
    /// Creates an instance.
    async fn instantiate(&self, store: &mut Store<State>) -> wasmtime::Result<Instance>;
    /// Calls a condition.
    async fn evaluate(&self, live: Live<'_>, event: &Event, parameters: &str) -> Answered<Verdict>;
    /// Calls an action.
    async fn run(&self, live: Live<'_>, event: &Event, parameters: &str) -> Answered<Outcome>;
    /// Calls a transform.
    async fn apply(&self, live: Live<'_>, event: &Event, message: &Message, parameters: &str) -> Answered<Transformed>;
    /// Calls a source.
    async fn receive(&self, live: Live<'_>, request: &SourceRequest, parameters: &str) -> Answered<Reception>;
}

/// An instance in its store.
pub(crate) struct Live<'s> {
    pub(crate) store: &'s mut Store<State>,
    pub(crate) instance: Instance,
}
