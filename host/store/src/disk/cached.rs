//! Which bytes of files are on the disk, and which only in memory, for tests. As on Linux: a flush writes the pages that were
//! changed since they were last written, and a flush that fails takes them for written all the same.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

const PAGE: u64 = 4096;

/// Files by their number, so that a new name does not matter.
#[derive(Debug, Default)]
pub(super) struct Cached {
    /// The content on the disk,
    disk: HashMap<u64, Vec<u8>>,
    /// and the pages that the next flush writes.
    changed: HashMap<u64, BTreeSet<u64>>,
}

impl Cached {
    /// Everything in the folder is on the disk.
    pub(super) fn of(folder: &Path) -> Self {
        let disk = files(folder).into_iter().map(|path| {
            let number = std::fs::metadata(&path).unwrap().ino();
            (number, std::fs::read(path).unwrap())
        });
        Self { disk: disk.collect(), changed: HashMap::new() }
    }

    pub(super) fn wrote(&mut self, file: &File, offset: u64, bytes: usize) {
        let end = offset + u64::try_from(bytes).unwrap();
        let changed = self.changed.entry(file.metadata().unwrap().ino()).or_default();
        changed.extend(offset / PAGE..end.div_ceil(PAGE));
    }

    /// A flush of the file has ended, successfully or not.
    pub(super) fn flushed(&mut self, file: &File, done: bool) {
        let found = file.metadata().unwrap();
        let changed = self.changed.remove(&found.ino()).unwrap_or_default();
        if !done || found.is_dir() {
            return;
        }
        let disk = self.disk.entry(found.ino()).or_default();
        disk.resize(usize::try_from(found.len()).unwrap(), 0);
        for page in changed {
            let from = usize::try_from(page * PAGE).unwrap();
            let to = disk.len().min(from + usize::try_from(PAGE).unwrap());
            file.read_exact_at(&mut disk[from..to], page * PAGE).unwrap();
        }
    }

    /// Only what is on the disk is left.
    pub(super) fn lose(self, folder: &Path) {
        for path in files(folder) {
            if let Some(content) = self.disk.get(&std::fs::metadata(&path).unwrap().ino()) {
                std::fs::write(path, content).unwrap();
            }
        }
    }
}

/// The files in a folder, and in those in it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let found = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    found.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
