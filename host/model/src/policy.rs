//! Policies of plugins in a space: grants, limits, and the lifetime of instances.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{Mistake, Mistakes};

/// An operator's configuration of a plugin in a space. Absent fields default to the server's settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PluginPolicy {
    /// Its grants.
    pub grants: Grants,
    /// Its limits.
    pub limits: LimitChanges,
    /// Whether each call gets a fresh instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstancePolicy>,
    /// Settings that it reads through `config`. They override those of the server.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
    /// How many of its calls are recorded, sealed, to be repeated with another version. 0: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recordings: Option<u32>,
}

/// The grants of a plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Grants {
    /// The granted interfaces, besides the harmless ones. `None`: everything that its kinds may import.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interfaces: Option<BTreeSet<String>>,
    /// Hosts that it may send requests to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<HttpGrant>,
    /// Secrets that it may use by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretGrant>,
    /// Kinds of record that it may read or change.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<RecordGrant>,
}

/// Hosts, and the permitted methods and port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpGrant {
    /// A name, `*.example.com` for every name below one, or `*`.
    pub host: String,
    /// Methods. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// The port. `None`: 443 with TLS, 80 without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

/// A secret, and where its value may be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretGrant {
    /// The secret's name in the space.
    pub name: String,
    /// Hosts as in [`HttpGrant::host`]. Empty: the value is never sent, and only keys HMACs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
}

/// A kind of record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordGrant {
    /// Such as `lead`, or `*`.
    pub kind: String,
    /// Whether it may be changed too.
    #[serde(default)]
    pub write: bool,
}

/// Maximum number of recorded calls of a plugin.
const MOST_RECORDINGS: u32 = 10_000;
/// Maximum number of entries of a list in a policy.
const MOST: usize = 100;

impl PluginPolicy {
    /// Validates every part. Errors have the path of the field.
    pub fn check(&self, most: &Limits) -> Result<(), Mistakes> {
        let mut mistakes = Mistakes::default();
        self.grants.check(&mut mistakes);
        self.limits.check(most, &mut mistakes);
        if let Some(instance) = &self.instance {
            instance.check(&mut mistakes);
        }
        if let Some(recordings) = self.recordings.filter(|recordings| *recordings > MOST_RECORDINGS) {
            mistakes.add("recordings", format!("is {recordings}: give 0 to {MOST_RECORDINGS}"));
        }
        let size: usize = self.config.iter().map(|(name, value)| name.len() + value.len()).sum();
        if self.config.len() > MOST || size > 64 * 1024 {
            mistakes
                .add("config", format!("has {} entries and {size} bytes: at most {MOST} and 65536", self.config.len()));
        }
        mistakes.check()
    }
}

