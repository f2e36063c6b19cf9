//! Tapes: the host's answers during one call of a plugin, so that another version can be called with the same answers.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Failure, Kept, KvKey, KvSize, RecordKey, RecordKind, SpaceId, StateView, StoredNote, StoredRecord, Timestamp,
};

/// Maximum number of unrecorded host calls that are reported.
const MAX_ANEW: usize = 20;
/// The first of the ids that a repeated call is issued beyond the recorded ones.
const INVENTED: u64 = 9_000_000_000_000;

/// One host call, and its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TapeEntry {
    /// The function, such as `records.get`.
    #[serde(rename = "c")]
    pub call: String,
    /// Its arguments.
    #[serde(rename = "k", default, skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// Its answer.
    #[serde(rename = "a")]
    pub answer: Value,
}

/// Records the host's answers, or replays them.
#[derive(Debug)]
pub struct Tape(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    mode: Mode,
    /// Requests and other outputs of the plugin, in order: each with its function and its key.
    requests: Vec<String>,
}

#[derive(Debug)]
enum Mode {
    Recording { entries: Vec<TapeEntry>, room: usize, whole: bool },
    Playing { answers: HashMap<(String, String), VecDeque<Value>>, anew: Vec<String>, invented: u64 },
}

/// A tape's result for a host call.
#[derive(Debug)]
pub enum Played<T> {
    /// The tape is recording: make the call, and record the answer.
    Ask,
    /// The recorded answer.
    Known(T),
    /// The call was not recorded.
    Unknown,
}

impl Tape {
    /// A tape that records at most `room` bytes of answers.
    pub fn recording(room: usize) -> Self {
        Self::new(Mode::Recording { entries: Vec::new(), room, whole: true })
    }

    /// A tape that replays a recording. The same call gets the same answers in the same order, and the last of them
    /// from then on.
    pub fn playing(entries: Vec<TapeEntry>) -> Self {
        let mut answers: HashMap<(String, String), VecDeque<Value>> = HashMap::new();
        for TapeEntry { call, key, answer } in entries {
            answers.entry((call, key)).or_default().push_back(answer);
        }
        Self::new(Mode::Playing { answers, anew: Vec::new(), invented: INVENTED })
    }

    fn new(mode: Mode) -> Self {
        Self(Mutex::new(Inner { mode, requests: Vec::new() }))
    }

    /// The result of `make`, which is recorded, or the recorded answer. `make` also answers calls that were not
    /// recorded, which are reported.
    pub fn answer<T: Serialize + DeserializeOwned>(
        &self,
        call: &str,
        key: impl FnOnce() -> String,
        make: impl FnOnce() -> T,
    ) -> T {
        let key = key();
        match self.played(call, &key) {
            Played::Known(answer) => answer,
            Played::Ask => {
                let answer = make();
                self.keep(call, key, &answer);
                answer
            }
            Played::Unknown => make(),
        }
    }

    /// Its result for a host call.
    pub fn played<T: DeserializeOwned>(&self, call: &str, key: &str) -> Played<T> {
        let mut inner = self.0.lock();
        let Mode::Playing { answers, anew, .. } = &mut inner.mode else { return Played::Ask };
        let known = answers.get_mut(&(call.to_owned(), key.to_owned()));
        let value = known.and_then(|left| if left.len() > 1 { left.pop_front() } else { left.front().cloned() });
        match value.and_then(|value| serde_json::from_value(value).ok()) {
            Some(answer) => Played::Known(answer),
            None => {
                if anew.len() < MAX_ANEW {
                    anew.push(asked(call, key));
                }
                Played::Unknown
            }
        }
    }

    /// Records an answer, if the tape is recording and has capacity.
    pub fn keep<T: Serialize>(&self, call: &str, key: String, answer: &T) {
        let mut inner = self.0.lock();
        let Mode::Recording { entries, room, whole } = &mut inner.mode else { return };
        if !*whole {
            return;
        }
        let answer = serde_json::to_value(answer).unwrap_or_default();
        let size = call.len().saturating_add(key.len()).saturating_add(bytes_of(&answer)).saturating_add(32);
        match room.checked_sub(size) {
            Some(left) => {
                *room = left;
                entries.push(TapeEntry { call: call.to_owned(), key, answer });
            }
            None => {
                *whole = false;
                entries.clear();
            }
        }
    }

