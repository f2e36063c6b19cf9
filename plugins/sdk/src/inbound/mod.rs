//! What sources of many providers do alike: reading the body, checking a signature and its age, naming the event.
//!
//! A source's function can return [`Stop`] with `?`, whether a request is refused or could not be looked at, and hand
//! the whole to [`settle`].

mod body;
mod code;
mod content;
mod form;
mod mapping;
mod name;

use crate::{Failure, Pairs, Reception, Refusal, Request, shorten};

pub use body::{Perhaps, head, is_json, json, media_type, payload};
pub use code::{Encoding, NotFresh, TimeFormat, codes, fresh, signed};
pub use content::decoded;
pub use form::{charset, fields, form_fields, text};
pub use mapping::{Found, Mapping, Rule};
pub use name::{dotted, event_id, is_name, subject};

/// Why a request has no event.
#[derive(Debug, Clone)]
pub enum Stop {
    /// The request is refused: it is not the provider's, or is not valid. The sender gets the message.
    Refused(Refusal),
    /// The request could not be processed: the operator gets the message.
    Failed(Failure),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// The result for the host.
///
/// # Errors
/// The request could not be looked at.
pub fn settle(received: Result<Reception, Stop>) -> Result<Reception, Failure> {
    match received {
        Ok(reception) => Ok(reception),
        Err(Stop::Refused(refusal)) => Ok(Reception::Refused(refusal)),
        Err(Stop::Failed(failure)) => Err(failure),
    }
}

/// Refuses every method but POST. `who` is the provider's name, `code` the refusal's.
///
/// # Errors
/// The refusal, with status 405.
pub fn only_post(request: &Request, code: &str, who: &str) -> Result<(), Refusal> {
    if request.method == "POST" {
        return Ok(());
    }
    let method = shorten(&request.method, 20);
    Err(Refusal::new(405, code, format!("{who} delivers with POST, this request is a {method}")))
}

/// The headers with these names, to be stored with the event.
#[must_use]
pub fn kept<N: AsRef<str>>(request: &Request, names: &[N]) -> Pairs {
    let header = |name: &N| Some((name.as_ref().to_ascii_lowercase(), request.header(name.as_ref())?.to_owned()));
    names.iter().filter_map(header).collect()
}

/// The first parameter of this name in the request's query, decoded.
#[must_use]
pub fn query(request: &Request, name: &str) -> Option<String> {
    fields(request.query.as_bytes()).into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
}
