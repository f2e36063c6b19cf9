//! What each request to a route passes before its handler: the check of its key, the decoding of its body, and the checks
//! of its query and of the header fields that hold for all routes. One layer, since each layer is a copy of the route and
//! an allocation for every request.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::auth::{self, Needs};
use crate::refusals::Noted;
use crate::{Shared, content, query};

/// The gate of a route.
pub(crate) struct Gate {
    pub(crate) app: Shared,
    pub(crate) path: &'static str,
    pub(crate) needs: Needs,
}

impl Gate {
    async fn checked(&self, mut request: Request, next: Next) -> Response {
        if self.needs != Needs::Nothing {
            // First, so that no body is decoded for a caller without a key, and none learns which parameters a route
            // accepts.
            if let Err(problem) = auth::check(&self.app, self.needs, &mut request) {
                return problem.unread(request.headers()).into_response();
            }
            request = match content::decode(&self.app, request).await {
                Ok(decoded) => decoded,
                Err(problem) => return problem.into_response(),
            };
        }
        if let Err(problem) = query::check(self.path, &mut request) {
            return problem.unread(request.headers()).into_response();
        }
        next.run(request).await
    }
}

/// Passes a request to its handler, or refuses it.
pub(crate) async fn pass(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    if !matches!(gate.needs, Needs::Ingest | Needs::IngestNamed) {
        return gate.checked(request, next).await;
    }
    let (noted, request) = Noted::of(request);
    let response = gate.checked(request, next).await;
    noted.answered(&gate.app, &response);
    response
}