    /// Records an output of the plugin.
    pub fn leaves(&self, what: String) {
        self.0.lock().requests.push(what);
    }

    /// An id in place of one that would be issued permanently. `None` while recording.
    fn invented(&self) -> Option<u64> {
        match &mut self.0.lock().mode {
            Mode::Playing { invented, .. } => {
                *invented = invented.saturating_add(1);
                Some(*invented)
            }
            Mode::Recording { .. } => None,
        }
    }

    /// The recording. `None`: it exceeded the capacity.
    pub fn entries(&self) -> Option<Vec<TapeEntry>> {
        match &mut self.0.lock().mode {
            Mode::Recording { entries, whole: true, .. } => Some(std::mem::take(entries)),
            _ => None,
        }
    }

    /// The calls that were not recorded, as sentences; at most 20.
    pub fn anew(&self) -> Vec<String> {
        match &self.0.lock().mode {
            Mode::Playing { anew, .. } => anew.clone(),
            Mode::Recording { .. } => Vec::new(),
        }
    }

    /// The plugin's outputs, in order.
    pub fn requests(&self) -> Vec<String> {
        self.0.lock().requests.clone()
    }
}

/// The approximate size of a value as JSON, in bytes.
fn bytes_of(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        Value::String(text) => text.len().saturating_add(2),
        Value::Array(items) => items.iter().map(bytes_of).fold(2, usize::saturating_add),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| name.len().saturating_add(4).saturating_add(bytes_of(value)))
            .fold(2, usize::saturating_add),
    }
}

/// A host call, for messages.
fn asked(call: &str, key: &str) -> String {
    let key: String = key.chars().take(200).collect();
    if key.is_empty() { call.to_owned() } else { format!("{call} {key}") }
}

/// A view of the stored state whose answers go through a tape.
pub struct TapedView {
    /// The stored state.
    pub view: Arc<dyn StateView>,
    /// The tape.
    pub tape: Arc<Tape>,
}

/// A record's kind, id, version and fields.
type RecordRow = (String, u64, u64, Value);

impl StateView for TapedView {
    fn record(&self, space: &SpaceId, key: &RecordKey) -> Result<Option<StoredRecord>, Failure> {
        let make = || self.view.record(space, key).map(|found| found.map(|found| (found.version, found.value)));
        let found: Result<Option<(u64, Value)>, Failure> = self.tape.answer("record", || key.to_string(), make);
        Ok(found?.map(|(version, value)| StoredRecord { version, value }))
    }

    fn notes(&self, space: &SpaceId, key: &RecordKey, limit: usize) -> Result<Vec<StoredNote>, Failure> {
        let make = || -> Result<Vec<Value>, Failure> {
            self.view.notes(space, key, limit)?.iter().map(StoredNote::value).collect()
        };
        let notes = self.tape.answer("notes", || format!("{key} {limit}"), make)?;
        Ok(notes.iter().map(StoredNote::from).collect())
    }

    fn next_id(&self, space: &SpaceId, kind: &str) -> Result<u64, Failure> {
        self.given("next-id", kind, |invented| match invented {
            Some(id) => Ok(id),
            None => self.view.next_id(space, kind),
        })
    }

    fn unique(&self, prefix: &str) -> String {
        let made = self.given("unique", prefix, |invented| {
            Ok(invented.map_or_else(|| self.view.unique(prefix), |id| format!("{prefix}_{id}")))
        });
        made.unwrap_or_default()
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
        let key = || format!("{kind} {} {limit}", Value::Object(filter.clone()));
        let make = || {
            let found = self.view.find_equal(space, kind, filter, limit)?;
            Ok(found.into_iter().map(|(key, found)| (key.kind, key.id, found.version, found.value)).collect())
        };
        let found: Result<Vec<RecordRow>, Failure> = self.tape.answer("find", key, make);
        let record = |(kind, id, version, value)| (RecordKey { kind, id }, StoredRecord { version, value });
        Ok(found?.into_iter().map(record).collect())
    }

    fn kept(&self, space: &SpaceId, key: &KvKey) -> Result<Option<Kept>, Failure> {
        let make = || {
            let found = self.view.kept(space, key)?;
            Ok(found.map(|kept| (kept.version, kept.expires_at, STANDARD.encode(&kept.value))))
        };
        let found: Result<Option<(u64, Option<Timestamp>, String)>, Failure> =
            self.tape.answer("kv", || key.key.clone(), make);
        let kept = found?.map(|(version, expires_at, value)| {
            let value = STANDARD.decode(value).unwrap_or_default().into();
            Kept { version, expires_at, value }
        });
        Ok(kept)
    }

