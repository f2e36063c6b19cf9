//! What answers a request to a route: the check of its key, the decoding of its body, the checks of its query and of the
//! header fields that hold for all routes, and then its handler. Called directly, and not as layers of the router, of
//! which each is a copy of the route and several allocations for every request.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::handler::Handler;
use axum::response::{IntoResponse as _, Response};
use tower_service::Service;

use crate::auth::{self, Needs};
use crate::dialect::Dialect;
use crate::refusals::Noted;
use crate::{Shared, content, query};

/// A response that is being made.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Response> + Send>>;

/// A route's handler with what is checked before it.
pub(crate) struct Gate {
    app: Shared,
    path: &'static str,
    needs: Needs,
    dialect: Option<Dialect>,
    handler: Box<dyn Fn(Request, Shared) -> Answering + Send + Sync>,
}

impl Gate {
    /// The gate of a handler, which is a function with extractors.
    pub(crate) fn before<T, H>(app: &Shared, path: &'static str, needs: Needs, handler: H) -> Open
    where
        H: Handler<T, Shared, Future = Answering> + Sync,
    {
        let handler = Box::new(move |request, app| handler.clone().call(request, app));
        let dialect = Dialect::of(path).filter(|_| needs != Needs::Nothing);
        Open(Arc::new(Self { app: app.clone(), path, needs, dialect, handler }))
    }

    async fn checked(&self, mut request: Request) -> Response {
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
        (self.handler)(request, self.app.clone()).await
    }

    async fn answer(&self, request: Request) -> Response {
        let response = if matches!(self.needs, Needs::Ingest | Needs::IngestNamed) {
            let (noted, request) = Noted::of(request);
            let response = self.checked(request).await;
            noted.answered(&self.app, &response);
            response
        } else {
            self.checked(request).await
        };
        match self.dialect {
            Some(dialect) => dialect.spoken(response),
            None => response,
        }
    }
}

/// A gate that requests can pass at the same time.
#[derive(Clone)]
pub(crate) struct Open(Arc<Gate>);

impl Open {
    /// Passes a request to the handler, or refuses it.
    pub(crate) fn pass(&self, request: Request) -> Answering {
        let gate = Arc::clone(&self.0);
        Box::pin(async move { gate.answer(request).await })
    }
}

/// What the router calls once it has read the variable parts of the path.
impl Service<Request> for Open {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let gate = Arc::clone(&self.0);
        Box::pin(async move { Ok(gate.answer(request).await) })
    }
}
