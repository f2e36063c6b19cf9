//! The three troubles of an event that did not do what somebody expected, in plain words: it triggered nothing, a condition
//! was not met, an attribute was missing.

use hookwright_model::{
    Automation, ConditionRecord, Event, EventPattern, Found, Run, RunState, Scope, SpaceId, StepOutcome, When,
};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{Pipeline, PipelineError};

/// What each automation made of an event, and why.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// The event's id.
    pub id: String,
    /// Its type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The event that it repeats, if somebody had it replayed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replays: Option<String>,
    /// Each automation, those that were considered first, then near misses.
    pub automations: Vec<Explained>,
}

/// What one automation made of an event.
#[derive(Clone, Debug, Serialize)]
pub struct Explained {
    /// Its id.
    pub automation: String,
    /// Its name.
    pub name: String,
    /// What it came to.
    pub verdict: Verdict,
    /// In one sentence.
    pub explanation: String,
    /// Whether its type is close to the event's, though it was not triggered.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub near: bool,
    /// Conditions that did not hold or could not be asked, expected beside actual.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<ExplainedCondition>,
}

/// What an automation made of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Its steps were, or are being, carried out.
    Fired,
    /// Its event types do not take the event's, or it is off.
    NotTriggered,
    /// A condition did not hold.
    ConditionNotMet,
    /// A condition, or a step, names what the event does not have.
    AttributeMissing,
    /// It fired, and a step failed.
    Failed,
    /// It is yet to be decided.
    Undecided,
}

/// A condition that did not hold.
#[derive(Clone, Debug, Serialize)]
pub struct ExplainedCondition {
    /// Where it stands, such as `when.all[0]`.
    pub path: String,
    /// The plugin.
    pub condition: String,
    /// What it was asked with.
    pub expected: Map<String, Value>,
    /// What the event has at the path that was asked for, if it has anything there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actual: Option<Value>,
    /// What was there instead, if it has not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
    /// The plugin's own reason.
    pub reason: String,
}

impl Pipeline {
    /// Explains what each automation made of an event.
    pub fn explain(&self, space: &SpaceId, seq: u64, event: &Event) -> Result<Explanation, PipelineError> {
        let close = |other: &Automation| other.on.iter().any(|wanted| near(wanted, &event.event_type));
        let story = self.story_with(space, seq, event, &close)?;
        let scope = Scope::new(event, space, self.now());
        let mut automations = Vec::new();
        for run in &story.runs {
            automations.push(explained(run, self.procedure(run).ok().as_deref(), &scope));
        }
        let others = story.not_considered.into_iter().map(|other| {
            let close = if other.near { "; that is close: is one of the two misspelt?" } else { "" };
            Explained {
                automation: other.automation,
                name: other.name,
                verdict: Verdict::NotTriggered,
                explanation: format!("it was not triggered: {}{close}", other.reason),
                near: other.near,
                conditions: Vec::new(),
            }
        });
        automations.extend(others);
        let replays = event.replays().map(|replay| replay.event.clone());
        Ok(Explanation { id: event.id.clone(), event_type: event.event_type.clone(), replays, automations })
    }
}

