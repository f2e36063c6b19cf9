//! The cursor of a service, as it is stored from poll to poll.

use std::collections::HashSet;

use hookwright_sdk::{Failure, kv};
use serde::{Deserialize, Serialize};

/// How many ids of items are remembered, and bytes of one; a longer one is remembered by a hash of it.
pub(crate) const REMEMBERED: usize = 10_000;
const LONGEST: usize = 16;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct State {
    /// The address it belongs to: another service is read from its beginning.
    url: String,
    #[serde(default)]
    pub(crate) cursor: Option<String>,
    /// The cursor once the last page was read.
    #[serde(default)]
    pub(crate) pending: Option<String>,
    /// The page with which the next poll goes on.
    #[serde(default)]
    pub(crate) resume: Option<String>,
    #[serde(default)]
    pub(crate) etag: Option<String>,
    #[serde(default)]
    pub(crate) last_modified: Option<String>,
    /// Ids of the items that were last seen, the newest first.
    #[serde(default)]
    seen: Vec<String>,
    /// The last page was never read yet.
    #[serde(default)]
    pub(crate) is_first: bool,
    #[serde(skip)]
    known: HashSet<String>,
}

impl State {
    pub(crate) fn kept(key: &str, url: &str) -> Result<Self, Failure> {
        let kept = kv::get(key)?.and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        Ok(match kept.filter(|kept| kept.url == url) {
            Some(mut kept) => {
                kept.known = kept.seen.iter().cloned().collect();
                kept
            }
            None => Self { url: url.to_owned(), is_first: true, ..Self::default() },
        })
    }

    pub(crate) fn keep(&self, key: &str) -> Result<(), Failure> {
        let text = serde_json::to_string(self)
            .map_err(|error| Failure::permanent("internal", format!("the state cannot be written: {error}")))?;
        kv::set(key, text, None)
    }

    pub(crate) fn knows(&self, id: &str) -> bool {
        self.known.contains(id)
    }

    pub(crate) fn know(&mut self, id: &str) {
        if !self.known.contains(id) {
            self.known.insert(id.to_owned());
        }
    }

    /// The last page was read: from now on what follows is asked for.
    pub(crate) fn advance(&mut self) {
        self.is_first = false;
        if let Some(cursor) = self.pending.take() {
            self.cursor = Some(cursor);
        }
    }

    /// Puts ids before those that are remembered, and forgets the oldest.
    pub(crate) fn remember(&mut self, ids: Vec<String>) {
        let new: HashSet<&String> = ids.iter().collect();
        let older: Vec<String> = self.seen.drain(..).filter(|id| !new.contains(id)).collect();
        self.seen = ids.into_iter().chain(older).take(REMEMBERED).collect();
    }
}

/// An id as it is remembered: a long one by its FNV-1a hash of 64 bits.
pub(crate) fn short(id: &str) -> String {
    if id.len() <= LONGEST {
        return id.to_owned();
    }
    let hash = id
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("#{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_id_is_remembered_by_its_hash_and_the_oldest_are_forgotten() {
        assert_eq!(short("1234567890123456"), "1234567890123456");
        let (one, other) = (short("12345678901234567"), short("12345678901234568"));
        assert!(one != other && one.len() == 17, "{one} {other}");
        let mut state = State::default();
        state.remember((0..REMEMBERED).map(|id| id.to_string()).collect());
        state.remember(vec!["new".into(), "5".into()]);
        assert_eq!((state.seen.len(), &state.seen[..3]), (REMEMBERED, &["new".into(), "5".into(), "0".into()][..]));
        assert_eq!(state.seen.iter().filter(|id| *id == "5").count(), 1);
    }
}
