//! Reading a pattern.

use serde_json::{Map, Value};

use crate::matcher::{Matcher, brief};

/// The top-level members of an event.
pub(crate) const NAMES: [&str; 6] = ["id", "type", "source", "subject", "time", "data"];

/// What EventBridge calls these.
const OTHER_NAMES: [(&str, &str); 2] = [("detail-type", "type"), ("detail", "data")];

/// The name under which alternatives stand.
const OR: &str = "$or";

/// A pattern that was read.
#[derive(Debug)]
pub(crate) struct Pattern {
    pub(crate) fields: Fields,
    /// The names that lead to each list that asks for absence, in the order of [`Leaf::absence`].
    pub(crate) absences: Vec<Vec<String>>,
    paths: Vec<String>,
}

/// The names at one place of the pattern; all must hold.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    pub(crate) members: Vec<(String, Field)>,
    /// Alternatives at this place, of which one must hold.
    pub(crate) any: Option<Vec<Fields>>,
}

/// What stands beside a name.
#[derive(Debug)]
pub(crate) enum Field {
    Leaf(Leaf),
    Nested { path: String, fields: Fields },
}

/// A list of what a value may be.
#[derive(Debug)]
pub(crate) struct Leaf {
    pub(crate) path: String,
    pub(crate) matchers: Vec<Matcher>,
    /// The list as it was written, for people.
    pub(crate) written: String,
    /// Which of the pattern's absences it asks for, if it has `{"exists": false}`.
    pub(crate) absence: Option<usize>,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// A sentence with the path to the first mistake, what is wrong there and the remedy.
    pub(crate) fn read(members: &Map<String, Value>) -> Result<Self, String> {
        let mut reader = Reader::default();
        let fields = reader.fields(members, "")?;
        Ok(Self { fields, absences: reader.absences, paths: reader.paths })
    }

    /// The paths of the values that the pattern asks about.
    pub(crate) fn paths(&self) -> &[String] {
        &self.paths
    }
}

#[derive(Default)]
struct Reader {
    /// The names that lead to where we are.
    names: Vec<String>,
    absences: Vec<Vec<String>>,
    paths: Vec<String>,
}

impl Reader {
    fn fields(&mut self, members: &Map<String, Value>, path: &str) -> Result<Fields, String> {
        if members.is_empty() {
            let place = if path.is_empty() { "the pattern" } else { path };
            return Err(format!(
                "{place} is an empty object: name what must match, such as {{\"type\": [\"order.paid\"]}}"
            ));
        }
        let mut fields = Fields::default();
        for (name, value) in members {
            let here = join(path, name);
            if name == OR {
                fields.any = Some(self.alternatives(value, path, &here)?);
                continue;
            }
            if self.names.is_empty() {
                known(name)?;
            }
            self.names.push(name.clone());
            let field = match value {
                Value::Object(members) => Field::Nested { fields: self.fields(members, &here)?, path: here },
                Value::Array(items) => Field::Leaf(self.leaf(items, value, here)?),
                other => {
                    return Err(format!(
                        "{here} is {}: put the possible values into a list, such as [{}]",
                        brief(other),
                        brief(other)
                    ));
                }
            };
            self.names.pop();
            fields.members.push((name.clone(), field));
        }
        Ok(fields)
    }

    fn alternatives(&mut self, value: &Value, path: &str, here: &str) -> Result<Vec<Fields>, String> {
        let wrong = || format!("{here} is {}: give a list of at least two patterns", brief(value));
        let items = value.as_array().filter(|items| items.len() > 1).ok_or_else(wrong)?;
        items
            .iter()
            .enumerate()
            .map(|(index, item)| match item {
                Value::Object(members) if !members.is_empty() => self.fields(members, path),
                other => Err(format!("{here}[{index}] is {}: give a pattern, which is an object", brief(other))),
            })
            .collect()
    }

    fn leaf(&mut self, items: &[Value], written: &Value, path: String) -> Result<Leaf, String> {
        if items.is_empty() {
            return Err(format!("{path} is an empty list, which no value is in: list what it may be"));
        }
        let read = |(index, item)| Matcher::read(item, &format!("{path}[{index}]"));
        let matchers = items.iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
        let absence = matchers.iter().any(|matcher| matches!(matcher, Matcher::Exists(false))).then(|| {
            self.absences.push(self.names.clone());
            self.absences.len() - 1
        });
        if !self.paths.contains(&path) {
            self.paths.push(path.clone());
        }
        Ok(Leaf { path, matchers, written: brief(written), absence })
    }
}

/// A name at the top must be one that events have: another would never match, and nobody would know why.
fn known(name: &str) -> Result<(), String> {
    if NAMES.contains(&name) {
        return Ok(());
    }
    let remedy = match OTHER_NAMES.iter().find(|(other, _)| *other == name) {
        Some((_, ours)) => format!("here it is called {ours}"),
        None => format!("an event has {}; the payload's own names stand inside of data", NAMES.join(", ")),
    };
    Err(format!("{} is nothing that an event has: {remedy}", join("", name)))
}

fn join(path: &str, name: &str) -> String {
    let is_plain = !name.is_empty() && !name.contains(['.', '[', ']', '"']);
    let name = hookwright_sdk::shorten(name, 100);
    match (path.is_empty(), is_plain) {
        (true, true) => name,
        (false, true) => format!("{path}.{name}"),
        (_, false) => format!("{path}[{}]", Value::from(name)),
    }
}
