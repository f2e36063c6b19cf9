use std::fmt;
use std::str::FromStr;

/// A position in a list that is read newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The event's position in the journal.
    pub seq: u64,
    /// The ordinal among the event's items.
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

/// The requested part of a list.
#[derive(Clone, Copy, Debug)]
pub struct Page<C = Cursor> {
    /// Only items before it; `None`: from the newest.
    pub before: Option<C>,
    /// The maximum number of items.
    pub limit: usize,
}

/// Part of a list.
#[derive(Clone, Debug)]
pub struct Listing<T, C = Cursor> {
    /// Newest first.
    pub items: Vec<T>,
    /// The start of the next page; `None` at the end. A page can have fewer items than its limit, even none, with more
    /// to follow: the number of rows that one call reads is limited.
    pub next: Option<C>,
}

/// The maximum number of rows that one call reads.
pub(crate) const SCANNED: usize = 10_000;

impl<T, C> Listing<T, C> {
    pub(crate) fn empty() -> Self {
        Self { items: Vec::new(), next: None }
    }
}

impl<T> Listing<T> {
    /// Fills a page from rows, newest first, with the items that `read` returns.
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
