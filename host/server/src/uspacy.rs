//! The tools of a space below the URL of an incoming webhook, in the form of Uspacy's REST API. The URL is the only
//! credential; the webhook's access and the role of the key that owns it limit what it may do.

use axum::response::{IntoResponse, Response};
use hookwright_model::{Author, Merge, Mistake, Query, RecordKind, Refused, Source, ToolPath, UserId, Workbench};
use hookwright_pipeline::Arrival;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::Shared;
use crate::body;
use crate::dialect::{ACCESS_DENIED, Dialect};
use crate::problem::Problem;
use crate::query;

/// The default page size, and the maximum.
const DEFAULT_PER_PAGE: usize = 20;
const MAX_PER_PAGE: usize = 100;
/// The maximum offset of a page, in records.
const MAX_OFFSET: usize = 10_000;
/// The maximum number of reads from the store for one page. A page that is not full after these is short, and says that
/// there is more.
const MAX_ROUNDS: usize = 200;
/// The user that creates records if neither the webhook's `with.user` nor its key names one.
const FIRST_USER: UserId = UserId::Number(1);

/// The operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    List,
    Read,
    Create,
    Change,
    Delete,
}

impl Operation {
    fn of(method: &str, place: &ToolPath<'_>) -> Option<Self> {
        match (method, place.id.is_some()) {
            ("GET" | "HEAD", false) => Some(Self::List),
            ("GET" | "HEAD", true) => Some(Self::Read),
            ("POST", false) => Some(Self::Create),
            ("PATCH", true) => Some(Self::Change),
            ("DELETE", true) => Some(Self::Delete),
            _ => None,
        }
    }
}

/// Answers a request below an incoming webhook's URL.
pub(crate) async fn answer(app: &Shared, source: &Source, arrival: &Arrival) -> Result<Response, Problem> {
    let shown = || arrival.path.chars().take(200).collect::<String>();
    let Some(place) = ToolPath::parse(&arrival.path) else {
        let detail = format!("there is nothing at {} below this webhook's URL", shown());
        return Err(Problem::new(StatusCode::NOT_FOUND, "route.not_found", detail));
    };
    let access = place.tool.access();
    if !access.iter().any(|word| source.access.contains(word)) {
        return Err(denied(format!("the webhook has no access to {}", access.join(" or "))));
    }
    let Some(operation) = Operation::of(&arrival.method, &place) else {
        let supported = if place.id.is_some() { "GET, PATCH, DELETE" } else { "GET, POST" };
        let method: String = arrival.method.chars().take(20).collect();
        let detail = format!("{} does not support {method}; it supports {supported}", shown());
        let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method.not_allowed", detail);
        app.pipeline.intake.source_log.log_refused(source, arrival, 405, problem.code(), problem.detail());
        let mut response = Dialect::Uspacy.spoken(problem.into_response());
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(supported));
        return Ok(response);
    };
    let mut author = owner(app, source, operation)?;
    let kind = app.pipeline.resources.records.kind(&source.space, place.tool.kind())?;
    let given = source.with.get("user").and_then(Value::as_u64).map(UserId::Number);
    if given.is_some() {
        // The webhook names the user of its callers, so the user of the key does not apply.
        author.user = author.user.filter(|user| given.as_ref() == Some(&user.id));
    }
    let user = given.or_else(|| author.user.as_ref().map(|user| user.id.clone())).unwrap_or(FIRST_USER);
    let id = place.id.unwrap_or_default();
    match operation {
        Operation::List => {
            let page = list(app, source, &kind, &place, &arrival.query)?;
            app.pipeline.intake.source_log.log_accepted(source, arrival, 200);
            Ok(axum::Json(page).into_response())
        }
        Operation::Read => {
            let (_, record) = app.pipeline.resources.records.record(&source.space, kind.name(), id)?;
            app.pipeline.intake.source_log.log_accepted(source, arrival, 200);
            Ok(axum::Json(place.tool.shown(&record.value)).into_response())
        }
        Operation::Create => {
            let fields = place.tool.make(&kind, sent(arrival)?, &user);
            let make = |bench: &mut Workbench| {
                let key = bench.make_record(kind.name(), fields.clone())?;
                record(bench, kind.name(), &key.id.to_string())
            };
            let made = app.pipeline.resources.records.change_through(source, author, (arrival, 201), make).await?.value;
            Ok((StatusCode::CREATED, axum::Json(place.tool.shown(&made))).into_response())
        }
        Operation::Change => {
            let changes = place.tool.change(&kind, sent(arrival)?, &user);
            let change = |bench: &mut Workbench| {
                if !changes.is_empty() {
                    bench.amend_record(kind.name(), id, changes.clone(), Merge::Fields)?;
                }
                record(bench, kind.name(), id)
            };
            let changed =
                app.pipeline.resources.records.change_through(source, author, (arrival, 200), change).await?.value;
            Ok(axum::Json(place.tool.shown(&changed)).into_response())
        }
        Operation::Delete => {
            let remove = |bench: &mut Workbench| bench.remove_record(kind.name(), id);
            app.pipeline.resources.records.change_through(source, author, (arrival, 204), remove).await?;
            Ok(StatusCode::NO_CONTENT.into_response())
        }
    }
}

