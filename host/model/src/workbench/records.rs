//! Records of any kind, changed by the rules of their kind.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Open, Workbench};
use crate::{Failure, Merge, Mistakes, RecordKey, RecordKind, TICKET, Version, is_kind};

/// How large a record may be, in bytes of JSON.
const MAX_RECORD: usize = 1024 * 1024;

/// Why a change of a record was refused.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The fields are not what the kind says, each with its path.
    #[error("{0}")]
    Invalid(Mistakes),
    /// Something else stands in the way.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Invalid(mistakes) => Self::permanent("parameters.invalid", mistakes.to_string()),
            Refused::Failed(failure) => failure,
        }
    }
}

/// Which version a record must have to be changed (RFC 9110, section 13.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Any.
    Any,
    /// One of these.
    OneOf(Vec<Version>),
}

impl Workbench {
    /// The kind of this name; the failure says that the space has none.
    pub fn kind(&mut self, name: &str) -> Result<Arc<RecordKind>, Failure> {
        if let Some(kind) = self.kinds.get(name) {
            return Ok(Arc::clone(kind));
        }
        check_kind(name)?;
        let missing = || {
            let message =
                format!("there is no kind of record `{name}` in this space: declare it, PUT /v1/kinds/{name}");
            Failure::permanent("kind.not_found", message)
        };
        let kind = self.view.kind(&self.space, name)?.ok_or_else(missing)?;
        self.kinds.insert(name.to_owned(), Arc::clone(&kind));
        Ok(kind)
    }

    /// A record as this step would leave it; a ticket with its notes.
    pub fn record(&mut self, kind: &str, id: &str) -> Result<Option<Value>, Failure> {
        let Some(key) = self.key(kind, id)? else { return Ok(None) };
        if self.load(&key)? { self.shown(&key).map(Some) } else { Ok(None) }
    }

    /// The newest records of a kind whose fields equal those of `filter`, as this step would leave them.
    pub fn find_records(
        &mut self,
        kind: &str,
        filter: &Map<String, Value>,
        limit: usize,
    ) -> Result<Vec<Value>, Failure> {
        self.kind(kind)?;
        let fits = |record: &Value| filter.iter().all(|(name, value)| record.get(name) == Some(value));
        let stored = self.view.find_equal(&self.space, kind, filter, limit)?;
        for (key, record) in stored {
            self.reads.entry(key.clone()).or_insert(Some(record.version));
            self.open.entry(key).or_insert_with(|| Open::stored(record.value));
        }
        let of_kind = self.open.iter().rev().filter(|(key, open)| key.kind == kind && !open.removed);
        Ok(of_kind.map(|(_, open)| &open.after).filter(|record| fits(record)).take(limit).cloned().collect())
    }

    /// Makes a record; returns it.
    pub fn create_record(&mut self, kind: &str, fields: Map<String, Value>) -> Result<Value, Failure> {
        let key = self.make_record(kind, fields)?;
        self.shown(&key)
    }

    /// Changes fields of a record, takes away those that are null; returns it as it will be.
    pub fn update_record(&mut self, kind: &str, id: &str, changes: Map<String, Value>) -> Result<Value, Failure> {
        let key = self.amend_record(kind, id, changes, Merge::Fields)?;
        self.shown(&key)
    }

    /// Makes a record; returns its key.
    pub fn make_record(&mut self, kind: &str, fields: Map<String, Value>) -> Result<RecordKey, Refused> {
        self.room()?;
        let found = self.kind(kind)?;
        // Checked first, so that what is refused takes no id.
        found.make(0, fields.clone(), self.now).map_err(Refused::Invalid)?;
        let key = RecordKey { kind: kind.to_owned(), id: self.view.next_id(&self.space, kind)? };
        let record = found.make(key.id, fields, self.now).map_err(Refused::Invalid)?;
        check_size(&record)?;
        self.reads.insert(key.clone(), None);
        self.open.insert(key.clone(), Open::new(record));
        Ok(key)
    }

    /// Changes a record; returns its key.
    pub fn amend_record(
        &mut self,
        kind: &str,
        id: &str,
        changes: Map<String, Value>,
        merge: Merge,
    ) -> Result<RecordKey, Refused> {
        self.room()?;
        let found = self.kind(kind)?;
        let now = self.now;
        let key = self.record_key(kind, id)?;
        if kind == TICKET {
            // Its events show its notes.
            self.notes_on(&key)?;
        }
        let Some(open) = self.open.get_mut(&key) else { return Err(not_found(kind, id).into()) };
        if let Some(after) = found.change(&open.after, changes, merge, now).map_err(Refused::Invalid)? {
            check_size(&after)?;
            open.after = after;
            open.touched = true;
        }
        Ok(key)
    }

    /// Removes a record.
    pub fn remove_record(&mut self, kind: &str, id: &str) -> Result<(), Failure> {
        self.room()?;
        let found = self.kind(kind)?;
        if !found.permits("deleted") {
            let message = match kind {
                TICKET => "tickets are closed, not removed: set their status".to_owned(),
                _ => format!("{} cannot be removed: its kind does not permit `deleted`", found.noun()),
            };
            return Err(Failure::permanent("record.not_removable", message));
        }
        let key = self.record_key(kind, id)?;
        if let Some(open) = self.open.get_mut(&key) {
            open.touched = true;
            open.removed = true;
        }
        Ok(())
    }

    /// Refuses a record that has another version than the caller saw.
    pub fn expect_version(&mut self, kind: &str, id: &str, expected: &Expected) -> Result<(), Failure> {
        let key = self.record_key(kind, id)?;
        let version = self.reads.get(&key).copied().flatten().unwrap_or(0);
        match expected {
            Expected::OneOf(versions) if !versions.contains(&version) => {
                let message =
                    format!("{key} was changed meanwhile, its ETag is \"{version}\": read it, then change it again");
                Err(Failure::permanent("record.changed", message))
            }
            _ => Ok(()),
        }
    }

    /// The key of a record that there is; the failure says that there is none.
    pub fn record_key(&mut self, kind: &str, id: &str) -> Result<RecordKey, Failure> {
        let key = self.key(kind, id)?.ok_or_else(|| not_found(kind, id))?;
        if self.load(&key)? { Ok(key) } else { Err(not_found(kind, id)) }
    }

    fn key(&mut self, kind: &str, id: &str) -> Result<Option<RecordKey>, Failure> {
        self.kind(kind)?;
        Ok(id.trim().parse().ok().map(|id| RecordKey { kind: kind.to_owned(), id }))
    }
}

pub(super) fn not_found(kind: &str, id: &str) -> Failure {
    let id: String = id.chars().take(80).collect();
    let code = if kind == TICKET { "ticket.not_found" } else { "record.not_found" };
    Failure::permanent(code, format!("there is no {kind} `{id}` in this space"))
}

fn check_kind(kind: &str) -> Result<(), Failure> {
    if is_kind(kind) {
        return Ok(());
    }
    let kind: String = kind.chars().take(80).collect();
    let message = format!("`{kind}` is no kind of record: 1 to 64 of a-z, 0-9 and -");
    Err(Failure::permanent("record.kind_invalid", message))
}

fn check_size(record: &Value) -> Result<(), Failure> {
    let size = record.to_string().len();
    if size <= MAX_RECORD {
        return Ok(());
    }
    Err(Failure::permanent("record.too_large", format!("the record has {size} bytes: at most {MAX_RECORD}")))
}
