use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use hookwright_model::{INCOMING, Mistake, PollStatus, PollTimes, Polling, Rate, Role, Source, SourceId, Timestamp};
use hookwright_pipeline::{Arrival, Received, SourceInput, SourceRefusal};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::auth::Caller;
use crate::body::Json;
use crate::dialect::Dialect;
use crate::page::{Listed, Named};
use crate::problem::Problem;
use crate::webhooks::optional;
use crate::{Shared, body, uspacy};

/// Where sources take their requests.
const PREFIX: &str = "/in/";

#[derive(Serialize)]
struct Shown {
    id: SourceId,
    name: String,
    kind: String,
    access: Vec<String>,
    active: bool,
    with: Map<String, Value>,
    url: String,
    /// The key that answers for it; null: none does.
    owner: Option<Owner>,
    /// Null: the server's setting.
    rate: Option<Rate>,
    created_at: Timestamp,
    /// When the server asks it by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    poll: Option<PollTimes>,
    /// How that goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<PollStatus>,
    rotated_at: Option<Timestamp>,
    /// Until when the URL before this one works too.
    #[serde(skip_serializing_if = "Option::is_none")]
    former_url_until: Option<Timestamp>,
    /// Only in the answer to the creation, if Hookwright made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

/// A key that answers for a source. Of one that was revoked only the id is known.
#[derive(Serialize)]
struct Owner {
    key: String,
    name: Option<String>,
    role: Option<Role>,
    revoked: bool,
}

impl Owner {
    fn of(app: &Shared, source: &Source) -> Option<Self> {
        let id = source.owner.as_ref()?;
        let known = app.keys.get(&source.space, id.as_str());
        let known = known.as_ref().map(|known| &known.key);
        Some(Self {
            key: id.to_string(),
            name: known.map(|key| key.name.clone()),
            role: known.map(|key| key.role),
            revoked: known.is_none(),
        })
    }
}

/// Refuses an owner that is no key of the space.
fn check_owner(app: &Shared, caller: &Caller, input: &SourceInput) -> Result<(), Problem> {
    match input.owner.as_deref() {
        Some(owner) if app.keys.get(&caller.space, owner).is_none() => {
            let owner: String = owner.chars().take(80).collect();
            let message =
                format!("there is no key `{owner}` in this space: give the id of one, as `GET /v1/keys` has it");
            Err(Mistake::new("owner", message).into())
        }
        _ => Ok(()),
    }
}

/// The URL of the source with this token.
pub(crate) fn url_of(app: &Shared, headers: &HeaderMap, token: &str) -> String {
    let base = match &app.public_url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => {
            let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or("localhost");
            format!("http://{host}")
        }
    };
    format!("{base}{PREFIX}{token}")
}

fn shown(
    app: &Shared,
    headers: &HeaderMap,
    source: Source,
    token: &str,
    secret: Option<String>,
) -> Result<Shown, Problem> {
    let polling = app.pipeline.polling(&source)?;
    Ok(shown_with(app, headers, source, polling, token, secret))
}

/// As [`shown`], of a source whose times are known already.
fn shown_with(
    app: &Shared,
    headers: &HeaderMap,
    source: Source,
    polling: Option<Polling>,
    token: &str,
    secret: Option<String>,
) -> Shown {
    let (poll, status) = polling.map(|polling| (polling.times, polling.status)).unzip();
    let former = source.former.as_ref().map(|former| former.until).filter(|until| app.pipeline.now() < *until);
    Shown {
        owner: Owner::of(app, &source),
        rate: source.rate,
        rotated_at: source.rotated_at,
        former_url_until: former,
        id: source.id,
        name: source.name,
        kind: source.kind,
        access: source.access,
        active: source.active,
        with: source.with,
        url: url_of(app, headers, token),
        created_at: source.created_at,
        poll,
        status,
        secret,
    }
}

pub(crate) async fn create(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    Json(input): Json<SourceInput>,
) -> Result<Response, Problem> {
    check_owner(&app, &caller, &input)?;
    let made = app.pipeline.create_source(&caller.space, &caller.key, input).await?;
    let location = format!("/v1/sources/{}", made.source.id);
    let body = axum::Json(shown(&app, &headers, made.source, &made.token, made.secret)?);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], body).into_response())
}

