//! Values of the record that an event is about, and of records that it refers to, for conditions, which have no import
//! for records.

use serde_json::{Value, json};

use super::Workbench;
use crate::variables::described;
use crate::{Failure, FailureKind, Field, Found, RecordKey, TICKET};

/// The first words of a path into the record that the event is about.
const ROOTS: [&str; 2] = [TICKET, "record"];
/// Maximum number of references that one path follows.
const REFERENCES: usize = 4;
/// Maximum length of a path, in bytes. Plugins read no longer ones.
const LONGEST: usize = 1024;

impl Workbench {
    /// Follows a path that begins with `ticket` or `record` into the record that `subject` names, `KIND/ID`, as it is now.
    /// `None` if the path begins with another word, or is not valid.
    ///
    /// Names are joined by dots. Positions are written `items.0` or `items[0]`, other names `["a.b"]`. Where a field
    /// refers to another record, the rest of the path is resolved in that record: `record.team.name`.
    ///
    /// # Errors
    /// The stored state cannot be read.
    pub fn related(&mut self, subject: Option<&str>, path: &str) -> Result<Option<Found>, Failure> {
        // Most paths do not refer to a record.
        if !ROOTS.iter().any(|root| path.starts_with(root)) {
            return Ok(None);
        }
        let Some(names) = names(path) else { return Ok(None) };
        let Some((root, names)) = names.split_first().filter(|(root, _)| ROOTS.contains(&root.as_str())) else {
            return Ok(None);
        };
        let (key, mut value) = match self.about(subject, root)? {
            Ok(found) => found,
            Err(why) => return Ok(Some(Found::NoRecord(format!("{path} is missing: {why}")))),
        };
        let mut kind = Some(self.kind(&key.kind)?);
        let mut field: Option<Field> = None;
        let mut walked = root.clone();
        let mut followed = 0;
        for (place, name) in names.iter().enumerate() {
            if place > 0
                && followed < REFERENCES
                && let Some(other) = field.as_ref().and_then(|field| field.kind.clone())
                && let Some(id) = id_of(&value).filter(|_| step(&value, name).is_none())
            {
                followed = followed.saturating_add(1);
                let Some(record) = self.known(&other, &id)? else {
                    let why = format!("{walked} is {other}/{id}, and there is no such record");
                    return Ok(Some(Found::Missing(format!("{path} is missing: {why}"))));
                };
                (value, kind, field) = (record, self.kind(&other).ok(), None);
            }
            let Some(next) = step(&value, name).cloned() else {
                let why = format!("{walked} {}", described(&value));
                return Ok(Some(Found::Missing(format!("{path} is missing: {why}"))));
            };
            field = match (kind.take(), &field) {
                (Some(kind), _) => kind.declaration().fields.get(name).cloned(),
                (None, Some(field)) => {
                    let within = field.fields.as_ref().and_then(|fields| fields.get(name)).cloned();
                    within.or_else(|| field.items.as_deref().filter(|_| value.is_array()).cloned())
                }
                (None, None) => None,
            };
            value = next;
            walked = format!("{walked}.{}", name.chars().take(60).collect::<String>());
        }
        Ok(Some(Found::Value(value)))
    }

    /// The record, or why there is none.
    fn about(&mut self, subject: Option<&str>, root: &str) -> Result<Result<(RecordKey, Value), String>, Failure> {
        let Some(subject) = subject else {
            return Ok(Err("the event is not about a record: it has no subject".to_owned()));
        };
        let shown: String = subject.chars().take(100).collect();
        let Some(key) = RecordKey::parse(subject) else {
            return Ok(Err(format!("the event is not about a record: its subject is `{shown}`")));
        };
        if root == TICKET && key.kind != TICKET {
            return Ok(Err(format!("the event is about {shown}, which is not a ticket: `record` leads into it")));
        }
        match self.known(&key.kind, &key.id.to_string())? {
            Some(record) => Ok(Ok((key, record))),
            None => Ok(Err(format!("there is no {shown} in this space"))),
        }
    }

    /// A record. `None` also if there is no such kind: what an external event names need not exist.
    fn known(&mut self, kind: &str, id: &str) -> Result<Option<Value>, Failure> {
        match self.record(kind, id) {
            Err(failure) if failure.kind() == FailureKind::NoSuchRecordKind => Ok(None),
            found => found,
        }
    }
}

impl Found {
    /// What the host passes to the plugin: `{"value"}`, `{"missing"}` or `{"no_record"}`.
    pub fn handed_over(&self) -> Value {
        match self {
            Self::Value(value) => json!({"value": value}),
            Self::Missing(message) => json!({"missing": message}),
            Self::NoRecord(message) => json!({"no_record": message}),
        }
    }
}

