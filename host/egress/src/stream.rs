//! A connection: TCP, with or without TLS.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::KEPT_CONNECTIONS;
use crate::timing::Link;

/// Counts the connections that are open.
#[derive(Debug)]
pub(crate) struct Open {
    count: Arc<AtomicUsize>,
    /// The number of open connections, including this one.
    place: usize,
}

impl Open {
    pub(crate) fn new(count: &Arc<AtomicUsize>) -> Self {
        let place = count.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        Self { count: Arc::clone(count), place }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(crate) enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// An open connection.
pub(crate) struct Stream {
    pub(crate) wire: Wire,
    /// `None` if no request opened it.
    pub(crate) link: Option<Arc<Link>>,
    pub(crate) open: Open,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        let mut connected = Connected::new();
        if let Some(link) = &self.link {
            connected = connected.extra(Arc::clone(link));
        }
        if let Wire::Tls(stream) = &self.wire
            && stream.get_ref().1.alpn_protocol() == Some(b"h2")
        {
            connected = connected.negotiated_h2();
        }
        if self.open.place > KEPT_CONNECTIONS {
            connected.poison();
        }
        connected
    }
}

impl Stream {
    /// Stores the reason why TLS ended.
    fn noted(&self, error: io::Error) -> io::Error {
        if let (Some(link), Some(reason)) = (&self.link, tls_error(&error)) {
            let _ = link.broken.set(crate::error::tls(reason));
        }
        error
    }

    /// The cause of a failed write. A receiver that refuses our certificate sends an alert and closes the connection
    /// (RFC 8446, section 4.4.2.4). A write may notice the closed connection first, while the alert is still unread.
    fn cause(&mut self, cx: &mut Context<'_>, error: io::Error) -> io::Error {
        let Wire::Tls(stream) = &mut self.wire else { return error };
        let mut piece = [0; 512];
        match Pin::new(stream.as_mut()).poll_read(cx, &mut ReadBuf::new(&mut piece)) {
            Poll::Ready(Err(alert)) if tls_error(&alert).is_some() => self.noted(alert),
            _ => error,
        }
    }
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

/// Forwards a call to the underlying stream.
macro_rules! passed_on {
    ($stream:expr, $method:ident $(, $argument:expr)*) => {
        match &mut $stream.wire {
            Wire::Plain(stream) => Pin::new(stream).$method($($argument),*),
            Wire::Tls(stream) => Pin::new(stream.as_mut()).$method($($argument),*),
        }
    };
}

/// The same for writes, which look for the cause of a failure.
macro_rules! written {
    ($self:ident, $method:ident, $cx:ident $(, $argument:expr)*) => {{
        let stream = $self.get_mut();
        match passed_on!(stream, $method, $cx $(, $argument)*) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(stream.cause($cx, error))),
            other => other,
        }
    }};
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        passed_on!(stream, poll_read, cx, buffer).map_err(|error| stream.noted(error))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        written!(self, poll_write, cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        written!(self, poll_write_vectored, cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.wire {
            Wire::Plain(stream) => stream.is_write_vectored(),
            Wire::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        written!(self, poll_flush, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        passed_on!(self.get_mut(), poll_shutdown, cx)
    }
}
