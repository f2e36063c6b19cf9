//! A proper HTTP server, HTTP/1.1 and HTTP/2.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::HeaderValue;
use hyper::service::service_fn;
use hyper::{Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Sleep;

/// A request that came in.
#[derive(Clone, Debug)]
pub struct Request {
    /// When it was read to its end.
    pub at: Instant,
    /// The connection that it came on, counted from 1.
    pub connection: usize,
    /// Whether it came over HTTP/2.
    pub http2: bool,
    /// The method.
    pub method: String,
    /// The path, with its query.
    pub path: String,
    /// The header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// The first header field of a name.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The same, empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.field(name).unwrap_or_default()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
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
    /// What it waits for as well, if anything: until this is set.
    pub gate: Option<Arc<AtomicBool>>,
}

impl Reply {
    /// A reply with a body.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, body: body.into(), ..Self::default() }
    }

    /// A status with nothing else.
    pub fn status(status: u16) -> Self {
        Self::new(status, "")
    }

    /// With this header field.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// With this body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// After this time.
    #[must_use]
    pub fn after(mut self, time: Duration) -> Self {
        self.after = time;
        self
    }

    /// Once `gate` is set, so that a test decides what happens while requests are in flight.
    #[must_use]
    pub fn once(mut self, gate: &Arc<AtomicBool>) -> Self {
        self.gate = Some(Arc::clone(gate));
        self
    }
}

/// Answers the requests.
pub(crate) type Handler = Arc<dyn Fn(Request) -> Reply + Send + Sync>;

pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    connection: usize,
    handler: Handler,
) {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let handler = Arc::clone(&handler);
        async move { answer(request, connection, &handler).await }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // Answers that are the same are the same in every second.
    builder.http1().auto_date_header(false);
    builder.http2().auto_date_header(false);
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

/// Answers a request; none that breaks off before its end.
async fn answer(
    request: hyper::Request<Incoming>,
    connection: usize,
    handler: &Handler,
) -> hyper::Result<Response<Content>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes().to_vec();
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let request = Request {
        at: Instant::now(),
        connection,
        http2: parts.version == Version::HTTP_2,
        method: parts.method.to_string(),
        path: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        headers: parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body,
    };
    let reply = handler(request);
    // A sleep of no time still lasts until the clock's next tick.
    if !reply.after.is_zero() {
        tokio::time::sleep(reply.after).await;
    }
    while reply.gate.as_ref().is_some_and(|gate| !gate.load(Ordering::SeqCst)) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let breaks = reply.breaks.then(|| Box::pin(tokio::time::sleep(Duration::from_millis(100))));
    let mut response = Response::builder().status(if reply.status == 0 { 200 } else { reply.status });
    for (name, value) in &reply.fields {
        // Not from the text, which would have to be ASCII.
        response = response.header(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    Ok(response.body(Content { data: Some(Bytes::from(reply.body)), breaks }).unwrap())
}

/// The body of a reply, of no known length if the exchange is broken off.
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

    fn size_hint(&self) -> SizeHint {
        match self.breaks {
            None => SizeHint::with_exact(self.data.as_ref().map_or(0, Bytes::len) as u64),
            Some(_) => SizeHint::default(),
        }
    }
}
