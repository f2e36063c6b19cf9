//! Settings: a flag, else a `HOOKWRIGHT_*` variable, else the TOML file, else the default.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use hookwright_model::{LimitChanges, Limits, PluginPolicy, Rate, RetrySchedule};
use hookwright_pipeline::{BreakerSettings, EgressPolicy, PipelineSettings, Proxy, SmtpSettings};
use hookwright_plugin::Trust;
use hookwright_server::{BodyLimits, ConnectionLimits};
use hookwright_store::StoreOptions;
use ipnet::IpNet;
use serde::Deserialize;

/// An error in the settings.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("{path} cannot be read: {source}")]
    Read { path: String, source: std::io::Error },
    #[error("{path}: {source}")]
    Parse { path: String, source: Box<toml::de::Error> },
    #[error("{name}: {reason}")]
    Value { name: &'static str, reason: String },
}

/// The settings as flags and variables.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SettingArguments {
    /// The directory for the store, its key and precompiled plugins [default: ./data]
    #[arg(long, env = "HOOKWRIGHT_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The address to listen on [default: 127.0.0.1:8080]
    #[arg(long, env = "HOOKWRIGHT_LISTEN", value_name = "HOST:PORT")]
    listen: Option<String>,
    /// The server's public URL, for the addresses that it returns
    #[arg(long, env = "HOOKWRIGHT_PUBLIC_URL", value_name = "URL")]
    public_url: Option<String>,
    /// The folder from which plugins are loaded, and reloaded when they change [default: DIR/plugins]
    #[arg(long, env = "HOOKWRIGHT_PLUGIN_DIR", value_name = "DIR")]
    plugin_dir: Option<PathBuf>,
    /// Networks that outbound requests may go to besides public addresses, such as 127.0.0.0/8
    #[arg(long, env = "HOOKWRIGHT_ALLOW_NETWORKS", value_name = "CIDR,..", value_delimiter = ',')]
    allow_networks: Option<Vec<IpNet>>,
    /// Allow outbound requests without TLS
    #[arg(long, env = "HOOKWRIGHT_ALLOW_HTTP", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    allow_http: Option<bool>,
    /// Hosts that plugins may send requests to: names, *.example.com, or *
    #[arg(long, env = "HOOKWRIGHT_ALLOW_HOSTS", value_name = "HOST,..", value_delimiter = ',')]
    allow_hosts: Option<Vec<String>>,
    /// The proxy for outbound requests, such as http://user:password@proxy.example:3128
    #[arg(long, env = "HOOKWRIGHT_PROXY", value_name = "URL", hide_env_values = true)]
    proxy: Option<String>,
    /// Targets that bypass the proxy: names, *.example.com, addresses, networks
    #[arg(long, env = "HOOKWRIGHT_NO_PROXY", value_name = "HOST,..", value_delimiter = ',')]
    no_proxy: Option<Vec<String>>,
    /// Networks allowed for the proxy of a single destination, besides public addresses
    #[arg(long, env = "HOOKWRIGHT_PROXY_NETWORKS", value_name = "CIDR,..", value_delimiter = ',')]
    proxy_networks: Option<Vec<IpNet>>,
    /// Maximum size of a request body, in bytes [default: 1048576]
    #[arg(long, env = "HOOKWRIGHT_MAX_BODY_BYTES", value_name = "N")]
    max_body_bytes: Option<usize>,
    /// Maximum size of an uploaded component, in bytes [default: 33554432]
    #[arg(long, env = "HOOKWRIGHT_MAX_PLUGIN_BYTES", value_name = "N")]
    max_plugin_bytes: Option<usize>,
    /// Maximum number of open connections [default: 10000]
    #[arg(long, env = "HOOKWRIGHT_MAX_CONNECTIONS", value_name = "N")]
    max_connections: Option<usize>,
    /// Timeout for receiving a request's header, in milliseconds [default: 10000]
    #[arg(long, env = "HOOKWRIGHT_HEADER_TIMEOUT_MS", value_name = "N")]
    header_timeout_ms: Option<u64>,
    /// Timeout for receiving a request's body, in milliseconds [default: 30000]
    #[arg(long, env = "HOOKWRIGHT_BODY_TIMEOUT_MS", value_name = "N")]
    body_timeout_ms: Option<u64>,
    /// Maximum number of wrong API keys per minute from one address; 0: unlimited [default: 60]
    #[arg(long, env = "HOOKWRIGHT_WRONG_KEYS_PER_MINUTE", value_name = "N")]
    wrong_keys_per_minute: Option<u32>,
    /// Maximum number of events waiting for the disk; further ones are refused [default: 8192]
    #[arg(long, env = "HOOKWRIGHT_MAX_QUEUE", value_name = "N")]
    max_queue: Option<usize>,
    /// Maximum number of accepted events of a space waiting to be processed; further ones are refused [default: 100000]
    #[arg(long, env = "HOOKWRIGHT_MAX_BACKLOG", value_name = "N")]
    max_backlog: Option<usize>,
    /// Minimum free bytes in the data directory; below it, new events are refused [default: 5 % of its disk, at most 268435456]
    #[arg(long, env = "HOOKWRIGHT_MIN_FREE_BYTES", value_name = "N")]
    min_free_bytes: Option<u64>,
    /// Maximum number of events processed at once [default: 64]
    #[arg(long, env = "HOOKWRIGHT_CONCURRENT_EVENTS", value_name = "N")]
    concurrent_events: Option<usize>,
    /// Maximum number of further events that one event may cause, directly and indirectly [default: 10000]
    #[arg(long, env = "HOOKWRIGHT_MAX_EVENTS_PER_ROOT", value_name = "N")]
    max_events_per_root: Option<u64>,
    /// Maximum number of deliveries in flight [default: 1024]
    #[arg(long, env = "HOOKWRIGHT_CONCURRENT_DELIVERIES", value_name = "N")]
    concurrent_deliveries: Option<usize>,
    /// Delays before the retries of a delivery, in seconds [default: 5,300,1800,7200,18000,36000,50400,72000,86400]
    #[arg(long, env = "HOOKWRIGHT_RETRY_DELAYS", value_name = "S,..", value_delimiter = ',')]
    retry_delays: Option<Vec<u64>>,
    /// Random jitter added to each delay, as a fraction from 0 to 1 [default: 0.2]
    #[arg(long, env = "HOOKWRIGHT_RETRY_JITTER", value_name = "X")]
    retry_jitter: Option<f64>,
    /// Timeout of one delivery attempt, in milliseconds [default: 15000]
    #[arg(long, env = "HOOKWRIGHT_DELIVERY_TIMEOUT_MS", value_name = "N")]
    delivery_timeout_ms: Option<u32>,
    /// Delays before the retries of a step after a temporary failure, in seconds [default: 1,10,60,600]
    #[arg(long, env = "HOOKWRIGHT_STEP_RETRY_DELAYS", value_name = "S,..", value_delimiter = ',')]
    step_retry_delays: Option<Vec<u64>>,
    /// CPU time limit of one plugin call, in milliseconds [default: 1000]
    #[arg(long, env = "HOOKWRIGHT_PLUGIN_CPU_MS", value_name = "N")]
    plugin_cpu_ms: Option<u64>,
    /// Time limit of one plugin call, in milliseconds [default: 30000]
    #[arg(long, env = "HOOKWRIGHT_PLUGIN_WALL_MS", value_name = "N")]
    plugin_wall_ms: Option<u64>,
    /// Memory limit of one plugin call, in bytes [default: 67108864]
    #[arg(long, env = "HOOKWRIGHT_PLUGIN_MEMORY_BYTES", value_name = "N")]
    plugin_memory_bytes: Option<usize>,
    /// Memory limit of all plugin calls together, in bytes [default: 1073741824]
    #[arg(long, env = "HOOKWRIGHT_PLUGIN_MEMORY_TOTAL_BYTES", value_name = "N")]
    plugin_memory_total_bytes: Option<u64>,
    /// Whether the first version of an uploaded plugin is granted the interfaces that it imports [default: true]
    #[arg(long, env = "HOOKWRIGHT_GRANT_ON_INSTALL", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    grant_on_install: Option<bool>,
    /// Number of consecutive stopped calls that open a plugin's circuit breaker [default: 5]
    #[arg(long, env = "HOOKWRIGHT_PLUGIN_BREAKER_STRIKES", value_name = "N")]
    plugin_breaker_strikes: Option<u32>,
    /// How long the circuit breaker stays open at first, in milliseconds [default: 30000]
    #[arg(long, env = "HOOKWRIGHT_PLUGIN_BREAKER_MS", value_name = "N")]
    plugin_breaker_ms: Option<u64>,
    /// Keys that may sign plugins: NAME=PUBLIC-KEY, ed25519 in base64
    #[arg(long, env = "HOOKWRIGHT_PLUGIN_KEYS", value_name = "NAME=KEY,..", value_delimiter = ',')]
    plugin_keys: Option<Vec<String>>,
    /// Accept only plugins that are signed by one of these keys
    #[arg(long, env = "HOOKWRIGHT_REQUIRE_SIGNED_PLUGINS", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    require_signed_plugins: Option<bool>,
    /// The mail server: smtps://USER:PASSWORD@HOST, or smtp://HOST:587?tls=required; without it, mails are only stored
    #[arg(long, env = "HOOKWRIGHT_SMTP_URL", value_name = "URL", hide_env_values = true)]
    smtp_url: Option<String>,
    /// The sender of mails [default: hookwright@localhost]
    #[arg(long, env = "HOOKWRIGHT_MAIL_FROM", value_name = "ADDRESS")]
    mail_from: Option<String>,
    /// Number of recorded calls to retain per plugin, encrypted, for comparisons; 0: none [default: 1000]
    #[arg(long, env = "HOOKWRIGHT_RECORDINGS", value_name = "N")]
    recordings: Option<u32>,
    /// Retention of recorded calls, in days [default: 7]
    #[arg(long, env = "HOOKWRIGHT_RECORDING_DAYS", value_name = "N")]
    recording_days: Option<u32>,
    /// Retention of delivery attempts in the log, in days [default: 30]
    #[arg(long, env = "HOOKWRIGHT_ATTEMPT_DAYS", value_name = "N")]
    attempt_days: Option<u32>,
    /// Maximum number of delivery attempts in the log [default: 10000000]
    #[arg(long, env = "HOOKWRIGHT_MAX_ATTEMPTS", value_name = "N")]
    max_attempts: Option<u64>,
    /// Retention of idempotency keys, in seconds [default: 86400]
    #[arg(long, env = "HOOKWRIGHT_IDEMPOTENCY_TTL_SECONDS", value_name = "N")]
    idempotency_ttl_seconds: Option<u64>,
    /// Default rate limit of a source's URL, in requests per second; 0: unlimited [default: 1000]
    #[arg(long, env = "HOOKWRIGHT_SOURCE_REQUESTS_PER_SECOND", value_name = "N")]
    source_requests_per_second: Option<u32>,
    /// Retention of requests in the logs of sources, in days [default: 7]
    #[arg(long, env = "HOOKWRIGHT_SOURCE_LOG_DAYS", value_name = "N")]
    source_log_days: Option<u32>,
    /// Maximum number of requests in the log of a source [default: 500]
    #[arg(long, env = "HOOKWRIGHT_MAX_SOURCE_LOG", value_name = "N")]
    max_source_log: Option<u64>,
    /// Memory for the store's page cache, in bytes [default: 67108864]
    #[arg(long, env = "HOOKWRIGHT_CACHE_BYTES", value_name = "N")]
    cache_bytes: Option<usize>,
    /// The store's file is made current after this many bytes in its commit log [default: 8388608]
    #[arg(long, env = "HOOKWRIGHT_CHECKPOINT_BYTES", value_name = "N")]
    checkpoint_bytes: Option<u64>,
    /// and at least this often while something is written, in seconds [default: 5]
    #[arg(long, env = "HOOKWRIGHT_CHECKPOINT_SECONDS", value_name = "N")]
    checkpoint_seconds: Option<u64>,
    /// Format of log lines: text or json [default: text]
    #[arg(long, env = "HOOKWRIGHT_LOG_FORMAT", value_name = "FORMAT")]
    log_format: Option<String>,
    /// What plugins read through `config`. Only in the file, as a table.
    #[arg(skip)]
    plugin_config: HashMap<String, String>,
}

