//! A client for registries, by OCI Distribution 1.1.

use std::cell::RefCell;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use ureq::Body;
use ureq::http::{Method, Request, Response, StatusCode, header};

use super::reference::{Reference, digest_of};
use crate::failed::{Failed, problem};

/// The timeout of a response.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(300);
/// The maximum size of an error response that is read, in bytes.
const MAX_ERROR_BYTES: u64 = 64 * 1024;

/// A repository of a registry, with credentials.
pub(super) struct Registry {
    agent: ureq::Agent,
    /// `https://HOST/v2/REPOSITORY`.
    base: String,
    /// User and password in base64, as in RFC 7617.
    user: Option<String>,
    /// The `Authorization` header, once the registry has requested one.
    authorization: RefCell<Option<String>>,
}

impl Registry {
    pub(super) fn new(reference: &Reference) -> Result<Self, Failed> {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_global(Some(RESPONSE_TIMEOUT))
            .user_agent(concat!("hookwright/", env!("CARGO_PKG_VERSION")))
            .build();
        let user = user(reference.host())?;
        Ok(Self { agent: agent.into(), base: reference.base(), user, authorization: RefCell::default() })
    }

    /// Uploads bytes unless they exist; returns their digest.
    pub(super) fn put_blob(&self, bytes: &[u8]) -> Result<String, Failed> {
        let digest = digest_of(bytes);
        let there = self.send(&Method::HEAD, &format!("{}/blobs/{digest}", self.base), &[], b"")?;
        if there.status() == StatusCode::OK {
            return Ok(digest);
        }
        let begun = self.send(&Method::POST, &format!("{}/blobs/uploads/", self.base), &[], b"")?;
        let begun = self.expect(begun, StatusCode::ACCEPTED, "an upload")?;
        let place = begun.headers().get(header::LOCATION).and_then(|place| place.to_str().ok()).unwrap_or_default();
        let place = self.absolute(place)?;
        let joint = if place.contains('?') { '&' } else { '?' };
        let headers = [("content-type", "application/octet-stream")];
        let put = self.send(&Method::PUT, &format!("{place}{joint}digest={digest}"), &headers, bytes)?;
        self.expect(put, StatusCode::CREATED, "the end of an upload").map(|_| digest)
    }

    /// Puts a manifest under a tag.
    pub(super) fn put_manifest(&self, tag: &str, media: &str, bytes: &[u8]) -> Result<(), Failed> {
        let url = format!("{}/manifests/{tag}", self.base);
        let put = self.send(&Method::PUT, &url, &[("content-type", media)], bytes)?;
        self.expect(put, StatusCode::CREATED, "a manifest").map(drop)
    }

    /// The manifest under a tag or a digest.
    pub(super) fn manifest(&self, which: &str, media: &str, most: u64) -> Result<Vec<u8>, Failed> {
        let found = self.send(&Method::GET, &format!("{}/manifests/{which}", self.base), &[("accept", media)], b"")?;
        read(self.expect(found, StatusCode::OK, "the manifest")?, most)
    }

    /// The bytes with a digest, which the caller checks.
    pub(super) fn blob(&self, digest: &str, size: u64) -> Result<Vec<u8>, Failed> {
        let found = self.send(&Method::GET, &format!("{}/blobs/{digest}", self.base), &[], b"")?;
        read(self.expect(found, StatusCode::OK, "the component")?, size)
    }

    /// The URL at which an upload continues. It must be on the same host, since credentials are sent with it.
    fn absolute(&self, place: &str) -> Result<String, Failed> {
        let end = self.base.find("/v2/").unwrap_or(self.base.len());
        let origin = self.base.get(..end).unwrap_or_default();
        if place.starts_with('/') {
            return Ok(format!("{origin}{place}"));
        }
        let is_same = place.strip_prefix(origin).is_some_and(|rest| rest.starts_with('/'));
        if is_same {
            return Ok(place.to_owned());
        }
        let message =
            format!("{origin} sends the upload to `{place}`, which is not on the same host: it is not followed");
        Err(problem("oci.refused", message))
    }

