//! Idempotency keys, with what their requests created. A key is written in the commit that creates these objects, so a
//! crash cannot separate the two, and of two requests with one key the writer executes only the first. It is stored for
//! a limited time: each key also has a row ordered by its time of arrival, by which expired keys are found.

use std::ops::RangeBounds;
use std::time::Duration;

use hookwright_model::{KeyedRequest, Made, NewEvent, SpaceId, Timestamp};
use redb::ReadableTableMetadata as _;
use serde::{Deserialize, Serialize};

use crate::backlog::Backlog;
use crate::batch::Batch;
use crate::db::Db;
use crate::journal::{self, Appended, FAULTS, Prepared};
use crate::tables::{IDEMPOTENCY_KEYS, IDEMPOTENCY_TIMES};
use crate::{StoreError, rows};

/// The number of keys whose time is corrected in one commit.
const CHUNK: usize = 1000;

/// A row of [`IDEMPOTENCY_TIMES`]: the key's time of arrival, the space, and the key.
type KeyTime = (i64, u32, String);

/// The time of a request with a key, and the keys that have not expired then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyWindow {
    /// The time of the request.
    pub now: Timestamp,
    /// Keys from before this time have expired.
    pub since: Timestamp,
}

impl KeyWindow {
    /// The window of a request at `now`, where keys expire after `ttl`.
    pub fn new(now: Timestamp, ttl: Duration) -> Self {
        let ttl = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
        Self { now, since: Timestamp::from_millis(now.millis().saturating_sub(ttl)) }
    }
}

/// A request with a key, and what it creates.
#[derive(Clone, Debug)]
pub struct Keyed {
    /// The request.
    pub request: KeyedRequest,
    /// The objects that its commit creates.
    pub made: Made,
    /// Its time.
    pub window: KeyWindow,
}

/// The stored information about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// The same request had it, and created this.
    Retry(Made),
    /// Another request had it.
    Reused,
}

#[derive(Serialize, Deserialize)]
struct KeyRow {
    /// The time of the request, in milliseconds since 1970, as in [`IDEMPOTENCY_TIMES`].
    at_ms: i64,
    fingerprint: String,
    made: Made,
}

impl KeyRow {
    /// Evaluates it for a request. `None`: it has expired.
    fn of(self, request: &KeyedRequest, window: KeyWindow) -> Option<Known> {
        if self.at_ms < window.since.millis() {
            return None;
        }
        Some(if self.fingerprint == request.fingerprint { Known::Retry(self.made) } else { Known::Reused })
    }
}

/// The writer's information about a request's key; `None`: the key is new, or has expired.
pub(crate) fn known(
    batch: &mut Batch<'_>,
    space: u32,
    request: &KeyedRequest,
    window: KeyWindow,
) -> Result<Option<Known>, StoreError> {
    let row = batch.idempotency_keys()?.get((space, request.key.as_str()))?;
    let row = row.map(|row| rows::read::<KeyRow>(row.value())).transpose()?;
    Ok(row.and_then(|row| row.of(request, window)))
}

/// Records what a request created, in place of the entry of an expired key with the same text.
pub(crate) fn remember(batch: &mut Batch<'_>, space: u32, keyed: Keyed) -> Result<(), StoreError> {
    let Keyed { request, made, window } = keyed;
    let (key, at_ms) = (request.key.as_str(), window.now.millis());
    let former = {
        let found = batch.idempotency_keys()?.get((space, key))?;
        found.map(|row| rows::read::<KeyRow>(row.value())).transpose()?
    };
    if let Some(former) = former {
        batch.idempotency_times()?.remove((former.at_ms, space, key))?;
    }
    let row = rows::json(&KeyRow { at_ms, fingerprint: request.fingerprint.clone(), made })?;
    batch.idempotency_keys()?.insert((space, key), row.as_slice())?;
    batch.idempotency_times()?.insert((at_ms, space, key), ())?;
    Ok(())
}

/// Idempotency keys.
#[derive(Clone)]
pub struct IdempotencyKeys {
    pub(crate) db: Db,
    pub(crate) backlog: Backlog,
}

impl IdempotencyKeys {
    /// The stored information about a request's key; `None`: the key is new, or has expired.
    pub fn known_request(
        &self,
        space: &SpaceId,
        request: &KeyedRequest,
        window: KeyWindow,
    ) -> Result<Option<Known>, StoreError> {
        let Some(number) = self.db.number(space) else { return Ok(None) };
        let read = self.db.begin_read()?;
        let row = read.open_table(IDEMPOTENCY_KEYS)?.get((number, request.key.as_str()))?;
        let row = row.map(|row| rows::read::<KeyRow>(row.value())).transpose()?;
        Ok(row.and_then(|row| row.of(request, window)))
    }

