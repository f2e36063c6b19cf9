//! The tables. Every key of an object that belongs to a space begins with the space's number, so that a read of one
//! space (tenant) cannot return data of another.

use redb::{ReadableDatabase as _, ReadableTable as _, TableDefinition};

/// The key of a row of [`ATTEMPT_LOG`].
pub(crate) type LogKey = (u32, i64, u64, u32, u32);
/// Its value.
pub(crate) type LogSummary = (u64, u16, u8);

/// Space id → number, from 1.
pub(crate) const SPACES: TableDefinition<'_, &str, u32> = TableDefinition::new("spaces");
/// (space, seq) → event row.
pub(crate) const EVENTS: TableDefinition<'_, (u32, u64), &[u8]> = TableDefinition::new("events");
/// (space, id, source) → seq.
pub(crate) const EVENT_IDS: TableDefinition<'_, (u32, &str, &str), u64> = TableDefinition::new("event_ids");
/// (space, idempotency key) → its request and what that created, JSON.
pub(crate) const IDEMPOTENCY_KEYS: TableDefinition<'_, (u32, &str), &[u8]> = TableDefinition::new("idempotency_keys");
/// (milliseconds of its arrival, space, idempotency key) → nothing: the keys in the order in which they expire.
pub(crate) const IDEMPOTENCY_TIMES: TableDefinition<'_, (i64, u32, &str), ()> =
    TableDefinition::new("idempotency_times");
/// seq → how often the process crashed while the event was in flight, since its last commit.
pub(crate) const INTERRUPTED: TableDefinition<'_, u64, u32> = TableDefinition::new("interrupted");
/// (space, event's id) → the number of events caused by it for which automations were to be considered.
pub(crate) const DESCENDANTS: TableDefinition<'_, (u32, &str), u64> = TableDefinition::new("descendants");
/// seq → what is still to be done for the event, JSON.
pub(crate) const WORK: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("work");
/// (space, seq, ordinal) → run, JSON.
pub(crate) const RUNS: TableDefinition<'_, (u32, u64, u32), &[u8]> = TableDefinition::new("runs");
/// (space, seq, ordinal) → delivery, JSON.
pub(crate) const DELIVERIES: TableDefinition<'_, (u32, u64, u32), &[u8]> = TableDefinition::new("deliveries");
/// (space, seq, ordinal, number) → attempt, JSON.
pub(crate) const ATTEMPTS: TableDefinition<'_, (u32, u64, u32, u32), &[u8]> = TableDefinition::new("attempts");
/// (space, milliseconds at which it began, seq, ordinal, number) → the webhook's number, the status of the response (0:
/// none), 1 if it succeeded: every attempt by its time.
pub(crate) const ATTEMPT_LOG: TableDefinition<'_, LogKey, LogSummary> = TableDefinition::new("attempt_log");
/// (milliseconds, space, seq, ordinal) → nothing: finished deliveries by when they were finished.
pub(crate) const FINISHED: TableDefinition<'_, (i64, u32, u64, u32), ()> = TableDefinition::new("finished");
/// (space, webhook's number, milliseconds, seq, ordinal) → nothing: deliveries by when they are due.
pub(crate) const QUEUE: TableDefinition<'_, (u32, u64, i64, u64, u32), ()> = TableDefinition::new("queue");
/// (space, webhook's number, key, seq, ordinal) → nothing: deliveries that wait for an earlier one of their key.
pub(crate) const BLOCKED: TableDefinition<'_, (u32, u64, &str, u64, u32), ()> = TableDefinition::new("blocked");
/// (space, webhook's number, key) → (seq, ordinal) of the delivery that those in BLOCKED wait for.
pub(crate) const HEADS: TableDefinition<'_, (u32, u64, &str), (u64, u32)> = TableDefinition::new("heads");
/// (milliseconds, space, seq, ordinal, what) → nothing.
pub(crate) const DUE: TableDefinition<'_, (i64, u32, u64, u32, u8), ()> = TableDefinition::new("due");
/// (space, kind, id) → version (8 bytes, little endian), then JSON.
pub(crate) const RECORDS: TableDefinition<'_, (u32, &str, u64), &[u8]> = TableDefinition::new("records");
/// (space, kind, record, note) → JSON.
pub(crate) const NOTES: TableDefinition<'_, (u32, &str, u64, u64), &[u8]> = TableDefinition::new("notes");
/// (space, plugin, key) → version (8 bytes, little endian), its expiry (8 bytes, milliseconds; the maximum: never),
/// then the value.
pub(crate) const KEPT: TableDefinition<'_, (u32, &str, &str), &[u8]> = TableDefinition::new("kept");
/// (space, plugin) → bytes of its keys and values, and how many there are.
pub(crate) const KEPT_SIZES: TableDefinition<'_, (u32, &str), (u64, u64)> = TableDefinition::new("kept_sizes");
/// (milliseconds, space, plugin, key) → nothing: values that expire.
pub(crate) const KEPT_EXPIRY: TableDefinition<'_, (i64, u32, &str, &str), ()> = TableDefinition::new("kept_expiry");
/// (space, mail) → JSON.
pub(crate) const MAILS: TableDefinition<'_, (u32, u64), &[u8]> = TableDefinition::new("mails");
/// (space, plugin, seq, ordinal) → nothing: runs that wait for a plugin.
pub(crate) const PARKED: TableDefinition<'_, (u32, &str, u64, u32), ()> = TableDefinition::new("parked");
/// (space, kind of object, id) → JSON: automations, webhooks, sources, keys, plugins, policies, secrets, webhook
/// policies, event types.
pub(crate) const CONFIG: TableDefinition<'_, (u32, &str, &str), &[u8]> = TableDefinition::new("config");
/// (space, automation, revision) → JSON.
pub(crate) const REVISIONS: TableDefinition<'_, (u32, &str, u32), &[u8]> = TableDefinition::new("revisions");
/// SHA-256 in hex → component.
pub(crate) const COMPONENTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("components");
/// (space, kind) → the highest assigned id. Space 0: of the whole store.
pub(crate) const COUNTERS: TableDefinition<'_, (u32, &str), u64> = TableDefinition::new("counters");
/// The file's metadata.
pub(crate) const META: TableDefinition<'_, &str, &str> = TableDefinition::new("meta");

