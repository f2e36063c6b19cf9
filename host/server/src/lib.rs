//! The HTTP server: routes, their permissions, and the format of errors. The pipeline implements the operations.

mod app;
mod attempts;
mod auth;
mod auth_log;
mod auth_throttle;
mod automations;
mod body;
mod cloudevents;
mod configuration;
mod content;
mod dialect;
mod envelope;
mod event_types;
mod events;
mod framing;
mod gate;
mod health;
mod idempotency;
mod keys;
mod kinds;
mod listener;
mod mails;
mod outcomes;
mod page;
mod pages;
mod plugin_view;
mod plugins;
mod policies;
mod problem;
mod query;
mod records;
mod refusals;
mod replays;
mod resthooks;
mod rollouts;
mod routes;
mod schedules;
mod secrets;
mod source_log;
mod sources;
mod tickets;
mod unauthenticated;
mod uspacy;
mod versions;
mod webhook_policies;
mod webhooks;
mod workflows;
mod xurrent;

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;

pub(crate) use app::Shared;
pub use app::{App, BodyLimits};
pub use auth::Needs;
pub use health::VERSION;
pub use listener::ConnectionLimits;
pub use problem::Problem;
pub use routes::{ROUTES, Route};

/// Serves until `stop` becomes true, then waits for requests in progress.
pub async fn serve(app: Arc<App>, listener: TcpListener, limits: ConnectionLimits, stop: watch::Receiver<bool>) {
    listener::serve(listener, routes::Routes::new(&app), limits, stop).await;
}
