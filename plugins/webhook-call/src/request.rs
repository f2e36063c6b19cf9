//! From the parameters to the request.

use std::collections::BTreeMap;

use hookwright_sdk::{Failure, Pairs, Several, Text, first, http, outbound};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The parameters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    url: String,
    #[serde(default = "post")]
    method: String,
    #[serde(default)]
    headers: BTreeMap<String, Several<Text>>,
    /// Kept as the text that it is, so that no number loses a digit.
    #[serde(default)]
    body: Option<Box<RawValue>>,
    #[serde(default)]
    timeout_ms: Option<u32>,
    #[serde(default)]
    expect: Option<Vec<u16>>,
}

fn post() -> String {
    "POST".into()
}

impl Parameters {
    /// The request to send.
    ///
    /// # Errors
    /// The name of the parameter that is not valid.
    pub(crate) fn request(&self) -> Result<http::Request, Failure> {
        let invalid = |message: String| Failure::permanent("parameters.invalid", message);
        let is_one_word = !self.url.chars().any(|c| c.is_whitespace() || c.is_control());
        if !(self.url.starts_with("https://") || self.url.starts_with("http://")) || !is_one_word {
            return Err(invalid(format!(
                "parameter `url` is `{}`: give a complete URL that begins with https:// and has no spaces",
                hookwright_sdk::shorten(&self.url, 200)
            )));
        }
        let method = self.method.to_ascii_uppercase();
        if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return Err(invalid(format!(
                "parameter `method` is `{}`: give one such as POST, PUT, PATCH, GET or DELETE",
                hookwright_sdk::shorten(&self.method, 60)
            )));
        }
        if self.timeout_ms == Some(0) {
            return Err(invalid("parameter `timeout_ms` is 0: give the milliseconds to wait, at least 1".into()));
        }
        let mut headers = Pairs::new();
        for (name, values) in &self.headers {
            for value in values.all() {
                headers.push(outbound::header(name, value.to_string())?);
            }
        }
        let (body, content_type) = self.body()?;
        if let Some(content_type) = content_type.filter(|_| first(&headers, "content-type").is_none()) {
            headers.push(("content-type".into(), content_type.into()));
        }
        Ok(http::Request { method, url: self.url.clone(), headers, body, timeout_ms: self.timeout_ms })
    }

    /// A string is sent as it is, anything else as JSON. The content type is the one for a request that names none.
    fn body(&self) -> Result<(Vec<u8>, Option<&'static str>), Failure> {
        let Some(body) = &self.body else { return Ok((Vec::new(), None)) };
        if !body.get().starts_with('"') {
            return Ok((body.get().as_bytes().to_vec(), Some("application/json")));
        }
        let text: String = serde_json::from_str(body.get()).map_err(|error| {
            Failure::permanent(
                "parameters.invalid",
                format!("parameter `body` is not a string that can be sent: {error}"),
            )
        })?;
        Ok((text.into_bytes(), Some("text/plain; charset=utf-8")))
    }

    /// Whether a status counts as success: by default, any 2xx.
    pub(crate) fn expects(&self, status: u16) -> bool {
        outbound::is_expected(status, self.expect.as_deref())
    }
}
