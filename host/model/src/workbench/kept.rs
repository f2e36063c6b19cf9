//! What plugins keep from one call to the next.

use bytes::Bytes;
use serde_json::json;

use super::{OpenValue, Workbench};
use crate::{Change, Failure, KvKey, Timestamp};

/// How long a key may be, in bytes.
const MAX_KEY: usize = 512;
/// How large a value may be, in bytes.
const MAX_VALUE: usize = 1024 * 1024;
/// How many keys one answer lists.
const MAX_LISTED: usize = 1000;

/// How much a plugin may keep in a space.
#[derive(Clone, Copy, Debug)]
pub struct KvQuota {
    /// Bytes of keys and values.
    pub bytes: u64,
    /// How many values.
    pub keys: u64,
}

impl Workbench {
    /// The value under a key.
    pub fn kept(&mut self, plugin: &str, key: &str) -> Result<Option<Bytes>, Failure> {
        let open = self.open_value(plugin, key)?;
        Ok(open.value.as_ref().map(|(value, _)| value.clone()))
    }

    /// Keeps a value; `ttl_seconds`: for how long, none: until it is replaced or removed.
    pub fn keep(
        &mut self,
        plugin: &str,
        key: &str,
        value: Bytes,
        ttl_seconds: Option<u32>,
        quota: KvQuota,
    ) -> Result<(), Failure> {
        self.room()?;
        if value.len() > MAX_VALUE {
            let message = format!("the value has {} bytes: at most {MAX_VALUE}", value.len());
            return Err(Failure::permanent("kv.value_too_large", message));
        }
        let expires_at = ttl_seconds.map(|seconds| self.now.after(std::time::Duration::from_secs(u64::from(seconds))));
        let open = self.open_value(plugin, key)?;
        let former = open.value.replace((value, expires_at));
        let was_touched = std::mem::replace(&mut open.touched, true);
        if let Err(failure) = self.within(plugin, quota) {
            // Refused, so it stays as it was.
            let open = self.open_value(plugin, key)?;
            open.value = former;
            open.touched = was_touched;
            return Err(failure);
        }
        Ok(())
    }

    /// Takes a value away, if there is one.
    pub fn forget(&mut self, plugin: &str, key: &str) -> Result<(), Failure> {
        self.room()?;
        let open = self.open_value(plugin, key)?;
        if open.value.take().is_some() || open.stored > 0 {
            open.touched = true;
        }
        Ok(())
    }

    /// Keys that begin with `prefix`, in the order of their bytes.
    pub fn kept_keys(&mut self, plugin: &str, prefix: &str, limit: usize) -> Result<Vec<String>, Failure> {
        let limit = limit.min(MAX_LISTED);
        // As many more as this step may have taken away.
        let more = limit.saturating_add(self.kept.len());
        let stored = self.view.kept_keys(&self.space, plugin, prefix, more)?;
        let mut keys: std::collections::BTreeSet<String> = stored
            .into_iter()
            .filter(|(_, expires_at)| expires_at.is_none_or(|at| at > self.now))
            .map(|(key, _)| key)
            .collect();
        for (key, open) in self.kept.iter().filter(|(key, _)| key.plugin == plugin && key.key.starts_with(prefix)) {
            if open.value.is_some() {
                keys.insert(key.key.clone());
            } else {
                keys.remove(&key.key);
            }
        }
        Ok(keys.into_iter().take(limit).collect())
    }

    fn open_value(&mut self, plugin: &str, key: &str) -> Result<&mut OpenValue, Failure> {
        if key.is_empty() || key.len() > MAX_KEY {
            let message = format!("the key has {} bytes: give it 1 to {MAX_KEY}", key.len());
            return Err(Failure::permanent("kv.key_invalid", message));
        }
        let key = KvKey { plugin: plugin.to_owned(), key: key.to_owned() };
        if !self.kept.contains_key(&key) {
            let stored = self.view.kept(&self.space, &key)?;
            let size = stored.as_ref().map_or(0, |kept| size(&key.key, &kept.value));
            let version = stored.as_ref().map(|kept| kept.version);
            let live = stored.filter(|kept| kept.expires_at.is_none_or(|at| at > self.now));
            let value = live.map(|kept| (kept.value, kept.expires_at));
            self.kept.insert(key.clone(), OpenValue { version, stored: size, value, touched: false });
        }
        let missing = || Failure::permanent("internal", "the value is not open");
        self.kept.get_mut(&key).ok_or_else(missing)
    }

    /// Whether what the plugin would keep is within its quota.
    fn within(&self, plugin: &str, quota: KvQuota) -> Result<(), Failure> {
        let stored = self.view.kept_size(&self.space, plugin)?;
        let (mut bytes, mut keys) = (stored.bytes, stored.keys);
        for (key, open) in self.kept.iter().filter(|(key, open)| key.plugin == plugin && open.touched) {
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
            "the plugin would keep {keys} values of {bytes} bytes: at most {} of {}; remove some, give them a ttl, or \
             raise its limits kv_keys and kv_bytes",
            quota.keys, quota.bytes
        );
        Err(Failure::permanent("kv.quota_exceeded", message))
    }
}

/// Bytes that a value counts for.
fn size(key: &str, value: &Bytes) -> u64 {
    u64::try_from(key.len().saturating_add(value.len())).unwrap_or(u64::MAX)
}

/// What a change is told as. The value itself is the plugin's own matter.
pub(super) fn change(key: &KvKey, value: Option<&(Bytes, Option<Timestamp>)>) -> Change {
    let subject = format!("kv/{}/{}", key.plugin, key.key);
    match value {
        Some((value, expires_at)) => {
            let detail = json!({"bytes": value.len(), "expires_at": expires_at.map(|at| at.to_string())});
            Change { kind: "kv.set".to_owned(), subject, detail }
        }
        None => Change { kind: "kv.removed".to_owned(), subject, detail: serde_json::Value::Null },
    }
}
