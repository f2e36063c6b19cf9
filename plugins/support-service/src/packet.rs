//! The packet, field by field.

use hookwright_sdk::Event;
use hookwright_sdk::outgoing::{Members, Object, Told, integer, text};
use serde_json::value::RawValue;

/// Fields of an object that have two names each: the packet's and the one that tickets have here.
struct Fields<'m>(Members<'m>);

impl<'m> Fields<'m> {
    fn of(json: &'m RawValue) -> Self {
        Self(Members::of(json).unwrap_or_default())
    }

    fn find(&self, name: &str) -> Option<&'m RawValue> {
        self.0.first(&[&snake(name), name])
    }

    fn text(&self, name: &str) -> Option<String> {
        self.find(name).and_then(text)
    }

    fn number(&self, name: &str) -> i64 {
        self.find(name).and_then(integer).unwrap_or(0)
    }

    fn list(&self, name: &str) -> Vec<Fields<'m>> {
        let list: Option<Vec<&RawValue>> = self.find(name).and_then(|value| serde_json::from_str(value.get()).ok());
        list.unwrap_or_default().into_iter().map(Self::of).collect()
    }
}

/// `ServiceFirstLevel` as `service_first_level`.
fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// Names of an object's texts and numbers, in the packet's order.
enum Field {
    Text(&'static str),
    Number(&'static str),
}

use Field::{Number, Text};

const CREATED_BY: [Field; 6] =
    [Text("Id"), Number("PersonType"), Number("ProfileType"), Text("BusinessName"), Text("Email"), Text("Phone")];

const CUSTOM_FIELD: [Field; 4] = [Number("CustomFieldId"), Number("CustomFieldRuleId"), Number("Line"), Text("Value")];

const ITEM: [Field; 6] = [
    Text("PersonId"),
    Text("ClientId"),
    Text("Team"),
    Text("CustomFieldItem"),
    Text("StorageFileGuid"),
    Text("FileName"),
];

fn plain(fields: &Fields<'_>, names: &[Field]) -> Object {
    names.iter().fold(Object::default(), |object, field| match field {
        Text(name) => object.with(name, &fields.text(name)),
        Number(name) => object.with(name, &fields.number(name)),
    })
}

/// The packet as JSON text.
pub(crate) fn packet(event: &Event, told: &Told<'_>, conditions: Vec<Object>) -> String {
    let ticket = Fields(told.fields.clone());
    let id = told.id(event).and_then(|id| id.parse::<i64>().ok()).unwrap_or(0);
    Object::default()
        .with("Id", &id)
        .with("Subject", &ticket.text("Subject"))
        .with("Status", &ticket.text("Status"))
        .with("Justification", &ticket.text("Justification"))
        .with_list("Actions", actions(told, &ticket))
        .with_list("WebhookEvents", conditions)
        .with("Urgency", &ticket.text("Urgency"))
        .with("ServiceFirstLevel", &ticket.text("ServiceFirstLevel"))
        .with_list("CustomFieldValues", ticket.list("CustomFieldValues").iter().map(custom_field))
        .with("SlaSolutionTime", &ticket.number("SlaSolutionTime"))
        .finish()
}

/// The ticket's notes, and the event's if the ticket does not have it yet.
fn actions(told: &Told<'_>, ticket: &Fields<'_>) -> Vec<Object> {
    let mut notes = ticket.list("Notes");
    if notes.is_empty() {
        notes = ticket.list("Actions");
    }
    if let Some(note) = told.data.get("note").filter(|note| Members::of(note).is_some()) {
        let note = Fields::of(note);
        if !notes.iter().any(|other| other.text("Id").is_some() && other.text("Id") == note.text("Id")) {
            notes.push(note);
        }
    }
    notes.iter().map(action).collect()
}

fn action(note: &Fields<'_>) -> Object {
    let written = note.text("Text").or_else(|| note.text("Description"));
    let html = note.text("Html").or_else(|| note.text("HtmlDescription")).or_else(|| written.as_deref().map(html_of));
    Object::default()
        .with("Id", &note.number("Id"))
        .with("Description", &written)
        .with("HtmlDescription", &html)
        .with_list("Attachments", note.list("Attachments").iter().map(attachment))
}

fn attachment(file: &Fields<'_>) -> Object {
    let person = file.find("CreatedBy").map_or_else(|| Fields(Members::default()), Fields::of);
    Object::default()
        .with("FileName", &file.text("FileName"))
        .with("Path", &file.text("Path"))
        .with_object("CreatedBy", plain(&person, &CREATED_BY))
        .with("CreatedDate", &file.text("CreatedDate"))
}

fn custom_field(field: &Fields<'_>) -> Object {
    plain(field, &CUSTOM_FIELD).with_list("Items", field.list("Items").iter().map(|item| plain(item, &ITEM)))
}

/// A plain text as HTML.
fn html_of(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            '\n' => html.push_str("<br>"),
            '\r' => {}
            other => html.push(other),
        }
    }
    html
}
