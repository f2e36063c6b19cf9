//! Requests that no proper client sends: cut off, slow, with whatever bytes.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::client::Answer;

/// A connection on which the test says every byte.
pub struct Raw {
    stream: TcpStream,
}

impl Raw {
    /// Connects to `HOST:PORT`.
    pub fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream }
    }

    /// Sends bytes; the server may have closed the connection already.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let _ = self.stream.write_all(bytes.as_ref());
        self
    }

    /// Says that nothing more will come.
    pub fn end(&mut self) -> &mut Self {
        let _ = self.stream.shutdown(Shutdown::Write);
        self
    }

    /// Everything that comes until the server closes the connection or half a minute passes.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _ = self.stream.read_to_end(&mut bytes);
        bytes
    }

    /// The one answer of a connection that the server closes after it.
    #[track_caller]
    pub fn answer(&mut self) -> Answer {
        let bytes = self.rest();
        let mut fields = [httparse::EMPTY_HEADER; 100];
        let mut head = httparse::Response::new(&mut fields);
        let length = match head.parse(&bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            other => panic!("no answer: {other:?}: {:?}", String::from_utf8_lossy(&bytes)),
        };
        let fields = head.headers.iter();
        let headers = fields
            .map(|field| (field.name.to_ascii_lowercase(), String::from_utf8_lossy(field.value).into_owned()))
            .collect();
        let status = head.code.unwrap();
        Answer { request: "a raw request".to_owned(), status, headers, body: bytes[length..].to_vec() }
    }
}
