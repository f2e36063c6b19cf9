//! Where everything lies: one redb file with the journal, the work it gives, records, and configuration.
//!
//! This is the only room that names redb. Its interface is what Hookwright does (append these events, complete this
//! step with these effects, say what is due), so that another engine can stand behind it. Reads see what is committed;
//! writes go through one thread that groups them ([`Store::append`] returns after the fsync).
//!
//! ```text
//! callers ──> queue ──> writer thread: check + write every waiting operation ──> one commit, one fsync ──> answers
//! ```

mod attempt_log;
mod attempts;
mod config;
mod configuration;
mod deliveries;
mod due;
mod error;
mod fault;
mod index;
mod journal;
mod kept;
mod kinds;
mod lanes;
mod mails;
mod migrate;
mod page;
mod pollings;
mod queue;
mod recordings;
mod records;
mod requests;
mod retention;
mod rows;
mod runs;
mod schedules;
mod tables;
mod timed;
mod vault;
mod webhooks;
mod workflows;
mod writer;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use hookwright_model::SpaceId;
use redb::{
    Database, DatabaseError, ReadTransaction, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _,
};
use tokio::sync::{Notify, mpsc, oneshot};

pub use attempt_log::{AttemptQuery, LogCursor};
pub use attempts::{AttemptCommit, Tried, WebhookChange};
pub use config::Stored;
pub use configuration::{ConfigChange, Configured, Swap};
pub use due::{Due, DueItem};
pub use error::{OpenError, StoreError};
pub use fault::{FAULT_POINTS, fault_point};
pub use index::Found;
pub use journal::{Appended, EventLookup, Work};
pub use kinds::{KindDeleted, KindRefused, KindStored};
pub use page::{Cursor, Listing, Page};
pub use recordings::{NewRecording, StoredRecording};
pub use runs::{Committed, StepCommit};
pub use vault::{Vault, VaultError};

use writer::{Batch, Faults, Order, Shared};

/// How the store is opened.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The file; made if it does not exist.
    pub path: PathBuf,
    /// How much memory its pages may take, in bytes.
    pub cache_bytes: usize,
    /// How many operations may wait for the writer.
    pub queue: usize,
    /// How many accepted events may wait to be worked on before more are refused.
    pub max_backlog: usize,
}

impl StoreOptions {
    /// The defaults: 64 MiB of cache, 8,192 waiting operations, 100,000 waiting events.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), cache_bytes: 64 * 1024 * 1024, queue: 8192, max_backlog: 100_000 }
    }
}

/// The store. Clones share it.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    db: Arc<Database>,
    shared: Arc<Shared>,
    orders: mpsc::Sender<Order>,
    writer: Mutex<Option<std::thread::JoinHandle<()>>>,
    /// The highest id given out by space and kind, ahead of what is committed.
    ids: Mutex<HashMap<(SpaceId, String), u64>>,
    max_backlog: usize,
    instance: String,
}

impl Store {
    /// Opens the file, or makes it.
    pub fn open(options: &StoreOptions) -> Result<Self, OpenError> {
        let path = options.path.display().to_string();
        let unreadable = |reason: String| OpenError::Unreadable { path: path.clone(), reason };
        let db =
            Database::builder().set_cache_size(options.cache_bytes).create(&options.path).map_err(
                |error| match error {
                    DatabaseError::DatabaseAlreadyOpen => OpenError::InUse(path.clone()),
                    DatabaseError::Storage(redb::StorageError::Io(error)) => match error.kind() {
                        std::io::ErrorKind::InvalidData => unreadable(error.to_string()),
                        _ => OpenError::Io { path: path.clone(), reason: error.to_string() },
                    },
                    other => unreadable(other.to_string()),
                },
            )?;
        match tables::format(&db).map_err(|error| unreadable(error.to_string()))? {
            Some(found) if found.parse::<u32>().is_ok_and(|format| format <= tables::FORMAT) => {}
            Some(found) => return Err(OpenError::Newer { path, found, known: tables::FORMAT }),
            None => {}
        }
        migrate::to_newest(&db).map_err(|error| unreadable(error.to_string()))?;
        tables::create(&db).map_err(|error| unreadable(error.to_string()))?;
        Self::start(db, options).map_err(|error| unreadable(error.to_string()))
    }

