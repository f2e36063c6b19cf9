//! Health checks.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use hookwright_pipeline::StorageHealth;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::Shared;

/// The version of the server.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The maximum number of plugins that are listed while they are being loaded.
const MAX_LISTED_PLUGINS: usize = 20;

/// `GET /healthz`: whether the process is alive. Except for damage, a storage failure is reported with 200, because a
/// restart would not help.
pub(crate) async fn alive(State(app): State<Shared>) -> Response {
    let backlog = app.pipeline.backlog();
    match app.pipeline.storage_health() {
        StorageHealth::Writable => {
            axum::Json(json!({"status": "ok", "version": VERSION, "backlog": backlog})).into_response()
        }
        health => {
            let dead = matches!(health, StorageHealth::Damaged(_));
            let code = if dead { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
            let body =
                json!({"status": "degraded", "version": VERSION, "backlog": backlog, "storage": storage(&health)});
            (code, axum::Json(body)).into_response()
        }
    }
}

/// `GET /readyz`: whether events should be sent here.
pub(crate) async fn ready(State(app): State<Shared>) -> Response {
    let loading = app.pipeline.invoke.loading.loading();
    let health = app.pipeline.storage_health();
    let ready = loading.is_empty() && health == StorageHealth::Writable;
    let shown: Vec<&String> = loading.iter().take(MAX_LISTED_PLUGINS).collect();
    let body = json!({
        "status": if ready { "ready" } else { "not_ready" },
        "version": VERSION,
        "plugins": {"state": if loading.is_empty() { "loaded" } else { "loading" }, "left": loading.len(), "loading": shown},
        "storage": storage(&health),
    });
    if ready {
        return axum::Json(body).into_response();
    }
    let retry = [(header::RETRY_AFTER, HeaderValue::from_static("1"))];
    (StatusCode::SERVICE_UNAVAILABLE, retry, axum::Json(body)).into_response()
}

fn storage(health: &StorageHealth) -> Value {
    match health {
        StorageHealth::Writable => json!({"state": health.name()}),
        _ => json!({"state": health.name(), "detail": health.to_string()}),
    }
}
