//! The client: takes a request, returns a response or the reason why there is none.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::capture_connection;
use lru::LruCache;
use parking_lot::Mutex;
use tokio::time::Instant;
use url::Url;

use crate::connect::{Ground, TRACE};
use crate::error::{explain, head_too_large};
use crate::policy::shown;
use crate::resolve::Resolver;
use crate::stage::Stage;
use crate::timing::{Link, Trace};
use crate::transport::{Hash, hash};
use crate::{
    EgressError, EgressPolicy, Failed, KEPT_TOKEN_SOURCES, KEPT_TRANSPORTS, MOST_HEAD_BYTES, MOST_HEADERS, Proxy,
    Reach, Timing, TokenSource, Transport, TransportSettings,
};

/// How many times a repeatable request is sent if reused connections turn out to be closed.
const TRIES: u32 = 3;

/// A response, with its body truncated at the requested limit.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status. It may be 3xx, since redirects are not followed.
    pub status: u16,
    /// The header fields, as received.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// Whether the body was truncated.
    pub truncated: bool,
    /// The content coding of `body`, such as `gzip`; `None` if it has none, or was decoded.
    pub encoding: Option<String>,
    /// The version of HTTP that was used.
    pub http_version: Version,
    /// How long each part took.
    pub timing: Timing,
}

/// A request to send.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The method.
    pub method: Method,
    /// The target.
    pub url: Url,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The timeout, from the start of connecting to the last byte of the response.
    pub timeout: Duration,
    /// The maximum size of the response body, in bytes. Reading stops there.
    pub body_limit: usize,
    /// Whether gzip and deflate are requested and decoded, within `body_limit`.
    pub decode: bool,
    /// Whether it may be sent again if a reused connection turns out to be closed before a byte of the response came:
    /// the receiver may then see it twice (RFC 9110, section 9.2.2).
    pub repeatable: bool,
    /// The transport to the destination; `None`: the default one.
    pub transport: Option<Transport>,
}

impl Outgoing {
    /// A request without header fields and body, with a timeout of 15 s and a body limit of 64 KiB, that is not
    /// repeatable.
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            timeout: Duration::from_secs(15),
            body_limit: 64 * 1024,
            decode: false,
            repeatable: false,
            transport: None,
        }
    }
}

/// The client.
pub struct Egress {
    ground: Arc<Ground>,
    plain: Transport,
    transports: Mutex<LruCache<Hash, Transport>>,
    /// Used where tokens are fetched, which takes this client.
    pub(crate) token_sources: Mutex<LruCache<Hash, Arc<TokenSource>>>,
}

impl Egress {
    /// A client that enforces `policy`.
    ///
    /// # Errors
    /// [`EgressError::Settings`] if TLS cannot be set up.
    pub fn new(policy: EgressPolicy) -> Result<Self, EgressError> {
        let ground = Arc::new(Ground { policy, resolver: Resolver::new(), open: Arc::new(AtomicUsize::new(0)) });
        Ok(Self {
            plain: Transport::new(&ground, &TransportSettings::default())?,
            ground,
            transports: Mutex::new(LruCache::new(NonZeroUsize::new(KEPT_TRANSPORTS).unwrap_or(NonZeroUsize::MIN))),
            token_sources: Mutex::new(LruCache::new(
                NonZeroUsize::new(KEPT_TOKEN_SOURCES).unwrap_or(NonZeroUsize::MIN),
            )),
        })
    }

    /// The policy that it enforces.
    pub fn policy(&self) -> &EgressPolicy {
        &self.ground.policy
    }

    /// Checks a target as far as that is possible without resolving its name.
    ///
    /// # Errors
    /// [`EgressError::Url`], or [`EgressError::AddressRefused`] if the URL contains an address that is not allowed.
    pub fn check(&self, text: &str) -> Result<Url, EgressError> {
        let url = Url::parse(text)
            .map_err(|error| EgressError::Url(format!("`{}` is not a valid URL: {error}", shown(text))))?;
        self.ground.policy.check(&url).map(|()| url)
    }

    /// Checks the URL of a transport's own proxy as far as that is possible without resolving its name.
    /// [`Self::transport`] does not check it: the policy can have changed since the settings were saved, and then the
    /// request fails.
    ///
    /// # Errors
    /// [`EgressError::Transport`], or [`EgressError::AddressRefused`] if the URL contains an address that is not
    /// allowed.
    pub fn check_proxy(&self, text: &str) -> Result<(), EgressError> {
        self.ground.policy.check_proxy(&Proxy::parse(text)?)
    }

    /// The transport for these settings. It is created on first use and cached.
    ///
    /// # Errors
    /// [`EgressError::Transport`], or [`EgressError::Settings`] if it is not of one field.
    pub fn transport(&self, settings: &TransportSettings) -> Result<Transport, EgressError> {
        if *settings == TransportSettings::default() {
            return Ok(self.plain.clone());
        }
        let make = || Transport::new(&self.ground, settings);
        cached(&self.transports, hash(settings)?, make)
    }

