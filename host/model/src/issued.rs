//! Ids that were issued to a step, issued again in the same order when the step re-runs after a write conflict, so that
//! requests of the first try and of the re-run name the same objects.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Map, Value};

use crate::{
    Failure, Kept, KvKey, KvSize, RecordKey, RecordKind, SpaceId, StateView, StoredNote, StoredRecord, Timestamp,
};

/// Ids in the order in which they were issued, by purpose.
#[derive(Debug, Default)]
pub struct IssuedIds(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    numbers: HashMap<String, Sequence<u64>>,
    names: HashMap<String, Sequence<String>>,
}

#[derive(Debug)]
struct Sequence<T> {
    issued: Vec<T>,
    /// How many of them the current try has used.
    used: usize,
}

impl<T> Default for Sequence<T> {
    fn default() -> Self {
        Self { issued: Vec::new(), used: 0 }
    }
}

impl<T: Clone> Sequence<T> {
    fn next(&mut self) -> Option<T> {
        let next = self.issued.get(self.used).cloned();
        self.used = self.used.saturating_add(usize::from(next.is_some()));
        next
    }

    fn add(&mut self, made: T) -> T {
        self.issued.push(made.clone());
        self.used = self.issued.len();
        made
    }
}

impl IssuedIds {
    /// Begins another try, which is issued the same ids.
    pub fn again(&self) {
        let mut inner = self.0.lock();
        inner.numbers.values_mut().for_each(|sequence| sequence.used = 0);
        inner.names.values_mut().for_each(|sequence| sequence.used = 0);
    }

    fn number(&self, kind: &str, make: impl FnOnce() -> Result<u64, Failure>) -> Result<u64, Failure> {
        if let Some(known) = self.0.lock().numbers.get_mut(kind).and_then(Sequence::next) {
            return Ok(known);
        }
        let made = make()?;
        Ok(self.0.lock().numbers.entry(kind.to_owned()).or_default().add(made))
    }

    fn name(&self, prefix: &str, make: impl FnOnce() -> String) -> String {
        if let Some(known) = self.0.lock().names.get_mut(prefix).and_then(Sequence::next) {
            return known;
        }
        let made = make();
        self.0.lock().names.entry(prefix.to_owned()).or_default().add(made)
    }
}

/// The stored state, read again, with the ids of earlier tries.
pub struct ReissuingView {
    /// The stored state.
    pub view: Arc<dyn StateView>,
    /// The ids.
    pub ids: Arc<IssuedIds>,
}

impl StateView for ReissuingView {
    fn next_id(&self, space: &SpaceId, kind: &str) -> Result<u64, Failure> {
        self.ids.number(kind, || self.view.next_id(space, kind))
    }

    fn unique(&self, prefix: &str) -> String {
        self.ids.name(prefix, || self.view.unique(prefix))
    }

    fn record(&self, space: &SpaceId, key: &RecordKey) -> Result<Option<StoredRecord>, Failure> {
        self.view.record(space, key)
    }

    fn notes(&self, space: &SpaceId, key: &RecordKey, limit: usize) -> Result<Vec<StoredNote>, Failure> {
        self.view.notes(space, key, limit)
    }

    fn find(
        &self,
        space: &SpaceId,
        kind: &str,
        limit: usize,
        keep: &dyn Fn(&Value) -> bool,
    ) -> Result<Vec<(RecordKey, StoredRecord)>, Failure> {
        self.view.find(space, kind, limit, keep)
    }

    fn find_equal(
        &self,
        space: &SpaceId,
        kind: &str,
        filter: &Map<String, Value>,
        limit: usize,
    ) -> Result<Vec<(RecordKey, StoredRecord)>, Failure> {
        self.view.find_equal(space, kind, filter, limit)
    }

    fn kept(&self, space: &SpaceId, key: &KvKey) -> Result<Option<Kept>, Failure> {
        self.view.kept(space, key)
    }

    fn kept_keys(
        &self,
        space: &SpaceId,
        plugin: &str,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<(String, Option<Timestamp>)>, Failure> {
        self.view.kept_keys(space, plugin, prefix, limit)
    }

    fn kind(&self, space: &SpaceId, name: &str) -> Result<Option<Arc<RecordKind>>, Failure> {
        self.view.kind(space, name)
    }

    fn kept_size(&self, space: &SpaceId, plugin: &str) -> Result<KvSize, Failure> {
        self.view.kept_size(space, plugin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryView;

    #[test]
    fn a_re_run_is_issued_the_ids_of_the_first_try_and_new_ones_beyond_them() {
        let (main, ids) = (SpaceId::main(), Arc::new(IssuedIds::default()));
        let view = ReissuingView { view: Arc::new(MemoryView::default()), ids: Arc::clone(&ids) };
        let issued = |kind| view.next_id(&main, kind).unwrap();
        let first = (issued("note"), issued("note"), issued("ticket"), view.unique("evt"));
        ids.again();
        assert_eq!((issued("note"), issued("note"), issued("ticket"), view.unique("evt")), first);
        assert_eq!(issued("note"), first.1 + 1);
        assert_ne!(view.unique("evt"), first.3);
        ids.again();
        assert_eq!([issued("note"), issued("note"), issued("note")], [1, 2, 3]);
    }
}
