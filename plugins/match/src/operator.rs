//! Which operator the parameters name, and what it asks of a value.

use std::cmp::Ordering;

use hookwright_sdk::{Path, shorten};
use regex_lite::{Regex, RegexBuilder};
use serde_json::{Map, Value};

use crate::compare::{self, Case};
use crate::tell;

/// The operators, each with its other spelling where it has one.
const NAMES: [(&str, &str); 14] = [
    ("equals", "="),
    ("not_equals", "!="),
    ("gt", ">"),
    ("gte", ">="),
    ("lt", "<"),
    ("lte", "<="),
    ("contains", ""),
    ("not_contains", ""),
    ("starts_with", ""),
    ("ends_with", ""),
    ("matches", "regex"),
    ("exists", ""),
    ("in", ""),
    ("not_in", ""),
];

/// One comparison, as the parameters ask for it.
pub(crate) struct Test {
    pub(crate) subject: Subject,
    name: &'static str,
    expected: Value,
    check: Check,
    case: Case,
}

/// What is compared.
pub(crate) enum Subject {
    /// The event's value at a path.
    At(Path),
    /// A value that the parameters give, which variables stood for.
    Given(Value),
}

/// What is asked of the value.
enum Check {
    Same { negated: bool },
    Order { allowed: fn(Ordering) -> bool },
    Contains { negated: bool },
    StartsWith,
    EndsWith,
    Matches(Regex),
    Exists(bool),
    OneOf { negated: bool },
}

/// What came of a test.
pub(crate) struct Answer {
    pub(crate) holds: bool,
    /// Why the question could not be put to this value, or how it was put.
    pub(crate) note: Option<String>,
}

impl Answer {
    fn plain(holds: bool) -> Self {
        Self { holds, note: None }
    }
}

impl Test {
    /// Reads the parameters.
    ///
    /// # Errors
    /// A sentence that names the parameter, its value and the remedy.
    pub(crate) fn read(mut parameters: Map<String, Value>) -> Result<Self, String> {
        let subject = match (parameters.remove("path"), parameters.remove("value")) {
            (Some(Value::String(text)), None) => {
                Subject::At(Path::parse(&text).map_err(|problem| format!("parameter `path`: {problem}"))?)
            }
            (None, Some(value)) => Subject::Given(value),
            (Some(_), Some(_)) => {
                return Err("`path` and `value` are both given: say either where the value is, or what it is".into());
            }
            (Some(other), None) => {
                return Err(format!(
                    "parameter `path` is {}: give a text such as \"data.status\"",
                    tell::brief(&other)
                ));
            }
            (None, None) => {
                return Err("parameter `path` is missing: say which value to compare, such as \"data.status\"".into());
            }
        };
        let case = match parameters.remove("ignore_case") {
            None | Some(Value::Bool(false)) => Case::Exact,
            Some(Value::Bool(true)) => Case::Ignored,
            Some(other) => {
                return Err(format!("parameter `ignore_case` is {}: give true or false", tell::brief(&other)));
            }
        };
        let mut operators = parameters.into_iter();
        let Some((written, expected)) = operators.next() else {
            return Err(format!("no operator beside `path`: add one of {}", all_names()));
        };
        let name = canonical(&written)?;
        if let Some((second, _)) = operators.next() {
            let second = canonical(&second)?;
            return Err(format!("two operators, `{name}` and `{second}`: keep one, and combine conditions with `all`"));
        }
        let check = Check::read(name, &expected, case)?;
        Ok(Self { subject, name, expected, check, case })
    }

