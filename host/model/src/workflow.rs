//! Workflows: named, versioned lists of steps that are started with an input.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::nullable::{given, required};
use crate::step::{check_steps, plugins_of, repeated_names, sent_steps};
use crate::variables::Names;
use crate::{Automation, AutomationId, Concurrency, Creates, Mistake, Mistakes, OnUnavailable, Step, Timestamp};

/// The type of the event that starts a workflow.
pub const WORKFLOW_STARTED: &str = "workflow.started";
/// The prefix of a workflow's name where an automation's id is expected.
const PREFIX: &str = "workflow/";
/// Maximum size of an input's schema, in bytes.
const MAX_SCHEMA: usize = 64 * 1024;

/// A named list of steps that is started with an input, by an action, the API or a schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Workflow {
    /// 1 to 64 of a-z, 0-9, - and _.
    pub name: String,
    /// Its description.
    #[serde(default)]
    pub description: String,
    /// Incremented by each change. A run executes the version that it was started with.
    pub version: u32,
    /// JSON Schema (2020-12) of its input. Empty: any input.
    #[serde(default)]
    pub input: Map<String, Value>,
    /// Its steps, in order.
    pub steps: Vec<Step>,
    /// What happens while a plugin that it needs is unavailable.
    #[serde(default, skip_serializing_if = "OnUnavailable::is_default")]
    pub on_unavailable: OnUnavailable,
    /// How many of its runs may be in progress at a time. `None`: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,
    /// Whether it is enabled. A disabled workflow cannot be started.
    pub enabled: bool,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// The input that creates or changes a workflow. An absent field keeps its value, null restores the default.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkflowInput {
    /// See [`Workflow::name`]. It cannot be changed.
    #[serde(default, deserialize_with = "required")]
    pub name: Option<String>,
    /// See [`Workflow::description`].
    #[serde(default, deserialize_with = "given")]
    pub description: Option<Option<String>>,
    /// See [`Workflow::input`].
    #[serde(default, deserialize_with = "given")]
    pub input: Option<Option<Map<String, Value>>>,
    /// See [`Workflow::steps`].
    #[serde(default, deserialize_with = "sent_steps")]
    pub steps: Option<Vec<Step>>,
    /// See [`Workflow::on_unavailable`].
    #[serde(default, deserialize_with = "given")]
    pub on_unavailable: Option<Option<OnUnavailable>>,
    /// See [`Workflow::concurrency`].
    #[serde(default, deserialize_with = "given")]
    pub concurrency: Option<Option<Concurrency>>,
    /// See [`Workflow::enabled`].
    #[serde(default, deserialize_with = "given")]
    pub enabled: Option<Option<bool>>,
}

impl Creates for WorkflowInput {
    fn missing(has: &dyn Fn(&str) -> bool) -> Mistakes {
        let fields =
            [("name", "is missing: 1 to 64 of a-z, 0-9, - and _"), ("steps", "is missing: the steps to execute")];
        Mistakes::of_missing(&fields, has)
    }
}

/// The workflow that an event starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowStart {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// How many of its runs may be in progress at a time.
    pub concurrency: Option<Concurrency>,
}

impl Workflow {
    /// The id that its runs have in place of an automation's.
    pub fn id(name: &str) -> AutomationId {
        AutomationId::from(format!("{PREFIX}{name}").as_str())
    }

    /// Whether a workflow can have this name.
    pub fn check_name(name: &str) -> Result<(), Mistake> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        if (1..=64).contains(&name.len()) && name.bytes().all(plain) {
            return Ok(());
        }
        let shown = crate::abridged(name);
        Err(Mistake::new("name", format!("`{shown}` is not a valid workflow name: give 1 to 64 of a-z, 0-9, - and _")))
    }

    /// Its validation errors, without those about plugins.
    pub fn check(&self) -> Result<(), Mistakes> {
        let mut mistakes = Mistakes::default();
        mistakes.0.extend(Self::check_name(&self.name).err());
        if self.description.len() > 16_384 {
            mistakes.add("description", format!("has {} bytes: at most 16384", self.description.len()));
        }
        let bytes = serde_json::to_string(&self.input).map_or(0, |text| text.len());
        if bytes > MAX_SCHEMA {
            mistakes.add("input", format!("has {bytes} bytes: at most {MAX_SCHEMA}"));
        }
        let names = Names { input: true, ..Names::default() };
        if let Some(concurrency) = &self.concurrency {
            concurrency.check(names, &mut mistakes);
        }
        check_steps(&self.steps, "steps", names, &mut mistakes);
        mistakes.0.extend(repeated_names(&self.steps, "steps"));
        mistakes.check()
    }

    /// The plugins that it needs, by name.
    pub fn plugins(&self) -> std::collections::BTreeSet<&str> {
        plugins_of(&self.steps)
    }

    /// Its steps, as a run executes them.
    pub fn procedure(&self) -> Automation {
        Automation {
            id: Self::id(&self.name),
            name: self.name.clone(),
            description: String::new(),
            on: Vec::new(),
            when: None,
            then: self.steps.clone(),
            on_unavailable: self.on_unavailable,
            concurrency: self.concurrency.clone(),
            enabled: true,
            switched: None,
            revision: self.version,
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }

    /// The event that starts it.
    pub fn start(&self) -> WorkflowStart {
        WorkflowStart { name: self.name.clone(), version: self.version, concurrency: self.concurrency.clone() }
    }
}

impl AutomationId {
    /// The workflow's name, if it denotes one.
    pub fn workflow(&self) -> Option<&str> {
        self.as_str().strip_prefix(PREFIX)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn workflow(name: &str, steps: Value) -> Workflow {
        Workflow {
            name: name.to_owned(),
            description: String::new(),
            version: 3,
            input: Map::new(),
            steps: serde_json::from_value(steps).unwrap(),
            on_unavailable: OnUnavailable::Park,
            concurrency: None,
            enabled: true,
            created_at: Timestamp::from_millis(0),
            updated_at: Timestamp::from_millis(0),
        }
    }

    #[test]
    fn a_workflow_is_converted_to_an_automation_of_its_version() {
        let one = workflow("on-board_2", json!([{"action": "a", "with": {"lead": "{{input.lead}}"}}]));
        assert_eq!(one.check(), Ok(()));
        let procedure = one.procedure();
        assert_eq!((procedure.id.as_str(), procedure.revision), ("workflow/on-board_2", 3));
        assert_eq!((procedure.id.workflow(), AutomationId::from("aut_1").workflow()), (Some("on-board_2"), None));
    }

    #[test]
    fn errors_in_a_workflow_are_reported() {
        for (one, path) in [
            (workflow("On board", json!([{"action": "a"}])), "name"),
            (workflow("a", json!([])), "steps"),
            (workflow("a", json!([{"action": "a", "with": {"x": "{{item}}"}}])), ""),
            (workflow("a", json!([{"action": "a", "for_each": "{{now}}"}])), "steps[0].for_each"),
            (workflow("a", json!([{"action": "a", "name": "x"}, {"action": "b", "name": "x"}])), "steps[1].name"),
        ] {
            let found = one.check().err().map(|mistakes| mistakes.0[0].path.clone()).unwrap_or_default();
            assert_eq!(found, path);
        }
    }
}
