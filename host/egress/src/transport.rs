//! Settings for reaching a destination: certificates, proxy, version of HTTP.
//!
//! Each distinct setting has one [`Transport`] with separate pools of connections: a connection that was opened with a
//! client certificate never carries requests of another setting. Settings are identified by the hash of their content.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::connect::{Connector, Ground};
use crate::error::TransportField;
use crate::{EgressError, IDLE_PER_DESTINATION, IDLE_TIME, MOST_HEAD_BYTES, MOST_HEADERS, Proxy};

pub(crate) type HttpClient = Client<Connector, Full<Bytes>>;

/// The maximum size of one PEM text, in bytes.
const LONGEST_PEM: usize = 64 * 1024;
/// The maximum number of certificates in one setting.
const MOST_CERTIFICATES: usize = 64;
/// The limit at which the HTTP/2 library stops reading a head. It only reports "protocol error", so our own, lower
/// limit applies first.
const HTTP2_HEAD_BYTES: u32 = 256 * 1024;
/// The HTTP/2 flow control windows, in bytes: of one response, and of all on a connection.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// The interval of HTTP/2 pings on a connection with open streams, and their timeout.
const PING: std::time::Duration = std::time::Duration::from_secs(10);

/// Which addresses a request may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Public addresses and the allowed networks.
    Public,
    /// The allowed networks only.
    ListedNetworks,
}

/// A string that is never shown: its debug form is `***`. Its JSON form is plain text, so it must be sealed before it is
/// stored.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hidden(String);

impl Hidden {
    /// The text itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Hidden {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Hidden {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Which version of HTTP is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Http2 {
    /// HTTP/2 if the receiver offers it in the TLS handshake (ALPN, RFC 7301), else HTTP/1.1.
    #[default]
    Auto,
    /// HTTP/1.1.
    Never,
    /// HTTP/2 without negotiation (RFC 9113, section 3.3), also without TLS.
    PriorKnowledge,
}

/// How a destination is reached. Certificates are always verified; no setting disables that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TransportSettings {
    /// Authorities that are trusted, each in PEM (RFC 7468); one text may hold several.
    pub ca_certificates: Vec<String>,
    /// Whether the public authorities are trusted too. Without them `ca_certificates` holds at least one.
    pub public_authorities: bool,
    /// The client certificate, in PEM, with its chain.
    pub client_certificate: Option<String>,
    /// Its private key, in PEM: PKCS #8, PKCS #1 or SEC1. Secret.
    pub client_key: Option<Hidden>,
    /// The proxy instead of the server's, `http://[USER:PASSWORD@]HOST[:PORT]`. Secret, because it may contain a
    /// password.
    pub proxy: Option<Hidden>,
    /// Which version of HTTP is spoken.
    pub http2: Http2,
}

impl Default for TransportSettings {
    fn default() -> Self {
        Self {
            ca_certificates: Vec::new(),
            public_authorities: true,
            client_certificate: None,
            client_key: None,
            proxy: None,
            http2: Http2::Auto,
        }
    }
}

pub(crate) type Hash = [u8; 32];

/// The hash of a setting's content.
pub(crate) fn hash(settings: &impl Serialize) -> Result<Hash, EgressError> {
    let text = serde_json::to_vec(settings)
        .map_err(|error| EgressError::Settings(format!("the settings cannot be written as JSON: {error}")))?;
    Ok(Sha256::digest(text).into())
}

/// A way to reach destinations, with its own connections. Cheap to clone.
#[derive(Clone)]
pub struct Transport(Arc<Clients>);

struct Clients {
    ground: Arc<Ground>,
    tls: Arc<ClientConfig>,
    proxy: Option<Proxy>,
    http2: Http2,
    public: HttpClient,
    /// Created on first use: most transports never need it.
    listed: OnceLock<HttpClient>,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("proxy", &self.0.proxy).field("http2", &self.0.http2).finish_non_exhaustive()
    }
}

impl Transport {
    pub(crate) fn new(ground: &Arc<Ground>, settings: &TransportSettings) -> Result<Self, EgressError> {
        let tls = Arc::new(tls(settings)?);
        let proxy = settings.proxy.as_ref().map(|proxy| Proxy::parse(proxy.reveal())).transpose()?;
        let connector = Connector::new(Arc::clone(ground), true, Arc::clone(&tls), proxy.clone());
        let public = client(connector, settings.http2);
        let ground = Arc::clone(ground);
        Ok(Self(Arc::new(Clients { ground, tls, proxy, http2: settings.http2, public, listed: OnceLock::new() })))
    }

    pub(crate) fn client(&self, reach: Reach) -> &HttpClient {
        let clients = &self.0;
        match reach {
            Reach::Public => &clients.public,
            Reach::ListedNetworks => clients.listed.get_or_init(|| {
                let tls = Arc::clone(&clients.tls);
                let connector = Connector::new(Arc::clone(&clients.ground), false, tls, clients.proxy.clone());
                client(connector, clients.http2)
            }),
        }
    }
}

