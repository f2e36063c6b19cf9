//! The input and the result of a transform.

use serde_json::Value;

use crate::bindings::transform::exports::hookwright::plugin::transform as wit;
use crate::{Failure, Pairs};

/// A payload on its way out of the server, or between two steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// HTTP fields that go with it.
    pub headers: Pairs,
    /// The body's media type.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Message {
    /// The body as JSON, whatever the content type says.
    ///
    /// # Errors
    /// A permanent failure, code `message.not_json`, with the place at which the body stops being JSON.
    pub fn json(&self) -> Result<Value, Failure> {
        serde_json::from_slice(hookwright_json::without_mark(&self.body)).map_err(|error| {
            Failure::permanent(
                "message.not_json",
                format!("the body ({}, {} bytes) is not JSON: {error}", self.content_type, self.body.len()),
            )
        })
    }

    /// The body as text, if it is UTF-8.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.body).ok()
    }

    /// The same message with another body.
    #[must_use]
    pub fn with_body(mut self, content_type: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        self.content_type = content_type.into();
        self.body = body.into();
        self
    }
}

/// A transform's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transformed {
    /// This is to be sent.
    Send(Message),
    /// The message is not wanted, because.
    Drop(String),
}

impl From<wit::Message> for Message {
    fn from(message: wit::Message) -> Self {
        Self { headers: message.headers, content_type: message.content_type, body: message.body }
    }
}

impl From<Message> for wit::Message {
    fn from(message: Message) -> Self {
        Self { headers: message.headers, content_type: message.content_type, body: message.body }
    }
}
