//! The access of a plugin in a space, prepared for its calls.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use hookwright_model::{Failure, Grants, InstancePolicy, Limits};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::meter::Meter;
use crate::secrets::Secrets;

/// The access of a plugin in a space. Made when a policy, a secret or a setting changes, and shared by the calls.
pub struct Access {
    /// The name that it is installed under, which is used in messages and as the key of its stored values.
    pub plugin: String,
    /// Whether it is built in, and so gets every interface of its kinds, and records of every kind.
    pub trusted: bool,
    /// What it may reach.
    pub grants: Grants,
    /// The limits of a call.
    pub limits: Limits,
    /// Whether each call gets a fresh instance. `None`: as the plugin itself suggests.
    pub instance: Option<InstancePolicy>,
    /// The granted secrets.
    pub secrets: Secrets,
    /// Names of the secrets that are set in the space, granted or not, so that a refusal can name which of the two is
    /// missing.
    pub secrets_set: Vec<String>,
    /// Settings that it reads through `config`.
    pub config: Arc<HashMap<String, String>>,
    /// How many of its calls are recorded to be repeated. 0: none.
    pub recordings: u32,
    /// Its usage.
    pub meter: Arc<Meter>,
    /// Permits for its concurrent calls.
    pub slots: Semaphore,
}

impl fmt::Debug for Access {
    /// Only its name, because it contains secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("plugin", &self.plugin).finish_non_exhaustive()
    }
}

impl Access {
    /// The access of a plugin without grants.
    pub fn new(plugin: &str, limits: Limits) -> Self {
        Self {
            plugin: plugin.to_owned(),
            trusted: false,
            grants: Grants::default(),
            limits,
            instance: None,
            secrets: Secrets::default(),
            secrets_set: Vec::new(),
            config: Arc::default(),
            recordings: 0,
            meter: Arc::default(),
            slots: Semaphore::new(usize::try_from(limits.concurrency).unwrap_or(1).clamp(1, Semaphore::MAX_PERMITS)),
        }
    }

    /// Whether it may use an interface that requires a grant.
    pub(crate) fn interface(&self, interface: &str) -> Result<(), Failure> {
        match &self.grants.interfaces {
            Some(granted) if !self.trusted && !granted.contains(interface) => Err(self.refused(
                &format!("the interface `{interface}` is not granted to `{}`", self.plugin),
                &json!({"interfaces": [interface]}),
            )),
            _ => Ok(()),
        }
    }

    /// Whether it may read, or change, records of a kind.
    pub(crate) fn record(&self, kind: &str, write: bool) -> Result<(), Failure> {
        if self.trusted || self.grants.record(kind, write) {
            return Ok(());
        }
        let kind = crate::cut::cut(kind, 64);
        let what = if write { "changing" } else { "reading" };
        Err(self.refused(
            &format!("{what} records of the kind `{kind}` is not granted to `{}`", self.plugin),
            &json!({"records": [{"kind": kind, "write": write}]}),
        ))
    }

    /// A refusal that names the missing grant.
    pub(crate) fn refused(&self, what: &str, grant: &Value) -> Failure {
        Failure::permanent("capability.not_granted", format!("{what}: {}", remedy(&self.plugin, grant)))
    }
}

/// A sentence about how a grant is added.
pub fn remedy(plugin: &str, grant: &Value) -> String {
    format!("to grant it, POST {grant} to /v1/plugins/{plugin}/grants")
}
