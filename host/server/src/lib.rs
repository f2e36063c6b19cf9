//! The HTTP server: routes, who may use them, and how errors look. What they do is the pipeline's.

mod attempts;
mod auth;
mod automations;
mod body;
mod cloudevents;
mod configuration;
mod dialect;
mod event_types;
mod events;
mod keys;
mod kinds;
mod listener;
mod mails;
mod outcomes;
mod page;
mod pages;
mod plugins;
mod policies;
mod problem;
mod records;
mod replays;
mod resthooks;
mod rollouts;
mod routes;
mod schedules;
mod secrets;
mod source_log;
mod sources;
mod tickets;
mod uspacy;
mod versions;
mod webhook_policies;
mod webhooks;
mod workflows;
mod xurrent;

use std::sync::Arc;

use hookwright_pipeline::Pipeline;
use tokio::net::TcpListener;
use tokio::sync::watch;

pub use auth::Needs;
pub use body::BodyLimits;
pub use keys::{Keys, write_admin_key};
pub use listener::ConnectionLimits;
pub use problem::Problem;
pub use routes::{ROUTES, Route};

/// What every handler shares.
pub(crate) type Shared = Arc<App>;

/// The server's parts.
pub struct App {
    /// What the routes do.
    pub pipeline: Arc<Pipeline>,
    /// Who may call.
    pub keys: Keys,
    /// Bounds of bodies.
    pub limits: BodyLimits,
    /// The address under which others reach the server, for URLs that it gives out; none: what the caller used.
    pub public_url: Option<String>,
}

/// Serves until `stop` becomes true, then lets what is under way finish.
pub async fn serve(app: Arc<App>, listener: TcpListener, limits: ConnectionLimits, stop: watch::Receiver<bool>) {
    listener::serve(listener, routes::router(app), limits, stop).await;
}
