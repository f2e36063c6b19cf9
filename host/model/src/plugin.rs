use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{EndedRollout, Rollout, RolloutMode, RolloutOutcome, Timestamp};

/// The kinds of plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Decides whether an automation fires for an event.
    Condition,
    /// Executes a step.
    Action,
    /// Transforms a payload.
    Transform,
    /// Turns requests of a provider into events.
    Source,
}

impl Kind {
    /// Its name as in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Condition => "condition",
            Self::Action => "action",
            Self::Transform => "transform",
            Self::Source => "source",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The manifest of a plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Its own name. The name it is installed under may differ.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// One line.
    pub summary: String,
    /// JSON Schema of its parameters.
    pub parameters: Value,
    /// Open list of `name=value`.
    pub hints: Vec<(String, String)>,
}

/// A stored plugin. The components of its versions are stored beside it under their digests.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PluginRecord {
    /// The name it is installed under.
    pub name: String,
    /// SHA-256 of the live component, in hex. Empty until a version is live.
    pub digest: String,
    /// When the live version was activated.
    pub installed_at: Timestamp,
    /// The retained versions, in the order in which they last went live or were uploaded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<PluginVersion>,
    /// The current rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// The rollout that ended last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_rollout: Option<EndedRollout>,
    /// Digests of the releases that were live, the current one last. A rollback goes back through it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<String>,
}

/// A version of an uploaded plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginVersion {
    /// SHA-256 of the component, in hex.
    pub digest: String,
    /// The version in the component's manifest.
    pub version: String,
    /// Size of the component in bytes.
    pub size: u64,
    /// The interfaces that it imports, except the harmless ones.
    pub wants: Vec<String>,
    /// When it was uploaded.
    pub installed_at: Timestamp,
    /// When it last went live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live_since: Option<Timestamp>,
    /// It needs more than was granted, and waits for approval.
    #[serde(default)]
    pub held: bool,
    /// Who signed it: names of the trusted keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signed_by: Vec<String>,
    /// A development version: pushed by `plugin dev`, retained apart from releases, and never rolled back to.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dev: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(value: &bool) -> bool {
    !value
}

impl PluginRecord {
    /// How many releases are retained.
    pub const KEPT: usize = 20;
    /// How many development versions are retained, which never take a release's place.
    pub const KEPT_DEV: usize = 5;
    /// How many entries of the history are retained.
    const HISTORY: usize = 50;

    /// The version with this digest.
    pub fn version(&self, digest: &str) -> Option<&PluginVersion> {
        self.versions.iter().find(|version| version.digest == digest)
    }

    /// A release with the same version number and other bytes.
    pub fn same_number(&self, version: &PluginVersion) -> Option<&PluginVersion> {
        let is_same =
            |known: &&PluginVersion| !known.dev && known.version == version.version && known.digest != version.digest;
        self.versions.iter().find(is_same)
    }

    /// Appends a version. Returns the digests of the evicted versions: the live one and the one being rolled out are
    /// never evicted. A release that is pushed again as a development version stays a release.
    pub fn put(&mut self, mut version: PluginVersion) -> Vec<String> {
        version.dev &= self.version(&version.digest).is_none_or(|known| known.dev);
        self.versions.retain(|known| known.digest != version.digest);
        self.versions.push(version);
        let mut dropped = self.evict(false, Self::KEPT);
        dropped.extend(self.evict(true, Self::KEPT_DEV));
        self.history.retain(|digest| self.versions.iter().any(|known| known.digest == *digest));
        dropped
    }

    /// Evicts the oldest releases, or the oldest development versions, beyond `most` of them.
    fn evict(&mut self, dev: bool, most: usize) -> Vec<String> {
        let mut dropped = Vec::new();
        while self.versions.iter().filter(|known| known.dev == dev).count() > most {
            let rollout = self.rollout.as_ref().map(|rollout| rollout.digest.as_str());
            let kept = |known: &PluginVersion| known.digest == self.digest || Some(known.digest.as_str()) == rollout;
            let Some(place) = self.versions.iter().position(|known| known.dev == dev && !kept(known)) else { break };
            dropped.push(self.versions.remove(place).digest);
        }
        dropped
    }

    /// Activates a version, which ends a rollout in progress. Returns the digests of the evicted versions.
    pub fn use_version(&mut self, mut version: PluginVersion, now: Timestamp) -> Vec<String> {
        self.history = self.releases_used();
        version.live_since = Some(now);
        version.held = false;
        self.digest.clone_from(&version.digest);
        self.installed_at = now;
        if let Some(rollout) = self.rollout.take() {
            let reason = "another version was put in use".to_owned();
            let is_promoted = rollout.digest == version.digest;
            let outcome = if is_promoted { RolloutOutcome::Promoted } else { RolloutOutcome::Ended };
            self.last_rollout = Some(EndedRollout { rollout, outcome, reason, ended_at: now });
        }
        let dropped = self.put(version);
        let is_release = self.version(&self.digest).is_some_and(|live| !live.dev);
        if is_release && self.history.last() != Some(&self.digest) {
            self.history.push(self.digest.clone());
            let beyond = self.history.len().saturating_sub(Self::HISTORY);
            self.history.drain(..beyond);
        }
        dropped
    }

