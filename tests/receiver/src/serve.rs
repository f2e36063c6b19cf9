//! A proper HTTP server, HTTP/1.1 and HTTP/2.

use std::convert::Infallible;
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Sleep;

/// A request that came in.
#[derive(Clone, Debug)]
pub struct Request {
    /// The connection that it came on, counted from 1.
    pub connection: usize,
    /// Whether it came over HTTP/2.
    pub http2: bool,
    /// The method.
    pub method: String,
    /// The path, with its query.
    pub path: String,
    /// The header fields, names in small letters.
    pub fields: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// The value of a header field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// What is answered.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// The status; 0 is 200.
    pub status: u16,
    /// The header fields.
    pub fields: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Whether the exchange is broken off after the body.
    pub breaks: bool,
    /// How long it takes.
    pub after: Duration,
}

impl Reply {
    /// A reply with a body.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, body: body.into(), ..Self::default() }
    }
}

/// Answers the requests.
pub(crate) type Handler = Arc<dyn Fn(&Request) -> Reply + Send + Sync>;

pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    connection: usize,
    handler: Handler,
) {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let handler = Arc::clone(&handler);
        async move { Ok::<_, Infallible>(answer(request, connection, &handler).await) }
    });
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: hyper::Request<Incoming>, connection: usize, handler: &Handler) -> Response<Content> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
    let text = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let request = Request {
        connection,
        http2: parts.version == Version::HTTP_2,
        method: parts.method.to_string(),
        path: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        fields: parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body,
    };
    let reply = handler(&request);
    // A sleep of no time still lasts until the clock's next tick.
    if !reply.after.is_zero() {
        tokio::time::sleep(reply.after).await;
    }
    let breaks = reply.breaks.then(|| Box::pin(tokio::time::sleep(Duration::from_millis(100))));
    let mut response = Response::builder().status(if reply.status == 0 { 200 } else { reply.status });
    for (name, value) in &reply.fields {
        response = response.header(name, value);
    }
    response.body(Content { data: Some(Bytes::from(reply.body)), breaks }).unwrap()
}

/// The body of a reply, of no known length.
struct Content {
    data: Option<Bytes>,
    /// When the exchange is broken off: late enough for the other side to have read what was sent.
    breaks: Option<Pin<Box<Sleep>>>,
}

impl Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.data.take() {
            Some(data) if !data.is_empty() => Poll::Ready(Some(Ok(Frame::data(data)))),
            _ => match &mut self.breaks {
                Some(time) => time.as_mut().poll(cx).map(|()| Some(Err(io::Error::other("broken off")))),
                None => Poll::Ready(None),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.breaks.is_none() && self.data.as_ref().is_none_or(Bytes::is_empty)
    }
}
