//! The header fields of a request to a webhook, and what the log shows of them. A later source of a field overrides an
//! earlier one: the server's defaults, the message, the webhook's own `headers`, the signing policy.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookwright_foundation::error::PipelineError;
use hookwright_invoke::egress::{header_list, unsendable};
use hookwright_model::{AttemptOutcome, Failure, Header, MAX_HEADER_VALUE, Redactor, abridged};
use http::{HeaderMap, HeaderName, HeaderValue};

/// The code of a request whose header fields are too large. It is not retried.
pub(crate) const TOO_LARGE: &str = "header.too_large";

/// The most bytes of the names and values of all fields, without those of the signature.
const MAX_FIELD_BYTES: usize = 64 * 1024;

/// The end of a value that the log truncates.
const TRUNCATION_MARK: &str = "… (truncated)";

/// How much of each body, and of all header fields of a request or an answer, the log of attempts stores, in bytes.
pub(crate) const MAX_LOGGED_BYTES: usize = 64 * 1024;

/// What the log shows in place of a header field that grants access.
pub(crate) const HIDDEN: &str = "***";

/// The header field in which a receiver of REST Hooks gets its secret, and must repeat it.
pub(crate) const HOOK_SECRET: &str = "x-hook-secret";

/// Sets a field and removes others of the same name.
pub(crate) fn set(fields: &mut Vec<Header>, name: &str, value: String) {
    fields.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
    fields.push((name.to_owned(), value));
}

/// Sets a field unless one of this name exists.
pub(crate) fn set_default(fields: &mut Vec<Header>, name: &str, value: &str) {
    if !fields.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
        fields.push((name.to_owned(), value.to_owned()));
    }
}

/// Removes the media type of the body from the fields, if the webhook or the transform set one there, and returns it.
/// The last one counts.
pub(crate) fn take_content_type(fields: &mut Vec<Header>) -> Option<String> {
    let is_type = |field: &Header| field.0.eq_ignore_ascii_case("content-type");
    let set = fields.iter().rfind(|field| is_type(field)).map(|(_, value)| value.clone());
    fields.retain(|field| !is_type(field));
    set
}

/// Fails if a value is larger than the limit for a webhook's own field.
pub(crate) fn check_value(name: &str, value: &str) -> Result<(), Failure> {
    if value.len() <= MAX_HEADER_VALUE {
        return Ok(());
    }
    let (name, size) = (abridged(name), value.len());
    let message = format!("the header field `{name}` has {size} bytes, more than {MAX_HEADER_VALUE}");
    Err(Failure::permanent(TOO_LARGE, message))
}

/// Fails if a field, or all of them together, are too large.
pub(crate) fn check_size(fields: &[Header]) -> Result<(), Failure> {
    let size = |(name, value): &Header| name.len().saturating_add(value.len());
    for (name, value) in fields {
        check_value(name, value)?;
    }
    let all = fields.iter().map(size).fold(0, usize::saturating_add);
    let Some(largest) = fields.iter().max_by_key(|field| size(field)).filter(|_| all > MAX_FIELD_BYTES) else {
        return Ok(());
    };
    let (name, most) = (abridged(&largest.0), size(largest));
    let message = format!(
        "the header fields have {all} bytes together, more than {MAX_FIELD_BYTES}; the largest is `{name}` with {most}"
    );
    Err(Failure::permanent(TOO_LARGE, message))
}

/// Whether a request could not be made because its header fields are too large.
pub(crate) fn too_large(outcome: &AttemptOutcome) -> bool {
    matches!(outcome, AttemptOutcome::Failed { code, .. } if code == TOO_LARGE)
}

/// As much of the fields as the log stores: the first field beyond the limit is truncated, and those after it are left
/// out.
pub(crate) fn bounded(mut fields: Vec<Header>) -> Vec<Header> {
    let mut left = MAX_LOGGED_BYTES;
    let mut kept = 0_usize;
    for (name, value) in &mut fields {
        kept = kept.saturating_add(1);
        let size = name.len().saturating_add(value.len());
        if size > left {
            name.truncate(name.floor_char_boundary(left));
            value.truncate(value.floor_char_boundary(left.saturating_sub(name.len())));
            value.push_str(TRUNCATION_MARK);
            break;
        }
        left = left.saturating_sub(size);
    }
    fields.truncate(kept);
    fields
}

/// As much of a body as the log stores.
pub(crate) fn cut(body: &[u8]) -> String {
    let kept = body.get(..body.len().min(MAX_LOGGED_BYTES)).unwrap_or_default();
    String::from_utf8_lossy(kept).into_owned()
}

/// The fields as the log shows them, without secrets and credentials.
pub(crate) fn logged(fields: &[Header], own: &[OwnHeader]) -> Vec<Header> {
    let secret = |name: &str| own.iter().find(|header| header.name == name && header.logged != header.value);
    let shown = |(name, value): &Header| {
        let shown = match secret(name) {
            Some(header) => header.logged.clone(),
            None if name == "authorization" => HIDDEN.to_owned(),
            None => value.clone(),
        };
        (name.clone(), shown)
    };
    fields.iter().map(shown).collect()
}

