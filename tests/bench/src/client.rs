//! A client that costs as little as possible, since it runs on the processors that it measures: requests are bytes made
//! in advance, and of an answer only the status and the body are looked at.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The administrator key of every server that is started here.
pub(crate) const KEY: &str = "hw_bench_0123456789abcdef0123456789abcdef";

/// A request of HTTP/1.1, ready to be sent.
pub(crate) fn request(method: &str, path: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    request_with(KEY, method, path, content_type, body)
}

/// The same with another key.
pub(crate) fn request_with(key: &str, method: &str, path: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {key}\r\ncontent-type: {content_type}\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// A connection that is kept.
pub(crate) struct Connection {
    stream: TcpStream,
    /// What was received and not yet used.
    buffer: Vec<u8>,
    /// How much of it is the last answer.
    used: usize,
}

/// An answer, in the connection's own memory.
pub(crate) struct Answer<'c> {
    pub(crate) status: u16,
    pub(crate) body: &'c [u8],
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 * 1024), used: 0 })
    }

    /// Sends a request and waits for the whole answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.buffer.drain(..self.used);
        self.used = 0;
        loop {
            if let Some(head) = head(&self.buffer)? {
                let end = head.length.checked_add(head.body).ok_or_else(|| malformed("an endless body"))?;
                if self.buffer.len() >= end {
                    self.used = end;
                    let body = self.buffer.get(head.length..end).unwrap_or_default();
                    return Ok(Answer { status: head.status, body });
                }
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection"));
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    /// Of the head, its empty line included.
    length: usize,
    /// Length of the body.
    body: usize,
}

/// The head of an answer, once all of it is there.
fn head(bytes: &[u8]) -> io::Result<Option<Head>> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let text =
        std::str::from_utf8(bytes.get(..end).unwrap_or_default()).map_err(|_| malformed("a head that is not text"))?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
    let mut body = 0;
    for line in lines {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        if name.eq_ignore_ascii_case("content-length") {
            body = value.trim().parse().map_err(|_| malformed("a content-length that is not a number"))?;
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(malformed("a body in chunks, which this client does not read"));
        }
    }
    Ok(Some(Head { status: status.ok_or_else(|| malformed("no status"))?, length: end.saturating_add(4), body }))
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the answer has {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_head_is_parsed_once_it_is_complete() {
        assert_eq!(head(b"HTTP/1.1 202 Accepted\r\nContent-Le").unwrap(), None);
        let whole = b"HTTP/1.1 202 Accepted\r\nContent-Length: 7\r\n\r\n{\"id";
        assert_eq!(head(whole).unwrap(), Some(Head { status: 202, length: 44, body: 7 }));
        assert!(head(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
    }
}
