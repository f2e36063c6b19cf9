//! How far a service was read, as it is kept from poll to poll.

use std::collections::HashSet;

use hookwright_sdk::{Failure, crypto, encoding, kv};
use serde::{Deserialize, Serialize};

/// How many ids of items are remembered, and bytes of one; a longer one is remembered by its SHA-256.
const REMEMBERED: usize = 2000;
const LONGEST: usize = 64;

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

/// An id as it is remembered.
pub(crate) fn short(id: &str) -> Result<String, Failure> {
    if id.len() <= LONGEST {
        return Ok(id.to_owned());
    }
    Ok(encoding::hex_encode(&crypto::digest("sha256", id.as_bytes())?))
}
