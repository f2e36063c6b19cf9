//! Refuses requests whose end two programs could determine differently (RFC 9112, sections 2.2, 3.2, 6.3 and 11.2). The
//! HTTP library accepts some of them, and a proxy in front of it may parse them differently, which enables request
//! smuggling. This checks the bytes before they reach the library.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::problem::Problem;

/// The maximum number of header fields that the HTTP library accepts.
const MAX_FIELDS: usize = 100;

/// The part of a request that the next byte belongs to.
#[derive(Debug)]
enum Position {
    /// In the head.
    Head,
    /// In a body with this many bytes left.
    Body(u64),
    /// In the line with the size of a chunk.
    Size { size: u64, digits: bool },
    /// In a chunk with this many bytes left, including the line end after it.
    Chunk(u64),
    /// In the fields after the last chunk.
    Trailer { line: usize },
    /// The library refuses the request and closes the connection.
    Anywhere,
}

/// Follows the requests on a connection.
#[derive(Debug)]
pub(crate) struct Framing {
    place: Position,
    head: Vec<u8>,
    most: usize,
    /// The previous byte, in a line of a chunked body.
    last: u8,
}

impl Framing {
    /// `most`: the maximum size of a head, in bytes. The library refuses larger ones.
    pub(crate) fn new(most: usize) -> Self {
        Self { place: Position::Head, head: Vec::new(), most, last: 0 }
    }

    /// Checks the next bytes.
    pub(crate) fn see(&mut self, mut bytes: &[u8]) -> Result<(), Problem> {
        while !bytes.is_empty() {
            bytes = match &mut self.place {
                Position::Head => self.see_head(bytes)?,
                Position::Body(left) => {
                    let taken = clamp(*left, bytes.len());
                    *left = left.saturating_sub(wide(taken));
                    if *left == 0 {
                        self.place = Position::Head;
                    }
                    bytes.get(taken..).unwrap_or_default()
                }
                Position::Chunk(left) => {
                    let taken = clamp(*left, bytes.len());
                    *left = left.saturating_sub(wide(taken));
                    if *left == 0 {
                        self.place = Position::Size { size: 0, digits: true };
                    }
                    bytes.get(taken..).unwrap_or_default()
                }
                Position::Size { .. } | Position::Trailer { .. } => self.see_line(bytes)?,
                Position::Anywhere => return Ok(()),
            };
        }
        Ok(())
    }

    fn see_head<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8], Problem> {
        let mut from = 0;
        while let Some(end) = bytes.get(from..).and_then(|rest| memchr::memchr(b'\n', rest)) {
            let until = from.saturating_add(end).saturating_add(1);
            self.head.extend_from_slice(bytes.get(from..until).unwrap_or_default());
            from = until;
            if !self.head.ends_with(b"\r\n") {
                return Err(refused("a line of the head ends with LF alone: end each with CR LF"));
            }
            // Empty lines before a request are ignored.
            if self.head == b"\r\n" {
                self.head.clear();
            } else if self.head.ends_with(b"\r\n\r\n") {
                self.place = after(&self.head)?;
                self.head.clear();
                return Ok(bytes.get(from..).unwrap_or_default());
            }
        }
        self.head.extend_from_slice(bytes.get(from..).unwrap_or_default());
        if self.head.len() > self.most {
            self.head = Vec::new();
            self.place = Position::Anywhere;
        }
        Ok(&[])
    }

    fn see_line<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8], Problem> {
        for (read, byte) in bytes.iter().enumerate() {
            let before = std::mem::replace(&mut self.last, *byte);
            if *byte == b'\n' && before != b'\r' {
                return Err(refused("a line of the chunked body ends with LF alone: end each with CR LF"));
            }
            let next = match &mut self.place {
                Position::Size { size, .. } if *byte == b'\n' => match *size {
                    0 => Position::Trailer { line: 0 },
                    size => Position::Chunk(size.saturating_add(2)),
                },
                Position::Size { size, digits } => {
                    match char::from(*byte).to_digit(16).filter(|_| *digits) {
                        Some(digit) => match size.checked_mul(16).and_then(|size| size.checked_add(u64::from(digit))) {
                            Some(more) => *size = more,
                            None => self.place = Position::Anywhere,
                        },
                        None => *digits = false,
                    }
                    continue;
                }
                Position::Trailer { line: 0 } if *byte == b'\n' => Position::Head,
                Position::Trailer { line } => {
                    match byte {
                        b'\n' => *line = 0,
                        b'\r' => {}
                        _ => *line = line.saturating_add(1),
                    }
                    continue;
                }
                _ => return Ok(bytes.get(read..).unwrap_or_default()),
            };
            self.place = next;
            return Ok(bytes.get(read.saturating_add(1)..).unwrap_or_default());
        }
        Ok(&[])
    }
}

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn clamp(left: u64, length: usize) -> usize {
    usize::try_from(left).unwrap_or(usize::MAX).min(length)
}

