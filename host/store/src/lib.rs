//! The store: one redb file with the journal, its work, records, and configuration.
//!
//! This is the only crate that names redb. Its interface consists of operations of the domain (append these events,
//! complete this step with these effects, return what is due), so that another engine can replace redb. Reads see
//! committed data; writes go through one thread that groups them ([`Events::append`] returns after the fsync).
//!
//! ```text
//! callers ──> queue ──> writer thread: check + write every waiting operation ──> one commit, one fsync ──> answers
//! ```

mod admission;
mod appender;
mod applied;
mod attempt_log;
mod attempts;
mod automations;
mod backlog;
mod batch;
mod check;
mod clock;
mod config;
mod configuration;
mod continuation;
mod db;
mod deliveries;
mod disk;
mod due;
mod effects;
mod engine;
mod error;
mod event_types;
mod fault;
mod guarded;
mod health;
mod history;
mod idempotency;
mod ids;
mod in_flight;
mod inbox;
mod index;
mod journal;
mod key_values;
mod keys;
mod kinds;
mod lanes;
pub mod log;
mod mails;
mod migrate;
mod opening;
mod options;
mod page;
mod plugins;
mod pollings;
mod query;
mod queue;
mod ready;
mod recent;
mod recordings;
mod records;
mod requests;
mod retention;
mod rows;
mod runs;
mod schedules;
mod secret_key;
mod secrets;
mod shared;
mod sources;
mod state;
mod tables;
mod timed;
mod vault;
mod webhooks;
mod work;
mod workflows;
mod write_set;
mod writer;

use std::collections::HashMap;
use std::sync::Arc;

use hookwright_model::SpaceId;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

pub use attempt_log::{AttemptQuery, LogCursor};
pub use attempts::{AttemptCommit, Attempts, Tried, WebhookChange};
pub use automations::Automations;
pub use backlog::{Backlog, Turn};
pub use check::{Checked, check};
pub use clock::PulledBack;
pub use config::Stored;
pub use configuration::{ConfigChange, Configuration, Configured, Swap};
pub use deliveries::{Deliveries, SendAgain};
pub use due::{Due, DueItem, Timetable};
pub use effects::Committed;
pub use error::{OpenError, StoreError};
pub use event_types::EventTypes;
pub use fault::{FAULT_POINTS, fault_point};
pub use health::StorageHealth;
pub use idempotency::{IdempotencyKeys, KeyWindow, Keyed, Known};
pub use in_flight::InFlightMark;
pub use journal::{Appended, EventLookup, Events};
pub use key_values::KeyValues;
pub use keys::Keys;
pub use kinds::{KindRefused, Kinds};
pub use mails::Mails;
pub use options::StoreOptions;
pub use page::{Cursor, Listing, Page};
pub use plugins::{PluginInstall, Plugins};
pub use pollings::Pollings;
pub use query::Found;
pub use queue::Queues;
pub use recordings::{NewRecording, Recordings, StoredRecording};
pub use records::Records;
pub use requests::Requests;
pub use runs::{Begun, Decided, FirstTry, Runs, StepCommit, StepCommitted};
pub use schedules::Schedules;
pub use secrets::Secrets;
pub use sources::Sources;
pub use vault::{Vault, VaultError};
pub use webhooks::Webhooks;
pub use work::Work;
pub use workflows::Workflows;

use db::Db;
use ids::Ids;
use in_flight::InFlight;

/// The store, in parts by what they store. Clones share it, and so do clones of a part. A clone only increments a
/// counter.
#[derive(Clone)]
pub struct Store(Arc<Parts>);

