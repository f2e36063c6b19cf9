//! Compares two JSON values with the semantics of conditions.

use std::borrow::Cow;
use std::cmp::Ordering;

use hookwright_sdk::clock;
use hookwright_sdk::dates::Instant;
use hookwright_sdk::json::Decimal;

use crate::json::{Json, Kind};
use crate::time;

/// Whether letters' case counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    Exact,
    Ignored,
}

impl Case {
    /// The text with its case taken out, if case does not count.
    pub(crate) fn fold(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::Exact => Cow::Borrowed(text),
            Self::Ignored => Cow::Owned(text.to_lowercase()),
        }
    }
}

/// The type that both values are converted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Number,
    Text,
    Date,
    Truth,
}

impl Type {
    pub(crate) const NAMES: [(&str, Self); 4] =
        [("number", Self::Number), ("text", Self::Text), ("date", Self::Date), ("boolean", Self::Truth)];

    pub(crate) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, one)| *one == self).map_or("", |(name, _)| *name)
    }

    /// Whether a value can be read as it.
    pub(crate) fn takes(self, value: Json<'_>) -> bool {
        match self {
            Self::Number => decimal(value).is_some(),
            Self::Text => value.written().is_some(),
            Self::Date => moment(value).is_some(),
            Self::Truth => truth(value).is_some(),
        }
    }

    /// What a value is not that cannot be read as it.
    pub(crate) fn not(self) -> &'static str {
        match self {
            Self::Number => "which is not a number",
            Self::Text => "which is not text",
            Self::Date => "which is not a date",
            Self::Truth => "which is neither true nor false",
        }
    }
}

/// How values are compared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// As the automation says. `None`: as the two values are.
    pub(crate) given: Option<Type>,
    pub(crate) case: Case,
}

fn decimal(value: Json<'_>) -> Option<Decimal<'_>> {
    match value.kind() {
        Kind::Number => Decimal::read(value.0),
        // A string with an escape in it is not a number.
        Kind::Text => Decimal::read(value.0.strip_prefix('"')?.strip_suffix('"')?),
        _ => None,
    }
}

fn truth(value: Json<'_>) -> Option<bool> {
    match value.0 {
        "true" | "\"true\"" => Some(true),
        "false" | "\"false\"" => Some(false),
        _ => None,
    }
}

/// The instant that the clock shows.
pub(crate) fn now() -> Instant {
    Instant::of_millis(clock::now_ms()).unwrap_or(Instant { seconds: 0, nanos: 0 })
}

/// A date, or a string such as `now-2d`.
pub(crate) fn moment(value: Json<'_>) -> Option<Instant> {
    if value.kind() == Kind::Text
        && let Some(seconds) = value.text().and_then(|text| time::from_now(&text))
    {
        return Some(now().plus(seconds));
    }
    time::date(value)
}

/// Whether two values are equal. `None` if the first cannot be converted to the requested type.
///
/// Without a type 1 and 1.0 are the same, so are a number and a string that reads as that number, and lists and objects are
/// when their parts are; two texts are only when they are equal letter for letter.
pub(crate) fn same(a: Json<'_>, b: Json<'_>, rules: Rules) -> Option<bool> {
    match rules.given {
        None => Some(alike(a, b, rules.case)),
        Some(Type::Number) => Some(decimal(a)?.order(decimal(b)?).is_eq()),
        Some(Type::Text) => Some(rules.case.fold(&a.written()?) == rules.case.fold(&b.written()?)),
        Some(Type::Date) => Some(moment(a)? == moment(b)?),
        Some(Type::Truth) => Some(truth(a)? == truth(b)?),
    }
}

fn alike(a: Json<'_>, b: Json<'_>, case: Case) -> bool {
    match (a.kind(), b.kind()) {
        (Kind::Text, Kind::Text) => match (a.text(), b.text()) {
            (Some(a), Some(b)) => case.fold(&a) == case.fold(&b),
            _ => false,
        },
        (Kind::Number, Kind::Number | Kind::Text) | (Kind::Text, Kind::Number) => {
            decimal(a).zip(decimal(b)).is_some_and(|(a, b)| a.order(b).is_eq())
        }
        (Kind::List, Kind::List) => match (a.elements(), b.elements()) {
            (Some(a), Some(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(*a, b, case)),
            _ => false,
        },
        (Kind::Object, Kind::Object) => match (a.members(), b.members()) {
            (Some(a), Some(b)) => {
                a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| alike(*a, *b, case)))
            }
            _ => false,
        },
        (a_kind, b_kind) => a_kind == b_kind && a.0 == b.0,
    }
}

/// The order of two values, and what they were read as: numbers if both read as numbers, dates if both do as dates, else
/// texts. None where one of them is nothing that has an order, or one is a number and the other a word.
pub(crate) fn order(a: Json<'_>, b: Json<'_>, rules: Rules) -> Option<(Ordering, Type)> {
    let typed = |wanted: Type| rules.given.is_none_or(|given| given == wanted);
    if typed(Type::Number)
        && let Some((a, b)) = decimal(a).zip(decimal(b))
    {
        return Some((a.order(b), Type::Number));
    }
    if rules.given == Some(Type::Date) {
        return Some((moment(a)?.cmp(&moment(b)?), Type::Date));
    }
    if rules.given == Some(Type::Text) {
        return Some((rules.case.fold(&a.written()?).cmp(&rules.case.fold(&b.written()?)), Type::Text));
    }
    if rules.given.is_some() || a.kind() != Kind::Text || b.kind() != Kind::Text {
        return None;
    }
    let (a, b) = a.text().zip(b.text())?;
    if let Some((a, b)) = Instant::of_text(&a).zip(Instant::of_text(&b)) {
        return Some((a.cmp(&b), Type::Date));
    }
    Some((rules.case.fold(&a).cmp(&rules.case.fold(&b)), Type::Text))
}

/// Whether a string has the part, a list the element, an object the key. None where the value is none of these.
pub(crate) fn contains(value: Json<'_>, part: Json<'_>, rules: Rules) -> Option<bool> {
    let case = rules.case;
    match value.kind() {
        Kind::Text => {
            let whole = value.text()?;
            Some(part_text(part).is_some_and(|part| case.fold(&whole).contains(case.fold(&part).as_ref())))
        }
        Kind::List => Some(value.elements()?.into_iter().any(|one| same(one, part, rules) == Some(true))),
        Kind::Object => {
            let members = value.members()?;
            Some(part_text(part).is_some_and(|key| match case {
                Case::Exact => members.contains_key(key.as_ref()),
                Case::Ignored => members.keys().any(|member| case.fold(member) == case.fold(&key)),
            }))
        }
        _ => None,
    }
}

/// A value as text: a string itself, a number's digits.
pub(crate) fn part_text(value: Json<'_>) -> Option<Cow<'_, str>> {
    value.written().filter(|_| value.kind() != Kind::Truth)
}
