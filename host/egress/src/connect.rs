//! Opens connections: resolves a name, filters the allowed addresses, connects to one of them, through a proxy if there
//! is one, and performs the TLS handshake.
//!
//! With a proxy, the target's name is resolved and its addresses are checked here too, but the proxy resolves the name
//! again and connects to the result. The guarantee that the connection goes to the checked address holds for direct
//! connections only; with a proxy, the proxy has to enforce it.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use crate::error::{bounded, explain};
use crate::resolve::Resolver;
use crate::stage::Stage;
use crate::stream::{Open, Stream, Wire};
use crate::timing::{Trace, micros};
use crate::{EgressError, EgressPolicy, LONGEST_CONNECT, Proxy};

tokio::task_local! {
    /// The trace of the request for which a connection is opened.
    pub(crate) static TRACE: Arc<Trace>;
}

/// State that all connections of an [`crate::Egress`] share.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) policy: EgressPolicy,
    pub(crate) resolver: Arc<Resolver>,
    pub(crate) open: Arc<AtomicUsize>,
}

/// Opens the connections of one pool.
#[derive(Clone)]
pub(crate) struct Connector(Arc<Ways>);

struct Ways {
    ground: Arc<Ground>,
    /// Whether public addresses are reached, or only the allowed networks.
    public: bool,
    tls: Arc<ClientConfig>,
    /// The transport's own proxy.
    proxy: Option<Proxy>,
}

impl Connector {
    pub(crate) fn new(ground: Arc<Ground>, public: bool, tls: Arc<ClientConfig>, proxy: Option<Proxy>) -> Self {
        Self(Arc::new(Ways { ground, public, tls, proxy }))
    }
}

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = EgressError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, EgressError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), EgressError>> {
        Poll::Ready(Ok(()))
    }

    /// Called while the requesting task is polled, so the task-local trace is the one of that request.
    fn call(&mut self, uri: Uri) -> Self::Future {
        let ways = Arc::clone(&self.0);
        let trace = TRACE.try_with(Arc::clone).ok();
        Box::pin(async move {
            let work = Work::begin(trace);
            ways.open(&uri, &work).await.map(TokioIo::new)
        })
    }
}

/// The opening of one connection, with its deadline and its trace.
struct Work {
    trace: Option<Arc<Trace>>,
    /// The request's own deadline, or [`LONGEST_CONNECT`].
    deadline: Instant,
}

impl Work {
    fn begin(trace: Option<Arc<Trace>>) -> Self {
        let longest = Instant::now() + LONGEST_CONNECT;
        let deadline = trace.as_ref().map_or(longest, |trace| trace.deadline.min(longest));
        if let Some(trace) = &trace {
            trace.open();
        }
        Self { trace, deadline }
    }

    /// Runs one part of the work within the remaining time. Also returns its duration, in microseconds.
    async fn part<T>(
        &self,
        stage: Stage,
        work: impl Future<Output = Result<T, EgressError>>,
    ) -> Result<(T, u64), EgressError> {
        if let Some(trace) = &self.trace {
            trace.enter(stage);
        }
        let began = Instant::now();
        let late = |_| {
            let limit_ms = u64::try_from(LONGEST_CONNECT.as_millis()).unwrap_or(u64::MAX);
            Err(EgressError::Timeout { stage, limit_ms })
        };
        let done = tokio::time::timeout_at(self.deadline, work).await.unwrap_or_else(late)?;
        Ok((done, micros(began.elapsed())))
    }

    fn tell(&self, change: impl FnOnce(&mut crate::timing::Opening)) {
        if let Some(trace) = &self.trace {
            trace.change(change);
        }
    }
}

impl Ways {
    async fn open(&self, uri: &Uri, work: &Work) -> Result<Stream, EgressError> {
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let with_tls = uri.scheme_str() != Some("http");
        let port = uri.port_u16().unwrap_or(if with_tls { 443 } else { 80 });
        let own = self.proxy.as_ref();
        let proxy = own.or_else(|| self.ground.policy.proxy_for(host));

        let (addresses, took) = work.part(Stage::Resolve, self.where_to(host, port, proxy)).await?;
        if host.parse::<IpAddr>().is_err() || proxy.is_some() {
            work.tell(|opening| opening.dns = Some(took));
        }
        let (mut stream, mut connecting) = work.part(Stage::Connect, connect(&addresses, work.deadline, proxy)).await?;
        let _ = stream.set_nodelay(true);
        if let Some(proxy) = proxy {
            let ((), took) = work.part(Stage::Proxy, proxy.tunnel(&mut stream, host, port)).await?;
            connecting = connecting.saturating_add(took);
        }
        work.tell(|opening| opening.connect = Some(connecting));
        let wire = if with_tls {
            let (stream, took) = work.part(Stage::Tls, self.shake_hands(host, stream)).await?;
            work.tell(|opening| opening.tls = Some(took));
            stream
        } else {
            Wire::Plain(stream)
        };
        let link = work.trace.as_ref().map(|trace| trace.opened());
        Ok(Stream { wire, link, open: Open::new(&self.ground.open) })
    }

