//! Arguments and results of plugins that are not types of the model.

use bytes::Bytes;

/// Names with their values, in order.
pub type Pairs = Vec<(String, String)>;

/// The input of a transform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Header fields.
    pub headers: Pairs,
    /// Media type of the body.
    pub content_type: String,
    /// The body.
    pub body: Bytes,
}

/// A transform's result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transformed {
    /// The transformed message.
    Send(Message),
    /// The message is dropped, for this reason.
    Drop(String),
}

/// A provider's HTTP request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceRequest {
    /// The method.
    pub method: String,
    /// The path after the source's own URL, beginning with `/`, or empty.
    pub path: String,
    /// Without the `?`.
    pub query: String,
    /// Names in lower case.
    pub headers: Pairs,
    /// The body, byte for byte.
    pub body: Bytes,
    /// The size of the decoded body in bytes, if it is passed compressed.
    pub decoded_bytes: usize,
    /// The sender's address.
    pub remote_address: String,
}

/// A source's result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reception {
    /// The request is accepted.
    Accepted(Intake),
    /// The request is refused.
    Refused {
        /// 400 to 499.
        status: u16,
        /// Stable, `noun.problem`.
        code: String,
        /// The message for the sender.
        message: String,
    },
}

/// The content of a provider's request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intake {
    /// The events, at most 1000.
    pub events: Vec<SourceDraft>,
    /// The response to the provider once they are durable.
    pub answer: Answer,
}

/// An event from a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceDraft {
    /// The provider's id, by which duplicates are recognized.
    pub id: Option<String>,
    /// Its type.
    pub event_type: String,
    /// What it is about.
    pub subject: Option<String>,
    /// RFC 3339. `None`: the time of arrival.
    pub time: Option<String>,
    /// Validated JSON.
    pub data: String,
    /// Attributes that are stored with the event.
    pub attributes: Pairs,
}

/// An HTTP response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// 200 to 599. 0: the host responds as to requests of its own API.
    pub status: u16,
    /// Header fields.
    pub headers: Pairs,
    /// The body.
    pub body: Bytes,
}
