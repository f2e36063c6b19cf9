//! Two versions of a plugin compared on the calls that were recorded of it. Neither changes or sends anything.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hookwright_model::{Kind, Mistakes, SpaceId, Timestamp, unique};
use hookwright_plugin::{Access, Plugin, Scope};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use super::diff::{Part, differences};
use super::recorder::Recording;
use super::rerun::digest_of;
use crate::{Pipeline, PipelineError};

/// How many recordings one comparison is of, unless said otherwise, and at most.
const LAST: u64 = 1000;
const MOST: u64 = 10_000;
/// How many recordings are read at once.
const AT_ONCE: usize = 100;
/// How long a comparison may take.
const LONGEST: Duration = Duration::from_secs(600);
/// How many comparisons of a space are remembered.
const REMEMBERED: usize = 10;
/// How many differing calls one tells of, and how many bytes of them.
const TOLD: usize = 1000;
const TOLD_BYTES: usize = 1024 * 1024;
/// How many comparisons run at a time, of all spaces.
const RUNNING: usize = 2;

/// Which version is compared with the one in use.
#[derive(Debug)]
pub enum Candidate {
    /// One that is kept, by its version or the beginning of its digest.
    Kept(String),
    /// One that is not put in.
    Component {
        /// Its bytes.
        component: Bytes,
        /// Signatures of it.
        signatures: Vec<String>,
    },
}

/// On which calls, and how strictly.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CompareInput {
    /// On the last so many calls, 1 to 10,000; none: 1000.
    pub last: Option<u64>,
    /// Only on those made at this time or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Only on those made before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Whether reasons and messages, which are for people, count too.
    pub reasons: bool,
}

/// A comparison, and how far it has come.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Names it in the API.
    pub id: String,
    /// The plugin.
    pub plugin: String,
    /// The version in use.
    pub live: Named,
    /// The version that is compared with it.
    pub candidate: Named,
    /// What was asked for.
    #[serde(flatten)]
    pub input: CompareInput,
    /// `running`, `done`, `failed` or `stopped`.
    pub state: &'static str,
    /// What came out so far.
    #[serde(flatten)]
    pub counts: Counts,
    /// Why calls could not be compared, and how many each.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub not_comparable_because: BTreeMap<&'static str, u64>,
    /// Calls of which the two versions made something else, the newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
    /// How many more there are that are not told of.
    pub differences_left_out: u64,
    /// What went wrong, if anything did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it was asked for.
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    #[serde(skip)]
    bytes: usize,
}

/// A version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Named {
    /// What the component says its version is.
    pub version: String,
    /// SHA-256 of the component, in hex.
    pub digest: String,
}

impl Named {
    pub(crate) fn of(plugin: &Plugin) -> Self {
        Self { version: plugin.manifest().version.clone(), digest: plugin.digest().to_owned() }
    }
}

/// How many calls came out how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All that were looked at.
    pub calls: u64,
    /// Both versions made the same of it.
    pub same: u64,
    /// They did not; those in `failed` are not among them.
    pub different: u64,
    /// The candidate failed where the version in use did not.
    pub failed: u64,
    /// The call cannot be repeated.
    pub not_comparable: u64,
}

/// A call of which two versions made something else.
#[derive(Clone, Debug, Serialize)]
pub struct Difference {
    /// The event's id.
    pub event: String,
    /// The run, if it was for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The delivery, if it was for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery: Option<String>,
    /// Where it stands: `when.all[0]`, the name of a step, or the webhook.
    pub place: String,
    /// As what it was called.
    pub kind: Kind,
    /// When.
    pub at: Timestamp,
    /// Whether the candidate failed where the version in use did not.
    pub failed: bool,
    /// Where what came of it differs, at most 20 places.
    pub parts: Vec<Part>,
}

impl Difference {
    pub(crate) fn new(recording: &Recording, failed: bool, parts: Vec<Part>) -> Self {
        Self {
            event: recording.event.clone(),
            run: recording.run.map(|run| run.to_string()),
            delivery: recording.delivery.map(|delivery| delivery.to_string()),
            place: recording.place.clone(),
            kind: recording.kind,
            at: recording.now,
            failed,
            parts,
        }
    }
}

