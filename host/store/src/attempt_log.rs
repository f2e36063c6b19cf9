//! The log of attempts, by time.

use std::fmt;
use std::ops::Bound;
use std::str::FromStr;

use hookwright_model::{Attempt, Delivery, SpaceId, Timestamp};

use crate::attempts::Attempts;
use crate::page::{Listing, Page};
use crate::tables::{ATTEMPT_LOG, ATTEMPTS, DELIVERIES, LogKey};
use crate::{StoreError, rows};

/// The maximum number of summaries that one call reads.
const SUMMARIES: usize = 20_000;
/// The maximum number of complete attempts that one call reads: each can have 128 KiB.
const WHOLE: usize = 1_000;

/// Filters attempts.
#[derive(Clone, Copy)]
pub struct AttemptQuery<'a> {
    /// Only those that began at this time or later.
    pub from: Option<Timestamp>,
    /// Only those that began before it.
    pub until: Option<Timestamp>,
    /// Only those to the webhook of this number.
    pub queue: Option<u64>,
    /// Only those that succeeded, or that did not.
    pub succeeded: Option<bool>,
    /// Only those with this status.
    pub status: Option<u16>,
    /// Only those for which this returns true. It is called last.
    pub keep: &'a dyn Fn(&Delivery, &Attempt) -> bool,
}

/// A position in the log of attempts, which is read newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogCursor {
    /// When the attempt began.
    pub started_at: Timestamp,
    /// The event's position in the journal.
    pub seq: u64,
    /// The ordinal of the delivery.
    pub ordinal: u32,
    /// The number of the attempt.
    pub number: u32,
}

impl fmt::Display for LogCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}_{}_{}", self.started_at.millis(), self.seq, self.ordinal, self.number)
    }
}

impl FromStr for LogCursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.splitn(4, '_');
        let mut part = || parts.next().ok_or(());
        Ok(Self {
            started_at: Timestamp::from_millis(part()?.parse().map_err(|_| ())?),
            seq: part()?.parse().map_err(|_| ())?,
            ordinal: part()?.parse().map_err(|_| ())?,
            number: part()?.parse().map_err(|_| ())?,
        })
    }
}

impl Attempts {
    /// Attempts by their start, newest first, each with its delivery. A page can have fewer entries than its limit,
    /// even none, with more to follow: one call reads at most 20,000 summaries and 1,000 complete attempts.
    pub fn attempt_log(
        &self,
        space: &SpaceId,
        query: &AttemptQuery<'_>,
        page: Page<LogCursor>,
    ) -> Result<Listing<(Delivery, Attempt), LogCursor>, StoreError> {
        let mut listing = Listing::empty();
        let Some(number) = self.db.number(space) else { return Ok(listing) };
        let first = (number, query.from.map_or(i64::MIN, Timestamp::millis), 0, 0, 0);
        let until = query.until.map(|until| (number, until.millis(), 0, 0, 0));
        let before = page.before.map(|at| (number, at.started_at.millis(), at.seq, at.ordinal, at.number));
        let end = match (until, before) {
            (Some(until), Some(before)) => Some(until.min(before)),
            (one, other) => one.or(other),
        };
        let end = end.map_or(Bound::Included((number, i64::MAX, u64::MAX, u32::MAX, u32::MAX)), Bound::Excluded);
        if matches!(end, Bound::Excluded(end) if end <= first) {
            return Ok(listing);
        }
        let read = self.db.begin_read()?;
        let (log, deliveries) = (read.open_table(ATTEMPT_LOG)?, read.open_table(DELIVERIES)?);
        let attempts = read.open_table(ATTEMPTS)?;
        let mut whole = 0_usize;
        let mut last = None;
        let rows = log.range::<LogKey>((Bound::Included(first), end))?.rev();
        for (scanned, row) in rows.enumerate() {
            let (key, value) = row?;
            if listing.items.len() >= page.limit || scanned >= SUMMARIES || whole >= WHOLE {
                listing.next = last;
                return Ok(listing);
            }
            let (_, started, seq, ordinal, count) = key.value();
            last = Some(LogCursor { started_at: Timestamp::from_millis(started), seq, ordinal, number: count });
            let (queue, status, succeeded) = value.value();
            let wanted = query.queue.is_none_or(|wanted| wanted == queue)
                && query.status.is_none_or(|wanted| wanted == status)
                && query.succeeded.is_none_or(|wanted| wanted == (succeeded == 1));
            if !wanted {
                continue;
            }
            whole = whole.saturating_add(1);
            let Some(delivery) = deliveries.get((number, seq, ordinal))? else { continue };
            let Some(attempt) = attempts.get((number, seq, ordinal, count))? else { continue };
            let (delivery, attempt) = (rows::read(delivery.value())?, rows::read(attempt.value())?);
            if (query.keep)(&delivery, &attempt) {
                listing.items.push((delivery, attempt));
            }
        }
        Ok(listing)
    }
}
