//! The stored values of plugins that a step has read or changed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use super::stored::Stored;
use crate::{Change, Effects, Failure, KvKey, KvWrite, Timestamp, Version};

/// Maximum length of a key, in bytes.
const MAX_KEY: usize = 512;

/// The quota of a plugin in a space.
#[derive(Clone, Copy, Debug)]
pub struct KvQuota {
    /// Bytes of keys and values.
    pub bytes: u64,
    /// Number of values.
    pub keys: u64,
}

/// The values that a step has read or changed.
pub(super) struct OpenValues {
    now: Timestamp,
    values: BTreeMap<KvKey, OpenValue>,
}

/// A stored value that the step has read or changed.
struct OpenValue {
    /// The version that was read. `None`: there was no value.
    version: Option<Version>,
    /// Bytes of key and value, as the store counts them.
    stored: u64,
    value: Option<(Bytes, Option<Timestamp>)>,
    touched: bool,
    /// Whether the step depends on the previous value. An unconditional replacement does not.
    relied: bool,
}

impl OpenValues {
    /// Empty, at a time by which values have expired.
    pub(super) fn new(now: Timestamp) -> Self {
        Self { now, values: BTreeMap::new() }
    }

    /// Number of values that the step changes.
    pub(super) fn changes(&self) -> usize {
        self.values.values().filter(|open| open.touched).count()
    }

    /// The value under a key.
    pub(super) fn value(&mut self, stored: &mut Stored, key: &KvKey) -> Result<Option<Bytes>, Failure> {
        let open = self.open(stored, key)?;
        open.relied = true;
        Ok(open.value.as_ref().map(|(value, _)| value.clone()))
    }

    /// Stores a value and replaces a previous one. `ttl_seconds` is its lifetime; `None`: until it is replaced or
    /// removed.
    pub(super) fn keep(
        &mut self,
        stored: &mut Stored,
        key: &KvKey,
        value: Bytes,
        ttl_seconds: Option<u32>,
        quota: KvQuota,
    ) -> Result<(), Failure> {
        let expires_at = ttl_seconds.map(|seconds| self.now.after(Duration::from_secs(u64::from(seconds))));
        let open = self.open(stored, key)?;
        let former = open.value.replace((value, expires_at));
        let was_touched = std::mem::replace(&mut open.touched, true);
        if let Err(failure) = self.within(stored, &key.plugin, quota) {
            // The change is refused, so the previous value stays.
            let open = self.open(stored, key)?;
            open.value = former;
            open.touched = was_touched;
            return Err(failure);
        }
        Ok(())
    }

    /// Removes a value, if there is one.
    pub(super) fn forget(&mut self, stored: &mut Stored, key: &KvKey) -> Result<(), Failure> {
        let open = self.open(stored, key)?;
        if open.value.take().is_some() || open.stored > 0 {
            open.touched = true;
        }
        Ok(())
    }

    /// Keys that begin with `prefix`, in byte order.
    pub(super) fn keys(
        &self,
        stored: &Stored,
        plugin: &str,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<String>, Failure> {
        // The step may have removed some, so as many more are read.
        let more = limit.saturating_add(self.values.len());
        let stored = stored.kept_keys(plugin, prefix, more)?;
        let mut keys: BTreeSet<String> = stored
            .into_iter()
            .filter(|(_, expires_at)| expires_at.is_none_or(|at| at > self.now))
            .map(|(key, _)| key)
            .collect();
        for (key, open) in self.values.iter().filter(|(key, _)| key.plugin == plugin && key.key.starts_with(prefix)) {
            if open.value.is_some() {
                keys.insert(key.key.clone());
            } else {
                keys.remove(&key.key);
            }
        }
        Ok(keys.into_iter().take(limit).collect())
    }

    /// Adds the changes to commit.
    pub(super) fn finish(self, effects: &mut Effects) {
        for (key, open) in self.values {
            if open.relied {
                effects.kept_reads.push((key.clone(), open.version));
            }
            if open.touched {
                effects.changes.push(change(&key, open.value.as_ref()));
                effects.kept.push(KvWrite { key, value: open.value });
            }
        }
    }

    fn open(&mut self, stored: &mut Stored, key: &KvKey) -> Result<&mut OpenValue, Failure> {
        if key.key.is_empty() || key.key.len() > MAX_KEY {
            let message = format!("the key has {} bytes: give it 1 to {MAX_KEY}", key.key.len());
            return Err(Failure::permanent("kv.key_invalid", message));
        }
        if !self.values.contains_key(key) {
            let kept = stored.kept(key)?;
            let size = kept.as_ref().map_or(0, |kept| size(&key.key, &kept.value));
            let version = kept.as_ref().map(|kept| kept.version);
            let live = kept.filter(|kept| kept.expires_at.is_none_or(|at| at > self.now));
            let value = live.map(|kept| (kept.value, kept.expires_at));
            self.values.insert(key.clone(), OpenValue { version, stored: size, value, touched: false, relied: false });
        }
        let missing = || Failure::permanent("internal", "the value is not open");
        self.values.get_mut(key).ok_or_else(missing)
    }

    /// Whether the plugin would stay within its quota.
    fn within(&self, stored: &Stored, plugin: &str, quota: KvQuota) -> Result<(), Failure> {
        let kept = stored.kept_size(plugin)?;
        let (mut bytes, mut keys) = (kept.bytes, kept.keys);
        for (key, open) in self.values.iter().filter(|(key, open)| key.plugin == plugin && open.touched) {
            bytes = bytes.saturating_sub(open.stored);
            keys = keys.saturating_sub(u64::from(open.stored > 0));
            if let Some((value, _)) = &open.value {
                bytes = bytes.saturating_add(size(&key.key, value));
                keys = keys.saturating_add(1);
            }
        }
        if bytes <= quota.bytes && keys <= quota.keys {
            return Ok(());
        }
        let message = format!(
            "the plugin would store {keys} values of {bytes} bytes: at most {} of {}; remove some, give them a ttl, or \
             raise its limits kv_keys and kv_bytes",
            quota.keys, quota.bytes
        );
        Err(Failure::permanent("kv.quota_exceeded", message))
    }
}

/// The size of a value, as it is counted.
fn size(key: &str, value: &Bytes) -> u64 {
    u64::try_from(key.len().saturating_add(value.len())).unwrap_or(u64::MAX)
}

/// How a change is shown: without the value, which is private to the plugin.
fn change(key: &KvKey, value: Option<&(Bytes, Option<Timestamp>)>) -> Change {
    let subject = format!("kv/{}/{}", key.plugin, key.key);
    match value {
        Some((value, expires_at)) => {
            let detail = json!({"bytes": value.len(), "expires_at": expires_at.map(|at| at.to_string())});
            Change { kind: "kv.set".to_owned(), subject, detail }
        }
        None => Change { kind: "kv.removed".to_owned(), subject, detail: serde_json::Value::Null },
    }
}