/// The maximum of `checkpoint_bytes`. A start after a crash replays as much as this.
const MOST_CHECKPOINT_BYTES: u64 = 1024 * 1024 * 1024;
/// The maximum of `checkpoint_seconds`.
const MOST_CHECKPOINT_SECONDS: u64 = 3600;

/// Validated settings.
pub(crate) struct Settings {
    pub(crate) data_dir: PathBuf,
    pub(crate) listen: String,
    pub(crate) public_url: Option<String>,
    pub(crate) plugin_dir: PathBuf,
    pub(crate) bodies: BodyLimits,
    pub(crate) connections: ConnectionLimits,
    pub(crate) wrong_keys_per_minute: u32,
    pub(crate) store: StoreOptions,
    pub(crate) plugin_limits: Limits,
    pub(crate) plugin_memory_total: u64,
    pub(crate) trust: Trust,
    pub(crate) json_logs: bool,
    pub(crate) pipeline: PipelineSettings,
}

macro_rules! prefer {
    ($first:ident, $second:ident, $($name:ident),* $(,)?) => {
        SettingArguments { $($name: $first.$name.or($second.$name),)* plugin_config: $second.plugin_config }
    };
}

impl Settings {
    pub(crate) fn resolve(flags: SettingArguments, file: Option<&Path>) -> Result<Self, SettingsError> {
        let from_file = file.map(read).transpose()?.unwrap_or_default();
        let given = prefer!(
            flags,
            from_file,
            data_dir,
            listen,
            public_url,
            plugin_dir,
            allow_networks,
            allow_http,
            allow_hosts,
            proxy,
            no_proxy,
            proxy_networks,
            max_body_bytes,
            max_plugin_bytes,
            max_connections,
            header_timeout_ms,
            body_timeout_ms,
            wrong_keys_per_minute,
            max_queue,
            max_backlog,
            min_free_bytes,
            concurrent_events,
            max_events_per_root,
            concurrent_deliveries,
            retry_delays,
            retry_jitter,
            delivery_timeout_ms,
            step_retry_delays,
            plugin_cpu_ms,
            plugin_wall_ms,
            plugin_memory_bytes,
            plugin_memory_total_bytes,
            grant_on_install,
            plugin_breaker_strikes,
            plugin_breaker_ms,
            plugin_keys,
            require_signed_plugins,
            smtp_url,
            mail_from,
            recordings,
            recording_days,
            attempt_days,
            max_attempts,
            idempotency_ttl_seconds,
            source_requests_per_second,
            source_log_days,
            max_source_log,
            cache_bytes,
            checkpoint_bytes,
            checkpoint_seconds,
            log_format,
        );
        given.check()
    }
}

