//! Checks whether a store's file is intact, without changing it.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::{Database, DatabaseError, ReadableDatabase as _, ReadableTableMetadata as _, TableHandle as _};

use crate::disk::{BLOCK, Found, Overlay, commit_of};
use crate::engine::{guarded, load_sums};
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

/// Reads the whole file of a store that no server has open, and compares every page with its checksums.
///
/// # Errors
/// The file is missing or in use, or it or its checksums cannot be read.
pub fn check(path: &Path) -> Result<Checked, OpenError> {
    let shown = path.display().to_string();
    let failed = |error: std::io::Error| OpenError::Io { path: shown.clone(), reason: error.to_string() };
    // Opened here, so that a file that may not be read is not taken for a damaged one.
    let bytes = File::open(path).and_then(|file| file.metadata()).map_err(failed)?.len();
    let (sums, found) = load_sums(path)?;
    let closed = matches!(found, Found::Closed(_));
    // The lock shows whether a server has it open, before that server's half-written blocks are mistaken for damage.
    let opened = guarded(|| look(path, found));
    let (problem, tables) = match opened {
        Ok(Ok((problem, tables))) => (problem, tables),
        Ok(Err(DatabaseError::DatabaseAlreadyOpen)) => return Err(OpenError::InUse(shown)),
        Ok(Err(error)) => (Some(error.to_string()), Vec::new()),
        Err(reason) => (Some(reason), Vec::new()),
    };
    let damaged = if closed { sums.compare(path).map_err(failed)? } else { Vec::new() };
    let damaged = damaged.into_iter().map(|block| block.saturating_mul(BLOCK)).collect();
    Ok(Checked { bytes, closed, damaged, problem, tables })
}

type Seen = (Option<String>, Vec<(String, u64)>);

fn look(path: &Path, found: Found) -> Result<Seen, DatabaseError> {
    let repaired = Arc::new(AtomicBool::new(false));
    let repairing = Arc::clone(&repaired);
    let overlay = Overlay::open(path)?;
    let mut db = Database::builder()
        .set_repair_callback(move |_| repairing.store(true, Ordering::Relaxed))
        .create_with_backend(overlay.clone())?;
    let repaired = repaired.load(Ordering::Relaxed);
    // If it had to be repaired, opening it has verified all of it.
    let intact = repaired || db.check_integrity()?;
    let header = overlay.header().map_err(|error| DatabaseError::Storage(redb::StorageError::Io(error)))?;
    let problem = match found {
        _ if !intact => Some("the last commit is not intact".to_owned()),
        Found::Open(last) | Found::Closed(last) => {
            let least = last.saturating_add(u64::from(repaired));
            let lost = commit_of(&header).unwrap_or(0) < least;
            lost.then(|| format!("commit {last}, which was acknowledged, is not intact"))
        }
        Found::Nothing | Found::Unreadable => None,
    };
    let tables = rows(&db).map_err(|error| match error {
        StoreError::Damaged(reason) => DatabaseError::Storage(redb::StorageError::Corrupted(reason)),
        other => DatabaseError::Storage(redb::StorageError::Corrupted(other.to_string())),
    })?;
    Ok((problem, tables))
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