fn denied(why: String) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, ACCESS_DENIED, why)
}

/// The key that owns the webhook, if it is valid and permits this operation.
fn owner(app: &Shared, source: &Source, operation: Operation) -> Result<Author, Problem> {
    let key = source
        .owner
        .as_ref()
        .and_then(|owner| app.pipeline.resources.api_keys.known_key(&source.space, owner.as_str()));
    let Some(key) = key else {
        return Err(denied("the key that the webhook belongs to was revoked".to_owned()));
    };
    if key.has_expired(app.pipeline.now()) {
        return Err(denied("the key that the webhook belongs to has expired".to_owned()));
    }
    let may = if matches!(operation, Operation::List | Operation::Read) { key.role.reads() } else { key.role.edits() };
    if !may {
        return Err(denied(format!("the key that the webhook belongs to has the role {}", key.role.name())));
    }
    Ok(Author::of_key(&key))
}

/// The fields in a request's body.
fn sent(arrival: &Arrival) -> Result<Map<String, Value>, Problem> {
    body::json(&arrival.body)
}

fn record(bench: &mut Workbench, kind: &str, id: &str) -> Result<Value, Refused> {
    bench.record_key(kind, id)?;
    Ok(bench.record(kind, id)?.unwrap_or_default())
}

/// One page: `?page=`, and `?list=` for its size; the other parameters are filters and `sort`, as in `/v1/records`.
fn list(app: &Shared, source: &Source, kind: &RecordKind, place: &ToolPath<'_>, query: &str) -> Result<Value, Problem> {
    let (mut page, mut size) = (1, DEFAULT_PER_PAGE);
    let mut filters = Vec::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "page" => page = number("page", &value, MAX_OFFSET)?,
            "list" => size = number("list", &value, MAX_PER_PAGE)?,
            _ => filters.push((name.into_owned(), value.into_owned())),
        }
    }
    if page.saturating_mul(size) > MAX_OFFSET {
        let message = format!("{page} pages of {size} are more than {MAX_OFFSET} records: filter them");
        return Err(Problem::from(Mistake::new("page", message)).with_status(StatusCode::BAD_REQUEST));
    }
    let filters = filters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let query = Query::parse(kind, filters).map_err(|mistake| query::invalid(mistake.to_string()))?;
    let (mut skip, mut data, mut cursor) = (page.saturating_sub(1).saturating_mul(size), Vec::new(), None);
    for _ in 0..MAX_ROUNDS {
        let wanted = if skip > 0 { skip.min(MAX_PER_PAGE) } else { size.saturating_sub(data.len()) };
        let found =
            app.pipeline.resources.records.list_records(&source.space, kind, &query, cursor.as_deref(), wanted)?;
        if skip > 0 {
            skip = skip.saturating_sub(found.records.len());
        } else {
            data.extend(found.records.iter().map(|(_, record)| place.tool.shown(&record.value)));
        }
        cursor = found.next;
        if cursor.is_none() || data.len() >= size {
            break;
        }
    }
    Ok(json!({"data": data, "meta": {"page": page, "list": size, "more": cursor.is_some()}}))
}

fn number(name: &str, text: &str, most: usize) -> Result<usize, Problem> {
    text.parse().ok().filter(|number| (1..=most).contains(number)).ok_or_else(|| {
        let shown = hookwright_model::abridged(text);
        let message = format!("is `{shown}`: give a number from 1 to {most}");
        Problem::from(Mistake::new(name, message)).with_status(StatusCode::BAD_REQUEST).renamed("query.invalid")
    })
}