impl std::ops::Deref for Store {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// The parts of the [`Store`].
pub struct Parts {
    /// Accepted events.
    pub events: Events,
    /// Idempotency keys.
    pub idempotency: IdempotencyKeys,
    /// Accepted events that wait to be processed, and those in flight.
    pub backlog: Backlog,
    /// Runs.
    pub runs: Runs,
    /// Deliveries.
    pub deliveries: Deliveries,
    /// The delivery queues of webhooks.
    pub queues: Queues,
    /// Attempts to send deliveries.
    pub attempts: Attempts,
    /// What is due, and the latest recorded time.
    pub timetable: Timetable,
    /// Records.
    pub records: Records,
    /// Kinds of record.
    pub kinds: Kinds,
    /// The key-value store of plugins.
    pub kv: KeyValues,
    /// Outgoing mails.
    pub mails: Mails,
    /// Recorded calls of plugins.
    pub recordings: Recordings,
    /// The logs of sources.
    pub requests: Requests,
    /// Changes of several objects of a space at once.
    pub configuration: Configuration,
    /// Automations.
    pub automations: Automations,
    /// Workflows.
    pub workflows: Workflows,
    /// Schedules.
    pub schedules: Schedules,
    /// Sources.
    pub sources: Sources,
    /// Polling schedules.
    pub pollings: Pollings,
    /// Webhooks, and their policies.
    pub webhooks: Webhooks,
    /// Registered event types.
    pub event_types: EventTypes,
    /// Plugins of spaces.
    pub plugins: Plugins,
    /// API keys.
    pub keys: Keys,
    /// Secrets.
    pub secrets: Secrets,
    ids: Ids,
    db: Db,
    instance: String,
}

impl Store {
    /// Opens the file, or creates it.
    pub fn open(options: &StoreOptions) -> Result<Self, OpenError> {
        let (db, instance) = Db::open(options)?;
        let ids = Ids { db: db.clone(), highest: Arc::new(Mutex::new(HashMap::new())) };
        let in_flight = InFlight::open(&options.path.with_extension("in-flight"));
        let backlog = Backlog { db: db.clone(), in_flight, most: options.max_backlog };
        Ok(Self(Arc::new(Parts {
            events: Events { db: db.clone(), backlog: backlog.clone() },
            idempotency: IdempotencyKeys { db: db.clone(), backlog: backlog.clone() },
            runs: Runs { db: db.clone() },
            deliveries: Deliveries { db: db.clone() },
            queues: Queues { db: db.clone() },
            attempts: Attempts { db: db.clone(), ids: ids.clone() },
            timetable: Timetable { db: db.clone() },
            records: Records { db: db.clone() },
            kinds: Kinds { db: db.clone() },
            kv: KeyValues { db: db.clone() },
            mails: Mails { db: db.clone() },
            recordings: Recordings { db: db.clone() },
            requests: Requests { db: db.clone() },
            configuration: Configuration { db: db.clone() },
            automations: Automations { db: db.clone() },
            workflows: Workflows { db: db.clone() },
            schedules: Schedules { db: db.clone() },
            sources: Sources { db: db.clone() },
            pollings: Pollings { db: db.clone() },
            webhooks: Webhooks { db: db.clone() },
            event_types: EventTypes { db: db.clone() },
            plugins: Plugins { db: db.clone() },
            keys: Keys { db: db.clone() },
            secrets: Secrets { db: db.clone() },
            backlog,
            ids,
            db,
            instance,
        })))
    }

    /// The health of the store.
    pub fn health(&self) -> StorageHealth {
        self.db.health().borrow().clone()
    }

    /// A receiver of the store's health.
    pub fn health_signal(&self) -> watch::Receiver<StorageHealth> {
        self.db.health().subscribe()
    }

    /// Waits until outcomes can be recorded.
    pub async fn until_recording(&self) {
        // An error means that the store was dropped, which the caller will notice in its next call.
        let _ = self.health_signal().wait_for(StorageHealth::records).await;
    }

    /// Commits the waiting operations and ends the writer. Later operations are refused with [`StoreError::Closed`].
    pub async fn close(&self) {
        self.db.close().await;
        self.forget_in_flight();
    }

    /// Clears the list of events in flight before an intended exit: none of them causes it.
    pub fn forget_in_flight(&self) {
        self.backlog.in_flight.close();
    }

    /// Makes sure that the space exists.
    pub async fn ensure_space(&self, space: &SpaceId) -> Result<(), StoreError> {
        if self.db.number(space).is_some() {
            return Ok(());
        }
        let space = space.clone();
        self.db.write(None, 64, move |batch| batch.number(&space).map(|_| ())).await
    }

    /// All spaces, by name.
    pub fn spaces(&self) -> Vec<SpaceId> {
        self.db.spaces()
    }

    /// The store's unique id.
    pub fn instance_id(&self) -> &str {
        &self.instance
    }

    /// An error if new events and changes from outside are refused at present: little space is left, or the file cannot
    /// be written.
    pub fn takes_changes(&self) -> Result<(), StoreError> {
        self.db.takes_changes()
    }

    /// Notified after a commit that added work.
    pub fn work_signal(&self) -> Arc<Notify> {
        Arc::clone(&self.db.shared().work)
    }

    /// Notified after a commit that made something due.
    pub fn due_signal(&self) -> Arc<Notify> {
        Arc::clone(&self.db.shared().due)
    }

    /// Notified after a commit that added a row to a queue.
    pub fn touched_signal(&self) -> Arc<Notify> {
        Arc::clone(&self.db.shared().queued)
    }
}