    fn start(db: Database, options: &StoreOptions) -> Result<Self, StoreError> {
        let shared = Shared::default();
        let read = db.begin_read()?;
        let mut spaces = HashMap::new();
        for row in read.open_table(tables::SPACES)?.iter()? {
            let (space, number) = row?;
            let space: SpaceId = space.value().parse().map_err(StoreError::Corrupt)?;
            spaces.insert(space, number.value());
        }
        let backlog = read.open_table(tables::WORK)?.len()?;
        shared.backlog.store(usize::try_from(backlog).unwrap_or(usize::MAX), Ordering::Relaxed);
        let next_seq = read.open_table(tables::COUNTERS)?.get(tables::SEQ)?.map_or(1, |value| value.value());
        let instance = read.open_table(tables::META)?.get("instance")?.map(|value| value.value().to_owned());
        drop(read);
        *shared.spaces.write().unwrap_or_else(PoisonError::into_inner) = spaces;
        let (db, shared) = (Arc::new(db), Arc::new(shared));
        let (orders, waiting) = mpsc::channel(options.queue.max(1));
        let writer = {
            let (db, shared) = (Arc::clone(&db), Arc::clone(&shared));
            std::thread::Builder::new()
                .name("store-writer".to_owned())
                .spawn(move || writer::run(&db, &shared, waiting, next_seq))
                .map_err(|error| StoreError::Storage(format!("the writer's thread: {error}")))?
        };
        Ok(Self {
            inner: Arc::new(Inner {
                db,
                shared,
                orders,
                writer: Mutex::new(Some(writer)),
                ids: Mutex::new(HashMap::new()),
                max_backlog: options.max_backlog,
                instance: instance.unwrap_or_default(),
            }),
        })
    }

    /// Commits what waits and ends the writer. Whatever is sent from then on is refused as [`StoreError::Closed`].
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.inner.orders.send(Order::Close(done)).await.is_ok() {
            let _ = closed.await;
        }
        let writer = self.inner.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer
            && tokio::task::spawn_blocking(move || writer.join()).await.is_err()
        {
            tracing::error!("the store's writer ended badly");
        }
    }

    /// Makes sure that the space exists.
    pub async fn ensure_space(&self, space: &SpaceId) -> Result<(), StoreError> {
        if self.inner.shared.number(space).is_some() {
            return Ok(());
        }
        let space = space.clone();
        self.write(None, 64, move |batch| batch.number(&space).map(|_| ())).await
    }

    /// All spaces, by name.
    pub fn spaces(&self) -> Vec<SpaceId> {
        let spaces = self.inner.shared.spaces.read().unwrap_or_else(PoisonError::into_inner);
        let mut spaces: Vec<SpaceId> = spaces.keys().cloned().collect();
        spaces.sort();
        spaces
    }

    /// A text that no other store has.
    pub fn instance_id(&self) -> &str {
        &self.inner.instance
    }

    /// How many accepted events wait to be worked on.
    pub fn backlog(&self) -> usize {
        self.inner.shared.backlog.load(Ordering::Relaxed)
    }

    /// Notified after a commit that brought work.
    pub fn work_signal(&self) -> Arc<Notify> {
        Arc::clone(&self.inner.shared.work)
    }

    /// Notified after a commit that made a run or a mail due.
    pub fn due_signal(&self) -> Arc<Notify> {
        Arc::clone(&self.inner.shared.due)
    }

    fn begin_read(&self) -> Result<ReadTransaction, StoreError> {
        Ok(self.inner.db.begin_read()?)
    }

    fn number(&self, space: &SpaceId) -> Option<u32> {
        self.inner.shared.number(space)
    }

    /// Has the writer do something and waits for the commit.
    async fn write<T: Send + 'static>(
        &self,
        fault: Option<Faults>,
        bytes: usize,
        apply: impl FnOnce(&mut Batch<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (order, answer) = order(fault, bytes, apply);
        self.inner.orders.send(order).await.map_err(|_| StoreError::Closed)?;
        answer.await.unwrap_or_else(|_| Err(StoreError::Storage("the commit was given up".to_owned())))
    }

    /// The same, but refused at once if too many wait.
    async fn write_now<T: Send + 'static>(
        &self,
        fault: Option<Faults>,
        bytes: usize,
        apply: impl FnOnce(&mut Batch<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (order, answer) = order(fault, bytes, apply);
        self.inner.orders.try_send(order).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })?;
        answer.await.unwrap_or_else(|_| Err(StoreError::Storage("the commit was given up".to_owned())))
    }
}

fn order<T: Send + 'static>(
    fault: Option<Faults>,
    bytes: usize,
    apply: impl FnOnce(&mut Batch<'_>) -> Result<T, StoreError> + Send + 'static,
) -> (Order, oneshot::Receiver<Result<T, StoreError>>) {
    let (sender, receiver) = oneshot::channel();
    let apply: writer::Apply = Box::new(move |batch| {
        let value = match apply(batch) {
            Ok(value) => value,
            Err(error) => {
                let _ = sender.send(Err(error.clone()));
                return Err(error);
            }
        };
        let answer: writer::Answer = Box::new(move |committed| {
            let _ = sender.send(committed.map(|()| value).map_err(StoreError::clone));
        });
        Ok(answer)
    });
    (Order::Write { apply, bytes, fault }, receiver)
}
