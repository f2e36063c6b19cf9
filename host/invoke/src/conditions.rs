//! Evaluates conditions: those of an automation, which decide whether it fires, and those of a step.

use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

use hookwright_model::{
    Cause, Condition, ConditionRecord, Decision, Event, Failure, Found, Kind, OnUnavailable, Verdict, When, Workbench,
};
use hookwright_plugin::Plugin;
use serde_json::Value;

use crate::callable::{Callable, Unavailable};
use crate::calls::Invoke;
use crate::occasion::Occasion;
use crate::recording::Site;
use crate::rendering::{Rendered, Scoping, rendered};

/// The size of a value that is stored with a verdict, at most, in bytes of JSON.
const MAX_FOUND_BYTES: usize = 1024;

/// Evaluates conditions in order, until the decision is known, or until one is not available.
pub async fn decide(
    invoke: &Invoke,
    occasion: Occasion<'_>,
    when: Option<&When>,
    on_unavailable: OnUnavailable,
) -> (Decision, Option<Unavailable>) {
    let Some(when) = when else {
        let reason = "there are no conditions".to_owned();
        return (Decision { fired: true, reason, conditions: Vec::new() }, None);
    };
    evaluate_at(invoke, Scoping::new(occasion), when, "when", on_unavailable).await
}

/// The same for conditions at `path`, with the variables of `scoping`.
pub async fn evaluate_at(
    invoke: &Invoke,
    scoping: Scoping<'_>,
    when: &When,
    path: &str,
    on_unavailable: OnUnavailable,
) -> (Decision, Option<Unavailable>) {
    // Only read from: a condition sees the record that the event is about, and changes nothing.
    let workbench = invoke.workbench(scoping.occasion.space, "hookwright", Cause::api());
    let mut evaluation = Evaluation { invoke, on_unavailable, scoping, workbench, evaluated: Vec::new(), waits: None };
    let result = evaluation.evaluate(when, path.to_owned()).await;
    let (conditions, waits) = (evaluation.evaluated, evaluation.waits);
    let last = conditions.last();
    let (fired, reason) = match (result, last) {
        (ConditionResult::Holds, _) => (true, "the conditions hold".to_owned()),
        (ConditionResult::DoesNotHold, Some(last)) => (false, format!("{}: {}", last.path, last.reason)),
        (ConditionResult::DoesNotHold, None) => (false, "no condition can hold: `any` is empty".to_owned()),
        (ConditionResult::Waits, _) => {
            let reason = waits.as_ref().map(|waits| waits.reason.as_str()).unwrap_or_default();
            (false, format!("waiting for a condition: {reason}"))
        }
        (ConditionResult::Failed, Some(last)) => {
            (false, format!("{} could not be evaluated: {}", last.path, last.reason))
        }
        (ConditionResult::Failed, None) => (false, "a condition could not be evaluated".to_owned()),
    };
    (Decision { fired, reason, conditions }, waits)
}

/// Whether a decision was made because a condition could not be evaluated.
pub fn evaluation_failed(decision: &Decision) -> bool {
    !decision.fired && decision.conditions.last().is_some_and(|last| last.holds.is_none())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ConditionResult {
    Holds,
    DoesNotHold,
    /// A condition failed, so the result is unknown. Stops the evaluation, since to do nothing is safe and visible.
    Failed,
    /// The plugin of a condition is not available. Stops the evaluation too.
    Waits,
}

struct Evaluation<'a> {
    invoke: &'a Invoke,
    on_unavailable: OnUnavailable,
    scoping: Scoping<'a>,
    workbench: Workbench,
    evaluated: Vec<ConditionRecord>,
    waits: Option<Unavailable>,
}

