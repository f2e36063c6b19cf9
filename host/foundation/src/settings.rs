//! Settings of the pipeline.

use std::collections::HashMap;
use std::time::Duration;

use hookwright_egress::EgressPolicy;
use hookwright_model::{Rate, RetrySchedule};

/// Settings of the pipeline, from accepting events to sending requests.
#[derive(Clone, Debug)]
pub struct PipelineSettings {
    /// Where requests may go.
    pub egress: EgressPolicy,
    /// How many events are processed at once.
    pub concurrent_events: usize,
    /// How many events one event may trigger for automations, directly and indirectly.
    pub max_descendants: u64,
    /// The runtime on which events are processed. `None`: the same as for everything else.
    pub workers: Option<tokio::runtime::Handle>,
    /// How many deliveries are in flight at once.
    pub concurrent_deliveries: usize,
    /// The retry schedule of a step with a transient failure.
    pub step_retry: RetrySchedule,
    /// The retry schedule of deliveries to webhooks without a schedule of their own.
    pub delivery_retry: RetrySchedule,
    /// The default timeout of an attempt, in milliseconds. A webhook may have its own.
    pub delivery_timeout_ms: u32,
    /// Settings that plugins can read through `config`.
    pub plugin_config: HashMap<String, String>,
    /// Whether the first version of an uploaded plugin is granted the interfaces that it imports.
    pub grant_on_install: bool,
    /// The circuit breaker of plugins.
    pub breaker: BreakerSettings,
    /// How mails are sent. `None`: they are stored, and can be read through the API.
    pub smtp: Option<SmtpSettings>,
    /// The address under which others reach the server, for links that messages carry.
    pub public_url: String,
    /// How many calls of a plugin are recorded in a space, so that they can be repeated. 0: none.
    pub recordings_kept: u32,
    /// For how long recordings are stored.
    pub recording_retention: Duration,
    /// For how long attempts at webhooks are stored.
    pub attempt_retention: Duration,
    /// How many attempts are stored at most.
    pub attempts_kept: u64,
    /// For how long an idempotency key is remembered. After that it counts as a new one.
    pub idempotency_ttl: Duration,
    /// The default rate limit of each source's URL. `None`: no limit.
    pub source_rate: Option<Rate>,
    /// For how long requests to sources' URLs are stored in their logs.
    pub request_retention: Duration,
    /// How many requests of each source are stored at most.
    pub requests_kept: u64,
}

impl PipelineSettings {
    /// The address under which others reach the server, without a slash at its end.
    pub fn public_url(&self) -> &str {
        self.public_url.trim_end_matches('/')
    }

    /// The host of that address.
    pub fn public_host(&self) -> String {
        let url = url::Url::parse(self.public_url()).ok();
        url.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_else(|| "localhost".to_owned())
    }
}

impl Default for PipelineSettings {
    fn default() -> Self {
        Self {
            egress: EgressPolicy::default(),
            concurrent_events: 64,
            max_descendants: 10_000,
            workers: None,
            concurrent_deliveries: 1024,
            step_retry: RetrySchedule { delays_seconds: vec![1, 10, 60, 600], jitter: 0.2 },
            delivery_retry: RetrySchedule::default(),
            delivery_timeout_ms: 15_000,
            plugin_config: HashMap::new(),
            grant_on_install: true,
            breaker: BreakerSettings::default(),
            smtp: None,
            public_url: "http://localhost".to_owned(),
            recordings_kept: 1000,
            recording_retention: Duration::from_secs(7 * 86_400),
            attempt_retention: Duration::from_secs(30 * 86_400),
            attempts_kept: 10_000_000,
            idempotency_ttl: Duration::from_secs(86_400),
            source_rate: Some(Rate { requests: 1000, per_seconds: 1 }),
            request_retention: Duration::from_secs(7 * 86_400),
            requests_kept: 500,
        }
    }
}

/// How mails are sent.
#[derive(Clone)]
pub struct SmtpSettings {
    /// `smtps://user:password@mail.example.com`, or `smtp://mail.example.com:587?tls=required`.
    pub url: String,
    /// The sender's address. A mail may have its own.
    pub from: String,
}

impl std::fmt::Debug for SmtpSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL holds a password.
        f.debug_struct("SmtpSettings").field("from", &self.from).finish_non_exhaustive()
    }
}

/// The circuit breaker of plugins.
#[derive(Clone, Copy, Debug)]
pub struct BreakerSettings {
    /// How many calls in a row must trap or exceed a limit before the circuit opens.
    pub strikes: u32,
    /// For how long it opens first. The pause doubles after each failed probe, up to 10 minutes.
    pub pause: Duration,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self { strikes: 5, pause: Duration::from_secs(30) }
    }
}