    /// Sends a request to a public address or one in the allowed networks.
    ///
    /// # Errors
    /// [`Failed`], with how far it had come.
    pub async fn send(&self, outgoing: Outgoing) -> Result<Answer, Failed> {
        self.send_within(Reach::Public, outgoing).await
    }

    /// Sends a request to an address that `reach` allows.
    ///
    /// # Errors
    /// [`Failed`], with how far it had come.
    pub async fn send_within(&self, reach: Reach, outgoing: Outgoing) -> Result<Answer, Failed> {
        self.ground.policy.check(&outgoing.url).map_err(Failed::at_once)?;
        let began = Instant::now();
        let exchange = Exchange {
            began,
            deadline: began.checked_add(outgoing.timeout).unwrap_or(began),
            limit_ms: u64::try_from(outgoing.timeout.as_millis()).unwrap_or(u64::MAX),
            body_limit: outgoing.body_limit,
            decode: outgoing.decode,
        };
        let transport = outgoing.transport.as_ref().unwrap_or(&self.plain);
        let repeatable = outgoing.repeatable;
        let mut request = request(outgoing.method, &outgoing.url, outgoing.headers, outgoing.body, outgoing.decode)?;
        let client = transport.client(reach);
        for _ in 1..TRIES {
            if !repeatable {
                break;
            }
            let copy = request.clone();
            match exchange.carry_out(client, request).await {
                Err(failed) if failed.timing.reused && failed.stage == Stage::Headers && failed.error.is_closed() => {
                    request = copy;
                }
                other => return other,
            }
        }
        exchange.carry_out(client, request).await
    }
}

/// The cached value of a hash, created if it does not exist. Two callers may create it concurrently; the first value
/// wins.
pub(crate) fn cached<T: Clone>(
    cache: &Mutex<LruCache<Hash, T>>,
    hash: Hash,
    make: impl FnOnce() -> Result<T, EgressError>,
) -> Result<T, EgressError> {
    if let Some(found) = cache.lock().get(&hash) {
        return Ok(found.clone());
    }
    let made = make()?;
    let mut cache = cache.lock();
    Ok(cache.get_or_insert(hash, || made).clone())
}

fn request(
    method: Method,
    url: &Url,
    headers: HeaderMap,
    body: Bytes,
    decode: bool,
) -> Result<Request<Full<Bytes>>, Failed> {
    let uri: Uri = url.as_str().parse().map_err(|error| {
        Failed::at_once(EgressError::Url(format!("`{}` cannot be requested: {error}", shown(url.as_str()))))
    })?;
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    if decode {
        request.headers_mut().entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static(crate::decode::TAKEN));
    }
    Ok(request)
}

/// The limits of one request, across all its tries.
struct Exchange {
    began: Instant,
    deadline: Instant,
    limit_ms: u64,
    body_limit: usize,
    decode: bool,
}

impl Exchange {
    async fn carry_out(
        &self,
        client: &crate::transport::HttpClient,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Answer, Failed> {
        let capture = capture_connection(&mut request);
        let trace = Trace::new(self.began, self.deadline, capture);
        let sending = TRACE.scope(Arc::clone(&trace), client.request(request));
        let response = match tokio::time::timeout_at(self.deadline, sending).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                let (stage, timing) = trace.unanswered();
                let error = trace.reason(explain(&error));
                return Err(match error {
                    // The connector noticed the request's own timeout first.
                    EgressError::Timeout { stage, .. } if Instant::now() >= self.deadline => {
                        Failed { error: EgressError::Timeout { stage, limit_ms: self.limit_ms }, stage, timing }
                    }
                    EgressError::Timeout { stage, .. } => Failed { error, stage, timing },
                    error => Failed { error, stage, timing },
                });
            }
            Err(_) => {
                let (stage, timing) = trace.unanswered();
                let error = EgressError::Timeout { stage, limit_ms: self.limit_ms };
                return Err(Failed { error, stage, timing });
            }
        };
        self.answer(&trace, response).await
    }

    async fn answer(&self, trace: &Trace, response: Response<Incoming>) -> Result<Answer, Failed> {
        let head = Instant::now();
        let (parts, mut incoming) = response.into_parts();
        let link = parts.extensions.get::<Arc<Link>>().map(Arc::as_ref);
        let fail = |error| Failed { error, stage: Stage::Body, timing: trace.timing(link, Some(head)) };
        if let Err(error) = check_head(parts.version, &parts.headers) {
            trace.retire();
            return Err(Failed { stage: Stage::Headers, ..fail(error) });
        }
        let reading = read(&mut incoming, self.body_limit);
        let (raw, cut) = match tokio::time::timeout_at(self.deadline, reading).await {
            Ok(Ok(read)) => read,
            Ok(Err(error)) => return Err(fail(error)),
            Err(_) => return Err(fail(EgressError::Timeout { stage: Stage::Body, limit_ms: self.limit_ms })),
        };
        if cut && parts.version != Version::HTTP_2 {
            trace.retire();
        }
        let mut encoding = crate::decode::coding(&parts.headers);
        let (mut body, mut truncated) = (raw, cut);
        if self.decode
            && let Some(decoded) = encoding.as_ref().and_then(|coding| {
                let empty = body.is_empty() && !cut;
                (!empty).then(|| crate::decode::decode(coding, &body, cut, self.body_limit)).flatten()
            })
        {
            (body, truncated) = decoded.map_err(fail)?;
            encoding = None;
        }
        let timing = trace.timing(link, Some(head));
        Ok(Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body.into(),
            truncated,
            encoding,
            http_version: parts.version,
            timing,
        })
    }
}

