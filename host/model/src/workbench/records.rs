//! Records of any kind, changed by the rules of their kind.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::Workbench;
use crate::{Failure, Merge, Mistakes, RecordKey, RecordKind, TICKET, Version};

/// Maximum size of a record, in bytes of JSON.
const MAX_RECORD: usize = 1024 * 1024;

/// The reason for which a change of a record was refused.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The fields do not match the kind; each error has its path.
    #[error("{0}")]
    Invalid(Mistakes),
    /// Another failure.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Invalid(mistakes) => Self::permanent(Self::PARAMETERS_INVALID, mistakes.to_string()),
            Refused::Failed(failure) => failure,
        }
    }
}

/// The precondition on a record's version (`If-Match`: RFC 9110, section 13.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Any version.
    Any,
    /// One of these versions.
    OneOf(Vec<Version>),
}

impl Workbench {
    /// The kind with this name. Fails if the space has none.
    pub fn kind(&mut self, name: &str) -> Result<Arc<RecordKind>, Failure> {
        self.records.kind(&self.stored, name)
    }

    /// A record as this step would leave it. A ticket includes its notes.
    pub fn record(&mut self, kind: &str, id: &str) -> Result<Option<Value>, Failure> {
        let Some(key) = self.records.key(&self.stored, kind, id)? else { return Ok(None) };
        if self.records.load(&mut self.stored, &key)? {
            self.records.shown(&mut self.stored, &key).map(Some)
        } else {
            Ok(None)
        }
    }

    /// The newest records of a kind whose fields equal those of `filter`, as this step would leave them.
    pub fn find_records(
        &mut self,
        kind: &str,
        filter: &Map<String, Value>,
        limit: usize,
    ) -> Result<Vec<Value>, Failure> {
        self.kind(kind)?;
        self.records.find_equal(&mut self.stored, kind, filter, limit)
    }

    /// Creates a record. Returns it.
    pub fn create_record(&mut self, kind: &str, fields: Map<String, Value>) -> Result<Value, Failure> {
        let key = self.make_record(kind, fields)?;
        self.records.shown(&mut self.stored, &key)
    }

    /// Changes fields of a record and removes those that are null. Returns the record in its new state.
    pub fn update_record(&mut self, kind: &str, id: &str, changes: Map<String, Value>) -> Result<Value, Failure> {
        let key = self.amend_record(kind, id, changes, Merge::Fields)?;
        self.records.shown(&mut self.stored, &key)
    }

    /// Creates a record. Returns its key.
    pub fn make_record(&mut self, kind: &str, fields: Map<String, Value>) -> Result<RecordKey, Refused> {
        self.room()?;
        let found = self.kind(kind)?;
        // Checked first, so that a refused record consumes no id.
        found.make(0, fields.clone(), self.now).map_err(Refused::Invalid)?;
        let key = RecordKey { kind: kind.to_owned(), id: self.stored.next_id(kind)? };
        let record = found.make(key.id, fields, self.now).map_err(Refused::Invalid)?;
        check_size(&record)?;
        self.records.make(&mut self.budget, &key, record)?;
        Ok(key)
    }

    /// Changes a record. Returns its key.
    pub fn amend_record(
        &mut self,
        kind: &str,
        id: &str,
        changes: Map<String, Value>,
        merge: Merge,
    ) -> Result<RecordKey, Refused> {
        self.room()?;
        let found = self.kind(kind)?;
        let key = self.record_key(kind, id)?;
        if kind == TICKET {
            // Its events contain its notes.
            self.records.read_notes(&mut self.stored, &key)?;
        }
        let open = self.records.open(&key)?;
        if let Some(after) = found.change(&open.after, changes, merge, self.now).map_err(Refused::Invalid)? {
            check_size(&after)?;
            self.records.replace(&mut self.budget, &key, after)?;
        }
        Ok(key)
    }

    /// Removes a record.
    pub fn remove_record(&mut self, kind: &str, id: &str) -> Result<(), Failure> {
        self.room()?;
        let found = self.kind(kind)?;
        if !found.permits("deleted") {
            let message = match kind {
                TICKET => "tickets are closed, not deleted: set their status".to_owned(),
                _ => format!("{} cannot be deleted: its kind does not permit `deleted`", found.noun()),
            };
            return Err(Failure::permanent("record.not_removable", message));
        }
        let key = self.record_key(kind, id)?;
        self.records.remove(&mut self.budget, &key)
    }

    /// Refuses the change if the record does not have the version that the caller read.
    pub fn expect_version(&mut self, kind: &str, id: &str, expected: &Expected) -> Result<(), Failure> {
        let key = self.record_key(kind, id)?;
        let version = self.records.version_read(&key);
        match expected {
            Expected::OneOf(versions) if !versions.contains(&version) => {
                let message = format!(
                    "{key} was changed concurrently, its ETag is now \"{version}\": read it, then change it again"
                );
                Err(Failure::permanent(Failure::RECORD_CHANGED, message))
            }
            _ => Ok(()),
        }
    }

    /// The version that a record has once the step commits.
    pub fn version_of(&self, key: &RecordKey) -> Version {
        self.records.version_of(key)
    }

    /// The key of an existing record. Fails if there is none.
    pub fn record_key(&mut self, kind: &str, id: &str) -> Result<RecordKey, Failure> {
        let key = self.records.existing(&mut self.stored, kind, id)?;
        self.records.load(&mut self.stored, &key)?;
        Ok(key)
    }
}

fn check_size(record: &Value) -> Result<(), Failure> {
    let size = record.to_string().len();
    if size <= MAX_RECORD {
        return Ok(());
    }
    Err(Failure::permanent("record.too_large", format!("the record has {size} bytes: at most {MAX_RECORD}")))
}
