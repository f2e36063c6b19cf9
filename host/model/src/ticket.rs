use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Merge, Mistake, Mistakes, Timestamp, User, UserId, builtin_kind};

/// The kind under which tickets are stored. Its fields are those of the support service's ticket packet, declared in
/// `host/model/kinds/ticket.json`.
pub const TICKET: &str = "ticket";

/// What a person of the ticket packet is: a person, not a company or a department.
const PERSON: i64 = 1;
/// What that person does: an agent, since clients of the help desk hold no API keys.
const AGENT: i64 = 1;

/// A note on a record; an `Action` in the ticket packet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// Counted from 1 in each space.
    pub id: u64,
    /// Plain text.
    pub text: String,
    /// The same in HTML, if it was given.
    #[serde(default)]
    pub html: Option<String>,
    /// Whether the requester sees it.
    #[serde(default)]
    pub public: bool,
    /// Its attachments.
    #[serde(default)]
    pub attachments: Vec<Attachment>,
    /// Its author.
    #[serde(default)]
    pub author: Option<String>,
    /// The id of the user who wrote it, if the API key that it was added with stands for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author_id: Option<UserId>,
    /// When it was added.
    pub created_at: Timestamp,
}

/// An attachment of a note.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    /// Its name.
    pub file_name: String,
    /// Its URL.
    #[serde(default)]
    pub path: String,
    /// Who attached it.
    #[serde(default)]
    pub created_by: Option<Person>,
    /// The time.
    #[serde(default)]
    pub created_date: Option<String>,
}

/// A person as the ticket packet has them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// Their id.
    pub id: String,
    /// 1 person, 2 company, 4 department.
    #[serde(default)]
    pub person_type: i64,
    /// 1 agent, 2 client, 3 both.
    #[serde(default)]
    pub profile_type: i64,
    /// Their name.
    #[serde(default)]
    pub business_name: String,
    /// Their address.
    #[serde(default)]
    pub email: Option<String>,
    /// Their number.
    #[serde(default)]
    pub phone: Option<String>,
}

impl From<&User> for Person {
    fn from(user: &User) -> Self {
        Self {
            id: user.id.to_string(),
            person_type: PERSON,
            profile_type: AGENT,
            business_name: user.name.clone(),
            email: user.email.clone(),
            phone: None,
        }
    }
}

/// The input that creates or changes a ticket. An absent field keeps its value, `null` clears an optional one.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct TicketChanges(Map<String, Value>);

impl TicketChanges {
    /// Parses it from a JSON object.
    pub fn from_value(value: &Value) -> Result<Self, Mistakes> {
        let Value::Object(fields) = value else {
            let shown = crate::abridged(&value.to_string());
            return Err(Mistake::new("", format!("`{shown}` is not an object: give the fields of a ticket")).into());
        };
        let changes = Self(fields.clone());
        changes.check()?;
        Ok(changes)
    }

    /// Validates the bounds of every field.
    pub fn check(&self) -> Result<(), Mistakes> {
        let Some(kind) = builtin_kind(TICKET) else { return Ok(()) };
        let nothing = Value::Object(Map::new());
        kind.change(&nothing, self.0.clone(), Merge::Fields, Timestamp::default()).map(|_| ())
    }

    /// The same, and that every field that a new ticket requires is present.
    pub fn check_new(&self) -> Result<(), Mistakes> {
        let mut mistakes = self.check().err().unwrap_or_default();
        let made = builtin_kind(TICKET).map(|kind| kind.make(0, self.0.clone(), Timestamp::default()));
        let is_new = |one: &Mistake| mistakes.0.iter().all(|known| known.path != one.path);
        let more: Vec<Mistake> =
            made.and_then(Result::err).map_or_else(Vec::new, |found| found.0.into_iter().filter(is_new).collect());
        mistakes.0.extend(more);
        mistakes.check()
    }

    /// The fields, for a new ticket.
    pub fn into_fields(self) -> Map<String, Value> {
        self.0
    }
}

/// Validates a whole ticket, including the fields that the server sets.
pub fn check_ticket(ticket: &Map<String, Value>) -> Result<(), Mistakes> {
    builtin_kind(TICKET).map_or(Ok(()), |kind| kind.check_record(ticket))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn changes_set_clear_and_keep() {
        let now = Timestamp::from_millis(0);
        let kind = builtin_kind(TICKET).unwrap();
        let first = TicketChanges::from_value(&json!({"subject": "S", "urgency": "high", "sla_solution_time": 60}));
        let ticket = kind.make(1, first.unwrap().into_fields(), now).unwrap();
        assert_eq!((&ticket["status"], &ticket["urgency"]), (&json!("open"), &json!("high")));
        assert_eq!(ticket["custom_field_values"], json!([]), "what is not given is there all the same");
        let changes = TicketChanges::from_value(&json!({"status": "closed", "urgency": null})).unwrap();
        let ticket = kind.change(&ticket, changes.into_fields(), Merge::Fields, now).unwrap().unwrap();
        assert_eq!(
            json!([ticket["status"], ticket["urgency"], ticket["sla_solution_time"]]),
            json!(["closed", null, 60])
        );
    }

    #[test]
    fn a_user_is_a_person_who_is_an_agent() {
        let given = json!({"id": 5, "name": "Ada Lovelace", "email": "ada@example.com"});
        let user: User = serde_json::from_value(given).unwrap();
        let expected = json!({"id": "5", "person_type": 1, "profile_type": 1, "business_name": "Ada Lovelace",
            "email": "ada@example.com", "phone": null});
        assert_eq!(json!(Person::from(&user)), expected);
    }

    #[test]
    fn the_values_of_custom_fields_are_completed() {
        let fields = json!({"subject": "S", "custom_field_values": [{"custom_field_id": 1, "items": [{"team": "t"}]}]});
        let fields = TicketChanges::from_value(&fields).unwrap().into_fields();
        let ticket = builtin_kind(TICKET).unwrap().make(1, fields, Timestamp::default()).unwrap();
        assert_eq!(
            ticket["custom_field_values"],
            json!([{"custom_field_id": 1, "custom_field_rule_id": 0, "line": 0, "value": null, "items": [{
                "person_id": null, "client_id": null, "team": "t", "custom_field_item": null,
                "storage_file_guid": null, "file_name": null}]}])
        );
    }

    #[test]
    fn a_wrong_field_is_named() {
        for (value, path) in [
            (json!({"statsu": "x"}), "statsu"),
            (json!({"status": 1}), "status"),
            (json!({"status": " "}), "status"),
            (json!({"id": 1}), "id"),
            (json!({"custom_field_values": [{"custom_field_id": "x"}]}), "custom_field_values[0].custom_field_id"),
        ] {
            let mistakes = TicketChanges::from_value(&value).unwrap_err();
            assert_eq!(mistakes.0.iter().map(|mistake| mistake.path.as_str()).collect::<Vec<_>>(), [path]);
        }
        let several = TicketChanges(json!({"urgency": 1, "statsu": "x"}).as_object().unwrap().clone());
        let paths: Vec<String> = several.check_new().unwrap_err().0.into_iter().map(|mistake| mistake.path).collect();
        assert_eq!(paths.len(), 3, "the wrong type, the unknown field and the missing subject: {paths:?}");
        let missing = builtin_kind(TICKET).unwrap().make(1, Map::new(), Timestamp::default());
        assert_eq!(missing.unwrap_err().0[0].path, "subject");
    }
}
