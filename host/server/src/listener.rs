//! Connections: a permit before accept, limits, and a graceful shutdown.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use hookwright_model::{HOPS_HEADER, hops_of};
use hookwright_pipeline::after_hops;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::framing::{Framed, last_words, too_slow};
use crate::routes::Routes;
use crate::unauthenticated::{ConnectionHandle, Unauthenticated};

/// How much of a refused request is read and dropped, so that its sender reads the response,
const LINGER_BYTES: usize = 64 * 1024 * 1024;
/// for how long,
const LINGER: Duration = Duration::from_secs(10);
/// and the maximum pause between its bytes.
const LINGER_IDLE: Duration = Duration::from_secs(2);

/// Limits of connections.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// The maximum number of open connections.
    pub connections: usize,
    /// The maximum number of them without credentials.
    pub unknown: usize,
    /// The timeout from the first byte of a request's header to its end.
    pub header_time: Duration,
    /// The maximum size of a header, in bytes.
    pub header_bytes: usize,
    /// How long requests in progress may take after the stop signal.
    pub grace: Duration,
}

/// Accepts connections until `stop` becomes true, then waits for the open ones.
pub(crate) async fn serve(
    listener: TcpListener,
    routes: Routes,
    limits: ConnectionLimits,
    mut stop: watch::Receiver<bool>,
) {
    let most = limits.connections.max(1);
    let permits = Arc::new(Semaphore::new(most));
    let connections = Unauthenticated::new(limits.unknown.min(most));
    let mut pause = Duration::from_millis(5);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &permits) => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let (permit, stream, remote) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Usually too many open files: back off, so that connections can close.
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(1));
                continue;
            }
        };
        pause = Duration::from_millis(5);
        let (routes, stop, handle) = (routes.clone(), stop.clone(), connections.enter());
        tokio::spawn(async move {
            tokio::select! {
                () = connection(stream, remote, &handle, routes, limits, stop, Arc::new(permit)) => {}
                () = handle.cut() => {}
            }
        });
    }
    drop(listener);
    let all = permits.acquire_many(u32::try_from(most).unwrap_or(u32::MAX));
    if tokio::time::timeout(limits.grace, all).await.is_err() {
        tracing::warn!("closing connections that did not finish in time");
    }
}

/// The response to a request. What changes something runs to its end although the client goes away: a change that is
/// committed has still to reach the memory that requests and deliveries are served from. Until then it counts as its
/// connection.
async fn answer(routes: &Routes, request: Request<Body>, permit: Arc<OwnedSemaphorePermit>) -> Response {
    let follows_link = request.uri().path().starts_with("/confirm/");
    let runs_to_its_end = !request.method().is_safe() || follows_link;
    // Everything that the request causes continues its hop counter.
    let hops = hops_of(request.headers().get_all(HOPS_HEADER).iter().filter_map(|value| value.to_str().ok()));
    let handling = routes.answer(request);
    let handled = async move {
        let response = match hops {
            0 => handling.await,
            hops => after_hops(hops, handling).await,
        };
        drop(permit);
        response
    };
    if runs_to_its_end { ToItsEnd(Some(Box::pin(handled))).await } else { handled.await }
}

/// Work that goes on in a task of its own once nobody waits for it any more.
struct ToItsEnd<F>(Option<Pin<Box<F>>>)
where
    F: Future + Send + 'static,
    F::Output: Send;

impl<F> Future for ToItsEnd<F>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // Taken out, so that work that panics does not go on.
        let Some(mut work) = self.0.take() else { return Poll::Pending };
        let polled = work.as_mut().poll(context);
        if polled.is_pending() {
            self.0 = Some(work);
        }
        polled
    }
}

impl<F> Drop for ToItsEnd<F>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn drop(&mut self) {
        // Without a runtime the process is about to end.
        if let (Some(work), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(work);
        }
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> io::Result<(OwnedSemaphorePermit, TcpStream, SocketAddr)> {
    let permit = Arc::clone(permits).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, remote) = listener.accept().await?;
    Ok((permit, stream, remote))
}

async fn connection(
    stream: TcpStream,
    remote: SocketAddr,
    handle: &ConnectionHandle,
    routes: Routes,
    limits: ConnectionLimits,
    mut stop: watch::Receiver<bool>,
    permit: Arc<OwnedSemaphorePermit>,
) {
    let _ = stream.set_nodelay(true);
    let refusal = Arc::new(OnceLock::new());
    let in_progress = Arc::new(AtomicBool::new(false));
    let (handle, busy) = (handle.clone(), Arc::clone(&in_progress));
    let service = service_fn(move |request: Request<Incoming>| {
        let (routes, handle, busy) = (routes.clone(), handle.clone(), Arc::clone(&busy));
        let permit = Arc::clone(&permit);
        // Boxed because the connection moves it.
        Box::pin(async move {
            busy.store(true, Ordering::Relaxed);
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(remote);
            request.extensions_mut().insert(handle);
            let response = answer(&routes, request, permit).await;
            busy.store(false, Ordering::Relaxed);
            Ok::<_, Infallible>(response)
        })
    });
    let most = limits.header_bytes.max(8192);
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time)
        .max_buf_size(most)
        .serve_connection(TokioIo::new(Framed::new(stream, most, Arc::clone(&refusal))), service);
    let mut stopping = pin!(stop.wait_for(|stop| *stop));
    let mut is_stopping = false;
    let result = loop {
        tokio::select! {
            result = poll_fn(|context| connection.poll_without_shutdown(context)) => break result,
            _ = &mut stopping, if !is_stopping => {
                is_stopping = true;
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    let parts = connection.into_parts();
    let mut stream = parts.io.into_inner().into_inner();
    let last = match (result, refusal.get()) {
        // Not in the middle of another response. The library reports no error if a connection is closed before the
        // first byte of a request that it saw.
        (_, Some(problem)) if !in_progress.load(Ordering::Relaxed) => Some(last_words(problem)),
        (Err(error), _) if error.is_timeout() && !parts.read_buf.is_empty() => {
            Some(last_words(&too_slow(limits.header_time.as_secs_f64())))
        }
        _ => None,
    };
    if let Some(last) = last {
        let _ = stream.write_all(&last).await;
    }
    if stream.shutdown().await.is_ok() && !is_stopping {
        tokio::select! {
            () = linger(&mut stream) => {}
            _ = &mut stopping => {}
        }
    }
}

/// Reads and drops the rest of the request. If the connection were closed with unread data, the sender would get a
/// reset, possibly before it has read the response.
async fn linger(stream: &mut TcpStream) {
    let dropping = async {
        let mut dropped = 0_usize;
        let mut buffer = vec![0; 16 * 1024];
        while dropped < LINGER_BYTES {
            match tokio::time::timeout(LINGER_IDLE, stream.read(&mut buffer)).await {
                Ok(Ok(read)) if read > 0 => dropped = dropped.saturating_add(read),
                _ => return,
            }
        }
    };
    let _ = tokio::time::timeout(LINGER, dropping).await;
}
