//! Opens the store's file: examines what is there, and verifies it as far as its checksums are not known.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Database, DatabaseError, Durability, StorageError};

use crate::applied::{Applied, ReplayError};
use crate::disk::{Disk, DiskFailure, Found, Sums, wrong_block};
use crate::guarded::guarded;
use crate::log::{FileLog, FileLogOptions, LogError};
use crate::{OpenError, StoreError, index, tables};

/// The state of a file before it is opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    /// Its checksums are known; otherwise redb verifies its own.
    pub(crate) checksums: bool,
    /// The file does not exist yet.
    pub(crate) new: bool,
}

/// Reads the checksums beside the store at `path`, and what they say about it.
pub(crate) fn load_sums(path: &Path) -> Result<(Sums, Found), OpenError> {
    Sums::load(path).map_err(|error| {
        let sums = Sums::beside(path);
        OpenError::Io { path: sums.display().to_string(), reason: error.to_string() }
    })
}

/// Makes what was written to the file and its checksums durable, before anything is built on it: what is read may be in
/// memory only.
pub(crate) fn settle_files(path: &Path) -> Result<(), OpenError> {
    for path in [path.to_owned(), Sums::beside(path)] {
        match File::open(&path).and_then(|file| file.sync_all()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed_at(&path, &error)),
            _ => {}
        }
    }
    Ok(())
}

fn failed_at(path: &Path, error: &std::io::Error) -> OpenError {
    OpenError::Io { path: path.display().to_string(), reason: error.to_string() }
}

/// The creation of a store, in which nothing is acknowledged. A file beside it says that it is in progress, so that one that
/// was interrupted is not taken for a store that was damaged.
pub(crate) struct Creation {
    store: PathBuf,
    marker: PathBuf,
}

impl Creation {
    pub(crate) fn of(store: &Path) -> Self {
        let mut marker = store.as_os_str().to_owned();
        marker.push(".new");
        Self { store: store.to_owned(), marker: marker.into() }
    }

    /// Removes what an interrupted creation has left. Another server may be creating the store right now: it has the log, in
    /// `log_folder`, open.
    pub(crate) fn undo(&self, log_folder: &Path) -> Result<(), OpenError> {
        if !self.marker.exists() {
            return Ok(());
        }
        let log = FileLog::open(FileLogOptions::new(log_folder));
        let _held = log.map_err(|error| refused_log(log_folder, error))?;
        tracing::info!(store = %self.store.display(), "the creation of the store was interrupted; it begins anew");
        for path in [&self.store, &Sums::beside(&self.store), &self.marker] {
            remove(path)?;
        }
        self.flush_folder()
    }

    pub(crate) fn begin(&self) -> Result<(), OpenError> {
        File::create(&self.marker).map_err(|error| failed_at(&self.marker, &error))?;
        self.flush_folder()
    }

    pub(crate) fn end(&self) -> Result<(), OpenError> {
        if self.marker.exists() {
            remove(&self.marker)?;
        }
        self.flush_folder()
    }

    fn flush_folder(&self) -> Result<(), OpenError> {
        let folder = self.store.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| failed_at(folder, &error))
    }
}

fn remove(path: &Path) -> Result<(), OpenError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed_at(path, &error)),
        _ => Ok(()),
    }
}

/// Examines the path of the store. `logged`: there is a commit log beside it that is not empty, at this path.
pub(crate) fn examine(path: &Path, found: Found, sums: &Sums, logged: Option<&Path>) -> Result<Known, OpenError> {
    let shown = path.display().to_string();
    let failed = |error: std::io::Error| OpenError::Io { path: shown.clone(), reason: error.to_string() };
    let length = match std::fs::metadata(path) {
        Ok(metadata) => Some(metadata.len()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed(error)),
    };
    let beside = Sums::beside(path);
    let secret = path.with_file_name("secret.key");
    let witness = if found != Found::Nothing {
        Some(beside.clone())
    } else if let Some(log) = logged {
        Some(log.to_owned())
    } else {
        // A key without a store may have been provided for a new store, but an empty file is not created for one.
        (length == Some(0) && secret.exists()).then_some(secret)
    };
    if length.unwrap_or(0) == 0 {
        return match witness {
            Some(witness) => Err(OpenError::Emptied { path: shown, witness: witness.display().to_string() }),
            None => Ok(Known { checksums: true, new: true }),
        };
    }
    if found == Found::Checksums && !sums.fits(path).map_err(failed)? {
        return Err(OpenError::Mismatch { path: shown, sums: beside.display().to_string() });
    }
    if let Some(block) = sums.still_damaged(path).map_err(failed)? {
        return Err(damaged(path, &wrong_block(block)));
    }
    Ok(Known { checksums: found == Found::Checksums, new: false })
}

