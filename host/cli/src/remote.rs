//! A server that commands talk to over its API.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use ureq::http::{Method, Request, StatusCode};

use crate::failed::{Failed, Problem, problem};

/// The default URL of the server.
const DEFAULT_SERVER: &str = "http://127.0.0.1:8080";
/// The first key of a server that was started in this folder.
const KEY_FILE: &str = "data/admin.key";
/// The timeout of a response. Compiling a large component takes a server a minute.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(180);
/// The maximum size of a response, in bytes. The largest ones are components.
const MAX_RESPONSE_BYTES: u64 = 256 * 1024 * 1024;

/// The server and the API key.
#[derive(Args, Clone, Debug)]
pub(crate) struct Connection {
    /// The server [default: http://127.0.0.1:8080]
    #[arg(long, env = "HOOKWRIGHT_URL", value_name = "URL", help_heading = "Server")]
    server: Option<String>,
    /// The API key; prefer the variable, since other users can see arguments. Without it, HOOKWRIGHT_ADMIN_KEY is used, then
    /// the file data/admin.key
    #[arg(long, env = "HOOKWRIGHT_KEY", value_name = "KEY", hide_env_values = true, help_heading = "Server")]
    key: Option<String>,
}

/// What is sent.
pub(crate) enum Content<'c> {
    /// No body.
    Nothing,
    /// JSON.
    Json(&'c Value),
    /// A component, with its signatures.
    Component(&'c [u8], &'c [String]),
}

/// A server and a key for it.
pub(crate) struct Remote {
    agent: ureq::Agent,
    base: String,
    key: Option<String>,
}

impl Connection {
    /// Prepares the connection. Nothing is sent yet.
    pub(crate) fn open(&self) -> Result<Remote, Failed> {
        let base = self.server.as_deref().unwrap_or(DEFAULT_SERVER).trim_end_matches('/').to_owned();
        if !base.starts_with("http://") && !base.starts_with("https://") {
            return Err(problem(
                "url.invalid",
                format!("`{base}` is not a server's URL: write http://HOST:PORT or https://HOST"),
            ));
        }
        let given = |key: String| Some(key.trim().to_owned()).filter(|key| !key.is_empty());
        let key = self
            .key
            .clone()
            .and_then(given)
            .or_else(|| std::env::var("HOOKWRIGHT_ADMIN_KEY").ok().and_then(given))
            .or_else(|| std::fs::read_to_string(Path::new(KEY_FILE)).ok().and_then(given));
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .allow_non_standard_methods(true)
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_global(Some(RESPONSE_TIMEOUT))
            .user_agent(concat!("hookwright/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Remote { agent: agent.into(), base, key })
    }
}

impl Remote {
    /// The server's address, for messages.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Reads JSON.
    pub(crate) fn get(&self, path: &str) -> Result<Value, Failed> {
        self.ask(&Method::GET, path, &Content::Nothing)
    }

    /// Sends a request and returns the JSON of the response, or null if it is empty.
    pub(crate) fn ask(&self, method: &Method, path: &str, content: &Content<'_>) -> Result<Value, Failed> {
        let body = self.bytes(method, path, content)?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).map_err(|error| {
            let message = format!("{}{path} did not answer with JSON ({error}): is it a Hookwright server?", self.base);
            problem("server.answer_invalid", message)
        })
    }

    /// Sends a request and returns the response's bytes.
    pub(crate) fn bytes(&self, method: &Method, path: &str, content: &Content<'_>) -> Result<Vec<u8>, Failed> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let unusable = |error: ureq::http::Error| problem("url.invalid", format!("{}: {error}", self.base));
        let json;
        let (media, signatures, body) = match content {
            Content::Nothing => ("application/json", &[][..], None),
            Content::Json(value) => {
                json = value.to_string();
                ("application/json", &[][..], Some(json.as_bytes()))
            }
            Content::Component(bytes, signatures) => ("application/wasm", *signatures, Some(*bytes)),
        };
        for signature in signatures {
            request = request.header("x-hookwright-signature", signature);
        }
        let is_bare = body.is_none() && (method == Method::GET || method == Method::DELETE);
        let sent = if is_bare {
            self.agent.run(request.body(()).map_err(unusable)?)
        } else {
            let body = body.unwrap_or_default();
            self.agent.run(request.header("content-type", media).body(body).map_err(unusable)?)
        };
        let mut answer = sent.map_err(|error| self.unreachable(&error))?;
        let status = answer.status();
        let body = answer.body_mut().with_config().limit(MAX_RESPONSE_BYTES).read_to_vec();
        let body = body.map_err(|error| self.unreachable(&error))?;
        if status.is_success() { Ok(body) } else { Err(self.refused(status, &body).into()) }
    }

    fn unreachable(&self, error: &ureq::Error) -> Failed {
        let message = format!(
            "no answer from {} ({error}): start a server with `hookwright serve`, or name one with --server or \
             HOOKWRIGHT_URL",
            self.base
        );
        problem("server.unreachable", message)
    }

    /// The problem (RFC 9457) in the server's response.
    fn refused(&self, status: StatusCode, body: &[u8]) -> Problem {
        let told: Value = serde_json::from_slice(body).unwrap_or_default();
        let field = |name: &str| told.get(name).and_then(Value::as_str).map(str::to_owned);
        let mut message = field("detail").unwrap_or_else(|| format!("{} answered {status}", self.base));
        if status == StatusCode::UNAUTHORIZED {
            message.push_str("; give a key in HOOKWRIGHT_KEY or HOOKWRIGHT_ADMIN_KEY, or run where data/admin.key is");
        }
        let errors = told.get("errors").and_then(Value::as_array).cloned().unwrap_or_default();
        Problem { code: field("code").unwrap_or_else(|| "server.answer_invalid".to_owned()), message, errors }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(server: &str) -> Result<Remote, Failed> {
        Connection { server: Some(server.to_owned()), key: Some("k".to_owned()) }.open()
    }

    #[test]
    fn only_http_and_https_urls_name_a_server() {
        assert_eq!(remote("https://a.example/").unwrap().base(), "https://a.example");
        assert!(remote("a.example:80").err().unwrap().to_string().contains("`a.example:80` is not a server's URL"));
    }

    #[test]
    fn an_error_response_is_shown_with_its_code_and_the_remedy() {
        let remote = remote("http://a.example").unwrap();
        let body = br#"{"code":"auth.invalid","detail":"no such key"}"#;
        let told = remote.refused(StatusCode::UNAUTHORIZED, body).to_string();
        assert!(told.starts_with("auth.invalid: no such key; give a key in HOOKWRIGHT_KEY"), "{told}");
        let told = remote.refused(StatusCode::BAD_GATEWAY, b"<html>").to_string();
        assert_eq!(told, "server.answer_invalid: http://a.example answered 502 Bad Gateway");
    }

    #[test]
    fn an_unreachable_server_is_reported_with_the_remedy() {
        // Port 9 of this machine takes nothing.
        let error = remote("http://127.0.0.1:9").unwrap().get("/v1/plugins").unwrap_err().to_string();
        assert!(error.contains("http://127.0.0.1:9") && error.contains("hookwright serve"), "{error}");
    }
}
