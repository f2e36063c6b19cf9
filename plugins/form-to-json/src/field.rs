//! The fields that every kind of form is read into.

use serde_json::Value;

/// A field of a form: its name and a string, or a file as JSON.
pub(crate) type Field = (String, Value);

/// A value alone, or the list of several.
pub(crate) fn one_or_list(mut values: Vec<Value>, is_list: bool) -> Value {
    match (values.len(), is_list) {
        (1, false) => values.pop().unwrap_or_default(),
        _ => Value::Array(values),
    }
}