/// The part that follows a head, if it is unambiguous.
fn after(head: &[u8]) -> Result<Position, Problem> {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut []);
    let Ok(httparse::Status::Complete(_)) = request.parse_with_uninit_headers(head, &mut fields) else {
        return Ok(Position::Anywhere);
    };
    let version = request.version.unwrap_or(1);
    let named = |name: &'static str| request.headers.iter().filter(move |field| field.name.eq_ignore_ascii_case(name));
    let hosts = named("host").count();
    if hosts > 1 {
        return Err(refused("there are several Host fields: send one"));
    }
    if hosts == 0 && version >= 1 {
        return Err(refused("there is no Host field: HTTP/1.1 has exactly one"));
    }
    let mut lengths = named("content-length");
    let (length, more) = (lengths.next(), lengths.next());
    let mut encodings = named("transfer-encoding");
    let encoding = encodings.next_back();
    if length.is_some() && encoding.is_some() {
        return Err(refused("there are both Content-Length and Transfer-Encoding: send one of them"));
    }
    if more.is_some() {
        return Err(refused("there are several Content-Length fields: send one"));
    }
    if let Some(encoding) = encoding {
        let last = encoding.value.rsplit(|byte| *byte == b',').next().unwrap_or_default();
        // The library refuses any other.
        let chunked = last.trim_ascii().eq_ignore_ascii_case(b"chunked") && version >= 1;
        return Ok(if chunked { Position::Size { size: 0, digits: true } } else { Position::Anywhere });
    }
    let Some(length) = length else { return Ok(Position::Head) };
    let digits = std::str::from_utf8(length.value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match digits.and_then(|text| text.parse::<u64>().ok()) {
        Some(0) => Ok(Position::Head),
        Some(length) => Ok(Position::Body(length)),
        None => Err(refused("Content-Length is not a number of bytes")),
    }
}

fn refused(detail: &str) -> Problem {
    Problem::bad("request.ambiguous", detail).closing()
}

/// A connection whose requests are checked as they are read.
#[derive(Debug)]
pub(crate) struct Framed<S> {
    stream: S,
    framing: Framing,
    refusal: Arc<OnceLock<Problem>>,
}

impl<S> Framed<S> {
    /// A refusal is stored in `refusal`.
    pub(crate) fn new(stream: S, most: usize, refusal: Arc<OnceLock<Problem>>) -> Self {
        Self { stream, framing: Framing::new(most), refusal }
    }

