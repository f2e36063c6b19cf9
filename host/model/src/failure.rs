//! Failures: a code for readers, and a kind by which the host decides what follows.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A failure, reported by a plugin or by the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Stable, `noun.problem`.
    pub code: String,
    /// What was wrong, with which value, and the remedy.
    pub message: String,
    /// `None`: a retry cannot help. `Some(0)`: retried by the step's policy. `Some(n)`: not before n milliseconds.
    pub retry_after_ms: Option<u32>,
}

/// The codes by which the host decides. Failures are made with the constants, so that a misspelt code does not compile.
impl Failure {
    /// The space has no such kind of record.
    pub const KIND_NOT_FOUND: &str = "kind.not_found";
    /// This is not the name of a kind of record.
    pub const KIND_INVALID: &str = "record.kind_invalid";
    /// Parameters do not match their schema.
    pub const PARAMETERS_INVALID: &str = "parameters.invalid";
    /// A record does not have the version that the caller read.
    pub const RECORD_CHANGED: &str = "record.changed";
    /// Too little space is left on the disk.
    pub const STORE_FULL: &str = "store.full";
    /// No instance of the plugin was free in time.
    pub const PLUGIN_BUSY: &str = "plugin.busy";
    /// The plugin is not installed, or its circuit breaker is open.
    pub const PLUGIN_UNAVAILABLE: &str = "plugin.unavailable";
    /// Other calls use all memory for plugins.
    pub const PLUGIN_MEMORY_BUSY: &str = "plugin.memory_busy";
    /// The plugin trapped.
    pub const PLUGIN_TRAPPED: &str = "plugin.trapped";
    /// A repeated call needs an answer that was not recorded.
    pub const NOT_RECORDED: &str = "replay.not_recorded";
}

/// What a failure means to the host: the status of a response, what is logged, and whether a plugin is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// There is no such kind of record.
    NoSuchRecordKind,
    /// Another object does not exist.
    NotFound,
    /// Parameters, or the fields of a record, are not valid.
    InvalidParameters,
    /// The record does not have the expected version.
    VersionChanged,
    /// Too little space is left on the disk.
    StorageFull,
    /// The store cannot be read or written at present.
    StorageUnavailable,
    /// The plugin cannot be called at present.
    PluginUnavailable,
    /// Other calls use all memory for plugins, for which this plugin is not at fault.
    PluginMemoryBusy,
    /// The plugin trapped.
    PluginTrapped,
    /// The plugin failed in another way.
    PluginFailed,
    /// A repeated call needs an answer that was not recorded.
    NotRecorded,
    /// The operation is refused, for the reason in the code and the message.
    Refused,
}

impl FailureKind {
    /// The kind of the failures with this code. Only here does the text of a code decide anything: codes come back as
    /// strings from plugins, which pass on those of the host, and from recordings.
    pub fn of(code: &str) -> Self {
        match code {
            Failure::KIND_NOT_FOUND | Failure::KIND_INVALID => return Self::NoSuchRecordKind,
            Failure::PARAMETERS_INVALID => return Self::InvalidParameters,
            Failure::RECORD_CHANGED => return Self::VersionChanged,
            Failure::STORE_FULL => return Self::StorageFull,
            Failure::PLUGIN_BUSY | Failure::PLUGIN_UNAVAILABLE => return Self::PluginUnavailable,
            Failure::PLUGIN_MEMORY_BUSY => return Self::PluginMemoryBusy,
            Failure::PLUGIN_TRAPPED => return Self::PluginTrapped,
            Failure::NOT_RECORDED => return Self::NotRecorded,
            _ => {}
        }
        if code.rsplit_once('.').is_some_and(|(_, problem)| problem == "not_found") {
            return Self::NotFound;
        }
        match code.split_once('.') {
            Some(("store", _)) => Self::StorageUnavailable,
            Some(("plugin", _)) => Self::PluginFailed,
            _ => Self::Refused,
        }
    }

    /// Whether the plugin is at fault, rather than the request.
    pub fn concerns_plugin(self) -> bool {
        matches!(self, Self::PluginUnavailable | Self::PluginMemoryBusy | Self::PluginTrapped | Self::PluginFailed)
    }
}

impl Failure {
    /// A permanent failure.
    pub fn permanent(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), retry_after_ms: None }
    }

    /// A transient failure.
    pub fn transient(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), retry_after_ms: Some(0) }
    }

    /// Its kind.
    pub fn kind(&self) -> FailureKind {
        FailureKind::of(&self.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_means_one_kind() {
        for (code, kind) in [
            ("kind.not_found", FailureKind::NoSuchRecordKind),
            ("record.kind_invalid", FailureKind::NoSuchRecordKind),
            ("ticket.not_found", FailureKind::NotFound),
            ("plugin.not_found", FailureKind::NotFound),
            ("a.b.not_found", FailureKind::NotFound),
            ("parameters.invalid", FailureKind::InvalidParameters),
            ("record.changed", FailureKind::VersionChanged),
            ("store.full", FailureKind::StorageFull),
            ("store.busy", FailureKind::StorageUnavailable),
            ("store.failed", FailureKind::StorageUnavailable),
            ("plugin.busy", FailureKind::PluginUnavailable),
            ("plugin.unavailable", FailureKind::PluginUnavailable),
            ("plugin.memory_busy", FailureKind::PluginMemoryBusy),
            ("plugin.trapped", FailureKind::PluginTrapped),
            ("plugin.timeout", FailureKind::PluginFailed),
            ("replay.not_recorded", FailureKind::NotRecorded),
            ("kind.in_use", FailureKind::Refused),
            ("http.refused", FailureKind::Refused),
            ("not_found", FailureKind::Refused),
            ("store", FailureKind::Refused),
            ("stores.full", FailureKind::Refused),
            ("", FailureKind::Refused),
        ] {
            assert_eq!(FailureKind::of(code), kind, "{code}");
            let is_of_plugin = code.starts_with("plugin.") && code != "plugin.not_found";
            assert_eq!(kind.concerns_plugin(), is_of_plugin, "{code}");
        }
    }
}
