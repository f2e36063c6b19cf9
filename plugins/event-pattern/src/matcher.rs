//! What a list in a pattern holds: values, and matchers written as objects with one name.

use std::cmp::Ordering;
use std::net::IpAddr;

use hookwright_sdk::json::Decimal;
use hookwright_sdk::shorten;
use serde_json::{Map, Number, Value};

use crate::wildcard::Wildcard;

/// The names that a matcher may have.
const KNOWN: &str = "prefix, suffix, equals-ignore-case, wildcard, anything-but, numeric, cidr, exists";

/// One test of one value.
#[derive(Debug)]
pub(crate) enum Matcher {
    /// The value itself: a string, a number, a boolean or null.
    Exact(Value),
    Text(Text),
    /// A value that none of these takes.
    AnythingBut(Vec<Matcher>),
    Numeric(Vec<Bound>),
    Network {
        address: IpAddr,
        bits: u8,
    },
    Exists(bool),
}

/// One test of a string.
#[derive(Debug)]
pub(crate) enum Text {
    Prefix(String),
    Suffix(String),
    EqualsIgnoreCase(String),
    PrefixIgnoreCase(String),
    SuffixIgnoreCase(String),
    Wildcard(Wildcard),
}

/// One end of a range: the order that a value must have with the number.
#[derive(Debug)]
pub(crate) struct Bound {
    allowed: fn(Ordering) -> bool,
    number: Number,
}

impl Matcher {
    /// Reads one element of a pattern's list, which stands at `path`.
    ///
    /// # Errors
    /// A sentence with the path, what is wrong there and the remedy.
    pub(crate) fn read(value: &Value, path: &str) -> Result<Self, String> {
        match value {
            Value::Object(members) => {
                let (name, argument) = only(members, path)?;
                Self::named(name, argument, &format!("{path}.{name}"))
            }
            Value::Array(_) => Err(format!("{path} is a list inside of a list: write its values side by side")),
            scalar => Ok(Self::Exact(scalar.clone())),
        }
    }

    fn named(name: &str, argument: &Value, path: &str) -> Result<Self, String> {
        Ok(match name {
            "prefix" | "suffix" | "equals-ignore-case" | "wildcard" => Self::Text(Text::read(name, argument, path)?),
            "anything-but" => Self::AnythingBut(anything_but(argument, path)?),
            "numeric" => Self::Numeric(range(argument, path)?),
            "cidr" => {
                let text = text(argument, path, "such as \"10.0.0.0/8\"")?;
                let (address, bits) = network(text).ok_or_else(|| {
                    format!("{path} is {argument}, which is not a network: write an address, a slash and a number of bits, such as \"10.0.0.0/8\" or \"2001:db8::/32\"")
                })?;
                Self::Network { address, bits }
            }
            "exists" => match argument {
                Value::Bool(wanted) => Self::Exists(*wanted),
                other => return Err(format!("{path} is {}: give true or false", brief(other))),
            },
            _ => {
                return Err(format!("{} is not a matcher: there are {KNOWN}", shorten(path, 200)));
            }
        })
    }

    /// Whether the matcher takes a value that is there. `exists: false` never does: absence is looked at elsewhere.
    pub(crate) fn takes(&self, value: &Value) -> bool {
        match self {
            Self::Exact(expected) => same(value, expected),
            Self::Text(test) => value.as_str().is_some_and(|text| test.takes(text)),
            Self::AnythingBut(excluded) => !excluded.iter().any(|matcher| matcher.takes(value)),
            Self::Numeric(bounds) => match value {
                Value::Number(number) => bounds.iter().all(|end| (end.allowed)(order(number, &end.number))),
                _ => false,
            },
            Self::Network { address, bits } => {
                value.as_str().and_then(|text| text.parse().ok()).is_some_and(|found| is_inside(found, *address, *bits))
            }
            Self::Exists(wanted) => *wanted,
        }
    }
}

impl Text {
    fn read(name: &str, argument: &Value, path: &str) -> Result<Self, String> {
        if let (Value::Object(members), "prefix" | "suffix") = (argument, name) {
            let (inner, argument) = only(members, path)?;
            if inner != "equals-ignore-case" {
                return Err(format!(
                    "{path}.{inner} is not a matcher here: only equals-ignore-case is allowed inside of {name}"
                ));
            }
            let folded = fold(text(argument, &format!("{path}.{inner}"), "")?);
            return Ok(if name == "prefix" { Self::PrefixIgnoreCase(folded) } else { Self::SuffixIgnoreCase(folded) });
        }
        let text = text(argument, path, "")?;
        Ok(match name {
            "prefix" => Self::Prefix(text.into()),
            "suffix" => Self::Suffix(text.into()),
            "wildcard" => Self::Wildcard(
                Wildcard::read(text).map_err(|problem| format!("{path} is {}, which {problem}", brief(argument)))?,
            ),
            _ => Self::EqualsIgnoreCase(fold(text)),
        })
    }

    fn takes(&self, text: &str) -> bool {
        match self {
            Self::Prefix(part) => text.starts_with(part.as_str()),
            Self::Suffix(part) => text.ends_with(part.as_str()),
            Self::EqualsIgnoreCase(whole) => fold(text) == *whole,
            Self::PrefixIgnoreCase(part) => fold(text).starts_with(part.as_str()),
            Self::SuffixIgnoreCase(part) => fold(text).ends_with(part.as_str()),
            Self::Wildcard(wildcard) => wildcard.takes(text),
        }
    }
}

/// A value as it is shown to people.
pub(crate) fn brief(value: &Value) -> String {
    shorten(&value.to_string(), 250)
}

