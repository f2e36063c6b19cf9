use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{EndedRollout, Rollout, RolloutMode, Timestamp};

/// What a plugin can be used as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Decides whether an event concerns an automation.
    Condition,
    /// Does something about it.
    Action,
    /// Gives a payload another shape.
    Transform,
    /// Takes requests from a provider.
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

/// What a plugin says of itself.
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

/// An uploaded plugin as stored; the components of its versions lie beside it under their digests.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PluginRecord {
    /// The name it is installed under.
    pub name: String,
    /// SHA-256 of the live component, in hex; empty while no version was ever live.
    pub digest: String,
    /// When the live version was put in.
    pub installed_at: Timestamp,
    /// Every version that is kept, in the order in which they last went live or came in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<PluginVersion>,
    /// The version on its way into use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// The rollout that ended last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_rollout: Option<EndedRollout>,
}

/// A version of an uploaded plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginVersion {
    /// SHA-256 of the component, in hex.
    pub digest: String,
    /// What the component says its version is.
    pub version: String,
    /// Size of the component in bytes.
    pub size: u64,
    /// The interfaces that it imports besides those that harm nobody.
    pub wants: Vec<String>,
    /// When it came in.
    pub installed_at: Timestamp,
    /// When it last went live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live_since: Option<Timestamp>,
    /// It wants more than was granted, and waits for somebody to approve.
    #[serde(default)]
    pub held: bool,
    /// Who signed it: names of the trusted keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signed_by: Vec<String>,
}

impl PluginRecord {
    /// How many versions are kept.
    pub const KEPT: usize = 20;

    /// The version with this digest.
    pub fn version(&self, digest: &str) -> Option<&PluginVersion> {
        self.versions.iter().find(|version| version.digest == digest)
    }

    /// Puts a version at the end. Returns the digests of those that are kept no longer: the live one and the newest
    /// held one always are.
    pub fn put(&mut self, version: PluginVersion) -> Vec<String> {
        self.versions.retain(|known| known.digest != version.digest);
        self.versions.push(version);
        let mut dropped = Vec::new();
        while self.versions.len() > Self::KEPT {
            let rollout = self.rollout.as_ref().map(|rollout| rollout.digest.as_str());
            let kept = |known: &PluginVersion| known.digest == self.digest || Some(known.digest.as_str()) == rollout;
            let Some(place) = self.versions.iter().position(|known| !kept(known)) else { break };
            dropped.push(self.versions.remove(place).digest);
        }
        dropped
    }

    /// Puts a version in use, which ends a rollout that is under way. Returns the digests of those that are kept no longer.
    pub fn use_version(&mut self, mut version: PluginVersion, now: Timestamp) -> Vec<String> {
        version.live_since = Some(now);
        version.held = false;
        self.digest.clone_from(&version.digest);
        self.installed_at = now;
        if let Some(rollout) = self.rollout.take() {
            let reason = "another version was put in use".to_owned();
            let outcome = if rollout.digest == version.digest { "promoted" } else { "ended" }.to_owned();
            self.last_rollout = Some(EndedRollout { rollout, outcome, reason, ended_at: now });
        }
        self.put(version)
    }

    /// How the version with this digest is called beside the live one, if it is.
    pub fn rolled_out(&self, digest: &str) -> Option<RolloutMode> {
        self.rollout.as_ref().filter(|rollout| rollout.digest == digest).map(|rollout| rollout.mode)
    }

    /// The version that was live before this one.
    pub fn former(&self) -> Option<&PluginVersion> {
        let live = self.versions.iter().filter(|version| version.digest != self.digest && version.live_since.is_some());
        live.max_by_key(|version| version.live_since)
    }
}

/// A condition's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether the condition holds.
    pub holds: bool,
    /// What was compared with what.
    pub reason: String,
}

/// An action's answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// It did what was asked; the result as JSON.
    Done(Value),
    /// There was nothing to do, because.
    Skipped(String),
}

/// Why something did not succeed, in the words of the plugin or of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Stable, `noun.problem`.
    pub code: String,
    /// What was wrong, with which value, and the remedy.
    pub message: String,
    /// None: trying again cannot help. Some(0): by the step's policy. Some(n): not before n milliseconds.
    pub retry_after_ms: Option<u32>,
}

impl Failure {
    /// One that trying again cannot help.
    pub fn permanent(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), retry_after_ms: None }
    }

    /// One that may pass.
    pub fn transient(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), retry_after_ms: Some(0) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Failure {}
