use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hookwright_model::{Schedule, ScheduleId, ScheduleInput};
use http::{HeaderMap, StatusCode, header};

use crate::Shared;
use crate::auth::Caller;
use crate::body::{Json, NewJson};
use crate::page::{Listed, Named, Paging};
use crate::problem::Problem;
use crate::records::expected;

pub(crate) async fn create(
    State(app): State<Shared>,
    caller: Caller,
    NewJson(input): NewJson<ScheduleInput>,
) -> Result<Response, Problem> {
    let schedule = app.pipeline.resources.schedules.create_schedule(&caller.space, input).await?;
    let location = format!("/v1/schedules/{}", schedule.id);
    let headers = [(header::LOCATION, location), (header::ETAG, tag(&schedule))];
    Ok((StatusCode::CREATED, headers, axum::Json(schedule)).into_response())
}

pub(crate) async fn list(State(app): State<Shared>, caller: Caller, paging: Paging) -> Result<Response, Problem> {
    let before: Option<ScheduleId> = paging.parse()?;
    let all = app.pipeline.resources.schedules.schedules(&caller.space)?;
    let all = all.into_iter().filter(|one| before.is_none_or(|before| one.id < before));
    let mut data: Vec<_> = all.take(paging.limit.saturating_add(1)).collect();
    let more = data.len() > paging.limit;
    data.truncate(paging.limit);
    let next = data.last().filter(|_| more).map(|last| last.id.to_string());
    Ok(axum::Json(Listed { data, next }).into_response())
}

pub(crate) async fn read(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<Response, Problem> {
    Ok(tagged(app.pipeline.resources.schedules.schedule(&caller.space, &id)?))
}

/// A schedule's revision as its entity tag. It stays the same when the schedule fires.
fn tag(schedule: &Schedule) -> String {
    format!("\"{}\"", schedule.revision)
}

/// A schedule with its entity tag, for `If-Match`.
fn tagged(schedule: Schedule) -> Response {
    ([(header::ETAG, tag(&schedule))], axum::Json(schedule)).into_response()
}

/// `PATCH`: an absent field keeps its value.
pub(crate) async fn change(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
    headers: HeaderMap,
    Json(input): Json<ScheduleInput>,
) -> Result<Response, Problem> {
    let expected = expected(&headers);
    Ok(tagged(app.pipeline.resources.schedules.change_schedule(&caller.space, &id, input, expected.as_ref()).await?))
}

pub(crate) async fn delete(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let expected = expected(&headers);
    app.pipeline.resources.schedules.delete_schedule(&caller.space, &id, expected.as_ref()).await?;
    Ok(StatusCode::NO_CONTENT)
}
