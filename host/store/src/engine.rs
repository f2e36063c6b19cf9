//! The open database, which can be closed and opened again while the store is in use. After an input/output error redb
//! refuses everything until the file is reopened; the engine reopens it automatically when the disk works again.
//!
//! ```text
//! opened ──error──> failed: writes refused, health says why ──space is back, disk answers──> header of the last
//!                                                     acknowledged commit restored, opened, compared ──> opened
//!                                              └──────the file is damaged──────> refused for good: the process ends
//! ```

use std::any::Any;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hookwright_model::SpaceId;
use parking_lot::{Mutex, RwLock};
use redb::{Database, DatabaseError, ReadTransaction, ReadableDatabase as _, ReadableTable as _, StorageError};
use tokio::sync::watch;

use crate::disk::{Disk, DiskFailure, Found, Sums, space};
use crate::shared::Shared;
use crate::{OpenError, StorageHealth, StoreError, StoreOptions, continuation, index, migrate, tables, work};

/// The maximum backoff between two attempts to reopen the file.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Free space below which new events are refused by default: this part of the file system,
const RESERVE_PART: u64 = 20;
/// but not more than this.
const RESERVE_MOST: u64 = 256 * 1024 * 1024;
/// The part of that below which nothing is written,
const FLOOR_PART: u64 = 4;
/// but at least this: a commit writes several pages of 4 KiB.
const FLOOR_LEAST: u64 = 256 * 1024;

/// The schedule of attempts to reopen the file.
struct Attempts {
    next: Instant,
    pause: Duration,
}

/// The database and its state.
pub(crate) struct Engine {
    path: PathBuf,
    folder: PathBuf,
    cache_bytes: usize,
    min_free: Option<u64>,
    disk: Arc<Disk>,
    opened: RwLock<Option<Database>>,
    next_seq: AtomicU64,
    pub(crate) shared: Shared,
    health: watch::Sender<StorageHealth>,
    attempts: Mutex<Attempts>,
    /// The pause after the first attempt that failed.
    watch_every: Duration,
    /// Bytes written since the free space was last checked.
    spent: AtomicU64,
    closed: AtomicBool,
}

impl Engine {
    /// Opens the file, or creates it, and migrates it to the newest format. Also returns the instance's id.
    pub(crate) fn open(options: &StoreOptions) -> Result<(Self, String), OpenError> {
        let path = &options.path;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let (sums, found) = load_sums(path)?;
        let known = examine(path, found, &sums)?;
        let disk = Arc::new(Disk::new(path, sums));
        let db = open_file(path, &disk, options.cache_bytes, known)?;
        let shown = path.display().to_string();
        let unreadable = |reason: String| OpenError::Unreadable { path: shown.clone(), reason };
        let prepared = guarded(|| -> Result<String, OpenError> {
            match tables::format(&db).map_err(|error| unreadable(error.to_string()))? {
                Some(found) if found.parse::<u32>().is_ok_and(|format| format <= tables::FORMAT) => {}
                Some(found) => return Err(OpenError::Newer { path: shown.clone(), found, known: tables::FORMAT }),
                None => {}
            }
            migrate::to_newest(&db).map_err(|error| unreadable(error.to_string()))?;
            create(&db).map_err(|error| unreadable(error.to_string()))?;
            migrate::report(continuation::check(&db).map_err(|error| unreadable(error.to_string()))?);
            disk.acknowledge();
            tables::instance(&db).map_err(|error| unreadable(error.to_string()))
        });
        let instance = prepared.unwrap_or_else(|reason| Err(unreadable(reason))).map_err(|error| {
            let damage = disk.failure();
            if !matches!(error, OpenError::Newer { .. }) {
                disk.seal();
            }
            match damage {
                Some(DiskFailure::Full(reason) | DiskFailure::Io(reason)) => {
                    OpenError::Io { path: shown.clone(), reason }
                }
                Some(DiskFailure::Damaged(reason)) => OpenError::Damaged { path: shown.clone(), reason },
                None => error,
            }
        })?;
        let engine = Self {
            path: path.clone(),
            folder: folder.to_owned(),
            cache_bytes: options.cache_bytes,
            min_free: options.min_free_bytes,
            disk,
            opened: RwLock::new(None),
            next_seq: AtomicU64::new(1),
            shared: Shared::default(),
            health: watch::channel(StorageHealth::Writable).0,
            attempts: Mutex::new(Attempts { next: Instant::now(), pause: options.watch_every }),
            watch_every: options.watch_every,
            spent: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        };
        let loaded = engine.load(&db).and_then(|()| engine.line_up(&db));
        loaded.map_err(|error| unreadable(error.to_string()))?;
        *engine.opened.write() = Some(db);
        engine.tell(engine.by_space());
        Ok((engine, instance))
    }

