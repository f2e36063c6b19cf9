//! Connections: a permit before accept, a bound on everything, and an end that lets what is under way finish.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tower_service::Service as _;

use crate::problem::Problem;

/// Bounds of connections.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// How many may be open.
    pub connections: usize,
    /// From the first byte of a request's header to its end.
    pub header_time: Duration,
    /// How large a header may be, in bytes.
    pub header_bytes: usize,
    /// How long requests under way may take once the server is told to stop.
    pub grace: Duration,
}

/// Accepts connections until `stop` says so, then waits for those that are open.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    mut stop: watch::Receiver<bool>,
) {
    let most = limits.connections.max(1);
    let permits = Arc::new(Semaphore::new(most));
    let mut pause = Duration::from_millis(5);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &permits) => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let (permit, stream, remote) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Too many open files, mostly: give connections time to end.
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(1));
                continue;
            }
        };
        pause = Duration::from_millis(5);
        let (router, stop) = (router.clone(), stop.clone());
        tokio::spawn(async move {
            connection(stream, remote, router, limits, stop).await;
            drop(permit);
        });
    }
    drop(listener);
    let all = permits.acquire_many(u32::try_from(most).unwrap_or(u32::MAX));
    if tokio::time::timeout(limits.grace, all).await.is_err() {
        tracing::warn!("some connections did not end in time and are cut");
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> io::Result<(tokio::sync::OwnedSemaphorePermit, TcpStream, SocketAddr)> {
    let permit = Arc::clone(permits).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, remote) = listener.accept().await?;
    Ok((permit, stream, remote))
}

async fn connection(
    stream: TcpStream,
    remote: SocketAddr,
    router: Router,
    limits: ConnectionLimits,
    mut stop: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| {
        let mut router = router.clone();
        // Boxed because the connection moves it.
        Box::pin(async move {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(remote);
            let response = router.call(request).await;
            Ok::<_, Infallible>(response.unwrap_or_else(|never| match never {}))
        })
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time)
        .max_buf_size(limits.header_bytes.max(8192))
        .serve_connection(TokioIo::new(stream), service);
    let mut stopping = pin!(stop.wait_for(|stop| *stop));
    let mut told = false;
    let result = loop {
        tokio::select! {
            result = poll_fn(|context| connection.poll_without_shutdown(context)) => break result,
            _ = &mut stopping, if !told => {
                told = true;
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    let parts = connection.into_parts();
    let mut stream = parts.io.into_inner();
    if let Err(error) = result
        && error.is_timeout()
        && !parts.read_buf.is_empty()
    {
        let _ = stream.write_all(&too_slow(limits.header_time)).await;
    }
    let _ = stream.shutdown().await;
}

/// The answer to a header that does not end: the HTTP library only cuts the connection.
fn too_slow(time: Duration) -> Vec<u8> {
    let detail = format!("the request's header did not end within {} s", time.as_secs_f64());
    let body = Problem::new(StatusCode::REQUEST_TIMEOUT, "header.timeout", detail).to_json().to_string();
    format!(
        "HTTP/1.1 408 Request Timeout\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
