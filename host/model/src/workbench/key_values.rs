//! Values that plugins store from one call to the next.

use bytes::Bytes;

use super::{KvQuota, Workbench};
use crate::{Failure, KvKey};

/// Maximum size of a value, in bytes.
const MAX_VALUE: usize = 1024 * 1024;
/// Maximum number of keys in one list.
const MAX_LISTED: usize = 1000;

impl Workbench {
    /// The value under a key.
    pub fn kept(&mut self, plugin: &str, key: &str) -> Result<Option<Bytes>, Failure> {
        self.kept.value(&mut self.stored, &key_of(plugin, key))
    }

    /// Stores a value and replaces a previous one. `ttl_seconds` is its lifetime; `None`: until it is replaced or
    /// removed.
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
        self.budget.charge(key.len().saturating_add(value.len()))?;
        self.kept.keep(&mut self.stored, &key_of(plugin, key), value, ttl_seconds, quota)
    }

    /// Removes a value, if there is one.
    pub fn forget(&mut self, plugin: &str, key: &str) -> Result<(), Failure> {
        self.room()?;
        self.kept.forget(&mut self.stored, &key_of(plugin, key))
    }

    /// Keys that begin with `prefix`, in byte order.
    pub fn kept_keys(&mut self, plugin: &str, prefix: &str, limit: usize) -> Result<Vec<String>, Failure> {
        self.kept.keys(&self.stored, plugin, prefix, limit.min(MAX_LISTED))
    }
}

fn key_of(plugin: &str, key: &str) -> KvKey {
    KvKey { plugin: plugin.to_owned(), key: key.to_owned() }
}
