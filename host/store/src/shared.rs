//! What the writer shares with the readers, in memory.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use hookwright_model::SpaceId;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use crate::ready::Ready;
use crate::recent::Recent;

/// State that the writer shares with the readers.
#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) spaces: RwLock<HashMap<SpaceId, u32>>,
    pub(crate) ready: Ready,
    pub(crate) recent: Recent,
    pub(crate) work: Arc<Notify>,
    pub(crate) due: Arc<Notify>,
    /// Queues, by space and webhook, that received a row since they were last taken.
    pub(crate) touched: Mutex<HashSet<(u32, u64)>>,
    pub(crate) queued: Arc<Notify>,
}

impl Shared {
    pub(crate) fn number(&self, space: &SpaceId) -> Option<u32> {
        self.spaces.read().get(space).copied()
    }

    pub(crate) fn space(&self, number: u32) -> Option<SpaceId> {
        let spaces = self.spaces.read();
        spaces.iter().find(|(_, other)| **other == number).map(|(space, _)| space.clone())
    }

    /// Every space by its number, for callers with many lookups.
    pub(crate) fn names(&self) -> HashMap<u32, SpaceId> {
        let spaces = self.spaces.read();
        spaces.iter().map(|(space, number)| (*number, space.clone())).collect()
    }
}
