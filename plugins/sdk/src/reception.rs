//! What a source is given and what it answers.

pub use crate::bindings::source::exports::hookwright::plugin::source::{
    Answer, Draft, Intake, Reception, Refusal, Request,
};

use crate::{Pairs, first};

impl Request {
    /// The first header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        first(&self.headers, name)
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

impl Answer {
    /// An answer with a text body.
    #[must_use]
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        let headers = vec![("content-type".to_owned(), "text/plain; charset=utf-8".to_owned())];
        Self { status, headers, body: body.into().into_bytes() }
    }

    /// The answer that the host gives to its own API: 202 with the ids.
    #[must_use]
    pub fn hosts_own() -> Self {
        Self { status: 0, headers: Pairs::new(), body: Vec::new() }
    }
}

impl Reception {
    /// These events, answered as the host answers its own API.
    #[must_use]
    pub fn events(events: Vec<Draft>) -> Self {
        Self::Accepted(Intake { events, answer: Answer::hosts_own() })
    }

    /// No event, but an answer: for a provider's handshake.
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
