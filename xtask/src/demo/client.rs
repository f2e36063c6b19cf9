//! Requests to the server, as any program would send them.

use std::time::Duration;

use serde_json::Value;
use ureq::http::Request;

use crate::stop::Stop;

/// How long an answer may take. A plugin of a megabyte is compiled before it is answered.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Sends requests.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    agent: ureq::Agent,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// The body as JSON; null if it is none.
    pub(crate) body: Value,
}

impl Client {
    /// A client that keeps connections open between requests, and asks no proxy.
    pub(crate) fn new() -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(REQUEST_TIMEOUT))
            .proxy(None)
            .build();
        Self { agent: config.into() }
    }

    /// Sends a request. Any answer is an answer, whatever its status.
    pub(crate) fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, Stop> {
        let failed = |error: &dyn std::fmt::Display| Stop::new(format!("{method} {url}: {error}"));
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body).map_err(|error| failed(&error))?;
        let mut response = self.agent.run(request).map_err(|error| failed(&error))?;
        let bytes = response.body_mut().read_to_vec().map_err(|error| failed(&error))?;
        Ok(Answer { status: response.status().as_u16(), body: serde_json::from_slice(&bytes).unwrap_or_default() })
    }
}

impl Answer {
    /// A string in the body, at a JSON pointer; empty if there is none.
    pub(crate) fn text(&self, pointer: &str) -> &str {
        self.body.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// The list in the body at a JSON pointer; empty if there is none.
    pub(crate) fn list(&self, pointer: &str) -> &[Value] {
        self.body.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }
}
