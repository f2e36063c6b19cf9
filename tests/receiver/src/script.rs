//! What is played on a connection.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::receiver::Record;

/// One step of a script.
#[derive(Clone, Debug)]
pub enum Step {
    /// Reads a request, with as much body as its Content-Length says. The connection ends here if none comes.
    Request,
    /// Reads whatever comes first, at most 16 KiB.
    Anything,
    /// Sends bytes.
    Send(Bytes),
    /// Sends bytes one at a time, with a pause before each.
    Drip(Bytes, Duration),
    /// Sends the same piece again and again until so many bytes are sent.
    Flood(Bytes, u64),
    /// Does nothing for a while.
    Pause(Duration),
    /// Does nothing any more; the connection stays open until the other side closes it.
    Hang,
    /// Resets the connection: TCP's RST, after what was sent has gone out.
    Reset,
    /// Begins again with the first step.
    Again,
}

impl Step {
    /// Sends a string.
    pub fn send(text: impl Into<Bytes>) -> Self {
        Self::Send(text.into())
    }
}

/// A whole answer with a Content-Length.
pub fn answer(status: &str, fields: &str, body: &str) -> Step {
    Step::send(format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len()))
}

/// The head of an answer; `fields` end with CR LF each.
pub fn head(status: &str, fields: &str) -> Step {
    Step::send(format!("HTTP/1.1 {status}\r\n{fields}\r\n"))
}

/// A request as it was read.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The connection that it came on, counted from 1.
    pub connection: usize,
    /// The head, with the empty line.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Seen {
    /// The value of a header field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// How a script ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Close,
    Reset,
}

/// Plays a script. An error of the connection ends it.
pub(crate) async fn play<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    steps: &[Step],
    connection: usize,
    record: &Arc<Record>,
) -> End {
    let mut place = 0;
    while let Some(step) = steps.get(place) {
        place += 1;
        let done = match step {
            Step::Request => match read(stream, connection).await {
                Some(seen) => {
                    record.saw(seen);
                    true
                }
                None => false,
            },
            Step::Anything => {
                let mut piece = vec![0; 16 * 1024];
                stream.read(&mut piece).await.is_ok_and(|read| read > 0)
            }
            Step::Send(bytes) => send(stream, bytes, record).await,
            Step::Drip(bytes, pause) => {
                let mut done = true;
                for byte in bytes {
                    tokio::time::sleep(*pause).await;
                    done = done && send(stream, &[*byte], record).await;
                    if !done {
                        break;
                    }
                }
                done
            }
            Step::Flood(piece, most) => {
                let mut left = *most;
                while left > 0 && send(stream, piece, record).await {
                    left = left.saturating_sub(piece.len() as u64);
                }
                left == 0
            }
            Step::Pause(time) => {
                tokio::time::sleep(*time).await;
                true
            }
            Step::Hang => {
                let mut piece = vec![0; 16 * 1024];
                while stream.read(&mut piece).await.is_ok_and(|read| read > 0) {}
                false
            }
            Step::Reset => return End::Reset,
            Step::Again => {
                place = 0;
                true
            }
        };
        if !done {
            break;
        }
    }
    let _ = stream.shutdown().await;
    End::Close
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8], record: &Record) -> bool {
    let sent = stream.write_all(bytes).await.is_ok() && stream.flush().await.is_ok();
    if sent {
        record.sent(bytes.len());
    }
    sent
}

/// Reads a request; none if the connection ends first, or if its head has more than 1 MiB.
pub(crate) async fn read<S: AsyncRead + Unpin>(stream: &mut S, connection: usize) -> Option<Seen> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > 1024 * 1024 {
            return None;
        }
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut seen = Seen { connection, head, body: Vec::new() };
    let length = seen.field("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    seen.body = vec![0; length];
    stream.read_exact(&mut seen.body).await.ok()?;
    Some(seen)
}
