use std::fmt;
use std::str::FromStr;

/// A place in a list that is read newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The event's place in the journal.
    pub seq: u64,
    /// Which of the event's.
    pub ordinal: u32,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.seq, self.ordinal)
    }
}

impl FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (seq, ordinal) = text.split_once('_').ok_or(())?;
        Ok(Self { seq: seq.parse().map_err(|_| ())?, ordinal: ordinal.parse().map_err(|_| ())? })
    }
}

/// Which part of a list is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Page<C = Cursor> {
    /// Only what comes before it; none: from the newest.
    pub before: Option<C>,
    /// At most so many.
    pub limit: usize,
}

/// Part of a list.
#[derive(Clone, Debug)]
pub struct Listing<T, C = Cursor> {
    /// Newest first.
    pub items: Vec<T>,
    /// Where the next part begins; none at the end. A part can be short of its limit, even empty, with more to follow:
    /// what one call looks at is bounded.
    pub next: Option<C>,
}

/// How many rows one call looks at.
pub(crate) const SCANNED: usize = 10_000;

impl<T, C> Listing<T, C> {
    pub(crate) fn empty() -> Self {
        Self { items: Vec::new(), next: None }
    }
}

impl<T> Listing<T> {
    /// Fills a part from rows, newest first, keeping those for which `read` gives something.
    pub(crate) fn fill<R, E>(
        limit: usize,
        rows: impl Iterator<Item = Result<R, E>>,
        cursor: impl Fn(&R) -> Cursor,
        mut read: impl FnMut(R) -> Result<Option<T>, E>,
    ) -> Result<Self, E> {
        let mut listing = Self::empty();
        let mut last = None;
        for (scanned, row) in rows.enumerate() {
            let row = row?;
            if listing.items.len() >= limit || scanned >= SCANNED {
                listing.next = last;
                return Ok(listing);
            }
            last = Some(cursor(&row));
            listing.items.extend(read(row)?);
        }
        Ok(listing)
    }
}