/// (space, kind, field, value, id) → nothing: records by the values of their indexed fields.
pub(crate) const RECORD_INDEX: TableDefinition<'_, (u32, &str, &str, &str, u64), ()> =
    TableDefinition::new("record_index");
/// (space, kind, record, version) → the change that made that version, JSON.
pub(crate) const HISTORY: TableDefinition<'_, (u32, &str, u64, u64), &[u8]> = TableDefinition::new("history");
/// (space, automation and key, seq, ordinal) → nothing: runs in a lane, in the order of the journal.
pub(crate) const LANES: TableDefinition<'_, (u32, &str, u64, u32), ()> = TableDefinition::new("lanes");
/// (space, seq, ordinal) → nothing: runs that have not ended and are no longer part of their event's work.
pub(crate) const LIVE: TableDefinition<'_, (u32, u64, u32), ()> = TableDefinition::new("live");
/// (space, seq, ordinal, step, item) → the outcome of a step for an item, JSON.
pub(crate) const ITEMS: TableDefinition<'_, (u32, u64, u32, u32, u32), &[u8]> = TableDefinition::new("items");
/// (space, source, number) → time of arrival (8 bytes, milliseconds, little endian), then JSON: requests at sources'
/// URLs.
pub(crate) const REQUESTS: TableDefinition<'_, (u32, &str, u64), &[u8]> = TableDefinition::new("requests");

/// (space, plugin, number) → when the call was made (8 bytes, little endian), then the recording, sealed.
pub(crate) const RECORDINGS: TableDefinition<'_, (u32, &str, u64), &[u8]> = TableDefinition::new("recordings");
/// (space, plugin) → how many recordings there are, and their bytes.
pub(crate) const RECORDING_SIZES: TableDefinition<'_, (u32, &str), (u64, u64)> =
    TableDefinition::new("recording_sizes");

