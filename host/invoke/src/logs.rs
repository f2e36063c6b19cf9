//! The latest log lines of plugins, which can be followed.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use hookwright_model::{SpaceId, Timestamp};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::Notify;

use crate::plugin_key::PluginKey;

/// How many lines of one plugin in one space are stored.
const MAX_LINES: usize = 1000;

/// How many bytes of lines of one plugin in one space are stored.
const MAX_BYTES: usize = 256 * 1024;

/// A line that a plugin logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// Counts the lines of all plugins since the start.
    pub seq: u64,
    /// When the call began.
    pub at: Timestamp,
    /// The event that it was about.
    pub event: String,
    /// Level, message and fields.
    pub line: String,
}

/// The newest lines of each plugin.
#[derive(Default)]
pub(crate) struct Logs {
    inner: Mutex<Inner>,
    more: Arc<Notify>,
}

#[derive(Default)]
struct Inner {
    next: u64,
    plugins: HashMap<PluginKey, (VecDeque<LogLine>, usize)>,
}

impl Logs {
    /// Adds the lines of one call.
    pub(crate) fn add(&self, space: &SpaceId, name: &str, at: Timestamp, event: &str, lines: &[String]) {
        if lines.is_empty() {
            return;
        }
        let mut inner = self.inner.lock();
        let mut next = inner.next;
        let (kept, bytes) = inner.plugins.entry((space.clone(), name.to_owned())).or_default();
        for line in lines {
            next = next.saturating_add(1);
            *bytes = bytes.saturating_add(line.len());
            kept.push_back(LogLine { seq: next, at, event: event.to_owned(), line: line.clone() });
            while kept.len() > MAX_LINES || *bytes > MAX_BYTES {
                let Some(gone) = kept.pop_front() else { break };
                *bytes = bytes.saturating_sub(gone.line.len());
            }
        }
        inner.next = next;
        drop(inner);
        self.more.notify_waiters();
    }

    /// Lines after `after`, the oldest first; the newest `limit` lines without `after`.
    pub(crate) fn after(&self, space: &SpaceId, name: &str, after: Option<u64>, limit: usize) -> Vec<LogLine> {
        let inner = self.inner.lock();
        let Some((kept, _)) = inner.plugins.get(&(space.clone(), name.to_owned())) else { return Vec::new() };
        match after {
            Some(after) => kept.iter().filter(|line| line.seq > after).take(limit).cloned().collect(),
            None => kept.iter().skip(kept.len().saturating_sub(limit)).cloned().collect(),
        }
    }

    /// The signal of new lines.
    pub(crate) fn signal(&self) -> Arc<Notify> {
        Arc::clone(&self.more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_lines_are_kept_and_can_be_followed() {
        let logs = Logs::default();
        let (main, now) = (SpaceId::main(), Timestamp::default());
        for count in 0..MAX_LINES + 10 {
            logs.add(&main, "p", now, "evt", &[format!("info {count}")]);
        }
        let newest = logs.after(&main, "p", None, 2);
        assert_eq!(newest.iter().map(|line| line.line.as_str()).collect::<Vec<_>>(), ["info 1008", "info 1009"]);
        assert_eq!(logs.after(&main, "p", Some(newest[0].seq), 10).len(), 1);
        assert_eq!(logs.after(&main, "p", Some(0), 5000).len(), MAX_LINES);
        assert!(logs.after(&main, "q", None, 10).is_empty());
        logs.add(&main, "p", now, "evt", &["x".repeat(MAX_BYTES)]);
        assert_eq!(logs.after(&main, "p", None, 10).len(), 1, "the bytes are bounded too");
    }
}
