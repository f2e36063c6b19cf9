//! A component of whichever version, ready to be called, and what makes it so.

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
    /// Makes a component that exports these kinds of it ready to be called.
    pub(crate) open: Open,
}

/// Looks up the exports that the kinds need.
type Open = fn(InstancePre<State>, &[Kind]) -> wasmtime::Result<Box<dyn Guest>>;

/// What came of a call that ran to its end: the plugin's answer, or its failure, or an answer that is not acceptable.
pub(crate) type Answered<T> = wasmtime::Result<Result<T, Failure>>;

/// Why a first instance could not be made and asked.
pub(crate) enum Introduction {
    /// An export has another type than the WIT says.
    Mismatch(wasmtime::Error),
    /// Instantiating it or calling `describe` failed.
    Failed(wasmtime::Error),
}

/// One version of one component. Every call takes an instance in the store that it was made in.
#[async_trait]
pub(crate) trait Guest: Send + Sync {
    /// Checks the types of all exports and calls `describe`.
    async fn introduce(&self, store: &mut Store<State>) -> Result<Described, Introduction>;
    /// Makes an instance.
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
