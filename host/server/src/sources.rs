use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use hookwright_model::{Source, SourceId, Timestamp};
use hookwright_pipeline::{Arrival, Received, SourceInput};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::auth::Caller;
use crate::body::Json;
use crate::page::{Listed, Named};
use crate::problem::Problem;
use crate::{Shared, body};

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
    created_at: Timestamp,
    /// Only in the answer to the creation, if Hookwright made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
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

fn shown(app: &Shared, headers: &HeaderMap, source: Source, token: &str, secret: Option<String>) -> Shown {
    Shown {
        id: source.id,
        name: source.name,
        kind: source.kind,
        access: source.access,
        active: source.active,
        with: source.with,
        url: url_of(app, headers, token),
        created_at: source.created_at,
        secret,
    }
}

pub(crate) async fn create(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    Json(input): Json<SourceInput>,
) -> Result<Response, Problem> {
    let made = app.pipeline.create_source(&caller.space, input).await?;
    let location = format!("/v1/sources/{}", made.source.id);
    let body = axum::Json(shown(&app, &headers, made.source, &made.token, made.secret));
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], body).into_response())
}

pub(crate) async fn list(State(app): State<Shared>, caller: Caller, headers: HeaderMap) -> Result<Response, Problem> {
    let mut sources = app.pipeline.store().sources(&caller.space)?;
    sources.sort_by(|a, b| b.id.cmp(&a.id));
    let mut data = Vec::with_capacity(sources.len());
    for source in sources {
        let token = app.pipeline.source_token(&source)?;
        data.push(shown(&app, &headers, source, &token, None));
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
    Ok(axum::Json(shown(&app, &headers, source, &token, None)).into_response())
}

pub(crate) async fn change(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    Named(id): Named,
    Json(input): Json<SourceInput>,
) -> Result<Response, Problem> {
    let source = app.pipeline.change_source(&caller.space, &id, input).await?;
    let token = app.pipeline.source_token(&source)?;
    Ok(axum::Json(shown(&app, &headers, source, &token, None)).into_response())
}

pub(crate) async fn delete(State(app): State<Shared>, caller: Caller, Named(id): Named) -> Result<StatusCode, Problem> {
    app.pipeline.delete_source(&caller.space, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `/in/{token}` and what follows it: any method, taken by the source plugin behind the token.
pub(crate) async fn receive(State(app): State<Shared>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let rest = parts.uri.path().strip_prefix(PREFIX).unwrap_or_default();
    let (token, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let remote = parts.extensions.get::<SocketAddr>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), SocketAddr::ip);
    let headers = parts.headers.iter();
    let arrival = Arrival {
        method: parts.method.as_str().to_owned(),
        path: path.to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: headers.map(|(n, v)| (n.as_str().to_owned(), String::from_utf8_lossy(v.as_bytes()).into())).collect(),
        body: body::read(body, app.limits.body_bytes, app.limits.time).await?,
        remote,
    };
    match app.pipeline.receive(token, arrival).await? {
        Received::Refused { status, code, message } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
            Err(Problem::new(status, &code, message))
        }
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
