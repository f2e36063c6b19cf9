//! Running a filter on a message.

use hookwright_sdk::{Event, Failure, Message, shorten};
use jaq_core::{Ctx, ValX, Vars};
use jaq_json::{Map, Num, Val, read};
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::data::Data;
use crate::depth::{DEEPEST, is_too_deep};
use crate::program::compiled;

/// Runs the filter on the message's body. Answers the new body, none where the filter had no result.
///
/// # Errors
/// The filter or the body is not valid, the filter failed, or a result is not JSON.
pub(crate) fn run(filter: &str, message: &Message, event: &Event, multiple: bool) -> Result<Option<String>, Failure> {
    let program = compiled(filter)?;
    let input = parse(&message.body, "message.not_json", "the body")?;
    let context = Ctx::<Data>::new(&program.lut, Vars::new([envelope(event)?]));
    let mut results = program.id.run((context, input)).map(value);
    if !multiple {
        return results.next().transpose()?.map(|result| json(&result)).transpose();
    }
    let results = results.collect::<Result<Vec<Val>, Failure>>()?;
    if results.is_empty() { Ok(None) } else { json(&results.into_iter().collect()).map(Some) }
}

/// Reads JSON without losing a digit of a number or the order of names.
fn parse(bytes: &[u8], code: &str, what: &str) -> Result<Val, Failure> {
    if is_too_deep(bytes) {
        return Err(Failure::permanent(code, format!("{what} is nested more than {DEEPEST} levels deep")));
    }
    if may_have_negative_zero(bytes) {
        // The filter's own reader takes an integer -0 for 0, so that its sign would be lost.
        return serde_json::from_slice(bytes).map(exact).map_err(|problem| {
            Failure::permanent(code, format!("{what} ({} bytes) is not JSON: {problem}", bytes.len()))
        });
    }
    // The filter's own reader also takes comments and NaN, which are not JSON.
    serde_json::from_slice::<IgnoredAny>(bytes)
        .map_err(|error| error.to_string())
        .and_then(|_| read::parse_single(bytes).map_err(|error| error.to_string()))
        .map_err(|problem| Failure::permanent(code, format!("{what} ({} bytes) is not JSON: {problem}", bytes.len())))
}

/// Whether an integer -0 may stand in the text. One inside of a string counts too, which costs time and nothing else.
fn may_have_negative_zero(json: &[u8]) -> bool {
    let ends = |byte: Option<&u8>| {
        byte.is_none_or(|byte| matches!(byte, b',' | b':' | b'[' | b']' | b'}') || byte.is_ascii_whitespace())
    };
    let before = |at: usize| at.checked_sub(1).and_then(|before| json.get(before));
    json.windows(2).enumerate().any(|(at, pair)| pair == b"-0" && ends(before(at)) && ends(json.get(at + 2)))
}

/// A value with the digits of each number.
fn exact(value: Value) -> Val {
    match value {
        Value::Null => Val::Null,
        Value::Bool(truth) => Val::Bool(truth),
        Value::String(text) => Val::from(text),
        Value::Number(number) => {
            let digits = number.to_string();
            let integer = (digits != "-0").then(|| Num::from_str_radix(&digits, 10)).flatten();
            Val::Num(integer.unwrap_or_else(|| Num::Dec(digits.into())))
        }
        Value::Array(items) => items.into_iter().map(exact).collect(),
        Value::Object(members) => {
            Val::obj(members.into_iter().map(|(name, value)| (Val::from(name), exact(value))).collect())
        }
    }
}

/// The event's envelope as the filter's `$event`.
fn envelope(event: &Event) -> Result<Val, Failure> {
    let text = |text: &str| Val::from(text.to_owned());
    let mut attributes = Map::default();
    for (name, value) in &event.attributes {
        attributes.entry(text(name)).or_insert_with(|| text(value));
    }
    let members = [
        ("id", text(&event.id)),
        ("type", text(&event.event_type)),
        ("source", text(&event.source)),
        ("subject", event.subject.as_deref().map_or(Val::Null, text)),
        ("time", text(&event.time)),
        ("data", parse(event.data_json.as_bytes(), "event.not_json", "the event's data")?),
        ("attributes", Val::obj(attributes)),
    ];
    Ok(Val::obj(members.into_iter().map(|(name, value)| (text(name), value)).collect()))
}

/// A result, or the filter's failure.
fn value(result: ValX<'_, Val>) -> Result<Val, Failure> {
    let failed =
        |said: String| Failure::permanent("filter.failed", format!("the filter failed: {}", shorten(&said, 400)));
    result.map_err(|exception| match exception.get_err() {
        Ok(error) => failed(error.to_string()),
        Err(exception) => match exception.get_halt() {
            Ok(code) => failed(format!("it called halt with {code}; use `empty` to drop the message")),
            Err(_) => failed("it breaks out of a label that does not exist".into()),
        },
    })
}

/// A result as JSON text. Filters also know values that JSON has no form for: NaN, bytes, names that are not strings.
fn json(result: &Val) -> Result<String, Failure> {
    let text = result.to_string();
    match serde_json::from_str::<IgnoredAny>(&text) {
        Ok(_) => Ok(text),
        Err(_) => Err(Failure::permanent(
            "filter.not_json",
            format!("the filter's result is not JSON: {}", shorten(&text, 300)),
        )),
    }
}
