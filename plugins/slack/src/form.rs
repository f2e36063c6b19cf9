//! Form bodies: slash commands, interactions, and the check of the certificate.

use hookwright_sdk::inbound::{Perhaps, dotted, event_id, fields, head, query, subject};
use hookwright_sdk::{Answer, Draft, Reception, Refusal, Request};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::outcome::{attributes, nothing, taken};

/// The parts of an interaction's payload from which the envelope is made.
#[derive(Deserialize)]
struct Interaction {
    #[serde(default, rename = "type")]
    kind: Perhaps<String>,
    #[serde(default)]
    trigger_id: Perhaps<String>,
    #[serde(default)]
    action_ts: Perhaps<String>,
    #[serde(default)]
    callback_id: Perhaps<String>,
    #[serde(default)]
    channel: Perhaps<Thing>,
    #[serde(default)]
    user: Perhaps<Thing>,
    #[serde(default)]
    team: Perhaps<Thing>,
    #[serde(default)]
    view: Perhaps<View>,
}

#[derive(Deserialize)]
struct Thing {
    id: String,
}

#[derive(Deserialize)]
struct View {
    #[serde(default)]
    callback_id: Perhaps<String>,
}

/// Whether this is Slack's look at the certificate (`ssl_check=1`).
pub(crate) fn is_certificate_check(request: &Request) -> bool {
    let is_form = request.method == "POST" && request.body.len() <= 4096;
    query(request, "ssl_check").as_deref() == Some("1")
        || (is_form && fields(&request.body).iter().any(|(name, value)| name == "ssl_check" && value == "1"))
}

/// Reads a signed request with a form as its body.
///
/// # Errors
/// The refusal: the form is none of Slack's.
pub(crate) fn read(request: &Request, reply: Option<&str>) -> Result<Reception, Refusal> {
    let fields = fields(&request.body);
    let field = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    if let Some(payload) = field("payload") {
        return interaction(request, payload);
    }
    let Some(command) = field("command") else {
        let said = "the form has neither `payload` nor `command`: this is not a request of Slack";
        return Err(Refusal::new(400, "slack.payload_invalid", said));
    };
    let name = dotted(command.trim_start_matches('/'));
    if name.is_empty() {
        return Err(Refusal::new(400, "slack.event_missing", "the field `command` names no command"));
    }
    let about = field("channel_id").or(field("user_id"));
    let named = |name: &str| field(name).map(str::to_owned);
    let draft = Draft {
        id: field("trigger_id").and_then(event_id),
        subject: about.and_then(subject),
        attributes: attributes([
            ("slack-team", named("team_id")),
            ("slack-app", named("api_app_id")),
            ("slack-user", named("user_id")),
        ]),
        ..Draft::new(
            format!("slack.command.{name}"),
            Value::from(fields.iter().cloned().map(|(name, value)| (name, value.into())).collect::<Map<_, _>>())
                .to_string(),
        )
    };
    Ok(taken(request, draft, reply.map_or_else(nothing, spoken)))
}

fn interaction(request: &Request, payload: &str) -> Result<Reception, Refusal> {
    let invalid = |said: String| Refusal::new(400, "slack.payload_invalid", said);
    let read: Interaction = head(payload).map_err(invalid)?;
    let kind = read.kind.0.map(|kind| dotted(&kind)).filter(|kind| !kind.is_empty());
    let kind = kind.ok_or_else(|| invalid("the payload has no `type`: this is not an interaction of Slack".into()))?;
    let user = read.user.0.map(|user| user.id);
    let about = read.channel.0.map(|channel| channel.id).or_else(|| user.clone());
    let draft = Draft {
        id: read.trigger_id.0.as_deref().and_then(event_id),
        subject: about.as_deref().and_then(subject),
        attributes: attributes([
            ("slack-team", read.team.0.map(|team| team.id)),
            ("slack-user", user),
            ("slack-callback", read.callback_id.0.or_else(|| read.view.0?.callback_id.0)),
        ]),
        ..Draft::new(format!("slack.interaction.{kind}"), payload)
    }
    .at(read.action_ts.0.map(Value::from).as_ref());
    Ok(taken(request, draft, nothing()))
}

/// A response that only the user of the command sees.
fn spoken(text: &str) -> Answer {
    let headers = vec![("content-type".to_owned(), "application/json; charset=utf-8".to_owned())];
    let body = json!({"response_type": "ephemeral", "text": text}).to_string();
    Answer { status: 200, headers, body: body.into_bytes() }
}
