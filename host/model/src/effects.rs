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

/// The version of a record, incremented by each change.
pub type Version = u64;

/// Maximum size in bytes of the records that one search returns.
const MAX_FOUND: usize = 8 * 1024 * 1024;

/// The key of a record: kind and id.
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

/// A stored record.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRecord {
    /// Its version.
    pub version: Version,
    /// Its fields.
    pub value: Value,
}

/// How effects read the stored state.
pub trait StateView: Send + Sync {
    /// The record's newest committed version.
    fn record(&self, space: &SpaceId, key: &RecordKey) -> Result<Option<StoredRecord>, Failure>;
    /// The newest `limit` notes on it, oldest first.
    fn notes(&self, space: &SpaceId, key: &RecordKey, limit: usize) -> Result<Vec<StoredNote>, Failure>;
    /// An id that no record, or note, of this kind has had in the space.
    fn next_id(&self, space: &SpaceId, kind: &str) -> Result<u64, Failure>;
    /// The newest records of a kind for which `keep` returns true, at most `limit`.
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
        // Records have up to a mebibyte each, so a limit on their number alone bounds no memory.
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
    /// A globally unique id with the prefix `prefix_`.
    fn unique(&self, prefix: &str) -> String {
        crate::unique(prefix)
    }
    /// A stored value of a plugin.
    fn kept(&self, space: &SpaceId, key: &KvKey) -> Result<Option<Kept>, Failure>;
    /// Keys of a plugin that begin with `prefix`, in order, with when their values expire.
    fn kept_keys(
        &self,
        space: &SpaceId,
        plugin: &str,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<(String, Option<Timestamp>)>, Failure>;
    /// The kind of record with this name, if the space has it.
    fn kind(&self, _space: &SpaceId, name: &str) -> Result<Option<Arc<RecordKind>>, Failure> {
        Ok(builtin_kind(name).cloned())
    }
    /// How much a plugin has stored.
    fn kept_size(&self, space: &SpaceId, plugin: &str) -> Result<KvSize, Failure>;
}

/// The key of a plugin's stored value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KvKey {
    /// The plugin.
    pub plugin: String,
    /// The key.
    pub key: String,
}

/// A stored value of a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Incremented by each change.
    pub version: Version,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// The value.
    pub value: Bytes,
}

/// How much a plugin has stored in a space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KvSize {
    /// Bytes of keys and values.
    pub bytes: u64,
    /// The number of values.
    pub keys: u64,
}

/// A change of a plugin's stored value.
#[derive(Clone, Debug)]
pub struct KvWrite {
    /// The key of the value.
    pub key: KvKey,
    /// The value and when it expires. `None`: it is removed.
    pub value: Option<(Bytes, Option<Timestamp>)>,
}

/// Changes that are committed together, and the versions that they depend on.
#[derive(Clone, Debug, Default)]
pub struct Effects {
    /// Every record that was read, with its version. `None`: it did not exist. A record that only gets notes is not
    /// among them.
    pub reads: Vec<(RecordKey, Option<Version>)>,
    /// The space's own kinds of the changed records, with the revision that was read.
    pub kinds: Vec<(String, u64)>,
    /// Every stored value that was read, with its version. One that is replaced without being read is not among them.
    pub kept_reads: Vec<(KvKey, Option<Version>)>,
    /// Records in their new state.
    pub records: Vec<RecordWrite>,
    /// Records that get notes and otherwise stay as they are at the commit.
    pub additions: Vec<RecordAddition>,
    /// Records that are removed.
    pub removed: Vec<RecordRemoval>,
    /// Changes of plugins' stored values.
    pub kept: Vec<KvWrite>,
    /// Mails to be sent.
    pub mails: Vec<Mail>,
    /// New notes.
    pub notes: Vec<NoteDraft>,
    /// New events, with their plans.
    pub events: Vec<NewEvent>,
    /// The same for readers, in order.
    pub changes: Vec<Change>,
    /// The request at a source's URL that caused this, for the source's log.
    pub request: Option<RequestNote>,
    /// The memory that they are admitted with, released when the last copy is dropped.
    pub held: Option<Arc<dyn Any + Send + Sync>>,
}

/// A record's new state.
#[derive(Clone, Debug)]
pub struct RecordWrite {
    /// The record.
    pub key: RecordKey,
    /// Its fields.
    pub value: Value,
    /// Its removed index entries.
    pub unindex: Vec<IndexEntry>,
    /// Its added index entries.
    pub index: Vec<IndexEntry>,
    /// The history entry of the change.
    pub history: HistoryEntry,
}

/// A record that gets notes. It must exist; the commit changes nothing else of it.
#[derive(Clone, Debug)]
pub struct RecordAddition {
    /// The record.
    pub key: RecordKey,
    /// Its kind.
    pub kind: Arc<RecordKind>,
    /// The time.
    pub at: Timestamp,
    /// Its history entry, whose version is the one that the commit assigns.
    pub history: HistoryEntry,
}

/// A record that is removed.
#[derive(Clone, Debug)]
pub struct RecordRemoval {
    /// The record.
    pub key: RecordKey,
    /// Its index entries.
    pub unindex: Vec<IndexEntry>,
    /// Its history entry.
    pub history: HistoryEntry,
}

/// The history entry of a change of a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// The version that the change made.
    pub version: Version,
    /// The time.
    pub at: Timestamp,
    /// `created`, `updated`, `note-added` or `deleted`.
    pub change: String,
    /// Its author.
    pub by: Author,
    /// Each changed field, with its previous and its new value. A value of more than 4 KiB of JSON, and those past 64
    /// KiB of an entry, are replaced by `{"omitted_bytes": SIZE}`.
    pub changes: Map<String, Value>,
    /// Ids of the notes that were added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<u64>,
}

/// A note to be added.
#[derive(Clone, Debug)]
pub struct NoteDraft {
    /// Its record.
    pub on: RecordKey,
    /// The note's id.
    pub id: u64,
    /// Its fields.
    pub value: Value,
    /// The note in its stored form.
    pub stored: StoredNote,
}

/// One change, for the reader of an event's story.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// What was done: `ticket.updated`, `event.emitted`, ...
    pub kind: String,
    /// Its object: `ticket/42`, an event's id.
    pub subject: String,
    /// Details.
    pub detail: Value,
}