    /// Appends the events of a request with a key, as [`Events::append`](crate::Events::append) does; if the key is
    /// known, nothing is written.
    pub async fn append_keyed(
        &self,
        space: &SpaceId,
        events: Vec<NewEvent>,
        request: &KeyedRequest,
        window: KeyWindow,
    ) -> Result<Result<Vec<Appended>, Known>, StoreError> {
        let prepared = journal::prepare(&self.backlog, events)?;
        let bytes = prepared.iter().map(Prepared::bytes).sum();
        let (into, space, request) = (space, space.clone(), request.clone());
        self.db
            .write_now(into, Some(FAULTS), bytes, move |batch| {
                let number = batch.number(&space)?;
                if let Some(known) = known(batch, number, &request, window)? {
                    return Ok(Err(known));
                }
                let appended: Result<Vec<_>, _> =
                    prepared.into_iter().map(|event| journal::append(batch, event)).collect();
                let appended = appended?;
                let made = Made::Events(appended.iter().map(|event| event.seq).collect());
                remember(batch, number, Keyed { request, made, window })?;
                Ok(Ok(appended))
            })
            .await
    }

    /// Removes keys from before `before`, at most `limit` of them, the oldest first, in one commit. Returns how many
    /// were removed; fewer than `limit`: none are left.
    pub async fn sweep_idempotency_keys(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let old = keys_by_time(&self.db, ..(before.millis(), 0, ""), limit)?;
        if old.is_empty() {
            return Ok(0);
        }
        self.db
            .write(None, old.len().saturating_mul(64), move |batch| {
                for (at_ms, space, key) in &old {
                    // A key that was used again in the meantime has another time.
                    if batch.idempotency_times()?.remove((*at_ms, *space, key.as_str()))?.is_some() {
                        batch.idempotency_keys()?.remove((*space, key.as_str()))?;
                    }
                }
                Ok(old.len())
            })
            .await
    }

    /// Number of stored keys, in all spaces.
    pub fn idempotency_key_count(&self) -> Result<u64, StoreError> {
        Ok(self.db.begin_read()?.open_table(IDEMPOTENCY_KEYS)?.len()?)
    }
}

/// The keys whose time is within `range`, at most `limit` of them, the oldest first.
fn keys_by_time(
    db: &Db,
    range: impl RangeBounds<(i64, u32, &'static str)>,
    limit: usize,
) -> Result<Vec<KeyTime>, StoreError> {
    let read = db.begin_read()?;
    let times = read.open_table(IDEMPOTENCY_TIMES)?;
    let mut found = Vec::new();
    for row in times.range(range)?.take(limit) {
        let (key, _) = row?;
        let (at_ms, space, key) = key.value();
        found.push((at_ms, space, key.to_owned()));
    }
    Ok(found)
}

/// Sets the time of keys whose time is later than `now`, because the clock was wrong, to `now`, from which their
/// expiry is counted.
pub(crate) async fn pull_back(db: &Db, now: Timestamp) -> Result<(), StoreError> {
    loop {
        let late = keys_by_time(db, (now.millis().saturating_add(1), 0, "").., CHUNK)?;
        let count = late.len();
        if count > 0 {
            db.write(None, count.saturating_mul(256), move |batch| {
                for (at_ms, space, key) in &late {
                    pull_back_key(batch, (*at_ms, *space, key.as_str()), now)?;
                }
                Ok(())
            })
            .await?;
        }
        if count < CHUNK {
            return Ok(());
        }
    }
}

fn pull_back_key(
    batch: &mut Batch<'_>,
    (at_ms, space, key): (i64, u32, &str),
    now: Timestamp,
) -> Result<(), StoreError> {
    if batch.idempotency_times()?.remove((at_ms, space, key))?.is_none() {
        return Ok(());
    }
    let stored = {
        let found = batch.idempotency_keys()?.get((space, key))?;
        found.map(|row| rows::read::<KeyRow>(row.value())).transpose()?
    };
    let Some(stored) = stored else { return Ok(()) };
    let row = rows::json(&KeyRow { at_ms: now.millis(), ..stored })?;
    batch.idempotency_keys()?.insert((space, key), row.as_slice())?;
    batch.idempotency_times()?.insert((now.millis(), space, key), ())?;
    Ok(())
}
