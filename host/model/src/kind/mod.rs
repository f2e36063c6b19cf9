//! Kinds of record: their fields, the types of these, and the events of their changes.
//!
//! A kind is data. The built-in ones are in `host/model/kinds`, one file a kind; a space declares its own in the same
//! form ([`KindInput`]). JSON Schema, event types and indices are all derived from the declaration.

mod builtin;
mod declare;
mod events;
mod field;
mod schema;
mod verbs;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::json::Decimal;
use crate::{Mistakes, Timestamp};

pub use builtin::{builtin_kind, builtin_kinds};
pub use declare::{KindInput, Verbs};
pub use field::{Field, FieldType, Fields, Types};

pub(crate) use field::is_date;
#[cfg(test)]
pub(crate) use verbs::{Tells, verbs};

/// Maximum number of fields of a record.
const MAX_FIELDS: usize = 1000;
/// Maximum length of the name of an undeclared field, in bytes.
const MAX_NAME: usize = 128;

/// How changes are applied to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// Each field is replaced as a whole.
    Fields,
    /// Objects are merged member by member (JSON Merge Patch, RFC 7396).
    Patch,
}

/// A kind of record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordKind {
    name: String,
    /// Whether it is built in.
    #[serde(default)]
    builtin: bool,
    /// Incremented by each change of the declaration.
    #[serde(default)]
    revision: u64,
    declaration: KindInput,
    /// When it was declared. `None` for built-in kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    updated_at: Option<Timestamp>,
}

/// An entry of the index: a field with a value of it.
pub type IndexEntry = (String, String);

impl RecordKind {
    fn built_in(name: &str, mut declaration: KindInput) -> Self {
        declaration.complete(name);
        Self { name: name.to_owned(), builtin: true, revision: 0, declaration, created_at: None, updated_at: None }
    }

    /// A kind that accepts any fields and allows every verb: for tests of plugins, where no space declares it.
    pub fn any(name: &str) -> Self {
        let mut declaration = KindInput::any();
        declaration.complete(name);
        Self { name: name.to_owned(), builtin: false, revision: 0, declaration, created_at: None, updated_at: None }
    }

    /// Validates a declaration and makes the kind. `former` is the kind that it replaces.
    pub fn declare(
        name: &str,
        mut declaration: KindInput,
        former: Option<&Self>,
        now: Timestamp,
    ) -> Result<Self, Mistakes> {
        declaration.complete(name);
        declaration.check(name)?;
        let unchanged = former.filter(|former| former.declaration == declaration);
        let revision = former.map_or(1, |former| former.revision.saturating_add(u64::from(unchanged.is_none())));
        Ok(Self {
            name: name.to_owned(),
            builtin: false,
            revision,
            declaration,
            created_at: former.map_or(Some(now), |former| former.created_at),
            updated_at: unchanged.map_or(Some(now), |former| former.updated_at),
        })
    }

    /// The kinds that its fields refer to, each with the path at which it is named, such as `fields.customer.kind`.
    pub fn references(&self) -> Vec<(String, &str)> {
        let mut found = Vec::new();
        declare::references("fields", &self.declaration.fields, &mut found);
        found
    }

    /// Its name, such as `ticket`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its noun with an article, such as `a ticket`.
    pub fn noun(&self) -> &str {
        &self.declaration.noun
    }

    /// Whether it is built in.
    pub fn is_builtin(&self) -> bool {
        self.builtin
    }

    /// The revision of the declaration of a space's own kind.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The declaration, with defaults added.
    pub fn declaration(&self) -> &KindInput {
        &self.declaration
    }

    /// When it was declared and last changed. `None` for built-in kinds.
    pub fn times(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        (self.created_at, self.updated_at)
    }

    /// Whether a verb can happen to its records.
    pub fn permits(&self, verb: &str) -> bool {
        self.declaration.verbs.0.contains_key(verb)
    }

    /// Its indexed fields.
    pub fn indexed(&self) -> impl Iterator<Item = &str> {
        self.declaration.fields.iter().filter(|(_, field)| field.indexed).map(|(name, _)| name)
    }

    /// The index entries of a record, one for each indexed field that has a value.
    pub fn index_of(&self, record: &Value) -> Vec<IndexEntry> {
        let entry = |name: &str| Some((name.to_owned(), index_value(record.get(name)?)?));
        self.indexed().filter_map(entry).collect()
    }

    /// JSON Schema (2020-12) of a record.
    pub fn schema(&self) -> Value {
        let Self { declaration, .. } = self;
        let mut schema = schema::of_record(&self.sentence(), &declaration.fields, declaration.more_fields);
        if let Some(object) = schema.as_object_mut() {
            object.shift_insert(0, "$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
            object.shift_insert(1, "title".to_owned(), self.name.clone().into());
        }
        schema
    }

    fn sentence(&self) -> String {
        let mut letters = self.declaration.noun.chars();
        let capital = letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>());
        format!("{}.", capital.unwrap_or_default())
    }

