//! Classified failures between a request and its response.
//!
//! A message is for people: it names the value and the remedy. A code is for programs and is stable. The causes that
//! libraries report are examined only here, and become one of [`EgressError`]'s variants.

use std::error::Error;
use std::{fmt, io};

use rustls::{AlertDescription, CertificateError};

use crate::stage::{Stage, Timing};
use crate::{MOST_HEAD_BYTES, MOST_HEADERS};

/// The reason why a request was not sent, or got no response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// The URL cannot be used.
    #[error("{0}")]
    Url(String),
    /// The address is not allowed.
    #[error("{0}")]
    AddressRefused(String),
    /// A plugin requested a host that it may not reach.
    #[error("{0}")]
    HostRefused(String),
    /// The settings of a transport or a source of tokens cannot be used.
    #[error("{0}")]
    Settings(String),
    /// A field of a transport's settings cannot be used.
    #[error("{field}: {problem}")]
    Transport {
        /// The field.
        field: TransportField,
        /// What is wrong with it, and the remedy.
        problem: String,
    },
    /// The name has no address.
    #[error("{0}")]
    Resolve(String),
    /// Nothing listens on that port.
    #[error("{0}")]
    Refused(String),
    /// No connection, for another reason.
    #[error("{0}")]
    Connect(String),
    /// The proxy cannot be reached, or did not connect.
    #[error("{0}")]
    Proxy(String),
    /// The TLS handshake failed.
    #[error("{message}")]
    Tls {
        /// The kind of failure.
        problem: TlsProblem,
        /// The library's error, and the remedy.
        message: String,
    },
    /// The connection was reset.
    #[error("{0}")]
    Reset(String),
    /// The connection was closed before the response was complete.
    #[error("{0}")]
    Incomplete(String),
    /// The response is not HTTP.
    #[error("{0}")]
    Malformed(String),
    /// The response has more or longer header fields than the limits permit.
    #[error("{0}")]
    HeadTooLarge(String),
    /// The response's body does not match its content coding.
    #[error("{0}")]
    Undecodable(String),
    /// A timeout.
    #[error("{} within {limit_ms} ms", .stage.awaited())]
    Timeout {
        /// The stage that did not complete.
        stage: Stage,
        /// The timeout, in milliseconds.
        limit_ms: u64,
    },
    /// Another violation of the protocol.
    #[error("{0}")]
    Protocol(String),
    /// The token endpoint refused to issue a token.
    #[error("{0}")]
    TokenRefused(String),
    /// The token endpoint returned no usable response.
    #[error("{0}")]
    TokenFailed(String),
}

/// The kind of a TLS failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsProblem {
    /// The certificate has expired, or is not valid yet.
    Expired,
    /// The certificate is not signed by a trusted authority, or is self-signed.
    UnknownIssuer,
    /// The certificate is for another name.
    WrongName,
    /// The certificate is invalid for another reason.
    Certificate,
    /// The receiver requires a client certificate, or another one.
    ClientCertificate,
    /// No version or cipher in common.
    Incompatible,
    /// The response to the handshake is not TLS, or the connection was closed.
    Failed,
}

/// An attempt without a response.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{error}")]
pub struct Failed {
    /// The reason.
    pub error: EgressError,
    /// The stage that was reached.
    pub stage: Stage,
    /// The times up to that stage.
    pub timing: Timing,
}

impl Failed {
    /// A failure before anything was sent.
    pub(crate) fn at_once(error: EgressError) -> Self {
        Self { error, stage: Stage::Check, timing: Timing::default() }
    }

    /// Stable, for programs.
    pub fn code(&self) -> &'static str {
        self.error.code()
    }
}

impl From<Failed> for EgressError {
    fn from(failed: Failed) -> Self {
        failed.error
    }
}

impl EgressError {
    /// Stable, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Url(_) => "url.invalid",
            Self::AddressRefused(_) => "address.refused",
            Self::HostRefused(_) => "http.host_not_allowed",
            Self::Settings(_) | Self::Transport { .. } => "transport.invalid",
            Self::Resolve(_) => "name.unresolved",
            Self::Refused(_) => "connect.refused",
            Self::Connect(_) => "connect.failed",
            Self::Proxy(_) => "proxy.failed",
            Self::Tls { problem, .. } => problem.code(),
            Self::Reset(_) => "answer.reset",
            Self::Incomplete(_) => "answer.incomplete",
            Self::Malformed(_) => "answer.malformed",
            Self::HeadTooLarge(_) => "answer.head_too_large",
            Self::Undecodable(_) => "answer.undecodable",
            Self::Timeout { stage: Stage::Check | Stage::Resolve | Stage::Connect | Stage::Proxy, .. } => {
                "connect.timeout"
            }
            Self::Timeout { stage: Stage::Tls, .. } => "tls.timeout",
            Self::Timeout { stage: Stage::Headers | Stage::Body, .. } => "timeout",
            Self::Protocol(_) => "protocol.error",
            Self::TokenRefused(_) => "token.refused",
            Self::TokenFailed(_) => "token.failed",
        }
    }

    /// Whether the same request may succeed later.
    pub fn may_pass(&self) -> bool {
        !matches!(self, Self::Url(_) | Self::HostRefused(_) | Self::Settings(_) | Self::Transport { .. })
    }

    /// Whether the connection was closed or reset before the response began, as happens when the receiver closes an
    /// idle connection just as a request is sent on it.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self, Self::Reset(_) | Self::Incomplete(_))
    }
}

