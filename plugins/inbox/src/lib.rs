//! The source `inbox`: accepts every request, to see what a new provider sends.
//!
//! Nothing is verified: whoever knows the URL can send. The event's payload is the body, byte for byte; its data is the
//! body in JSON, so that conditions and variables can read it:
//!
//! | what comes | data |
//! |---|---|
//! | JSON | as received |
//! | a form | an object of its fields, a list where one stands several times |
//! | `multipart/form-data` | `{"parts": [{"name", "filename", "content_type", "text" or "base64"}]}` |
//! | XML | as the transform `xml-to-json` has it |
//! | other text, and what is not a good JSON, form or XML | a string |
//! | other bytes | a string, base64 |
//! | no body at all | the query as an object |
//! | what would be larger than 512 KiB in this form, JSON apart | `{"omitted_bytes": SIZE}` |
//!
//! A HEAD or OPTIONS request is answered and becomes no event. `challenge` says where a provider's handshake has the text
//! that it wants back.

mod view;

use hookwright_sdk::inbound::{self, Mapping, Rule, Stop};
use hookwright_sdk::{Answer, Failure, Manifest, Pairs, Path, Plugin, Reception, Refusal, Request, Source};
use serde::Deserialize;
use serde_json::{Value, json};

/// The type of events for which no rule is given, or none leads to one.
const TYPE: &str = "inbox.received";
/// The code of a rule that makes no sense.
const WRONG: &str = "inbox.rule_invalid";
/// Bytes of a challenge.
const LONGEST_CHALLENGE: usize = 1024;

/// The parameters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    #[serde(default)]
    event: Mapping,
    #[serde(default)]
    challenge: Option<Challenge>,
    /// Elements of XML that are always lists.
    #[serde(default)]
    arrays: Vec<String>,
}

/// Where a handshake has its challenge, and how it is returned.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Challenge {
    /// A parameter of the query.
    #[serde(default)]
    query: Option<String>,
    /// A dotted path into the data.
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    answer: Form,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Form {
    /// The text itself.
    #[default]
    Text,
    /// `{"challenge": TEXT}`.
    Json,
}

struct Inbox;

impl Plugin for Inbox {
    const MANIFEST: Manifest = Manifest {
        name: "inbox",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Accepts every request, to see what a provider sends",
        parameters: include_str!("parameters.json"),
        hints: &[],
    };
    type Parameters = Parameters;
}

impl Source for Inbox {
    fn receive(request: &Request, parameters: Parameters) -> Result<Reception, Failure> {
        inbound::settle(receive(request, parameters))
    }
}

fn receive(request: &Request, parameters: Parameters) -> Result<Reception, Stop> {
    if matches!(request.method.as_str(), "HEAD" | "OPTIONS") {
        return Ok(Reception::answer(Answer { status: 204, headers: Pairs::new(), body: Vec::new() }));
    }
    let data = view::data(request, parameters.arrays);
    if let Some(challenge) = &parameters.challenge
        && let Some(answer) = challenge.answer(request, &data)?
    {
        return Ok(Reception::answer(answer));
    }
    let mut mapping = parameters.event;
    let received = || Some(Rule::Fixed(TYPE.to_owned()));
    if mapping.event_type.is_none() {
        mapping.event_type = received();
    }
    let draft = mapping.draft(request, &data, WRONG).or_else(|_| {
        mapping.event_type = received();
        mapping.draft(request, &data, WRONG)
    })?;
    Ok(Reception::events(vec![draft]))
}

impl Challenge {
    /// The response to a handshake. `None` if the request is not one.
    fn answer(&self, request: &Request, data: &str) -> Result<Option<Answer>, Refusal> {
        let found = match (&self.query, &self.path) {
            (Some(name), _) => inbound::query(request, name).map(Value::from),
            (None, Some(path)) => {
                let path = Path::parse(path).map_err(|why| {
                    Refusal::new(422, WRONG, format!("{why}; correct `challenge.path` of the source"))
                })?;
                let data: Value = serde_json::from_str(data).unwrap_or_default();
                path.find(&data).ok().cloned()
            }
            (None, None) => None,
        };
        let text = match found {
            Some(Value::String(text)) => text,
            Some(Value::Number(number)) => number.to_string(),
            _ => return Ok(None),
        };
        if text.is_empty() || text.len() > LONGEST_CHALLENGE {
            return Ok(None);
        }
        let mut answer = Answer::text(200, text.clone());
        if let Form::Json = self.answer {
            answer.body = json!({"challenge": text}).to_string().into_bytes();
            answer.headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        }
        // What somebody else wrote must not be run as a page of this server.
        answer.headers.push(("x-content-type-options".to_owned(), "nosniff".to_owned()));
        Ok(Some(answer))
    }
}

hookwright_sdk::export_source!(Inbox);

#[cfg(test)]
mod tests;