/// The fields in the form that the HTTP client needs.
pub(crate) fn header_map(fields: &[Header]) -> Result<HeaderMap, PipelineError> {
    let mut headers = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields {
        let wrong = |why: String| {
            let message = format!("the header field `{name}` cannot be sent: {why}");
            PipelineError::from(Failure::permanent("header.invalid", message))
        };
        let key = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| wrong("its name contains a character that is not allowed".to_owned()))?;
        headers.append(key, HeaderValue::from_str(value).map_err(|_| wrong(unsendable(value)))?);
    }
    Ok(headers)
}

/// The header fields of an answer. Secrets that a receiver repeats are redacted.
pub(crate) fn logged_answer(headers: &HeaderMap, redactor: &Redactor) -> Vec<Header> {
    let mut list = header_list(headers);
    for (name, value) in &mut list {
        *value = if name == HOOK_SECRET { HIDDEN.to_owned() } else { redactor.text(value) };
    }
    list
}

/// One of the webhook's own header fields, with what the log shows of it.
pub(crate) struct OwnHeader {
    pub(crate) name: String,
    pub(crate) value: String,
    /// The value in the log: the same, or the field as configured if it contains a secret.
    pub(crate) logged: String,
    /// The secrets in it, which no log shows.
    pub(crate) secrets: Vec<String>,
}

impl OwnHeader {
    pub(crate) fn plain(name: String, value: String) -> Self {
        // `Authorization` grants access, so its value is a secret even if it is not configured as one.
        let secrets = if name == "authorization" { credentials(&value) } else { Vec::new() };
        Self { name, logged: value.clone(), value, secrets }
    }
}

/// The secret parts of the value of `Authorization` (RFC 9110, section 11.4): what follows the scheme, and in Basic
/// also the password.
pub(crate) fn credentials(value: &str) -> Vec<String> {
    let (scheme, credentials) = value.split_once(' ').unwrap_or(("", value));
    let mut secrets = vec![credentials.trim().to_owned()];
    if scheme.eq_ignore_ascii_case("basic")
        && let Ok(decoded) = STANDARD.decode(credentials.trim())
        && let Ok(text) = String::from_utf8(decoded)
    {
        secrets.extend(text.split_once(':').map(|(_, password)| password.to_owned()));
        secrets.push(text);
    }
    secrets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Vec<Header> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_later_source_of_a_field_overrides_an_earlier_one() {
        let mut list = fields(&[("X-A", "1"), ("x-a", "2"), ("x-b", "3")]);
        set(&mut list, "x-A", "4".to_owned());
        set_default(&mut list, "X-B", "5");
        set_default(&mut list, "x-c", "6");
        assert_eq!(list, fields(&[("x-b", "3"), ("x-A", "4"), ("x-c", "6")]));
    }

    #[test]
    fn a_field_and_all_fields_together_have_a_limit() {
        let of = |count: usize, size: usize| -> Vec<Header> {
            (0..count).map(|place| (format!("x-{place}"), "a".repeat(size))).collect()
        };
        assert!(check_size(&of(1, MAX_HEADER_VALUE)).is_ok());
        let failure = check_size(&of(1, MAX_HEADER_VALUE + 1)).unwrap_err();
        assert_eq!(failure.code, TOO_LARGE);
        assert_eq!(failure.message, "the header field `x-0` has 8193 bytes, more than 8192");
        assert!(check_size(&of(8, MAX_FIELD_BYTES / 8 - 3)).is_ok());
        let failure = check_size(&of(8, MAX_FIELD_BYTES / 8 - 2)).unwrap_err();
        assert_eq!(
            failure.message,
            "the header fields have 65544 bytes together, more than 65536; the largest is `x-7` with 8193"
        );
    }

    #[test]
    fn the_log_truncates_fields_at_its_limit() {
        let short = fields(&[("x-a", "1"), ("x-b", "2")]);
        assert_eq!(bounded(short.clone()), short);
        let long = "é".repeat(MAX_LOGGED_BYTES);
        let kept = bounded(fields(&[("x-a", "1"), ("x-b", &long), ("x-c", "2")]));
        assert_eq!(kept.len(), 2);
        assert!(kept[1].1.ends_with("é… (truncated)"), "cut between two characters");
        let size: usize = kept.iter().map(|(name, value)| name.len() + value.len()).sum();
        assert!((MAX_LOGGED_BYTES..MAX_LOGGED_BYTES + 2 * TRUNCATION_MARK.len()).contains(&size), "{size}");
    }

    #[test]
    fn a_request_has_one_content_type() {
        let mut list = fields(&[("Content-Type", "text/csv"), ("x-a", "1"), ("content-type", "text/plain")]);
        assert_eq!(take_content_type(&mut list).as_deref(), Some("text/plain"));
        assert_eq!(list, fields(&[("x-a", "1")]));
        assert_eq!(take_content_type(&mut list), None);
    }
}
