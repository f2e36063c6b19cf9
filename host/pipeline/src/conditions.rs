use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use hookwright_model::{
    Cause, Condition, ConditionRecord, Decision, Effects, Event, Failure, Found, Kind, OnUnavailable, Verdict, When,
    Workbench,
};

use hookwright_plugin::Plugin;
use serde_json::Value;

use crate::Pipeline;
use crate::calling::Occasion;
use crate::parking::{Callable, Unavailable};
use crate::replay::{About, Said, came_to};
use crate::steps::{Scoping, rendered, right_kind};

/// Bytes of JSON of a value that is kept with a verdict.
const KEPT: usize = 1024;

/// Asks conditions, in order, until the answer is known, or until one cannot be asked for now.
pub(crate) async fn decide(
    pipeline: &Pipeline,
    occasion: Occasion<'_>,
    when: Option<&When>,
    on_unavailable: OnUnavailable,
) -> (Decision, Option<Unavailable>) {
    let Some(when) = when else {
        let reason = "there are no conditions".to_owned();
        return (Decision { fired: true, reason, conditions: Vec::new() }, None);
    };
    ask(pipeline, Scoping::new(occasion), when, "when", on_unavailable).await
}

/// The same for conditions that stand at `path`, with the variables that `scoping` knows.
pub(crate) async fn ask(
    pipeline: &Pipeline,
    scoping: Scoping<'_>,
    when: &When,
    path: &str,
    on_unavailable: OnUnavailable,
) -> (Decision, Option<Unavailable>) {
    // Only read from: a condition sees the ticket that the event is about, and changes nothing.
    let workbench = pipeline.workbench(scoping.occasion.space, "hookwright", Cause::api());
    let mut asking = Asking { pipeline, on_unavailable, scoping, workbench, asked: Vec::new(), waits: None };
    let answer = asking.ask(when, path.to_owned()).await;
    let (conditions, waits) = (asking.asked, asking.waits);
    let last = conditions.last();
    let (fired, reason) = match (answer, last) {
        (Answer::Holds, _) => (true, "the conditions hold".to_owned()),
        (Answer::Fails, Some(last)) => (false, format!("{}: {}", last.path, last.reason)),
        (Answer::Fails, None) => (false, "no condition can hold: `any` is empty".to_owned()),
        (Answer::Waits, _) => {
            let reason = waits.as_ref().map(|waits| waits.reason.as_str()).unwrap_or_default();
            (false, format!("it waits for a condition: {reason}"))
        }
        (Answer::Broken, Some(last)) => (false, format!("{} could not be asked: {}", last.path, last.reason)),
        (Answer::Broken, None) => (false, "a condition could not be asked".to_owned()),
    };
    (Decision { fired, reason, conditions }, waits)
}

/// Whether a decision came about because a condition could not be asked.
pub(crate) fn broken(decision: &Decision) -> bool {
    !decision.fired && decision.conditions.last().is_some_and(|last| last.holds.is_none())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Holds,
    Fails,
    /// A condition failed: nobody knows. Ends the asking, since doing nothing is safe and visible.
    Broken,
    /// A condition cannot be asked for now. Ends the asking too.
    Waits,
}

struct Asking<'a> {
    pipeline: &'a Pipeline,
    on_unavailable: OnUnavailable,
    scoping: Scoping<'a>,
    workbench: Workbench,
    asked: Vec<ConditionRecord>,
    waits: Option<Unavailable>,
}

impl<'a> Asking<'a> {
    fn ask<'b>(&'b mut self, when: &'b When, path: String) -> Pin<Box<dyn Future<Output = Answer> + Send + 'b>>
    where
        'a: 'b,
    {
        Box::pin(async move {
            match when {
                When::Condition(condition) => self.call(condition, path).await,
                When::Not(part) => match self.ask(part, format!("{path}.not")).await {
                    Answer::Holds => Answer::Fails,
                    Answer::Fails => Answer::Holds,
                    unknown => unknown,
                },
                When::All(parts) => {
                    for (place, part) in parts.iter().enumerate() {
                        let answer = self.ask(part, format!("{path}.all[{place}]")).await;
                        if answer != Answer::Holds {
                            return answer;
                        }
                    }
                    Answer::Holds
                }
                When::Any(parts) => {
                    for (place, part) in parts.iter().enumerate() {
                        let answer = self.ask(part, format!("{path}.any[{place}]")).await;
                        if answer != Answer::Fails {
                            return answer;
                        }
                    }
                    Answer::Fails
                }
            }
        })
    }

