//! Declarations of kinds, and their validation.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::field::{Field, FieldType, Fields, shown};
use super::verbs::{Tells, verbs};
use crate::{Mistakes, breaks_line, is_kind};

/// Maximum number of fields of a kind, including nested ones.
const MOST_FIELDS: usize = 100;
/// Maximum nesting depth of fields.
const DEEPEST: usize = 5;
/// Maximum number of indexed fields.
const MOST_INDEXED: usize = 16;
/// Maximum number of allowed values of a field.
const MOST_VALUES: usize = 100;
/// Maximum number of statuses that close or complete a record.
const MOST_STATUSES: usize = 50;
/// Maximum size of a declaration, in bytes of JSON.
const LARGEST: usize = 64 * 1024;

/// Names that a space's own kind cannot have: words with another meaning in event types or ids, and members of the data
/// of events.
const TAKEN: [&str; 9] = ["note", "mail", "automation", "event", "record", "id", "changes", "from", "to"];

/// The input that declares or changes a kind of record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KindInput {
    /// Its noun with an article, such as `an order`. 1 to 64 bytes; `a` or `an` with the name by default.
    #[serde(default)]
    pub noun: String,
    /// Its fields, at most 100. `id` and the times of creation and change need not be declared.
    pub fields: Fields,
    /// Whether a record may have other fields.
    #[serde(default)]
    pub more_fields: bool,
    /// The field with the instant of the record's creation, which the server sets. Null: none.
    #[serde(default = "created_at")]
    pub created: Option<String>,
    /// The same for its last change.
    #[serde(default = "updated_at")]
    pub updated: Option<String>,
    /// The field whose change is reported as `moved`: a stage, a milestone, a column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// The field whose change is reported as `status-changed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Statuses that close the record, in any letter case; `closed`, `won` and `lost` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Vec<String>>,
    /// Statuses that complete it; `completed` and `done` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed: Option<Vec<String>>,
    /// Its verbs; `created`, `updated` and `deleted` by default.
    #[serde(default)]
    pub verbs: Verbs,
    /// A record.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub example: Value,
}

fn created_at() -> Option<String> {
    Some("created_at".to_owned())
}

fn updated_at() -> Option<String> {
    Some("updated_at".to_owned())
}

/// The verbs of a kind, each with the fields that change in its example, and their values before and after.
///
/// A list of verbs is read as verbs without examples.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "GivenVerbs")]
pub struct Verbs(pub Map<String, Value>);

#[derive(Deserialize)]
#[serde(untagged, expecting = "a list of verbs, or an object of verbs with what then changes")]
enum GivenVerbs {
    List(Vec<String>),
    Changes(Map<String, Value>),
}

impl From<GivenVerbs> for Verbs {
    fn from(given: GivenVerbs) -> Self {
        Self(match given {
            GivenVerbs::List(list) => list.into_iter().map(|verb| (verb, Value::Object(Map::new()))).collect(),
            GivenVerbs::Changes(changes) => changes,
        })
    }
}

impl KindInput {
    /// A declaration that accepts any fields and allows every verb.
    pub(super) fn any() -> Self {
        let verbs = verbs().keys().map(|verb| ((*verb).to_owned(), Value::Object(Map::new()))).collect();
        Self {
            noun: String::new(),
            fields: Fields::default(),
            more_fields: true,
            created: created_at(),
            updated: updated_at(),
            stage: None,
            status: None,
            closed: None,
            completed: None,
            verbs: Verbs(verbs),
            example: Value::Null,
        }
    }

    /// Adds the parts that need not be declared.
    pub(super) fn complete(&mut self, name: &str) {
        if self.noun.is_empty() {
            let article = if name.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
            self.noun = format!("{article} {}", name.replace('-', " "));
        }
        if self.fields.get("id").is_none() {
            self.fields.put_first("id", Field::plain(FieldType::Integer, "Counted from 1 in each space."));
        }
        for (name, description) in [(&self.created, "When it was made."), (&self.updated, "When it last changed.")] {
            if let Some(name) = name
                && self.fields.get(name).is_none()
            {
                self.fields.put_last(name, Field::plain(FieldType::Timestamp, description));
            }
        }
        if self.verbs.0.is_empty() {
            let usual = ["created", "updated", "deleted"];
            self.verbs.0 = usual.map(|verb| (verb.to_owned(), Value::Object(Map::new()))).into_iter().collect();
        }
    }