fn explained(run: &Run, automation: Option<&Automation>, scope: &Scope) -> Explained {
    let when = automation.and_then(|automation| automation.when.as_ref());
    let conditions: Vec<ExplainedCondition> = run
        .decision
        .conditions
        .iter()
        .filter(|asked| asked.holds != Some(true) && !run.decision.fired)
        .map(|asked| beside(asked, when, scope))
        .collect();
    let (verdict, explanation) = match run.state {
        _ if run.undecided() => (Verdict::Undecided, format!("it is yet to be decided: {}", run.decision.reason)),
        _ if !run.decision.fired => {
            let missing = conditions.iter().find_map(|one| Some((one, one.missing.as_ref()?)));
            match missing {
                Some((one, missing)) => (
                    Verdict::AttributeMissing,
                    format!("an attribute that {} asks for is missing: {missing}", one.path),
                ),
                None => (Verdict::ConditionNotMet, format!("a condition was not met: {}", run.decision.reason)),
            }
        }
        RunState::Failed => match failed(run) {
            Some((name, "variable.missing", message)) => (
                Verdict::AttributeMissing,
                format!("it fired; step `{name}` names an attribute that is missing: {message}"),
            ),
            Some((name, code, message)) => {
                (Verdict::Failed, format!("it fired; step `{name}` failed, {code}: {message}"))
            }
            None => (Verdict::Failed, "it fired, and a step failed".to_owned()),
        },
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

/// What a condition wanted beside what there was.
fn beside(asked: &ConditionRecord, when: Option<&When>, scope: &Scope) -> ExplainedCondition {
    let mut expected = Map::new();
    if let Some(when) = when {
        when.conditions("when", &mut |path, condition| {
            if path == asked.path {
                expected = condition.with.clone();
            }
        });
    }
    let path = expected.get("path").and_then(Value::as_str);
    let (actual, missing) = match (&asked.found, path) {
        (Some(Found::Value(value)), _) => (Some(value.clone()), None),
        (Some(Found::Missing(message)), _) => (None, Some(message.clone())),
        (found, Some(path)) => {
            let missing = |message: String| match found {
                Some(Found::NoRecord(said)) => said.clone(),
                _ => message,
            };
            let changes = expected.keys().any(|name| name.starts_with("changed"));
            // A path with brackets is another language than that of variables: the plugin's reason tells of it.
            match (!path.contains('[')).then(|| scope.find(&whole(path, scope))) {
                Some(Ok(value)) => (Some(value.clone()), None),
                // A field that changed may be named without the words that lead to it.
                Some(Err(error)) if !changes => (None, Some(missing(error.message))),
                _ => (None, None),
            }
        }
        (_, None) => (None, None),
    };
    ExplainedCondition {
        path: asked.path.clone(),
        condition: asked.condition.clone(),
        expected,
        actual,
        missing,
        reason: asked.reason.clone(),
    }
}

/// A condition's path as variables have it: it begins with the event, directly with a part of it, or with the payload's own
/// names.
fn whole(path: &str, scope: &Scope) -> String {
    match path.split('.').next().unwrap_or_default() {
        "event" | "analytics_event" => path.to_owned(),
        "data" | "id" | "type" | "source" | "subject" | "time" => format!("event.{path}"),
        "attributes" if scope.find("event.data.attributes").is_err() => format!("analytics_event.{path}"),
        _ => format!("event.data.{path}"),
    }
}

/// Whether a pattern that does not take a type could have been meant to.
fn near(wanted: &EventPattern, event_type: &str) -> bool {
    let fold = |text: &str| text.to_lowercase().replace(['-', '_', '/', ' '], ".");
    let (wanted, given) = (fold(wanted.as_str()), fold(event_type));
    if wanted == given {
        return true;
    }
    let wanted_words: Vec<&str> = wanted.split('.').filter(|word| *word != "*").collect();
    let given_words: Vec<&str> = given.split('.').collect();
    let same = wanted_words.iter().filter(|word| given_words.contains(word)).count();
    same > 0 && same.saturating_add(1) >= wanted_words.len().max(given_words.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_miss_differs_in_spelling_or_in_one_word() {
        for (wanted, given, is_near) in [
            ("jira.ticket_completed", "jira.ticket-completed", true),
            ("Jira.closed", "jira.closed", true),
            ("jira.issue.closed", "jira.issue.opened", true),
            ("jira.closed", "jira.opened", true),
            ("jira.issue.closed", "jira.page.opened", false),
            ("stripe.paid", "jira.closed", false),
        ] {
            assert_eq!(near(&wanted.parse().unwrap(), given), is_near, "{wanted} {given}");
        }
    }
}
