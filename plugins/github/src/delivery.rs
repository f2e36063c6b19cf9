//! One delivery, once its signature is known to be right.

use std::borrow::Cow;

use hookwright_sdk::{Refusal, Request, inbound, shorten};

use crate::payload::Head;

/// The parts of an event.
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
        if let Some(action) = head.action.filter(|action| inbound::is_name(action)) {
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
        Some(value) if inbound::is_name(value) => Ok(value),
        Some(value) => {
            Err(refusal(code, format!("the {name} header is `{}`, which GitHub does not send", shorten(value, 60))))
        }
        None => Err(refusal(code, format!("no {name} header: GitHub sends one with every delivery"))),
    }
}

/// The payload's text: the body itself, or the field `payload` of a form.
fn payload(request: &Request) -> Result<Cow<'_, str>, Refusal> {
    let content_type = request.header("content-type").unwrap_or_default();
    match inbound::media_type(request).as_str() {
        "application/json" => std::str::from_utf8(&request.body)
            .map(Cow::Borrowed)
            .map_err(|error| refusal("github.payload_invalid", format!("the body is not UTF-8: {error}"))),
        "application/x-www-form-urlencoded" => {
            inbound::form_fields(&request.body, inbound::charset(content_type).as_deref())
                .map_err(|said| refusal("github.payload_invalid", format!("the form cannot be read: {said}")))?
                .into_iter()
                .find(|(name, _)| name == "payload")
                .map(|(_, value)| value.into())
                .ok_or_else(|| refusal("github.payload_invalid", "the form has no field `payload`".into()))
        }
        _ => {
            let shown = shorten(content_type, 100);
            let message = format!("the content type is `{shown}`: choose application/json in GitHub's webhook form");
            Err(Refusal::new(415, "github.content_type", message))
        }
    }
}

fn refusal(code: &str, message: String) -> Refusal {
    Refusal::new(400, code, message)
}