    /// Validates every part, and their consistency. `id` and the times must be present.
    pub(super) fn check(&self, name: &str) -> Result<(), Mistakes> {
        let mut mistakes = Mistakes::default();
        if !is_kind(name) || TAKEN.contains(&name) {
            let why = if TAKEN.contains(&name) { "stands for something else" } else { "is not a valid name of a kind" };
            let message = format!("`{}` {why}: 1 to 64 of a-z, 0-9 and -", crate::abridged(name));
            mistakes.add("kind", message);
        }
        let size = serde_json::to_string(self).map_or(usize::MAX, |text| text.len());
        if size > LARGEST {
            mistakes.add("", format!("the declaration has {size} bytes of JSON: at most {LARGEST}"));
            return Err(mistakes);
        }
        check_text("noun", &self.noun, 64, &mut mistakes);
        let count = check_fields("fields", &self.fields, 1, &mut mistakes);
        if count > MOST_FIELDS.saturating_add(3) {
            mistakes.add("fields", format!("{count} fields: at most {MOST_FIELDS}"));
        }
        let indexed = self.fields.iter().filter(|(_, field)| field.indexed).count();
        if indexed > MOST_INDEXED {
            mistakes.add("fields", format!("{indexed} of them indexed: at most {MOST_INDEXED}"));
        }
        self.check_own_fields(&mut mistakes);
        self.check_verbs(&mut mistakes);
        mistakes.0.truncate(20);
        mistakes.check()
    }

    fn check_own_fields(&self, mistakes: &mut Mistakes) {
        if self.fields.get("id").is_some_and(|id| !id.types.has(FieldType::Integer)) {
            mistakes.add("fields.id.type", "must include `integer`: the server counts ids");
        }
        for (path, name) in [("created", &self.created), ("updated", &self.updated)] {
            let Some(name) = name else { continue };
            let types = self.fields.get(name).map(|field| &field.types);
            if name == "id" || !types.is_some_and(|t| t.has(FieldType::Timestamp) || t.has(FieldType::Seconds)) {
                mistakes.add(path, format!("`{name}` is not a field of the type timestamp or seconds: name one"));
            }
        }
        if self.created.is_some() && self.created == self.updated {
            mistakes.add("updated", "is the field of `created` too: name another, or null");
        }
        for (path, name) in [("stage", &self.stage), ("status", &self.status)] {
            let Some(name) = name else { continue };
            if self.fields.get(name).is_none() {
                mistakes.add(path, format!("`{name}` is not a field: the fields are {}", self.fields.names()));
            }
        }
        let status = self.status.as_ref().and_then(|status| self.fields.get(status));
        for (path, statuses) in [("closed", &self.closed), ("completed", &self.completed)] {
            let Some(statuses) = statuses else { continue };
            if statuses.len() > MOST_STATUSES {
                mistakes.add(path, format!("{} statuses: at most {MOST_STATUSES}", statuses.len()));
            }
            let Some(field) = status else {
                mistakes.add(path, "names statuses of a kind without `status`: name the field that has them");
                continue;
            };
            for (place, status) in statuses.iter().enumerate().take(MOST_STATUSES) {
                let known = |value: &Value| value.as_str().is_some_and(|value| value.eq_ignore_ascii_case(status));
                if !field.values.is_empty() && !field.values.iter().any(known) {
                    mistakes
                        .add(format!("{path}[{place}]"), format!("`{status}` is not an allowed value of the status"));
                }
            }
        }
        match &self.example {
            Value::Null => {}
            Value::Object(example) => {
                for (name, value) in example {
                    match self.fields.get(name) {
                        Some(field) => field.check(&format!("example.{name}"), value, mistakes),
                        None if self.more_fields => {}
                        None => mistakes.add(format!("example.{name}"), "is not a declared field"),
                    }
                }
            }
            other => mistakes.add("example", format!("is {}: give a record, an object", shown(other))),
        }
    }

    fn check_verbs(&self, mistakes: &mut Mistakes) {
        let known = verbs();
        for (verb, change) in &self.verbs.0 {
            let path = format!("verbs.{}", crate::abridged(verb));
            let Some(told) = known.get(verb.as_str()) else {
                let names: Vec<&str> = known.keys().copied().collect();
                mistakes.add(path, format!("is not a verb: the verbs are {}", names.join(", ")));
                continue;
            };
            let needs = match verb.as_str() {
                "moved" => self.stage.is_none().then_some("stage"),
                "status-changed" => self.status.is_none().then_some("status"),
                _ => None,
            };
            if let Some(needs) = needs {
                mistakes.add(path.as_str(), format!("needs `{needs}`: name the field whose change it reports"));
            }
            let Some(fields) = change.as_object() else {
                mistakes.add(path, format!("is {}: give the fields that change, each [from, to]", shown(change)));
                continue;
            };
            let most = match told.tells {
                Tells::Nothing | Tells::Note => 0,
                Tells::Changes => 10,
                Tells::FromTo => 1,
            };
            if fields.len() > most {
                mistakes.add(path.as_str(), format!("{} fields: at most {most} for this verb", fields.len()));
            }
            for (field, values) in fields {
                let path = format!("{path}.{field}");
                if self.fields.get(field).is_none() {
                    mistakes.add(path.as_str(), "is not a declared field");
                }
                if !values.as_array().is_some_and(|pair| pair.len() == 2 && pair.first() != pair.get(1)) {
                    mistakes.add(path, format!("is {}: give two values, [from, to]", shown(values)));
                }
            }
        }
        for needed in ["created", "updated"] {
            if !self.verbs.0.contains_key(needed) {
                mistakes.add("verbs", format!("must include `{needed}`: every record is created and updated"));
            }
        }
    }
}

