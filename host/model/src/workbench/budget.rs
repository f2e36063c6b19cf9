//! The budget of one step: how much it may change and read.

use crate::Failure;

/// How many changes one step may make by default.
const MAX_CHANGES: usize = 1000;
/// How many bytes the changes of one step, and their events, may have by default.
const MAX_CHANGED: usize = 16 * 1024 * 1024;
/// How many bytes of records, notes and values one step may read by default.
const MAX_READ: usize = 32 * 1024 * 1024;
/// The overhead of a change besides its own bytes: its row, its history entry, its envelope.
const EACH_CHANGE: usize = 512;

/// What a step may change, and what it has changed.
pub(super) struct ChangeBudget {
    /// Maximum number of changes.
    most: usize,
    bytes: usize,
    most_bytes: usize,
}

impl Default for ChangeBudget {
    fn default() -> Self {
        Self { most: MAX_CHANGES, bytes: 0, most_bytes: MAX_CHANGED }
    }
}

impl ChangeBudget {
    /// Allows at most `most` changes of at most `most_bytes` bytes.
    pub(super) fn limit(&mut self, most: usize, most_bytes: usize) {
        self.most = most;
        self.most_bytes = most_bytes;
    }

    /// Bytes of the changes so far.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Refuses one more change if `made` has reached the maximum.
    pub(super) fn room(&self, made: usize) -> Result<(), Failure> {
        if made < self.most {
            Ok(())
        } else {
            let message = format!("one step makes at most {} changes: split the work over several", self.most);
            Err(Failure::permanent("effects.too_many", message))
        }
    }

    /// Counts the bytes of a change. Refuses it if they exceed the budget.
    pub(super) fn charge(&mut self, bytes: usize) -> Result<(), Failure> {
        self.charge_instead(0, bytes).map(|_| ())
    }

    /// The same for a change that replaces one of `before` bytes. Returns its size, as it is counted.
    pub(super) fn charge_instead(&mut self, before: usize, bytes: usize) -> Result<usize, Failure> {
        let charged = bytes.saturating_add(EACH_CHANGE);
        let bytes = self.bytes.saturating_sub(before).saturating_add(charged);
        if bytes > self.most_bytes {
            let message = format!(
                "the changes of this call would take {bytes} bytes with their events: at most {} (limit \
                 effects_bytes); do less in one call, or split the work over several steps",
                self.most_bytes
            );
            return Err(Failure::permanent("effects.too_large", message));
        }
        self.bytes = bytes;
        Ok(charged)
    }
}

/// What a step may read, and what it has read.
pub(super) struct ReadBudget {
    bytes: usize,
    most: usize,
}

impl Default for ReadBudget {
    fn default() -> Self {
        Self { bytes: 0, most: MAX_READ }
    }
}

impl ReadBudget {
    /// Allows at most `most` bytes.
    pub(super) fn limit(&mut self, most: usize) {
        self.most = most;
    }

    /// Bytes that were read so far.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Counts bytes that were read. Refuses them if they exceed the budget.
    pub(super) fn count(&mut self, bytes: usize) -> Result<(), Failure> {
        let bytes = self.bytes.saturating_add(bytes);
        if bytes > self.most {
            let message = format!(
                "this call would hold {bytes} bytes of what it has read: at most {} (limit read_bytes); read less in one \
                 call, or split the work over several steps",
                self.most
            );
            return Err(Failure::permanent("reads.too_large", message));
        }
        self.bytes = bytes;
        Ok(())
    }
}
