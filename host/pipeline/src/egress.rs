//! Requests that leave the machine: one client, which connects only to addresses that the operator allows, and checks
//! the very address it connects to, so that a name cannot be made to point elsewhere in between.

use std::error::Error as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hookwright_model::host_fits;
use hookwright_plugin::Allowed;
use http::{HeaderMap, Method, Request, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use ipnet::IpNet;
use serde_json::json;
use tokio::net::TcpStream;
use url::{Host, Url};

/// Where requests may go.
#[derive(Clone, Debug, Default)]
pub struct EgressPolicy {
    /// Networks allowed besides public addresses.
    pub allow_networks: Vec<IpNet>,
    /// Whether targets without TLS are allowed.
    pub allow_http: bool,
    /// Hosts that plugins may reach: names, `*.example.com` for all names below one, or `*`.
    pub allow_hosts: Vec<String>,
}

/// Why a request did not leave, or no answer came.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EgressError {
    /// The URL cannot be used.
    #[error("{0}")]
    Url(String),
    /// The address is not allowed.
    #[error("{0}")]
    AddressRefused(String),
    /// A plugin asked for a host that it may not reach.
    #[error("{0}")]
    HostRefused(String),
    /// The name has no address.
    #[error("{0}")]
    Resolve(String),
    /// No connection, or it broke.
    #[error("{0}")]
    Connect(String),
    /// No answer in time.
    #[error("no answer within {0} ms")]
    Timeout(u128),
    /// The answer was no HTTP, or broke off.
    #[error("{0}")]
    Protocol(String),
}

impl EgressError {
    /// Stable, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Url(_) => "url.invalid",
            Self::AddressRefused(_) => "address.refused",
            Self::HostRefused(_) => "http.host_not_allowed",
            Self::Resolve(_) => "name.unresolved",
            Self::Connect(_) => "connect.failed",
            Self::Timeout(_) => "timeout",
            Self::Protocol(_) => "protocol.error",
        }
    }

    /// Whether the same request may succeed later.
    pub fn may_pass(&self) -> bool {
        !matches!(self, Self::Url(_) | Self::HostRefused(_))
    }
}

/// An answer, its body cut at the limit that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The status.
    pub status: u16,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// Whether there was more of it.
    pub truncated: bool,
}

/// What is sent.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    /// The method.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// From the first step of connecting to the last byte of the answer.
    pub timeout: Duration,
    /// How much of the answer's body is kept, in bytes.
    pub body_limit: usize,
}

type HttpClient = Client<HttpsConnector<Guard>, Full<Bytes>>;

/// The client.
pub(crate) struct Egress {
    policy: Arc<EgressPolicy>,
    /// Reaches public addresses and the allowed networks.
    open: HttpClient,
    /// Reaches the allowed networks only: for plugins' requests to hosts that are not on the list.
    inner: HttpClient,
}

impl Egress {
    /// A client that keeps to `policy`.
    pub(crate) fn new(policy: EgressPolicy) -> Result<Self, EgressError> {
        let policy = Arc::new(policy);
        Ok(Self { open: client(&policy, true)?, inner: client(&policy, false)?, policy })
    }

    /// Checks a target as far as that goes without resolving its name.
    pub(crate) fn check(&self, text: &str) -> Result<Url, EgressError> {
        let shown: String = text.chars().take(200).collect();
        let url = Url::parse(text).map_err(|error| EgressError::Url(format!("`{shown}` is no URL: {error}")))?;
        match url.scheme() {
            "https" => {}
            "http" if self.policy.allow_http => {}
            "http" => {
                return Err(EgressError::Url(format!(
                    "`{shown}` has no TLS: use https, or set HOOKWRIGHT_ALLOW_HTTP=true for development"
                )));
            }
            other => return Err(EgressError::Url(format!("`{shown}` has the scheme `{other}`: use https"))),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EgressError::Url("the URL holds credentials: leave them out, requests are signed".to_owned()));
        }
        let address = match url.host() {
            None => return Err(EgressError::Url(format!("`{shown}` names no host"))),
            Some(Host::Domain(_)) => return Ok(url),
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
        };
        self.policy.admit(address, true).map(|()| url)
    }

    /// Sends a request of Hookwright's own.
    pub(crate) async fn send(&self, outgoing: Outgoing) -> Result<Answer, EgressError> {
        self.through(&self.open, outgoing).await
    }

    /// Sends a request that a plugin asked for: to hosts that it was granted, to those on the server's list, and, if the
    /// plugin comes with the server, to the allowed networks. Whatever the host, the address must be one that is allowed.
    pub(crate) async fn send_for_plugin(
        &self,
        plugin: &str,
        allowed: Allowed,
        outgoing: Outgoing,
    ) -> Result<Answer, EgressError> {
        let host = outgoing.url.host_str().unwrap_or_default().to_owned();
        if allowed == Allowed::ByGrant || self.policy.lists(&host) {
            return self.through(&self.open, outgoing).await;
        }
        let port = outgoing.url.port();
        let mut grant = json!({"host": host, "methods": [outgoing.method.as_str()]});
        if let (Some(port), Some(grant)) = (port, grant.as_object_mut()) {
            grant.insert("port".to_owned(), port.into());
        }
        let refused = || {
            let remedy = hookwright_plugin::remedy(plugin, &json!({"http": [grant]}));
            EgressError::HostRefused(format!(
                "`{plugin}` may not send {} to `{host}`: {remedy}; to open the host to all plugins, add it to the setting \
                 allow_hosts",
                outgoing.method
            ))
        };
        match allowed {
            Allowed::ByServer { trusted: true } => match self.through(&self.inner, outgoing.clone()).await {
                Err(EgressError::AddressRefused(_)) => Err(refused()),
                other => other,
            },
            _ => Err(refused()),
        }
    }

    async fn through(&self, client: &HttpClient, outgoing: Outgoing) -> Result<Answer, EgressError> {
        self.check(outgoing.url.as_str())?;
        let limit = outgoing.timeout;
        tokio::time::timeout(limit, exchange(client, outgoing))
            .await
            .unwrap_or(Err(EgressError::Timeout(limit.as_millis())))
    }
}

