//! From the parameters to the request.

use std::collections::BTreeMap;

use hookwright_sdk::outbound::{Part, encode, header};
use hookwright_sdk::{Failure, Pairs, Several, Text, first, http, present, shorten};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Maximum number of bytes of the response body in the result, by default.
const KEPT: usize = 131_072;

/// The parameters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    pub(crate) url: String,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    query: BTreeMap<String, Several<Part>>,
    #[serde(default)]
    headers: BTreeMap<String, Several<Part>>,
    /// Kept as the text that it is, so that no number loses a digit.
    #[serde(default, deserialize_with = "present")]
    json: Option<Box<RawValue>>,
    #[serde(default)]
    text: Option<Text>,
    #[serde(default)]
    form: Option<BTreeMap<String, Several<Part>>>,
    #[serde(default)]
    timeout_ms: Option<u32>,
    #[serde(default)]
    pub(crate) expect: Option<Vec<u16>>,
    #[serde(default = "kept")]
    pub(crate) max_result_bytes: usize,
}

fn kept() -> usize {
    KEPT
}

fn invalid(message: String) -> Failure {
    Failure::permanent("parameters.invalid", message)
}

impl Parameters {
    /// The request to send, with placeholders where secrets belong.
    ///
    /// # Errors
    /// The name of the parameter that is not valid; a secret that does not exist or was not granted.
    pub(crate) fn request(&self) -> Result<http::Request, Failure> {
        if self.timeout_ms == Some(0) {
            return Err(invalid("parameter `timeout_ms` is 0: give the milliseconds to wait, at least 1".into()));
        }
        let url = self.address()?;
        let mut headers = Pairs::new();
        for (name, parts) in &self.headers {
            for part in parts.all() {
                headers.push(header(name, part.value()?)?);
            }
        }
        let body = self.body()?;
        let method = self.method(body.is_some())?;
        let (body, content_type) = body.unwrap_or_default();
        if !content_type.is_empty() && first(&headers, "content-type").is_none() {
            headers.push(("content-type".into(), content_type.into()));
        }
        Ok(http::Request { method, url, headers, body, timeout_ms: self.timeout_ms })
    }

    fn method(&self, has_body: bool) -> Result<String, Failure> {
        let Some(given) = &self.method else { return Ok(if has_body { "POST" } else { "GET" }.into()) };
        let method = given.to_ascii_uppercase();
        if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            let shown = shorten(given, 60);
            return Err(invalid(format!("parameter `method` is `{shown}`: give one such as GET, POST, PUT or DELETE")));
        }
        if has_body && matches!(method.as_str(), "GET" | "HEAD") {
            return Err(invalid(format!(
                "parameter `method` is {method}, which has no body: use another, or `query` in place of the body"
            )));
        }
        Ok(method)
    }

    /// The URL with `query` added to what it has. A fragment is never sent (RFC 9110, section 4.2.5).
    fn address(&self) -> Result<String, Failure> {
        let url = self.url.split('#').next().unwrap_or_default();
        if !(url.starts_with("https://") || url.starts_with("http://")) || !is_one_word(url) {
            let shown = shorten(&self.url, 200);
            return Err(invalid(format!(
                "parameter `url` is `{shown}`: give a complete URL that begins with https:// and has no spaces"
            )));
        }
        let query = pairs(&self.query)?;
        if query.is_empty() {
            return Ok(url.to_owned());
        }
        let joint = match url.split_once('?') {
            None => "?",
            Some((_, "")) => "",
            Some((_, before)) if before.ends_with('&') => "",
            Some(_) => "&",
        };
        Ok(format!("{url}{joint}{query}"))
    }

    /// The body and the content type of a request that names none; nothing where there is no body.
    fn body(&self) -> Result<Option<(Vec<u8>, &'static str)>, Failure> {
        match (&self.json, &self.text, &self.form) {
            (None, None, None) => Ok(None),
            (Some(json), None, None) => Ok(Some((json.get().as_bytes().to_vec(), "application/json"))),
            (None, Some(text), None) => Ok(Some((text.as_str().as_bytes().to_vec(), "text/plain; charset=utf-8"))),
            (None, None, Some(form)) => Ok(Some((pairs(form)?.into_bytes(), "application/x-www-form-urlencoded"))),
            _ => Err(invalid("a request has one body: give only one of `json`, `text` and `form`".into())),
        }
    }
}

/// Whether nothing in it ends an address.
fn is_one_word(url: &str) -> bool {
    !url.chars().any(|c| c.is_whitespace() || c.is_control())
}

/// Names and values as a query or a form has them.
fn pairs(values: &BTreeMap<String, Several<Part>>) -> Result<String, Failure> {
    let mut text = String::new();
    for (name, parts) in values {
        for part in parts.all() {
            if !text.is_empty() {
                text.push('&');
            }
            text.push_str(&encode(name));
            text.push('=');
            text.push_str(&part.encoded()?);
        }
    }
    Ok(text)
}
