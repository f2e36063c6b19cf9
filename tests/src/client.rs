//! A JSON client of the server's API.

use std::time::Duration;

use serde_json::Value;
use ureq::http::{Method, Request};

/// How long an answer may take. On a busy machine the compilation of a plugin takes most of a minute.
const PATIENCE: Duration = Duration::from_secs(180);

/// Speaks to one server with one key.
#[derive(Clone)]
pub struct Client {
    agent: ureq::Agent,
    base: String,
    key: Option<String>,
    space: Option<String>,
}

/// What the server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The request, for messages.
    pub request: String,
    /// The status.
    pub status: u16,
    /// Header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Client {
    /// A client of the server at `base`, such as `http://127.0.0.1:8080`.
    pub fn new(base: &str, key: Option<&str>) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .allow_non_standard_methods(true)
            .max_idle_connections_per_host(64)
            .timeout_global(Some(PATIENCE))
            .build();
        Self { agent: agent.into(), base: base.to_owned(), key: key.map(str::to_owned), space: None }
    }

    /// The same client with another key.
    pub fn with_key(&self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), space: None, ..self.clone() }
    }

    /// The same client without a key.
    pub fn without_key(&self) -> Self {
        Self { key: None, space: None, ..self.clone() }
    }

    /// The same client, which names its space as the first reference system does.
    pub fn in_space(&self, space: &str) -> Self {
        Self { space: Some(space.to_owned()), ..self.clone() }
    }

    /// The server's address, for those who call it otherwise.
    pub fn url(&self, path: &str) -> String {
        if path.starts_with("http://") { path.to_owned() } else { format!("{}{path}", self.base) }
    }

    /// `GET`.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"")
    }

    /// `POST` of JSON.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[("content-type", "application/json")], body.to_string().as_bytes())
    }

    /// `PATCH` of JSON.
    #[track_caller]
    pub fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send("PATCH", path, &[("content-type", "application/json")], body.to_string().as_bytes())
    }

    /// `PUT` of bytes.
    #[track_caller]
    pub fn put(&self, path: &str, body: &[u8]) -> Answer {
        self.send("PUT", path, &[("content-type", "application/wasm")], body)
    }

    /// `PUT` of JSON.
    #[track_caller]
    pub fn put_json(&self, path: &str, body: &Value) -> Answer {
        self.send("PUT", path, &[("content-type", "application/json")], body.to_string().as_bytes())
    }

    /// `DELETE`.
    #[track_caller]
    pub fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], b"")
    }

    /// Any request; panics when no answer comes.
    #[track_caller]
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.try_send(method, path, headers, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// Any request; an error when no answer comes, as from a server that is dying.
    pub fn try_send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer, String> {
        let method: Method = method.parse().map_err(|_| format!("`{method}` is not a valid method"))?;
        let mut request = Request::builder().method(&method).uri(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        if let Some(space) = &self.space {
            request = request.header("x-capacity-id", space);
        }
        let failed = |error: ureq::Error| error.to_string();
        let wrong = |error: ureq::http::Error| error.to_string();
        let is_bare = body.is_empty() && [Method::GET, Method::HEAD, Method::DELETE, Method::OPTIONS].contains(&method);
        let mut answer = if is_bare {
            self.agent.run(request.body(()).map_err(wrong)?).map_err(failed)?
        } else {
            let request = request.body(body).map_err(wrong)?;
            self.agent
                .run(self.agent.configure_request(request).allow_non_standard_methods(true).build())
                .map_err(failed)?
        };
        let headers = answer.headers().iter();
        let headers = headers
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        Ok(Answer {
            request: format!("{method} {path}"),
            status: answer.status().as_u16(),
            headers,
            body: answer.body_mut().with_config().limit(64 * 1024 * 1024).read_to_vec().map_err(failed)?,
        })
    }
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The first header field of a name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{self}: no JSON: {error}"))
    }

    /// The body as JSON; panics unless the status is `status`.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self}");
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    /// The problem that the body tells of; panics unless it is one (RFC 9457), with this status and this code.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self}");
        let problem = self.expect(status);
        assert_eq!(problem["code"], code, "{self}");
        assert_eq!(problem["status"], status, "{self}");
        for text in ["type", "title", "detail"] {
            assert!(problem[text].as_str().is_some_and(|text| !text.is_empty()), "{text} is missing: {self}");
        }
        problem
    }

    /// The paths at which `errors` of a problem found something.
    #[track_caller]
    pub fn paths(&self) -> Vec<String> {
        let problem = self.json();
        let errors = problem["errors"].as_array().unwrap_or_else(|| panic!("no errors: {self}"));
        errors.iter().map(|error| error["path"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body: String = self.text().chars().take(2000).collect();
        write!(f, "{} answered {}: {body}", self.request, self.status)
    }
}
