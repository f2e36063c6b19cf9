//! An OCI registry as small as one can be (OCI Distribution 1.1): it keeps what it is given, checks digests, wants a
//! token, and can be told to give out something else than it was given.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use sha2::{Digest as _, Sha256};

/// The token that is given to whoever asks with the right user and password.
const TOKEN: &str = "a-token";
/// `user:password` in base64.
const USER: &str = "dXNlcjpwYXNzd29yZA==";

#[derive(Default)]
struct State {
    /// Blobs by digest, manifests by tag and by digest.
    kept: Mutex<HashMap<String, Vec<u8>>>,
    /// Method and path of each request.
    seen: Mutex<Vec<String>>,
    address: Mutex<Option<SocketAddr>>,
    ends: AtomicBool,
}

/// Listens until it is dropped.
pub(crate) struct Registry {
    state: Arc<State>,
    address: SocketAddr,
}

struct Request {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value)
    }
}

impl Registry {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        *state.address.lock().unwrap() = Some(address);
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.ends.load(Ordering::SeqCst) {
                    return;
                }
                // One request a connection is enough here.
                let _ = answer(&stream, &shared);
            }
        });
        Self { state, address }
    }

    /// `HOST:PORT`.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// Method and path of each request so far.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.state.seen.lock().unwrap().clone()
    }

    /// What is kept under a tag or a digest.
    #[track_caller]
    pub(crate) fn kept(&self, name: &str) -> Vec<u8> {
        self.state.kept.lock().unwrap().get(name).cloned().unwrap_or_else(|| panic!("nothing under {name}"))
    }

    /// Keeps something else under a tag or a digest, as a registry that lies does.
    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) {
        self.state.kept.lock().unwrap().insert(name.to_owned(), bytes.to_vec());
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.state.ends.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn read(mut stream: &TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    loop {
        let mut fields = [httparse::EMPTY_HEADER; 64];
        let mut head = httparse::Request::new(&mut fields);
        if let httparse::Status::Complete(length) = head.parse(&bytes).ok()? {
            let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
            let headers: Vec<(String, String)> =
                head.headers.iter().map(|field| (field.name.to_ascii_lowercase(), text(field.value))).collect();
            let size = headers.iter().find(|(name, _)| name == "content-length");
            let size: usize = size.and_then(|(_, size)| size.parse().ok()).unwrap_or(0);
            if let Some(body) = bytes.get(length..length + size) {
                let (method, path) = (head.method?.to_owned(), head.path?.to_owned());
                return Some(Request { method, path, headers, body: body.to_vec() });
            }
        }
        let mut part = [0; 16 * 1024];
        match stream.read(&mut part).ok()? {
            0 => return None,
            count => bytes.extend_from_slice(&part[..count]),
        }
    }
}

fn answer(mut stream: &TcpStream, state: &State) -> Option<()> {
    let request = read(stream)?;
    state.seen.lock().unwrap().push(format!("{} {}", request.method, request.path));
    let (status, headers, body) = respond(&request, state);
    let mut head = format!("HTTP/1.1 {status} Answer\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).ok()?;
    if request.method == "HEAD" { Some(()) } else { stream.write_all(&body).ok() }
}

type Response = (u16, Vec<(&'static str, String)>, Vec<u8>);

fn respond(request: &Request, state: &State) -> Response {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    if path == "/token" {
        let asked = query.contains("scope=repository%3Aacme%2Fplugin%3Apull%2Cpush") && query.contains("service=here");
        let known = request.header("authorization") == format!("Basic {USER}");
        return if asked && known {
            (200, Vec::new(), format!("{{\"token\":\"{TOKEN}\"}}").into())
        } else {
            refused("DENIED")
        };
    }
    if request.header("authorization") != format!("Bearer {TOKEN}") {
        let address = state.address.lock().unwrap().unwrap();
        let scope = "repository:acme/plugin:pull,push";
        let challenge = format!("Bearer realm=\"http://{address}/token\",service=\"here\",scope=\"{scope}\"");
        return (401, vec![("www-authenticate", challenge)], Vec::new());
    }
    let mut kept = state.kept.lock().unwrap();
    let digest = |bytes: &[u8]| {
        let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256:{hex}")
    };
    let name = path.rsplit('/').next().unwrap_or_default();
    match (request.method.as_str(), path.strip_prefix("/v2/acme/plugin/").unwrap_or_default()) {
        ("POST", "blobs/uploads/") => {
            (202, vec![("location", "/v2/acme/plugin/blobs/uploads/1?state=x".to_owned())], Vec::new())
        }
        ("PUT", "blobs/uploads/1") => {
            let wanted = query.strip_prefix("state=x&digest=").unwrap_or_default();
            if digest(&request.body) != wanted {
                return refused("DIGEST_INVALID");
            }
            kept.insert(wanted.to_owned(), request.body.clone());
            (201, Vec::new(), Vec::new())
        }
        ("PUT", rest) if rest.starts_with("manifests/") => {
            if request.header("content-type") != "application/vnd.oci.image.manifest.v1+json" {
                return refused("MANIFEST_INVALID");
            }
            kept.insert(name.to_owned(), request.body.clone());
            kept.insert(digest(&request.body), request.body.clone());
            (201, Vec::new(), Vec::new())
        }
        ("GET" | "HEAD", _) => match kept.get(name) {
            Some(bytes) => (200, Vec::new(), bytes.clone()),
            None => (404, Vec::new(), br#"{"errors":[{"code":"NAME_UNKNOWN","message":"not here"}]}"#.to_vec()),
        },
        _ => refused("UNSUPPORTED"),
    }
}

fn refused(code: &str) -> Response {
    (403, Vec::new(), format!("{{\"errors\":[{{\"code\":\"{code}\",\"message\":\"no\"}}]}}").into_bytes())
}
