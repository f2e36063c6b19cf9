//! From the answer to the step's result, or to a failure that says whether trying again can help.

use std::collections::BTreeMap;

use hookwright_sdk::http::Response;
use hookwright_sdk::{Failure, encoding, shorten};
use serde::Serialize;
use serde_json::value::RawValue;

/// Bytes of an answer's body that a failure's message shows.
const EXCERPT: usize = 500;

/// What later steps can use.
#[derive(Serialize)]
pub(crate) struct CallResult<'a> {
    status: u16,
    /// Names in lower case; several values of one name are joined as RFC 9110 (section 5.3) allows.
    headers: BTreeMap<String, String>,
    body: Body<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Body<'a> {
    /// A JSON body stands in the result as it is.
    Json(&'a RawValue),
    /// Any other text as a JSON string; what is no text, in base64.
    Text(String),
    /// There was none.
    Nothing(()),
}

/// The result of a call that went as hoped.
pub(crate) fn result(response: &Response) -> CallResult<'_> {
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in &response.headers {
        headers
            .entry(name.to_ascii_lowercase())
            .and_modify(|all| {
                all.push_str(", ");
                all.push_str(value);
            })
            .or_insert_with(|| value.clone());
    }
    CallResult { status: response.status, headers, body: body(&response.body) }
}

fn body(bytes: &[u8]) -> Body<'_> {
    if bytes.is_empty() {
        return Body::Nothing(());
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return Body::Text(encoding::base64_encode(bytes)) };
    match serde_json::from_str(text) {
        Ok(json) => Body::Json(json),
        Err(_) => Body::Text(text.to_owned()),
    }
}

/// The failure of a call whose answer was not as hoped.
///
/// A server's own trouble (5xx), 408 and 429 pass, so they are worth another try, after the time that the server asks
/// for. Anything else would be answered the same way again.
pub(crate) fn failure(method: &str, url: &str, response: &Response) -> Failure {
    let status = response.status;
    let url = shorten(url, 200);
    let mut message = format!("{method} {url} was answered {status}");
    if let Some(location) = response.header("location").filter(|_| (300..400).contains(&status)) {
        message = format!(
            "{message}, which leads to {}: redirects are not followed, call that address",
            shorten(location, 200)
        );
    }
    let text = String::from_utf8_lossy(&response.body);
    if !text.trim().is_empty() {
        message = format!("{message}: {}", shorten(text.trim(), EXCERPT));
    }
    let failure = Failure::permanent(format!("http.status_{status}"), message);
    if status >= 500 || matches!(status, 408 | 429) { failure.retry_after(retry_after_ms(response)) } else { failure }
}

/// Milliseconds to wait (RFC 9110, section 10.2.3, the form in seconds); 0 leaves it to the step's policy.
fn retry_after_ms(response: &Response) -> u32 {
    let seconds = response.header("retry-after").and_then(|text| text.trim().parse::<u32>().ok());
    seconds.unwrap_or(0).saturating_mul(1000)
}