impl SettingArguments {
    fn check(self) -> Result<Settings, SettingsError> {
        let defaults = PipelineSettings::default();
        let data_dir = self.data_dir.unwrap_or_else(|| PathBuf::from("data"));
        let jitter = self.retry_jitter.unwrap_or(defaults.delivery_retry.jitter);
        let delivery_retry = RetrySchedule {
            delays_seconds: self.retry_delays.unwrap_or(defaults.delivery_retry.delays_seconds),
            jitter,
        };
        let step_retry = RetrySchedule {
            delays_seconds: self.step_retry_delays.unwrap_or(defaults.step_retry.delays_seconds),
            jitter,
        };
        for (name, schedule) in [("retry_delays", &delivery_retry), ("step_retry_delays", &step_retry)] {
            if let Some(reason) = schedule.mistake() {
                return Err(SettingsError::Value { name, reason });
            }
        }
        let json_logs = match self.log_format.as_deref() {
            None | Some("text") => false,
            Some("json") => true,
            Some(other) => {
                let reason = format!("`{other}`: text or json");
                return Err(SettingsError::Value { name: "log_format", reason });
            }
        };
        let limits = LimitChanges {
            cpu_ms: self.plugin_cpu_ms,
            wall_ms: self.plugin_wall_ms,
            memory_bytes: self.plugin_memory_bytes.and_then(|bytes| u64::try_from(bytes).ok()),
            ..LimitChanges::default()
        };
        if let Err(mistakes) = (PluginPolicy { limits, ..PluginPolicy::default() }).check(&Limits::MOST) {
            return Err(SettingsError::Value { name: "plugin_limits", reason: mistakes.to_string() });
        }
        let plugin_limits = Limits::default().with(&limits);
        let plugin_memory_total = self.plugin_memory_total_bytes.unwrap_or(1024 * 1024 * 1024);
        if plugin_memory_total < plugin_limits.memory_bytes.saturating_mul(2) {
            let least = plugin_limits.memory_bytes.saturating_mul(2);
            let reason = format!("{plugin_memory_total}: give at least {least}, twice the limit of one call");
            return Err(SettingsError::Value { name: "plugin_memory_total_bytes", reason });
        }
        let trust = trust(&self.plugin_keys.unwrap_or_default(), self.require_signed_plugins.unwrap_or(false))?;
        let breaker = BreakerSettings::default();
        let breaker = BreakerSettings {
            strikes: self.plugin_breaker_strikes.unwrap_or(breaker.strikes).max(1),
            pause: self.plugin_breaker_ms.map_or(breaker.pause, |ms| Duration::from_millis(ms.max(1))),
        };
        let from = self.mail_from.unwrap_or_else(|| "hookwright@localhost".to_owned());
        let smtp = self.smtp_url.map(|url| SmtpSettings { url, from });
        let proxy = self.proxy.as_deref().map(Proxy::parse).transpose();
        let proxy = proxy.map_err(|error| SettingsError::Value { name: "proxy", reason: error.to_string() })?;
        let ms = |given: Option<u64>, default: u64| Duration::from_millis(given.unwrap_or(default).max(1));
        let recordings_kept = self.recordings.unwrap_or(defaults.recordings_kept);
        if let Err(mistakes) =
            (PluginPolicy { recordings: Some(recordings_kept), ..PluginPolicy::default() }).check(&Limits::MOST)
        {
            return Err(SettingsError::Value { name: "recordings", reason: mistakes.to_string() });
        }
        if self.idempotency_ttl_seconds == Some(0) {
            let reason = "0: give at least 1, the seconds for which an idempotency key is remembered".to_owned();
            return Err(SettingsError::Value { name: "idempotency_ttl_seconds", reason });
        }
        for (name, given, most) in [
            ("checkpoint_bytes", self.checkpoint_bytes, MOST_CHECKPOINT_BYTES),
            ("checkpoint_seconds", self.checkpoint_seconds, MOST_CHECKPOINT_SECONDS),
        ] {
            if let Some(given) = given.filter(|given| !(1..=most).contains(given)) {
                return Err(SettingsError::Value { name, reason: format!("{given}: give 1 to {most}") });
            }
        }
        let store = StoreOptions::new(data_dir.join("hookwright.redb"));
        let store = StoreOptions {
            cache_bytes: self.cache_bytes.unwrap_or(store.cache_bytes),
            queue: self.max_queue.unwrap_or(store.queue),
            max_backlog: self.max_backlog.unwrap_or(store.max_backlog),
            min_free_bytes: self.min_free_bytes,
            checkpoint_bytes: self.checkpoint_bytes.unwrap_or(store.checkpoint_bytes),
            checkpoint_every: self.checkpoint_seconds.map_or(store.checkpoint_every, Duration::from_secs),
            ..store
        };
        let listen = self.listen.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
        if let Some(reason) = self.public_url.as_deref().and_then(public_url_problem) {
            return Err(SettingsError::Value { name: "public_url", reason });
        }
        let public_url = self.public_url.clone().unwrap_or_default();
        Ok(Settings {
            plugin_dir: self.plugin_dir.unwrap_or_else(|| data_dir.join("plugins")),
            data_dir,
            listen,
            public_url: self.public_url,
            bodies: BodyLimits {
                body_bytes: self.max_body_bytes.unwrap_or(1024 * 1024),
                plugin_bytes: self.max_plugin_bytes.unwrap_or(32 * 1024 * 1024),
                time: ms(self.body_timeout_ms, 30_000),
            },
            connections: ConnectionLimits {
                connections: self.max_connections.unwrap_or(10_000),
                unknown: self.max_connections.unwrap_or(10_000),
                header_time: ms(self.header_timeout_ms, 10_000),
                header_bytes: 64 * 1024,
                grace: Duration::from_secs(10),
            },
            wrong_keys_per_minute: self.wrong_keys_per_minute.unwrap_or(60),
            store,
            plugin_limits,
            plugin_memory_total,
            trust,
            json_logs,
            pipeline: PipelineSettings {
                egress: EgressPolicy {
                    allow_networks: self.allow_networks.unwrap_or_default(),
                    allow_http: self.allow_http.unwrap_or(false),
                    allow_hosts: self.allow_hosts.unwrap_or_default(),
                    proxy,
                    no_proxy: self.no_proxy.unwrap_or_default(),
                    proxy_networks: self.proxy_networks.unwrap_or_default(),
                },
                concurrent_events: self.concurrent_events.unwrap_or(defaults.concurrent_events).max(1),
                max_descendants: self.max_events_per_root.unwrap_or(defaults.max_descendants),
                workers: None,
                concurrent_deliveries: self.concurrent_deliveries.unwrap_or(defaults.concurrent_deliveries).max(1),
                step_retry,
                delivery_retry,
                delivery_timeout_ms: self.delivery_timeout_ms.unwrap_or(defaults.delivery_timeout_ms).max(1),
                plugin_config: self.plugin_config,
                grant_on_install: self.grant_on_install.unwrap_or(true),
                breaker,
                smtp,
                public_url: public_url.clone(),
                recordings_kept,
                recording_retention: Duration::from_secs(
                    u64::from(self.recording_days.unwrap_or(7)).saturating_mul(86_400),
                ),
                attempt_retention: Duration::from_secs(
                    u64::from(self.attempt_days.unwrap_or(30)).saturating_mul(86_400),
                ),
                attempts_kept: self.max_attempts.unwrap_or(defaults.attempts_kept).max(1),
                idempotency_ttl: self.idempotency_ttl_seconds.map_or(defaults.idempotency_ttl, Duration::from_secs),
                source_rate: match self.source_requests_per_second {
                    None => defaults.source_rate,
                    Some(0) => None,
                    Some(requests) => Some(Rate { requests, per_seconds: 1 }),
                },
                request_retention: Duration::from_secs(
                    u64::from(self.source_log_days.unwrap_or(7)).saturating_mul(86_400),
                ),
                requests_kept: self.max_source_log.unwrap_or(defaults.requests_kept).max(1),
            },
        })
    }
}