/// What came of one call.
pub(crate) enum Compared {
    Same,
    Different(Difference),
    /// Why not.
    Not(&'static str),
}

/// Whether two results are the same.
pub(crate) fn compared(recording: &Recording, live: &Value, candidate: &Value, reasons: bool) -> Compared {
    let parts = differences(live, candidate, reasons);
    if parts.is_empty() {
        return Compared::Same;
    }
    let failed = |result: &Value| result.get("outcome").and_then(Value::as_str) == Some("failed");
    Compared::Different(Difference::new(recording, failed(candidate) && !failed(live), parts))
}

/// The comparisons since the server started.
pub(crate) struct Comparisons {
    all: Mutex<HashMap<SpaceId, VecDeque<Comparison>>>,
    places: Semaphore,
}

impl Default for Comparisons {
    fn default() -> Self {
        Self { all: Mutex::default(), places: Semaphore::new(RUNNING) }
    }
}

impl Comparisons {
    fn change(&self, space: &SpaceId, id: &str, change: impl FnOnce(&mut Comparison)) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = all.get_mut(space).and_then(|list| list.iter_mut().find(|one| one.id == id)) {
            change(found);
        }
    }

    /// Remembers one, unless another is running.
    fn put(&self, space: &SpaceId, comparison: Comparison) -> Result<(), PipelineError> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let list = all.entry(space.clone()).or_default();
        if let Some(running) = list.iter().find(|one| one.state == "running") {
            let message = format!("the comparison {} is still running: wait until it has ended", running.id);
            return Err(PipelineError::Conflict { code: "comparison.running", message });
        }
        list.push_back(comparison);
        if list.len() > REMEMBERED {
            list.pop_front();
        }
        Ok(())
    }
}

impl CompareInput {
    fn check(&self) -> Result<(), Mistakes> {
        let mut mistakes = Mistakes::default();
        if let Some(last) = self.last.filter(|last| !(1..=MOST).contains(last)) {
            mistakes.add("last", format!("is {last}: give 1 to {MOST}"));
        }
        if let (Some(from), Some(until)) = (self.from, self.until)
            && until <= from
        {
            mistakes.add("until", "is not after `from`: no call fits both");
        }
        mistakes.check()
    }

    fn takes(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| at >= from) && self.until.is_none_or(|until| at < until)
    }
}

/// Two versions that are compared, each with what it may do.
struct Pair {
    live: (Arc<Plugin>, Arc<Access>),
    candidate: (Arc<Plugin>, Arc<Access>),
}

impl Pipeline {
    /// Begins to compare a version of a plugin with the one in use. It goes on in the background.
    pub async fn compare(
        self: &Arc<Self>,
        space: &SpaceId,
        name: &str,
        candidate: Candidate,
        mut input: CompareInput,
    ) -> Result<Comparison, PipelineError> {
        input.check()?;
        input.last.get_or_insert(LAST);
        self.loaded(space, &[name].into()).await;
        let (scope, live) =
            self.registry.resolve(space, name).ok_or_else(|| PipelineError::not_found("plugin", name))?;
        let candidate = match candidate {
            Candidate::Kept(which) => {
                let digest = self.digest_of(space, name, &which)?;
                self.version_ready(space, name, &digest).await?
            }
            Candidate::Component { component, signatures } => {
                let digest = hex::encode(Sha256::digest(&component));
                self.registry.engine().options().trust.check(&digest, &signatures)?;
                self.registry.prepare(component).await?
            }
        };
        let trusted = |plugin: &Plugin| {
            let builtin = self.registry.find(&Scope::Builtin, name).and_then(|(builtin, _)| builtin);
            builtin.is_some_and(|builtin| builtin.digest() == plugin.digest())
        };
        let pair = Pair {
            live: (Arc::clone(&live), self.access_apart(space, name, scope == Scope::Builtin)?),
            candidate: (Arc::clone(&candidate), self.access_apart(space, name, trusted(&candidate))?),
        };
        let comparison = Comparison {
            id: unique("cmp"),
            plugin: name.to_owned(),
            live: Named::of(&live),
            candidate: Named::of(&candidate),
            input: input.clone(),
            state: "running",
            counts: Counts::default(),
            not_comparable_because: BTreeMap::new(),
            differences: Vec::new(),
            differences_left_out: 0,
            error: None,
            started_at: self.now(),
            finished_at: None,
            bytes: 0,
        };
        self.comparisons.put(space, comparison.clone())?;
        let (pipeline, space, name, id) = (Arc::clone(self), space.clone(), name.to_owned(), comparison.id.clone());
        tokio::spawn(async move {
            let ended = pipeline.compare_each(&space, &name, &id, &pair, &input).await;
            let now = pipeline.now();
            pipeline.comparisons.change(&space, &id, |one| {
                one.finished_at = Some(now);
                match ended {
                    Ok(state) => one.state = state,
                    Err(error) => {
                        one.state = "failed";
                        one.error = Some(error.to_string());
                    }
                }
            });
        });
        Ok(comparison)
    }

