//! Checks whether a store's file is intact, without changing it.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::{Database, DatabaseError, ReadableDatabase as _, ReadableTableMetadata as _, TableHandle as _};

use crate::applied::{Applied, ReplayError, replay};
use crate::disk::{BLOCK, Found, Overlay};
use crate::engine::LOG_FOLDER;
use crate::guarded::guarded;
use crate::log::{FileLog, FileLogOptions, LogError};
use crate::opening::load_sums;
use crate::{OpenError, StoreError};

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The file's length in bytes.
    pub bytes: u64,
    /// Whether the server that used it was shut down cleanly.
    pub closed: bool,
    /// The offsets of damaged blocks of 4 KiB, in bytes.
    pub damaged: Vec<u64>,
    /// Why the file cannot be used, if it cannot.
    pub problem: Option<String>,
    /// Each table with its number of rows.
    pub tables: Vec<(String, u64)>,
}

impl Checked {
    /// Whether there is no damage.
    pub fn intact(&self) -> bool {
        self.damaged.is_empty() && self.problem.is_none()
    }
}

/// Reads the whole file of a store that no server has open, and its log, and compares them with their checksums. What the
/// log has and the file lacks is counted.
///
/// # Errors
/// The file or its log is missing or in use, or it or its checksums cannot be read.
pub fn check(path: &Path) -> Result<Checked, OpenError> {
    let shown = path.display().to_string();
    let failed = |error: std::io::Error| OpenError::Io { path: shown.clone(), reason: error.to_string() };
    // Opened here, so that a file that may not be read is not taken for a damaged one.
    let bytes = File::open(path).and_then(|file| file.metadata()).map_err(failed)?.len();
    let (sums, found) = load_sums(path)?;
    // The locks show whether a server has it open, before what that server writes is mistaken for damage.
    let folder = path.with_file_name(LOG_FOLDER);
    let log = if folder.exists() { Some(FileLog::open(FileLogOptions::new(&folder))) } else { None };
    let log = match log.transpose() {
        Err(LogError::InUse(path)) => return Err(OpenError::InUse(path)),
        log => log,
    };
    let mut seen = match guarded(|| look(path)) {
        Ok(Ok(seen)) => seen,
        Ok(Err(DatabaseError::DatabaseAlreadyOpen)) => return Err(OpenError::InUse(shown)),
        Ok(Err(error)) => Seen { problem: Some(error.to_string()), ..Seen::default() },
        Err(reason) => Seen { problem: Some(reason), ..Seen::default() },
    };
    let mut closed = false;
    match (&log, &seen.db) {
        (Err(error), _) => seen.problem = seen.problem.or_else(|| Some(error.to_string())),
        (Ok(log), Some(db)) => match guarded(|| behind(db, log.as_ref())) {
            // A store of an earlier version has no log; it had valid checksums beside it if it was closed.
            Ok(Ok(applied)) => closed = applied.closed || (applied == Applied::NOTHING && found == Found::Checksums),
            Ok(Err(error)) => seen.problem = seen.problem.or_else(|| Some(error.to_string())),
            Err(reason) => seen.problem = seen.problem.or(Some(reason)),
        },
        (Ok(_), None) => {}
    }
    let tables = match seen.db.as_ref().map(|db| guarded(|| rows(db))) {
        None => Vec::new(),
        Some(Ok(Ok(tables))) => tables,
        Some(Ok(Err(error))) => {
            seen.problem = seen.problem.or_else(|| Some(error.to_string()));
            Vec::new()
        }
        Some(Err(reason)) => {
            seen.problem = seen.problem.or(Some(reason));
            Vec::new()
        }
    };
    let damaged = if found == Found::Checksums { sums.compare(path).map_err(failed)? } else { Vec::new() };
    let damaged = damaged.into_iter().map(|block| block.saturating_mul(BLOCK)).collect();
    Ok(Checked { bytes, closed, damaged, problem: seen.problem, tables })
}

#[derive(Default)]
struct Seen {
    problem: Option<String>,
    db: Option<Database>,
}

fn look(path: &Path) -> Result<Seen, DatabaseError> {
    let repaired = Arc::new(AtomicBool::new(false));
    let repairing = Arc::clone(&repaired);
    let mut db = Database::builder()
        .set_repair_callback(move |_| repairing.store(true, Ordering::Relaxed))
        .create_with_backend(Overlay::open(path)?)?;
    // If it had to be repaired, opening it has verified all of it.
    let intact = repaired.load(Ordering::Relaxed) || db.check_integrity()?;
    Ok(Seen { problem: (!intact).then(|| "the last commit is not intact".to_owned()), db: Some(db) })
}

/// Replays the log, and returns up to where.
fn behind(db: &Database, log: Option<&FileLog>) -> Result<Applied, ReplayError> {
    match log {
        Some(log) => replay(db, log, |_| Ok(())),
        None => Applied::read(db)?.without_log(),
    }
}

fn rows(db: &Database) -> Result<Vec<(String, u64)>, StoreError> {
    let read = db.begin_read()?;
    let mut tables = Vec::new();
    for handle in read.list_tables()? {
        let name = handle.name().to_owned();
        tables.push((name, read.open_untyped_table(handle)?.len()?));
    }
    tables.sort();
    Ok(tables)
}