/// The only name of a matcher and what is beside it.
fn only<'a>(members: &'a Map<String, Value>, path: &str) -> Result<(&'a str, &'a Value), String> {
    let mut each = members.iter();
    match (each.next(), each.next()) {
        (Some((name, argument)), None) => Ok((name, argument)),
        (None, _) => Err(format!("{path} is an empty object: name a matcher in it, one of {KNOWN}")),
        (Some((first, _)), Some((second, _))) => Err(format!(
            "{path} names two matchers, {} and {}: write {{..}}, {{..}} side by side where one of them is enough",
            shorten(first, 60),
            shorten(second, 60)
        )),
    }
}

fn text<'a>(argument: &'a Value, path: &str, example: &str) -> Result<&'a str, String> {
    argument.as_str().ok_or_else(|| {
        let example = if example.is_empty() { String::new() } else { format!(" {example}") };
        format!("{path} is {}: give a string{example}", brief(argument))
    })
}

/// What is excluded: one value or several, or what a test of strings takes.
fn anything_but(argument: &Value, path: &str) -> Result<Vec<Matcher>, String> {
    match argument {
        Value::Object(members) => {
            let (name, argument) = only(members, path)?;
            let path = format!("{path}.{name}");
            if !matches!(name, "prefix" | "suffix" | "equals-ignore-case" | "wildcard") {
                return Err(format!(
                    "{path} is not a matcher here: anything-but takes values, prefix, suffix, equals-ignore-case or wildcard"
                ));
            }
            let test = |argument, path: &str| Text::read(name, argument, path).map(Matcher::Text);
            match argument {
                Value::Array(items) if items.is_empty() => Err(empty(&path)),
                Value::Array(items) => {
                    items.iter().enumerate().map(|(index, item)| test(item, &format!("{path}[{index}]"))).collect()
                }
                single => Ok(vec![test(single, &path)?]),
            }
        }
        Value::Array(items) if items.is_empty() => Err(empty(path)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| match item {
                Value::Array(_) | Value::Object(_) => {
                    Err(format!("{path}[{index}] is {}: list strings, numbers, booleans or null", brief(item)))
                }
                scalar => Ok(Matcher::Exact(scalar.clone())),
            })
            .collect(),
        scalar => Ok(vec![Matcher::Exact(scalar.clone())]),
    }
}

fn empty(path: &str) -> String {
    format!("{path} is an empty list: put a value in it")
}

/// `["=", 5]`, `[">", 0]` or `[">", 0, "<=", 5]`.
fn range(argument: &Value, path: &str) -> Result<Vec<Bound>, String> {
    let wrong = |remedy: &str| format!("{path} is {}: {remedy}", brief(argument));
    let items = argument.as_array().ok_or_else(|| wrong("give a list such as [\">\", 0, \"<=\", 5]"))?;
    let mut bounds = Vec::new();
    let mut ends: Vec<(&str, &Number)> = Vec::new();
    for pair in items.chunks(2) {
        let [Value::String(operator), Value::Number(number)] = pair else {
            return Err(wrong("write an operator and a number, one or two times"));
        };
        let allowed: fn(Ordering) -> bool = match operator.as_str() {
            "=" => Ordering::is_eq,
            "<" => Ordering::is_lt,
            "<=" => Ordering::is_le,
            ">" => Ordering::is_gt,
            ">=" => Ordering::is_ge,
            _ => return Err(wrong("the operators are =, <, <=, > and >=")),
        };
        bounds.push(Bound { allowed, number: number.clone() });
        ends.push((operator, number));
    }
    match ends.as_slice() {
        [_] => Ok(bounds),
        [(lower, bottom), (upper, top)] => {
            let is_range = lower.starts_with('>') && upper.starts_with('<');
            if !is_range {
                return Err(wrong("two operators are a range: first > or >=, then < or <="));
            }
            match order(bottom, top) {
                Ordering::Less => Ok(bounds),
                Ordering::Equal if *lower == ">=" && *upper == "<=" => Ok(bounds),
                _ => Err(wrong("no number is in that range: the first must be smaller than the second")),
            }
        }
        [] => Err(wrong("write an operator and a number")),
        _ => Err(wrong("write at most two operators with a number each")),
    }
}

fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let is_number = !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit());
    let bits: u8 = is_number.then(|| bits.parse().ok())??;
    let most = if address.is_ipv4() { 32 } else { 128 };
    (bits <= most).then_some((address, bits))
}

/// Whether the first `bits` of two addresses of the same family are the same.
fn is_inside(found: IpAddr, network: IpAddr, bits: u8) -> bool {
    let (found, network, most) = match (found, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
        _ => return false,
    };
    // A network of no bits has every address of the family; shifting all bits out is not defined.
    (found ^ network).checked_shr(most - u32::from(bits)).unwrap_or(0) == 0
}

/// The order of two JSON numbers, digit by digit. `300`, `300.0` and `3.0e2` are the same.
fn order(a: &Number, b: &Number) -> Ordering {
    let (a, b) = (a.to_string(), b.to_string());
    // What is a number of JSON is a decimal one.
    Decimal::read(&a).zip(Decimal::read(&b)).map_or(Ordering::Equal, |(a, b)| a.order(b))
}

/// Exactly the same value. Numbers are however they are written; a number is never a string.
fn same(value: &Value, expected: &Value) -> bool {
    match (value, expected) {
        (Value::Number(a), Value::Number(b)) => order(a, b).is_eq(),
        _ => value == expected,
    }
}

/// The text without its case, letter by letter, so that the fold of a part is a part of the fold.
fn fold(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}
