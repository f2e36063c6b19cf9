//! The first block of the file. The known parts of redb's format (version 3) are a byte whose first bit selects which
//! of two slots of 128 bytes holds the present commit, and the number of the commit in each slot.

use std::fs::File;

use redb::{DatabaseError, StorageError};

use super::sums::BLOCK;

/// The offset of the byte that selects the slot.
const FLAGS: usize = 9;
/// The bit in that byte that is set while the file is open.
const NOT_CLOSED: u8 = 2;
/// The offset of the commit's number in each slot.
const NUMBERS: [usize; 2] = [64 + 104, 64 + 128 + 104];
/// The number of bytes of the block that redb uses.
const LENGTH: usize = 320;

/// The block as it was last written, and as it was when a commit was last acknowledged.
#[derive(Debug)]
pub(crate) struct Header {
    block: Vec<u8>,
    acknowledged: Option<Vec<u8>>,
}

impl Default for Header {
    fn default() -> Self {
        Self { block: vec![0; usize::try_from(BLOCK).unwrap_or(4096)], acknowledged: None }
    }
}

impl Header {
    /// Reads the block from the file. A new file is empty.
    pub(super) fn load(&mut self, file: &File) -> Result<(), DatabaseError> {
        let failed = |error| DatabaseError::Storage(StorageError::Io(error));
        self.block.fill(0);
        if file.metadata().map_err(failed)?.len() >= BLOCK {
            super::file::read_at(file, &mut self.block, 0).map_err(failed)?;
        }
        Ok(())
    }

    pub(super) fn written(&mut self, offset: u64, data: &[u8]) {
        let Ok(offset) = usize::try_from(offset) else { return };
        for (byte, new) in self.block.iter_mut().skip(offset).zip(data) {
            *byte = *new;
        }
    }

    pub(super) fn block(&self) -> &[u8] {
        &self.block
    }

    /// Stores the present header as acknowledged; returns the number of its commit if it is a new one.
    pub(super) fn acknowledge(&mut self) -> Option<u64> {
        let before = self.acknowledged.as_deref().and_then(commit_of);
        let now = self.block.get(..LENGTH)?.to_vec();
        let commit = commit_of(&now);
        self.acknowledged = Some(now);
        commit.filter(|commit| before != Some(*commit))
    }

    pub(super) fn acknowledged(&self) -> Option<Vec<u8>> {
        self.acknowledged.clone()
    }

    pub(super) fn closed_well(&self) -> bool {
        self.block.get(FLAGS).is_some_and(|flags| flags & NOT_CLOSED == 0)
    }

    pub(super) fn commit(&self) -> Option<u64> {
        commit_of(&self.block)
    }
}

/// The number of the commit that a header names as the present one.
pub(crate) fn commit_of(header: &[u8]) -> Option<u64> {
    let slot = usize::from(header.get(FLAGS)? & 1);
    let (number, _) = header.get(*NUMBERS.get(slot)?..)?.split_first_chunk::<8>()?;
    Some(u64::from_le_bytes(*number))
}