    async fn call(&mut self, condition: &Condition, path: String) -> Answer {
        let began = Instant::now();
        let callable = match self.pipeline.available(&self.scoping.occasion, &condition.plugin) {
            Ok(callable) => callable,
            Err(unavailable) => return self.unavailable(condition, path, unavailable),
        };
        let version = Some(callable.plugin.manifest().version.clone());
        let mut found = None;
        let result = self.evaluate(callable, condition, &path, &mut found).await;
        let (holds, reason) = match result {
            Ok(verdict) => (Some(verdict.holds), verdict.reason),
            Err(failure) => (None, failure.to_string()),
        };
        let duration_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let condition = condition.plugin.clone();
        self.asked.push(ConditionRecord { path, condition, version, holds, reason, found, duration_us });
        match holds {
            Some(true) => Answer::Holds,
            Some(false) => Answer::Fails,
            None => Answer::Broken,
        }
    }

    /// What a condition counts as that cannot be asked for now.
    fn unavailable(&mut self, condition: &Condition, path: String, unavailable: Unavailable) -> Answer {
        let (holds, answer, counts) = match self.on_unavailable {
            _ if unavailable.busy_until.is_some() => (None, Answer::Waits, "the run waits"),
            OnUnavailable::Park => (None, Answer::Waits, "the run waits"),
            OnUnavailable::Open => (Some(true), Answer::Holds, "it counts as holding"),
            OnUnavailable::Closed => (Some(false), Answer::Fails, "it counts as not holding"),
        };
        let reason = format!("{}; {counts}", unavailable.reason);
        let condition = condition.plugin.clone();
        let record = ConditionRecord { path, condition, version: None, holds, reason, found: None, duration_us: 0 };
        self.asked.push(record);
        if holds.is_none() {
            self.waits = Some(unavailable);
        }
        answer
    }

    async fn evaluate(
        &mut self,
        callable: Callable,
        condition: &Condition,
        path: &str,
        found: &mut Option<Found>,
    ) -> Result<Verdict, Failure> {
        let plugin = &callable.plugin;
        right_kind(plugin, Kind::Condition, &condition.plugin)?;
        let mut parameters = rendered(self.pipeline, plugin, &condition.with, &mut self.scoping, &mut self.workbench)?;
        let Occasion { space, event, .. } = self.scoping.occasion;
        *found = hand_over(plugin, event, &mut parameters, &mut self.workbench)?;
        let mut call = self.pipeline.call(space, &callable.access);
        let taping = self.pipeline.taping(&callable, &self.scoping.occasion);
        call.tape = taping.as_ref().map(|taping| Arc::clone(&taping.tape));
        let now = call.now;
        let called = plugin.evaluate(call, event, &parameters).await;
        self.pipeline.note_call(callable, space, &event.id, &called);
        if let Some(taping) = taping {
            let answer = called.result.as_ref().map(Said::Verdict);
            let came_to = came_to(answer, &Effects::default(), &taping.tape);
            let about = About {
                kind: Kind::Condition,
                place: path.to_owned(),
                automation: self.scoping.automation.clone(),
                now,
                source: "hookwright",
                parameters: &parameters,
                message: None,
            };
            self.pipeline.taken_down(taping, &self.scoping.occasion, about, came_to);
        }
        called.result
    }
}

/// Puts what paths into the record that the event is about lead to where the plugin's schema says; returns it, to be kept
/// with the verdict, unless it is long.
fn hand_over(
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
    Ok(last.filter(|found| !matches!(found, Found::Value(value) if value.to_string().len() > KEPT)))
}
