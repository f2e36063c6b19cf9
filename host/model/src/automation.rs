use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::nullable::{given, required};
use crate::step::{check_steps, plugins_of, repeated_names, sent_steps, step_names};
use crate::variables::Names;
use crate::{
    AutomationId, Concurrency, Creates, EventPattern, Mistake, Mistakes, Step, Timestamp, When, check_display_name,
};

/// `on` these events, `when` these conditions hold, `then` do this.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Automation {
    /// Names it in the API.
    pub id: AutomationId,
    /// What its owner calls it.
    pub name: String,
    /// What its owner says of it.
    #[serde(default)]
    pub description: String,
    /// The event types it is considered for.
    pub on: Vec<EventPattern>,
    /// What must hold; none: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
    /// What is done, in order.
    pub then: Vec<Step>,
    /// What happens while a plugin that it needs cannot be called.
    #[serde(default, skip_serializing_if = "OnUnavailable::is_default")]
    pub on_unavailable: OnUnavailable,
    /// How many of its runs may be under way at a time; none: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,
    /// Off: it is not considered.
    pub enabled: bool,
    /// When it was last switched on or off, and by whom; none: it is as it was made, or that was not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switched: Option<Switched>,
    /// Counts its changes. A run carries out the revision that it was decided by.
    pub revision: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// When something was switched on or off, and by whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switched {
    /// When.
    pub at: Timestamp,
    /// By whom: `key ID`.
    pub by: String,
}

/// What happens while a plugin cannot be called: it is absent, or was stopped too often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnUnavailable {
    /// Runs wait for it.
    #[default]
    Park,
    /// Its conditions count as holding, its steps are left out.
    Open,
    /// Its conditions count as not holding, its steps as failed.
    Closed,
}

impl OnUnavailable {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What a caller sends to make or change an automation; what is absent keeps its value, null restores the default.
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
            ("then", "is missing: the steps that are carried out"),
        ];
        Mistakes::of_missing(&fields, has)
    }
}

const MAX_PATTERNS: usize = 100;

impl Automation {
    /// Records who switched it on or off, if `was` says that it was the other; none: it is new, and on unless switched off.
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

    /// What `on`, `then` and the variables in them say, checked without looking at any plugin.
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

    /// The names by which steps are known to later ones, in order.
    pub fn step_names(&self) -> Vec<String> {
        step_names(&self.then)
    }

    /// Names given twice.
    pub fn repeated_names(&self) -> Vec<Mistake> {
        repeated_names(&self.then, "then")
    }
}
