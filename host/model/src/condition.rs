//! Conditions of automations, steps and webhooks, and how they are combined.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Mistakes;
use crate::variables::{Names, check_names};

/// Maximum number of conditions.
const MAX_CONDITIONS: usize = 100;

/// Conditions and how they are combined.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "WhenInput", into = "WhenInput")]
pub enum When {
    /// All of them are true.
    All(Vec<When>),
    /// At least one is true.
    Any(Vec<When>),
    /// It is false.
    Not(Box<When>),
    /// A condition plugin decides.
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
#[serde(
    deny_unknown_fields,
    expecting = "an object such as {\"condition\": \"NAME\", \"with\": {}}, or one with `all`, `any` or `not`"
)]
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
            _ => Err("requires exactly one of `all`, `any`, `not` or `condition` (with `with`)".to_owned()),
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

    /// Adds validation errors of the number of conditions and of their variables, of which those in `names` are
    /// available.
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

    /// Adds the plugins that it uses.
    pub(crate) fn plugins<'a>(&'a self, names: &mut BTreeSet<&'a str>) {
        self.conditions("", &mut |_, condition| {
            names.insert(condition.plugin.as_str());
        });
    }
}
