//! The log in files, which is the default: a folder with a folder for each partition.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use super::entry::{Entry, Partition, Position};
use super::error::LogError;
use super::medium::Medium;
use super::partition::PartitionLog;
use super::{Appended, Extent, Log};
use crate::disk::private;

/// Options of a log in files.
#[derive(Clone, Debug)]
pub struct FileLogOptions {
    /// The folder, which is created if it does not exist.
    pub folder: PathBuf,
    /// The length of a segment, in bytes. The first ones are shorter, and one for a larger entry is longer.
    pub segment_bytes: usize,
}

impl FileLogOptions {
    /// The defaults: segments of 16 MiB.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), segment_bytes: 16 * 1024 * 1024 }
    }
}

/// A log in files.
#[derive(Debug)]
pub struct FileLog {
    options: FileLogOptions,
    medium: Medium,
    partitions: Mutex<BTreeMap<Partition, Arc<PartitionLog>>>,
    /// Locked while the log is open.
    _lock: File,
}

impl FileLog {
    /// Opens the log in a folder. A torn last entry, which nobody was told is stored, is cut off.
    ///
    /// # Errors
    /// It is in use, of a later version, or damaged, or the disk failed.
    pub fn open(options: FileLogOptions) -> Result<Self, LogError> {
        Self::open_on(Medium::default(), options)
    }

    pub(super) fn open_on(medium: Medium, options: FileLogOptions) -> Result<Self, LogError> {
        let folder = &options.folder;
        std::fs::create_dir_all(folder).map_err(|error| LogError::io(folder, "creating", &error))?;
        medium.flush_folder(folder)?;
        let lock = folder.join("lock");
        let failed = |error: std::io::Error| LogError::io(&lock, "opening", &error);
        let mut open = File::options();
        let file = private(open.write(true).create(true).truncate(false)).open(&lock).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LogError::InUse(folder.display().to_string())),
            Err(TryLockError::Error(error)) => return Err(LogError::io(&lock, "locking", &error)),
        }
        let failed = |error: std::io::Error| LogError::io(folder, "listing", &error);
        let mut partitions = BTreeMap::new();
        for found in std::fs::read_dir(folder).map_err(failed)? {
            let found = found.map_err(failed)?;
            if let Some(number) = found.file_name().to_str().and_then(number_of) {
                let partition = PartitionLog::open(number, found.path(), options.segment_bytes, medium.clone())?;
                partitions.insert(number, Arc::new(partition));
            }
        }
        Ok(Self { options, medium, partitions: Mutex::new(partitions), _lock: file })
    }

    fn partition(&self, number: Partition) -> Option<Arc<PartitionLog>> {
        self.partitions.lock().get(&number).cloned()
    }

    /// The same, for an entry of it.
    fn partition_or_new(&self, number: Partition) -> Result<Arc<PartitionLog>, LogError> {
        let mut partitions = self.partitions.lock();
        if let Some(partition) = partitions.get(&number) {
            return Ok(Arc::clone(partition));
        }
        let folder = self.options.folder.join(name_of(number));
        let partition = Arc::new(PartitionLog::open(number, folder, self.options.segment_bytes, self.medium.clone())?);
        partitions.insert(number, Arc::clone(&partition));
        Ok(partition)
    }

    /// Does something with every partition.
    fn each(&self, act: impl Fn(&PartitionLog) -> Result<(), LogError>) -> Result<(), LogError> {
        let partitions: Vec<_> = self.partitions.lock().values().cloned().collect();
        partitions.iter().try_for_each(|partition| act(partition))
    }
}

impl Log for FileLog {
    fn extent(&self, partition: Partition) -> Result<Extent, LogError> {
        Ok(self.partition(partition).map_or(Extent::EMPTY, |partition| partition.extent()))
    }

    fn append(&self, entry: &Entry) -> Result<Appended, LogError> {
        self.partition_or_new(entry.partition)?.append(entry)
    }

    fn read(&self, partition: Partition, from: Position, bytes: usize) -> Result<Vec<Entry>, LogError> {
        self.partition(partition).map_or(Ok(Vec::new()), |partition| partition.read(from, bytes))
    }

    fn trim(&self, partition: Partition, to: Position) -> Result<(), LogError> {
        self.partition(partition).map_or(Ok(()), |partition| partition.trim(to))
    }

    fn recover(&self) -> Result<(), LogError> {
        self.each(PartitionLog::recover)
    }

    fn prepare(&self) -> Result<(), LogError> {
        self.each(PartitionLog::prepare)
    }
}

/// The name of a partition's folder.
fn name_of(number: Partition) -> String {
    format!("p{number:05}")
}

/// The partition, by the name of its folder.
fn number_of(name: &str) -> Option<Partition> {
    let number = name.strip_prefix('p')?.parse().ok()?;
    (name_of(number) == name).then_some(number)
}

#[cfg(test)]
mod tests;