    /// Loads the state that is cached in memory.
    fn load(&self, db: &Database) -> Result<(), StoreError> {
        let read = db.begin_read()?;
        let mut spaces = HashMap::new();
        for row in read.open_table(tables::SPACES)?.iter()? {
            let (space, number) = row?;
            let space: SpaceId = space.value().parse().map_err(StoreError::Corrupt)?;
            spaces.insert(space, number.value());
        }
        let next_seq = read.open_table(tables::COUNTERS)?.get(tables::SEQ)?.map_or(1, |value| value.value());
        *self.shared.spaces.write() = spaces;
        self.next_seq.store(next_seq, Ordering::Relaxed);
        Ok(())
    }

    /// Puts the waiting events into the queues of their spaces. Only once: a file that is reopened later contains
    /// exactly the acknowledged events, as the queues do, and events in flight stay in flight.
    fn line_up(&self, db: &Database) -> Result<(), StoreError> {
        let spaces = self.shared.spaces.read();
        self.shared.ready.announce(work::waiting(&db.begin_read()?, &spaces)?).committed();
        Ok(())
    }

    pub(crate) fn begin_read(&self) -> Result<ReadTransaction, StoreError> {
        // Readers do not wait while the file is reopened, which can take seconds.
        let Some(opened) = self.opened.try_read() else { return Err(self.refusal()) };
        match &*opened {
            Some(db) => Ok(db.begin_read()?),
            None => Err(self.refusal()),
        }
    }

    /// Runs a transaction of the writer, which gets the next seq and returns the seq after it and the number of bytes
    /// that it wrote. A panic counts as a failure of the disk: the database is not used any more until it is reopened.
    pub(crate) fn transact<T>(
        &self,
        run: impl FnOnce(&Database, u64) -> Result<(u64, usize, T), StoreError>,
    ) -> Result<T, StoreError> {
        if let Some(refusal) = self.health.borrow().refuses_writes() {
            return Err(refusal);
        }
        let opened = self.opened.read();
        let Some(db) = &*opened else { return Err(self.refusal()) };
        let seq = self.next_seq.load(Ordering::Relaxed);
        match guarded(|| run(db, seq)) {
            Ok(Ok((next_seq, bytes, value))) => {
                self.disk.acknowledge();
                self.next_seq.store(next_seq, Ordering::Relaxed);
                self.spend(bytes);
                Ok(value)
            }
            Ok(Err(error)) => Err(self.explained(error)),
            Err(reason) => {
                let reason = format!("a commit panicked: {reason}");
                self.disk.fail(DiskFailure::Io(reason.clone()));
                Err(StoreError::Unavailable(reason))
            }
        }
    }

    /// Replaces an error of redb by the failure that the disk reported.
    fn explained(&self, error: StoreError) -> StoreError {
        match (error, self.disk.failure()) {
            (StoreError::Storage(_) | StoreError::Unavailable(_), Some(failure)) => match failure {
                DiskFailure::Full(reason) => StoreError::Full(StorageHealth::Full(reason).to_string()),
                DiskFailure::Io(reason) => StoreError::Unavailable(reason),
                DiskFailure::Damaged(reason) => StoreError::Damaged(reason),
            },
            (error, _) => error,
        }
    }

