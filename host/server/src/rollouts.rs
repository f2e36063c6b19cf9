//! Versions of plugins on their way into use.

use axum::extract::State;
use axum::response::Response;
use hookwright_model::{RollbackWhen, RolloutInput, RolloutMode};
use http::StatusCode;
use serde::Deserialize;

use crate::Shared;
use crate::auth::Caller;
use crate::body::Json;
use crate::page::Named;
use crate::plugins::put_in;
use crate::problem::Problem;

/// A version, and how it comes into use.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Beginning {
    /// Its version, or the beginning of its digest.
    version: String,
    /// Grant what it wants beyond what was granted.
    #[serde(default)]
    approve: bool,
    mode: Option<RolloutMode>,
    percent: Option<u8>,
    minimum_calls: Option<u32>,
    rollback_when: Option<RollbackWhen>,
}

/// The same in the query of an upload, where the version is known.
#[derive(Clone, Copy, Default, Deserialize)]
pub(crate) struct Rolling {
    rollout: Option<RolloutMode>,
    percent: Option<u8>,
    minimum_calls: Option<u32>,
    percent_above_live: Option<f64>,
}

impl Rolling {
    /// What it says; none: the version comes into use at once.
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
    Json(beginning): Json<Beginning>,
) -> Result<Response, Problem> {
    let Beginning { version, approve, mode, percent, minimum_calls, rollback_when } = beginning;
    let input = RolloutInput { mode, percent, minimum_calls, rollback_when };
    let installed = app.pipeline.begin_rollout(&caller.space, &name, &version, approve, &input).await?;
    Ok(put_in(&name, &installed, input.mode))
}

pub(crate) async fn promote(
    State(app): State<Shared>,
    caller: Caller,
    Named(name): Named,
) -> Result<Response, Problem> {
    let installed = app.pipeline.promote(&caller.space, &name).await?;
    Ok(put_in(&name, &installed, None))
}

pub(crate) async fn end(State(app): State<Shared>, caller: Caller, Named(name): Named) -> Result<StatusCode, Problem> {
    app.pipeline.end_rollout(&caller.space, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
