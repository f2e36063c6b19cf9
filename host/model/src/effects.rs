use std::any::Any;
use std::cell::Cell;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Author, Failure, IndexEntry, Mail, NewEvent, RecordKind, RequestNote, SpaceId, StoredNote, TICKET, Timestamp,
    builtin_kind, json_size,
};

/// Counts the changes of a record.
pub type Version = u64;

/// How many bytes of records one search may find.
const MAX_FOUND: usize = 8 * 1024 * 1024;

/// Which record: kind and id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey {
    /// Such as `ticket`.
    pub kind: String,
    /// Counted from 1 in each space.
    pub id: u64,
}

impl RecordKey {
    /// A ticket.
    pub fn ticket(id: u64) -> Self {
        Self { kind: TICKET.to_owned(), id }
    }

    /// Reads `ticket/42`.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, id) = text.split_once('/')?;
        Some(Self { kind: kind.to_owned(), id: id.parse().ok()? })
    }
}

impl std::fmt::Display for RecordKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.kind, self.id)
    }
}

/// A record as it lies in the store.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRecord {
    /// Which version of it this is.
    pub version: Version,
    /// Its fields.
    pub value: Value,
}

/// How effects read what is stored.
pub trait StateView: Send + Sync {
    /// The record's newest committed version.
    fn record(&self, space: &SpaceId, key: &RecordKey) -> Result<Option<StoredRecord>, Failure>;
    /// The newest `limit` notes on it, oldest first.
    fn notes(&self, space: &SpaceId, key: &RecordKey, limit: usize) -> Result<Vec<StoredNote>, Failure>;
    /// An id that no record, or note, of this kind has had in this space.
    fn next_id(&self, space: &SpaceId, kind: &str) -> Result<u64, Failure>;
    /// The newest records of a kind for which `keep` says yes, at most `limit`.
    fn find(
        &self,
        space: &SpaceId,
        kind: &str,
        limit: usize,
        keep: &dyn Fn(&Value) -> bool,
    ) -> Result<Vec<(RecordKey, StoredRecord)>, Failure>;
    /// The newest records of a kind whose fields equal those of `filter`, at most `limit`.
    fn find_equal(
        &self,
        space: &SpaceId,
        kind: &str,
        filter: &Map<String, Value>,
        limit: usize,
    ) -> Result<Vec<(RecordKey, StoredRecord)>, Failure> {
        // Records have up to a mebibyte each, so how many are asked for bounds nothing that matters.
        let bytes = Cell::new(0_usize);
        let fits = |record: &Value| {
            let fits = filter.iter().all(|(name, value)| record.get(name) == Some(value));
            if fits {
                bytes.set(bytes.get().saturating_add(json_size(record)));
            }
            fits && bytes.get() <= MAX_FOUND
        };
        let found = self.find(space, kind, limit, &fits)?;
        if bytes.get() > MAX_FOUND {
            let message = format!(
                "what was found has more than {MAX_FOUND} bytes: request fewer at a time, or use a narrower filter"
            );
            return Err(Failure::permanent("reads.too_large", message));
        }
        Ok(found)
    }
    /// An id that nothing has had anywhere: `prefix_` and more.
    fn unique(&self, prefix: &str) -> String {
        crate::unique(prefix)
    }
    /// A value that a plugin keeps.
    fn kept(&self, space: &SpaceId, key: &KvKey) -> Result<Option<Kept>, Failure>;
    /// Keys of a plugin that begin with `prefix`, in order, with when their values expire.
    fn kept_keys(
        &self,
        space: &SpaceId,
        plugin: &str,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<(String, Option<Timestamp>)>, Failure>;
    /// The kind of record of this name, if the space has it.
    fn kind(&self, _space: &SpaceId, name: &str) -> Result<Option<Arc<RecordKind>>, Failure> {
        Ok(builtin_kind(name).cloned())
    }
    /// How much a plugin keeps.
    fn kept_size(&self, space: &SpaceId, plugin: &str) -> Result<KvSize, Failure>;
}

/// Names a value that a plugin keeps.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KvKey {
    /// The plugin.
    pub plugin: String,
    /// The key.
    pub key: String,
}

