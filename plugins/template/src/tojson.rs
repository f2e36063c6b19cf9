//! The filter `tojson`, which writes numbers with the digits that they were written with.

use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Error, ErrorKind};

use crate::values::{Digits, Part};
use crate::writer::{Style, Writer};

/// JSON in which the characters that mean something to HTML are escaped, as the engine's own filter writes it.
///
/// # Errors
/// The value is none of JSON's.
pub(crate) fn filter(digits: &Digits, value: &Value, indent: Option<Value>, more: &Kwargs) -> Result<Value, Error> {
    let indent = match indent {
        Some(indent) => Some(indent),
        None => more.get::<Option<Value>>("indent")?,
    };
    more.assert_all_used()?;
    let style = match indent {
        None => Style::Line,
        Some(given) => match bool::try_from(given.clone()) {
            Ok(true) => Style::Lines(2),
            Ok(false) => Style::Line,
            Err(_) => Style::Lines(usize::try_from(given)?.min(32)),
        },
    };
    let mut writer = Writer::new(style, true);
    put(&mut writer, digits, value)?;
    Ok(Value::from_safe_string(writer.finish()))
}

/// Writes a value of the template, with the digits that its numbers had.
fn put(writer: &mut Writer, digits: &Digits, value: &Value) -> Result<(), Error> {
    if let Some(part) = value.downcast_object_ref::<Part>() {
        writer.json(part.json());
        return Ok(());
    }
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => writer.plain("null"),
        ValueKind::Bool => writer.plain(if value.is_true() { "true" } else { "false" }),
        ValueKind::Number => {
            let written = digits.of(value).map(|digits| digits.to_string());
            writer.plain(&written.unwrap_or_else(|| number(value)));
        }
        ValueKind::Seq | ValueKind::Iterable => {
            let mut empty = true;
            writer.open('[');
            for item in value.try_iter()? {
                writer.next(&mut empty);
                put(writer, digits, &item)?;
            }
            writer.close(']', empty);
        }
        ValueKind::Map => {
            let mut empty = true;
            writer.open('{');
            for name in value.try_iter()? {
                writer.next(&mut empty);
                writer.string(&name.to_string());
                writer.plain(": ");
                put(writer, digits, &value.get_item(&name)?)?;
            }
            writer.close('}', empty);
        }
        ValueKind::String | ValueKind::Plain => writer.string(&value.to_string()),
        kind => {
            return Err(Error::new(ErrorKind::InvalidOperation, format!("a value of type {kind} is none of JSON")));
        }
    }
    Ok(())
}

/// A number that the template computed.
fn number(value: &Value) -> String {
    if value.is_integer() {
        return value.to_string();
    }
    let real = f64::try_from(value.clone()).ok().and_then(serde_json::Number::from_f64);
    real.map_or_else(|| "null".to_owned(), |real| real.to_string())
}