impl Settings {
    /// Validates the address before anything is opened.
    pub(crate) fn check_listen(&self) -> Result<(), SettingsError> {
        let has_port = self.listen.parse::<SocketAddr>().is_ok()
            || self.listen.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
        if has_port {
            return Ok(());
        }
        let reason = format!("`{}` is not a HOST:PORT, such as 127.0.0.1:8080", self.listen);
        Err(SettingsError::Value { name: "listen", reason })
    }
}

/// Why a string is not a valid public URL; `None` if it is.
fn public_url_problem(text: &str) -> Option<String> {
    let reason = match url::Url::parse(text) {
        Err(error) => format!("is not a URL ({error})"),
        Ok(url) if !matches!(url.scheme(), "http" | "https") => format!("has the scheme {}", url.scheme()),
        Ok(url) if url.query().is_some() || url.fragment().is_some() => "has a query or a fragment".to_owned(),
        Ok(url) if !url.username().is_empty() || url.password().is_some() => "has a user or a password".to_owned(),
        Ok(_) => return None,
    };
    let shown: String = text.chars().take(80).collect();
    Some(format!("`{shown}` {reason}: give http://HOST or https://HOST, with a port or a path if there is one"))
}

/// The keys that may sign plugins.
fn trust(keys: &[String], required: bool) -> Result<Trust, SettingsError> {
    let wrong = |reason: String| SettingsError::Value { name: "plugin_keys", reason };
    let mut pairs = Vec::new();
    for key in keys {
        pairs.push(key.split_once('=').ok_or_else(|| wrong(format!("`{key}`: write NAME=PUBLIC-KEY")))?);
    }
    Trust::new(pairs, required).map_err(wrong)
}

