//! The open database and its commit log. A group of operations is appended to the log and then applied (`commit.rs`). A
//! checkpoint makes the database durable now and then, and lets the log forget what it has. What the database lacks
//! after a crash is replayed.
//!
//! After an input/output error redb refuses everything until the file is reopened, and the log until it is recovered; the
//! engine does both when the disk works again.
//!
//! ```text
//! opened ──error──> failed: writes refused, health says why ──space is back, disk answers──> log recovered, database
//!                                                     opened at its last checkpoint, the rest replayed ──> opened
//!                                              └──────something is damaged──────> refused for good: the process ends
//! ```

mod commit;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hookwright_model::SpaceId;
use parking_lot::{Mutex, RwLock};
use redb::{Database, ReadTransaction, ReadableDatabase as _, ReadableTable as _};
use tokio::sync::watch;

use crate::appender::Appender;
use crate::applied::{Applied, PARTITION, replay};
use crate::disk::{Disk, DiskFailure, space};
use crate::guarded::guarded;
use crate::log::{FileLog, FileLogOptions, Log as _, Medium};
use crate::opening::{
    Creation, Known, checkpoint, create, damaged, examine, load_sums, open_file, refused_log, refused_replay,
    settle_files,
};
use crate::shared::Shared;
use crate::{OpenError, StorageHealth, StoreError, StoreOptions, continuation, fault_point, migrate, tables, work};

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
/// The folder with the commit log, beside the file.
pub(crate) const LOG_FOLDER: &str = "commit-log";
/// The bytes that the file may lack before a checkpoint is made, whatever the log has.
const MOST_BEHIND: usize = 32 * 1024 * 1024;

pub(crate) use commit::Group;

/// The schedule of attempts to reopen the file.
struct Attempts {
    next: Instant,
    pause: Duration,
}

/// A checkpoint that is not known to be on the disk.
struct Checkpoint {
    /// The flush that ends it.
    flush: u64,
    has: Applied,
}

/// The database, its log, and their state.
pub(crate) struct Engine {
    path: PathBuf,
    folder: PathBuf,
    cache_bytes: usize,
    min_free: Option<u64>,
    checkpoint_bytes: u64,
    checkpoint_every: Duration,
    disk: Arc<Disk>,
    log: FileLog,
    opened: RwLock<Option<Database>>,
    /// Locked while a group is appended and committed, and during a checkpoint.
    appender: Mutex<Appender>,
    checkpoint: Mutex<Option<Checkpoint>>,
    next_seq: AtomicU64,
    pub(crate) shared: Shared,
    health: watch::Sender<StorageHealth>,
    attempts: Mutex<Attempts>,
    /// The pause after the first attempt that failed.
    watch_every: Duration,
    /// Bytes written since the free space was last checked.
    spent: AtomicU64,
    closed: AtomicBool,
    /// It is about to be closed: nobody waits for a failed disk any more.
    closing: AtomicBool,
}