    /// Returns the release that was live before, for [`use_version`](Self::use_version). Each call goes one release
    /// further back and discards the later ones.
    pub fn step_back(&mut self) -> Option<PluginVersion> {
        let mut history = self.releases_used();
        while let Some(digest) = history.last() {
            let found = self.versions.iter().find(|known| known.digest == *digest && *digest != self.digest).cloned();
            if found.is_some() {
                self.history = history;
                return found;
            }
            history.pop();
        }
        None
    }

    /// The history. If the record was stored before there was a history, it is derived from the versions.
    fn releases_used(&self) -> Vec<String> {
        if !self.history.is_empty() {
            return self.history.clone();
        }
        let used = self.versions.iter().filter(|known| !known.dev && known.live_since.is_some());
        let mut used: Vec<&PluginVersion> = used.collect();
        used.sort_by_key(|known| (known.digest == self.digest, known.live_since));
        used.into_iter().map(|known| known.digest.clone()).collect()
    }

    /// The rollout of the version with this digest, if there is one.
    pub fn rolled_out(&self, digest: &str) -> Option<RolloutMode> {
        self.rollout.as_ref().filter(|rollout| rollout.digest == digest).map(|rollout| rollout.mode)
    }
}

/// A condition's result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether the condition is true.
    pub holds: bool,
    /// The compared values.
    pub reason: String,
}

/// An action's result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// It succeeded; the result as JSON.
    Done(Value),
    /// There was nothing to do, for this reason.
    Skipped(String),
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A version that was never live.
    pub(crate) fn version(number: &str, digest: &str, dev: bool) -> PluginVersion {
        PluginVersion {
            digest: digest.to_owned(),
            version: number.to_owned(),
            size: 1,
            wants: Vec::new(),
            installed_at: Timestamp::default(),
            live_since: None,
            held: false,
            signed_by: Vec::new(),
            dev,
        }
    }

    /// A plugin without a version.
    pub(crate) fn record() -> PluginRecord {
        PluginRecord {
            name: "p".to_owned(),
            digest: String::new(),
            installed_at: Timestamp::default(),
            versions: Vec::new(),
            rollout: None,
            last_rollout: None,
            history: Vec::new(),
        }
    }

    fn roll_back(record: &mut PluginRecord, now: i64) -> Option<String> {
        let former = record.step_back()?;
        record.use_version(former, Timestamp::from_millis(now));
        Some(record.digest.clone())
    }

    #[test]
    fn rollback_walks_back_through_releases_and_never_toggles() {
        let mut record = record();
        for (place, digest) in ["a", "b", "c"].into_iter().enumerate() {
            record.use_version(version(&format!("1.{place}.0"), digest, false), Timestamp::from_millis(1));
        }
        record.use_version(version("1.3.0", "d", true), Timestamp::from_millis(2));
        assert_eq!(roll_back(&mut record, 3).as_deref(), Some("c"), "a development version steps back to the release");
        assert_eq!(roll_back(&mut record, 4).as_deref(), Some("b"));
        assert_eq!(roll_back(&mut record, 5).as_deref(), Some("a"));
        assert_eq!(roll_back(&mut record, 6), None);
        let c = record.version("c").unwrap().clone();
        record.use_version(c, Timestamp::from_millis(7));
        assert_eq!(roll_back(&mut record, 8).as_deref(), Some("a"), "what was used before c this time");
    }

    #[test]
    fn a_record_without_a_history_steps_back_by_when_its_versions_were_live() {
        let mut record = record();
        for (digest, at) in [("a", 5), ("b", 3), ("c", 4)] {
            let live_since = Some(Timestamp::from_millis(at));
            record.versions.push(PluginVersion { live_since, ..version("1.0.0", digest, false) });
        }
        record.digest = "a".to_owned();
        assert_eq!(roll_back(&mut record, 6).as_deref(), Some("c"));
        assert_eq!(roll_back(&mut record, 7).as_deref(), Some("b"));
    }

    #[test]
    fn development_versions_never_evict_releases() {
        let mut record = record();
        for place in 0..PluginRecord::KEPT + 2 {
            record.use_version(version(&format!("1.{place}.0"), &format!("r{place}"), false), Timestamp::default());
        }
        for place in 0..50 {
            record.use_version(version("2.0.0", &format!("d{place}"), true), Timestamp::default());
        }
        let count = |dev: bool| record.versions.iter().filter(|known| known.dev == dev).count();
        assert_eq!((count(false), count(true)), (PluginRecord::KEPT, PluginRecord::KEPT_DEV));
        assert!(record.version("r0").is_none() && record.version("r2").is_some() && record.version("d49").is_some());
        assert_eq!(record.history.len(), PluginRecord::KEPT);
    }

    #[test]
    fn a_release_stays_a_release_and_its_number_identifies_its_bytes() {
        let mut record = record();
        record.use_version(version("1.0.0", "a", false), Timestamp::default());
        record.use_version(version("1.0.0", "a", true), Timestamp::default());
        assert!(!record.version("a").unwrap().dev);
        assert_eq!(record.same_number(&version("1.0.0", "b", false)).map(|known| known.digest.as_str()), Some("a"));
        assert!(record.same_number(&version("1.0.0", "a", false)).is_none());
        record.put(version("2.0.0", "c", true));
        assert!(
            record.same_number(&version("2.0.0", "d", false)).is_none(),
            "a development version reserves no number"
        );
    }
}