    /// Puts the question to a value; none where the path leads to nothing.
    pub(crate) fn ask(&self, value: Option<&Value>) -> Answer {
        if let Check::Exists(wanted) = self.check {
            return Answer::plain(value.is_some() == wanted);
        }
        let Some(value) = value else {
            return Answer::plain(self.is_negated());
        };
        match &self.check {
            Check::Same { negated } => Answer::plain(compare::same(value, &self.expected, self.case) != *negated),
            Check::Order { allowed } => match compare::order(value, &self.expected, self.case) {
                Some(order) => Answer::plain(allowed(order)),
                None => Answer {
                    holds: false,
                    note: Some("which has no order with it: compare numbers, times or texts".into()),
                },
            },
            Check::Contains { negated } => match compare::contains(value, &self.expected, self.case) {
                Some(contained) => Answer::plain(contained != *negated),
                None => Answer { holds: *negated, note: Some("which is neither a text, a list nor an object".into()) },
            },
            Check::StartsWith => self.ask_text(value, |text, part| text.starts_with(part)),
            Check::EndsWith => self.ask_text(value, |text, part| text.ends_with(part)),
            Check::Matches(regex) => match compare::text(value) {
                Some(text) => Answer::plain(regex.is_match(&text)),
                None => not_a_text(),
            },
            Check::OneOf { negated } => {
                let list = self.expected.as_array().map(Vec::as_slice).unwrap_or_default();
                Answer::plain(list.iter().any(|one| compare::same(value, one, self.case)) != *negated)
            }
            Check::Exists(wanted) => Answer::plain(*wanted),
        }
    }

    fn ask_text(&self, value: &Value, holds: impl Fn(&str, &str) -> bool) -> Answer {
        match (compare::text(value), compare::text(&self.expected)) {
            (Some(text), Some(part)) => Answer::plain(holds(&self.case.fold(&text), &self.case.fold(&part))),
            _ => not_a_text(),
        }
    }

    fn is_negated(&self) -> bool {
        matches!(
            self.check,
            Check::Same { negated: true } | Check::Contains { negated: true } | Check::OneOf { negated: true }
        )
    }

    /// The question in a few words: path, operator, expected value.
    pub(crate) fn describe(&self) -> String {
        let case = if self.case == Case::Ignored { " (ignoring case)" } else { "" };
        let subject = match &self.subject {
            Subject::At(path) => shorten(path.as_str(), 200),
            Subject::Given(_) => "the value".into(),
        };
        format!("{subject} {} {}{case}", self.name, tell::brief(&self.expected))
    }
}

fn not_a_text() -> Answer {
    Answer { holds: false, note: Some("which is not a text".into()) }
}

impl Check {
    fn read(name: &'static str, expected: &Value, case: Case) -> Result<Self, String> {
        let wrong = |remedy: &str| Err(format!("parameter `{name}` is {}: {remedy}", tell::brief(expected)));
        Ok(match name {
            "equals" => Self::Same { negated: false },
            "not_equals" => Self::Same { negated: true },
            "gt" | "gte" | "lt" | "lte" => {
                if !matches!(expected, Value::Number(_) | Value::String(_)) {
                    return wrong("give a number, a time or another text");
                }
                Self::Order {
                    allowed: match name {
                        "gt" => Ordering::is_gt,
                        "gte" => Ordering::is_ge,
                        "lt" => Ordering::is_lt,
                        _ => Ordering::is_le,
                    },
                }
            }
            "contains" => Self::Contains { negated: false },
            "not_contains" => Self::Contains { negated: true },
            "starts_with" | "ends_with" => {
                if compare::text(expected).is_none() {
                    return wrong("give a text");
                }
                if name == "starts_with" { Self::StartsWith } else { Self::EndsWith }
            }
            "matches" => {
                let Value::String(pattern) = expected else { return wrong("give a regular expression as a text") };
                match RegexBuilder::new(pattern).case_insensitive(case == Case::Ignored).build() {
                    Ok(regex) => Self::Matches(regex),
                    Err(error) => return wrong(&format!("that is not a regular expression ({error})")),
                }
            }
            "exists" => match expected {
                Value::Bool(wanted) => Self::Exists(*wanted),
                _ => return wrong("give true or false"),
            },
            _ => {
                if !expected.is_array() {
                    return wrong("give a list of values");
                }
                Self::OneOf { negated: name == "not_in" }
            }
        })
    }
}

/// The operator's own name for what was written.
fn canonical(written: &str) -> Result<&'static str, String> {
    NAMES
        .iter()
        .find(|(name, other)| *name == written || (!other.is_empty() && *other == written))
        .map(|(name, _)| *name)
        .ok_or_else(|| format!("parameter `{}` is no operator: use one of {}", shorten(written, 60), all_names()))
}

fn all_names() -> String {
    NAMES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}
