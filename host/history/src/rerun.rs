//! Repeats a recorded call with any version of the plugin: it gets the recorded answers of the host, and nothing is stored.

use std::sync::Arc;

use hookwright_invoke::call_result::{PluginAnswer, comparable_result};
use hookwright_invoke::callable::right_kind;
use hookwright_invoke::recording::Recording;
use hookwright_model::{Author, Cause, Effects, Event, Failure, Kind, SpaceId, Tape, TapedView, Workbench};
use hookwright_plugin::{Access, Call, Plugin};
use hookwright_routing::catalogue::Catalogue;
use hookwright_routing::planning::Routing;
use hookwright_store::Store;
use serde_json::{Value, json};

/// The result of one version for a recorded call.
pub(crate) struct Rerun {
    /// See [`comparable_result`].
    pub(crate) result: Value,
}

/// Repeats recorded calls.
pub(crate) struct Reruns {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) store: Store,
    pub(crate) routing: Arc<Routing>,
}

impl Reruns {
    /// Repeats a recorded call with this version of the plugin. `None`: the recording is incomplete.
    pub(crate) async fn rerun(
        &self,
        space: &SpaceId,
        plugin: &Plugin,
        access: &Arc<Access>,
        event: &Event,
        recording: &Recording,
    ) -> Option<Rerun> {
        let tape = Arc::new(Tape::playing(recording.tape.clone()?));
        let view = TapedView { view: Arc::new(self.store.clone()), tape: Arc::clone(&tape) };
        let cause = recording.run.map_or_else(Cause::api, |run| Cause::of(event, run));
        let changed_at = recording.changed_at.unwrap_or(recording.now);
        let mut workbench = Workbench::new(Arc::new(view), space.clone(), changed_at, &recording.source, cause);
        workbench.sign(Author {
            automation: recording.automation.clone(),
            run: recording.run.map(|run| run.to_string()),
            plugin: Some(access.plugin.clone()),
            ..Author::default()
        });
        let call = Call {
            workflows: Some(Arc::clone(&self.catalogue) as Arc<dyn hookwright_plugin::Workflows>),
            tape: Some(Arc::clone(&tape)),
            ..Call::new(space.clone(), recording.now, Arc::clone(access))
        };
        let parameters = &recording.parameters;
        let fits = right_kind(plugin, recording.kind, &access.plugin).and_then(|()| {
            let mistake = plugin.check_parameters(parameters).into_iter().next();
            mistake.map_or(Ok(()), |mistake| Err(Failure::permanent(Failure::PARAMETERS_INVALID, mistake.to_string())))
        });
        let none = Effects::default();
        if let Err(failure) = fits {
            return Some(Rerun { result: comparable_result(Err(&failure), &none, &tape) });
        }
        let mut seen = match recording.kind {
            Kind::Condition => {
                let called = plugin.evaluate(call, event, parameters).await;
                comparable_result(called.result.as_ref().map(PluginAnswer::Verdict), &none, &tape)
            }
            Kind::Transform => {
                let message = recording.message.as_ref()?.message();
                let called = plugin.apply(call, event, message, parameters).await;
                comparable_result(called.result.as_ref().map(PluginAnswer::Message), &none, &tape)
            }
            Kind::Action => {
                let called = plugin.run(Call { workbench: Some(workbench), ..call }, event, parameters).await;
                let effects = called.workbench.map(|bench| self.catalogue.finish(bench)).unwrap_or_default();
                let result = called.result.and_then(|outcome| self.routing.check_schemas(&effects).map(|()| outcome));
                let effects = if result.is_ok() { &effects } else { &none };
                comparable_result(result.as_ref().map(PluginAnswer::Outcome), effects, &tape)
            }
            Kind::Source => return None,
        };
        let anew = tape.anew();
        if let (false, Some(seen)) = (anew.is_empty(), seen.as_object_mut()) {
            seen.insert("asked_for_something_else".to_owned(), json!(anew));
        }
        Some(Rerun { result: seen })
    }
}