fn step<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    match value {
        Value::Object(members) => members.get(name),
        Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        _ => None,
    }
}

/// The id in a reference.
fn id_of(value: &Value) -> Option<String> {
    match value.as_object().map_or(Some(value), |object| object.get("id"))? {
        Value::String(id) => Some(id.chars().take(80).collect()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    }
}

/// The names of a path. `None` if it is not valid.
fn names(path: &str) -> Option<Vec<String>> {
    if path.len() > LONGEST {
        return None;
    }
    let mut names = Vec::new();
    let mut rest = path;
    loop {
        let after = if let Some(inside) = rest.strip_prefix('[') {
            let (name, after) = bracketed(inside)?;
            names.push(name);
            after
        } else {
            let (name, after) = rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len()));
            if name.is_empty() {
                return None;
            }
            names.push(name.to_owned());
            after
        };
        rest = match after.strip_prefix('.') {
            Some(next) => next,
            None if after.is_empty() => return Some(names),
            None if after.starts_with('[') => after,
            None => return None,
        };
    }
}

/// The content of a bracket, and what follows the closing one.
fn bracketed(inside: &str) -> Option<(String, &str)> {
    let Some(quoted) = inside.strip_prefix('"') else {
        let (digits, rest) = inside.split_once(']')?;
        return Some((digits.to_owned(), rest));
    };
    let mut name = String::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next()? {
            '"' => return Some((name, characters.as_str().strip_prefix(']')?)),
            '\\' => name.push(characters.next()?),
            other => name.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Cause, MemoryView, SpaceId, Timestamp};

    fn find(subject: Option<&str>, path: &str) -> Option<Found> {
        let now = Timestamp::from_millis(0);
        let mut view = MemoryView::default();
        view.add("ticket", json!({"id": 7, "subject": "Printer", "status": "open", "urgency": "high",
            "custom_field_values": [{"value": "a.b", "x.y": 1}], "created_at": now.to_string(), "updated_at": now.to_string()}));
        view.add("request", json!({"id": 1, "subject": "R", "team": 3, "member": {"id": 9}}));
        view.add("team", json!({"id": 3, "name": "Network"}));
        let mut workbench = Workbench::new(Arc::new(view), SpaceId::main(), now, "test", Cause::api());
        workbench.related(subject, path).unwrap()
    }

    #[test]
    fn a_path_leads_into_the_record_and_those_that_it_refers_to() {
        for (subject, path, value) in [
            ("ticket/7", "ticket.urgency", json!("high")),
            ("ticket/7", "record.status", json!("open")),
            ("ticket/7", "ticket.custom_field_values[0].value", json!("a.b")),
            ("ticket/7", "ticket.custom_field_values.0[\"x.y\"]", json!(1)),
            ("request/1", "record.team", json!(3)),
            ("request/1", "record.team.name", json!("Network")),
            ("request/1", "record.member.id", json!(9)),
        ] {
            assert_eq!(find(Some(subject), path), Some(Found::Value(value)), "{path}");
        }
        for path in ["data.ticket", "tickets.x", "ticket..x", "ticket[", "urgency", ""] {
            assert_eq!(find(Some("ticket/7"), path), None, "{path}");
        }
    }

    #[test]
    fn a_missing_value_is_reported_with_what_exists() {
        for (subject, path, is_record, said) in [
            (None, "ticket.urgency", false, "it has no subject"),
            (Some("order-7"), "record.x", false, "its subject is `order-7`"),
            (Some("request/1"), "ticket.x", false, "request/1, which is not a ticket"),
            (Some("ticket/8"), "ticket.x", false, "there is no ticket/8"),
            (Some("unheard-of/8"), "record.x", false, "there is no unheard-of/8"),
            (Some("ticket/7"), "ticket.urgent", true, "ticket has"),
            (Some("ticket/7"), "ticket.urgency.x", true, "ticket.urgency is \"high\""),
            (Some("request/1"), "record.member.name", true, "record.member is person/9, and there is no such record"),
            (Some("request/1"), "record.team.size", true, "record.team has"),
        ] {
            let message = match find(subject, path) {
                Some(Found::Missing(message)) if is_record => message,
                Some(Found::NoRecord(message)) if !is_record => message,
                other => panic!("{path}: {other:?}"),
            };
            assert!(message.starts_with(&format!("{path} is missing: ")) && message.contains(said), "{message}");
        }
    }
}
