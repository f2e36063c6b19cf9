//! One delivery, once its signature is known to be right.

use std::borrow::Cow;

use hookwright_sdk::{Refusal, Request, shorten};

use crate::payload::Head;

/// Bytes of an event's or action's name, and of a delivery's id, that GitHub could mean.
const LONGEST_NAME: usize = 100;

/// What an event is made of.
pub(crate) struct Delivery {
    pub(crate) id: String,
    pub(crate) event_type: String,
    pub(crate) subject: Option<String>,
    /// JSON text.
    pub(crate) payload: String,
}

impl Delivery {
    /// Reads a signed request.
    ///
    /// # Errors
    /// The refusal to answer with, where a header is missing or the body is not what GitHub sends.
    pub(crate) fn read(request: &Request) -> Result<Self, Refusal> {
        let event = header(request, "x-github-event")?;
        let id = header(request, "x-github-delivery")?;
        let payload = payload(request)?;
        let head = Head::read(&payload).map_err(|problem| refusal("github.payload_invalid", problem))?;
        let mut event_type = format!("github.{event}");
        if let Some(action) = head.action.filter(|action| is_name(action)) {
            event_type.push('.');
            event_type.push_str(&action);
        }
        let subject = head.repository.or(head.organization);
        Ok(Self { id: id.to_owned(), event_type, subject, payload: payload.into_owned() })
    }
}

/// A header that every delivery has, and whose value becomes part of a name.
fn header<'a>(request: &'a Request, name: &str) -> Result<&'a str, Refusal> {
    let code = if name == "x-github-event" { "github.event_missing" } else { "github.delivery_missing" };
    match request.header(name) {
        Some(value) if is_name(value) => Ok(value),
        Some(value) => {
            Err(refusal(code, format!("the {name} header is `{}`, which GitHub does not send", shorten(value, 60))))
        }
        None => Err(refusal(code, format!("no {name} header: GitHub sends one with every delivery"))),
    }
}

/// Letters, digits, hyphens and underscores.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= LONGEST_NAME
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// The payload's text: the body itself, or the field `payload` of a form.
fn payload(request: &Request) -> Result<Cow<'_, str>, Refusal> {
    let content_type = request.header("content-type").unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match media_type.as_str() {
        "application/json" => std::str::from_utf8(&request.body)
            .map(Cow::Borrowed)
            .map_err(|error| refusal("github.payload_invalid", format!("the body is not UTF-8: {error}"))),
        "application/x-www-form-urlencoded" => form_urlencoded::parse(&request.body)
            .find(|(name, _)| name == "payload")
            .map(|(_, value)| value)
            .ok_or_else(|| refusal("github.payload_invalid", "the form has no field `payload`".into())),
        _ => Err(Refusal {
            status: 415,
            code: "github.content_type".into(),
            message: format!(
                "the content type is `{}`: choose application/json in GitHub's webhook form",
                shorten(content_type, 100)
            ),
        }),
    }
}

fn refusal(code: &str, message: String) -> Refusal {
    Refusal { status: 400, code: code.into(), message }
}