impl TlsProblem {
    fn code(self) -> &'static str {
        match self {
            Self::Expired => "tls.expired",
            Self::UnknownIssuer => "tls.unknown_issuer",
            Self::WrongName => "tls.wrong_name",
            Self::Certificate => "tls.certificate_invalid",
            Self::ClientCertificate => "tls.client_certificate",
            Self::Incompatible => "tls.incompatible",
            Self::Failed => "tls.failed",
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::Expired => "renew the certificate, and see that both clocks are right",
            Self::UnknownIssuer => {
                "have the receiver send its whole chain, or add its authority to the transport's ca_certificates"
            }
            Self::WrongName => "use a name that the certificate has",
            Self::Certificate => "have the receiver use another certificate",
            Self::ClientCertificate => {
                "set the transport's client_certificate and client_key to a pair that the receiver accepts"
            }
            Self::Incompatible => "TLS 1.2 or 1.3 with a modern cipher is needed",
            Self::Failed => "see that TLS is spoken on this port",
        }
    }
}

/// Finds the reason in a chain of causes, outermost first. If none is known, uses the message of the innermost.
pub(crate) fn explain(error: &(dyn Error + 'static)) -> EgressError {
    let mut cause = Some(error);
    let mut last = error.to_string();
    while let Some(inner) = cause {
        if let Some(known) = known(inner) {
            return known;
        }
        last = inner.to_string();
        cause = inner.source();
    }
    EgressError::Protocol(format!("the request failed: {}", bounded(&last)))
}

fn known(error: &(dyn Error + 'static)) -> Option<EgressError> {
    if let Some(own) = error.downcast_ref::<EgressError>() {
        return Some(own.clone());
    }
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return Some(tls(error));
    }
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        return of_hyper(error);
    }
    if let Some(error) = error.downcast_ref::<h2::Error>() {
        return of_h2(error);
    }
    error.downcast_ref::<io::Error>().and_then(of_io)
}

fn of_hyper(error: &hyper::Error) -> Option<EgressError> {
    if error.is_parse_too_large() {
        return Some(head_too_large());
    }
    if error.is_parse() {
        return Some(EgressError::Malformed(format!("the response is not valid HTTP: {error}")));
    }
    if error.is_incomplete_message() {
        return Some(EgressError::Incomplete("the connection was closed before the response arrived".to_owned()));
    }
    let unsent = error.is_canceled() || error.is_closed();
    unsent.then(|| EgressError::Reset("the connection was closed before the request was sent".to_owned()))
}

fn of_h2(error: &h2::Error) -> Option<EgressError> {
    if error.is_io() {
        return error.get_io().and_then(of_io);
    }
    if error.is_remote() && (error.is_reset() || error.is_go_away()) {
        return Some(EgressError::Reset(format!("the receiver reset the HTTP/2 stream: {error}")));
    }
    Some(EgressError::Protocol(format!("HTTP/2: {error}")))
}

fn of_io(error: &io::Error) -> Option<EgressError> {
    if let Some(inner) = error.get_ref()
        && let Some(known) = known(inner)
    {
        return Some(known);
    }
    if let Some(alert) = alert_of(error) {
        return Some(tls(&alert));
    }
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => {
            Some(EgressError::Reset(format!("the connection was reset: {error}")))
        }
        io::ErrorKind::UnexpectedEof => Some(EgressError::Incomplete(format!(
            "the connection was closed before the response was complete: {error}"
        ))),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
            Some(EgressError::Malformed(format!("the response is not valid HTTP: {error}")))
        }
        _ => None,
    }
}

/// The TLS alert named in an error's text: HTTP/2 retains only the text of an underlying error.
fn alert_of(error: &io::Error) -> Option<rustls::Error> {
    let text = error.to_string();
    CLIENT_CERTIFICATE.into_iter().map(rustls::Error::AlertReceived).find(|alert| alert.to_string() == text)
}

