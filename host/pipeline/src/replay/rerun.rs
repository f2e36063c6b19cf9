//! A recorded call is made once more, by any version of the plugin: it gets the answers that were recorded, and nothing of
//! it is kept.

use std::sync::Arc;

use hookwright_model::{
    Author, Cause, Effects, Event, Failure, Kind, Outcome, SpaceId, Tape, TapedView, Verdict, Workbench,
};
use hookwright_plugin::{Access, Call, Plugin, Transformed};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::recorder::Recording;
use crate::Pipeline;
use crate::steps::right_kind;

/// What one version made of a recorded call.
pub(crate) struct Rerun {
    /// See [`came_to`].
    pub(crate) came_to: Value,
}

/// A plugin's answer, of whichever kind.
pub(crate) enum Said<'a> {
    Verdict(&'a Verdict),
    Outcome(&'a Outcome),
    Message(&'a Transformed),
}

/// What came of a call as an object that can be compared: the answer, what it would change, what it would tell, what it
/// sent. Ids of events are left out; everything else is the same if it is done again with the same answers of the host.
pub(crate) fn came_to(answer: Result<Said<'_>, &Failure>, effects: &Effects, tape: &Tape) -> Value {
    let mut seen = Map::new();
    match answer {
        Ok(Said::Verdict(verdict)) => {
            seen.insert("outcome".to_owned(), if verdict.holds { "holds" } else { "does not hold" }.into());
            seen.insert("reason".to_owned(), verdict.reason.as_str().into());
        }
        Ok(Said::Outcome(Outcome::Done(result))) => {
            seen.insert("outcome".to_owned(), "done".into());
            seen.insert("result".to_owned(), result.clone());
        }
        Ok(Said::Outcome(Outcome::Skipped(reason))) => {
            seen.insert("outcome".to_owned(), "skipped".into());
            seen.insert("reason".to_owned(), reason.as_str().into());
        }
        Ok(Said::Message(Transformed::Send(message))) => {
            seen.insert("outcome".to_owned(), "message".into());
            seen.insert("content_type".to_owned(), message.content_type.as_str().into());
            seen.insert("headers".to_owned(), json!(message.headers));
            seen.insert("body".to_owned(), body_of(&message.body));
        }
        Ok(Said::Message(Transformed::Drop(reason))) => {
            seen.insert("outcome".to_owned(), "dropped".into());
            seen.insert("reason".to_owned(), reason.as_str().into());
        }
        Err(failure) => {
            seen.insert("outcome".to_owned(), "failed".into());
            seen.insert("code".to_owned(), failure.code.as_str().into());
            seen.insert("reason".to_owned(), failure.message.as_str().into());
            seen.insert("retry_after_ms".to_owned(), failure.retry_after_ms.into());
        }
    }
    if !effects.changes.is_empty() {
        seen.insert("effects".to_owned(), json!(effects.changes));
    }
    if !effects.events.is_empty() {
        let events = effects.events.iter().map(|new| {
            let Event { event_type, source, subject, .. } = &new.event;
            json!({"type": event_type, "source": source, "subject": subject, "data": new.event.data_value()})
        });
        seen.insert("events".to_owned(), events.collect());
    }
    let requests = tape.requests();
    if !requests.is_empty() {
        seen.insert("requests".to_owned(), json!(requests));
    }
    Value::Object(seen)
}

/// A body as a value: JSON as such, text as text, anything else by its digest.
fn body_of(body: &[u8]) -> Value {
    if let Ok(value) = serde_json::from_slice(body) {
        return value;
    }
    match std::str::from_utf8(body) {
        Ok(text) => text.into(),
        Err(_) => format!("{} bytes, sha256 {}", body.len(), hex::encode(Sha256::digest(body))).into(),
    }
}

/// Names what came of a call without being it.
pub(crate) fn digest_of(came_to: &Value) -> String {
    hex::encode(Sha256::digest(came_to.to_string().as_bytes()))
}

impl Pipeline {
    /// Makes a recorded call with this version of the plugin. None: the recording lacks what that needs.
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
        let mut workbench = Workbench::new(Arc::new(view), space.clone(), recording.now, &recording.source, cause);
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
            mistake.map_or(Ok(()), |mistake| Err(Failure::permanent("parameters.invalid", mistake.to_string())))
        });
        let none = Effects::default();
        if let Err(failure) = fits {
            return Some(Rerun { came_to: came_to(Err(&failure), &none, &tape) });
        }
        let mut seen = match recording.kind {
            Kind::Condition => {
                let called = plugin.evaluate(call, event, parameters).await;
                came_to(called.result.as_ref().map(Said::Verdict), &none, &tape)
            }
            Kind::Transform => {
                let message = recording.message.as_ref()?.message();
                let called = plugin.apply(call, event, message, parameters).await;
                came_to(called.result.as_ref().map(Said::Message), &none, &tape)
            }
            Kind::Action => {
                let called = plugin.run(Call { workbench: Some(workbench), ..call }, event, parameters).await;
                let effects = called.workbench.map(|bench| self.catalogue.finish(bench)).unwrap_or_default();
                let result = called.result.and_then(|outcome| self.strictly(&effects).map(|()| outcome));
                let effects = if result.is_ok() { &effects } else { &none };
                came_to(result.as_ref().map(Said::Outcome), effects, &tape)
            }
            Kind::Source => return None,
        };
        let anew = tape.anew();
        if let (false, Some(seen)) = (anew.is_empty(), seen.as_object_mut()) {
            seen.insert("asked_for_something_else".to_owned(), json!(anew));
        }
        Some(Rerun { came_to: seen })
    }

    /// Refuses effects with an event that does not fit the schema of its type, where that is wanted.
    pub(crate) fn strictly(&self, effects: &Effects) -> Result<(), Failure> {
        for new in &effects.events {
            let checked = self.strict.check(&new.event, "data");
            checked.map_err(|error| Failure::permanent(error.code(), error.to_string()))?;
        }
        Ok(())
    }
}
