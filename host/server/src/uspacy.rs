//! The tools of a space below the URL of an incoming webhook, as clients of Uspacy's REST API know them (R3.6 to R3.8). The
//! URL is the only secret; what the webhook has access to, and what the key that it belongs to may do, bound it.

use axum::response::{IntoResponse, Response};
use hookwright_model::{Author, Merge, Mistake, Query, RecordKind, Refused, Source, ToolPath, Workbench};
use hookwright_pipeline::Arrival;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::Shared;
use crate::body;
use crate::dialect::{DENIED, Dialect};
use crate::problem::Problem;

/// How many records a page has unless the caller says otherwise, and at most.
const USUAL: usize = 20;
const MOST: usize = 100;
/// How far pages go, in records.
const FARTHEST: usize = 10_000;
/// How often the store is asked for one page. One that is not full by then is short, and says that there is more.
const ROUNDS: usize = 200;
/// The user that records are made by unless the webhook's `with.user` says otherwise.
const FIRST_USER: u64 = 1;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    List,
    Read,
    Create,
    Change,
    Delete,
}

impl Deed {
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
    let Some(deed) = Deed::of(&arrival.method, &place) else {
        let taken = if place.id.is_some() { "GET, PATCH, DELETE" } else { "GET, POST" };
        let problem =
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method.not_allowed", format!("{} takes {taken}", shown()));
        app.pipeline.note_refused(source, arrival, 405, problem.code(), problem.detail());
        let mut response = Dialect::Uspacy.spoken(problem.into_response());
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(taken));
        return Ok(response);
    };
    let author = owner(app, source, deed)?;
    let kind = app.pipeline.kind(&source.space, place.tool.kind())?;
    let user = source.with.get("user").and_then(Value::as_u64).unwrap_or(FIRST_USER);
    let id = place.id.unwrap_or_default();
    match deed {
        Deed::List => {
            let page = list(app, source, &kind, &place, &arrival.query)?;
            app.pipeline.note_taken(source, arrival, 200);
            Ok(axum::Json(page).into_response())
        }
        Deed::Read => {
            let (_, record) = app.pipeline.record(&source.space, kind.name(), id)?;
            app.pipeline.note_taken(source, arrival, 200);
            Ok(axum::Json(place.tool.shown(&record.value)).into_response())
        }
        Deed::Create => {
            let fields = place.tool.make(&kind, sent(arrival)?, user);
            let make = |bench: &mut Workbench| {
                let key = bench.make_record(kind.name(), fields.clone())?;
                record(bench, kind.name(), &key.id.to_string())
            };
            let made = app.pipeline.change_through(source, author, (arrival, 201), make).await?.value;
            Ok((StatusCode::CREATED, axum::Json(place.tool.shown(&made))).into_response())
        }
        Deed::Change => {
            let changes = place.tool.change(&kind, sent(arrival)?, user);
            let change = |bench: &mut Workbench| {
                if !changes.is_empty() {
                    bench.amend_record(kind.name(), id, changes.clone(), Merge::Fields)?;
                }
                record(bench, kind.name(), id)
            };
            let changed = app.pipeline.change_through(source, author, (arrival, 200), change).await?.value;
            Ok(axum::Json(place.tool.shown(&changed)).into_response())
        }
        Deed::Delete => {
            let remove = |bench: &mut Workbench| bench.remove_record(kind.name(), id);
            app.pipeline.change_through(source, author, (arrival, 204), remove).await?;
            Ok(StatusCode::NO_CONTENT.into_response())
        }
    }
}

fn denied(why: String) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, DENIED, why)
}

/// The key that the webhook belongs to, if it works and may do this.
fn owner(app: &Shared, source: &Source, deed: Deed) -> Result<Author, Problem> {
    let key = source.owner.as_ref().and_then(|owner| app.keys.get(&source.space, owner.as_str()));
    let Some(known) = key else {
        return Err(denied("the key that the webhook belongs to was revoked".to_owned()));
    };
    let key = &known.key;
    let may = if matches!(deed, Deed::List | Deed::Read) { key.role.reads() } else { key.role.edits() };
    if !may {
        return Err(denied(format!("the key that the webhook belongs to has the role {}", key.role.name())));
    }
    Ok(Author { key: Some(key.id.to_string()), key_name: Some(key.name.clone()), ..Author::default() })
}

/// The fields in a request's body.
fn sent(arrival: &Arrival) -> Result<Map<String, Value>, Problem> {
    body::json(&arrival.body)
}

fn record(bench: &mut Workbench, kind: &str, id: &str) -> Result<Value, Refused> {
    bench.record_key(kind, id)?;
    Ok(bench.record(kind, id)?.unwrap_or_default())
}

/// One page: `?page=` and `?list=` for how many; what else the query has are filters and `sort`, as in `/v1/records`.
fn list(app: &Shared, source: &Source, kind: &RecordKind, place: &ToolPath<'_>, query: &str) -> Result<Value, Problem> {
    let (mut page, mut size) = (1, USUAL);
    let mut filters = Vec::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "page" => page = number("page", &value, FARTHEST)?,
            "list" => size = number("list", &value, MOST)?,
            _ => filters.push((name.into_owned(), value.into_owned())),
        }
    }
    if page.saturating_mul(size) > FARTHEST {
        let message = format!("{page} pages of {size} are more than {FARTHEST} records: filter them");
        return Err(Problem::from(Mistake::new("page", message)).with_status(StatusCode::BAD_REQUEST));
    }
    let filters = filters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let query = Query::parse(kind, filters).map_err(|mistake| Problem::bad("query.invalid", mistake.to_string()))?;
    let (mut skip, mut data, mut cursor) = (page.saturating_sub(1).saturating_mul(size), Vec::new(), None);
    for _ in 0..ROUNDS {
        let wanted = if skip > 0 { skip.min(MOST) } else { size.saturating_sub(data.len()) };
        let found = app.pipeline.list_records(&source.space, kind, &query, cursor.as_deref(), wanted)?;
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
        let shown: String = text.chars().take(40).collect();
        let message = format!("is `{shown}`: a number from 1 to {most}");
        Problem::from(Mistake::new(name, message)).with_status(StatusCode::BAD_REQUEST).renamed("query.invalid")
    })
}