    /// Sends a request, and again with credentials if the registry requires them.
    fn send(
        &self,
        method: &Method,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response<Body>, Failed> {
        let answer = self.send_once(method, url, headers, body)?;
        if answer.status() != StatusCode::UNAUTHORIZED || self.authorization.borrow().is_some() {
            return Ok(answer);
        }
        let challenge = answer.headers().get(header::WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
        let Some(authorization) = self.answer_to(challenge.unwrap_or_default())? else { return Ok(answer) };
        self.authorization.replace(Some(authorization));
        self.send_once(method, url, headers, body)
    }

    fn send_once(
        &self,
        method: &Method,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response<Body>, Failed> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(authorization) = &*self.authorization.borrow() {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let unusable = |error: ureq::http::Error| problem("url.invalid", format!("{url}: {error}"));
        let sent = if method == Method::GET || method == Method::HEAD {
            self.agent.run(request.body(()).map_err(unusable)?)
        } else {
            self.agent.run(request.body(body).map_err(unusable)?)
        };
        sent.map_err(|error| problem("oci.unreachable", format!("no answer from {url} ({error})")))
    }

    /// The `Authorization` header for a challenge (RFC 6750, RFC 7617); `None` if there are no credentials.
    fn answer_to(&self, challenge: &str) -> Result<Option<String>, Failed> {
        let (scheme, rest) = challenge.split_once(' ').unwrap_or((challenge, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Ok(self.user.as_ref().map(|user| format!("Basic {user}")));
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Ok(None);
        }
        let part = |name| parameter(rest, name);
        let Some(realm) = part("realm") else { return Ok(None) };
        if self.base.starts_with("https://") && !realm.starts_with("https://") {
            let message =
                format!("the registry requests credentials for `{realm}`, which has no TLS: they are not sent");
            return Err(problem("oci.refused", message));
        }
        let mut url = realm;
        for name in ["service", "scope"] {
            if let Some(value) = part(name) {
                let joint = if url.contains('?') { '&' } else { '?' };
                url = format!("{url}{joint}{name}={}", encoded(&value));
            }
        }
        let mut request = Request::builder().method(Method::GET).uri(&url);
        if let Some(user) = &self.user {
            request = request.header(header::AUTHORIZATION, format!("Basic {user}"));
        }
        let request = request.body(()).map_err(|error| problem("url.invalid", format!("{url}: {error}")))?;
        let answer = self.agent.run(request);
        let answer = answer.map_err(|error| problem("oci.unreachable", format!("no answer from {url} ({error})")))?;
        let answer = self.expect(answer, StatusCode::OK, "a token")?;
        let told: Value = serde_json::from_slice(&read(answer, MAX_ERROR_BYTES)?).unwrap_or_default();
        let token = ["token", "access_token"].into_iter().find_map(|name| told.get(name)?.as_str());
        Ok(token.map(|token| format!("Bearer {token}")))
    }

    /// The response, if it has the expected status.
    fn expect(&self, answer: Response<Body>, status: StatusCode, what: &str) -> Result<Response<Body>, Failed> {
        let is = answer.status();
        if is == status {
            return Ok(answer);
        }
        let said = read(answer, MAX_ERROR_BYTES).unwrap_or_default();
        let said: Value = serde_json::from_slice(&said).unwrap_or_default();
        let first = said.get("errors").and_then(|errors| errors.get(0));
        let text = |name| first.and_then(|error| error.get(name)).and_then(Value::as_str).unwrap_or_default();
        let mut message = format!("{} answered {is} where {what} was asked for", self.base);
        if !text("code").is_empty() {
            message = format!("{message}: {} {}", text("code"), text("message"));
        }
        if is == StatusCode::UNAUTHORIZED || is == StatusCode::FORBIDDEN {
            message.push_str(
                "; log in with `docker login`, or set HOOKWRIGHT_REGISTRY_USER and HOOKWRIGHT_REGISTRY_PASSWORD",
            );
        }
        Err(problem("oci.refused", message))
    }
}

fn read(mut answer: Response<Body>, most: u64) -> Result<Vec<u8>, Failed> {
    // One byte more, to distinguish a too long response from one of exactly the limit.
    let body = answer.body_mut().with_config().limit(most.saturating_add(1)).read_to_vec();
    body.map_err(|error| problem("oci.refused", format!("the registry's answer cannot be read: {error}")))
}

/// User and password for a registry, in base64: from the environment, else as `docker login` keeps them.
fn user(host: &str) -> Result<Option<String>, Failed> {
    let given = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let (Some(user), Some(password)) = (given("HOOKWRIGHT_REGISTRY_USER"), given("HOOKWRIGHT_REGISTRY_PASSWORD")) {
        return Ok(Some(STANDARD.encode(format!("{user}:{password}"))));
    }
    let folder = given("DOCKER_CONFIG").or_else(|| given("HOME").map(|home| format!("{home}/.docker")));
    let Some(folder) = folder else { return Ok(None) };
    let path = std::path::Path::new(&folder).join("config").with_extension("json");
    let Ok(text) = std::fs::read_to_string(&path) else { return Ok(None) };
    let config: Value = serde_json::from_str(&text)
        .map_err(|error| problem("file.unusable", format!("{}: {error}", path.display())))?;
    let auth = config.get("auths").and_then(|auths| auths.get(host)).and_then(|entry| entry.get("auth"));
    Ok(auth.and_then(Value::as_str).filter(|auth| !auth.is_empty()).map(str::to_owned))
}

/// A parameter of a challenge (RFC 9110 section 11.2), in quotes or not.
fn parameter(challenge: &str, name: &str) -> Option<String> {
    let mut rest = challenge;
    while let Some((key, after)) = rest.split_once('=') {
        let key = key.trim().trim_start_matches(',').trim();
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        if key.eq_ignore_ascii_case(name) {
            return Some(value.trim().to_owned());
        }
        rest = next;
    }
    None
}

/// A string as it may stand in a query (RFC 3986 section 2.1).
fn encoded(text: &str) -> String {
    let encode = |byte: u8| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authentication_challenges_are_parsed() {
        let challenge =
            r#"realm="https://auth.example/token?a=b",service=registry.example, scope="repository:a/b:pull,push""#;
        assert_eq!(parameter(challenge, "realm").as_deref(), Some("https://auth.example/token?a=b"));
        assert_eq!(parameter(challenge, "Service").as_deref(), Some("registry.example"));
        assert_eq!(parameter(challenge, "scope").as_deref(), Some("repository:a/b:pull,push"));
        assert_eq!(parameter(challenge, "error"), None);
        assert_eq!(encoded("repository:a/b:pull,push"), "repository%3Aa%2Fb%3Apull%2Cpush");
    }

    #[test]
    fn an_upload_location_must_be_on_the_same_host() {
        let registry = Registry::new(&Reference::parse("oci://a.example:1/b:c").unwrap()).unwrap();
        assert_eq!(registry.absolute("/v2/x?y").unwrap(), "https://a.example:1/v2/x?y");
        assert_eq!(registry.absolute("https://a.example:1/v2/x").unwrap(), "https://a.example:1/v2/x");
        for place in ["https://a.example:12/v2/x", "https://b.example/x", "http://a.example:1/x", ""] {
            assert!(registry.absolute(place).is_err(), "{place}");
        }
    }
}
