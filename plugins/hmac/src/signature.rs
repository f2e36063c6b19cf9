//! Whether the header has the code that the secret gives for what is signed.

use hookwright_sdk::inbound::{Stop, codes, fresh, signed};
use hookwright_sdk::{Failure, Refusal, Request, shorten};

use crate::parameters::{Parameters, SECRET};

/// Codes in one header that are looked at.
const MOST: usize = 10;

/// Checks the signature, and its age where a time comes with it.
///
/// # Errors
/// The refusal, with status 401; the failure where a parameter makes no sense or the host has no secret.
pub(crate) fn check(request: &Request, parameters: &Parameters) -> Result<(), Stop> {
    let name = shorten(&parameters.header, 100);
    let missing = |name: &str| {
        let said = format!("no {name} header: the provider must send one, or the source names the wrong header");
        Refusal::new(401, "hmac.signature_missing", said)
    };
    let header = request.header_list(&parameters.header).ok_or_else(|| missing(&name))?;
    let wrong = |said: String| Refusal::new(401, "hmac.signature_wrong", format!("the {name} header {said}"));
    let found: Vec<Vec<u8>> = codes(&header, parameters.prefix.trim_start())
        .filter_map(|code| parameters.encoding.decode(code))
        .take(MOST)
        .collect();
    if found.is_empty() {
        let prefix = shorten(&parameters.prefix, 60);
        let before = if prefix.is_empty() { String::new() } else { format!(" after `{prefix}`") };
        return Err(wrong(format!("has no code{before} in the source's `encoding`")).into());
    }
    let time = match &parameters.timestamp_header {
        None => None,
        Some(name) => {
            let header = request.header_list(name).ok_or_else(|| missing(name))?;
            let time = codes(&header, parameters.timestamp_prefix.trim_start()).next().unwrap_or_default().to_owned();
            Some((name, time))
        }
    };
    let data = message(request, &parameters.signed, time.as_ref().map(|(_, time)| time.as_str()))?;
    if !signed(parameters.algorithm.name(), SECRET, &data, &found)? {
        return Err(
            wrong("is not what the secret gives: is it the provider's, and is `signed` what it signs?".into()).into()
        );
    }
    if let Some((name, time)) = time {
        fresh(&time, parameters.timestamp_format, parameters.tolerance_seconds)
            .map_err(|not_fresh| not_fresh.refusal("hmac", &format!("the {name} header")))?;
    }
    Ok(())
}

/// The signed text: the template with the parts of the request filled in.
fn message(request: &Request, template: &str, time: Option<&str>) -> Result<Vec<u8>, Stop> {
    let invalid = |said: String| {
        Failure::permanent(
            "parameters.invalid",
            format!(
                "parameter `signed` {said}: use {{body}}, {{timestamp}}, {{method}}, {{path}}, {{query}} and {{header:NAME}}"
            ),
        )
    };
    let mut data = Vec::with_capacity(template.len() + request.body.len());
    let mut has_body = false;
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or_else(|| invalid("has a brace that is not closed".into()))?;
        data.extend_from_slice(before.as_bytes());
        match name {
            "body" => {
                has_body = true;
                data.extend_from_slice(&request.body);
            }
            "timestamp" => data.extend_from_slice(
                time.ok_or_else(|| invalid("has {timestamp}, but there is no `timestamp_header`".into()))?.as_bytes(),
            ),
            "method" => data.extend_from_slice(request.method.as_bytes()),
            "path" => data.extend_from_slice(request.path.as_bytes()),
            "query" => data.extend_from_slice(request.query.as_bytes()),
            other => {
                let name = other
                    .strip_prefix("header:")
                    .ok_or_else(|| invalid(format!("has `{{{}}}`, which is not a placeholder", shorten(other, 60))))?;
                let value = request.header(name).ok_or_else(|| {
                    let said = format!("no {} header, which is part of what is signed", shorten(name, 60));
                    Refusal::new(401, "hmac.signature_missing", said)
                })?;
                data.extend_from_slice(value.as_bytes());
            }
        }
        rest = after;
    }
    if !has_body {
        return Err(invalid("leaves the body out, so that anybody could change it".into()).into());
    }
    data.extend_from_slice(rest.as_bytes());
    Ok(data)
}