pub(crate) async fn list(State(app): State<Shared>, caller: Caller, headers: HeaderMap) -> Result<Response, Problem> {
    let mut sources = app.pipeline.store().sources(&caller.space)?;
    sources.sort_by(|a, b| b.id.cmp(&a.id));
    let mut data = Vec::with_capacity(sources.len());
    let mut pollings = app.pipeline.pollings(&caller.space)?;
    for source in sources {
        let token = app.pipeline.source_token(&source)?;
        let polling = pollings.remove(&source.id);
        data.push(shown_with(&app, &headers, source, polling, &token, None));
    }
    Ok(Listed::whole(data).into_response())
}

pub(crate) async fn read(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    Named(id): Named,
) -> Result<Response, Problem> {
    let source = app.pipeline.source(&caller.space, &id)?;
    let token = app.pipeline.source_token(&source)?;
    Ok(axum::Json(shown(&app, &headers, source, &token, None)?).into_response())
}

pub(crate) async fn change(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    Named(id): Named,
    Json(input): Json<SourceInput>,
) -> Result<Response, Problem> {
    check_owner(&app, &caller, &input)?;
    let source = app.pipeline.change_source(&caller.space, &id, input).await?;
    let token = app.pipeline.source_token(&source)?;
    Ok(axum::Json(shown(&app, &headers, source, &token, None)?).into_response())
}

/// Gives a source a new URL.
pub(crate) async fn rotate(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    Named(id): Named,
    bytes: axum::body::Bytes,
) -> Result<Response, Problem> {
    let made = app.pipeline.rotate_source(&caller.space, &id, optional(&bytes)?).await?;
    Ok(axum::Json(shown(&app, &headers, made.source, &made.token, None)?).into_response())
}

pub(crate) async fn delete(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<StatusCode, Problem> {
    app.pipeline.delete_source(&caller.space, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Asks a source for news now.
pub(crate) async fn poll(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
) -> Result<axum::Json<Value>, Problem> {
    let ids = app.pipeline.poll(&caller.space, &id).await?;
    let source = app.pipeline.source(&caller.space, &id)?;
    let status = app.pipeline.polling(&source)?.map(|polling| polling.status);
    Ok(axum::Json(json!({"ids": ids, "status": status})))
}

/// `/in/{token}` and what follows it: any method, taken by the source plugin behind the token, or by the tools that an
/// incoming webhook reaches. Whatever comes of it is in the source's log.
pub(crate) async fn receive(State(app): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let rest = parts.uri.path().strip_prefix(PREFIX).unwrap_or_default();
    let (token, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let source = match app.pipeline.source_at(token) {
        Ok(source) => source,
        Err(error) => return Problem::from(error).unread(&parts.headers).into_response(),
    };
    let remote = parts.extensions.get::<SocketAddr>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), SocketAddr::ip);
    let headers = parts.headers.iter();
    let mut arrival = Arrival {
        method: parts.method.as_str().to_owned(),
        path: path.to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: headers.map(|(n, v)| (n.as_str().to_owned(), String::from_utf8_lossy(v.as_bytes()).into())).collect(),
        body: axum::body::Bytes::new(),
        remote,
    };
    match taken(&app, &source, &mut arrival, &parts.headers, body).await {
        Ok(response) => response,
        Err(problem) => {
            let (status, code, detail) = (problem.status().as_u16(), problem.code(), problem.detail());
            app.pipeline.note_refused(&source, &arrival, status, code, detail);
            let response = problem.into_response();
            if source.kind == INCOMING { Dialect::Uspacy.spoken(response) } else { response }
        }
    }
}

async fn taken(
    app: &Shared,
    source: &Source,
    arrival: &mut Arrival,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    app.pipeline.admit(source).map_err(|refusal| refused(refusal).unread(headers))?;
    arrival.body = body::read(body, app.limits.body_bytes, app.limits.time).await?;
    if source.kind == INCOMING {
        return uspacy::answer(app, source, arrival).await;
    }
    match app.pipeline.receive(source, arrival).await? {
        Received::Refused(refusal) => Err(refused(refusal)),
        Received::Accepted { ids, status: 0, .. } => {
            Ok((StatusCode::ACCEPTED, axum::Json(json!({"id": ids.first(), "ids": ids}))).into_response())
        }
        Received::Accepted { status, headers, body, .. } => {
            let mut response = Response::new(Body::from(body));
            *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
            for (name, value) in headers {
                if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(&value)) {
                    response.headers_mut().append(name, value);
                }
            }
            Ok(response)
        }
    }
}

fn refused(refusal: SourceRefusal) -> Problem {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
    let problem = Problem::new(status, &refusal.code, refusal.message);
    match refusal.retry_after {
        Some(seconds) => problem.retry_after(seconds),
        None => problem,
    }
}