impl Grants {
    fn check(&self, mistakes: &mut Mistakes) {
        for (name, count) in
            [("http", self.http.len()), ("secrets", self.secrets.len()), ("records", self.records.len())]
        {
            if count > MOST {
                mistakes.add(format!("grants.{name}"), format!("has {count} entries: at most {MOST}"));
            }
        }
        for (place, grant) in self.http.iter().enumerate() {
            if let Some(why) = host_mistake(&grant.host) {
                mistakes.add(format!("grants.http[{place}].host"), why);
            }
            for (at, method) in grant.methods.iter().enumerate() {
                if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
                    let path = format!("grants.http[{place}].methods[{at}]");
                    mistakes.add(path, format!("`{method}` is not a valid method: write GET, POST, ..."));
                }
            }
        }
        for (place, grant) in self.secrets.iter().enumerate() {
            if let Err(mistake) = check_secret_name(&grant.name) {
                mistakes.add(format!("grants.secrets[{place}].name"), mistake.message);
            }
            for (at, host) in grant.hosts.iter().enumerate() {
                if let Some(why) = host_mistake(host) {
                    mistakes.add(format!("grants.secrets[{place}].hosts[{at}]"), why);
                }
            }
        }
        for (place, grant) in self.records.iter().enumerate() {
            if grant.kind != "*" && !is_kind(&grant.kind) {
                let why = format!("`{}` is not a valid kind: give 1 to 64 of a-z, 0-9 and -, or *", grant.kind);
                mistakes.add(format!("grants.records[{place}].kind"), why);
            }
        }
    }

    /// Adds the grants of `more`.
    pub fn add(&mut self, more: Self) {
        if let Some(interfaces) = more.interfaces {
            self.interfaces.get_or_insert_default().extend(interfaces);
        }
        for grant in more.http {
            if !self.http.contains(&grant) {
                self.http.push(grant);
            }
        }
        for grant in more.secrets {
            match self.secrets.iter_mut().find(|known| known.name == grant.name) {
                Some(known) => {
                    for host in grant.hosts {
                        if !known.hosts.contains(&host) {
                            known.hosts.push(host);
                        }
                    }
                }
                None => self.secrets.push(grant),
            }
        }
        for grant in more.records {
            match self.records.iter_mut().find(|known| known.kind == grant.kind) {
                Some(known) => known.write |= grant.write,
                None => self.records.push(grant),
            }
        }
    }

    /// Whether a request to this target is permitted.
    pub fn reaches(&self, method: &str, host: &str, port: u16, default_port: u16) -> bool {
        self.http.iter().any(|grant| {
            host_fits(&grant.host, host)
                && port == grant.port.unwrap_or(default_port)
                && (grant.methods.is_empty() || grant.methods.iter().any(|granted| granted == method))
        })
    }

    /// The grant of a secret.
    pub fn secret(&self, name: &str) -> Option<&SecretGrant> {
        self.secrets.iter().find(|grant| grant.name == name)
    }

    /// Whether records of a kind may be read, or changed.
    pub fn record(&self, kind: &str, write: bool) -> bool {
        self.records.iter().any(|grant| (grant.kind == kind || grant.kind == "*") && (grant.write || !write))
    }
}

/// Whether a pattern of hosts matches a host.
pub fn host_fits(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(parent) => {
            let (host, parent) = (host.to_ascii_lowercase(), parent.to_ascii_lowercase());
            host.strip_suffix(&parent).is_some_and(|rest| rest.ends_with('.') && rest.len() > 1)
        }
        None => pattern == "*" || pattern.eq_ignore_ascii_case(host),
    }
}

fn host_mistake(host: &str) -> Option<String> {
    let name = host.strip_prefix("*.").unwrap_or(host);
    let fits = host == "*"
        || (!name.is_empty()
            && name.len() <= 253
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b':' | b'_')));
    let shown = crate::abridged(host);
    (!fits).then(|| {
        format!("`{shown}` is not a valid host: write api.example.com, *.example.com or *, without scheme and port")
    })
}

