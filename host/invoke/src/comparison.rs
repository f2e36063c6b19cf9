//! How the results of two versions of a plugin differ.

use hookwright_model::{Kind, Timestamp};
use serde::Serialize;
use serde_json::Value;

use crate::recording::Recording;
use crate::result_diff::{Part, differences};

/// The number of calls by result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All calls that were compared.
    pub calls: u64,
    /// Both versions gave the same result.
    pub same: u64,
    /// The versions gave different results, without those in `failed`.
    pub different: u64,
    /// The candidate failed where the version in use did not.
    pub failed: u64,
    /// The call cannot be repeated.
    pub not_comparable: u64,
}

/// A call for which two versions gave different results.
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
    /// The call's place in the automation: `when.all[0]`, the name of a step, or the webhook.
    pub place: String,
    /// The kind of plugin that was called.
    pub kind: Kind,
    /// When it was called.
    pub at: Timestamp,
    /// Whether the candidate failed where the version in use did not.
    pub failed: bool,
    /// Where the results differ, at most 20 places.
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

/// The comparison of one call.
pub enum Compared {
    /// Both results are the same.
    Same,
    /// They differ.
    Different(Difference),
    /// The call cannot be compared, with the reason.
    NotComparable(&'static str),
}

/// Compares two results.
pub fn compare_results(recording: &Recording, live: &Value, candidate: &Value, reasons: bool) -> Compared {
    let parts = differences(live, candidate, reasons);
    if parts.is_empty() {
        return Compared::Same;
    }
    let failed = |result: &Value| result.get("outcome").and_then(Value::as_str) == Some("failed");
    Compared::Different(Difference::new(recording, failed(candidate) && !failed(live), parts))
}
