//! Admission control of the writer's queue (back-pressure). The two lines of the inbox limit the number of operations;
//! this limits their bytes. An operation is refused before it is held in memory, so a flood of large requests takes no
//! more memory than a flood of small ones. No space may use more than half of the capacity, so a flood in one space
//! leaves capacity for the others.

use std::collections::HashMap;
use std::sync::Arc;

use hookwright_model::SpaceId;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::StoreError;

/// The maximum number of bytes that wait.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// The unit in which bytes are counted.
const UNIT: usize = 1024;
const UNITS: usize = MAX_BYTES / UNIT;

/// The operations that wait for the writer.
pub(crate) struct Admission {
    room: Arc<Semaphore>,
    /// The waiting operations of each space that came from outside.
    spaces: Mutex<HashMap<SpaceId, Waiting>>,
    operations_of_space: usize,
}

#[derive(Clone, Copy, Default)]
struct Waiting {
    operations: usize,
    units: usize,
}

/// The capacity that an operation holds until it is committed.
pub(crate) struct Admitted {
    _room: OwnedSemaphorePermit,
    _share: Option<Share>,
}

struct Share {
    admission: Arc<Admission>,
    space: SpaceId,
    units: usize,
}

impl Admission {
    /// For a queue of `operations` operations.
    pub(crate) fn new(operations: usize) -> Arc<Self> {
        Arc::new(Self {
            room: Arc::new(Semaphore::new(UNITS)),
            spaces: Mutex::default(),
            operations_of_space: (operations / 2).max(1),
        })
    }

    /// Waits for capacity for an internal operation: the number of those in progress is bounded already.
    pub(crate) async fn wait(&self, bytes: usize) -> Result<Admitted, StoreError> {
        let room = Arc::clone(&self.room).acquire_many_owned(permits(bytes)).await;
        Ok(Admitted { _room: room.map_err(|_| StoreError::Closed)?, _share: None })
    }

    /// Capacity for an operation that comes from outside, or a refusal.
    pub(crate) fn now(self: &Arc<Self>, space: &SpaceId, bytes: usize) -> Result<Admitted, StoreError> {
        let share = self.share(space, units(bytes))?;
        let room = Arc::clone(&self.room).try_acquire_many_owned(permits(bytes));
        Ok(Admitted { _room: room.map_err(|_| StoreError::Busy)?, _share: Some(share) })
    }

    fn share(self: &Arc<Self>, space: &SpaceId, units: usize) -> Result<Share, StoreError> {
        let mut spaces = self.spaces.lock();
        let waiting = spaces.get(space).copied().unwrap_or_default();
        let after =
            Waiting { operations: waiting.operations.saturating_add(1), units: waiting.units.saturating_add(units) };
        // An operation that is larger than the space's share is admitted when nothing else of the space waits.
        let fits = after.operations <= self.operations_of_space && (after.units <= UNITS / 2 || waiting.units == 0);
        if !fits {
            return Err(StoreError::Busy);
        }
        spaces.insert(space.clone(), after);
        Ok(Share { admission: Arc::clone(self), space: space.clone(), units })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut spaces = self.admission.spaces.lock();
        let Some(waiting) = spaces.get_mut(&self.space) else { return };
        waiting.operations = waiting.operations.saturating_sub(1);
        waiting.units = waiting.units.saturating_sub(self.units);
        if waiting.operations == 0 {
            spaces.remove(&self.space);
        }
    }
}

/// The units of an operation with this many bytes; at most the whole capacity.
fn units(bytes: usize) -> usize {
    (bytes / UNIT).saturating_add(1).min(UNITS)
}

fn permits(bytes: usize) -> u32 {
    u32::try_from(units(bytes)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_flood_of_one_space_leaves_half_of_the_room_to_the_others() {
        let admission = Admission::new(8);
        let (flood, quiet): (SpaceId, SpaceId) = ("flood".parse().unwrap(), "quiet".parse().unwrap());
        let mut admitted: Vec<Admitted> = (0..4).map(|_| admission.now(&flood, 10).unwrap()).collect();
        assert_eq!(admission.now(&flood, 10).err(), Some(StoreError::Busy), "a fifth of eight operations");
        assert!(admission.now(&quiet, 10).is_ok());
        admitted.pop();
        assert!(admission.now(&flood, 10).is_ok(), "a commit releases capacity");
        drop(admitted);

        let large = admission.now(&flood, MAX_BYTES / 2).unwrap();
        assert_eq!(admission.now(&flood, UNIT).err(), Some(StoreError::Busy), "more than half of the bytes");
        let rest = admission.now(&quiet, MAX_BYTES / 4).unwrap();
        assert!(admission.wait(MAX_BYTES / 8).await.is_ok());
        drop((large, rest));
        assert!(admission.now(&flood, MAX_BYTES * 2).is_ok(), "what is larger than everything has a turn, alone");
        assert!(admission.spaces.lock().is_empty());
    }
}