/// Whether a kind of record can have this name.
pub fn is_kind(kind: &str) -> bool {
    (1..=64).contains(&kind.len())
        && kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Whether a secret can have this name.
pub fn check_secret_name(name: &str) -> Result<(), Mistake> {
    let fits = (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    let shown = crate::abridged(name);
    if fits {
        return Ok(());
    }
    Err(Mistake::new(
        "name",
        format!("`{shown}` is not a valid name: give 1 to 64 letters, digits, dashes, dots and underscores"),
    ))
}

/// Whether each call of a plugin gets a fresh instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "mode", deny_unknown_fields)]
pub enum InstancePolicy {
    /// Each call gets a fresh one, so no call sees the state of another.
    Fresh {},
    /// Warm instances are reused for calls of the same space, for plugins that are expensive to start.
    Warm {
        /// Number of calls after which an instance is dropped.
        #[serde(default = "warm_calls")]
        calls: u32,
        /// Number of seconds after which an instance is dropped.
        #[serde(default = "warm_age")]
        age_seconds: u32,
        /// Maximum number of idle instances.
        #[serde(default = "warm_idle")]
        idle: u32,
    },
}

fn warm_calls() -> u32 {
    10_000
}

fn warm_age() -> u32 {
    600
}

fn warm_idle() -> u32 {
    4
}

impl InstancePolicy {
    /// Warm, with default bounds.
    pub fn warm() -> Self {
        Self::Warm { calls: warm_calls(), age_seconds: warm_age(), idle: warm_idle() }
    }

    fn check(self, mistakes: &mut Mistakes) {
        let Self::Warm { calls, age_seconds, idle } = self else { return };
        for (name, value, most) in
            [("calls", calls, 1_000_000), ("age_seconds", age_seconds, 86_400), ("idle", idle, 64)]
        {
            if value == 0 || value > most {
                mistakes.add(format!("instance.{name}"), format!("is {value}: give 1 to {most}"));
            }
        }
    }
}

macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident: $default:expr, $least:expr, $most:expr;)*) => {
        /// The default limits of one call.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
        pub struct Limits {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        impl Limits {
            /// The largest values that may be set.
            pub const MOST: Self = Self { $($name: $most,)* };

            /// The limits of a source that is called with a body of this size: enough to hold the body several times
            /// and to return it as an event's data. Higher configured limits stay.
            #[must_use]
            pub fn for_body(mut self, bytes: u64) -> Self {
                self.cpu_ms = self.cpu_ms.max(bytes / BODY_BYTES_PER_MS).min(self.cpu_ms.max(Self::MOST.cpu_ms));
                self.memory_bytes = self.memory_bytes.max(bytes.saturating_mul(6).min(Self::MOST.memory_bytes));
                // A source's result may be four times as large.
                self.output_bytes = self.output_bytes.max(bytes.div_ceil(2));
                self.transfer_bytes = self.transfer_bytes.max(bytes.saturating_mul(2));
                self
            }

            /// Applies changes.
            #[must_use]
            pub fn with(mut self, changes: &LimitChanges) -> Self {
                $(if let Some(value) = changes.$name { self.$name = value; })*
                self
            }

            /// Every limit by name.
            pub fn named(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name)),*]
            }
        }

        /// Limits that differ from the server's.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct LimitChanges {
            $(
                /// See [`Limits`].
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $name: Option<u64>,
            )*
        }

        impl LimitChanges {
            fn check(&self, most: &Limits, mistakes: &mut Mistakes) {
                $(if let Some(value) = self.$name
                    && !($least..=most.$name).contains(&value)
                {
                    let path = concat!("limits.", stringify!($name));
                    mistakes.add(path, format!("is {value}: give {} to {}", $least, most.$name));
                })*
            }
        }
    };
}

/// Bytes of a body for which a source gets one millisecond.
const BODY_BYTES_PER_MS: u64 = 8 * KIB;
const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