impl Engine {
    /// Opens the file and its log, or creates them, and migrates the file to the newest format. Also returns the
    /// instance's id.
    pub(crate) fn open(options: &StoreOptions) -> Result<(Self, String), OpenError> {
        let path = &options.path;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let creation = Creation::of(path);
        let log_folder = folder.join(LOG_FOLDER);
        creation.undo(&log_folder)?;
        settle_files(path)?;
        let (sums, found) = load_sums(path)?;
        let disk = Arc::new(Disk::new(path, sums));
        let logged = log_folder.exists();
        let log = FileLog::open_on(Medium::of(&disk), FileLogOptions::new(&log_folder));
        let log = log.map_err(|error| refused_log(&log_folder, error))?;
        let has_entries = log.extent(PARTITION).is_ok_and(|extent| extent.last > 0);
        let known = examine(path, found, disk.sums(), (logged && has_entries).then_some(&*log_folder))?;
        if known.new {
            creation.begin()?;
        }
        let db = open_file(path, &disk, options.cache_bytes, known)?;
        let shown = path.display().to_string();
        let unreadable = |reason: String| OpenError::Unreadable { path: shown.clone(), reason };
        let prepared = guarded(|| -> Result<(String, Applied), OpenError> {
            match tables::format(&db).map_err(|error| unreadable(error.to_string()))? {
                Some(found) if found.parse::<u32>().is_ok_and(|format| format <= tables::FORMAT) => {}
                Some(found) => return Err(OpenError::Newer { path: shown.clone(), found, known: tables::FORMAT }),
                None => {}
            }
            let io = |error: io::Error| OpenError::Io { path: shown.clone(), reason: error.to_string() };
            disk.write_again().map_err(io)?;
            disk.start().map_err(io)?;
            let replayed = replay(&db, &log, |has| keep_up(&disk, &db, has))
                .map_err(|error| refused_replay(path, &log_folder, error))?;
            let applied = Applied { epoch: replayed.epoch.max(1), closed: false, ..replayed };
            // What follows is not in the log: it is on the disk before anything is that builds on it, and an opening
            // that is interrupted does it again.
            migrate::to_newest(&db).map_err(|error| unreadable(error.to_string()))?;
            create(&db).map_err(|error| unreadable(error.to_string()))?;
            migrate::report(continuation::check(&db).map_err(|error| unreadable(error.to_string()))?);
            checkpoint(&db, &applied).map_err(|error| unreadable(error.to_string()))?;
            disk.settle().map_err(io)?;
            creation.end()?;
            let instance = tables::instance(&db).map_err(|error| unreadable(error.to_string()))?;
            Ok((instance, applied))
        });
        let prepared = prepared.unwrap_or_else(|reason| Err(unreadable(reason)));
        let (instance, applied) = prepared.map_err(|error| {
            let damage = disk.failure();
            disk.end();
            match damage {
                Some(DiskFailure::Full(reason) | DiskFailure::Io(reason)) => {
                    OpenError::Io { path: shown.clone(), reason }
                }
                Some(DiskFailure::Damaged(reason)) => OpenError::Damaged { path: shown.clone(), reason },
                None => error,
            }
        })?;
        let mut appender = Appender::new(applied);
        appender.claim(&log, &instance).map_err(|error| refused_log(&log_folder, error))?;
        let engine = Self {
            path: path.clone(),
            folder: folder.to_owned(),
            cache_bytes: options.cache_bytes,
            min_free: options.min_free_bytes,
            checkpoint_bytes: options.checkpoint_bytes.max(1),
            checkpoint_every: options.checkpoint_every,
            disk,
            log,
            opened: RwLock::new(None),
            appender: Mutex::new(appender),
            checkpoint: Mutex::new(None),
            next_seq: AtomicU64::new(1),
            shared: Shared::default(),
            health: watch::channel(StorageHealth::Writable).0,
            attempts: Mutex::new(Attempts { next: Instant::now(), pause: options.watch_every }),
            watch_every: options.watch_every,
            spent: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            closing: AtomicBool::new(false),
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

    /// Makes the database as durable as the log, in a moment: the disk is behind. `closed`: nothing follows.
    fn checkpoint_with(&self, appender: &mut Appender, closed: bool) -> Result<(), StoreError> {
        // After a failure the database may lack what was appended.
        if self.disk.failure().is_some() {
            return Err(self.refusal());
        }
        // One at a time, so that the disk is never more than one behind.
        self.disk.settle().map_err(|error| StoreError::Unavailable(error.to_string()))?;
        self.trim();
        let opened = self.opened.read();
        let Some(db) = &*opened else { return Err(self.refusal()) };
        let has = Applied { closed, ..appender.applied() };
        checkpoint(db, &has)?;
        appender.checkpointed();
        *self.checkpoint.lock() = Some(Checkpoint { flush: self.disk.flushes(), has });
        Ok(())
    }

    /// Lets the log forget what the last checkpoint has, once that is on the disk.
    fn trim(&self) {
        let done = self.checkpoint.lock().take_if(|checkpoint| checkpoint.flush <= self.disk.flushed());
        if let Some(Checkpoint { has, .. }) = done {
            fault_point("log.before-trim");
            if let Err(error) = self.log.trim(PARTITION, has.position) {
                tracing::warn!(%error, "the log was not trimmed");
            }
            fault_point("log.after-trim");
        }
    }

    /// Does what is due besides the commits.
    fn maintain(&self) {
        self.trim();
        let mut appender = self.appender.lock();
        if self.closed.load(Ordering::Acquire) {
            return;
        }
        let many = self.disk.behind_bytes() >= MOST_BEHIND;
        if many || appender.is_due(self.checkpoint_bytes, self.checkpoint_every) {
            // It would wait for what the database has flushed before, such as the length of its file, and commits for it.
            let waits = self.checkpoint.lock().is_some() || self.disk.flushed() < self.disk.flushes();
            if !waits && let Err(error) = self.checkpoint_with(&mut appender, false) {
                tracing::warn!(%error, "the database is behind its log: a checkpoint failed");
            }
        }
        drop(appender);
        if let Err(error) = self.log.prepare() {
            tracing::debug!(%error, "the next segment of the log was not prepared");
        }
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
        let Some(failure) = self.disk.failure() else {
            self.tell(self.by_space());
            return self.maintain();
        };
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
        self.disk.end();
        self.opened.write().take();
        self.tell(StorageHealth::Damaged(error.to_string()));
    }

    /// Recovers the log, opens the file as it is on the disk, and replays the rest.
    fn reopen(&self) -> Result<(), OpenError> {
        let mut appender = self.appender.lock();
        if self.closed.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut opened = self.opened.write();
        self.disk.end();
        // It may have been in the middle of a commit that panicked.
        let _ = guarded(|| drop(opened.take()));
        *self.checkpoint.lock() = None;
        let shown = self.path.display().to_string();
        let log_folder = self.folder.join(LOG_FOLDER);
        self.log.recover().map_err(|error| refused_log(&log_folder, error))?;
        let again = self.disk.write_again();
        again.map_err(|error| OpenError::Io { path: shown.clone(), reason: error.to_string() })?;
        let db = open_file(&self.path, &self.disk, self.cache_bytes, Known { checksums: true, new: false })?;
        let failed = |reason: String| OpenError::Io { path: shown.clone(), reason };
        self.disk.start().map_err(|error| failed(error.to_string()))?;
        let loaded = guarded(|| -> Result<(Applied, String), OpenError> {
            let applied = replay(&db, &self.log, |has| keep_up(&self.disk, &db, has))
                .map_err(|error| refused_replay(&self.path, &log_folder, error))?;
            // It works again only if the file takes writes.
            checkpoint(&db, &applied).map_err(|error| failed(error.to_string()))?;
            self.disk.settle().map_err(|error| failed(error.to_string()))?;
            self.load(&db).map_err(|error| failed(error.to_string()))?;
            Ok((applied, tables::instance(&db).map_err(|error| failed(error.to_string()))?))
        });
        let (applied, instance) =
            loaded.unwrap_or_else(|reason| Err(failed(reason))).map_err(|error| match self.disk.failure() {
                Some(DiskFailure::Damaged(reason)) => damaged(&self.path, &reason),
                Some(DiskFailure::Full(reason) | DiskFailure::Io(reason)) => failed(reason),
                None => error,
            })?;
        *appender = Appender::new(applied);
        appender.claim(&self.log, &instance).map_err(|error| refused_log(&log_folder, error))?;
        *opened = Some(db);
        Ok(())
    }

    /// Ends waits for a failed disk, before the file is closed.
    pub(crate) fn begin_to_close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    /// Makes everything durable, and closes the file.
    pub(crate) fn close(&self) {
        self.begin_to_close();
        if self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        self.disk.alarm.ring();
        let mut appender = self.appender.lock();
        if self.disk.failure().is_none() {
            let done = guarded(|| self.checkpoint_with(&mut appender, true));
            if !matches!(done, Ok(Ok(()))) {
                tracing::warn!("the last checkpoint failed: the next start replays the log");
            }
        } else if let Err(error) = self.log.recover() {
            tracing::warn!(%error, "the log cannot be recovered: a change that was refused may be there at the next start");
        }
        let opened = self.opened.write().take();
        if let Some(db) = opened
            && guarded(|| drop(db)).is_ok()
            && self.disk.settle().is_ok()
        {
            self.trim();
        }
        self.disk.end();
        // Of a store that was given up too, so that it can be opened again at once.
        self.log.close();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.close();
    }
}

/// Makes what a replay has written so far durable, if it is much.
fn keep_up(disk: &Disk, db: &Database, has: &Applied) -> Result<(), StoreError> {
    if disk.behind_bytes() < MOST_BEHIND {
        return Ok(());
    }
    checkpoint(db, has)?;
    disk.settle().map_err(|error| StoreError::Unavailable(error.to_string()))
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

#[cfg(test)]
mod tests;
