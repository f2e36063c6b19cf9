//! JSON bodies: the Events API.

use hookwright_sdk::inbound::{Perhaps, dotted, event_id, head, json, subject};
use hookwright_sdk::{Answer, Draft, Reception, Refusal, Request};
use serde::Deserialize;
use serde_json::Value;

use crate::outcome::{attributes, nothing, taken};

/// Bytes of a challenge that Slack could mean.
const LONGEST_CHALLENGE: usize = 1024;

#[derive(Deserialize)]
struct Head {
    #[serde(default, rename = "type")]
    outer_type: Perhaps<String>,
    #[serde(default)]
    challenge: Perhaps<String>,
    #[serde(default)]
    event: Perhaps<Event>,
    #[serde(default)]
    event_id: Perhaps<String>,
    /// Seconds since 1970.
    #[serde(default)]
    event_time: Perhaps<Value>,
    #[serde(default)]
    team_id: Perhaps<String>,
    #[serde(default)]
    api_app_id: Perhaps<String>,
}

#[derive(Deserialize)]
struct Event {
    #[serde(default, rename = "type")]
    event_type: Perhaps<String>,
    #[serde(default)]
    subtype: Perhaps<String>,
    #[serde(default)]
    channel: Perhaps<Named>,
    #[serde(default)]
    channel_id: Perhaps<String>,
    #[serde(default)]
    item: Perhaps<Item>,
    #[serde(default)]
    user: Perhaps<Named>,
}

#[derive(Deserialize)]
struct Item {
    channel: String,
}

/// A channel or a user: its id, or an object that has it.
#[derive(Deserialize)]
#[serde(try_from = "Value")]
struct Named(String);

impl TryFrom<Value> for Named {
    type Error = &'static str;

    fn try_from(value: Value) -> Result<Self, &'static str> {
        match value {
            Value::String(id) => Ok(Self(id)),
            Value::Object(members) => {
                members.get("id").and_then(Value::as_str).map(|id| Self(id.to_owned())).ok_or("it has no id")
            }
            _ => Err("an id, or an object that has one"),
        }
    }
}

impl Named {
    fn id(self) -> String {
        self.0
    }
}

/// Reads a signed request with a JSON body.
///
/// # Errors
/// The refusal: the body is none of Slack's.
pub(crate) fn read(request: &Request) -> Result<Reception, Refusal> {
    let payload = json(request, "slack.payload_invalid")?;
    let head: Head = head(payload).map_err(|said| Refusal::new(400, "slack.payload_invalid", said))?;
    let outer = head.outer_type.0.unwrap_or_default();
    if outer == "url_verification" {
        return challenge(head.challenge.0);
    }
    let missing = |said: &str| Refusal::new(400, "slack.event_missing", said);
    let (event_type, about, user) = match (outer.as_str(), head.event.0) {
        ("event_callback", Some(event)) => {
            let kind = event.event_type.0.map(|kind| dotted(&kind)).filter(|kind| !kind.is_empty());
            let kind = kind.ok_or_else(|| missing("the payload has no `event.type`: this is not an event of Slack"))?;
            let subtype = event.subtype.0.map(|subtype| dotted(&subtype)).filter(|subtype| !subtype.is_empty());
            let user = event.user.0.map(Named::id);
            let channel = event.channel.0.map(Named::id).or(event.channel_id.0);
            let about = channel.or(event.item.0.map(|item| item.channel)).or_else(|| user.clone());
            (subtype.map_or_else(|| kind.clone(), |subtype| format!("{kind}.{subtype}")), about, user)
        }
        ("event_callback", None) => {
            return Err(missing("the payload has no object `event`: this is not an event of Slack"));
        }
        // What tells of the subscription itself, such as `app_rate_limited`, has no inner event.
        (other, _) => (dotted(other), None, None),
    };
    if event_type.is_empty() {
        return Err(missing("the payload has no `type`: this is not a request of Slack"));
    }
    let draft = Draft {
        id: head.event_id.0.as_deref().and_then(event_id),
        subject: about.as_deref().and_then(subject),
        attributes: attributes([
            ("slack-team", head.team_id.0),
            ("slack-app", head.api_app_id.0),
            ("slack-user", user),
        ]),
        ..Draft::new(format!("slack.{event_type}"), payload)
    }
    .at(head.event_time.0.as_ref());
    Ok(taken(request, draft, nothing()))
}

/// Slack proves with it that the URL answers to the app.
fn challenge(challenge: Option<String>) -> Result<Reception, Refusal> {
    match challenge {
        Some(text) if !text.is_empty() && text.len() <= LONGEST_CHALLENGE => {
            Ok(Reception::answer(Answer::text(200, text)))
        }
        _ => {
            Err(Refusal::new(400, "slack.challenge_missing", "the url_verification has no `challenge` to answer with"))
        }
    }
}
