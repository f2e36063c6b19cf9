//! Explains why an event did not have the expected effect: it triggered nothing, a condition was not met, or an attribute was
//! missing.

use hookwright_foundation::error::PipelineError;
use hookwright_model::{
    Automation, ConditionRecord, Event, Found, Run, RunState, Scope, SpaceId, StepOutcome, VariableError, When,
};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::story::{Stories, delivery_sentence, failed_steps};

/// The verdict of each automation and webhook on an event, with the reason.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// The event's id.
    pub id: String,
    /// Its type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The event that it replays, if it is a replay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replays: Option<String>,
    /// Each automation: first those that were considered, then near misses.
    pub automations: Vec<Explained>,
    /// Each webhook: first those that it was sent to, then near misses.
    pub webhooks: Vec<ExplainedWebhook>,
}

/// Whether one webhook received an event, and why.
#[derive(Clone, Debug, Serialize)]
pub struct ExplainedWebhook {
    /// Its id.
    pub webhook: String,
    /// The state of its delivery, or `not_sent`.
    pub verdict: &'static str,
    /// In one sentence.
    pub explanation: String,
    /// Whether it was not sent there, though its type fits or is close.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub near: bool,
}

/// The verdict of one automation on an event.
#[derive(Clone, Debug, Serialize)]
pub struct Explained {
    /// Its id.
    pub automation: String,
    /// Its name.
    pub name: String,
    /// The verdict.
    pub verdict: Verdict,
    /// In one sentence.
    pub explanation: String,
    /// Whether its type is close to the event's, though it was not triggered.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub near: bool,
    /// Conditions that did not hold or could not be evaluated, with expected and actual values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<ExplainedCondition>,
}

/// The verdict of an automation on an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Its steps were, or are being, executed.
    Fired,
    /// Its event types do not take the event's, or it is off.
    NotTriggered,
    /// A condition did not hold.
    ConditionNotMet,
    /// A condition or a step needs an attribute that the event does not have.
    AttributeMissing,
    /// A condition could not be evaluated; or it fired, and a step failed.
    Failed,
    /// It is not decided yet.
    Undecided,
}

/// A condition that did not hold.
#[derive(Clone, Debug, Serialize)]
pub struct ExplainedCondition {
    /// Its path, such as `when.all[0]`.
    pub path: String,
    /// The plugin.
    pub condition: String,
    /// Its parameters.
    pub expected: Map<String, Value>,
    /// The value of the event at the path of the condition, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actual: Option<Value>,
    /// What is missing, if there is no value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
    /// The reason that the plugin gave.
    pub reason: String,
}

impl Stories {
    /// Explains the verdict of each automation and webhook on an event.
    pub fn explain(&self, space: &SpaceId, seq: u64, event: &Event) -> Result<Explanation, PipelineError> {
        let story = self.story(space, seq, event)?;
        let scope = Scope::new(event, space, self.clock.now());
        let mut automations = Vec::new();
        for run in &story.runs {
            automations.push(explained(run, self.runs.procedure(run).ok().as_deref(), &scope));
        }
        let others = story.not_considered.into_iter().map(|other| {
            let close = other.closeness.as_ref().map(|close| format!("; {}", close.hint())).unwrap_or_default();
            Explained {
                automation: other.automation,
                name: other.name,
                verdict: Verdict::NotTriggered,
                explanation: format!("it was not triggered: {}{close}", other.reason),
                near: other.closeness.is_some(),
                conditions: Vec::new(),
            }
        });
        automations.extend(others);
        let sent = story.deliveries.iter().map(|one| ExplainedWebhook {
            webhook: one.view.delivery.webhook.to_string(),
            verdict: one.view.delivery.state.name(),
            explanation: delivery_sentence(&event.event_type, &one.view),
            near: false,
        });
        let not_sent = story.not_sent.iter().map(|one| ExplainedWebhook {
            webhook: one.webhook.to_string(),
            verdict: "not_sent",
            explanation: format!("`{}` was not sent to {}: {}.", event.event_type, one.name, one.reason),
            near: one.near,
        });
        let webhooks = sent.chain(not_sent).collect();
        let replays = event.replays().map(|replay| replay.event.clone());
        Ok(Explanation { id: event.id.clone(), event_type: event.event_type.clone(), replays, automations, webhooks })
    }
}

