use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use hookwright_model::{INCOMING, PollStatus, PollTimes, Polling, Rate, Role, Source, SourceId, Timestamp};
use hookwright_pipeline::{Arrival, PipelineError, Received, SourceInput, SourceRefusal};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::auth::Caller;
use crate::body::{Json, NewJson, optional};
use crate::dialect::Dialect;
use crate::page::{Named, Window};
use crate::problem::Problem;
use crate::unauthenticated::ConnectionHandle;
use crate::{Shared, body, content, uspacy};

/// The path prefix of the sources' URLs.
const PREFIX: &str = "/in/";

#[derive(Serialize)]
struct SourceView {
    id: SourceId,
    name: String,
    kind: String,
    access: Vec<String>,
    active: bool,
    with: Map<String, Value>,
    url: String,
    /// The key that owns it; null: none.
    owner: Option<Owner>,
    /// Null: the server's setting.
    rate: Option<Rate>,
    created_at: Timestamp,
    /// Its polling schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    poll: Option<PollTimes>,
    /// The progress of polling.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<PollStatus>,
    rotated_at: Option<Timestamp>,
    /// The time until which the previous URL also works.
    #[serde(skip_serializing_if = "Option::is_none")]
    former_url_until: Option<Timestamp>,
    /// Only in the response to the creation, if Hookwright generated it.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

/// A key that owns a source. Only the id of a revoked one is known.
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
        let known = app.pipeline.resources.api_keys.known_key(&source.space, id.as_str());
        Some(Self {
            key: id.to_string(),
            name: known.as_ref().map(|key| key.name.clone()),
            role: known.as_ref().map(|key| key.role),
            revoked: known.is_none(),
        })
    }
}

/// The URL of the source with this token.
pub(crate) fn url_of(app: &Shared, headers: &HeaderMap, token: &str) -> String {
    format!("{}{PREFIX}{token}", base_of(app, headers))
}

/// The address under which the caller reaches the server, without a slash at its end.
pub(crate) fn base_of(app: &Shared, headers: &HeaderMap) -> String {
    match &app.public_url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => {
            let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or("localhost");
            format!("http://{host}")
        }
    }
}

fn shown(
    app: &Shared,
    headers: &HeaderMap,
    source: Source,
    token: &str,
    secret: Option<String>,
) -> Result<SourceView, Problem> {
    let polling = app.pipeline.intake.polling.polling(&source)?;
    Ok(shown_with(app, headers, source, polling, token, secret))
}

/// As [`shown`], for a source whose polling schedule is known already.
fn shown_with(
    app: &Shared,
    headers: &HeaderMap,
    source: Source,
    polling: Option<Polling>,
    token: &str,
    secret: Option<String>,
) -> SourceView {
    let (poll, status) = polling.map(|polling| (polling.times, polling.status)).unzip();
    let former = source.former.as_ref().map(|former| former.until).filter(|until| app.pipeline.now() < *until);
    SourceView {
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
    NewJson(input): NewJson<SourceInput>,
) -> Result<Response, Problem> {
    let made = app.pipeline.resources.sources.create_source(&caller.space, caller.key(), input).await?;
    let location = format!("/v1/sources/{}", made.source.id);
    let body = axum::Json(shown(&app, &headers, made.source, &made.token, made.secret)?);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], body).into_response())
}

pub(crate) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    window: Window,
) -> Result<Response, Problem> {
    let mut sources = app.pipeline.resources.sources.sources(&caller.space)?;
    sources.sort_by(|a, b| b.id.cmp(&a.id));
    let mut data = Vec::with_capacity(sources.len());
    let mut pollings = app.pipeline.intake.polling.pollings(&caller.space)?;
    for source in sources {
        let token = app.pipeline.resources.sources.source_token(&source)?;
        let polling = pollings.remove(&source.id);
        data.push(shown_with(&app, &headers, source, polling, &token, None));
    }
    Ok(window.descending(data, |source| source.id.to_string()).into_response())
}

pub(crate) async fn read(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    Named(id): Named,
) -> Result<Response, Problem> {
    let source = app.pipeline.resources.sources.source(&caller.space, &id)?;
    let token = app.pipeline.resources.sources.source_token(&source)?;
    Ok(axum::Json(shown(&app, &headers, source, &token, None)?).into_response())
}

pub(crate) async fn change(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    Named(id): Named,
    Json(input): Json<SourceInput>,
) -> Result<Response, Problem> {
    let source = app.pipeline.resources.sources.change_source(&caller.space, &id, input).await?;
    let token = app.pipeline.resources.sources.source_token(&source)?;
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
    let made = app.pipeline.resources.sources.rotate_source(&caller.space, &id, optional(&bytes)?).await?;
    Ok(axum::Json(shown(&app, &headers, made.source, &made.token, None)?).into_response())
}

