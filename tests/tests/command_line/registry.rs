//! An OCI registry as small as one can be (OCI Distribution 1.1): it keeps what it is given, checks digests, wants a
//! token, and can be told to give out something else than it was given.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use hookwright_receiver::{Receiver, Reply, Request};
use sha2::{Digest as _, Sha256};

/// The token that is given to whoever asks with the right user and password.
const TOKEN: &str = "a-token";
/// `user:password` in base64.
const USER: &str = "dXNlcjpwYXNzd29yZA==";

/// Blobs by digest, manifests by tag and by digest.
type Kept = HashMap<String, Vec<u8>>;

/// Listens until it is dropped.
pub(crate) struct Registry {
    receiver: Receiver,
    kept: Arc<Mutex<Kept>>,
}

impl Registry {
    pub(crate) fn start() -> Self {
        let kept = Arc::new(Mutex::new(Kept::new()));
        let shared = Arc::clone(&kept);
        let receiver = Receiver::serving(None, move |request| respond(request, &mut shared.lock().unwrap()));
        Self { receiver, kept }
    }

    /// `HOST:PORT`.
    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.receiver.port())
    }

    /// Method and path of each request so far.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.receiver.received().iter().map(|request| format!("{} {}", request.method, request.path)).collect()
    }

    /// What is kept under a tag or a digest.
    #[track_caller]
    pub(crate) fn kept(&self, name: &str) -> Vec<u8> {
        self.kept.lock().unwrap().get(name).cloned().unwrap_or_else(|| panic!("nothing under {name}"))
    }

    /// Keeps something else under a tag or a digest, as a registry that lies does.
    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) {
        self.kept.lock().unwrap().insert(name.to_owned(), bytes.to_vec());
    }
}

fn respond(request: &Request, kept: &mut Kept) -> Reply {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    if path == "/token" {
        let asked = query.contains("scope=repository%3Aacme%2Fplugin%3Apull%2Cpush") && query.contains("service=here");
        let known = request.header("authorization") == format!("Basic {USER}");
        return if asked && known { Reply::new(200, format!("{{\"token\":\"{TOKEN}\"}}")) } else { refused("DENIED") };
    }
    if request.header("authorization") != format!("Bearer {TOKEN}") {
        let address = request.header("host");
        let scope = "repository:acme/plugin:pull,push";
        let challenge = format!("Bearer realm=\"http://{address}/token\",service=\"here\",scope=\"{scope}\"");
        return Reply::status(401).header("www-authenticate", challenge);
    }
    let digest = |bytes: &[u8]| format!("sha256:{}", hex::encode(Sha256::digest(bytes)));
    let name = path.rsplit('/').next().unwrap_or_default();
    match (request.method.as_str(), path.strip_prefix("/v2/acme/plugin/").unwrap_or_default()) {
        ("POST", "blobs/uploads/") => Reply::status(202).header("location", "/v2/acme/plugin/blobs/uploads/1?state=x"),
        ("PUT", "blobs/uploads/1") => {
            let wanted = query.strip_prefix("state=x&digest=").unwrap_or_default();
            if digest(&request.body) != wanted {
                return refused("DIGEST_INVALID");
            }
            kept.insert(wanted.to_owned(), request.body.clone());
            Reply::status(201)
        }
        ("PUT", rest) if rest.starts_with("manifests/") => {
            if request.header("content-type") != "application/vnd.oci.image.manifest.v1+json" {
                return refused("MANIFEST_INVALID");
            }
            kept.insert(name.to_owned(), request.body.clone());
            kept.insert(digest(&request.body), request.body.clone());
            Reply::status(201)
        }
        ("GET" | "HEAD", _) => match kept.get(name) {
            Some(bytes) => Reply::new(200, bytes.clone()),
            None => Reply::new(404, r#"{"errors":[{"code":"NAME_UNKNOWN","message":"not here"}]}"#),
        },
        _ => refused("UNSUPPORTED"),
    }
}

fn refused(code: &str) -> Reply {
    Reply::new(403, format!("{{\"errors\":[{{\"code\":\"{code}\",\"message\":\"no\"}}]}}"))
}
