use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::step::{check_steps, plugins_of, repeated_names, step_names};
use crate::variables::{Names, check_names};
use crate::{AutomationId, Concurrency, EventPattern, Mistake, Mistakes, Step, Timestamp};

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
    /// Counts its changes. A run carries out the revision that it was decided by.
    pub revision: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
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

/// Conditions and how they are combined.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "WhenInput", into = "WhenInput")]
pub enum When {
    /// All of them hold.
    All(Vec<When>),
    /// At least one holds.
    Any(Vec<When>),
    /// It does not hold.
    Not(Box<When>),
    /// A condition plugin says so.
    Condition(Condition),
}

/// A condition plugin with its parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// The plugin's name.
    pub plugin: String,
    /// Its parameters.
    pub with: Map<String, Value>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WhenInput {
    #[serde(skip_serializing_if = "Option::is_none")]
    all: Option<Vec<When>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    any: Option<Vec<When>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not: Option<Box<When>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    with: Option<Map<String, Value>>,
}

impl TryFrom<WhenInput> for When {
    type Error = String;

    fn try_from(input: WhenInput) -> Result<Self, String> {
        match input {
            WhenInput { all: Some(all), any: None, not: None, condition: None, with: None } => Ok(Self::All(all)),
            WhenInput { all: None, any: Some(any), not: None, condition: None, with: None } => Ok(Self::Any(any)),
            WhenInput { all: None, any: None, not: Some(not), condition: None, with: None } => Ok(Self::Not(not)),
            WhenInput { all: None, any: None, not: None, condition: Some(plugin), with } => {
                Ok(Self::Condition(Condition { plugin, with: with.unwrap_or_default() }))
            }
            _ => Err("wants exactly one of `all`, `any`, `not` or `condition` (with `with`)".to_owned()),
        }
    }
}

impl From<When> for WhenInput {
    fn from(when: When) -> Self {
        match when {
            When::All(all) => Self { all: Some(all), ..Self::default() },
            When::Any(any) => Self { any: Some(any), ..Self::default() },
            When::Not(not) => Self { not: Some(not), ..Self::default() },
            When::Condition(condition) => {
                Self { condition: Some(condition.plugin), with: Some(condition.with), ..Self::default() }
            }
        }
    }
}

impl When {
    /// Visits every condition with its path, such as `when.all[1]`.
    pub fn conditions<'a>(&'a self, path: &str, visit: &mut impl FnMut(&str, &'a Condition)) {
        match self {
            Self::All(parts) => {
                for (place, part) in parts.iter().enumerate() {
                    part.conditions(&format!("{path}.all[{place}]"), visit);
                }
            }
            Self::Any(parts) => {
                for (place, part) in parts.iter().enumerate() {
                    part.conditions(&format!("{path}.any[{place}]"), visit);
                }
            }
            Self::Not(part) => part.conditions(&format!("{path}.not"), visit),
            Self::Condition(condition) => visit(path, condition),
        }
    }
}

/// What a caller sends to make or change an automation; what is absent keeps its value.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutomationInput {
    /// See [`Automation::name`].
    pub name: Option<String>,
    /// See [`Automation::description`].
    pub description: Option<String>,
    /// See [`Automation::on`].
    pub on: Option<Vec<EventPattern>>,
    /// See [`Automation::when`].
    #[serde(default)]
    pub when: Option<When>,
    /// See [`Automation::then`].
    pub then: Option<Vec<Step>>,
    /// See [`Automation::on_unavailable`].
    pub on_unavailable: Option<OnUnavailable>,
    /// See [`Automation::concurrency`]. A null takes it away.
    #[serde(default, deserialize_with = "given")]
    pub concurrency: Option<Option<Concurrency>>,
    /// See [`Automation::enabled`].
    pub enabled: Option<bool>,
}

/// Tells a null from what is absent.
pub(crate) fn given<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

const MAX_PATTERNS: usize = 100;
const MAX_CONDITIONS: usize = 100;

impl When {
    /// What is wrong with how many conditions it has and with the variables in them, where those of `names` are known.
    pub(crate) fn check(&self, path: &str, names: Names<'_>, mistakes: &mut Mistakes) {
        let mut count = 0_usize;
        self.conditions(path, &mut |path, condition| {
            count = count.saturating_add(1);
            mistakes.0.extend(check_names(&Value::Object(condition.with.clone()), &format!("{path}.with"), names));
        });
        if count > MAX_CONDITIONS {
            mistakes.add(path, format!("{count} conditions: at most {MAX_CONDITIONS}"));
        }
    }

    /// Adds the plugins that it asks.
    pub(crate) fn plugins<'a>(&'a self, names: &mut BTreeSet<&'a str>) {
        self.conditions("", &mut |_, condition| {
            names.insert(condition.plugin.as_str());
        });
    }
}

impl Automation {
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
        if self.name.trim().is_empty() || self.name.len() > 256 {
            mistakes.add("name", "give it 1 to 256 characters");
        }
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
