//! A message before and after it is signed, and what all schemes share.

use bytes::Bytes;
use hookwright_model::{Header, Timestamp};

use crate::error::SigningError;
use crate::keys::{Algorithm, Key};

/// A message before it is signed.
#[derive(Clone, Debug)]
pub struct Unsigned<'a> {
    /// The message's id, the same for each attempt.
    pub id: &'a str,
    /// The time of signing.
    pub time: Timestamp,
    /// The method, in upper case.
    pub method: &'a str,
    /// The target. The request must be sent to this URL in the form that the `url` crate produces.
    pub url: &'a str,
    /// The webhook's id: the claim `sub` of tokens.
    pub webhook: Option<&'a str>,
    /// The event's type, for `X-GitHub-Event`.
    pub event_type: &'a str,
    /// Further header fields of the request, which a signature may cover.
    pub headers: &'a [Header],
    /// The body's media type.
    pub content_type: &'a str,
    /// The body.
    pub body: &'a Bytes,
    /// The envelope, for the policy `sns` only.
    pub envelope: Option<SnsEnvelope<'a>>,
}

/// The type of an Amazon SNS message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnsKind {
    /// A message.
    Notification,
    /// A verification challenge: the receiver has to confirm the subscription.
    SubscriptionConfirmation,
    /// Confirms that the subscription has ended.
    UnsubscribeConfirmation,
}

/// The envelope of an Amazon SNS message. The caller provides the URLs and the token.
#[derive(Clone, Copy, Debug)]
pub struct SnsEnvelope<'a> {
    /// The type of the message.
    pub kind: SnsKind,
    /// The topic, unless the policy names one.
    pub topic_arn: &'a str,
    /// A line for people: control characters become spaces, and it is truncated to 100 characters.
    pub subject: Option<&'a str>,
    /// The token of a confirmation.
    pub token: Option<&'a str>,
    /// The URL that confirms a subscription; required for confirmations.
    pub subscribe_url: Option<&'a str>,
    /// The URL that ends it; optional in notifications.
    pub unsubscribe_url: Option<&'a str>,
    /// The URL of the key's certificate. It differs for each key, because receivers cache certificates by URL. Many of
    /// them require `https` and a path that ends with `.pem`.
    pub certificate_url: &'a str,
}

/// A signed message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Header fields to add, each replacing one of the same name: `webhook-id` and `webhook-timestamp` under every
    /// policy, then those of the scheme.
    pub headers: Vec<Header>,
    /// The media type of the body.
    pub content_type: String,
    /// The body.
    pub body: Bytes,
}

impl Signed {
    /// The body unchanged, with further header fields.
    pub(crate) fn as_is(unsigned: &Unsigned<'_>, headers: Vec<Header>) -> Self {
        Self { headers, content_type: unsigned.content_type.to_owned(), body: unsigned.body.clone() }
    }
}

/// Signs with one key of a signer.
pub(crate) fn sign_with(
    (id, key): &(String, Key),
    algorithm: Algorithm,
    parts: &[&[u8]],
) -> Result<Vec<u8>, SigningError> {
    key.sign(algorithm, parts).ok_or_else(|| SigningError::Failed(id.clone()))
}

/// Fails unless a value is valid in a header field.
pub(crate) fn check_header(name: &'static str, value: &str) -> Result<(), SigningError> {
    if (1..=256).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    let value = value.chars().filter(|c| !c.is_control()).take(80).collect();
    Err(SigningError::Header { name, value })
}
