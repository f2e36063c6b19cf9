//! What plugins are called with and what they answer, beyond the words of the model.

use bytes::Bytes;

/// Names with their values, in order.
pub type Pairs = Vec<(String, String)>;

/// What a transform gives another shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Header fields.
    pub headers: Pairs,
    /// Media type of the body.
    pub content_type: String,
    /// The body.
    pub body: Bytes,
}

/// A transform's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transformed {
    /// The message in its new shape.
    Send(Message),
    /// The message is not wanted, because.
    Drop(String),
}

/// A provider's HTTP request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceRequest {
    /// The method.
    pub method: String,
    /// What follows the source's own URL, beginning with `/`, or empty.
    pub path: String,
    /// Without the `?`.
    pub query: String,
    /// Names in lower case.
    pub headers: Pairs,
    /// The body, byte for byte.
    pub body: Bytes,
    /// Bytes of the body once it is decoded, if it is handed over compressed.
    pub decoded_bytes: usize,
    /// Who sent it.
    pub remote_address: String,
}

/// A source's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reception {
    /// The request is the provider's.
    Accepted(Intake),
    /// It is not, or was not understood.
    Refused {
        /// 400 to 499.
        status: u16,
        /// Stable, `noun.problem`.
        code: String,
        /// For whoever sent it.
        message: String,
    },
}

/// What a provider's request brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intake {
    /// The events, at most 1000.
    pub events: Vec<SourceDraft>,
    /// What the provider is told once they are durable.
    pub answer: Answer,
}

/// An event as a source makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceDraft {
    /// The provider's id of it, by which a repeat is known.
    pub id: Option<String>,
    /// Its type.
    pub event_type: String,
    /// What it is about.
    pub subject: Option<String>,
    /// RFC 3339; none: the time of arrival.
    pub time: Option<String>,
    /// JSON, checked.
    pub data: String,
    /// Kept with the event.
    pub attributes: Pairs,
}

/// An HTTP answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// 200 to 599; 0: the host answers as it answers its own API.
    pub status: u16,
    /// Header fields.
    pub headers: Pairs,
    /// The body.
    pub body: Bytes,
}
