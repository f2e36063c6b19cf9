//! A state in memory, to run a plugin without a store, as its author's tests do.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;

use crate::{
    Failure, Kept, KvKey, KvSize, RecordKey, RecordKind, SpaceId, StateView, StoredNote, StoredRecord, Timestamp,
    builtin_kind,
};

/// Records, notes and plugins' values, the same for every space.
#[derive(Debug, Default)]
pub struct MemoryView {
    /// Records.
    pub records: BTreeMap<RecordKey, StoredRecord>,
    /// Notes by record.
    pub notes: HashMap<RecordKey, Vec<Value>>,
    /// Changes of plugins' stored values.
    pub kept: BTreeMap<KvKey, Kept>,
    /// The highest issued ids, by kind.
    pub ids: Mutex<HashMap<String, u64>>,
}

impl MemoryView {
    /// Adds a record, whose `id` must be a number.
    pub fn add(&mut self, kind: &str, value: Value) -> Option<RecordKey> {
        let key = RecordKey { kind: kind.to_owned(), id: value.get("id")?.as_u64()? };
        let mut ids = self.ids.lock();
        let highest = ids.entry(kind.to_owned()).or_default();
        *highest = key.id.max(*highest);
        drop(ids);
        self.records.insert(key.clone(), StoredRecord { version: 1, value });
        Some(key)
    }
}

impl StateView for MemoryView {
    fn record(&self, _: &SpaceId, key: &RecordKey) -> Result<Option<StoredRecord>, Failure> {
        Ok(self.records.get(key).cloned())
    }

    fn notes(&self, _: &SpaceId, key: &RecordKey, limit: usize) -> Result<Vec<StoredNote>, Failure> {
        let notes = self.notes.get(key).map(Vec::as_slice).unwrap_or_default();
        Ok(notes.iter().skip(notes.len().saturating_sub(limit)).map(StoredNote::from).collect())
    }

    fn next_id(&self, _: &SpaceId, kind: &str) -> Result<u64, Failure> {
        let mut ids = self.ids.lock();
        let highest = ids.entry(kind.to_owned()).or_default();
        *highest = highest.saturating_add(1);
        Ok(*highest)
    }

    fn find(
        &self,
        _: &SpaceId,
        kind: &str,
        limit: usize,
        keep: &dyn Fn(&Value) -> bool,
    ) -> Result<Vec<(RecordKey, StoredRecord)>, Failure> {
        let newest_first = self.records.iter().rev();
        let fits = newest_first.filter(|(key, record)| key.kind == kind && keep(&record.value));
        Ok(fits.take(limit).map(|(key, record)| (key.clone(), record.clone())).collect())
    }

    fn kind(&self, _: &SpaceId, name: &str) -> Result<Option<Arc<RecordKind>>, Failure> {
        // No space can declare kinds here, so unknown kinds accept any fields.
        Ok(Some(builtin_kind(name).cloned().unwrap_or_else(|| Arc::new(RecordKind::any(name)))))
    }

    fn kept(&self, _: &SpaceId, key: &KvKey) -> Result<Option<Kept>, Failure> {
        Ok(self.kept.get(key).cloned())
    }

    fn kept_keys(
        &self,
        _: &SpaceId,
        plugin: &str,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<(String, Option<Timestamp>)>, Failure> {
        let fits = self.kept.iter().filter(|(key, _)| key.plugin == plugin && key.key.starts_with(prefix));
        Ok(fits.take(limit).map(|(key, kept)| (key.key.clone(), kept.expires_at)).collect())
    }

    fn kept_size(&self, _: &SpaceId, plugin: &str) -> Result<KvSize, Failure> {
        let mut size = KvSize::default();
        for (key, kept) in self.kept.iter().filter(|(key, _)| key.plugin == plugin) {
            let bytes = key.key.len().saturating_add(kept.value.len());
            size.bytes = size.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
            size.keys = size.keys.saturating_add(1);
        }
        Ok(size)
    }
}