fn client(connector: Connector, http2: Http2) -> HttpClient {
    Client::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE_TIME)
        .pool_max_idle_per_host(IDLE_PER_DESTINATION)
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .http1_max_headers(MOST_HEADERS)
        .http1_max_buf_size(MOST_HEAD_BYTES)
        .http2_only(http2 == Http2::PriorKnowledge)
        .http2_max_header_list_size(HTTP2_HEAD_BYTES)
        .http2_initial_stream_window_size(STREAM_WINDOW)
        .http2_initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keep_alive_interval(PING)
        .http2_keep_alive_timeout(PING)
        .build(connector)
}

fn tls(settings: &TransportSettings) -> Result<ClientConfig, EgressError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| EgressError::Settings(format!("TLS cannot be set up: {error}")))?
        .with_root_certificates(authorities(settings)?);
    let mut config = match (&settings.client_certificate, &settings.client_key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(certificate), Some(key)) => {
            let chain = certificates(TransportField::ClientCertificate, certificate)?;
            let key = private_key(key.reveal())?;
            builder.with_client_auth_cert(chain, key).map_err(|error| {
                TransportField::ClientKey.wrong(format!("does not fit client_certificate, or cannot be used: {error}"))
            })?
        }
        (Some(_), None) => return Err(TransportField::ClientKey.wrong("is required with client_certificate")),
        (None, Some(_)) => return Err(TransportField::ClientCertificate.wrong("is required with client_key")),
    };
    config.alpn_protocols = match settings.http2 {
        Http2::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        Http2::Never => vec![b"http/1.1".to_vec()],
        Http2::PriorKnowledge => vec![b"h2".to_vec()],
    };
    Ok(config)
}

fn authorities(settings: &TransportSettings) -> Result<RootCertStore, EgressError> {
    let mut roots = RootCertStore::empty();
    if settings.public_authorities {
        roots.roots.extend_from_slice(webpki_roots::TLS_SERVER_ROOTS);
    }
    let mut count = 0_usize;
    for text in &settings.ca_certificates {
        for certificate in certificates(TransportField::CaCertificates, text)? {
            count = count.saturating_add(1);
            if count > MOST_CERTIFICATES {
                return Err(TransportField::CaCertificates.wrong(format!("contains more than {MOST_CERTIFICATES}")));
            }
            roots.add(certificate).map_err(|error| {
                TransportField::CaCertificates.wrong(format!("certificate {count} cannot be used: {error}"))
            })?;
        }
    }
    if roots.is_empty() {
        return Err(EgressError::Settings(
            "no certificate authority is trusted: add one to ca_certificates, or set public_authorities to true"
                .to_owned(),
        ));
    }
    Ok(roots)
}

fn certificates(field: TransportField, text: &str) -> Result<Vec<CertificateDer<'static>>, EgressError> {
    let wrong = |what: String| field.wrong(format!("{what}: give certificates in PEM"));
    if text.len() > LONGEST_PEM {
        return Err(wrong(format!("{} bytes are more than {LONGEST_PEM}", text.len())));
    }
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).take(MOST_CERTIFICATES + 1).collect();
    let read = read.map_err(|error| wrong(format!("the text cannot be read ({error:?})")))?;
    match read.len() {
        0 => Err(wrong("there is no certificate in the text".to_owned())),
        count if count > MOST_CERTIFICATES => Err(wrong(format!("more than {MOST_CERTIFICATES} certificates"))),
        _ => Ok(read),
    }
}

/// Error messages contain nothing of the text.
fn private_key(text: &str) -> Result<PrivateKeyDer<'static>, EgressError> {
    if text.len() > LONGEST_PEM {
        return Err(TransportField::ClientKey.wrong(format!("more than {LONGEST_PEM} bytes")));
    }
    PrivateKeyDer::from_pem_slice(text.as_bytes())
        .map_err(|_| TransportField::ClientKey.wrong("no private key in PEM (PKCS #8, PKCS #1 or SEC1, not encrypted)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_settings_are_reported_by_field() {
        let key = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
        for (settings, part) in [
            (r#"{"ca_certificates":["x"]}"#.to_owned(), "ca_certificates"),
            (r#"{"public_authorities":false}"#.to_owned(), "public_authorities"),
            (r#"{"client_certificate":"x"}"#.to_owned(), "client_key: is required with"),
            (r#"{"client_key":"x"}"#.to_owned(), "client_certificate: is required with"),
            (serde_json::json!({"client_key": key, "client_certificate": "x"}).to_string(), "client_certificate"),
            (serde_json::json!({"ca_certificates": ["x".repeat(70_000)]}).to_string(), "70000 bytes"),
        ] {
            let settings: TransportSettings = serde_json::from_str(&settings).unwrap();
            let error = tls(&settings).unwrap_err();
            assert_eq!(error.code(), "transport.invalid");
            assert!(error.to_string().contains(part) && !error.to_string().contains("c2VjcmV0"), "{error}");
            assert!(!format!("{settings:?}").contains("c2VjcmV0"));
        }
    }

    #[test]
    fn certificate_checks_cannot_be_disabled() {
        for text in [r#"{"tls_verify":false}"#, r#"{"insecure":true}"#] {
            let error = serde_json::from_str::<TransportSettings>(text).unwrap_err();
            assert!(error.to_string().contains("unknown field"), "{error}");
        }
    }
}
