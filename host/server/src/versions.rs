//! The versions of an uploaded plugin.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use hookwright_model::RolloutMode;
use hookwright_pipeline::VersionView;
use http::header;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Shared;
use crate::auth::Caller;
use crate::body::Json;
use crate::page::{Listed, Named};
use crate::plugins::put_in;
use crate::problem::Problem;
use crate::rollouts::Rolling;

pub(crate) fn shown(view: &VersionView) -> Value {
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
        "size_bytes": version.size,
        "wants": version.wants,
        "wants_more": wants_more,
        "signed_by": version.signed_by,
        "installed_at": version.installed_at,
        "live_since": version.live_since,
    })
}

pub(crate) async fn list(State(app): State<Shared>, caller: Caller, Named(name): Named) -> Result<Response, Problem> {
    let versions = app.pipeline.plugin_versions(&caller.space, &name)?;
    Ok(Listed::whole(versions.iter().map(shown).collect()).into_response())
}

/// Which version is to be used.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Choice {
    /// Its version, or the beginning of its digest.
    version: String,
    /// Grant what it wants beyond what was granted.
    #[serde(default)]
    approve: bool,
}

pub(crate) async fn activate(
    State(app): State<Shared>,
    caller: Caller,
    Named(name): Named,
    rolling: Result<Query<Rolling>, QueryRejection>,
    Json(choice): Json<Choice>,
) -> Result<Response, Problem> {
    let Query(rolling) = rolling.map_err(|error| Problem::bad("query.invalid", error.body_text()))?;
    let Choice { version, approve } = choice;
    let Some(input) = rolling.input() else {
        let installed = app.pipeline.activate_version(&caller.space, &name, &version, approve).await?;
        return Ok(put_in(&name, &installed, None));
    };
    let installed = app.pipeline.begin_rollout(&caller.space, &name, &version, approve, &input).await?;
    Ok(put_in(&name, &installed, input.mode))
}

pub(crate) async fn roll_back(
    State(app): State<Shared>,
    caller: Caller,
    Named(name): Named,
) -> Result<Response, Problem> {
    let installed = app.pipeline.roll_back(&caller.space, &name).await?;
    Ok(put_in(&name, &installed, None))
}

pub(crate) async fn approve(
    State(app): State<Shared>,
    caller: Caller,
    Named(name): Named,
) -> Result<Response, Problem> {
    let installed = app.pipeline.approve_version(&caller.space, &name).await?;
    Ok(put_in(&name, &installed, None))
}

#[derive(Deserialize)]
pub(crate) struct Which {
    version: Option<String>,
}

/// The component's bytes.
pub(crate) async fn component(
    State(app): State<Shared>,
    caller: Caller,
    Named(name): Named,
    query: Result<Query<Which>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(which) = query.map_err(|error| Problem::bad("query.invalid", error.body_text()))?;
    let (digest, component) = app.pipeline.plugin_component(&caller.space, &name, which.version.as_deref())?;
    let tag = format!("\"sha256:{digest}\"");
    Ok(([(header::CONTENT_TYPE, "application/wasm".to_owned()), (header::ETAG, tag)], component).into_response())
}
