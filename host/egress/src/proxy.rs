//! Through an HTTP proxy: CONNECT (RFC 9110, section 9.3.6), for targets with and without TLS.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::Url;

use crate::EgressError;
use crate::error::{TransportField, bounded};

/// The maximum size of a proxy's response to CONNECT, in bytes.
const ANSWER: usize = 8 * 1024;

/// An HTTP proxy, with credentials if it requires them.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The value of Proxy-Authorization: secret.
    authorization: Option<String>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({}:{})", self.host, self.port)
    }
}

impl Proxy {
    /// Parses `http://[USER:PASSWORD@]HOST[:PORT]`. Special characters in user and password are percent-encoded, and
    /// the port is 80 by default. Error messages contain nothing of the text, since it may contain a password.
    pub fn parse(text: &str) -> Result<Self, EgressError> {
        let wrong = |what: &str| {
            TransportField::Proxy.wrong(format!("{what}: write http://HOST:PORT or http://USER:PASSWORD@HOST:PORT"))
        };
        let url = Url::parse(text).map_err(|error| wrong(&format!("the URL cannot be read ({error})")))?;
        if url.scheme() != "http" {
            return Err(wrong(&format!("the scheme is `{}`, and only http can be used", url.scheme())));
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("there is something after the port"));
        }
        let host = url.host_str().ok_or_else(|| wrong("the URL names no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let part = |text: &str| {
            let text = percent_decode_str(text).decode_utf8().map_err(|_| wrong("user or password is not UTF-8"))?;
            let clean = !text.chars().any(char::is_control);
            clean.then(|| text.into_owned()).ok_or_else(|| wrong("user or password has control characters"))
        };
        let (user, password) = (part(url.username())?, part(url.password().unwrap_or_default())?);
        if user.contains(':') {
            return Err(wrong("the user has a colon"));
        }
        let given = !user.is_empty() || !password.is_empty();
        let authorization = given.then(|| format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))));
        Ok(Self { host, port: url.port().unwrap_or(80), authorization })
    }

    /// Makes the proxy connect to a target. Afterwards the stream leads to the target.
    pub(crate) async fn tunnel(&self, stream: &mut TcpStream, host: &str, port: u16) -> Result<(), EgressError> {
        let target = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        if let Some(authorization) = &self.authorization {
            request.push_str("Proxy-Authorization: ");
            request.push_str(authorization);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        let broke = |error: std::io::Error| self.failed(&format!("broke off: {error}"));
        stream.write_all(request.as_bytes()).await.map_err(broke)?;
        let mut answer = Vec::with_capacity(256);
        loop {
            if answer.len() >= ANSWER {
                return Err(self.failed(&format!("sent a response of more than {ANSWER} bytes")));
            }
            let mut piece = [0; 1024];
            let read = stream.read(&mut piece).await.map_err(broke)?;
            if read == 0 {
                return Err(self.failed("closed the connection without a response"));
            }
            answer.extend_from_slice(piece.get(..read).unwrap_or_default());
            if let Some(answered) = self.judge(&answer, &target) {
                return answered;
            }
        }
    }

    /// Evaluates the proxy's response; `None` while it is incomplete.
    fn judge(&self, answer: &[u8], target: &str) -> Option<Result<(), EgressError>> {
        let mut fields = [httparse::EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut fields);
        let length = match response.parse(answer) {
            Ok(httparse::Status::Partial) => return None,
            Ok(httparse::Status::Complete(length)) => length,
            Err(error) => return Some(Err(self.failed(&format!("sent a response that is not HTTP ({error})")))),
        };
        let status = response.code.unwrap_or_default();
        Some(match status {
            200..=299 if length == answer.len() => Ok(()),
            200..=299 => Err(self.failed("sent data before the request")),
            407 => Err(self.failed("requires valid credentials (407): put them into the proxy's URL")),
            _ => {
                let reason = bounded(response.reason.unwrap_or_default());
                Err(self.failed(&format!("did not connect to {target}: {status} {reason}")))
            }
        })
    }

    /// An error that names the proxy.
    pub(crate) fn failed(&self, what: &str) -> EgressError {
        EgressError::Proxy(format!("the proxy {}:{} {what}", self.host, self.port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_url_is_parsed_and_its_password_never_shown() {
        let proxy = Proxy::parse("http://u%40x:p%3Aw@[::1]:3128/").unwrap();
        assert_eq!((proxy.host.as_str(), proxy.port), ("::1", 3128));
        assert_eq!(proxy.authorization.as_deref(), Some("Basic dUB4OnA6dw=="));
        assert_eq!(format!("{proxy:?}"), "Proxy(::1:3128)");
        assert_eq!(Proxy::parse("http://proxy.example").unwrap().port, 80);
        for text in
            ["https://u:secret@h", "socks5://u:secret@h", "u:secret", "http://u:secret@h/p", "http://u:sec%0aret@h"]
        {
            let error = Proxy::parse(text).unwrap_err();
            assert_eq!(error.code(), "transport.invalid", "{text}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