/// A value that a plugin keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Another one for each change.
    pub version: Version,
    /// When it is gone.
    pub expires_at: Option<Timestamp>,
    /// The value.
    pub value: Bytes,
}

/// How much a plugin keeps in a space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KvSize {
    /// Bytes of keys and values.
    pub bytes: u64,
    /// How many.
    pub keys: u64,
}

/// A change of what a plugin keeps.
#[derive(Clone, Debug)]
pub struct KvWrite {
    /// Which value.
    pub key: KvKey,
    /// The value and when it expires; none: it is removed.
    pub value: Option<(Bytes, Option<Timestamp>)>,
}

/// Changes that commit together, and what must still be true when they do.
#[derive(Clone, Debug, Default)]
pub struct Effects {
    /// Every record that was read, in the version that was seen; none: it did not exist. One that only gets notes is not
    /// among them.
    pub reads: Vec<(RecordKey, Option<Version>)>,
    /// Kinds of the space's own by which records are changed, in the revision that was seen.
    pub kinds: Vec<(String, u64)>,
    /// Every kept value that was read, in the version that was seen. One that is replaced unread is not among them.
    pub kept_reads: Vec<(KvKey, Option<Version>)>,
    /// Records in their new state.
    pub records: Vec<RecordWrite>,
    /// Records that get notes and are otherwise as they are when this commits.
    pub additions: Vec<RecordAddition>,
    /// Records that are removed.
    pub removed: Vec<RecordRemoval>,
    /// What plugins keep.
    pub kept: Vec<KvWrite>,
    /// Mails to be sent.
    pub mails: Vec<Mail>,
    /// New notes.
    pub notes: Vec<NoteDraft>,
    /// New events, with what they set in motion.
    pub events: Vec<NewEvent>,
    /// The same for people, in order.
    pub changes: Vec<Change>,
    /// The request at a source's URL that asked for all of this, for the source's log.
    pub request: Option<RequestNote>,
    /// The memory that they were admitted with, given back when the last copy of this is dropped.
    pub held: Option<Arc<dyn Any + Send + Sync>>,
}

/// A record's new state.
#[derive(Clone, Debug)]
pub struct RecordWrite {
    /// Which record.
    pub key: RecordKey,
    /// Its fields.
    pub value: Value,
    /// What the index had of it and no longer has.
    pub unindex: Vec<IndexEntry>,
    /// What the index newly has of it.
    pub index: Vec<IndexEntry>,
    /// The account of the change.
    pub history: HistoryEntry,
}

/// A record that gets notes. It must exist; whatever else it has, the commit leaves as it finds it.
#[derive(Clone, Debug)]
pub struct RecordAddition {
    /// Which record.
    pub key: RecordKey,
    /// Its kind.
    pub kind: Arc<RecordKind>,
    /// When.
    pub at: Timestamp,
    /// The account of it. Its version is the one that the commit gives to the record.
    pub history: HistoryEntry,
}

/// A record that goes.
#[derive(Clone, Debug)]
pub struct RecordRemoval {
    /// Which record.
    pub key: RecordKey,
    /// What the index has of it.
    pub unindex: Vec<IndexEntry>,
    /// The account of it.
    pub history: HistoryEntry,
}

/// One change of a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// The version that the change made.
    pub version: Version,
    /// When.
    pub at: Timestamp,
    /// `created`, `updated`, `note-added` or `deleted`.
    pub change: String,
    /// Who did it.
    pub by: Author,
    /// Each field that changed, with what it was and is. A value of more than 4 KiB of JSON, and those past 64 KiB of an
    /// entry, stand as `{"omitted_bytes": SIZE}`.
    pub changes: Map<String, Value>,
    /// Ids of the notes that were added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<u64>,
}

/// A note to be added.
#[derive(Clone, Debug)]
pub struct NoteDraft {
    /// The record it is on.
    pub on: RecordKey,
    /// The note's id.
    pub id: u64,
    /// Its fields.
    pub value: Value,
    /// The same as it will be stored.
    pub stored: StoredNote,
}

/// One change, for the person who reads the story of an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// What was done: `ticket.updated`, `event.emitted`, ...
    pub kind: String,
    /// To what: `ticket/42`, an event's id.
    pub subject: String,
    /// The particulars.
    pub detail: Value,
}