    /// Validates a whole record, including the fields that the server sets.
    pub fn check_record(&self, record: &Map<String, Value>) -> Result<(), Mistakes> {
        let mut mistakes = Mistakes::default();
        for (name, value) in record {
            self.check_field(name, value, &mut mistakes);
        }
        self.check_required(record, &mut mistakes);
        mistakes.check()
    }

    /// A new record with these fields.
    pub fn make(&self, id: u64, fields: Map<String, Value>, now: Timestamp) -> Result<Value, Mistakes> {
        let mut mistakes = Mistakes::default();
        self.check_names(&fields, &mut mistakes);
        let mut given = Map::new();
        for (name, mut value) in fields {
            let declared = self.declaration.fields.get(&name);
            // A null is dropped where a field is either absent or has a value.
            if value.is_null() && declared.is_none_or(|field| !field.nullable) {
                continue;
            }
            self.check_field(&name, &value, &mut mistakes);
            if let Some(field) = declared {
                field.fill(&mut value);
            }
            given.insert(name, value);
        }
        self.declaration.fields.fill(&mut given);
        self.check_required(&given, &mut mistakes);
        mistakes.check()?;
        let mut record = Map::new();
        record.insert("id".to_owned(), id.into());
        for (name, _) in self.declaration.fields.iter() {
            if let Some((name, value)) = given.shift_remove_entry(name) {
                record.insert(name, value);
            }
        }
        record.extend(given);
        for name in [&self.declaration.created, &self.declaration.updated].into_iter().flatten() {
            record.insert(name.clone(), self.instant(name, now));
        }
        Ok(Value::Object(record))
    }

    /// Applies changes to a record: absent fields stay, null removes a field or restores its default. `None` if nothing
    /// changes.
    pub fn change(
        &self,
        record: &Value,
        changes: Map<String, Value>,
        merge: Merge,
        now: Timestamp,
    ) -> Result<Option<Value>, Mistakes> {
        let mut mistakes = Mistakes::default();
        self.check_names(&changes, &mut mistakes);
        let mut after = record.as_object().cloned().unwrap_or_default();
        for (name, change) in changes {
            let declared = self.declaration.fields.get(&name);
            if change.is_null() {
                self.take_away(&name, declared, &mut after, &mut mistakes);
                continue;
            }
            let mut value = match merge {
                Merge::Fields => change,
                Merge::Patch => patched(after.get(&name), change),
            };
            self.check_field(&name, &value, &mut mistakes);
            if let Some(field) = declared {
                field.fill(&mut value);
            }
            after.insert(name, value);
        }
        if after.len() > MAX_FIELDS {
            mistakes.add("", format!("{} fields: at most {MAX_FIELDS}", after.len()));
        }
        mistakes.check()?;
        if record.as_object() == Some(&after) {
            return Ok(None);
        }
        let mut after = Value::Object(after);
        self.touch(&mut after, now);
        Ok(Some(after))
    }

    /// Sets the instant of the last change.
    pub(crate) fn touch(&self, record: &mut Value, now: Timestamp) {
        if let (Some(name), Some(object)) = (&self.declaration.updated, record.as_object_mut()) {
            object.insert(name.clone(), self.instant(name, now));
        }
    }

    /// Sets the instant of the last change of a stored record, unless a later one is set. Returns the removed and the
    /// added index entries.
    pub fn touch_stored(&self, record: &mut Value, now: Timestamp) -> (Option<IndexEntry>, Option<IndexEntry>) {
        let Some(name) = &self.declaration.updated else { return (None, None) };
        let was = record.get(name).cloned();
        let is = self.instant(name, now);
        let later = match (&was, &is) {
            (Some(Value::String(was)), Value::String(is)) => was < is,
            (Some(Value::Number(was)), Value::Number(is)) => was.as_i64() < is.as_i64(),
            _ => true,
        };
        if !later {
            return (None, None);
        }
        let indexed = self.declaration.fields.get(name).is_some_and(|field| field.indexed);
        let entry = |value: &Value| Some((name.clone(), index_value(value)?)).filter(|_| indexed);
        let entries = (was.as_ref().and_then(entry), entry(&is));
        if let Some(object) = record.as_object_mut() {
            object.insert(name.clone(), is);
        }
        entries
    }

    fn take_away(
        &self,
        name: &str,
        declared: Option<&Field>,
        record: &mut Map<String, Value>,
        mistakes: &mut Mistakes,
    ) {
        match declared {
            Some(field) => match &field.default {
                Some(default) if default.is_null() || field.nullable => {
                    record.insert(name.to_owned(), default.clone());
                }
                None if !field.required => {
                    record.shift_remove(name);
                }
                _ => mistakes.add(name, format!("cannot be removed: {} requires it; give it a value", self.noun())),
            },
            None => {
                if record.shift_remove(name).is_none() && !self.declaration.more_fields {
                    mistakes.add(name, self.unknown());
                }
            }
        }
    }

