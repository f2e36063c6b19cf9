//! The secrets that a call may read.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Secrets by name. Their bytes are never shown.
#[derive(Clone, Default)]
pub struct Secrets(Option<Arc<BTreeMap<String, Vec<u8>>>>);

impl Secrets {
    /// The bytes of the secret called `name`.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.as_ref()?.get(name).map(Vec::as_slice)
    }

    /// The names of all of them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|secrets| secrets.keys().map(String::as_str))
    }
}

impl FromIterator<(String, Vec<u8>)> for Secrets {
    fn from_iter<I: IntoIterator<Item = (String, Vec<u8>)>>(secrets: I) -> Self {
        Self(Some(Arc::new(secrets.into_iter().collect())))
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}
