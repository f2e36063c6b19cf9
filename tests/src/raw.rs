//! Requests that no proper client sends: cut off, slow, with whatever bytes.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::client::Answer;

/// How long the server may take to answer or to close a connection.
const PATIENCE: Duration = Duration::from_secs(90);

/// A connection on which the test says every byte.
pub struct Raw {
    stream: TcpStream,
}

impl Raw {
    /// Connects to `HOST:PORT`.
    pub fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream }
    }

    /// Sends bytes; the server may have closed the connection already.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let _ = self.stream.write_all(bytes.as_ref());
        self
    }

    /// Sends bytes that the server has to take.
    #[track_caller]
    pub fn must_send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream.write_all(bytes.as_ref()).unwrap();
        self
    }

    /// Says that nothing more will come.
    pub fn end(&mut self) -> &mut Self {
        let _ = self.stream.shutdown(Shutdown::Write);
        self
    }

    /// The head of the next answer, such as the one that asks for the body of a request.
    #[track_caller]
    pub fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).unwrap();
            head.extend_from_slice(&byte);
        }
        String::from_utf8(head).unwrap()
    }

    /// Everything that comes until the server closes the connection or time runs out.
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
