use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

use hookwright_model::{Cause, Condition, ConditionRecord, Decision, Event, Failure, Kind, SpaceId, When, Workbench};
use serde_json::Value;

use crate::Pipeline;
use crate::steps::{Scoping, rendered};

/// Asks the conditions of an automation, in order, until the answer is known.
pub(crate) async fn decide(pipeline: &Pipeline, space: &SpaceId, event: &Event, when: Option<&When>) -> Decision {
    let Some(when) = when else {
        return Decision { fired: true, reason: "there are no conditions".to_owned(), conditions: Vec::new() };
    };
    // Only read from: a condition sees the ticket that the event is about, and changes nothing.
    let workbench = pipeline.workbench(space, "hookwright", Cause::api());
    let mut asking =
        Asking { pipeline, space, event, scoping: Scoping::new(space, event), workbench, asked: Vec::new() };
    let answer = asking.ask(when, "when".to_owned()).await;
    let conditions = asking.asked;
    let last = conditions.last();
    let (fired, reason) = match (answer, last) {
        (Answer::Holds, _) => (true, "the conditions hold".to_owned()),
        (Answer::Fails, Some(last)) => (false, format!("{}: {}", last.path, last.reason)),
        (Answer::Fails, None) => (false, "no condition can hold: `any` is empty".to_owned()),
        (Answer::Broken, Some(last)) => (false, format!("{} could not be asked: {}", last.path, last.reason)),
        (Answer::Broken, None) => (false, "a condition could not be asked".to_owned()),
    };
    Decision { fired, reason, conditions }
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
}

struct Asking<'a> {
    pipeline: &'a Pipeline,
    space: &'a SpaceId,
    event: &'a Event,
    scoping: Scoping<'a>,
    workbench: Workbench,
    asked: Vec<ConditionRecord>,
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
                    Answer::Broken => Answer::Broken,
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
        let plugin = self.pipeline.registry.get(self.space, &condition.plugin);
        let version = plugin.as_ref().map(|plugin| plugin.manifest().version.clone());
        let result = match &plugin {
            Some(plugin) if plugin.kinds().contains(&Kind::Condition) => {
                match rendered(self.pipeline, plugin, &condition.with, &mut self.scoping, &mut self.workbench) {
                    Ok(parameters) => self.evaluate(plugin, &parameters).await,
                    Err(failure) => Err(failure),
                }
            }
            Some(_) => Err(Failure::permanent("plugin.wrong_kind", format!("`{}` is no condition", condition.plugin))),
            None => Err(Failure::permanent("plugin.absent", format!("there is no condition `{}`", condition.plugin))),
        };
        let (holds, reason) = match result {
            Ok(verdict) => (Some(verdict.holds), verdict.reason),
            Err(failure) => (None, failure.to_string()),
        };
        let duration_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let condition = condition.plugin.clone();
        self.asked.push(ConditionRecord { path, condition, version, holds, reason, duration_us });
        match holds {
            Some(true) => Answer::Holds,
            Some(false) => Answer::Fails,
            None => Answer::Broken,
        }
    }

    async fn evaluate(
        &self,
        plugin: &hookwright_plugin::Plugin,
        parameters: &Value,
    ) -> Result<hookwright_model::Verdict, Failure> {
        let call = self.pipeline.call(self.space);
        plugin.evaluate(call, self.event, parameters).await.result
    }
}
