//! The values that a template sees: those of the JSON, with numbers that are printed with the digits they were written with.
//!
//! A template computes in double precision and in whole numbers of 128 bits. A number that such a value would not print as
//! it was written (`1.10`, `-0`, `1e3`, or more digits than fit) leaves its digits here when the template reads it, and gets
//! them back when it is printed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::Value;
use minijinja::value::{Enumerator, Object, ObjectRepr};
use serde_json::Value as Json;

use crate::writer;

/// The digits of numbers that were read, by their value in double precision.
#[derive(Debug, Clone, Default)]
pub(crate) struct Digits(Arc<Mutex<BTreeMap<u64, Arc<str>>>>);

impl Digits {
    /// What was written for a number of the template, if anything but the number itself tells.
    pub(crate) fn of(&self, value: &Value) -> Option<Arc<str>> {
        if !value.is_number() || value.is_integer() {
            return None;
        }
        let bits = f64::try_from(value.clone()).ok()?.to_bits();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&bits).cloned()
    }

    fn keep(&self, number: f64, written: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(number.to_bits(), written.into());
    }
}

/// An object or a list of the JSON.
#[derive(Clone)]
pub(crate) struct Part {
    json: Arc<Json>,
    digits: Digits,
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&writer::compact(&self.json))
    }
}

impl Part {
    pub(crate) fn json(&self) -> &Json {
        &self.json
    }
}

/// A value of the JSON as the template sees it.
pub(crate) fn known(json: &Json, digits: &Digits) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(truth) => Value::from(*truth),
        Json::String(text) => Value::from(text.as_str()),
        Json::Number(number) => {
            let written = number.to_string();
            // `-0` is not a whole number of a program.
            if let Some(whole) = written.parse::<i128>().ok().filter(|_| written != "-0") {
                return Value::from(whole);
            }
            let Ok(real) = written.parse::<f64>() else { return Value::from(written) };
            digits.keep(real, &written);
            Value::from(real)
        }
        Json::Array(_) | Json::Object(_) => {
            Value::from_object(Part { json: Arc::new(json.clone()), digits: digits.clone() })
        }
    }
}

impl Object for Part {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        if self.json.is_array() { ObjectRepr::Seq } else { ObjectRepr::Map }
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let found = match &*self.json {
            Json::Array(items) => items.get(key.as_usize()?),
            Json::Object(members) => members.get(key.as_str()?),
            _ => None,
        };
        found.map(|json| known(json, &self.digits))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        match &*self.json {
            Json::Array(items) => Enumerator::Seq(items.len()),
            Json::Object(members) => {
                Enumerator::Values(members.keys().map(|name| Value::from(name.as_str())).collect())
            }
            _ => Enumerator::Empty,
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