/// Opens the file with redb. Nothing of it is changed on the disk before [`Disk::start`].
pub(crate) fn open_file(
    path: &Path,
    disk: &Arc<Disk>,
    cache_bytes: usize,
    known: Known,
) -> Result<Database, OpenError> {
    let shown = path.display().to_string();
    let refused = |error: DatabaseError| match (error, disk.failure()) {
        (DatabaseError::DatabaseAlreadyOpen, _) => OpenError::InUse(shown.clone()),
        (_, Some(DiskFailure::Full(reason) | DiskFailure::Io(reason))) => OpenError::Io { path: shown.clone(), reason },
        (DatabaseError::Storage(StorageError::Io(error)), _) if error.kind() != std::io::ErrorKind::InvalidData => {
            OpenError::Io { path: shown.clone(), reason: error.to_string() }
        }
        // The error of redb for a file that is not a redb file.
        (error @ DatabaseError::Storage(StorageError::Io(_)), None) if !known.checksums => {
            OpenError::Unreadable { path: shown.clone(), reason: error.to_string() }
        }
        (error, _) => damaged(path, &error.to_string()),
    };
    let backend = disk.backend(known.new).map_err(&refused)?;
    let opened = guarded(|| -> Result<Database, OpenError> {
        let mut db = Database::builder().set_cache_size(cache_bytes).create_with_backend(backend).map_err(&refused)?;
        if !known.checksums {
            tracing::info!(file = shown, "the whole file is read once, since its checksums are not known");
            if !db.check_integrity().map_err(&refused)? {
                return Err(damaged(path, "its last commit is not intact"));
            }
        }
        Ok(db)
    });
    let result = match opened {
        Ok(result) => result,
        Err(reason) => Err(damaged(path, &reason)),
    };
    if result.is_err() {
        disk.end();
    }
    result
}

pub(crate) fn damaged(path: &Path, reason: &str) -> OpenError {
    OpenError::Damaged { path: path.display().to_string(), reason: reason.to_owned() }
}

/// Creates every table, and the index of records.
pub(crate) fn create(db: &Database) -> Result<(), redb::Error> {
    let transaction = db.begin_write()?;
    tables::create(&transaction)?;
    index::index_records(&transaction)?;
    transaction.commit()?;
    Ok(())
}

/// Commits durably that the database has this much of the log.
pub(crate) fn checkpoint(db: &Database, has: &Applied) -> Result<(), StoreError> {
    let mut transaction = db.begin_write()?;
    transaction
        .set_durability(Durability::Immediate)
        .map_err(|error| StoreError::Storage(format!("durability: {error}")))?;
    // So that the file need not be read as a whole after a crash.
    transaction.set_quick_repair(true);
    has.write(&transaction)?;
    transaction.commit()?;
    Ok(())
}

/// The reason why the log cannot be opened.
pub(crate) fn refused_log(folder: &Path, error: LogError) -> OpenError {
    let path = folder.display().to_string();
    match error {
        LogError::InUse(path) => OpenError::InUse(path),
        LogError::Newer { path, found, known } => OpenError::Newer { path, found: found.to_string(), known },
        LogError::Damaged { path, offset, reason } => {
            OpenError::Damaged { path, reason: format!("at byte {offset}: {reason}") }
        }
        LogError::Full(reason) | LogError::Io(reason) | LogError::Failed(reason) => OpenError::Io { path, reason },
        error => OpenError::Damaged { path, reason: error.to_string() },
    }
}

/// The reason why the log cannot be replayed.
pub(crate) fn refused_replay(store: &Path, folder: &Path, error: ReplayError) -> OpenError {
    match error {
        ReplayError::Log(error) => refused_log(folder, error),
        ReplayError::Store(error) => {
            OpenError::Unreadable { path: store.display().to_string(), reason: error.to_string() }
        }
        error => OpenError::Apart {
            path: store.display().to_string(),
            folder: folder.display().to_string(),
            reason: error.to_string(),
        },
    }
}