    async fn compare_each(
        &self,
        space: &SpaceId,
        name: &str,
        id: &str,
        pair: &Pair,
        input: &CompareInput,
    ) -> Result<&'static str, PipelineError> {
        let Ok(_place) = self.comparisons.places.acquire().await else { return Ok("stopped") };
        let began = Instant::now();
        let mut left = input.last.unwrap_or(LAST);
        let mut before = None;
        loop {
            let page = self.store.recordings(space, name, before, AT_ONCE)?;
            let Some(last) = page.last() else { return Ok("done") };
            before = Some(last.number);
            for stored in page {
                if *self.stopping.borrow() {
                    return Ok("stopped");
                }
                if began.elapsed() > LONGEST {
                    let message = format!("it took more than {} s: compare fewer calls", LONGEST.as_secs());
                    self.comparisons.change(space, id, |one| one.error = Some(message));
                    return Ok("stopped");
                }
                if input.from.is_some_and(|from| stored.at < from) || left == 0 {
                    return Ok("done");
                }
                if !input.takes(stored.at) {
                    continue;
                }
                left = left.saturating_sub(1);
                let came_out = match self.opened(&stored.sealed) {
                    Some(recording) => self.compare_one(space, pair, &recording, input.reasons).await?,
                    None => Compared::Not("the recording cannot be opened"),
                };
                self.comparisons.change(space, id, |one| one.add(came_out));
            }
        }
    }

    async fn compare_one(
        &self,
        space: &SpaceId,
        pair: &Pair,
        recording: &Recording,
        reasons: bool,
    ) -> Result<Compared, PipelineError> {
        let Some(event) = self.store.event_at(space, recording.seq)? else {
            return Ok(Compared::Not("the event is no longer there"));
        };
        let (plugin, access) = &pair.live;
        let Some(live) = self.rerun(space, plugin, access, &event, recording).await else {
            return Ok(Compared::Not("the host answered more than is kept of one call"));
        };
        let repeats = plugin.digest() == recording.digest;
        if repeats && digest_of(&live.came_to) != recording.came_to {
            return Ok(Compared::Not("the version that was recorded does not do the same again"));
        }
        if live.came_to.get("code").and_then(Value::as_str) == Some("replay.not_recorded") {
            return Ok(Compared::Not("the version in use sends another request than was recorded"));
        }
        let (plugin, access) = &pair.candidate;
        let Some(candidate) = self.rerun(space, plugin, access, &event, recording).await else {
            return Ok(Compared::Not("the host answered more than is kept of one call"));
        };
        Ok(compared(recording, &live.came_to, &candidate.came_to, reasons))
    }

    /// The comparisons of a space since the server started, the newest first, without what they found.
    pub fn comparisons(&self, space: &SpaceId) -> Vec<Comparison> {
        let all = self.comparisons.all.lock().unwrap_or_else(PoisonError::into_inner);
        let list = all.get(space).into_iter().flatten().rev();
        list.map(|one| Comparison { differences: Vec::new(), ..one.clone() }).collect()
    }

    /// One of them, with what it found so far.
    pub fn comparison(&self, space: &SpaceId, id: &str) -> Result<Comparison, PipelineError> {
        let all = self.comparisons.all.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.get(space).into_iter().flatten().find(|one| one.id == id);
        found.cloned().ok_or_else(|| PipelineError::not_found("comparison", id))
    }
}

impl Comparison {
    fn add(&mut self, came_out: Compared) {
        self.counts.calls = self.counts.calls.saturating_add(1);
        match came_out {
            Compared::Same => self.counts.same = self.counts.same.saturating_add(1),
            Compared::Not(why) => {
                self.counts.not_comparable = self.counts.not_comparable.saturating_add(1);
                let count = self.not_comparable_because.entry(why).or_default();
                *count = count.saturating_add(1);
            }
            Compared::Different(difference) => {
                let count = if difference.failed { &mut self.counts.failed } else { &mut self.counts.different };
                *count = count.saturating_add(1);
                let size = serde_json::to_string(&difference).map_or(0, |text| text.len());
                if self.differences.len() < TOLD && self.bytes.saturating_add(size) <= TOLD_BYTES {
                    self.bytes = self.bytes.saturating_add(size);
                    self.differences.push(difference);
                } else {
                    self.differences_left_out = self.differences_left_out.saturating_add(1);
                }
            }
        }
    }
}