    /// Counts written bytes; after a certain number the free space is checked again.
    fn spend(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let spent = self.spent.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if spent > 1024 * 1024 {
            self.spent.store(0, Ordering::Relaxed);
            self.disk.alarm.ring();
        }
    }

    /// The reason why nothing can be read or written.
    pub(crate) fn refusal(&self) -> StoreError {
        if self.closed.load(Ordering::Acquire) {
            return StoreError::Closed;
        }
        let refused = self.health.borrow().refuses_writes();
        refused.unwrap_or_else(|| {
            StoreError::Unavailable("the commit was not made, or its file is being opened again".to_owned())
        })
    }

    pub(crate) fn health(&self) -> &watch::Sender<StorageHealth> {
        &self.health
    }

    #[cfg(test)]
    pub(crate) fn disk(&self) -> &Arc<Disk> {
        &self.disk
    }

    fn by_space(&self) -> StorageHealth {
        let Some(space) = space(&self.folder) else { return StorageHealth::Writable };
        let min_free_bytes = self.min_free.unwrap_or_else(|| (space.size / RESERVE_PART).min(RESERVE_MOST));
        let free_bytes = space.free;
        if free_bytes < (min_free_bytes / FLOOR_PART).max(FLOOR_LEAST) {
            StorageHealth::Full(format!("{free_bytes} bytes are free"))
        } else if free_bytes < min_free_bytes {
            StorageHealth::Low { free_bytes, min_free_bytes }
        } else {
            StorageHealth::Writable
        }
    }

    fn tell(&self, health: StorageHealth) {
        let changed = self.health.send_if_modified(|known| {
            let told = known.name() != health.name();
            *known = health.clone();
            told
        });
        if changed {
            match &health {
                StorageHealth::Writable => tracing::info!("the store is written again"),
                StorageHealth::Low { .. } => tracing::warn!("{health}"),
                _ => tracing::error!(state = health.name(), "{health}"),
            }
        }
    }

    /// Checks the disk, and reopens the file if it failed and can be reopened.
    pub(crate) fn look(&self) {
        if self.closed.load(Ordering::Acquire) || matches!(*self.health.borrow(), StorageHealth::Damaged(_)) {
            return;
        }
        let Some(failure) = self.disk.failure() else { return self.tell(self.by_space()) };
        match failure {
            DiskFailure::Damaged(reason) => return self.give_up(damaged(&self.path, &reason)),
            DiskFailure::Full(reason) => {
                self.tell(StorageHealth::Full(reason));
                if matches!(self.by_space(), StorageHealth::Full(_)) {
                    return;
                }
            }
            DiskFailure::Io(reason) => self.tell(StorageHealth::Unavailable(format!("the store's file: {reason}"))),
        }
        let mut attempts = self.attempts.lock();
        if Instant::now() < attempts.next {
            return;
        }
        match self.reopen() {
            Ok(()) => {
                attempts.pause = self.watch_every;
                attempts.next = Instant::now();
                self.tell(self.by_space());
                self.shared.work.notify_one();
                self.shared.due.notify_one();
                self.shared.queued.notify_one();
            }
            Err(error @ (OpenError::Io { .. } | OpenError::InUse(_))) => {
                attempts.next = Instant::now() + attempts.pause;
                attempts.pause = (attempts.pause * 2).min(LONGEST_PAUSE);
                tracing::warn!(%error, "the store cannot be opened again yet");
                if self.disk.failure().is_none() {
                    self.disk.fail(DiskFailure::Io(error.to_string()));
                }
            }
            Err(error) => self.give_up(error),
        }
    }

