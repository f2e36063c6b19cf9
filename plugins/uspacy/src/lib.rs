//! The transform `uspacy`: the message of Uspacy's webhooks.
//!
//! `{"topic": "Notifications", "type": "comment", "env": "prod", "data": {"entity", "user_id", "service", "domain",
//! "timestamp", "action"}, "metadata": []}`. The entity is the record that the event is about, as it was written:
//! `data.record`, else `data.KIND`, else the data. A note on a record is a comment, with the fields of Uspacy's comments.
//!
//! | event | `action` |
//! |---|---|
//! | `KIND.created`, `KIND.note-added` | `create` |
//! | `KIND.updated` | `update` |
//! | `KIND.deleted` | `delete` |
//! | `KIND.moved`, `KIND.stage-changed` | `stage_changed`; the entity has `old_kanban_stage_id` and `new_kanban_stage_id` |
//! | `KIND.OTHER` | `OTHER`, with `_` for `-` |

mod entity;
mod moment;

use hookwright_sdk::outgoing::{Object, Told, User, given, number};
use hookwright_sdk::{Event, Failure, Manifest, Message, Plugin, Text, Transform, Transformed};
use serde::Deserialize;
use serde_json::Value;

use crate::entity::word;

/// The service that has an object.
const SERVICES: [(&str, &str); 8] = [
    ("lead", "crm"),
    ("deal", "crm"),
    ("contact", "crm"),
    ("company", "crm"),
    ("activity", "activities"),
    ("task", "tasks"),
    ("post", "newsfeed"),
    ("comment", "comments"),
];

/// Fields of an event or its record with the author, best first.
const ACTORS: [&str; 3] = ["user_id", "userId", "actor_id"];
const AUTHORS: [&str; 2] = ["author_id", "author"];
const CHANGERS: [&str; 6] = ["changed_by", "changedBy", "updated_by", "author_id", "created_by", "createdBy"];

struct Uspacy;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    domain: Option<String>,
    env: Option<String>,
    service: Option<String>,
    action: Option<String>,
    /// Null: nobody did it.
    #[serde(default, deserialize_with = "given")]
    user: Option<Option<User>>,
    user_id: Option<Text>,
}

impl Plugin for Uspacy {
    const MANIFEST: Manifest = Manifest {
        name: "uspacy",
        version: env!("CARGO_PKG_VERSION"),
        summary: "The message of Uspacy's webhooks: topic, type, env and data",
        parameters: include_str!("parameters.json"),
        hints: &[("documentation", "https://ua.uspacy.support/en/articles/8186103-webhooks-how-does-it-work")],
    };
    type Parameters = Parameters;
}

impl Transform for Uspacy {
    fn apply(event: &Event, message: Message, parameters: Parameters) -> Result<Transformed, Failure> {
        let told = Told::of(event, &message)?;
        let is_note = told.verb == "note-added";
        let object = if is_note { "comment" } else { word(&told.kind) };
        let service = SERVICES.iter().find(|(name, _)| *name == object).map_or(object, |(_, service)| service);
        let data = entity::put(event, &told, Object::default())
            .with("user_id", &actor(&told, &parameters))
            .with("service", parameters.service.as_deref().unwrap_or(service))
            .with("domain", parameters.domain.as_deref().unwrap_or(&event.source))
            .with("timestamp", &moment::micros(&event.time))
            .with("action", &parameters.action.unwrap_or_else(|| action(&told.verb)));
        let body = Object::default()
            .with("topic", "Notifications")
            .with("type", object)
            .with("env", parameters.env.as_deref().unwrap_or("prod"))
            .with_object("data", data)
            .with_list("metadata", [])
            .finish();
        Ok(Transformed::Send(message.with_body("application/json", body)))
    }
}

fn action(verb: &str) -> String {
    match verb {
        "created" | "note-added" => "create".to_owned(),
        "updated" => "update".to_owned(),
        "deleted" => "delete".to_owned(),
        "moved" | "stage-changed" => "stage_changed".to_owned(),
        other => other.replace('-', "_"),
    }
}

/// Who did it: a number where it is one, else a string; null where nobody knows.
fn actor(told: &Told<'_>, parameters: &Parameters) -> Value {
    if let Some(Some(user)) = &parameters.user {
        return number(user.id.as_str());
    }
    let note = told.data.object("note").unwrap_or_default();
    let places = [(&told.data, &ACTORS[..]), (&note, &AUTHORS[..]), (&told.fields, &CHANGERS[..])];
    // What the record says is who changed it last, which is not who did this where nobody did.
    let places = if parameters.user.is_some() { &places[..1] } else { &places[..] };
    let said = places.iter().flat_map(|(members, names)| names.iter().filter_map(|name| members.text(name)));
    let said = said.chain(parameters.user_id.as_ref().map(Text::to_string)).find(|said| !said.is_empty());
    said.as_deref().map_or(Value::Null, number)
}

hookwright_sdk::export_transform!(Uspacy);

#[cfg(test)]
mod tests;
