//! The transform `xurrent`: the message of Xurrent's webhooks.
//!
//! `webhook_id`, `webhook_nodeID`, `account_id`, `account`, `custom_url`, `name`, `event`, `object_id`, `object_nodeID`,
//! `person_id`, `person_nodeID`, `person_name`, `instance_name` and `payload`. What the webhook is, the parameters say; what
//! the event is about is read from `data.record`, else `data.KIND`, else the data.
//!
//! | payload | from |
//! |---|---|
//! | `audit_line_id`, `audit_line_nodeID` | the data |
//! | `note_id`, `note_nodeID` | `data.note` |
//! | `source`, `sourceID`, `status`, `team`, `member` | the record, where it has them |
//! | `previous_status` | the status before, in `KIND.status-changed` |
//! | all fields of the record | time entries, without `cost`, and out of office periods |
//! | `data.payload` | an automation's call (`automation_rule`) and the check of an address (`webhook` `verify`) |

mod links;
mod names;
mod payload;

use hookwright_sdk::outgoing::{self, Members, Object, Told, User};
use hookwright_sdk::{Event, Failure, Manifest, Message, Plugin, Text, Transform, Transformed};
use serde::Deserialize;
use serde_json::Value;

use crate::links::Bases;

struct Xurrent;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    webhook_id: Option<Text>,
    #[serde(rename = "webhook_nodeID")]
    webhook_node_id: Option<String>,
    account_id: Option<String>,
    account: Option<String>,
    custom_url: Option<String>,
    api: Option<String>,
    resource: Option<String>,
    name: Option<String>,
    event: Option<String>,
    object_id: Option<Text>,
    #[serde(rename = "object_nodeID")]
    object_node_id: Option<String>,
    user: Option<User>,
    person_id: Option<Text>,
    #[serde(rename = "person_nodeID")]
    person_node_id: Option<String>,
    person_name: Option<String>,
    instance_name: Option<String>,
}

impl Plugin for Xurrent {
    const MANIFEST: Manifest = Manifest {
        name: "xurrent",
        version: env!("CARGO_PKG_VERSION"),
        summary: "The message of Xurrent's webhooks",
        parameters: include_str!("parameters.json"),
        hints: &[("documentation", "https://developer.xurrent.com/v1/webhooks")],
    };
    type Parameters = Parameters;
}

impl Transform for Xurrent {
    fn apply(event: &Event, message: Message, parameters: Parameters) -> Result<Transformed, Failure> {
        let told = Told::of(event, &message)?;
        let noun = names::noun(&told.kind);
        let name = parameters.event.clone().unwrap_or_else(|| names::event(&told.kind, &told.verb));
        let account = parameters.account.as_deref();
        let node_of = |noun: &str, id: &str| names::node(account, parameters.account_id.as_deref(), noun, id);

        let object_id = parameters.object_id.as_ref().map(Text::to_string).or_else(|| told.id(event));
        let object_node = parameters
            .object_node_id
            .clone()
            .or_else(|| told.fields.text("nodeID").filter(|_| parameters.object_id.is_none()))
            .or_else(|| object_id.as_deref().map(|id| node_of(&noun, id)));
        let webhook_node = parameters
            .webhook_node_id
            .clone()
            .or_else(|| parameters.webhook_id.as_ref().map(|id| node_of("webhook", id.as_str())));

        let person = Person::of(&told, &parameters);
        let person_node = person.node_id.or_else(|| person.id.as_deref().map(|id| node_of("person", id)));

        let body = Object::default()
            .with("webhook_id", &number(parameters.webhook_id.as_ref().map(Text::as_str)))
            .with("webhook_nodeID", &webhook_node)
            .with_some("account_id", parameters.account_id.as_ref())
            .with_some("account", account)
            .with_some("custom_url", parameters.custom_url.as_ref())
            .with("name", parameters.name.as_ref().unwrap_or(&name))
            .with("event", &name)
            .with("object_id", &number(object_id.as_deref()))
            .with("object_nodeID", &object_node)
            .with("person_id", &number(person.id.as_deref()))
            .with("person_nodeID", &person_node)
            .with("person_name", &person.name)
            .with_some("instance_name", parameters.instance_name.as_ref());
        let body = payload::put(&told, body).finish();

        let (api, resource) = (parameters.api.as_deref(), parameters.resource.as_deref());
        let links = links::links(&noun, object_id.as_deref(), &told, Bases { account, api, resource });
        let mut message = message.with_body("application/json; charset=utf-8", body);
        message.headers.retain(|(header, _)| links.is_none() || !header.eq_ignore_ascii_case("link"));
        message.headers.extend(links.map(|links| ("link".to_owned(), links)));
        Ok(Transformed::Send(message))
    }
}

/// Its author.
struct Person {
    id: Option<String>,
    node_id: Option<String>,
    name: Option<String>,
}

impl Person {
    /// The user of the API key, else whom the data names, else whom the parameters name.
    fn of(told: &Told<'_>, parameters: &Parameters) -> Self {
        if let Some(User { id, name, .. }) = &parameters.user {
            return Self { id: Some(id.to_string()), node_id: None, name: name.clone() };
        }
        // In the event of a person, that member is the record.
        let named = if told.kind == "person" { None } else { told.data.object("person") };
        let named: Members<'_> = named.unwrap_or_default();
        Self {
            id: named.text("id").or_else(|| parameters.person_id.as_ref().map(Text::to_string)),
            node_id: named.text("nodeID").or_else(|| parameters.person_node_id.clone()),
            name: named.text("name").or_else(|| parameters.person_name.clone()),
        }
    }
}

/// An id as a number where it is one, else as a string; null where there is none.
fn number(id: Option<&str>) -> Value {
    id.map_or(Value::Null, outgoing::number)
}

hookwright_sdk::export_transform!(Xurrent);

#[cfg(test)]
mod tests;
