//! A receiver of webhooks: takes requests, remembers them, answers as it is told.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A request that came in.
#[derive(Clone, Debug)]
pub struct Received {
    /// When it was read to its end.
    pub at: Instant,
    /// The method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// Header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Received {
    /// The first header field of a name.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value)
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What the receiver answers.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Header fields.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
    /// How long it waits first. The wait ends early when the receiver is dropped.
    pub delay: Duration,
}

impl Reply {
    /// A status with nothing else.
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: String::new(), delay: Duration::ZERO }
    }

    /// With this header field.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With this body.
    #[must_use]
    pub fn body(mut self, body: impl Into<String>) -> Self {
        self.body = body.into();
        self
    }

    /// After this time.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

type Script = Box<dyn FnMut(&Received) -> Reply + Send>;

struct State {
    received: Mutex<Vec<Received>>,
    script: Mutex<Script>,
    ends: AtomicBool,
}

/// Listens until it is dropped.
pub struct Receiver {
    address: SocketAddr,
    state: Arc<State>,
}

impl Receiver {
    /// Answers 204 to everything.
    pub fn start() -> Self {
        Self::with(|_| Reply::status(204))
    }

    /// Answers these one after the other, and the last one for ever.
    pub fn with_replies(replies: &[Reply]) -> Self {
        let mut replies = replies.to_vec();
        Self::with(move |_| if replies.len() > 1 { replies.remove(0) } else { replies[0].clone() })
    }

    /// Answers what `script` says.
    pub fn with(script: impl FnMut(&Received) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            received: Mutex::default(),
            script: Mutex::new(Box::new(script)),
            ends: AtomicBool::new(false),
        });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.ends.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || while let Some(()) = exchange(&stream, &shared) {});
            }
        });
        Self { address, state }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What came in so far.
    pub fn received(&self) -> Vec<Received> {
        self.state.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for `count` requests.
    #[track_caller]
    pub fn wait_for(&self, count: usize) -> Vec<Received> {
        crate::eventually(|| {
            let received = self.received();
            if received.len() >= count { Ok(received) } else { Err(format!("{} of {count} requests", received.len())) }
        })
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.state.ends.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

/// Reads one request and answers it; none when the connection is to end.
fn exchange(mut stream: &TcpStream, state: &State) -> Option<()> {
    let request = read(stream, state)?;
    let reply = {
        let mut script = state.script.lock().unwrap_or_else(PoisonError::into_inner);
        let reply = script(&request);
        state.received.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        reply
    };
    let until = Instant::now() + reply.delay;
    while Instant::now() < until {
        if state.ends.load(Ordering::SeqCst) {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut head = format!("HTTP/1.1 {} Answer\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if reply.status != 204 {
        head.push_str(&format!("content-length: {}\r\n", reply.body.len()));
    }
    stream.write_all(format!("{head}\r\n{}", reply.body).as_bytes()).ok()
}

fn read(mut stream: &TcpStream, state: &State) -> Option<Received> {
    stream.set_read_timeout(Some(Duration::from_millis(200))).ok()?;
    let mut bytes = Vec::new();
    loop {
        if let Some(request) = parse(&bytes) {
            return Some(request);
        }
        let mut part = [0; 16 * 1024];
        match stream.read(&mut part) {
            Ok(0) => return None,
            Ok(count) => bytes.extend_from_slice(&part[..count]),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                if state.ends.load(Ordering::SeqCst) {
                    return None;
                }
            }
            Err(_) => return None,
        }
    }
}

/// The request, once it is there as a whole. The server sends no chunks.
fn parse(bytes: &[u8]) -> Option<Received> {
    let mut fields = [httparse::EMPTY_HEADER; 100];
    let mut head = httparse::Request::new(&mut fields);
    let httparse::Status::Complete(length) = head.parse(bytes).ok()? else { return None };
    let fields = head.headers.iter();
    let headers: Vec<(String, String)> = fields
        .map(|field| (field.name.to_ascii_lowercase(), String::from_utf8_lossy(field.value).into_owned()))
        .collect();
    let size = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, size)| size.parse().ok());
    let body = bytes.get(length..length + size.unwrap_or(0))?.to_vec();
    let (method, path) = (head.method?.to_owned(), head.path?.to_owned());
    Some(Received { at: Instant::now(), method, path, headers, body })
}
