//! Compares two versions of a plugin on its recorded calls. Neither version changes or sends anything.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hookwright_foundation::error::PipelineError;
use hookwright_foundation::job::JobState;
use hookwright_foundation::stopping::Stopping;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_invoke::access::PluginAccess;
use hookwright_invoke::call_result::digest_of;
use hookwright_invoke::comparison::{Compared, Counts, Difference, compare_results};
use hookwright_invoke::loading::Loading;
use hookwright_invoke::recording::Recording;
use hookwright_invoke::tapes::Tapes;
use hookwright_invoke::versions::Versions;
use hookwright_model::{Failure, Mistakes, SpaceId, Timestamp, unique};
use hookwright_plugin::{Access, HashedComponent, Plugin, Registry, Scope};
use hookwright_store::Store;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::rerun::Reruns;

/// How many recordings a comparison covers by default.
const DEFAULT_CALLS: u64 = 1000;

/// How many recordings a comparison covers at most.
const MAX_CALLS: u64 = 10_000;

/// How many recordings are read at a time.
const RECORDINGS_PER_PAGE: usize = 100;

/// How long a comparison may take.
const MAX_DURATION: Duration = Duration::from_secs(600);

/// How many comparisons of a space are remembered.
const MAX_REMEMBERED: usize = 10;

/// How many different calls a comparison lists.
const MAX_DIFFERENCES: usize = 1000;

/// How many bytes of different calls a comparison lists.
const MAX_DIFFERENCE_BYTES: usize = 1024 * 1024;

/// How many comparisons run at once, of all spaces.
const MAX_RUNNING: usize = 2;

/// Which version is compared with the one in use.
#[derive(Debug)]
pub enum Candidate {
    /// A stored version, by its version or the beginning of its digest.
    Stored(String),
    /// A component that is not installed.
    Component {
        /// Its bytes.
        component: Bytes,
        /// Signatures of it.
        signatures: Vec<String>,
    },
}

/// Which calls are compared, and how strictly.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CompareInput {
    /// Only the last so many calls, 1 to 10,000. `None`: 1000.
    pub last: Option<u64>,
    /// Only calls at this time or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Only calls before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Whether differences in reasons and messages, which are for people, count too.
    pub reasons: bool,
}

/// A comparison, with its progress.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Its id in the API.
    pub id: String,
    /// The plugin.
    pub plugin: String,
    /// The version in use.
    pub live: ComparedVersion,
    /// The version that is compared with it.
    pub candidate: ComparedVersion,
    /// The input.
    #[serde(flatten)]
    pub input: CompareInput,
    /// Its state.
    pub state: JobState,
    /// The results so far.
    #[serde(flatten)]
    pub counts: Counts,
    /// Why calls could not be compared, with the number of each reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub not_comparable_because: BTreeMap<&'static str, u64>,
    /// Calls for which the two versions gave different results, the newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
    /// How many more differences there are that are not listed.
    pub differences_left_out: u64,
    /// The error that ended it, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    #[serde(skip)]
    bytes: usize,
}

/// A version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ComparedVersion {
    /// The version in the manifest of the component.
    pub version: String,
    /// SHA-256 of the component, in hex.
    pub digest: String,
}

impl ComparedVersion {
    pub(crate) fn of(plugin: &Plugin) -> Self {
        Self { version: plugin.manifest().version.clone(), digest: plugin.digest().to_owned() }
    }
}

/// The comparisons since the server started.
pub(crate) struct Comparisons {
    all: Mutex<HashMap<SpaceId, VecDeque<Comparison>>>,
    permits: Semaphore,
}

impl Default for Comparisons {
    fn default() -> Self {
        Self { all: Mutex::default(), permits: Semaphore::new(MAX_RUNNING) }
    }
}

impl Comparisons {
    fn change(&self, space: &SpaceId, id: &str, change: impl FnOnce(&mut Comparison)) {
        let mut all = self.all.lock();
        if let Some(found) = all.get_mut(space).and_then(|list| list.iter_mut().find(|one| one.id == id)) {
            change(found);
        }
    }

