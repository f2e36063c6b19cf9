//! The parts that every handler shares.

use std::sync::Arc;
use std::time::Duration;

use hookwright_pipeline::Pipeline;

use crate::auth_log::AuthLog;
use crate::auth_throttle::AuthThrottle;

/// State that all handlers share.
pub(crate) type Shared = Arc<App>;

/// The server's parts.
pub struct App {
    /// The operations behind the routes.
    pub pipeline: Arc<Pipeline>,
    /// Limits of bodies.
    pub limits: BodyLimits,
    /// The URL under which others reach the server, for URLs in responses; `None`: the host that the caller used.
    pub public_url: Option<String>,
    pub(crate) auth_throttle: AuthThrottle,
    pub(crate) auth_log: AuthLog,
}

impl App {
    /// `wrong_keys` wrong keys a minute are looked up for an address; 0: no limit.
    pub fn new(pipeline: Arc<Pipeline>, limits: BodyLimits, public_url: Option<String>, wrong_keys: u32) -> Self {
        let (auth_throttle, auth_log) = (AuthThrottle::new(wrong_keys), AuthLog::new(pipeline.now()));
        Self { pipeline, limits, public_url, auth_throttle, auth_log }
    }
}

/// Limits of bodies: size and time.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// The maximum size of all bodies except plugins, in bytes.
    pub body_bytes: usize,
    /// The maximum size of uploaded components, in bytes.
    pub plugin_bytes: usize,
    /// The timeout from the end of the header to the end of the body.
    pub time: Duration,
}
