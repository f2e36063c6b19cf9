//! Keywords that look at the value as a whole, at texts and at numbers.

use serde_json::{Map, Value};

use crate::load::Schema;
use crate::value::{is_multiple, is_whole, order, same};
use crate::violation::{Report, Spot, brief};

/// Holds the value against `type`, `enum`, `const` and the keywords for texts and numbers.
pub(crate) fn check(
    schema: &Schema<'_>,
    members: &Map<String, Value>,
    value: &Value,
    at: &Spot<'_>,
    report: &mut Report,
) -> bool {
    let mut is_valid = true;
    if let Some(wanted) = members.get("type") {
        let is_one = match wanted {
            Value::String(name) => is_type(value, name),
            Value::Array(names) => names.iter().filter_map(Value::as_str).any(|name| is_type(value, name)),
            _ => true,
        };
        if !is_one {
            is_valid = false;
            report.add_with(at, "type", || {
                format!("it is {}, of type {}, not {}", brief(value), type_of(value), told(wanted))
            });
        }
    }
    if let Some(Value::Array(wanted)) = members.get("enum")
        && !wanted.iter().any(|one| same(one, value))
    {
        is_valid = false;
        report.add_with(at, "enum", || {
            format!("it is {}, not one of {}", brief(value), brief(&Value::Array(wanted.clone())))
        });
    }
    if let Some(wanted) = members.get("const")
        && !same(wanted, value)
    {
        is_valid = false;
        report.add_with(at, "const", || format!("it is {}, not {}", brief(value), brief(wanted)));
    }
    match value {
        Value::String(text) => is_valid & check_text(schema, members, text, value, at, report),
        Value::Number(_) => is_valid & check_number(members, value, at, report),
        _ => is_valid,
    }
}

fn check_text(
    schema: &Schema<'_>,
    members: &Map<String, Value>,
    text: &str,
    value: &Value,
    at: &Spot<'_>,
    report: &mut Report,
) -> bool {
    let mut is_valid = true;
    let (least, most) = (count(members, "minLength"), count(members, "maxLength"));
    if least.is_some() || most.is_some() {
        let length = text.chars().count();
        if least.is_some_and(|least| length < least) {
            is_valid = false;
            report.add_with(at, "minLength", || {
                format!("it is {}, of {length} characters, and {} are wanted", brief(value), least.unwrap_or_default())
            });
        }
        if most.is_some_and(|most| length > most) {
            is_valid = false;
            report.add_with(at, "maxLength", || {
                format!(
                    "it is {}, of {length} characters, and at most {} may be",
                    brief(value),
                    most.unwrap_or_default()
                )
            });
        }
    }
    if let Some(pattern) = members.get("pattern").and_then(Value::as_str)
        && schema.regex(pattern).is_some_and(|regex| !regex.is_match(text))
    {
        is_valid = false;
        report.add_with(at, "pattern", || {
            format!("it is {}, which `{}` does not match", brief(value), hookwright_sdk::shorten(pattern, 100))
        });
    }
    is_valid
}

fn check_number(members: &Map<String, Value>, value: &Value, at: &Spot<'_>, report: &mut Report) -> bool {
    let Value::Number(number) = value else { return true };
    let mut is_valid = true;
    for (word, allowed, wanted) in [
        ("minimum", std::cmp::Ordering::is_ge as fn(std::cmp::Ordering) -> bool, "at least"),
        ("maximum", std::cmp::Ordering::is_le, "at most"),
        ("exclusiveMinimum", std::cmp::Ordering::is_gt, "more than"),
        ("exclusiveMaximum", std::cmp::Ordering::is_lt, "less than"),
    ] {
        if let Some(Value::Number(bound)) = members.get(word)
            && !allowed(order(number, bound))
        {
            is_valid = false;
            report.add_with(at, word, || format!("it is {number} and must be {wanted} {bound}"));
        }
    }
    if let Some(Value::Number(divisor)) = members.get("multipleOf")
        && !is_multiple(number, divisor)
    {
        is_valid = false;
        report.add_with(at, "multipleOf", || format!("it is {number}, no multiple of {divisor}"));
    }
    is_valid
}

fn is_type(value: &Value, name: &str) -> bool {
    match (name, value) {
        ("number", Value::Number(_)) => true,
        ("integer", Value::Number(number)) => is_whole(number),
        _ => type_of(value) == name,
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn told(wanted: &Value) -> String {
    match wanted {
        Value::String(name) => name.clone(),
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        other => other.to_string(),
    }
}

/// A count that a keyword names; 2.0 is one too.
pub(crate) fn count(members: &Map<String, Value>, word: &str) -> Option<usize> {
    let value = members.get(word)?;
    // What is beyond every length is as good as the greatest.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = value.as_u64().or_else(|| value.as_f64().map(|real| real as u64))?;
    Some(usize::try_from(whole).unwrap_or(usize::MAX))
}