    fn check_names(&self, fields: &Map<String, Value>, mistakes: &mut Mistakes) {
        if fields.len() > MAX_FIELDS {
            mistakes.add("", format!("{} fields: at most {MAX_FIELDS}", fields.len()));
        }
        for name in fields.keys() {
            if self.set_by_server(name) {
                mistakes.add(name, "the server sets it: leave it out");
            } else if self.declaration.fields.get(name).is_none()
                && (name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control))
            {
                let name = crate::abridged(name);
                let message =
                    format!("is not a valid field name: give 1 to {MAX_NAME} bytes, none of them a control character");
                mistakes.add(name, message);
            }
        }
        mistakes.0.truncate(20);
    }

    fn set_by_server(&self, name: &str) -> bool {
        let times = [&self.declaration.created, &self.declaration.updated];
        name == "id" || times.into_iter().flatten().any(|one| one == name)
    }

    fn check_field(&self, name: &str, value: &Value, mistakes: &mut Mistakes) {
        if self.set_by_server(name) {
            // Reported already.
            return;
        }
        match self.declaration.fields.get(name) {
            Some(field) => field.check(name, value, mistakes),
            None if self.declaration.more_fields => {}
            None => mistakes.add(crate::abridged(name), self.unknown()),
        }
        mistakes.0.truncate(20);
    }

    fn check_required(&self, record: &Map<String, Value>, mistakes: &mut Mistakes) {
        for (name, field) in self.declaration.fields.iter() {
            if field.required && !record.contains_key(name) {
                mistakes.add(name, format!("is missing: {} has it", self.noun()));
            }
        }
    }

    fn unknown(&self) -> String {
        format!("is not a field of {}: it has {}", self.noun(), self.declaration.fields.names())
    }

    /// An instant in the type of the field.
    fn instant(&self, name: &str, now: Timestamp) -> Value {
        let seconds = self.declaration.fields.get(name).is_some_and(|field| field.types.has(FieldType::Seconds));
        if seconds { now.seconds().into() } else { now.to_string().into() }
    }
}

/// RFC 7396, section 2.
fn patched(target: Option<&Value>, patch: Value) -> Value {
    let Value::Object(patch) = patch else { return patch };
    let mut object = target.and_then(Value::as_object).cloned().unwrap_or_default();
    for (name, value) in patch {
        if value.is_null() {
            object.shift_remove(&name);
        } else {
            let value = patched(object.get(&name), value);
            object.insert(name, value);
        }
    }
    Value::Object(object)
}

/// Maximum length of a string in the index, in bytes. Longer ones are indexed by their beginning.
const INDEXED_TEXT: usize = 128;

/// The index form of a value: a string, a number, a boolean, or the id of an object. `None`: it is not indexed.
pub fn index_value(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Array(_) => None,
        Value::Bool(value) => Some(format!("b{value}")),
        Value::Number(number) => plain_number(&number.to_string()).map(|number| format!("n{number}")),
        Value::String(text) => Some(index_text(text)),
        Value::Object(object) => object.get("id").filter(|id| !id.is_object()).and_then(index_value),
    }
}

/// The index form of a string.
pub(crate) fn index_text(text: &str) -> String {
    let mut end = text.len().min(INDEXED_TEXT);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    format!("s{}", text.get(..end).unwrap_or_default())
}

/// The index form of a number. `None` if the string is not a number. 5 and 5.0 are the same number, and so are 1.1 and
/// 1.10, but numbers that differ in any digit are not.
pub(crate) fn plain_number(text: &str) -> Option<String> {
    let exact = Decimal::read(text)?;
    // In any notation: 1e18 and 1.0e18 too.
    if let Some(whole) = exact.to_i128().filter(|whole| (i64::MIN.into()..=u64::MAX.into()).contains(whole)) {
        return Some(whole.to_string());
    }
    let short = text.parse::<f64>().ok().and_then(|real| {
        #[allow(clippy::cast_possible_truncation, reason = "it is whole and below 2^53")]
        let whole = (real.fract() == 0.0 && real.abs() < 9e15).then(|| (real as i64).to_string());
        whole.or_else(|| Some(serde_json::Number::from_f64(real)?.to_string()))
    });
    // Double precision represents most numbers. Those that it would round keep all of their digits.
    let is_exact = |short: &String| Decimal::read(short).is_some_and(|short| short.order(exact).is_eq());
    short.filter(is_exact).or_else(|| Some(exact.canonical()))
}

#[cfg(test)]
mod tests;