    /// Adds a comparison, unless another one of the space is running.
    fn put(&self, space: &SpaceId, comparison: Comparison) -> Result<(), PipelineError> {
        let mut all = self.all.lock();
        let list = all.entry(space.clone()).or_default();
        if let Some(running) = list.iter().find(|one| one.state == JobState::Running) {
            let message = format!("the comparison {} is still running: wait until it has ended", running.id);
            return Err(PipelineError::Conflict { code: "comparison.running", message });
        }
        list.push_back(comparison);
        if list.len() > MAX_REMEMBERED {
            list.pop_front();
        }
        Ok(())
    }
}

impl CompareInput {
    fn check(&self) -> Result<(), Mistakes> {
        let mut mistakes = Mistakes::default();
        if let Some(last) = self.last.filter(|last| !(1..=MAX_CALLS).contains(last)) {
            mistakes.add("last", format!("is {last}: give 1 to {MAX_CALLS}"));
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

/// The two versions that are compared, each with its access.
struct Pair {
    live: (Arc<Plugin>, Arc<Access>),
    candidate: (Arc<Plugin>, Arc<Access>),
}

/// Compares versions of a plugin on recorded calls.
pub struct VersionComparisons {
    pub(crate) store: Store,
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) stopping: Stopping,
    pub(crate) comparisons: Arc<Comparisons>,
    pub(crate) loading: Arc<Loading>,
    pub(crate) plugin_access: Arc<PluginAccess>,
    pub(crate) reruns: Arc<Reruns>,
    pub(crate) tapes: Arc<Tapes>,
    pub(crate) versions: Arc<Versions>,
}

impl VersionComparisons {
    /// Starts to compare a version of a plugin with the one in use, in the background.
    pub async fn compare(
        self: &Arc<Self>,
        space: &SpaceId,
        name: &str,
        candidate: Candidate,
        mut input: CompareInput,
    ) -> Result<Comparison, PipelineError> {
        input.check()?;
        input.last.get_or_insert(DEFAULT_CALLS);
        self.loading.loaded(space, &[name].into()).await;
        let (scope, live) =
            self.registry.resolve(space, name).ok_or_else(|| PipelineError::not_found("plugin", name))?;
        let candidate = match candidate {
            Candidate::Stored(which) => {
                let digest = self.versions.digest_of(space, name, &which)?;
                self.versions.version_ready(space, name, &digest).await?
            }
            Candidate::Component { component, signatures } => {
                let component = HashedComponent::of(component).await?;
                self.registry.prepare_signed(component, &signatures).await?.0
            }
        };
        let trusted = |plugin: &Plugin| {
            let builtin = self.registry.find(&Scope::Builtin, name).and_then(|(builtin, _)| builtin);
            builtin.is_some_and(|builtin| builtin.digest() == plugin.digest())
        };
        let pair = Pair {
            live: (Arc::clone(&live), self.plugin_access.isolated_access(space, name, scope == Scope::Builtin)?),
            candidate: (Arc::clone(&candidate), self.plugin_access.isolated_access(space, name, trusted(&candidate))?),
        };
        let comparison = Comparison {
            id: unique("cmp"),
            plugin: name.to_owned(),
            live: ComparedVersion::of(&live),
            candidate: ComparedVersion::of(&candidate),
            input: input.clone(),
            state: JobState::Running,
            counts: Counts::default(),
            not_comparable_because: BTreeMap::new(),
            differences: Vec::new(),
            differences_left_out: 0,
            error: None,
            started_at: self.clock.now(),
            finished_at: None,
            bytes: 0,
        };
        self.comparisons.put(space, comparison.clone())?;
        let (this, space, name, id) = (Arc::clone(self), space.clone(), name.to_owned(), comparison.id.clone());
        tokio::spawn(async move {
            let ended = this.compare_each(&space, &name, &id, &pair, &input).await;
            let now = this.clock.now();
            this.comparisons.change(&space, &id, |one| {
                one.finished_at = Some(now);
                match ended {
                    Ok(state) => one.state = state,
                    Err(error) => {
                        one.state = JobState::Failed;
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
    ) -> Result<JobState, PipelineError> {
        let Ok(_permit) = self.comparisons.permits.acquire().await else { return Ok(JobState::Stopped) };
        let began = Instant::now();
        let mut left = input.last.unwrap_or(DEFAULT_CALLS);
        let mut before = None;
        loop {
            let page = self.store.recordings.recordings(space, name, before, RECORDINGS_PER_PAGE)?;
            let Some(last) = page.last() else { return Ok(JobState::Done) };
            before = Some(last.number);
            for stored in page {
                if self.stopping.has_begun() {
                    return Ok(JobState::Stopped);
                }
                if began.elapsed() > MAX_DURATION {
                    let message = format!("it took more than {} s: compare fewer calls", MAX_DURATION.as_secs());
                    self.comparisons.change(space, id, |one| one.error = Some(message));
                    return Ok(JobState::Stopped);
                }
                if input.from.is_some_and(|from| stored.at < from) || left == 0 {
                    return Ok(JobState::Done);
                }
                if !input.takes(stored.at) {
                    continue;
                }
                left = left.saturating_sub(1);
                let compared_call = match self.tapes.opened(&stored.sealed) {
                    Some(recording) => self.compare_one(space, pair, &recording, input.reasons).await?,
                    None => Compared::NotComparable("the recording cannot be opened"),
                };
                self.comparisons.change(space, id, |one| one.add(compared_call));
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
        let Some(event) = self.store.events.event_at(space, recording.seq)? else {
            return Ok(Compared::NotComparable("the event is no longer stored"));
        };
        let (plugin, access) = &pair.live;
        let Some(live) = self.reruns.rerun(space, plugin, access, &event, recording).await else {
            return Ok(Compared::NotComparable("the host's answers were too large to be recorded"));
        };
        let repeats = plugin.digest() == recording.digest;
        if repeats && digest_of(&live.result) != recording.result_digest {
            return Ok(Compared::NotComparable("the recorded version does not give the same result again"));
        }
        if live.result.get("code").and_then(Value::as_str) == Some(Failure::NOT_RECORDED) {
            return Ok(Compared::NotComparable("the version in use sends another request than was recorded"));
        }
        let (plugin, access) = &pair.candidate;
        let Some(candidate) = self.reruns.rerun(space, plugin, access, &event, recording).await else {
            return Ok(Compared::NotComparable("the host's answers were too large to be recorded"));
        };
        Ok(compare_results(recording, &live.result, &candidate.result, reasons))
    }

    /// The comparisons of a space since the server started, the newest first, without their differences.
    pub fn comparisons(&self, space: &SpaceId) -> Vec<Comparison> {
        let all = self.comparisons.all.lock();
        let list = all.get(space).into_iter().flatten().rev();
        list.map(|one| Comparison { differences: Vec::new(), ..one.clone() }).collect()
    }

    /// A comparison with its differences so far.
    pub fn comparison(&self, space: &SpaceId, id: &str) -> Result<Comparison, PipelineError> {
        let all = self.comparisons.all.lock();
        let found = all.get(space).into_iter().flatten().find(|one| one.id == id);
        found.cloned().ok_or_else(|| PipelineError::not_found("comparison", id))
    }
}

impl Comparison {
    fn add(&mut self, compared_call: Compared) {
        self.counts.calls = self.counts.calls.saturating_add(1);
        match compared_call {
            Compared::Same => self.counts.same = self.counts.same.saturating_add(1),
            Compared::NotComparable(why) => {
                self.counts.not_comparable = self.counts.not_comparable.saturating_add(1);
                let count = self.not_comparable_because.entry(why).or_default();
                *count = count.saturating_add(1);
            }
            Compared::Different(difference) => {
                let count = if difference.failed { &mut self.counts.failed } else { &mut self.counts.different };
                *count = count.saturating_add(1);
                let size = serde_json::to_string(&difference).map_or(0, |text| text.len());
                if self.differences.len() < MAX_DIFFERENCES && self.bytes.saturating_add(size) <= MAX_DIFFERENCE_BYTES {
                    self.bytes = self.bytes.saturating_add(size);
                    self.differences.push(difference);
                } else {
                    self.differences_left_out = self.differences_left_out.saturating_add(1);
                }
            }
        }
    }
}
