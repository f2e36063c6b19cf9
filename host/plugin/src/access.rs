//! What a plugin may do in a space, made ready for its calls.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use hookwright_model::{Failure, Grants, InstancePolicy, Limits};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::meter::Meter;
use crate::secrets::Secrets;

/// What a plugin may do in a space. Made when a policy, a secret or a setting changes, and shared by the calls.
pub struct Access {
    /// The name that it is installed under: what messages call it, and what its kept values are filed under.
    pub plugin: String,
    /// Whether it comes with the server, and so gets every interface of its kinds, and records of every kind.
    pub trusted: bool,
    /// What it may reach.
    pub grants: Grants,
    /// What a call may use up.
    pub limits: Limits,
    /// Whether each call gets a fresh instance; none: as the plugin itself suggests.
    pub instance: Option<InstancePolicy>,
    /// The secrets that it was granted.
    pub secrets: Secrets,
    /// Names of the secrets that are set in the space, granted or not: a refusal says which of the two is missing.
    pub secrets_set: Vec<String>,
    /// Settings that it reads through `config`.
    pub config: Arc<HashMap<String, String>>,
    /// How many of its calls are kept so that they can be repeated; 0: none.
    pub recordings: u32,
    /// What it has used.
    pub meter: Arc<Meter>,
    /// How many calls of it may be under way.
    pub slots: Semaphore,
}

impl fmt::Debug for Access {
    /// Only its name: it holds secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("plugin", &self.plugin).finish_non_exhaustive()
    }
}

impl Access {
    /// What a plugin may do that was granted nothing in particular.
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

    /// Whether it may use an interface that is not open to all.
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

    /// A refusal with the grant that would lift it.
    pub(crate) fn refused(&self, what: &str, grant: &Value) -> Failure {
        Failure::permanent("capability.not_granted", format!("{what}: {}", remedy(&self.plugin, grant)))
    }
}

/// How a grant is added, in words.
pub fn remedy(plugin: &str, grant: &Value) -> String {
    format!("to grant it, POST {grant} to /v1/plugins/{plugin}/grants")
}
