//! A listener on loopback, and what it does with its connections.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use crate::script::{End, Seen, Step, play};
use crate::serve::{Handler, Reply, Request, serve};
use crate::{Authority, Identity};

/// TLS in front of a receiver.
pub struct Tls(ServerConfig);

impl Tls {
    /// With this certificate; offers HTTP/2 and HTTP/1.1.
    pub fn new(identity: &Identity) -> Self {
        Self::of(identity, None)
    }

    /// The same, for clients that have a certificate of this authority.
    pub fn mutual(identity: &Identity, clients: &Authority) -> Self {
        Self::of(identity, Some(clients))
    }

    fn of(identity: &Identity, clients: Option<&Authority>) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = rustls::RootCertStore::empty();
                roots.add(authority.der()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let mut config = builder.with_single_cert(identity.chain(), identity.private_key()).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self(config)
    }

    /// The same, without HTTP/2: what scripts speak.
    fn without_http2(mut self) -> Self {
        self.0.alpn_protocols = vec![b"http/1.1".to_vec()];
        self
    }
}

/// What a receiver has seen and done.
#[derive(Default)]
pub(crate) struct Record {
    connections: AtomicUsize,
    open: AtomicUsize,
    sent: AtomicU64,
    seen: Mutex<Vec<Seen>>,
    received: Mutex<Vec<Request>>,
}

impl Record {
    pub(crate) fn saw(&self, seen: Seen) {
        self.seen.lock().unwrap().push(seen);
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

enum Play {
    Script(Vec<Step>),
    Serve(Handler),
    Proxy(Option<String>),
}

/// A receiver on a port of its own. It ends when it is dropped: its connections first, then the port is free, so that
/// whoever gets the port next gets none of its requests answered by this one.
pub struct Receiver {
    address: SocketAddr,
    with_tls: bool,
    record: Arc<Record>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Receiver {
    /// Plays a script on each connection, after the TLS handshake if there is one.
    pub fn playing(tls: Option<Tls>, steps: impl Into<Vec<Step>>) -> Self {
        Self::start(tls.map(Tls::without_http2), Play::Script(steps.into()), Arc::default())
    }

    /// Answers as an HTTP server: over TLS in HTTP/2 if the client wants to, without TLS in the version that it speaks.
    pub fn serving(tls: Option<Tls>, handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let record = Arc::new(Record::default());
        let kept = Arc::clone(&record);
        let answer = move |request| {
            let reply = handler(&request);
            kept.received.lock().unwrap().push(request);
            reply
        };
        Self::start(tls, Play::Serve(Arc::new(answer)), record)
    }

    /// Is a CONNECT proxy, for those who send this Proxy-Authorization, or for all.
    pub fn proxying(authorization: Option<&str>) -> Self {
        Self::start(None, Play::Proxy(authorization.map(str::to_owned)), Arc::default())
    }

    fn start(tls: Option<Tls>, play: Play, record: Arc<Record>) -> Self {
        let with_tls = tls.is_some();
        let acceptor = tls.map(|tls| TlsAcceptor::from(Arc::new(tls.0)));
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = mpsc::channel();
        let kept = Arc::clone(&record);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            runtime.block_on(async {
                tokio::select! {
                    () = accept(&listener, acceptor, Arc::new(play), kept) => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_timeout(Duration::from_secs(1));
            drop(listener);
        });
        let address = told.recv().unwrap();
        Self { address, with_tls, record, stop: Some(stop), thread: Some(thread) }
    }

    /// Its URL by the name `localhost`, with a path.
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.with_tls { "https" } else { "http" };
        format!("{scheme}://localhost:{}{path}", self.address.port())
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.record.connections.load(Ordering::SeqCst)
    }

    /// How many of them it has not closed.
    pub fn open(&self) -> usize {
        self.record.open.load(Ordering::SeqCst)
    }

    /// How many bytes its script has sent.
    pub fn sent(&self) -> u64 {
        self.record.sent.load(Ordering::Relaxed)
    }

    /// The requests that its script, or the proxy, has read.
    pub fn seen(&self) -> Vec<Seen> {
        self.record.seen.lock().unwrap().clone()
    }

    /// The requests that its handler has answered, or is about to.
    pub fn received(&self) -> Vec<Request> {
        self.record.received.lock().unwrap().clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: &TcpListener, acceptor: Option<TlsAcceptor>, play: Arc<Play>, record: Arc<Record>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let connection = record.connections.fetch_add(1, Ordering::SeqCst) + 1;
        let _ = stream.set_nodelay(true);
        let (acceptor, play, record) = (acceptor.clone(), Arc::clone(&play), Arc::clone(&record));
        record.open.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            attend(stream, connection, acceptor, &play, &record).await;
            record.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

async fn attend(stream: TcpStream, connection: usize, tls: Option<TlsAcceptor>, play_of: &Play, record: &Arc<Record>) {
    match (play_of, tls) {
        (Play::Proxy(wanted), _) => crate::proxy::proxy(stream, connection, wanted.as_deref(), record).await,
        (Play::Serve(handler), None) => serve(stream, connection, Arc::clone(handler)).await,
        (Play::Serve(handler), Some(tls)) => {
            if let Ok(stream) = tls.accept(stream).await {
                serve(stream, connection, Arc::clone(handler)).await;
            }
        }
        (Play::Script(steps), None) => {
            let mut stream = stream;
            if play(&mut stream, steps, connection, record).await == End::Reset {
                reset(&stream).await;
            }
        }
        (Play::Script(steps), Some(tls)) => {
            let Ok(mut stream) = tls.accept(stream).await else { return };
            if play(&mut stream, steps, connection, record).await == End::Reset {
                reset(stream.get_ref().0).await;
            }
        }
    }
}

/// Lets what was sent arrive first: RST makes the other side's kernel drop what it has not read.
async fn reset(stream: &TcpStream) {
    tokio::time::sleep(Duration::from_millis(50)).await;
    stream.set_zero_linger().unwrap();
}

/// A port whose queue of connections is full, so that nobody is answered there, not even with a refusal. It stays so
/// while what is returned is kept.
pub async fn full_backlog() -> (u16, impl Sized) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    // The queue takes a few more than it was made for.
    for _ in 0..64 {
        match tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
            Ok(stream) => queued.push(stream.unwrap()),
            Err(_) => return (address.port(), (listener, queued)),
        }
    }
    panic!("the queue of {address} is never full");
}