/// The kinds of rows in [`CONFIG`].
pub(crate) const AUTOMATION: &str = "automation";
pub(crate) const SOURCE: &str = "source";
pub(crate) const KEY: &str = "key";
pub(crate) const PLUGIN: &str = "plugin";
pub(crate) const POLICY: &str = "policy";
pub(crate) const SECRET: &str = "secret";
pub(crate) const KIND: &str = "kind";
pub(crate) const WEBHOOK: &str = "webhook";
pub(crate) const WEBHOOK_POLICY: &str = "webhook-policy";
pub(crate) const EVENT_TYPE: &str = "event-type";
pub(crate) const WORKFLOW: &str = "workflow";

/// The counter of the journal.
pub(crate) const SEQ: (u32, &str) = (0, "seq");
/// The counters of numbers in a space. The kind of a record cannot contain a colon, so they are distinct from its ids.
pub(crate) const WEBHOOK_NUMBER: &str = ":webhook";
pub(crate) const WEBHOOK_POLICY_NUMBER: &str = ":webhook-policy";
/// Number of attempts.
pub(crate) const ATTEMPT_COUNT: (u32, &str) = (0, "attempts");
/// Marks a due row of a run, and of a mail. 0 was a delivery's up to format 1.
pub(crate) const DUE_RUN: u8 = 1;
pub(crate) const DUE_MAIL: u8 = 2;
/// Marks a due row of a schedule, whose number takes the position of the seq.
pub(crate) const DUE_SCHEDULE: u8 = 3;
/// The same of a source that is polled.
pub(crate) const DUE_POLL: u8 = 4;

/// The format of this version.
pub(crate) const FORMAT: u32 = 6;
/// The first format whose store has a commit log.
pub(crate) const LOGGED: u32 = 5;

/// Creates every table, so that reads find them.
pub(crate) fn create(transaction: &redb::WriteTransaction) -> Result<(), redb::Error> {
    {
        transaction.open_table(SPACES)?;
        transaction.open_table(EVENTS)?;
        transaction.open_table(EVENT_IDS)?;
        transaction.open_table(IDEMPOTENCY_KEYS)?;
        transaction.open_table(IDEMPOTENCY_TIMES)?;
        transaction.open_table(WORK)?;
        transaction.open_table(DESCENDANTS)?;
        transaction.open_table(INTERRUPTED)?;
        transaction.open_table(RUNS)?;
        transaction.open_table(DELIVERIES)?;
        transaction.open_table(ATTEMPTS)?;
        transaction.open_table(ATTEMPT_LOG)?;
        transaction.open_table(FINISHED)?;
        transaction.open_table(QUEUE)?;
        transaction.open_table(BLOCKED)?;
        transaction.open_table(HEADS)?;
        transaction.open_table(DUE)?;
        transaction.open_table(RECORDS)?;
        transaction.open_table(NOTES)?;
        transaction.open_table(KEPT)?;
        transaction.open_table(KEPT_SIZES)?;
        transaction.open_table(KEPT_EXPIRY)?;
        transaction.open_table(MAILS)?;
        transaction.open_table(PARKED)?;
        transaction.open_table(CONFIG)?;
        transaction.open_table(REVISIONS)?;
        transaction.open_table(COMPONENTS)?;
        transaction.open_table(COUNTERS)?;
        transaction.open_table(LANES)?;
        transaction.open_table(ITEMS)?;
        transaction.open_table(LIVE)?;
        transaction.open_table(REQUESTS)?;
        let mut meta = transaction.open_table(META)?;
        meta.insert("format", FORMAT.to_string().as_str())?;
        let instance = hookwright_model::unique("hw");
        if meta.get("instance")?.is_none() {
            meta.insert("instance", instance.as_str())?;
        }
    }
    transaction.open_table(RECORDINGS)?;
    transaction.open_table(RECORDING_SIZES)?;
    transaction.open_table(RECORD_INDEX)?;
    transaction.open_table(HISTORY)?;
    Ok(())
}

/// The file's format, if it is a store.
pub(crate) fn format(db: &redb::Database) -> Result<Option<String>, redb::Error> {
    let transaction = db.begin_read()?;
    match transaction.open_table(META) {
        Ok(table) => Ok(table.get("format")?.map(|value| value.value().to_owned())),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The store's unique id.
pub(crate) fn instance(db: &redb::Database) -> Result<String, redb::Error> {
    let table = db.begin_read()?.open_table(META)?;
    Ok(table.get("instance")?.map(|value| value.value().to_owned()).unwrap_or_default())
}

#[cfg(test)]
mod properties;