limits! {
    /// Maximum computing time, in milliseconds, counted in steps of 10.
    cpu_ms: 1_000, 10, 60_000;
    /// Maximum duration including waits, in milliseconds.
    wall_ms: 30_000, 10, 300_000;
    /// Maximum linear memory, in bytes, over all memories of its component.
    memory_bytes: 64 * MIB, 64 * KIB, 512 * MIB;
    /// Maximum number of entries of all its tables.
    table_elements: 200_000, 16, 200_000;
    /// Maximum size of a result, message or reason, in bytes. The result of a source may be four times as large.
    output_bytes: MIB, 1, 16 * MIB;
    /// Maximum number of log lines.
    log_lines: 100, 0, 10_000;
    /// Maximum number of logged bytes.
    log_bytes: 16 * KIB, 0, MIB;
    /// Maximum number of host calls.
    host_calls: 10_000, 0, 1_000_000;
    /// Maximum number of requests.
    requests: 100, 0, 1_000;
    /// Maximum number of bytes sent and received by requests.
    egress_bytes: 16 * MIB, 0, 256 * MIB;
    /// Maximum number of changes: records, notes, mails and events.
    effects: 1_000, 0, 10_000;
    /// Maximum size of those changes and their events, in bytes.
    effects_bytes: 16 * MIB, KIB, 256 * MIB;
    /// Maximum size of the records, notes and values that it reads, in bytes.
    read_bytes: 32 * MIB, KIB, 256 * MIB;
    /// Maximum size in bytes of the arguments of one host call.
    transfer_bytes: 16 * MIB, KIB, 64 * MIB;
    /// Maximum number of concurrent calls in the space: half of the events that are processed at once, so that a plugin
    /// whose calls hang leaves permits for others.
    concurrency: 32, 1, 1_024;
    /// Maximum size of its stored keys and values in the space, in bytes.
    kv_bytes: MIB, 0, 64 * MIB;
    /// Maximum number of its stored values in the space.
    kv_keys: 10_000, 0, 1_000_000;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_host_is_reached_by_its_pattern_method_and_port() {
        let grants: Grants = serde_json::from_value(json!({"http": [
            {"host": "api.example.com", "methods": ["GET", "POST"]},
            {"host": "*.example.org", "port": 8443},
        ]}))
        .unwrap();
        for (method, host, port, reached) in [
            ("POST", "api.example.com", 443, true),
            ("POST", "API.example.com", 443, true),
            ("DELETE", "api.example.com", 443, false),
            ("POST", "api.example.com", 8443, false),
            ("POST", "x.api.example.com", 443, false),
            ("PUT", "a.example.org", 8443, true),
            ("PUT", "a.example.org", 443, false),
            ("PUT", "example.org", 8443, false),
            ("PUT", "evilexample.org", 8443, false),
        ] {
            assert_eq!(grants.reaches(method, host, port, 443), reached, "{method} {host} {port}");
        }
    }

    #[test]
    fn an_invalid_policy_is_refused_with_the_path_of_the_error() {
        for (policy, path) in [
            (json!({"grants": {"http": [{"host": "https://a.example"}]}}), "grants.http[0].host"),
            (json!({"grants": {"http": [{"host": "a.example", "methods": ["post"]}]}}), "grants.http[0].methods[0]"),
            (json!({"grants": {"secrets": [{"name": "a b"}]}}), "grants.secrets[0].name"),
            (json!({"grants": {"records": [{"kind": "Lead"}]}}), "grants.records[0].kind"),
            (json!({"limits": {"cpu_ms": 0}}), "limits.cpu_ms"),
            (json!({"limits": {"memory_bytes": 1_u64 << 40}}), "limits.memory_bytes"),
            (json!({"instance": {"mode": "warm", "calls": 0}}), "instance.calls"),
        ] {
            let policy: PluginPolicy = serde_json::from_value(policy).unwrap();
            assert_eq!(policy.check(&Limits::MOST).unwrap_err().0.first().unwrap().path, path);
        }
        assert!(serde_json::from_value::<PluginPolicy>(json!({"limits": {"cpu": 1}})).is_err());
        assert!(PluginPolicy::default().check(&Limits::MOST).is_ok());
    }

    #[test]
    fn the_limits_of_a_source_follow_the_body_that_it_is_called_with() {
        let limits = Limits::default();
        assert_eq!(limits.for_body(0), limits);
        assert_eq!(limits.for_body(MIB), limits);
        let large = limits.for_body(25 * MIB);
        assert!(large.output_bytes * 4 >= 2 * 25 * MIB && large.transfer_bytes >= 50 * MIB);
        assert_eq!((large.memory_bytes, large.cpu_ms), (150 * MIB, 3_200));
        assert_eq!(limits.for_body(1 << 40).memory_bytes, Limits::MOST.memory_bytes);
        let higher = Limits { memory_bytes: 300 * MIB, cpu_ms: 50_000, ..limits };
        assert_eq!(higher.for_body(25 * MIB).memory_bytes, 300 * MIB);
    }

    #[test]
    fn further_grants_are_added_once() {
        let mut grants = Grants::default();
        for _ in 0..2 {
            grants.add(Grants {
                interfaces: Some(["http".to_owned()].into()),
                http: vec![HttpGrant { host: "a.example".to_owned(), methods: Vec::new(), port: None }],
                secrets: vec![SecretGrant { name: "token".to_owned(), hosts: vec!["a.example".to_owned()] }],
                records: vec![RecordGrant { kind: "lead".to_owned(), write: true }],
            });
        }
        assert_eq!((grants.http.len(), grants.secrets.len(), grants.records.len()), (1, 1, 1));
        assert!(grants.record("lead", true) && !grants.record("deal", false));
    }
}
