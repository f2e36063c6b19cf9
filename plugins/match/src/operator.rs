//! The operator in the parameters, and its value.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use hookwright_sdk::{Path, shorten};
use regex_lite::{Regex, RegexBuilder};
use serde_json::value::RawValue;

use crate::compare::{self, Case, Rules, Type};
use crate::json::{Json, Kind};
use crate::{tell, time};

/// The parameters, each as the text that it came as.
pub(crate) type Parameters = BTreeMap<String, Box<RawValue>>;

/// The operators, each with its other spelling where it has one.
const NAMES: [(&str, &str); 25] = [
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
    ("before", ""),
    ("after", ""),
    ("older_than", ""),
    ("newer_than", ""),
    ("within", ""),
    ("changed", ""),
    ("changed_from", ""),
    ("changed_to", ""),
    ("any", ""),
    ("all", ""),
    ("none", ""),
];

/// Maximum nesting depth of tests of elements.
const DEEPEST: usize = 5;
/// How many tests one element may have to pass.
const MOST_TESTS: usize = 20;
/// Bytes of a regular expression, and of what it is compiled to.
const PATTERN: usize = 1000;
const COMPILED: usize = 128 * 1024;

/// One comparison, as the parameters define it.
pub(crate) struct Test {
    pub(crate) subject: Subject,
    pub(crate) rules: Rules,
    pub(crate) check: Check,
    name: &'static str,
    expected: Box<RawValue>,
}

/// The compared value.
pub(crate) enum Subject {
    /// The value at a path.
    At(Path),
    /// A value that the parameters give, which variables stood for.
    Given(Box<RawValue>),
    /// The element of a list itself.
    Element,
}

/// The test of the value.
pub(crate) enum Check {
    Same {
        negated: bool,
    },
    Order {
        allowed: fn(Ordering) -> bool,
    },
    Contains {
        negated: bool,
    },
    StartsWith,
    EndsWith,
    Matches(Regex),
    Exists(bool),
    OneOf {
        negated: bool,
        list: Vec<Box<RawValue>>,
    },
    /// It is before, or after, an instant.
    Beside {
        before: bool,
    },
    /// Its distance from now, in seconds.
    Age {
        age: Age,
        seconds: i64,
    },
    Changed(bool),
    ChangedBetween {
        from: Option<Box<RawValue>>,
        to: Option<Box<RawValue>>,
    },
    Elements {
        quantifier: Quantifier,
        tests: Vec<Test>,
    },
}

/// How many elements have to pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantifier {
    Any,
    All,
    None,
}

/// The test of the time between now and a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    Older,
    Newer,
    Within,
}

impl Test {
    /// Reads the parameters.
    ///
    /// # Errors
    /// A sentence that names the parameter, its value and the remedy.
    pub(crate) fn read(parameters: Parameters) -> Result<Self, String> {
        Self::read_at(parameters, 0)
    }

    /// The same for the test of an element, `depth` lists deep.
    fn read_at(mut parameters: Parameters, depth: usize) -> Result<Self, String> {
        let subject = subject(&mut parameters, depth)?;
        let case = match parameters.remove("ignore_case").as_deref().map(RawValue::get) {
            None | Some("false") => Case::Exact,
            Some("true") => Case::Ignored,
            Some(other) => {
                return Err(format!("parameter `ignore_case` is {}: give true or false", tell::brief(Json(other))));
            }
        };
        let given = parameters.remove("as").map(|name| read_type(&name)).transpose()?;
        let rules = Rules { given, case };
        let from = parameters.remove("changed_from");
        let to = parameters.remove("changed_to");
        let mut operators = parameters.into_iter();
        let next = operators.next();
        if from.is_some() || to.is_some() {
            let first = if from.is_some() { "changed_from" } else { "changed_to" };
            if let Some((other, _)) = next {
                return Err(two(first, canonical(&other)?));
            }
            return Self::of_change(subject, rules, from, to);
        }
        let Some((written, expected)) = next else {
            return Err(format!("no operator beside `path`: add one of {}", all_names()));
        };
        let name = canonical(&written)?;
        if let Some((second, _)) = operators.next() {
            return Err(two(name, canonical(&second)?));
        }
        let check = Check::read(name, Json(expected.get()), rules, depth)?;
        if let Some(given) = given {
            check.fits(name, given)?;
        }
        if matches!(check, Check::Changed(_)) {
            only_at_a_path(&subject, name)?;
        }
        Ok(Self { subject, rules, check, name, expected })
    }

    fn of_change(
        subject: Subject,
        rules: Rules,
        from: Option<Box<RawValue>>,
        to: Option<Box<RawValue>>,
    ) -> Result<Self, String> {
        only_at_a_path(&subject, "changed_from")?;
        for (name, value) in [("changed_from", &from), ("changed_to", &to)] {
            if let Some(value) = value {
                of_type(name, Json(value.get()), rules)?;
            }
        }
        let name = if from.is_some() { "changed_from" } else { "changed_to" };
        let expected = from.as_ref().or(to.as_ref()).cloned().unwrap_or_default();
        Ok(Self { subject, rules, check: Check::ChangedBetween { from, to }, name, expected })
    }