    /// Ends all access permanently: the process has to exit.
    fn give_up(&self, error: OpenError) {
        self.disk.seal();
        self.opened.write().take();
        self.tell(StorageHealth::Damaged(error.to_string()));
    }

    fn reopen(&self) -> Result<(), OpenError> {
        let mut opened = self.opened.write();
        // Writes of the old database when it is dropped must not reach the file.
        self.disk.seal();
        opened.take();
        let shown = self.path.display().to_string();
        let failed = |reason: String| OpenError::Io { path: shown.clone(), reason };
        self.disk.roll_back().map_err(|error| failed(error.to_string()))?;
        let known = Known { last: self.disk.commit(), closed: true, new: false };
        let db = open_file(&self.path, &self.disk, self.cache_bytes, known)?;
        let loaded = guarded(|| self.load(&db)).unwrap_or_else(|reason| Err(StoreError::Unavailable(reason)));
        loaded.map_err(|error| match self.disk.failure() {
            Some(DiskFailure::Damaged(reason)) => damaged(&self.path, &reason),
            _ => failed(error.to_string()),
        })?;
        self.disk.acknowledge();
        *opened = Some(db);
        Ok(())
    }

    /// Closes the file and saves its checksums.
    pub(crate) fn close(&self) {
        if self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        self.disk.alarm.ring();
        let Some(db) = self.opened.write().take() else { return };
        if guarded(|| drop(db)).is_err() || self.disk.failure().is_some() || !self.disk.closed_well() {
            return;
        }
        if let Some(commit) = self.disk.commit()
            && let Err(error) = self.disk.sums().save(&self.path, commit)
        {
            tracing::warn!(%error, "the checksums of the store were not saved: the next start reads all of it");
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.close();
    }
}

/// Checks the engine's disk periodically, and at once after a failure, until the engine is dropped.
pub(crate) fn watch_over(engine: &Arc<Engine>, every: Duration) -> std::io::Result<()> {
    let (alarm, engine) = (Arc::clone(&engine.disk.alarm), Arc::downgrade(engine));
    std::thread::Builder::new().name("store-monitor".to_owned()).spawn(move || {
        loop {
            alarm.wait(every);
            let Some(engine) = engine.upgrade() else { return };
            if engine.closed.load(Ordering::Acquire) {
                return;
            }
            engine.look();
        }
    })?;
    Ok(())
}

/// The state of a file before it is opened.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// The last acknowledged commit.
    last: Option<u64>,
    /// It was closed, and its checksums are known; otherwise redb verifies its own.
    closed: bool,
    /// The file does not exist yet.
    new: bool,
}

/// Reads the checksums beside the store at `path`, and what they say about it.
pub(crate) fn load_sums(path: &Path) -> Result<(Sums, Found), OpenError> {
    Sums::load(path).map_err(|error| {
        let sums = Sums::beside(path);
        OpenError::Io { path: sums.display().to_string(), reason: error.to_string() }
    })
}

