use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hookwright_model::{ScheduleId, ScheduleInput};
use http::{StatusCode, header};

use crate::Shared;
use crate::auth::Caller;
use crate::body::Json;
use crate::page::{Listed, Named, Paging};
use crate::problem::Problem;

pub(crate) async fn create(
    State(app): State<Shared>,
    caller: Caller,
    Json(input): Json<ScheduleInput>,
) -> Result<Response, Problem> {
    let schedule = app.pipeline.create_schedule(&caller.space, input).await?;
    let location = format!("/v1/schedules/{}", schedule.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], axum::Json(schedule)).into_response())
}

pub(crate) async fn list(State(app): State<Shared>, caller: Caller, paging: Paging) -> Result<Response, Problem> {
    let wrong = || Problem::bad("query.invalid", "`cursor` is no id of a schedule: take `next` of an answer");
    let before: Option<ScheduleId> =
        paging.cursor.as_deref().map(|cursor| cursor.parse().map_err(|()| wrong())).transpose()?;
    let all = app.pipeline.store().schedules(&caller.space)?;
    let all = all.into_iter().filter(|one| before.is_none_or(|before| one.id < before));
    let mut data: Vec<_> = all.take(paging.limit.saturating_add(1)).collect();
    let more = data.len() > paging.limit;
    data.truncate(paging.limit);
    let next = data.last().filter(|_| more).map(|last| last.id.to_string());
    Ok(axum::Json(Listed { data, next }).into_response())
}

pub(crate) async fn read(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<Response, Problem> {
    Ok(axum::Json(app.pipeline.schedule(&caller.space, &id)?).into_response())
}

/// `PATCH`: what is absent keeps its value.
pub(crate) async fn change(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
    Json(input): Json<ScheduleInput>,
) -> Result<Response, Problem> {
    Ok(axum::Json(app.pipeline.change_schedule(&caller.space, &id, input).await?).into_response())
}

pub(crate) async fn delete(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<StatusCode, Problem> {
    app.pipeline.delete_schedule(&caller.space, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