/// Checks that the HTTP library does not make.
fn check_head(version: Version, headers: &HeaderMap) -> Result<(), EgressError> {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len().saturating_add(value.len())).sum();
    if headers.len() > MOST_HEADERS || bytes > MOST_HEAD_BYTES {
        return Err(head_too_large());
    }
    // Two lengths enable request smuggling (RFC 9112, section 6.3).
    if version <= Version::HTTP_11 && headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH) {
        return Err(EgressError::Malformed(
            "the response has both Transfer-Encoding and Content-Length: it must have only one of them".to_owned(),
        ));
    }
    Ok(())
}

/// The first `limit` bytes of a body, and whether there is more.
async fn read(incoming: &mut Incoming, limit: usize) -> Result<(Vec<u8>, bool), EgressError> {
    let mut body = Vec::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| explain(&error))?;
        let Ok(data) = frame.into_data() else { continue };
        let room = limit.saturating_sub(body.len());
        body.extend_from_slice(data.get(..room.min(data.len())).unwrap_or_default());
        if data.len() > room {
            return Ok((body, true));
        }
    }
    Ok((body, false))
}

#[cfg(test)]
mod tests {
    use hookwright_receiver::{Receiver, Step, answer};

    use super::*;

    #[test]
    fn transports_with_the_same_settings_are_shared() {
        let egress = Egress::new(EgressPolicy::default()).unwrap();
        let own = TransportSettings { http2: crate::Http2::Never, ..TransportSettings::default() };
        let client = |settings: &TransportSettings| {
            std::ptr::from_ref(egress.transport(settings).unwrap().client(Reach::Public)).addr()
        };
        assert_eq!(client(&own), client(&own.clone()));
        let plain = TransportSettings::default();
        assert_eq!(client(&plain), std::ptr::from_ref(egress.plain.client(Reach::Public)).addr());
        assert_ne!(client(&own), client(&plain));
        for number in 0..KEPT_TRANSPORTS * 2 {
            let proxy = format!("http://p{number}.example:1").as_str().into();
            egress.transport(&TransportSettings { proxy: Some(proxy), ..plain.clone() }).unwrap();
        }
        assert_eq!(egress.transports.lock().len(), KEPT_TRANSPORTS);
    }

    #[test]
    fn a_target_is_checked_before_it_is_stored() {
        let strict = Egress::new(EgressPolicy::default()).unwrap();
        for (url, code) in [
            ("https://example.com/hook", None),
            ("not a url", Some("url.invalid")),
            ("http://example.com/hook", Some("url.invalid")),
            ("https://[::ffff:10.0.0.1]/", Some("address.refused")),
        ] {
            assert_eq!(strict.check(url).err().map(|error| error.code()), code, "{url}");
        }
    }

    #[tokio::test]
    async fn the_address_connected_to_is_the_one_that_is_checked() {
        let egress = Egress::new(EgressPolicy { allow_http: true, ..EgressPolicy::default() }).unwrap();
        let outgoing = Outgoing::new(Method::GET, Url::parse("http://localhost:9/").unwrap());
        for reach in [Reach::Public, Reach::ListedNetworks] {
            let failed = egress.send_within(reach, outgoing.clone()).await.unwrap_err();
            assert_eq!((failed.code(), failed.stage), ("address.refused", Stage::Check), "{failed}");
        }
    }
    #[tokio::test]
    async fn connections_are_not_pooled_while_too_many_are_open() {
        let receiver = Receiver::playing(None, [Step::Request, answer("200 OK", "", "ok"), Step::Again]);
        let allow_networks = ["127.0.0.0/8", "::1/128"].map(|network| network.parse().unwrap()).into();
        let policy = EgressPolicy { allow_networks, allow_http: true, ..EgressPolicy::default() };
        let egress = Egress::new(policy).unwrap();
        let url = Url::parse(&receiver.url("/")).unwrap();
        egress.ground.open.store(crate::KEPT_CONNECTIONS, std::sync::atomic::Ordering::SeqCst);
        for _ in 0..3 {
            let answer = egress.send(Outgoing::new(Method::GET, url.clone())).await.unwrap();
            assert!(!answer.timing.reused);
        }
        assert_eq!(receiver.connections(), 3);
        // Closed connections are no longer counted.
        let began = Instant::now();
        while egress.ground.open.load(std::sync::atomic::Ordering::SeqCst) > crate::KEPT_CONNECTIONS {
            assert!(began.elapsed() < Duration::from_secs(120));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
