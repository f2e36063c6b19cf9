//! One call of a plugin: what it can reach, how its result is counted, and what is recorded of it. What all calls have in
//! common, of conditions, actions, transforms and sources, is here.

use std::sync::Arc;

use hookwright_model::{Effects, Failure, Kind, Outcome, Source, Tape, Verdict, Workbench};
use hookwright_plugin::{Call, Called, Held, Message, Plugin, Reception, SourceRequest, Transformed};
use serde_json::Value;

use crate::call_result::{PluginAnswer, comparable_result};
use crate::callable::{Callable, right_kind};
use crate::calls::Invoke;
use crate::occasion::Occasion;
use crate::recording::{CallDetails, RecordedMessage, Site};
use crate::tapes::OngoingRecording;

/// A prepared call for an event, of a plugin of the right kind.
pub struct Invocation<'a> {
    callable: Callable,
    occasion: Occasion<'a>,
    recording: Option<OngoingRecording>,
    /// What the plugin can reach. The caller adds what is specific to its kind of call.
    pub call: Call,
}

/// A call that has ended and is counted: breaker, rollout and logs have its result.
pub struct Invoked<'a, T> {
    /// The plugin's answer, or why there is none.
    pub result: Result<T, Failure>,
    /// The changes that it requested.
    pub workbench: Option<Workbench>,
    /// What it logged.
    pub log: Vec<String>,
    /// The memory of its changes.
    pub held: Option<Held>,
    /// The recording, to be completed once the answer is checked.
    pub record: Record<'a>,
}

/// A recording without its result.
pub struct Record<'a>(Option<(OngoingRecording, Occasion<'a>, CallDetails<'a>)>);

impl<'a> Invocation<'a> {
    /// The plugin that is called.
    pub fn plugin(&self) -> &Arc<Plugin> {
        &self.callable.plugin
    }

    /// The tape of the host's answers, if the call is recorded.
    pub fn tape(&self) -> Option<&Arc<Tape>> {
        self.recording.as_ref().map(|recording| &recording.tape)
    }

    /// The record of the call, if it is recorded: only then is it put together.
    fn record(
        &mut self,
        kind: Kind,
        parameters: &'a Value,
        site: impl FnOnce() -> Site<'a>,
        message: impl FnOnce() -> Option<RecordedMessage>,
    ) -> Record<'a> {
        let (occasion, now) = (self.occasion, self.call.now);
        Record(self.recording.take().map(|recording| {
            let details = CallDetails { kind, site: site(), now, parameters, message: message() };
            (recording, occasion, details)
        }))
    }
}

impl Invoke {
    /// Prepares a call of a plugin as this kind, for an event.
    pub fn prepare<'a>(
        &self,
        callable: Callable,
        occasion: Occasion<'a>,
        kind: Kind,
    ) -> Result<Invocation<'a>, Failure> {
        right_kind(&callable.plugin, kind, &callable.access.plugin)?;
        let call = self.call(occasion.space, &callable.access);
        Ok(Invocation { callable, occasion, recording: None, call })
    }

    /// Starts the recording of a call, if it is to have one. That is last, since it counts against the plugin's quota: a call
    /// whose parameters cannot be filled in is not made. Only an action needs it earlier, as what is read for its
    /// parameters is recorded too.
    pub fn start_recording(&self, invocation: &mut Invocation<'_>) {
        invocation.recording = self.tapes.start_recording(&invocation.callable, &invocation.occasion);
        invocation.call.tape = invocation.recording.as_ref().map(|recording| Arc::clone(&recording.tape));
    }

    /// Evaluates a condition.
    pub(crate) async fn evaluate<'a>(
        &self,
        mut invocation: Invocation<'a>,
        parameters: &'a Value,
        site: impl FnOnce() -> Site<'a>,
    ) -> Result<Verdict, Failure> {
        self.start_recording(&mut invocation);
        let record = invocation.record(Kind::Condition, parameters, site, || None);
        let Invocation { callable, occasion, call, .. } = invocation;
        let shared = occasion.shared.cloned();
        let called = callable.plugin.evaluate_with(call, occasion.event, parameters, shared).await;
        let invoked = self.ended(callable, occasion, called, record);
        self.record(invoked.record, invoked.result.as_ref().map(PluginAnswer::Verdict), &Effects::default());
        invoked.result
    }

    /// Runs an action, whose recording has started if it has one. Its changes are not checked yet, so the caller
    /// completes the record.
    pub async fn run<'a>(
        &self,
        mut invocation: Invocation<'a>,
        parameters: &'a Value,
        site: impl FnOnce() -> Site<'a>,
    ) -> Invoked<'a, Outcome> {
        let record = invocation.record(Kind::Action, parameters, site, || None);
        let Invocation { callable, occasion, call, .. } = invocation;
        let called = callable.plugin.run(call, occasion.event, parameters).await;
        self.ended(callable, occasion, called, record)
    }

    /// Applies a transform to a message. Returns its log too.
    pub async fn apply<'a>(
        &self,
        mut invocation: Invocation<'a>,
        parameters: &'a Value,
        message: Message,
        site: impl FnOnce() -> Site<'a>,
    ) -> (Result<Transformed, Failure>, Vec<String>) {
        self.start_recording(&mut invocation);
        let record = invocation.record(Kind::Transform, parameters, site, || Some(RecordedMessage::of(&message)));
        let Invocation { callable, occasion, call, .. } = invocation;
        let called = callable.plugin.apply(call, occasion.event, message, parameters).await;
        let invoked = self.ended(callable, occasion, called, record);
        self.record(invoked.record, invoked.result.as_ref().map(PluginAnswer::Message), &Effects::default());
        (invoked.result, invoked.log)
    }

    /// Has the plugin of a source process a request. There is no event yet, and nothing is recorded.
    pub async fn receive(
        &self,
        callable: Callable,
        source: &Source,
        call: Call,
        request: SourceRequest,
        parameters: &Value,
    ) -> Called<Reception> {
        let called = callable.plugin.receive(call, request, parameters).await;
        self.account_for(callable, &source.space, &source.name, &called);
        called
    }

    fn ended<'a, T>(
        &self,
        callable: Callable,
        occasion: Occasion<'a>,
        called: Called<T>,
        record: Record<'a>,
    ) -> Invoked<'a, T> {
        self.account_for(callable, occasion.space, &occasion.event.id, &called);
        let Called { result, workbench, log, held, .. } = called;
        Invoked { result, workbench, log, held, record }
    }

    /// Completes the record of a call with its checked answer and its changes.
    pub fn record(&self, record: Record<'_>, answer: Result<PluginAnswer<'_>, &Failure>, effects: &Effects) {
        let Some((recording, occasion, details)) = record.0 else { return };
        let result = comparable_result(answer, effects, &recording.tape);
        self.tapes.finish_recording(recording, &occasion, details, result);
    }
}
