//! The state that a workbench reads from the store.

use std::sync::Arc;

use hookwright_model::{
    Failure, Kept, KvKey, KvSize, RecordKey, RecordKind, SpaceId, StateView, StoredNote, StoredRecord, Timestamp,
    builtin_kind,
};
use serde_json::Value;

use crate::Store;

impl StateView for Store {
    fn record(&self, space: &SpaceId, key: &RecordKey) -> Result<Option<StoredRecord>, Failure> {
        Ok(self.records.read_record(space, key)?)
    }

    fn notes(&self, space: &SpaceId, key: &RecordKey, limit: usize) -> Result<Vec<StoredNote>, Failure> {
        Ok(self.records.newest_notes(space, key, limit)?)
    }

    fn next_id(&self, space: &SpaceId, kind: &str) -> Result<u64, Failure> {
        Ok(self.ids.give_id(space, kind)?)
    }

    fn find(
        &self,
        space: &SpaceId,
        kind: &str,
        limit: usize,
        keep: &dyn Fn(&Value) -> bool,
    ) -> Result<Vec<(RecordKey, StoredRecord)>, Failure> {
        let (found, _) = self.records.records(space, kind, None, limit, keep)?;
        let keyed = found.into_iter().filter_map(|record| {
            let id = record.value.get("id")?.as_u64()?;
            Some((RecordKey { kind: kind.to_owned(), id }, record))
        });
        Ok(keyed.collect())
    }

    fn kind(&self, space: &SpaceId, name: &str) -> Result<Option<Arc<RecordKind>>, Failure> {
        match builtin_kind(name) {
            Some(kind) => Ok(Some(Arc::clone(kind))),
            None => Ok(self.kinds.own_kind(space, name)?.map(Arc::new)),
        }
    }

    fn kept(&self, space: &SpaceId, key: &KvKey) -> Result<Option<Kept>, Failure> {
        Ok(self.kv.read_kept(space, key)?)
    }

    fn kept_keys(
        &self,
        space: &SpaceId,
        plugin: &str,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<(String, Option<Timestamp>)>, Failure> {
        Ok(self.kv.read_kept_keys(space, plugin, prefix, limit)?)
    }

    fn kept_size(&self, space: &SpaceId, plugin: &str) -> Result<KvSize, Failure> {
        Ok(self.kv.kept_by(space, plugin)?)
    }
}