    /// The addresses to connect to: the allowed ones of the target, or those of the proxy after the target's were
    /// checked.
    async fn where_to(&self, host: &str, port: u16, proxy: Option<&Proxy>) -> Result<Vec<SocketAddr>, EgressError> {
        let policy = &self.ground.policy;
        let targets = self.allowed(host, |address| policy.admit(address, self.public)).await?;
        let Some(proxy) = proxy else {
            return Ok(targets.into_iter().map(|address| SocketAddr::new(address, port)).collect());
        };
        let trusted = self.proxy.is_none();
        let admit = |address| if trusted { Ok(()) } else { policy.admit_proxy(address) };
        let addresses = self.allowed(&proxy.host, admit).await.map_err(|error| match error {
            EgressError::Resolve(what) => proxy.failed(&format!("cannot be found: {what}")),
            other => other,
        })?;
        Ok(addresses.into_iter().map(|address| SocketAddr::new(address, proxy.port)).collect())
    }

    /// The allowed addresses of a host; if there are none, the reason for the last one.
    async fn allowed(
        &self,
        host: &str,
        admit: impl Fn(IpAddr) -> Result<(), EgressError>,
    ) -> Result<Vec<IpAddr>, EgressError> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return admit(address).map(|()| vec![address]);
        }
        let mut refusal = None;
        let mut allowed = Vec::new();
        for address in self.ground.resolver.addresses(host).await?.iter() {
            match admit(*address) {
                Ok(()) => allowed.push(*address),
                Err(error) => refusal = Some(error),
            }
        }
        match refusal {
            Some(error) if allowed.is_empty() => Err(error),
            _ => Ok(allowed),
        }
    }

    async fn shake_hands(&self, host: &str, stream: TcpStream) -> Result<Wire, EgressError> {
        let name = ServerName::try_from(host.trim_end_matches('.').to_owned())
            .map_err(|_| EgressError::Url(format!("`{}` is not a valid TLS server name", bounded(host))))?;
        let connected = TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await;
        connected.map(|stream| Wire::Tls(Box::new(stream))).map_err(|error| without_tls(&error))
    }
}

/// The reason why a TLS handshake failed: the error of rustls, or that the connection was closed during it.
fn without_tls(error: &io::Error) -> EgressError {
    match explain(error) {
        found @ EgressError::Tls { .. } => found,
        other => EgressError::Tls {
            problem: crate::TlsProblem::Failed,
            message: format!("the connection ended during the TLS handshake: {other}"),
        },
    }
}

/// Connects to the first address that answers. Each address has a share of the remaining time, so that an unresponsive
/// one does not prevent the others from being tried.
async fn connect(addresses: &[SocketAddr], deadline: Instant, proxy: Option<&Proxy>) -> Result<TcpStream, EgressError> {
    let mut failure = EgressError::Connect("there is no address to connect to".to_owned());
    for (place, address) in addresses.iter().enumerate() {
        let untried = u32::try_from(addresses.len().saturating_sub(place)).unwrap_or(1).max(1);
        let share = deadline.saturating_duration_since(Instant::now()) / untried;
        // For the last address the deadline itself ends the attempt, so that the error is a timeout.
        let share = if untried == 1 { share + Duration::from_secs(1) } else { share };
        let what = match tokio::time::timeout(share, TcpStream::connect(*address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => error,
            Err(_) => io::Error::from(io::ErrorKind::TimedOut),
        };
        failure = match (proxy, what.kind()) {
            (Some(proxy), _) => proxy.failed(&format!("cannot be reached: {what}")),
            (None, io::ErrorKind::ConnectionRefused) => EgressError::Refused(format!(
                "{address} refused the connection: see that the receiver runs, and that the port is right"
            )),
            (None, _) => EgressError::Connect(format!("{address}: {what}")),
        };
    }
    Err(failure)
}