    fn kept_keys(
        &self,
        space: &SpaceId,
        plugin: &str,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<(String, Option<Timestamp>)>, Failure> {
        let make = || self.view.kept_keys(space, plugin, prefix, limit);
        self.tape.answer("kv-keys", || format!("{limit} {prefix}"), make)
    }

    fn kept_size(&self, space: &SpaceId, plugin: &str) -> Result<KvSize, Failure> {
        let make = || self.view.kept_size(space, plugin).map(|size| (size.bytes, size.keys));
        let found: Result<(u64, u64), Failure> = self.tape.answer("kv-size", String::new, make);
        found.map(|(bytes, keys)| KvSize { bytes, keys })
    }

    fn kind(&self, space: &SpaceId, name: &str) -> Result<Option<Arc<RecordKind>>, Failure> {
        // A kind is configuration: a replay uses the current one.
        self.view.kind(space, name)
    }
}

impl TapedView {
    /// A recorded id, or the next one of the recording. Beyond the recorded ids, one that no object has.
    fn given<T: Serialize + DeserializeOwned>(
        &self,
        call: &str,
        kind: &str,
        make: impl FnOnce(Option<u64>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let known = {
            let mut inner = self.tape.0.lock();
            match &mut inner.mode {
                Mode::Recording { .. } => None,
                Mode::Playing { answers, .. } => {
                    let left = answers.get_mut(&(call.to_owned(), kind.to_owned()));
                    left.and_then(VecDeque::pop_front).and_then(|value| serde_json::from_value(value).ok())
                }
            }
        };
        if let Some(known) = known {
            return known;
        }
        let made = make(self.tape.invented());
        self.tape.keep(call, kind.to_owned(), &made);
        made
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::MemoryView;

    fn stored() -> MemoryView {
        let mut view = MemoryView::default();
        view.add("ticket", json!({"id": 7, "subject": "then"})).unwrap();
        view
    }

    fn taped(view: MemoryView, tape: &Arc<Tape>) -> TapedView {
        TapedView { view: Arc::new(view), tape: Arc::clone(tape) }
    }

    #[test]
    fn recorded_reads_are_replayed_whatever_is_stored_now() {
        let (main, key) = (SpaceId::main(), RecordKey::ticket(7));
        let tape = Arc::new(Tape::recording(10_000));
        let view = taped(stored(), &tape);
        let then = view.record(&main, &key).unwrap();
        let (id, name) = (view.next_id(&main, "note").unwrap(), view.unique("evt"));
        assert_eq!(view.record(&main, &RecordKey::ticket(8)).unwrap(), None);

        let tape = Arc::new(Tape::playing(tape.entries().unwrap()));
        let view = taped(MemoryView::default(), &tape);
        assert_eq!(view.record(&main, &key).unwrap(), then);
        assert_eq!((view.next_id(&main, "note").unwrap(), view.unique("evt")), (id, name));
        assert_eq!(tape.anew(), [""; 0]);
        // Ids beyond the recorded ones belong to no object. A call that was not recorded is made now and reported.
        assert!(view.next_id(&main, "note").unwrap() > INVENTED);
        assert_eq!(view.record(&main, &RecordKey::ticket(9)).unwrap(), None);
        assert_eq!(tape.anew(), ["record ticket/9"]);
    }

    #[test]
    fn the_same_question_gets_its_answers_in_their_order() {
        let entry = |n: u32| TapeEntry { call: "c".into(), key: "k".into(), answer: json!(n) };
        let tape = Tape::playing(vec![entry(1), entry(2)]);
        let ask = || tape.answer("c", || "k".to_owned(), || 9_u32);
        assert_eq!([ask(), ask(), ask()], [1, 2, 2]);
        assert_eq!(tape.answer("c", || "other".to_owned(), || 9_u32), 9);
        assert_eq!(tape.anew(), ["c other"]);
    }

    #[test]
    fn a_full_tape_records_nothing_rather_than_a_part() {
        let tape = Tape::recording(100);
        assert_eq!(tape.answer("c", String::new, || "x".repeat(20)).len(), 20);
        tape.keep("c", String::new(), &"x".repeat(200));
        assert_eq!(tape.entries(), None);
    }
}