    pub(crate) fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Framed<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        std::task::ready!(Pin::new(&mut this.stream).poll_read(context, buf))?;
        let read = buf.filled().get(before..).unwrap_or_default();
        if let Err(problem) = this.framing.see(read) {
            let _ = this.refusal.set(problem);
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Framed<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// The response on a connection that is closed before a handler received its request.
pub(crate) fn last_words(problem: &Problem) -> Vec<u8> {
    let body = problem.to_json().to_string();
    let status = problem.status();
    let reason = status.canonical_reason().unwrap_or("Error");
    format!(
        "HTTP/1.1 {} {reason}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        status.as_u16(),
        body.len()
    )
    .into_bytes()
}

/// The response to an incomplete head: the HTTP library only closes the connection.
pub(crate) fn too_slow(seconds: f64) -> Problem {
    let detail = format!("the request's header was not complete within {seconds} s");
    Problem::new(StatusCode::REQUEST_TIMEOUT, "header.timeout", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn see(bytes: &[u8], parts: usize) -> Result<Framing, Problem> {
        let mut framing = Framing::new(1000);
        for part in bytes.chunks(bytes.len().div_ceil(parts)) {
            framing.see(part)?;
        }
        Ok(framing)
    }

    #[test]
    fn ambiguous_requests_are_rejected_wherever_they_are_split() {
        for (request, part) in [
            ("GET / HTTP/1.1\r\n\r\n", "no Host"),
            ("GET / HTTP/1.1\r\nhost: a\r\nHost: b\r\n\r\n", "several Host"),
            ("GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n", "several Host"),
            ("GET / HTTP/1.0\r\nhost: a\r\nhost: a\r\n\r\n", "several Host"),
            ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n", "both"),
            ("POST / HTTP/1.1\r\nhost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", "both"),
            (
                "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 3\r\n\r\nabc",
                "several Content-Length",
            ),
            ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +3\r\n\r\nabc", "not a number"),
            ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3, 3\r\n\r\nabc", "not a number"),
            ("GET / HTTP/1.1\nhost: a\r\n\r\n", "LF alone"),
            ("GET / HTTP/1.1\r\nhost: a\n\r\n", "LF alone"),
            ("GET / HTTP/1.1\r\nhost: a\r\n\n", "LF alone"),
            ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n", "LF alone"),
            ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: y\n\r\n", "LF alone"),
            // The second request on a connection.
            ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabcGET / HTTP/1.1\r\n\r\n", "no Host"),
            (
                "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\na\nb\r\n0\r\nx: y\r\n\r\nGET / HTTP/1.1\n",
                "LF alone",
            ),
        ] {
            for parts in [1, 2, 7, request.len()] {
                let problem = see(request.as_bytes(), parts).expect_err(request);
                assert!(problem.detail().contains(part), "{request:?}: {}", problem.detail());
                assert_eq!(problem.code(), "request.ambiguous");
            }
        }
    }

    #[test]
    fn unambiguous_requests_pass_wherever_they_are_split() {
        for request in [
            "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nhost:\r\n\r\n",
            "GET / HTTP/1.0\r\n\r\n",
            "\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\na\nb\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nA\r\n0123\n\n\n\n\n\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
        ] {
            for parts in [1, 2, 7, request.len()] {
                let framing = see(request.as_bytes(), parts).unwrap();
                assert!(matches!(framing.place, Position::Head) && framing.head.is_empty(), "{request:?}: {framing:?}");
            }
        }
    }

    #[test]
    fn requests_that_hyper_rejects_are_passed_to_it() {
        let long = format!("GET /{} HTTP/1.1\r\nhost: a\r\n", "a".repeat(2000));
        let many: String = (0..101).map(|n| format!("x-{n}: a\r\n")).collect();
        for request in [
            "\0\u{1} hello\r\n\r\n".to_owned(),
            "GET / HTTP/9.9\r\n\r\n".to_owned(),
            "GET / HTTP/1.1\r\nno colon\r\n\r\n".to_owned(),
            long,
            format!("GET / HTTP/1.1\r\n{many}\r\n"),
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n".to_owned(),
        ] {
            let framing = see(request.as_bytes(), 3).unwrap();
            assert!(matches!(framing.place, Position::Anywhere), "{request:?}: {framing:?}");
        }
    }
}
