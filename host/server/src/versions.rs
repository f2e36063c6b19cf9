//! The versions of an uploaded plugin.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hookwright_pipeline::VersionView;
use http::header;
use serde::Deserialize;

use crate::Shared;
use crate::auth::Caller;
use crate::body::Json;
use crate::page::{Listed, Named, Window};
use crate::plugin_view::{installed_version, version as shown_version};
use crate::problem::Problem;
use crate::query::Query;
use crate::rollouts::RolloutQuery;

pub(crate) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    Named(name): Named,
    window: Window,
) -> Result<Response, Problem> {
    let versions = app.pipeline.resources.plugins.plugin_versions(&caller.space, &name)?;
    let place = |view: &VersionView| format!("{:016}.{}", view.version.installed_at.millis(), view.version.digest);
    let axum::Json(Listed { data, next }) = window.descending(versions, place);
    Ok(axum::Json(Listed { data: data.iter().map(shown_version).collect(), next }).into_response())
}

/// The version to activate.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActivationInput {
    /// Its version, or the beginning of its digest.
    version: String,
    /// Grant what it needs beyond the existing grants.
    #[serde(default)]
    approve: bool,
}

pub(crate) async fn activate(
    State(app): State<Shared>,
    caller: Caller,
    Named(name): Named,
    Query(rolling): Query<RolloutQuery>,
    Json(choice): Json<ActivationInput>,
) -> Result<Response, Problem> {
    let ActivationInput { version, approve } = choice;
    let Some(input) = rolling.input() else {
        let installed =
            app.pipeline.resources.plugins.activate_version(&caller.space, &name, &version, approve).await?;
        return Ok(installed_version(&name, &installed, None));
    };
    let installed =
        app.pipeline.resources.plugins.begin_rollout(&caller.space, &name, &version, approve, &input).await?;
    Ok(installed_version(&name, &installed, input.mode))
}

pub(crate) async fn roll_back(
    State(app): State<Shared>,
    caller: Caller,
    Named(name): Named,
) -> Result<Response, Problem> {
    let installed = app.pipeline.resources.plugins.roll_back(&caller.space, &name).await?;
    Ok(installed_version(&name, &installed, None))
}

pub(crate) async fn approve(
    State(app): State<Shared>,
    caller: Caller,
    Named(name): Named,
) -> Result<Response, Problem> {
    let installed = app.pipeline.resources.plugins.approve_version(&caller.space, &name).await?;
    Ok(installed_version(&name, &installed, None))
}

#[derive(Deserialize)]
pub(crate) struct ComponentQuery {
    version: Option<String>,
}

/// The component's bytes.
pub(crate) async fn component(
    State(app): State<Shared>,
    caller: Caller,
    Named(name): Named,
    Query(which): Query<ComponentQuery>,
) -> Result<Response, Problem> {
    let (digest, component) =
        app.pipeline.resources.plugins.plugin_component(&caller.space, &name, which.version.as_deref())?;
    let tag = format!("\"sha256:{digest}\"");
    Ok(([(header::CONTENT_TYPE, "application/wasm".to_owned()), (header::ETAG, tag)], component).into_response())
}