    /// The expected value.
    pub(crate) fn expected(&self) -> Json<'_> {
        Json(self.expected.get())
    }

    pub(crate) fn is_about_change(&self) -> bool {
        matches!(self.check, Check::Changed(_) | Check::ChangedBetween { .. })
    }

    /// Whether it holds where there is nothing to compare.
    pub(crate) fn is_negated(&self) -> bool {
        matches!(
            self.check,
            Check::Same { negated: true }
                | Check::Contains { negated: true }
                | Check::OneOf { negated: true, .. }
                | Check::Elements { quantifier: Quantifier::None, .. }
        )
    }

    /// The question in a few words: path, operator, expected value.
    pub(crate) fn describe(&self) -> String {
        let subject = match &self.subject {
            Subject::At(path) => shorten(path.as_str(), 200),
            Subject::Given(_) => "the value".into(),
            Subject::Element => "it".into(),
        };
        let mut text = match &self.check {
            // The tests tell themselves what they want.
            Check::Elements { .. } => return format!("{subject} {}", self.name),
            Check::ChangedBetween { from: Some(from), to: Some(to) } => {
                let (from, to) = (tell::brief(Json(from.get())), tell::brief(Json(to.get())));
                format!("{subject} changed_from {from} changed_to {to}")
            }
            _ => format!("{subject} {} {}", self.name, tell::brief(self.expected())),
        };
        if let Some(given) = self.rules.given {
            text.push_str(" as ");
            text.push_str(given.name());
        }
        if self.rules.case == Case::Ignored {
            text.push_str(" (ignoring case)");
        }
        text
    }
}

fn two(first: &str, second: &str) -> String {
    format!("two operators, `{first}` and `{second}`: keep one, and combine conditions with `all`")
}

fn subject(parameters: &mut Parameters, depth: usize) -> Result<Subject, String> {
    let missing = "parameter `path` is missing: say which value to compare, such as \"data.status\"";
    match (parameters.remove("path"), parameters.remove("value")) {
        (Some(_), Some(_)) => Err("`path` and `value` are both given: give one of them".into()),
        (None, Some(value)) if depth == 0 => Ok(Subject::Given(value)),
        (None, Some(_)) => Err("`value` is given in the test of an element: give a `path` into the element".into()),
        (None, None) if depth == 0 => Err(missing.into()),
        (None, None) => Ok(Subject::Element),
        (Some(path), None) => match Json(path.get()).text() {
            Some(text) => Path::parse(&text).map(Subject::At).map_err(|problem| format!("parameter `path`: {problem}")),
            None => Err(format!(
                "parameter `path` is {}: give a string such as \"data.status\"",
                tell::brief(Json(path.get()))
            )),
        },
    }
}

fn only_at_a_path(subject: &Subject, name: &str) -> Result<(), String> {
    match subject {
        Subject::At(_) => Ok(()),
        Subject::Given(_) | Subject::Element => Err(format!("`{name}` tests the change of a field: give its `path`")),
    }
}

fn read_type(name: &RawValue) -> Result<Type, String> {
    let text = Json(name.get()).text();
    let found = Type::NAMES.iter().find(|(name, _)| text.as_deref() == Some(name));
    found.map(|(_, given)| *given).ok_or_else(|| {
        let names: Vec<&str> = Type::NAMES.iter().map(|(name, _)| *name).collect();
        format!("parameter `as` is {}: give one of {}", tell::brief(Json(name.get())), names.join(", "))
    })
}

/// Whether what is expected is of the type that was asked for.
fn of_type(name: &str, expected: Json<'_>, rules: Rules) -> Result<(), String> {
    match rules.given {
        Some(given) if !given.takes(expected) => Err(format!(
            "parameter `{name}` is {}, {}: give a value that reads as a {}, or another `as`",
            tell::brief(expected),
            given.not(),
            given.name()
        )),
        _ => Ok(()),
    }
}