async fn exchange(client: &HttpClient, outgoing: Outgoing) -> Result<Answer, EgressError> {
    let uri: Uri = outgoing.url.as_str().parse().map_err(|error| EgressError::Url(format!("{error}")))?;
    let mut request = Request::new(Full::new(outgoing.body));
    *request.method_mut() = outgoing.method;
    *request.uri_mut() = uri;
    *request.headers_mut() = outgoing.headers;
    let response = client.request(request).await.map_err(|error| explain(&error))?;
    let (parts, mut body) = response.into_parts();
    let mut kept = Vec::new();
    let mut truncated = false;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| EgressError::Protocol(format!("the answer broke off: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        let room = outgoing.body_limit.saturating_sub(kept.len());
        kept.extend_from_slice(data.get(..room.min(data.len())).unwrap_or_default());
        if data.len() > room {
            truncated = true;
            break;
        }
    }
    Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body: kept.into(), truncated })
}

/// Finds our own reason in the chain of causes, or says what the library said.
fn explain(error: &hyper_util::client::legacy::Error) -> EgressError {
    let mut cause = error.source();
    let mut last = error.to_string();
    while let Some(inner) = cause {
        if let Some(own) = inner.downcast_ref::<EgressError>() {
            return own.clone();
        }
        if let Some(io) = inner.downcast_ref::<std::io::Error>()
            && let Some(own) = io.get_ref().and_then(|inner| inner.downcast_ref::<EgressError>())
        {
            return own.clone();
        }
        last = inner.to_string();
        cause = inner.source();
    }
    if error.is_connect() { EgressError::Connect(last) } else { EgressError::Protocol(last) }
}

fn client(policy: &Arc<EgressPolicy>, public: bool) -> Result<HttpClient, EgressError> {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| EgressError::Connect(format!("TLS cannot be set up: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(Guard { policy: Arc::clone(policy), public });
    Ok(Client::builder(TokioExecutor::new())
        .pool_idle_timeout(Duration::from_secs(30))
        .pool_max_idle_per_host(16)
        .pool_timer(TokioTimer::new())
        .http1_max_headers(100)
        .build(connector))
}

/// Resolves a name, keeps the addresses that are allowed, and connects to one of those.
#[derive(Clone)]
struct Guard {
    policy: Arc<EgressPolicy>,
    public: bool,
}

impl tower_service::Service<Uri> for Guard {
    type Response = TokioIo<TcpStream>;
    type Error = EgressError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, EgressError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), EgressError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let guard = self.clone();
        Box::pin(async move { guard.connect(&uri).await })
    }
}

impl Guard {
    async fn connect(&self, uri: &Uri) -> Result<TokioIo<TcpStream>, EgressError> {
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
        let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port))
            .await
            .map_err(|error| EgressError::Resolve(format!("`{host}` has no address: {error}")))?
            .collect();
        let mut refusal = EgressError::Resolve(format!("`{host}` has no address"));
        for address in found {
            if let Err(error) = self.policy.admit(address.ip(), self.public) {
                refusal = error;
                continue;
            }
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    let _ = stream.set_nodelay(true);
                    return Ok(TokioIo::new(stream));
                }
                Err(error) => refusal = EgressError::Connect(format!("{address}: {error}")),
            }
        }
        Err(refusal)
    }
}

impl EgressPolicy {
    fn admit(&self, address: IpAddr, public: bool) -> Result<(), EgressError> {
        let listed = self.allow_networks.iter().any(|network| network.contains(&address));
        if listed || (public && is_public(address)) {
            return Ok(());
        }
        let length = if address.is_ipv4() { 32 } else { 128 };
        Err(EgressError::AddressRefused(format!(
            "{address} is not a public address: allow its network with HOOKWRIGHT_ALLOW_NETWORKS={address}/{length}"
        )))
    }

