//! The input and the result of a source.

pub use crate::bindings::source::exports::hookwright::plugin::source::{
    Answer, Draft, Intake, Reception, Refusal, Request,
};

use std::borrow::Cow;

use serde_json::Value;

use crate::{Pairs, first, shorten, time};

/// The attribute of an event whose time could not be read.
const TIME_UNREAD: &str = "time-unread";

impl Request {
    /// The first header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        first(&self.headers, name)
    }

    /// All lines of this header as one list, with commas between, since that is what they mean (RFC 9110, section 5.3). For
    /// headers that may come in several lines: signatures above all.
    #[must_use]
    pub fn header_list(&self, name: &str) -> Option<Cow<'_, str>> {
        let mut lines = self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        let first = lines.next()?;
        let mut list = Cow::Borrowed(first.as_str());
        for line in lines {
            list.to_mut().push_str(", ");
            list.to_mut().push_str(line);
        }
        Some(list)
    }
}

impl Refusal {
    /// A refusal with a status of 400 to 499, a stable code, and what was wrong.
    #[must_use]
    pub fn new(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into() }
    }
}

impl Draft {
    /// An event of this type with this payload, which is JSON text.
    #[must_use]
    pub fn new(event_type: impl Into<String>, data: impl Into<String>) -> Self {
        Self {
            id: None,
            event_type: event_type.into(),
            subject: None,
            time: None,
            data: data.into(),
            attributes: Pairs::new(),
        }
    }
}

impl Draft {
    /// The event with the time that the provider wrote, whichever form it has ([`crate::dates`]). What cannot be read as an
    /// instant is stored as the attribute `time-unread`, so that the time of arrival is not mistaken for the
    /// provider's.
    #[must_use]
    pub fn at(mut self, written: Option<&Value>) -> Self {
        let Some(written) = written.filter(|written| !written.is_null()) else { return self };
        self.time = time::understood(written);
        if self.time.is_none() {
            let shown = written.as_str().map_or_else(|| written.to_string(), str::to_owned);
            self.attributes.push((TIME_UNREAD.to_owned(), shorten(&shown, 100)));
        }
        self
    }
}

impl Answer {
    /// A response with a text body.
    #[must_use]
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        let headers = vec![("content-type".to_owned(), "text/plain; charset=utf-8".to_owned())];
        Self { status, headers, body: body.into().into_bytes() }
    }

    /// The response of the host's own API: 202 with the ids.
    #[must_use]
    pub fn hosts_own() -> Self {
        Self { status: 0, headers: Pairs::new(), body: Vec::new() }
    }
}

impl Reception {
    /// These events, with the response of the host's own API.
    #[must_use]
    pub fn events(events: Vec<Draft>) -> Self {
        Self::Accepted(Intake { events, answer: Answer::hosts_own() })
    }

    /// No event, but a response: for a provider's handshake.
    #[must_use]
    pub fn answer(answer: Answer) -> Self {
        Self::Accepted(Intake { events: Vec::new(), answer })
    }

    /// The request is not the provider's, or was not understood. `status` is 400 to 499.
    #[must_use]
    pub fn refused(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Refused(Refusal::new(status, code, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_time_that_cannot_be_read_is_shown_instead_of_passed_over() {
        let draft = |written: Value| Draft::new("a.b", "{}").at(Some(&written));
        let read = draft(json!("2024-06-01T12:00:00.000+0000"));
        assert_eq!((read.time.as_deref(), read.attributes.len()), (Some("2024-06-01T12:00:00Z"), 0));
        let unread = draft(json!("next Tuesday"));
        assert_eq!(
            (unread.time, unread.attributes),
            (None, vec![("time-unread".to_owned(), "next Tuesday".to_owned())])
        );
        let unread = draft(json!({"at": 1}));
        assert_eq!(unread.attributes, [("time-unread".to_owned(), r#"{"at":1}"#.to_owned())]);
        let none = draft(Value::Null);
        assert_eq!((none.time, none.attributes.len()), (None, 0));
        assert!(Draft::new("a.b", "{}").at(None).attributes.is_empty());
    }
}
