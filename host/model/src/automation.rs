use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::nullable::{given, required};
use crate::step::{check_steps, plugins_of, repeated_names, sent_steps, step_names};
use crate::variables::Names;
use crate::{
    AutomationId, Concurrency, Creates, EventPattern, Mistake, Mistakes, Step, Timestamp, When, check_display_name,
};

/// An automation: `on` these events, `when` these conditions hold, `then` execute these steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Automation {
    /// Its id in the API.
    pub id: AutomationId,
    /// Its display name.
    pub name: String,
    /// Its description.
    #[serde(default)]
    pub description: String,
    /// The event types that trigger it.
    pub on: Vec<EventPattern>,
    /// Its conditions. `None`: it always fires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
    /// Its steps, in order.
    pub then: Vec<Step>,
    /// What happens while a plugin that it needs is unavailable.
    #[serde(default, skip_serializing_if = "OnUnavailable::is_default")]
    pub on_unavailable: OnUnavailable,
    /// How many of its runs may be in progress at a time. `None`: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,
    /// Whether it is enabled.
    pub enabled: bool,
    /// When it was last enabled or disabled, and by whom. `None`: never, or it was not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switched: Option<Switched>,
    /// Incremented by each change. A run executes the revision that decided it.
    pub revision: u32,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// When an object was enabled or disabled, and by whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switched {
    /// The time.
    pub at: Timestamp,
    /// The author: `key ID`.
    pub by: String,
}

/// What happens while a plugin is unavailable: it is not installed, or its circuit breaker is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnUnavailable {
    /// Runs wait for it.
    #[default]
    Park,
    /// Its conditions count as true, its steps are skipped.
    Open,
    /// Its conditions count as false, its steps as failed.
    Closed,
}

impl OnUnavailable {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The input that creates or changes an automation. An absent field keeps its value, null restores the default.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutomationInput {
    /// See [`Automation::name`].
    #[serde(default, deserialize_with = "required")]
    pub name: Option<String>,
    /// See [`Automation::description`].
    #[serde(default, deserialize_with = "given")]
    pub description: Option<Option<String>>,
    /// See [`Automation::on`].
    #[serde(default, deserialize_with = "required")]
    pub on: Option<Vec<EventPattern>>,
    /// See [`Automation::when`].
    #[serde(default, deserialize_with = "given")]
    pub when: Option<Option<When>>,
    /// See [`Automation::then`].
    #[serde(default, deserialize_with = "sent_steps")]
    pub then: Option<Vec<Step>>,
    /// See [`Automation::on_unavailable`].
    #[serde(default, deserialize_with = "given")]
    pub on_unavailable: Option<Option<OnUnavailable>>,
    /// See [`Automation::concurrency`].
    #[serde(default, deserialize_with = "given")]
    pub concurrency: Option<Option<Concurrency>>,
    /// See [`Automation::enabled`].
    #[serde(default, deserialize_with = "given")]
    pub enabled: Option<Option<bool>>,
}

impl Creates for AutomationInput {
    fn missing(has: &dyn Fn(&str) -> bool) -> Mistakes {
        let fields = [
            ("name", "is missing: give the automation a name"),
            ("on", "is missing: the event types that it is considered for, such as [\"jira.*\"]"),
            ("then", "is missing: the steps to execute"),
        ];
        Mistakes::of_missing(&fields, has)
    }
}

const MAX_PATTERNS: usize = 100;

impl Automation {
    /// Records who enabled or disabled it, if `was` differs. `None`: it is new, and enabled by default.
    pub fn switched_from(&mut self, was: Option<bool>, by: &str) {
        if was.unwrap_or(true) != self.enabled {
            self.switched = Some(Switched { at: self.updated_at, by: by.to_owned() });
        }
    }

    /// The plugins that it needs, by name.
    pub fn plugins(&self) -> BTreeSet<&str> {
        let mut names = plugins_of(&self.then);
        if let Some(when) = &self.when {
            when.plugins(&mut names);
        }
        names
    }

    /// Validates `on`, `then` and the variables in them, without the plugins.
    pub fn check(&self) -> Result<(), Mistakes> {
        let mut mistakes = Mistakes::default();
        check_display_name("name", &self.name, &mut mistakes);
        if self.description.len() > 16_384 {
            mistakes.add("description", format!("has {} bytes: at most 16384", self.description.len()));
        }
        if self.on.is_empty() || self.on.len() > MAX_PATTERNS {
            mistakes.add("on", format!("{} event types: give 1 to {MAX_PATTERNS}, such as `jira.*`", self.on.len()));
        }
        if let Some(when) = &self.when {
            when.check("when", Names::default(), &mut mistakes);
        }
        if let Some(concurrency) = &self.concurrency {
            concurrency.check(Names::default(), &mut mistakes);
        }
        check_steps(&self.then, "then", Names::default(), &mut mistakes);
        mistakes.check()
    }

    /// The names by which later steps refer to steps, in order.
    pub fn step_names(&self) -> Vec<String> {
        step_names(&self.then)
    }

    /// Duplicate names.
    pub fn repeated_names(&self) -> Vec<Mistake> {
        repeated_names(&self.then, "then")
    }
}