impl<'a> Evaluation<'a> {
    fn evaluate<'b>(
        &'b mut self,
        when: &'b When,
        path: String,
    ) -> Pin<Box<dyn Future<Output = ConditionResult> + Send + 'b>>
    where
        'a: 'b,
    {
        Box::pin(async move {
            match when {
                When::Condition(condition) => self.evaluate_condition(condition, path).await,
                When::Not(part) => match self.evaluate(part, format!("{path}.not")).await {
                    ConditionResult::Holds => ConditionResult::DoesNotHold,
                    ConditionResult::DoesNotHold => ConditionResult::Holds,
                    unknown => unknown,
                },
                When::All(parts) => {
                    for (index, part) in parts.iter().enumerate() {
                        let result = self.evaluate(part, format!("{path}.all[{index}]")).await;
                        if result != ConditionResult::Holds {
                            return result;
                        }
                    }
                    ConditionResult::Holds
                }
                When::Any(parts) => {
                    for (index, part) in parts.iter().enumerate() {
                        let result = self.evaluate(part, format!("{path}.any[{index}]")).await;
                        if result != ConditionResult::DoesNotHold {
                            return result;
                        }
                    }
                    ConditionResult::DoesNotHold
                }
            }
        })
    }

    async fn evaluate_condition(&mut self, condition: &Condition, path: String) -> ConditionResult {
        let began = Instant::now();
        let callable = match self.invoke.available(&self.scoping.occasion, &condition.plugin) {
            Ok(callable) => callable,
            Err(unavailable) => return self.unavailable(condition, path, unavailable),
        };
        let version = Some(callable.plugin.manifest().version.clone());
        let mut found = None;
        let result = self.call_plugin(callable, condition, &path, &mut found).await;
        let (holds, reason) = match result {
            Ok(verdict) => (Some(verdict.holds), verdict.reason),
            Err(failure) => (None, failure.to_string()),
        };
        let duration_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let condition = condition.plugin.clone();
        self.evaluated.push(ConditionRecord { path, condition, version, holds, reason, found, duration_us });
        match holds {
            Some(true) => ConditionResult::Holds,
            Some(false) => ConditionResult::DoesNotHold,
            None => ConditionResult::Failed,
        }
    }

    /// The result of a condition whose plugin is not available, by `on_unavailable`.
    fn unavailable(&mut self, condition: &Condition, path: String, unavailable: Unavailable) -> ConditionResult {
        let (holds, result, counts) = match self.on_unavailable {
            _ if unavailable.busy_until.is_some() => (None, ConditionResult::Waits, "the run waits"),
            OnUnavailable::Park => (None, ConditionResult::Waits, "the run waits"),
            OnUnavailable::Open => (Some(true), ConditionResult::Holds, "it counts as holding"),
            OnUnavailable::Closed => (Some(false), ConditionResult::DoesNotHold, "it counts as not holding"),
        };
        let reason = format!("{}; {counts}", unavailable.reason);
        let condition = condition.plugin.clone();
        let record = ConditionRecord { path, condition, version: None, holds, reason, found: None, duration_us: 0 };
        self.evaluated.push(record);
        if holds.is_none() {
            self.waits = Some(unavailable);
        }
        result
    }

    async fn call_plugin(
        &mut self,
        callable: Callable,
        condition: &Condition,
        path: &str,
        found: &mut Option<Found>,
    ) -> Result<Verdict, Failure> {
        let mut invocation = self.invoke.prepare(callable, self.scoping.occasion, Kind::Condition)?;
        let plugin = invocation.plugin();
        let Rendered { mut parameters, names_from_data } =
            rendered(self.invoke, plugin, &condition.with, &mut self.scoping, &mut self.workbench)?;
        *found = insert_related(plugin, self.scoping.occasion.event, &mut parameters, &mut self.workbench)?;
        invocation.call.names_from_data = names_from_data;
        let (changed_at, automation) = (invocation.call.now, &self.scoping.automation);
        let site = || Site { place: path.to_owned(), automation: automation.clone(), changed_at, source: "hookwright" };
        self.invoke.evaluate(invocation, &parameters, site).await
    }
}

/// Resolves the paths in the parameters that lead into the record of the event, and inserts what they lead to where the
/// plugin's schema says. Returns the last value found, which is stored with the verdict unless it is too large.
fn insert_related(
    plugin: &Plugin,
    event: &Event,
    parameters: &mut Value,
    workbench: &mut Workbench,
) -> Result<Option<Found>, Failure> {
    let mut last = None;
    for (name, filled) in plugin.paths() {
        let Some(path) = parameters.get(name).and_then(Value::as_str) else { continue };
        let found = workbench.related(plugin.record_of(parameters, event), path)?;
        if let (Some(found), Some(parameters)) = (found, parameters.as_object_mut()) {
            parameters.insert(filled.clone(), found.handed_over());
            last = Some(found);
        }
    }
    Ok(last.filter(|found| !matches!(found, Found::Value(value) if value.to_string().len() > MAX_FOUND_BYTES)))
}
