//! A component of whichever version, ready to be called.

use async_trait::async_trait;
use hookwright_model::{Event, Failure, Outcome, Verdict};
use wasmtime::Store;

use crate::exchange::{Message, Reception, SourceRequest, Transformed};
use crate::manifest::Described;
use crate::state::State;

/// What came of a call that ran to its end: the plugin's answer, or its failure, or an answer that is not acceptable.
pub(crate) type Answered<T> = wasmtime::Result<Result<T, Failure>>;

/// Why a first instance could not be made and asked.
pub(crate) enum Introduction {
    /// An export has another type than the WIT says.
    Mismatch(wasmtime::Error),
    /// Instantiating it or calling `describe` failed.
    Failed(wasmtime::Error),
}

/// One version of one component. Every method makes a fresh instance in `store`, which must be new.
#[async_trait]
pub(crate) trait Guest: Send + Sync {
    /// Checks the types of all exports and calls `describe`.
    async fn introduce(&self, store: &mut Store<State>) -> Result<Described, Introduction>;
    /// Calls a condition.
    async fn evaluate(&self, store: &mut Store<State>, event: &Event, parameters: &str) -> Answered<Verdict>;
    /// Calls an action.
    async fn run(&self, store: &mut Store<State>, event: &Event, parameters: &str) -> Answered<Outcome>;
    /// Calls a transform.
    async fn apply(
        &self,
        store: &mut Store<State>,
        event: &Event,
        message: &Message,
        parameters: &str,
    ) -> Answered<Transformed>;
    /// Calls a source.
    async fn receive(&self, store: &mut Store<State>, request: &SourceRequest, parameters: &str)
    -> Answered<Reception>;
}
