//! Whether the header has the code that the secret gives for what is signed.

use hookwright_sdk::inbound::{Stop, fresh, signed};
use hookwright_sdk::{Failure, Refusal, Request, shorten};

use crate::{Parameters, SECRET};

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
    let header = request.header(&parameters.header).ok_or_else(|| missing(&name))?;
    let wrong = |said: String| Refusal::new(401, "hmac.signature_wrong", format!("the {name} header {said}"));
    let codes: Vec<Vec<u8>> = parts(header)
        .filter_map(|part| parameters.encoding.decode(part.strip_prefix(parameters.prefix.as_str())?))
        .take(MOST)
        .collect();
    if codes.is_empty() {
        let prefix = shorten(&parameters.prefix, 60);
        let before = if prefix.is_empty() { String::new() } else { format!(" after `{prefix}`") };
        return Err(wrong(format!("has no code{before} in the source's `encoding`")).into());
    }
    let time = match &parameters.timestamp_header {
        None => None,
        Some(name) => {
            let header = request.header(name).ok_or_else(|| missing(name))?;
            let time = parts(header).find_map(|part| part.strip_prefix(parameters.timestamp_prefix.as_str()));
            Some((name, time.unwrap_or_default()))
        }
    };
    let data = message(request, &parameters.signed, time.map(|(_, time)| time))?;
    if !signed(parameters.algorithm.name(), SECRET, &data, &codes)? {
        return Err(
            wrong("is not what the secret gives: is it the provider's, and is `signed` what it signs?".into()).into()
        );
    }
    if let Some((name, time)) = time {
        fresh(time, parameters.tolerance_seconds)
            .map_err(|said| Refusal::new(401, "hmac.signature_old", format!("the {name} header {said}")))?;
    }
    Ok(())
}

/// A header with several codes, or a time and a code, has commas, semicolons or spaces between them.
fn parts(header: &str) -> impl Iterator<Item = &str> {
    header.split([',', ';', ' ']).filter(|part| !part.is_empty())
}

/// What is signed: the template with the request's parts in it.
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
                    .ok_or_else(|| invalid(format!("has `{{{}}}`, which stands for nothing", shorten(other, 60))))?;
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
