//! The history of events: stories, explanations, dry runs, replays and comparisons of plugin versions.

pub(crate) mod closeness;
pub(crate) mod delivery_story;
pub(crate) mod explain;
pub(crate) mod not_sent;
pub(crate) mod rehearsal;
pub(crate) mod replay;
pub(crate) mod rerun;
pub(crate) mod shadows;
pub(crate) mod story;
pub(crate) mod version_comparison;