fn read(path: &Path) -> Result<SettingArguments, SettingsError> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| SettingsError::Read { path: shown.clone(), source })?;
    toml::from_str(&text).map_err(|source| SettingsError::Parse { path: shown, source: Box::new(source) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_take_precedence_over_the_file_and_the_file_over_defaults() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("hookwright.toml");
        std::fs::write(&file, "listen = \"127.0.0.1:1\"\nmax_backlog = 7\nallow_networks = [\"10.0.0.0/8\"]\n")
            .unwrap();
        let flags = SettingArguments { listen: Some("127.0.0.1:2".into()), ..SettingArguments::default() };
        let settings = Settings::resolve(flags, Some(&file)).unwrap();
        assert_eq!(settings.listen, "127.0.0.1:2");
        assert_eq!((settings.store.max_backlog, settings.store.queue), (7, 8192));
        assert_eq!(settings.pipeline.egress.allow_networks.len(), 1);
    }

    #[test]
    fn an_error_names_the_setting() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("hookwright.toml");
        for (text, part) in [
            ("max_backlogg = 7", "max_backlogg"),
            ("retry_jitter = 3.0", "retry_delays"),
            ("log_format = \"xml\"", "log_format"),
            ("recordings = 10001", "give 0 to 10000"),
            ("idempotency_ttl_seconds = 0", "idempotency_ttl_seconds: 0: give at least 1"),
            ("checkpoint_bytes = 0", "checkpoint_bytes: 0: give 1 to"),
            ("checkpoint_seconds = 3601", "checkpoint_seconds: 3601: give 1 to 3600"),
            ("public_url = \"foo\"", "public_url: `foo` is not a URL"),
            ("public_url = \"ftp://example.com\"", "has the scheme ftp"),
            ("public_url = \"https://example.com/?a=b\"", "has a query"),
            ("proxy = \"socks5://proxy.example:1080\"", "proxy"),
            ("allow_networks = [\"10.0.0.0/99\"]", "allow_networks"),
        ] {
            std::fs::write(&file, text).unwrap();
            let error = Settings::resolve(SettingArguments::default(), Some(&file)).err().unwrap();
            assert!(error.to_string().contains(part), "{error}");
        }
        assert!(Settings::resolve(SettingArguments::default(), Some(Path::new("/nowhere/at/all"))).is_err());
    }
}