fn check_text(path: &str, text: &str, most: usize, mistakes: &mut Mistakes) {
    if text.len() > most || text.chars().any(breaks_line) {
        mistakes.add(path, format!("has {} bytes: at most {most}, and no control characters", text.len()));
    }
}

/// Validates fields and nested ones. Returns their number.
fn check_fields(path: &str, fields: &Fields, depth: usize, mistakes: &mut Mistakes) -> usize {
    let mut count = fields.len();
    if depth > DEEPEST {
        mistakes.add(path, format!("fields are nested more than {DEEPEST} levels deep: flatten them"));
        return count;
    }
    for (name, field) in fields.iter() {
        let path = format!("{path}.{}", crate::abridged(name));
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            mistakes.add(path.as_str(), "is not a valid field name: give 1 to 64 of a-z, A-Z, 0-9, _ and -");
        }
        count = count.saturating_add(check_field(&path, field, depth, mistakes));
    }
    count
}

fn check_field(path: &str, field: &Field, depth: usize, mistakes: &mut Mistakes) -> usize {
    let has = |wanted: FieldType| field.types.has(wanted);
    let at = |part: &str| format!("{path}.{part}");
    if field.types.all().is_empty() || field.types.all().len() > 5 {
        mistakes.add(at("type"), "1 to 5 types: a field has at least one");
    }
    check_text(&at("description"), &field.description, 1024, mistakes);
    if field.indexed && (depth > 1 || !field.types.all().iter().all(|one| one.is_scalar() || *one == FieldType::Object))
    {
        mistakes.add(at("indexed"), "only top-level fields of the record that are not lists can be indexed");
    }
    if field.values.len() > MOST_VALUES {
        mistakes.add(at("values"), format!("{} values: at most {MOST_VALUES}", field.values.len()));
    }
    for (place, value) in field.values.iter().enumerate().take(MOST_VALUES) {
        if !field.types.all().iter().any(|one| one.fits(value)) {
            mistakes.add(format!("{path}.values[{place}]"), format!("{} is not of the field's type", shown(value)));
        }
    }
    if let (Some(least), Some(most)) = (field.min, field.max)
        && least > most
    {
        mistakes.add(at("min"), format!("is {least}, more than max, {most}"));
    }
    if field.items.is_some() && !has(FieldType::List) {
        mistakes.add(at("items"), "only a list has items");
    }
    if (field.fields.is_some() || field.more_fields.is_some()) && !has(FieldType::Object) {
        mistakes.add(at("fields"), "only an object has fields");
    }
    match &field.kind {
        Some(kind) if !has(FieldType::Reference) || !is_kind(kind) => {
            mistakes.add(at("kind"), "only a reference names a kind: 1 to 64 of a-z, 0-9 and -");
        }
        _ => {}
    }
    if let Some(default) = field.default.as_ref().filter(|default| !default.is_null()) {
        field.check(&at("default"), default, mistakes);
    }
    let mut count = 0_usize;
    if let Some(items) = &field.items {
        if depth >= DEEPEST {
            mistakes.add(at("items"), format!("fields are nested more than {DEEPEST} levels deep: flatten them"));
        } else {
            count = count.saturating_add(1).saturating_add(check_field(
                &at("items"),
                items,
                depth.saturating_add(1),
                mistakes,
            ));
        }
    }
    if let Some(fields) = &field.fields {
        count = count.saturating_add(check_fields(&at("fields"), fields, depth.saturating_add(1), mistakes));
    }
    count
}

/// Adds the kinds that fields refer to, at any depth, with the paths at which they are named.
pub(super) fn references<'a>(path: &str, fields: &'a Fields, found: &mut Vec<(String, &'a str)>) {
    for (name, field) in fields.iter() {
        field_references(&format!("{path}.{name}"), field, found);
    }
}

fn field_references<'a>(path: &str, field: &'a Field, found: &mut Vec<(String, &'a str)>) {
    if let Some(kind) = &field.kind {
        found.push((format!("{path}.kind"), kind.as_str()));
    }
    if let Some(items) = &field.items {
        field_references(&format!("{path}.items"), items, found);
    }
    if let Some(fields) = &field.fields {
        references(&format!("{path}.fields"), fields, found);
    }
}
