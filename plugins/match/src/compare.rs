//! Comparing two JSON values the way a person who wrote a condition means it.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::{Number, Value};

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

/// A number without loss: integers stay exact, however long.
#[derive(Debug, Clone, Copy)]
enum Numeric {
    Integer(i128),
    Real(f64),
}

impl Numeric {
    fn of_number(number: &Number) -> Option<Self> {
        if let Some(integer) = number.as_i64() {
            return Some(Self::Integer(integer.into()));
        }
        if let Some(integer) = number.as_u64() {
            return Some(Self::Integer(integer.into()));
        }
        number.as_f64().map(Self::Real)
    }

    /// A text that is a decimal number and nothing else. Words that Rust reads as numbers (`inf`, `nan`) are texts.
    fn of_text(text: &str) -> Option<Self> {
        if !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) {
            return None;
        }
        if let Ok(integer) = text.parse() {
            return Some(Self::Integer(integer));
        }
        text.parse::<f64>().ok().filter(|real| real.is_finite()).map(Self::Real)
    }

    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Number(number) => Self::of_number(number),
            Value::String(text) => Self::of_text(text),
            _ => None,
        }
    }

    fn order(self, other: Self) -> Option<Ordering> {
        // A real number next to an integer beyond 2^53 is rounded already, so nothing is lost by comparing reals.
        #[allow(clippy::cast_precision_loss)]
        let real = |number: Self| match number {
            Self::Integer(integer) => integer as f64,
            Self::Real(real) => real,
        };
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => Some(a.cmp(&b)),
            (a, b) => real(a).partial_cmp(&real(b)),
        }
    }
}

/// Whether two values are the same. 1 and 1.0 are, a number and a text that reads as that number are, and lists and
/// objects are when their parts are; two texts are only when they are equal letter for letter.
pub(crate) fn same(a: &Value, b: &Value, case: Case) -> bool {
    match (a, b) {
        (Value::String(a), Value::String(b)) => case.fold(a) == case.fold(b),
        (Value::Number(_), Value::Number(_) | Value::String(_)) | (Value::String(_), Value::Number(_)) => {
            Numeric::of(a).zip(Numeric::of(b)).and_then(|(a, b)| a.order(b)) == Some(Ordering::Equal)
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b, case)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b, case)))
        }
        _ => a == b,
    }
}

/// The order of two values: as numbers if both read as numbers, as instants if both are RFC 3339 times, else as texts.
/// None where one of them is neither a number nor a text, or one is a number and the other a word.
pub(crate) fn order(a: &Value, b: &Value, case: Case) -> Option<Ordering> {
    if let Some((a, b)) = Numeric::of(a).zip(Numeric::of(b)) {
        return a.order(b);
    }
    let (Value::String(a), Value::String(b)) = (a, b) else { return None };
    if let Some((a, b)) = time::instant(a).zip(time::instant(b)) {
        return Some(a.cmp(&b));
    }
    Some(case.fold(a).cmp(&case.fold(b)))
}

/// Whether a text has the part, a list the element, an object the key. None where the value is none of these.
pub(crate) fn contains(value: &Value, part: &Value, case: Case) -> Option<bool> {
    match value {
        Value::String(whole) => {
            Some(text(part).is_some_and(|part| case.fold(whole).contains(case.fold(&part).as_ref())))
        }
        Value::Array(items) => Some(items.iter().any(|item| same(item, part, case))),
        Value::Object(members) => Some(text(part).is_some_and(|key| match case {
            Case::Exact => members.contains_key(key.as_ref()),
            Case::Ignored => members.keys().any(|member| case.fold(member) == case.fold(&key)),
        })),
        _ => None,
    }
}

/// A value as text: a text itself, a number's digits.
pub(crate) fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        _ => None,
    }
}