pub(crate) async fn delete(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<StatusCode, Problem> {
    app.pipeline.resources.sources.delete_source(&caller.space, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Polls a source now.
pub(crate) async fn poll(
    State(app): State<Shared>,
    caller: Caller,
    Named(id): Named,
) -> Result<axum::Json<Value>, Problem> {
    let ids = app.pipeline.resources.sources.poll(&caller.space, &id).await?;
    let source = app.pipeline.resources.sources.source(&caller.space, &id)?;
    let status = app.pipeline.intake.polling.polling(&source)?.map(|polling| polling.status);
    Ok(axum::Json(json!({"ids": ids, "status": status})))
}

/// `/in/{token}` and the paths below it: any method, handled by the source plugin of the token, or by the tools of an
/// incoming webhook. The outcome is in the source's log.
pub(crate) async fn receive(State(app): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let rest = parts.uri.path().strip_prefix(PREFIX).unwrap_or_default();
    let (token, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    // A trailing slash is the same URL: some senders add it.
    let path = if path == "/" { "" } else { path };
    let source = match app.pipeline.intake.inbound.source_at(token) {
        Ok(source) => source,
        Err(error) => return Problem::from(error).unread(&parts.headers).into_response(),
    };
    if let Some(handle) = parts.extensions.get::<ConnectionHandle>() {
        // The URL is the credential.
        handle.known();
    }
    let remote = parts.extensions.get::<SocketAddr>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), SocketAddr::ip);
    let headers = parts.headers.iter();
    let mut arrival = Arrival {
        method: parts.method.as_str().to_owned(),
        path: path.to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: headers.map(|(n, v)| (n.as_str().to_owned(), String::from_utf8_lossy(v.as_bytes()).into())).collect(),
        sent: axum::body::Bytes::new(),
        body: axum::body::Bytes::new(),
        remote,
    };
    match taken(&app, &source, &mut arrival, &parts.headers, body).await {
        Ok(response) => response,
        Err(SourceFailure { problem, public }) => {
            let answered = public.as_ref().unwrap_or(&problem).status().as_u16();
            app.pipeline.intake.source_log.log_refused(&source, &arrival, answered, problem.code(), problem.detail());
            let response = public.unwrap_or(problem).into_response();
            if source.kind == INCOMING { Dialect::Uspacy.spoken(response) } else { response }
        }
    }
}

/// The reason why a request was refused.
struct SourceFailure {
    /// The problem in the source's log.
    problem: Problem,
    /// The problem that the caller receives, if it has less detail, because the caller is not authenticated.
    public: Option<Problem>,
}

impl From<Problem> for SourceFailure {
    fn from(problem: Problem) -> Self {
        Self { problem, public: None }
    }
}

impl From<PipelineError> for SourceFailure {
    /// A plugin's failure may name secrets, grants and code, and concerns the operator. The caller sees only
    /// errors in its request, and temporary failures.
    fn from(error: PipelineError) -> Self {
        let public = match &error {
            PipelineError::Failed(failure) => {
                let generic = |status| {
                    Problem::new(status, "source.failed", "the source could not process the request; its log says why")
                };
                Some(match failure.retry_after_ms {
                    None => generic(StatusCode::BAD_GATEWAY),
                    Some(0) => generic(StatusCode::SERVICE_UNAVAILABLE).retry_after(5),
                    Some(ms) => generic(StatusCode::SERVICE_UNAVAILABLE).retry_after(ms.div_ceil(1000)),
                })
            }
            _ => None,
        };
        Self { problem: error.into(), public }
    }
}

async fn taken(
    app: &Shared,
    source: &Source,
    arrival: &mut Arrival,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, SourceFailure> {
    app.pipeline.intake.inbound.admit(source).map_err(|refusal| refused(refusal).unread(headers))?;
    let limit = app.limits.body_bytes;
    arrival.sent = body::read(body, limit, app.limits.time).await?;
    arrival.body = arrival.sent.clone();
    arrival.body = content::decoded(headers, arrival.sent.clone(), limit).await?;
    if source.kind == INCOMING {
        return Ok(uspacy::answer(app, source, arrival).await?);
    }
    match app.pipeline.intake.inbound.receive(source, arrival).await? {
        Received::Refused(refusal) => Err(refused(refusal).into()),
        Received::Accepted { ids, repeats, changed, status: 0, .. } => {
            let mut answer = json!({"id": ids.first(), "ids": ids});
            for (name, ids) in [("repeats", repeats), ("changed", changed)] {
                if let (false, Some(answer)) = (ids.is_empty(), answer.as_object_mut()) {
                    answer.insert(name.to_owned(), json!(ids));
                }
            }
            Ok((StatusCode::ACCEPTED, axum::Json(answer)).into_response())
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
