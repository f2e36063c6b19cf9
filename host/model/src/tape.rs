//! What the host answered during one call of a plugin, so that another version can be called with the same answers.

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

/// How many questions that were not recorded are remembered.
const MAX_ANEW: usize = 20;
/// From where ids are counted that nobody was given when the call was recorded.
const INVENTED: u64 = 9_000_000_000_000;

/// One question to the host, and its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TapeEntry {
    /// What was called, such as `records.get`.
    #[serde(rename = "c")]
    pub call: String,
    /// What it was called with.
    #[serde(rename = "k", default, skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// What it answered.
    #[serde(rename = "a")]
    pub answer: Value,
}

/// Takes down what the host answers, or answers as it did then.
#[derive(Debug)]
pub struct Tape(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    mode: Mode,
    /// What left the plugin, in order: each request as its call and its key.
    requests: Vec<String>,
}

#[derive(Debug)]
enum Mode {
    Recording { entries: Vec<TapeEntry>, room: usize, whole: bool },
    Playing { answers: HashMap<(String, String), VecDeque<Value>>, anew: Vec<String>, invented: u64 },
}

/// What a tape says to a question.
#[derive(Debug)]
pub enum Played<T> {
    /// It is being recorded: ask, and have the answer kept.
    Ask,
    /// This was the answer then.
    Known(T),
    /// This was not asked then.
    Unknown,
}

impl Tape {
    /// One that takes down answers of `room` bytes at most.
    pub fn recording(room: usize) -> Self {
        Self::new(Mode::Recording { entries: Vec::new(), room, whole: true })
    }

    /// One that answers as was recorded. The same question gets the same answers in the same order, and the last of them
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

    /// What `make` answers, which is taken down; or what was answered when it was. `make` answers as well what was not
    /// asked then, and that is remembered.
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

    /// What it says to a question.
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

    /// Takes down an answer, if it is recording and there is room.
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

    /// Notes that something was to leave.
    pub fn leaves(&self, what: String) {
        self.0.lock().requests.push(what);
    }

    /// An id in place of one that would be given out for good; none while recording.
    fn invented(&self) -> Option<u64> {
        match &mut self.0.lock().mode {
            Mode::Playing { invented, .. } => {
                *invented = invented.saturating_add(1);
                Some(*invented)
            }
            Mode::Recording { .. } => None,
        }
    }

    /// What was taken down; none: it was more than there was room for.
    pub fn entries(&self) -> Option<Vec<TapeEntry>> {
        match &mut self.0.lock().mode {
            Mode::Recording { entries, whole: true, .. } => Some(std::mem::take(entries)),
            _ => None,
        }
    }

    /// What was asked that had not been asked when the call was recorded, in words; at most 20.
    pub fn anew(&self) -> Vec<String> {
        match &self.0.lock().mode {
            Mode::Playing { anew, .. } => anew.clone(),
            Mode::Recording { .. } => Vec::new(),
        }
    }

    /// What was to leave, in order.
    pub fn requests(&self) -> Vec<String> {
        self.0.lock().requests.clone()
    }
}

/// Bytes of a value as JSON, near enough to count with.
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

/// A question for people.
fn asked(call: &str, key: &str) -> String {
    let key: String = key.chars().take(200).collect();
    if key.is_empty() { call.to_owned() } else { format!("{call} {key}") }
}

/// A view of what is stored whose answers go through a tape.
pub struct TapedView {
    /// What is stored.
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
        // What a kind says is configuration: a replay goes by the present one.
        self.view.kind(space, name)
    }
}

impl TapedView {
    /// An id, taken down or as it was then, one after the other; beyond those that were given out then, one that nobody
    /// has.
    fn given<T: Serialize + DeserializeOwned>(
        &self,
        call: &str,
        kind: &str,
        make: impl FnOnce(Option<u64>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let known = {
            let mut inner = self.tape.inner();
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
    fn what_was_read_is_read_again_whatever_is_stored_now() {
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
        // Ids beyond those are nobody's, and what was not asked then is asked now and said so.
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
    fn a_tape_that_is_full_keeps_nothing_rather_than_a_part() {
        let tape = Tape::recording(100);
        assert_eq!(tape.answer("c", String::new, || "x".repeat(20)).len(), 20);
        tape.keep("c", String::new(), &"x".repeat(200));
        assert_eq!(tape.entries(), None);
    }
}