    fn lists(&self, host: &str) -> bool {
        self.allow_hosts.iter().any(|pattern| host_fits(pattern, host))
    }
}

/// Whether an address is one of the public Internet (IANA special-purpose registries; addresses that embed another are
/// judged by that one).
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19)))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let [a, b, c, _, _, _, g, h] = segments;
    let embedded = |high: u16, low: u16| {
        let [w, x] = high.to_be_bytes();
        let [y, z] = low.to_be_bytes();
        is_public_v4(Ipv4Addr::new(w, x, y, z))
    };
    match segments {
        // ::/96 (unspecified, loopback, IPv4-compatible) is never used on the Internet.
        [0, 0, 0, 0, 0, 0, ..] => false,
        // IPv4-mapped.
        [0, 0, 0, 0, 0, 0xffff, ..] => embedded(g, h),
        // NAT64: the well-known prefix carries an IPv4 address; the local-use prefix may carry anything.
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => embedded(g, h),
        [0x64, 0xff9b, 1, ..] => false,
        // 6to4.
        [0x2002, ..] => embedded(b, c),
        // Teredo and the other protocol assignments, documentation, discard-only.
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => false,
        [0x3fff, second, ..] if second < 0x1000 => false,
        [0x100, 0, 0, 0, ..] => false,
        // Only 2000::/3 is global unicast: unique local, link-local and multicast lie outside of it.
        _ => a & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_public() {
        for (address, public) in [
            ("8.8.8.8", true),
            ("1.1.1.1", true),
            ("127.0.0.1", false),
            ("10.1.2.3", false),
            ("172.31.0.1", false),
            ("192.168.1.1", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("0.0.0.0", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("198.19.0.1", false),
            ("2606:4700::1111", true),
            ("::1", false),
            ("::", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:8.8.8.8", true),
            ("::127.0.0.1", false),
            ("64:ff9b::7f00:1", false),
            ("64:ff9b::808:808", true),
            ("64:ff9b:1::1", false),
            ("2002:7f00:1::", false),
            ("2002:808:808::", true),
            ("2001:0:7f00:1::", false),
            ("2001:db8::1", false),
            ("fc00::1", false),
            ("fe80::1", false),
            ("ff02::1", false),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), public, "{address}");
        }
    }

    #[test]
    fn a_target_is_checked_before_it_is_stored() {
        let strict = Egress::new(EgressPolicy::default()).unwrap();
        for (url, code) in [
            ("https://example.com/hook", None),
            ("http://example.com/hook", Some("url.invalid")),
            ("ftp://example.com", Some("url.invalid")),
            ("not a url", Some("url.invalid")),
            ("https://user:pw@example.com", Some("url.invalid")),
            ("https://127.0.0.1/", Some("address.refused")),
            ("https://[::ffff:10.0.0.1]/", Some("address.refused")),
            ("https://2130706433/", Some("address.refused")),
        ] {
            assert_eq!(strict.check(url).err().map(|error| error.code()), code, "{url}");
        }
        let policy = EgressPolicy {
            allow_networks: vec!["127.0.0.0/8".parse().unwrap()],
            allow_http: true,
            ..EgressPolicy::default()
        };
        assert!(Egress::new(policy).unwrap().check("http://127.0.0.1:8080/").is_ok());
    }

    #[test]
    fn the_host_list_knows_names_and_their_children() {
        let policy = EgressPolicy {
            allow_hosts: vec!["api.example.com".into(), "*.example.org".into()],
            ..EgressPolicy::default()
        };
        for (host, listed) in [
            ("api.example.com", true),
            ("API.example.com", true),
            ("x.api.example.com", false),
            ("a.example.org", true),
            ("example.org", false),
            ("evilexample.org", false),
        ] {
            assert_eq!(policy.lists(host), listed, "{host}");
        }
    }

    #[tokio::test]
    async fn the_address_connected_to_is_the_one_that_is_checked() {
        let egress = Egress::new(EgressPolicy { allow_http: true, ..EgressPolicy::default() }).unwrap();
        let outgoing = Outgoing {
            method: Method::GET,
            url: Url::parse("http://localhost:9/").unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            timeout: Duration::from_secs(5),
            body_limit: 10,
        };
        let error = egress.send(outgoing.clone()).await.unwrap_err();
        assert_eq!(error.code(), "address.refused", "{error}");
        for (allowed, code) in [
            (Allowed::ByGrant, "address.refused"),
            (Allowed::ByServer { trusted: true }, "http.host_not_allowed"),
            (Allowed::ByServer { trusted: false }, "http.host_not_allowed"),
        ] {
            let error = egress.send_for_plugin("p", allowed, outgoing.clone()).await.unwrap_err();
            assert_eq!(error.code(), code, "{allowed:?}");
            let grant = r#"POST {"http":[{"host":"localhost","methods":["GET"],"port":9}]} to /v1/plugins/p/grants"#;
            assert_eq!(error.to_string().contains(grant), code == "http.host_not_allowed", "{error}");
        }
    }
}
