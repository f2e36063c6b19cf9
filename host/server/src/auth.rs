//! Who is calling. Each route says in the table what it needs; a request that does not bring it never reaches the
//! route's handler.

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hookwright_model::{Author, KeyId, Role, SpaceId};
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};

use crate::Shared;
use crate::problem::Problem;

/// What a route needs of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: the URL is the secret, or there is none.
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

/// The caller, once its key was checked.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) space: SpaceId,
    pub(crate) key: KeyId,
    /// The key's name.
    pub(crate) name: String,
}

impl Caller {
    /// The caller as who changes a record.
    pub(crate) fn author(&self) -> Author {
        Author { key: Some(self.key.to_string()), key_name: Some(self.name.clone()), ..Author::default() }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Only a route whose table row says `Nothing` has no caller, and those do not ask for one.
        parts.extensions.get::<Self>().cloned().ok_or_else(missing)
    }
}

/// Own name and the reference system's (R0.1).
const SPACE_HEADERS: [&str; 2] = ["x-hookwright-id", "x-capacity-id"];

pub(crate) async fn check(State((app, needs)): State<(Shared, Needs)>, mut request: Request, next: Next) -> Response {
    match caller(&app, needs, request.headers()) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.unread(request.headers()).into_response(),
    }
}

fn caller(app: &Shared, needs: Needs, headers: &HeaderMap) -> Result<Caller, Problem> {
    let value = headers.get(header::AUTHORIZATION).ok_or_else(missing)?;
    let text = value.to_str().unwrap_or_default();
    let (scheme, key) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") || key.trim().is_empty() {
        let detail = "the Authorization header is not of the form `Bearer KEY`";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "auth.malformed", detail));
    }
    let known = app.keys.find(key.trim(), app.pipeline.now()).ok_or_else(|| {
        let detail = "the API key is not known: it is wrong, or was revoked";
        Problem::new(StatusCode::UNAUTHORIZED, "auth.invalid", detail)
    })?;
    let space = &known.key.space;
    let named = SPACE_HEADERS.iter().find_map(|name| headers.get(*name).map(|value| (*name, value)));
    match named {
        Some((name, value)) if value.as_bytes() != space.as_str().as_bytes() => {
            let detail = format!("{name} names another space than the one that the API key is bound to");
            return Err(Problem::new(StatusCode::FORBIDDEN, "space.mismatch", detail));
        }
        None if needs == Needs::IngestNamed => {
            let detail =
                "the header X-Hookwright-Id (or X-Capacity-ID) is missing: it carries the space of the API key";
            return Err(Problem::new(StatusCode::UNAUTHORIZED, "space.missing", detail));
        }
        _ => {}
    }
    if !needs.met_by(known.key.role) {
        let (role, wanted) = (known.key.role.name(), needs.roles());
        let detail = format!("the API key has the role {role}: this needs {wanted}");
        return Err(Problem::new(StatusCode::FORBIDDEN, "auth.forbidden", detail));
    }
    Ok(Caller { space: space.clone(), key: known.key.id.clone(), name: known.key.name.clone() })
}

fn missing() -> Problem {
    let detail = "the header `Authorization: Bearer KEY` is missing";
    Problem::new(StatusCode::UNAUTHORIZED, "auth.missing", detail)
}
