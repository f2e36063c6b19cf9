//! Rollouts of plugin versions.

use axum::extract::State;
use axum::response::Response;
use hookwright_model::{RollbackWhen, RolloutInput, RolloutMode};
use http::StatusCode;
use serde::Deserialize;

use crate::Shared;
use crate::auth::Caller;
use crate::body::Json;
use crate::page::Named;
use crate::plugin_view::installed_version;
use crate::problem::Problem;

/// A version, and how it is rolled out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RolloutStart {
    /// Its version, or the beginning of its digest.
    version: String,
    /// Grant what it needs beyond the existing grants.
    #[serde(default)]
    approve: bool,
    mode: Option<RolloutMode>,
    percent: Option<u8>,
    minimum_calls: Option<u32>,
    rollback_when: Option<RollbackWhen>,
}

/// The same in the query of an upload, where the version is known.
#[derive(Clone, Copy, Default, Deserialize)]
pub(crate) struct RolloutQuery {
    rollout: Option<RolloutMode>,
    percent: Option<u8>,
    minimum_calls: Option<u32>,
    percent_above_live: Option<f64>,
}

impl RolloutQuery {
    /// The parsed rollout; `None`: the version goes live at once.
    pub(crate) fn input(self) -> Option<RolloutInput> {
        let Self { rollout, percent, minimum_calls, percent_above_live } = self;
        let rollback_when = percent_above_live.map(|percent_above_live| RollbackWhen { percent_above_live });
        Some(RolloutInput { mode: Some(rollout?), percent, minimum_calls, rollback_when })
    }
}

pub(crate) async fn begin(
    State(app): State<Shared>,
    caller: Caller,
    Named(name): Named,
    Json(beginning): Json<RolloutStart>,
) -> Result<Response, Problem> {
    let RolloutStart { version, approve, mode, percent, minimum_calls, rollback_when } = beginning;
    let input = RolloutInput { mode, percent, minimum_calls, rollback_when };
    let installed =
        app.pipeline.resources.plugins.begin_rollout(&caller.space, &name, &version, approve, &input).await?;
    Ok(installed_version(&name, &installed, input.mode))
}

pub(crate) async fn promote(
    State(app): State<Shared>,
    caller: Caller,
    Named(name): Named,
) -> Result<Response, Problem> {
    let installed = app.pipeline.resources.plugins.promote(&caller.space, &name).await?;
    Ok(installed_version(&name, &installed, None))
}

pub(crate) async fn end(State(app): State<Shared>, caller: Caller, Named(name): Named) -> Result<StatusCode, Problem> {
    app.pipeline.resources.plugins.end_rollout(&caller.space, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