impl Check {
    fn read(name: &'static str, expected: Json<'_>, rules: Rules, depth: usize) -> Result<Self, String> {
        let wrong = |remedy: &str| Err(format!("parameter `{name}` is {}: {remedy}", tell::brief(expected)));
        let case = rules.case;
        Ok(match name {
            "equals" | "not_equals" => {
                of_type(name, expected, rules)?;
                Self::Same { negated: name == "not_equals" }
            }
            "gt" | "gte" | "lt" | "lte" => {
                if !matches!(expected.kind(), Kind::Number | Kind::Text) {
                    return wrong("give a number, a time or another text");
                }
                of_type(name, expected, rules)?;
                Self::Order {
                    allowed: match name {
                        "gt" => Ordering::is_gt,
                        "gte" => Ordering::is_ge,
                        "lt" => Ordering::is_lt,
                        _ => Ordering::is_le,
                    },
                }
            }
            "contains" | "not_contains" => {
                of_type(name, expected, rules)?;
                Self::Contains { negated: name == "not_contains" }
            }
            "starts_with" | "ends_with" => {
                if compare::part_text(expected).is_none() {
                    return wrong("give a string");
                }
                if name == "starts_with" { Self::StartsWith } else { Self::EndsWith }
            }
            "matches" => {
                let Some(pattern) = expected.text() else { return wrong("give a regular expression as a string") };
                if pattern.len() > PATTERN {
                    return wrong(&format!("that has {} bytes, at most {PATTERN} are taken", pattern.len()));
                }
                let ignored = case == Case::Ignored;
                match RegexBuilder::new(&pattern).case_insensitive(ignored).size_limit(COMPILED).build() {
                    Ok(regex) => Self::Matches(regex),
                    Err(error) => return wrong(&format!("that is not a regular expression ({error})")),
                }
            }
            "exists" | "changed" => match expected.0 {
                "true" | "false" if name == "exists" => Self::Exists(expected.0 == "true"),
                "true" | "false" => Self::Changed(expected.0 == "true"),
                _ => return wrong("give true or false"),
            },
            "in" | "not_in" => {
                let Some(list) = expected.elements() else { return wrong("give a list of values") };
                list.iter().try_for_each(|one| of_type(name, *one, rules))?;
                let owned = |one: &Json<'_>| RawValue::from_string(one.0.to_owned()).ok();
                Self::OneOf { negated: name == "not_in", list: list.iter().filter_map(owned).collect() }
            }
            "before" | "after" => {
                if compare::moment(expected).is_none() {
                    return wrong("give a date such as \"2026-11-21\" or \"2026-11-21T09:00:00Z\", or \"now-2d\"");
                }
                Self::Beside { before: name == "before" }
            }
            "older_than" | "newer_than" | "within" => {
                let seconds = expected.text().and_then(|text| time::duration(&text));
                let Some(seconds) = seconds else {
                    return wrong("give a duration such as \"90s\", \"2h\" or \"1d12h\"");
                };
                let age = match name {
                    "older_than" => Age::Older,
                    "newer_than" => Age::Newer,
                    _ => Age::Within,
                };
                Self::Age { age, seconds }
            }
            _ => {
                let quantifier = match name {
                    "any" => Quantifier::Any,
                    "all" => Quantifier::All,
                    _ => Quantifier::None,
                };
                Self::Elements { quantifier, tests: tests(name, expected, depth)? }
            }
        })
    }

    /// Whether the operator compares with a type.
    fn fits(&self, name: &str, given: Type) -> Result<(), String> {
        let fits = match self {
            Self::Same { .. } | Self::Contains { .. } | Self::OneOf { .. } | Self::ChangedBetween { .. } => true,
            Self::Order { .. } => given != Type::Truth,
            Self::Beside { .. } | Self::Age { .. } => given == Type::Date,
            _ => false,
        };
        if fits {
            return Ok(());
        }
        Err(format!("parameter `as` is \"{}\", by which `{name}` does not compare: leave it out", given.name()))
    }
}

/// The tests that an element has to pass: one, or a list of them.
fn tests(name: &str, expected: Json<'_>, depth: usize) -> Result<Vec<Test>, String> {
    let depth = depth.saturating_add(1);
    if depth > DEEPEST {
        return Err(format!("`{name}` is nested more than {DEEPEST} lists deep: flatten it"));
    }
    let wrong = || {
        format!(
            "parameter `{name}` is {}: give a test such as {{\"path\": \"price\", \"gt\": 100}}",
            tell::brief(expected)
        )
    };
    let one = |test: Json<'_>| {
        let parameters: Parameters = serde_json::from_str(test.0).map_err(|_| wrong())?;
        Test::read_at(parameters, depth).map_err(|problem| format!("in `{name}`: {problem}"))
    };
    match expected.elements() {
        None => Ok(vec![one(expected)?]),
        Some(list) if (1..=MOST_TESTS).contains(&list.len()) => list.into_iter().map(one).collect(),
        Some(list) => Err(format!("parameter `{name}` has {} tests: give 1 to {MOST_TESTS}", list.len())),
    }
}

/// The field's configured name.
fn canonical(written: &str) -> Result<&'static str, String> {
    NAMES
        .iter()
        .find(|(name, other)| *name == written || (!other.is_empty() && *other == written))
        .map(|(name, _)| *name)
        .ok_or_else(|| format!("parameter `{}` is not an operator: use one of {}", shorten(written, 60), all_names()))
}

fn all_names() -> String {
    NAMES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}
