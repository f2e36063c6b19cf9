use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Cause, Failure, IndexEntry, MAX_CHAIN, Mail, NewEvent, RecordKind, RequestNote, SpaceId, TICKET, Timestamp,
    builtin_kind,
};

/// Counts the changes of a record.
pub type Version = u64;

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
    fn notes(&self, space: &SpaceId, key: &RecordKey, limit: usize) -> Result<Vec<Value>, Failure>;
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
        let fits = |record: &Value| filter.iter().all(|(name, value)| record.get(name) == Some(value));
        self.find(space, kind, limit, &fits)
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
    /// Every record that was read, in the version that was seen; none: it did not exist.
    pub reads: Vec<(RecordKey, Option<Version>)>,
    /// Kinds of the space's own by which records are changed, in the revision that was seen.
    pub kinds: Vec<(String, u64)>,
    /// Every kept value that was read, in the version that was seen.
    pub kept_reads: Vec<(KvKey, Option<Version>)>,
    /// Records in their new state.
    pub records: Vec<RecordWrite>,
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

/// Who changed a record; what is not known is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// The id of the API key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The key's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_name: Option<String>,
    /// The automation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub automation: Option<String>,
    /// The run of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The plugin that the run called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// The name of the source whose URL was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
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

impl Cause {
    /// The cause of what a run for `event` makes.
    pub fn of(event: &crate::Event, run: crate::RunId) -> Self {
        Self {
            run: Some(run),
            event: Some(event.id.clone()),
            source: None,
            depth: event.depth().saturating_add(1).min(MAX_CHAIN.saturating_add(1)),
            replays: None,
        }
    }

    /// The cause of what Hookwright itself makes because of an event.
    pub fn after(event: &crate::Event) -> Self {
        let depth = event.depth().saturating_add(1).min(MAX_CHAIN.saturating_add(1));
        Self { run: None, event: Some(event.id.clone()), source: None, depth, replays: None }
    }

    /// The cause of what a person's API call makes.
    pub fn api() -> Self {
        Self { run: None, event: None, source: None, depth: 0, replays: None }
    }

    /// The cause of what a request at a source's URL makes.
    pub fn source(name: &str) -> Self {
        Self { source: Some(name.to_owned()), ..Self::api() }
    }
}