/// Examines the path of the store.
fn examine(path: &Path, found: Found, sums: &Sums) -> Result<Known, OpenError> {
    let shown = path.display().to_string();
    let length = match std::fs::metadata(path) {
        Ok(metadata) => Some(metadata.len()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(OpenError::Io { path: shown, reason: error.to_string() }),
    };
    let beside = Sums::beside(path);
    let secret = path.with_file_name("secret.key");
    let witness = if found != Found::Nothing {
        Some(beside.clone())
    } else {
        // A key without a store may have been provided for a new store, but an empty file is not created for one.
        (length == Some(0) && secret.exists()).then_some(secret)
    };
    if length.unwrap_or(0) == 0 {
        return match witness {
            Some(witness) => Err(OpenError::Emptied { path: shown, witness: witness.display().to_string() }),
            None => Ok(Known { last: None, closed: true, new: true }),
        };
    }
    match found {
        Found::Closed(commit) => {
            let fits =
                sums.fits(path).map_err(|error| OpenError::Io { path: shown.clone(), reason: error.to_string() });
            if !fits? {
                return Err(OpenError::Mismatch { path: shown, sums: beside.display().to_string() });
            }
            Ok(Known { last: Some(commit), closed: true, new: false })
        }
        Found::Open(commit) => Ok(Known { last: Some(commit), closed: false, new: false }),
        Found::Nothing | Found::Unreadable => Ok(Known { last: None, closed: false, new: false }),
    }
}

/// Creates every table, and the index of records.
fn create(db: &Database) -> Result<(), redb::Error> {
    let transaction = db.begin_write()?;
    tables::create(&transaction)?;
    index::index_records(&transaction)?;
    transaction.commit()?;
    Ok(())
}

/// Opens the file with redb, and checks that it contains the last acknowledged commit.
fn open_file(path: &Path, disk: &Arc<Disk>, cache_bytes: usize, known: Known) -> Result<Database, OpenError> {
    let shown = path.display().to_string();
    let refused = |error: DatabaseError| match (error, disk.failure()) {
        (DatabaseError::DatabaseAlreadyOpen, _) => OpenError::InUse(shown.clone()),
        (_, Some(DiskFailure::Full(reason) | DiskFailure::Io(reason))) => OpenError::Io { path: shown.clone(), reason },
        (DatabaseError::Storage(StorageError::Io(error)), _) if error.kind() != std::io::ErrorKind::InvalidData => {
            OpenError::Io { path: shown.clone(), reason: error.to_string() }
        }
        // The error of redb for a file that is not a redb file.
        (error @ DatabaseError::Storage(StorageError::Io(_)), None) if known.last.is_none() => {
            OpenError::Unreadable { path: shown.clone(), reason: error.to_string() }
        }
        (error, _) => damaged(path, &error.to_string()),
    };
    let backend = disk.backend(known.new).map_err(&refused)?;
    let before = disk.header();
    let repaired = Arc::new(AtomicBool::new(false));
    let repairing = Arc::clone(&repaired);
    let mut builder = Database::builder();
    builder.set_cache_size(cache_bytes).set_repair_callback(move |_| repairing.store(true, Ordering::Relaxed));
    let opened = guarded(|| -> Result<Database, OpenError> {
        let mut db = builder.create_with_backend(backend).map_err(&refused)?;
        // Sealed first, so that nothing is written when the database is dropped.
        let not_intact = |reason: &str| {
            disk.seal();
            damaged(path, reason)
        };
        let commit = |disk: &Disk| disk.commit().unwrap_or(0);
        if !known.closed && !known.new && !repaired.load(Ordering::Relaxed) {
            tracing::info!(file = shown, "the whole file is read once, since its checksums are not known");
            let was = commit(disk);
            let intact = db.check_integrity().map_err(|error| {
                disk.seal();
                refused(error)
            })?;
            if !intact && commit(disk) <= was {
                return Err(not_intact("its last commit is not intact"));
            }
        }
        if let Some(last) = known.last {
            // A repair that finds the last commit damaged falls back to the previous one, and then makes a commit
            // itself.
            let least = last.saturating_add(u64::from(repaired.load(Ordering::Relaxed)));
            if commit(disk) < least {
                return Err(not_intact(&format!("commit {last}, which was acknowledged, is not intact")));
            }
        }
        Ok(db)
    });
    let result = match opened {
        Ok(result) => result,
        Err(reason) => Err(damaged(path, &reason)),
    };
    if result.is_err() && !known.new {
        disk.restore(&before);
    }
    result
}

fn damaged(path: &Path, reason: &str) -> OpenError {
    OpenError::Damaged { path: path.display().to_string(), reason: reason.to_owned() }
}

/// Runs code that may panic on a damaged file.
pub(crate) fn guarded<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic: Box<dyn Any + Send>| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        text.unwrap_or_else(|| "it panicked".to_owned())
    })
}

#[cfg(test)]
mod tests;
