//! Authentication. The table of routes defines the permission that each route needs; a request without it never reaches
//! the route's handler.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request};
use hookwright_model::{ApiKey, Author, KeyId, Role, SpaceId};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::Shared;
use crate::problem::Problem;
use crate::unauthenticated::ConnectionHandle;

/// The permission that a route needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// No key: the URL is the credential, or the route is public.
    Nothing,
    /// To send events.
    Ingest,
    /// To send events, with the space named in a header too.
    IngestNamed,
    /// To read.
    Read,
    /// To change automations and records.
    Edit,
    /// To change keys, plugins, sources and webhooks.
    Administer,
}

impl Needs {
    fn met_by(self, role: Role) -> bool {
        match self {
            Self::Nothing => true,
            Self::Ingest | Self::IngestNamed => role.ingests(),
            Self::Read => role.reads(),
            Self::Edit => role.edits(),
            Self::Administer => role.administers(),
        }
    }

    fn roles(self) -> &'static str {
        match self {
            Self::Nothing => "any",
            Self::Ingest | Self::IngestNamed => "ingest, editor or admin",
            Self::Read => "viewer, editor or admin",
            Self::Edit => "editor or admin",
            Self::Administer => "admin",
        }
    }
}

/// The authenticated caller.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) space: SpaceId,
    known: Arc<ApiKey>,
}

impl Caller {
    /// The caller's key.
    pub(crate) fn key(&self) -> &KeyId {
        &self.known.id
    }

    /// The author of the caller's changes: the key, with the user that it represents.
    pub(crate) fn author(&self) -> Author {
        Author::of_key(&self.known)
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Only a route with `Nothing` in the table has no caller, and its handler does not use one.
        parts.extensions.get::<Self>().cloned().ok_or_else(missing)
    }
}

/// Our header and the one of the reference system.
const SPACE_HEADERS: [&str; 2] = ["x-hookwright-id", "x-capacity-id"];

/// Authenticates a request, or refuses it.
pub(crate) fn check(app: &Shared, needs: Needs, request: &mut Request) -> Result<(), Problem> {
    let extensions = request.extensions();
    let remote = extensions.get::<SocketAddr>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), SocketAddr::ip);
    let caller = caller(app, needs, remote, request.headers()).inspect_err(|problem| {
        if problem.status() == StatusCode::UNAUTHORIZED || problem.is("auth.throttled") {
            let (path, key) = (request.uri().path(), bearer(request.headers()));
            app.auth_log.refused(remote, path, key, problem, app.pipeline.now());
        }
    })?;
    if let Some(handle) = extensions.get::<ConnectionHandle>() {
        handle.known();
    }
    request.extensions_mut().insert(caller);
    Ok(())
}

/// The key in the `Authorization` header.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = text.split_once(' ')?;
    Some(key.trim()).filter(|key| scheme.eq_ignore_ascii_case("bearer") && !key.is_empty())
}

fn caller(app: &Shared, needs: Needs, remote: IpAddr, headers: &HeaderMap) -> Result<Caller, Problem> {
    if !headers.contains_key(header::AUTHORIZATION) {
        return Err(missing());
    }
    let Some(key) = bearer(headers) else {
        let detail = "the Authorization header is not of the form `Bearer KEY`";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "auth.malformed", detail));
    };
    let now = app.pipeline.now();
    let was_right = app.auth_throttle.admit(remote, key, now).map_err(|seconds| {
        let detail = format!("too many failed authentication attempts from this address: try again in {seconds} s");
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "auth.throttled", detail).retry_after(seconds)
    })?;
    let Some(known) = app.pipeline.resources.api_keys.authenticate(key) else {
        app.auth_throttle.wrong(remote, key, now);
        let detail = "the API key is not known: it is wrong, was revoked, or has expired";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "auth.invalid", detail));
    };
    if !was_right {
        app.auth_throttle.right(remote, key);
    }
    let space = &known.space;
    match named_space(headers)? {
        Some((name, value)) if value.as_bytes() != space.as_str().as_bytes() => {
            let detail = format!("{name} names a different space than the one the API key is bound to");
            return Err(Problem::new(StatusCode::FORBIDDEN, "space.mismatch", detail));
        }
        None if needs == Needs::IngestNamed => {
            let detail =
                "the header X-Hookwright-Id (or X-Capacity-ID) is missing: it carries the space of the API key";
            return Err(Problem::new(StatusCode::UNAUTHORIZED, "space.missing", detail));
        }
        _ => {}
    }
    if !needs.met_by(known.role) {
        let (role, wanted) = (known.role.name(), needs.roles());
        let detail = format!("the API key has the role {role}: this needs {wanted}");
        return Err(Problem::new(StatusCode::FORBIDDEN, "auth.forbidden", detail));
    }
    Ok(Caller { space: space.clone(), known })
}

/// The header that names the space, with its value. All of these headers in a request must name the same space: a proxy
/// that checks another one than this server would otherwise let a request pass that is executed in another space.
fn named_space(headers: &HeaderMap) -> Result<Option<(&'static str, &HeaderValue)>, Problem> {
    let mut all =
        SPACE_HEADERS.into_iter().flat_map(|name| headers.get_all(name).iter().map(move |value| (name, value)));
    let Some((name, value)) = all.next() else { return Ok(None) };
    let Some((other_name, other)) = all.find(|(_, other)| *other != value) else { return Ok(Some((name, value))) };
    let shown = |value: &HeaderValue| hookwright_model::abridged(&String::from_utf8_lossy(value.as_bytes()));
    let detail = format!(
        "the headers name different spaces: {name} `{}`, {other_name} `{}`: send one of them",
        shown(value),
        shown(other)
    );
    Err(Problem::bad("space.ambiguous", detail))
}

/// The space that a request concerns: that of its key, or, if the key is unknown, the one that a header names, which is
/// not authenticated (true).
pub(crate) fn claimed_space(app: &Shared, headers: &HeaderMap) -> Option<(SpaceId, bool)> {
    let text = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let key = text.split_once(' ').map_or("", |(_, key)| key.trim());
    if let Some(known) = app.pipeline.resources.api_keys.peek_key(key) {
        return Some((known.space.clone(), false));
    }
    let (_, named) = named_space(headers).ok()??;
    named.to_str().ok()?.parse().ok().map(|space| (space, true))
}

fn missing() -> Problem {
    let detail = "the header `Authorization: Bearer KEY` is missing";
    Problem::new(StatusCode::UNAUTHORIZED, "auth.missing", detail)
}