/// More header fields than [`MOST_HEADERS`], or more bytes of them than [`MOST_HEAD_BYTES`].
pub(crate) fn head_too_large() -> EgressError {
    EgressError::HeadTooLarge(format!(
        "the response head is too large: at most {MOST_HEADERS} header fields and {MOST_HEAD_BYTES} bytes are read"
    ))
}

/// Classifies a TLS failure, and adds the remedy.
pub(crate) fn tls(error: &rustls::Error) -> EgressError {
    let problem = match error {
        rustls::Error::InvalidCertificate(certificate) => of_certificate(certificate),
        rustls::Error::NoCertificatesPresented => TlsProblem::Certificate,
        rustls::Error::AlertReceived(alert) => of_alert(*alert),
        rustls::Error::PeerIncompatible(_) | rustls::Error::NoApplicationProtocol => TlsProblem::Incompatible,
        _ => TlsProblem::Failed,
    };
    EgressError::Tls { problem, message: format!("TLS failed: {}: {}", bounded(&error.to_string()), problem.remedy()) }
}

fn of_certificate(error: &CertificateError) -> TlsProblem {
    match error {
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => TlsProblem::Expired,
        CertificateError::UnknownIssuer => TlsProblem::UnknownIssuer,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => TlsProblem::WrongName,
        _ => TlsProblem::Certificate,
    }
}

/// The alerts with which a receiver requires a client certificate, or another one.
const CLIENT_CERTIFICATE: [AlertDescription; 10] = [
    AlertDescription::CertificateRequired,
    AlertDescription::NoCertificate,
    AlertDescription::BadCertificate,
    AlertDescription::UnsupportedCertificate,
    AlertDescription::CertificateRevoked,
    AlertDescription::CertificateExpired,
    AlertDescription::CertificateUnknown,
    AlertDescription::UnknownCA,
    AlertDescription::AccessDenied,
    AlertDescription::DecryptError,
];

fn of_alert(alert: AlertDescription) -> TlsProblem {
    use AlertDescription as Alert;
    match alert {
        alert if CLIENT_CERTIFICATE.contains(&alert) => TlsProblem::ClientCertificate,
        Alert::ProtocolVersion
        | Alert::HandshakeFailure
        | Alert::InsufficientSecurity
        | Alert::NoApplicationProtocol
        | Alert::InappropriateFallback => TlsProblem::Incompatible,
        _ => TlsProblem::Failed,
    }
}

/// At most 300 characters of a string from another system, on one line.
pub(crate) fn bounded(text: &str) -> String {
    text.chars().take(300).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A field of [`TransportSettings`](crate::TransportSettings) that an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportField {
    /// The authorities that are trusted.
    CaCertificates,
    /// The certificate that is shown to the receiver.
    ClientCertificate,
    /// Its private key.
    ClientKey,
    /// The proxy.
    Proxy,
}

impl TransportField {
    pub(crate) fn wrong(self, problem: impl Into<String>) -> EgressError {
        EgressError::Transport { field: self, problem: problem.into() }
    }
}

impl fmt::Display for TransportField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CaCertificates => "ca_certificates",
            Self::ClientCertificate => "client_certificate",
            Self::ClientKey => "client_key",
            Self::Proxy => "proxy",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_of_an_error_is_found_at_any_depth() {
        let own = EgressError::Refused("nobody".to_owned());
        let deep = io::Error::other(io::Error::other(own.clone()));
        assert_eq!(explain(&deep), own);
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        assert_eq!(explain(&io::Error::other(reset)).code(), "answer.reset");
        let alert = rustls::Error::AlertReceived(AlertDescription::CertificateRequired);
        assert_eq!(explain(&io::Error::new(io::ErrorKind::InvalidData, alert)).code(), "tls.client_certificate");
        let alert = rustls::Error::AlertReceived(AlertDescription::UnknownCA).to_string();
        assert_eq!(explain(&io::Error::new(io::ErrorKind::InvalidData, alert)).code(), "tls.client_certificate");
        let odd = explain(&io::Error::other("x".repeat(5000)));
        assert_eq!(odd.code(), "protocol.error");
        assert!(odd.to_string().len() < 400, "{odd}");
    }

    #[test]
    fn a_timeout_names_its_stage() {
        for (stage, code, text) in [
            (Stage::Resolve, "connect.timeout", "no address within 5 ms"),
            (Stage::Connect, "connect.timeout", "no connection within 5 ms"),
            (Stage::Proxy, "connect.timeout", "no connection through the proxy within 5 ms"),
            (Stage::Tls, "tls.timeout", "TLS handshake not complete within 5 ms"),
            (Stage::Headers, "timeout", "no response within 5 ms"),
            (Stage::Body, "timeout", "response not complete within 5 ms"),
        ] {
            let error = EgressError::Timeout { stage, limit_ms: 5 };
            assert_eq!((error.code(), error.to_string().as_str()), (code, text));
        }
    }
}
