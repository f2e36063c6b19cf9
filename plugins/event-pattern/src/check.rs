//! Holding a pattern against an event.

use hookwright_sdk::shorten;
use serde_json::{Map, Value};

use crate::matcher::brief;
use crate::pattern::{Field, Fields, Leaf, Pattern};

/// Bytes of what an alternative or an element failed with, inside of a longer sentence.
const INNER: usize = 300;

/// Whether the event matches.
///
/// # Errors
/// A sentence with the path, the list and the actual value of the first thing that did not.
pub(crate) fn matches(pattern: &Pattern, event: &Map<String, Value>) -> Result<(), String> {
    let absent: Vec<bool> = pattern.absences.iter().map(|names| !leads_somewhere(event, names)).collect();
    Check { absent: &absent }.fields(&pattern.fields, event)
}

struct Check<'a> {
    /// For each list that asks for absence, whether the value is absent. In lists of objects that is so only if no
    /// element has it, which is why it is not looked at element by element.
    absent: &'a [bool],
}

impl Check<'_> {
    fn fields(&self, fields: &Fields, object: &Map<String, Value>) -> Result<(), String> {
        for (name, field) in &fields.members {
            let value = object.get(name);
            match field {
                Field::Leaf(leaf) => self.leaf(leaf, value)?,
                Field::Nested { path, fields } => self.nested(path, fields, value)?,
            }
        }
        let Some(alternatives) = &fields.any else { return Ok(()) };
        let mut told = Vec::new();
        for alternative in alternatives {
            match self.fields(alternative, object) {
                Ok(()) => return Ok(()),
                Err(mismatch) => told.push(shorten(&mismatch, INNER)),
            }
        }
        Err(format!("none of the {} patterns of $or matches: {}", alternatives.len(), told.join("; ")))
    }

    /// A nested pattern holds when one object at its place does. All of it must hold in the same element of a list.
    fn nested(&self, path: &str, fields: &Fields, value: Option<&Value>) -> Result<(), String> {
        let mut objects = Vec::new();
        if let Some(value) = value {
            collect_objects(value, &mut objects);
        }
        let mut elements = objects.iter();
        let Some(first) = elements.next() else {
            // Where there is no object, nothing in it is there.
            let nothing = Map::new();
            return self.fields(fields, &nothing).map_err(|mismatch| match value {
                None => mismatch,
                Some(other) => format!("{path} is {}, which has no names: {mismatch}", shorten(&brief(other), INNER)),
            });
        };
        let Err(mismatch) = self.fields(fields, first) else { return Ok(()) };
        if elements.any(|object| self.fields(fields, object).is_ok()) {
            return Ok(());
        }
        if objects.len() == 1 {
            return Err(mismatch);
        }
        let inner = shorten(&mismatch, INNER);
        Err(format!("none of the {} elements of {path} matches. The first: {inner}", objects.len()))
    }

    fn leaf(&self, leaf: &Leaf, value: Option<&Value>) -> Result<(), String> {
        let mut scalars = Vec::new();
        if let Some(value) = value {
            collect_scalars(value, &mut scalars);
        }
        let is_absent = leaf.absence.and_then(|index| self.absent.get(index)).copied().unwrap_or_default();
        let is_taken = scalars.iter().any(|scalar| leaf.matchers.iter().any(|matcher| matcher.takes(scalar)));
        if is_absent || is_taken {
            return Ok(());
        }
        let actual = match value {
            None => "it is missing".to_owned(),
            Some(object @ Value::Object(_)) => format!("it is the object {}", brief(object)),
            Some(Value::Array(items)) if items.is_empty() => "it is an empty list".to_owned(),
            Some(value) => format!("it is {}", brief(value)),
        };
        Err(format!("{} must match {}: {actual}", leaf.path, leaf.written))
    }
}

/// The values of a list, also of lists inside of it; a value that is not a list is the only one. An object is not a value:
/// what counts is inside of it.
fn collect_scalars<'a>(value: &'a Value, scalars: &mut Vec<&'a Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect_scalars(item, scalars)),
        Value::Object(_) => {}
        scalar => scalars.push(scalar),
    }
}

fn collect_objects<'a>(value: &'a Value, objects: &mut Vec<&'a Map<String, Value>>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect_objects(item, objects)),
        Value::Object(members) => objects.push(members),
        _ => {}
    }
}

/// Whether the names lead to a value anywhere, through all elements of lists.
fn leads_somewhere(object: &Map<String, Value>, names: &[String]) -> bool {
    let Some((name, rest)) = names.split_first() else { return false };
    object.get(name).is_some_and(|value| is_there(value, rest))
}

fn is_there(value: &Value, names: &[String]) -> bool {
    match value {
        Value::Array(items) => items.iter().any(|item| is_there(item, names)),
        Value::Object(members) => leads_somewhere(members, names),
        _ => names.is_empty(),
    }
}
