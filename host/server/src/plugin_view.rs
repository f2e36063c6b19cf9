//! How plugins and their versions are shown.

use axum::response::{IntoResponse as _, Response};
use hookwright_model::RolloutMode;
use hookwright_pipeline::{Installed, VersionView};
use hookwright_plugin::Plugin;
use http::StatusCode;
use serde_json::{Map, Value, json};

/// What a plugin says of itself, and how it was loaded.
pub(crate) fn about(plugin: &Plugin) -> Map<String, Value> {
    let mut about = plugin.about();
    about.insert("compiled".to_owned(), plugin.compiled().into());
    about.insert("load_ms".to_owned(), (plugin.load_time().as_secs_f64() * 1000.0).into());
    about
}

/// A version of an uploaded plugin.
pub(crate) fn version(view: &VersionView) -> Value {
    let VersionView { version, live, rollout, wants_more } = view;
    let state = match () {
        () if *live => "live",
        () if *rollout == Some(RolloutMode::Shadow) => "shadow",
        () if *rollout == Some(RolloutMode::Canary) => "canary",
        () if !wants_more.is_empty() => "held",
        () => "kept",
    };
    json!({
        "version": version.version,
        "digest": version.digest,
        "state": state,
        "dev": version.dev,
        "size_bytes": version.size,
        "wants": version.wants,
        "wants_more": wants_more,
        "signed_by": version.signed_by,
        "installed_at": version.installed_at,
        "live_since": version.live_since,
    })
}

/// The response to a request that installed a version, activated it, or began its rollout.
pub(crate) fn installed_version(name: &str, installed: &Installed, rollout: Option<RolloutMode>) -> Response {
    let held = !installed.held.is_empty();
    let mut shown = Map::new();
    shown.insert("name".to_owned(), name.into());
    shown.insert("origin".to_owned(), "uploaded".into());
    let state = match rollout {
        _ if held => "held",
        None => "live",
        Some(RolloutMode::Shadow) => "shadow",
        Some(RolloutMode::Canary) => "canary",
    };
    shown.insert("state".to_owned(), state.into());
    if installed.dev {
        shown.insert("dev".to_owned(), true.into());
    }
    shown.extend(about(&installed.plugin));
    if held {
        shown.insert("wants_more".to_owned(), json!(installed.held));
        let detail = format!(
            "it requests more than is granted, so the previous version stays live; to approve it, POST to \
             /v1/plugins/{name}/approve"
        );
        shown.insert("detail".to_owned(), detail.into());
    }
    if !installed.signed_by.is_empty() {
        shown.insert("signed_by".to_owned(), json!(installed.signed_by));
    }
    let replaced = installed.replaced.as_ref();
    let replaced = replaced.map(|old| json!({"version": old.manifest().version, "digest": old.digest()}));
    shown.insert("replaced".to_owned(), replaced.unwrap_or_default());
    let status = if held { StatusCode::ACCEPTED } else { StatusCode::OK };
    (status, axum::Json(shown)).into_response()
}
