//! The file operations of the log, in one place, so that tests can make each of them fail.

use std::fs::File;
use std::io;
use std::path::Path;
#[cfg(test)]
use std::sync::Arc;

use super::error::LogError;
#[cfg(test)]
use crate::disk::trouble::Trouble;
use crate::disk::{Disk, private};

/// How much is zeroed at a time.
const CHUNK: usize = 64 * 1024;
/// How much of that is flushed at a time. A flush of another segment waits for what the disk was given before it.
const FLUSHED: usize = 512 * 1024;

/// The disk that a log is on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Medium {
    #[cfg(test)]
    pub(super) trouble: Arc<Trouble>,
}

impl Medium {
    /// The disk that a store's file is on.
    pub(crate) fn of(disk: &Disk) -> Self {
        #[cfg(not(test))]
        let _ = disk;
        Self {
            #[cfg(test)]
            trouble: Arc::clone(&disk.trouble),
        }
    }

    /// Creates a file of this length. Its blocks are written, not only reserved: a later write to them changes nothing
    /// but their content, which is what makes its flush fast.
    pub(super) fn create(&self, path: &Path, bytes: usize) -> Result<File, LogError> {
        self.fill(path, bytes).inspect_err(|_| {
            // Otherwise it would keep the disk full.
            let _ = std::fs::remove_file(path);
        })
    }

    fn fill(&self, path: &Path, bytes: usize) -> Result<File, LogError> {
        let failed = |error| LogError::io(path, "creating", &error);
        let mut options = File::options();
        let file = private(options.read(true).write(true).create(true).truncate(true)).open(path).map_err(failed)?;
        let zeros = vec![0; CHUNK.min(bytes)];
        let mut done = 0;
        while let Some(left) = bytes.checked_sub(done).filter(|left| *left > 0) {
            let part = zeros.get(..left.min(CHUNK)).unwrap_or(&zeros);
            self.write_at(&file, part, done).map_err(failed)?;
            done = done.saturating_add(part.len());
            if done.is_multiple_of(FLUSHED) && done < bytes {
                file.sync_data().map_err(failed)?;
            }
        }
        self.flush(&file, File::sync_all).map_err(failed)?;
        Ok(file)
    }

    /// Opens a file that exists.
    pub(super) fn open(&self, path: &Path) -> Result<File, LogError> {
        File::options().read(true).write(true).open(path).map_err(|error| LogError::io(path, "opening", &error))
    }

    /// Makes what was written to a file durable.
    pub(super) fn settle(&self, file: &File, path: &Path) -> Result<(), LogError> {
        self.flush(file, File::sync_data).map_err(|error| LogError::io(path, "flushing", &error))
    }

    /// Writes at an offset, and returns when that is durable.
    pub(super) fn write_durably(&self, file: &File, path: &Path, bytes: &[u8], offset: usize) -> Result<(), LogError> {
        self.write_at(file, bytes, offset)
            .and_then(|()| self.flush(file, File::sync_data))
            .map_err(|error| LogError::io(path, "writing", &error))
    }

    /// Writes at an offset, to be flushed by the system at some time.
    pub(super) fn write_at(&self, file: &File, bytes: &[u8], offset: usize) -> io::Result<()> {
        let write = |bytes: &[u8]| crate::disk::write_at(file, bytes, u64::try_from(offset).unwrap_or(u64::MAX));
        #[cfg(test)]
        self.trouble.wrote(file, u64::try_from(offset).unwrap_or(u64::MAX), bytes.len());
        #[cfg(test)]
        return self.trouble.write(bytes, write);
        #[cfg(not(test))]
        write(bytes)
    }

    /// Writes at the beginning of a file that need not survive a power failure. No failure of the disk is simulated.
    pub(super) fn note(&self, file: &File, bytes: &[u8]) -> io::Result<()> {
        crate::disk::write_at(file, bytes, 0)
    }

    fn flush(&self, file: &File, flush: fn(&File) -> io::Result<()>) -> io::Result<()> {
        #[cfg(test)]
        self.trouble.sync().inspect_err(|_| self.trouble.flushed(file, false))?;
        flush(file)?;
        #[cfg(test)]
        self.trouble.flushed(file, true);
        Ok(())
    }

    /// Gives a file a name in the same folder. It is durable after a flush of the folder.
    pub(super) fn rename(&self, from: &Path, to: &Path) -> Result<(), LogError> {
        std::fs::rename(from, to).map_err(|error| LogError::io(to, "renaming to", &error))
    }

    /// Makes the names in a file's folder durable.
    pub(super) fn flush_folder(&self, path: &Path) -> Result<(), LogError> {
        let Some(folder) = path.parent() else { return Ok(()) };
        let flushed = File::open(folder).and_then(|folder| self.flush(&folder, File::sync_all));
        flushed.map_err(|error| LogError::io(folder, "flushing", &error))
    }

    /// Removes a file, if it is there.
    pub(super) fn remove(&self, path: &Path) -> Result<(), LogError> {
        #[cfg(test)]
        self.trouble.remove().map_err(|error| LogError::io(path, "removing", &error))?;
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(LogError::io(path, "removing", &error)),
            _ => Ok(()),
        }
    }

    /// The whole content of a file.
    pub(super) fn read(&self, path: &Path) -> Result<Vec<u8>, LogError> {
        #[cfg(test)]
        self.trouble.read().map_err(|error| LogError::io(path, "reading", &error))?;
        std::fs::read(path).map_err(|error| LogError::io(path, "reading", &error))
    }
}
