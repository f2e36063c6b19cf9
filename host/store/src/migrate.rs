//! Migrates a file of an earlier format to the current one, one format after the other. An interrupted step is
//! repeated.
//!
//! | format | since | what changed |
//! |---|---|---|
//! | 1 | | the first |
//! | 2 | queues | webhooks have a number, `enabled` and `keys` for `state` and `secret`; pending deliveries lie in `queue`, no longer in `due`; finished ones in `finished`; attempts in `attempt_log`, and are counted |
//! | 3 | recovery | runs in progress outside of their event's work are listed in `live`, and each has a row by which it is continued |
//! | 4 | keys that expire | idempotency keys have their time of arrival, and a row in `idempotency_times` |
//! | 5 | the commit log | what the file lacks is in the commit log beside it; `meta` says how much of it the file has |
//! | 6 | short heads | the row of a run begins with a head (`rows/run.rs`); rows without one are read as they are |

use std::collections::HashMap;

use hookwright_model::{Attempt, Clock as _, Delivery, DeliveryId, DeliveryState, SystemClock, Webhook};
use redb::{Database, ReadableTable as _, WriteTransaction};
use serde_json::{Value, json};

use crate::continuation::{self, Checked};
use crate::tables::{
    ATTEMPT_COUNT, ATTEMPT_LOG, ATTEMPTS, CONFIG, COUNTERS, DELIVERIES, DUE, FINISHED, FORMAT, IDEMPOTENCY_KEYS,
    IDEMPOTENCY_TIMES, META, QUEUE, RUNS, WEBHOOK, WEBHOOK_NUMBER, format,
};
use crate::{StoreError, rows};

/// Marks a due row of a delivery in format 1.
const DUE_DELIVERY: u8 = 0;
/// The number of deliveries, or keys, in memory at a time.
const CHUNK: usize = 1000;

/// The number of each webhook, by its space and id.
type Numbers = HashMap<(u32, String), u64>;

/// Migrates the file to the newest format. A new file needs no migration.
pub(crate) fn to_newest(db: &Database) -> Result<(), StoreError> {
    let Some(found) = format(db)? else { return Ok(()) };
    if found == FORMAT.to_string() {
        return Ok(());
    }
    tracing::info!(from = found, to = FORMAT, "the store's file is upgraded to the newest format");
    if found == "1" {
        let transaction = db.begin_write()?;
        let numbers = webhooks(&transaction)?;
        deliveries(&transaction, &numbers)?;
        due(&transaction)?;
        transaction.open_table(META)?.insert("format", "2")?;
        transaction.commit()?;
    }
    if found == "1" || found == "2" {
        // If it is interrupted, it is repeated from the beginning: a run that has its rows is not changed.
        let transaction = db.begin_write()?;
        transaction.open_table(RUNS)?;
        transaction.commit()?;
        report(continuation::adopt(db)?);
    }
    let transaction = db.begin_write()?;
    if ["1", "2", "3"].contains(&found.as_str()) {
        idempotency_keys(&transaction)?;
    }
    transaction.open_table(META)?.insert("format", FORMAT.to_string().as_str())?;
    transaction.commit()?;
    Ok(())
}

/// Logs the number of runs in progress, and the number of them that nothing would have continued.
pub(crate) fn report(Checked { live, repaired }: Checked) {
    if repaired > 0 {
        tracing::warn!(
            live,
            repaired,
            "runs in progress that nothing would have continued were found; they continue now"
        );
    } else if live > 0 {
        tracing::info!(live, repaired, "every run in progress will be continued");
    }
}

/// Numbers the webhooks of each space in the order of their ids, which is that of their age.
fn webhooks(transaction: &WriteTransaction) -> Result<Numbers, StoreError> {
    let mut config = transaction.open_table(CONFIG)?;
    let mut counters = transaction.open_table(COUNTERS)?;
    let mut found = Vec::new();
    for row in config.iter()? {
        let (key, row) = row?;
        let (space, kind, id) = key.value();
        if kind == WEBHOOK {
            found.push((space, id.to_owned(), rows::read::<Value>(row.value())?));
        }
    }
    let mut numbers = Numbers::new();
    for (space, id, mut row) in found {
        let number = counters.get((space, WEBHOOK_NUMBER))?.map_or(0, |value| value.value()).saturating_add(1);
        counters.insert((space, WEBHOOK_NUMBER), number)?;
        let fields = row.as_object_mut().ok_or_else(|| rows::corrupt(&format!("webhook {id} is not an object")))?;
        fields.insert("number".to_owned(), number.into());
        if let Some(state) = fields.remove("state") {
            fields.insert("enabled".to_owned(), (state == "active").into());
        }
        if let Some(sealed) = fields.remove("secret") {
            let created_at = fields.get("created_at").cloned().unwrap_or_default();
            fields.insert("keys".to_owned(), json!([{"id": "k1", "sealed": sealed, "created_at": created_at}]));
        }
        let webhook: Webhook =
            serde_json::from_value(row).map_err(|error| rows::corrupt(&format!("webhook {id}: {error}")))?;
        config.insert((space, WEBHOOK, id.as_str()), rows::json(&webhook)?.as_slice())?;
        numbers.insert((space, id), number);
    }
    Ok(numbers)
}

