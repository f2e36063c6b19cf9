//! The stored state of a step's space, and how much of it the step has read.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::budget::ReadBudget;
use crate::{
    Failure, Kept, KvKey, KvSize, RecordKey, RecordKind, SpaceId, StateView, StoredNote, StoredRecord, Timestamp,
    json_size,
};

/// The stored state of a step's space, and how much of it the step has read.
pub(super) struct Stored {
    view: Arc<dyn StateView>,
    space: SpaceId,
    /// The budget of reads.
    pub(super) budget: ReadBudget,
}

impl Stored {
    /// The state of a space, of which nothing has been read yet.
    pub(super) fn new(view: Arc<dyn StateView>, space: SpaceId) -> Self {
        Self { view, space, budget: ReadBudget::default() }
    }

    pub(super) fn space(&self) -> &SpaceId {
        &self.space
    }

    /// The newest version of a record.
    pub(super) fn record(&mut self, key: &RecordKey) -> Result<Option<StoredRecord>, Failure> {
        let found = self.view.record(&self.space, key)?;
        self.budget.count(found.as_ref().map_or(0, |record| json_size(&record.value)))?;
        Ok(found)
    }

    /// The newest `limit` records of a kind whose fields equal those of `filter`.
    pub(super) fn find_equal(
        &mut self,
        kind: &str,
        filter: &Map<String, Value>,
        limit: usize,
    ) -> Result<Vec<(RecordKey, StoredRecord)>, Failure> {
        let found = self.view.find_equal(&self.space, kind, filter, limit)?;
        let bytes = found.iter().map(|(_, record)| json_size(&record.value)).fold(0, usize::saturating_add);
        self.budget.count(bytes)?;
        Ok(found)
    }

    /// The newest `limit` notes on a record, oldest first.
    pub(super) fn notes(&mut self, key: &RecordKey, limit: usize) -> Result<Vec<StoredNote>, Failure> {
        let notes = self.view.notes(&self.space, key, limit)?;
        self.budget.count(notes.iter().map(StoredNote::size).fold(0, usize::saturating_add))?;
        Ok(notes)
    }

    /// A stored value of a plugin.
    pub(super) fn kept(&mut self, key: &KvKey) -> Result<Option<Kept>, Failure> {
        let kept = self.view.kept(&self.space, key)?;
        self.budget.count(kept.as_ref().map_or(0, |kept| key.key.len().saturating_add(kept.value.len())))?;
        Ok(kept)
    }

    /// Keys of a plugin that begin with `prefix`, in order, with when their values expire.
    pub(super) fn kept_keys(
        &self,
        plugin: &str,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<(String, Option<Timestamp>)>, Failure> {
        self.view.kept_keys(&self.space, plugin, prefix, limit)
    }

    /// How much a plugin has stored.
    pub(super) fn kept_size(&self, plugin: &str) -> Result<KvSize, Failure> {
        self.view.kept_size(&self.space, plugin)
    }

    /// The kind of record with this name.
    pub(super) fn kind(&self, name: &str) -> Result<Option<Arc<RecordKind>>, Failure> {
        self.view.kind(&self.space, name)
    }

    /// An id that no object of this kind has had in the space.
    pub(super) fn next_id(&self, kind: &str) -> Result<u64, Failure> {
        self.view.next_id(&self.space, kind)
    }

    /// A globally unique id with the prefix `prefix_`.
    pub(super) fn unique(&self, prefix: &str) -> String {
        self.view.unique(prefix)
    }
}