fn explained(run: &Run, automation: Option<&Automation>, scope: &Scope) -> Explained {
    let when = automation.and_then(|automation| automation.when.as_ref());
    let conditions: Vec<ExplainedCondition> = run
        .decision
        .conditions
        .iter()
        .filter(|evaluated| evaluated.holds != Some(true) && !run.decision.fired)
        .map(|evaluated| expected_and_actual(evaluated, when, scope))
        .collect();
    let (verdict, explanation) = match &run.state {
        _ if run.undecided() => (Verdict::Undecided, format!("it is not decided yet: {}", run.decision.reason)),
        _ if !run.decision.fired => {
            let missing = conditions.iter().find_map(|one| Some((one, one.missing.as_ref()?)));
            match missing {
                Some((one, missing)) => {
                    (Verdict::AttributeMissing, format!("an attribute that {} needs is missing: {missing}", one.path))
                }
                None if matches!(run.state, RunState::Failed { .. }) => {
                    (Verdict::Failed, format!("a condition could not be evaluated: {}", run.decision.reason))
                }
                None => (Verdict::ConditionNotMet, format!("a condition was not met: {}", run.decision.reason)),
            }
        }
        RunState::Failed { .. } => match failed(run) {
            Some((name, "variable.missing", message)) => {
                let mut failed = vec![format!("step `{name}` names an attribute that is missing: {message}")];
                failed.extend(failed_steps(run).into_iter().skip(1));
                (Verdict::AttributeMissing, format!("it fired; {}", failed.join("; ")))
            }
            Some(_) => (Verdict::Failed, format!("it fired; {}", failed_steps(run).join("; "))),
            None => (Verdict::Failed, "it fired, and a step failed".to_owned()),
        },
        RunState::Cancelled { .. } => (Verdict::Fired, "it fired, and its run was cancelled".to_owned()),
        state if state.live() => (Verdict::Fired, "it fired, and its run is in progress".to_owned()),
        _ => (Verdict::Fired, format!("it fired: {}", run.decision.reason)),
    };
    Explained {
        automation: run.automation.to_string(),
        name: run.automation_name.clone(),
        verdict,
        explanation,
        near: false,
        conditions,
    }
}

/// The first step that failed: name, code, message.
fn failed(run: &Run) -> Option<(&str, &str, &str)> {
    run.steps.iter().find_map(|step| match &step.outcome {
        StepOutcome::Failed { code, message, .. } => Some((step.name.as_str(), code.as_str(), message.as_str())),
        _ => None,
    })
}

/// A condition with expected and actual values.
fn expected_and_actual(evaluated: &ConditionRecord, when: Option<&When>, scope: &Scope) -> ExplainedCondition {
    let mut expected = Map::new();
    if let Some(when) = when {
        when.conditions("when", &mut |path, condition| {
            if path == evaluated.path {
                expected = condition.with.clone();
            }
        });
    }
    let path = expected.get("path").and_then(Value::as_str);
    let (actual, missing) = match (&evaluated.found, path) {
        (Some(Found::Value(value)), _) => (Some(value.clone()), None),
        (Some(Found::Missing(message)), _) => (None, Some(message.clone())),
        (found, Some(path)) => {
            let missing = |message: String| match found {
                Some(Found::NoRecord(reason)) => reason.clone(),
                _ => message,
            };
            let changes = expected.keys().any(|name| name.starts_with("changed"));
            // A path with brackets is not in the syntax of variables: the reason of the plugin explains it.
            match (!path.contains('[')).then(|| scope.find(&full_path(path, scope))) {
                Some(Ok(value)) => (Some(value.clone()), None),
                // A condition on a change may name a field without its full path.
                Some(Err(VariableError::Missing { message, .. })) if !changes => (None, Some(missing(message))),
                _ => (None, None),
            }
        }
        (_, None) => (None, None),
    };
    ExplainedCondition {
        path: evaluated.path.clone(),
        condition: evaluated.condition.clone(),
        expected,
        actual,
        missing,
        reason: evaluated.reason.clone(),
    }
}

/// The path of a condition as variables have it. It may begin with the event, with a part of it, or with a name in the
/// payload.
fn full_path(path: &str, scope: &Scope) -> String {
    match path.split('.').next().unwrap_or_default() {
        "event" | "analytics_event" => path.to_owned(),
        "data" | "id" | "type" | "source" | "subject" | "time" => format!("event.{path}"),
        "attributes" if scope.find("event.data.attributes").is_err() => format!("analytics_event.{path}"),
        _ => format!("event.data.{path}"),
    }
}