/// Gives each delivery its queue, puts the pending ones there, and fills the log of attempts.
fn deliveries(transaction: &WriteTransaction, numbers: &Numbers) -> Result<(), StoreError> {
    let mut table = transaction.open_table(DELIVERIES)?;
    let mut queue = transaction.open_table(QUEUE)?;
    let mut finished = transaction.open_table(FINISHED)?;
    let attempts = transaction.open_table(ATTEMPTS)?;
    let mut log = transaction.open_table(ATTEMPT_LOG)?;
    let mut count = 0_u64;
    let mut from = Some((0, 0, 0));
    while let Some(first) = from {
        let mut chunk: Vec<(u32, Delivery)> = Vec::new();
        for row in table.range(first..)?.take(CHUNK) {
            let (key, row) = row?;
            chunk.push((key.value().0, rows::read(row.value())?));
        }
        from = chunk.last().map(|(space, last)| following(*space, last.id));
        for (space, mut delivery) in chunk {
            let DeliveryId { seq, ordinal } = delivery.id;
            // Queue 0 belongs to no webhook: deliveries that wait for a deleted webhook are dead-lettered from there.
            let number = numbers.get(&(space, delivery.webhook.to_string())).copied().unwrap_or(0);
            delivery.queue = number;
            let mut last = delivery.created_at;
            for row in attempts.range((space, seq, ordinal, 0)..=(space, seq, ordinal, u32::MAX))? {
                let attempt: Attempt = rows::read(row?.1.value())?;
                let place = (space, attempt.started_at.millis(), seq, ordinal, attempt.number);
                log.insert(place, rows::log_summary(number, &attempt))?;
                count = count.saturating_add(1);
                last = last.max(attempt.started_at);
            }
            if delivery.state == DeliveryState::Pending {
                let at = *delivery.next_attempt_at.get_or_insert(delivery.created_at);
                queue.insert((space, number, at.millis(), seq, ordinal), ())?;
            } else {
                let at = delivery.finished_at.map_or(last, |at| at.max(last));
                finished.insert((at.millis(), space, seq, ordinal), ())?;
            }
            table.insert((space, seq, ordinal), rows::json(&delivery)?.as_slice())?;
        }
    }
    transaction.open_table(COUNTERS)?.insert(ATTEMPT_COUNT, count)?;
    Ok(())
}

/// The key after a delivery's.
fn following(space: u32, id: DeliveryId) -> (u32, u64, u32) {
    match id.ordinal.checked_add(1) {
        Some(ordinal) => (space, id.seq, ordinal),
        None => (space, id.seq.saturating_add(1), 0),
    }
}

/// Removes the rows from `due` that are in the queues now.
fn due(transaction: &WriteTransaction) -> Result<(), StoreError> {
    transaction.open_table(DUE)?.retain(|(_, _, _, _, what), ()| what != DUE_DELIVERY)?;
    Ok(())
}

/// Sets the time of each idempotency key, which had none up to format 3, to the time of this start, from which its
/// expiry is counted.
fn idempotency_keys(transaction: &WriteTransaction) -> Result<(), StoreError> {
    let mut keys = transaction.open_table(IDEMPOTENCY_KEYS)?;
    let mut times = transaction.open_table(IDEMPOTENCY_TIMES)?;
    let now = SystemClock.now().millis();
    let mut from = Some((0_u32, String::new()));
    while let Some((space, first)) = from.take() {
        let mut chunk: Vec<(u32, String, Value)> = Vec::new();
        for row in keys.range((space, first.as_str())..)?.take(CHUNK) {
            let (key, row) = row?;
            let (space, key) = key.value();
            chunk.push((space, key.to_owned(), rows::read(row.value())?));
        }
        // No string sorts between a string and the same string with a NUL appended.
        from = chunk.last().map(|(space, key, _)| (*space, format!("{key}\0")));
        for (space, key, mut row) in chunk {
            let fields =
                row.as_object_mut().ok_or_else(|| rows::corrupt("an idempotency key's row is not an object"))?;
            fields.insert("at_ms".to_owned(), now.into());
            keys.insert((space, key.as_str()), rows::json(&row)?.as_slice())?;
            times.insert((now, space, key.as_str()), ())?;
        }
    }
    Ok(())
}
