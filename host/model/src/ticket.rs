use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Mistake, Timestamp};

/// The kind under which tickets are stored.
pub const TICKET: &str = "ticket";

/// A ticket, with the fields of the support service's ticket packet (R2.2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ticket {
    /// Counted from 1 in each space.
    pub id: u64,
    /// One line.
    pub subject: String,
    /// Free text; `open` unless said otherwise.
    pub status: String,
    /// Why it has that status.
    #[serde(default)]
    pub justification: Option<String>,
    /// Free text, such as `high`.
    #[serde(default)]
    pub urgency: Option<String>,
    /// The first level of the service it belongs to.
    #[serde(default)]
    pub service_first_level: Option<String>,
    /// Minutes until it must be solved.
    #[serde(default)]
    pub sla_solution_time: Option<i64>,
    /// Fields that the space has added.
    #[serde(default)]
    pub custom_field_values: Vec<CustomFieldValue>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it, or its notes, last changed.
    pub updated_at: Timestamp,
}

/// The value of a field that a space has added to its tickets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomFieldValue {
    /// Which field.
    pub custom_field_id: i64,
    /// The rule by which it is shown.
    #[serde(default)]
    pub custom_field_rule_id: i64,
    /// Which line, for fields with several.
    #[serde(default)]
    pub line: i64,
    /// The value as text.
    #[serde(default)]
    pub value: Option<String>,
    /// The chosen items, for fields that are lists.
    #[serde(default)]
    pub items: Vec<CustomFieldItem>,
}

/// One chosen item of a field that is a list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CustomFieldItem {
    /// A person's id.
    pub person_id: Option<String>,
    /// A client's id.
    pub client_id: Option<String>,
    /// A team's name.
    pub team: Option<String>,
    /// The chosen entry.
    pub custom_field_item: Option<String>,
    /// A stored file's id.
    pub storage_file_guid: Option<String>,
    /// A stored file's name.
    pub file_name: Option<String>,
}

/// A note on a ticket; an `Action` in the words of the ticket packet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// Counted from 1 in each space.
    pub id: u64,
    /// Plain text.
    pub text: String,
    /// The same in HTML, if it was given so.
    #[serde(default)]
    pub html: Option<String>,
    /// Whether the requester sees it.
    #[serde(default)]
    pub public: bool,
    /// Files that came with it.
    #[serde(default)]
    pub attachments: Vec<Attachment>,
    /// Who wrote it.
    #[serde(default)]
    pub author: Option<String>,
    /// When it was added.
    pub created_at: Timestamp,
}

/// A file that came with a note.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    /// Its name.
    pub file_name: String,
    /// Where it lies.
    #[serde(default)]
    pub path: String,
    /// Who attached it.
    #[serde(default)]
    pub created_by: Option<Person>,
    /// When.
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

/// What a caller may set on a ticket; what is absent keeps its value, `null` clears what may be empty.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TicketChanges {
    /// See [`Ticket::subject`].
    pub subject: Option<String>,
    /// See [`Ticket::status`].
    pub status: Option<String>,
    /// See [`Ticket::justification`].
    #[serde(default, deserialize_with = "given")]
    pub justification: Option<Option<String>>,
    /// See [`Ticket::urgency`].
    #[serde(default, deserialize_with = "given")]
    pub urgency: Option<Option<String>>,
    /// See [`Ticket::service_first_level`].
    #[serde(default, deserialize_with = "given")]
    pub service_first_level: Option<Option<String>>,
    /// See [`Ticket::sla_solution_time`].
    #[serde(default, deserialize_with = "given")]
    pub sla_solution_time: Option<Option<i64>>,
    /// See [`Ticket::custom_field_values`].
    pub custom_field_values: Option<Vec<CustomFieldValue>>,
}

fn given<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Some)
}

impl TicketChanges {
    /// Reads them from a JSON object.
    pub fn from_value(value: &Value) -> Result<Self, Mistake> {
        let changes: Self = serde_path_to_error::deserialize(value).map_err(|error| {
            let path = error.path().to_string();
            Mistake::new(if path == "." { String::new() } else { path }, error.inner().to_string())
        })?;
        changes.check()?;
        Ok(changes)
    }

    /// Checks the bounds of every field.
    pub fn check(&self) -> Result<(), Mistake> {
        let texts = [
            ("subject", self.subject.as_deref(), 1024, true),
            ("status", self.status.as_deref(), 128, true),
            ("justification", flat(self.justification.as_ref()), 1024, false),
            ("urgency", flat(self.urgency.as_ref()), 128, false),
            ("service_first_level", flat(self.service_first_level.as_ref()), 1024, false),
        ];
        for (name, text, most, needed) in texts {
            let Some(text) = text else { continue };
            if needed && text.trim().is_empty() {
                return Err(Mistake::new(name, "is empty: give it at least one character"));
            }
            if text.len() > most {
                return Err(Mistake::new(name, format!("has {} bytes: at most {most}", text.len())));
            }
        }
        match &self.custom_field_values {
            Some(values) if values.len() > 500 => {
                Err(Mistake::new("custom_field_values", format!("{} values: at most 500", values.len())))
            }
            _ => Ok(()),
        }
    }

    /// A new ticket with these fields.
    pub fn create(self, id: u64, now: Timestamp) -> Result<Ticket, Mistake> {
        let Some(subject) = self.subject.clone() else {
            return Err(Mistake::new("subject", "is missing: every ticket has a subject"));
        };
        let mut ticket = Ticket {
            id,
            subject,
            status: "open".to_owned(),
            justification: None,
            urgency: None,
            service_first_level: None,
            sla_solution_time: None,
            custom_field_values: Vec::new(),
            created_at: now,
            updated_at: now,
        };
        self.apply(&mut ticket);
        Ok(ticket)
    }

    /// Sets them on `ticket`.
    pub fn apply(self, ticket: &mut Ticket) {
        set(&mut ticket.subject, self.subject);
        set(&mut ticket.status, self.status);
        set(&mut ticket.justification, self.justification);
        set(&mut ticket.urgency, self.urgency);
        set(&mut ticket.service_first_level, self.service_first_level);
        set(&mut ticket.sla_solution_time, self.sla_solution_time);
        set(&mut ticket.custom_field_values, self.custom_field_values);
    }
}

fn flat(text: Option<&Option<String>>) -> Option<&str> {
    text.and_then(|inner| inner.as_deref())
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn changes_set_clear_and_keep() {
        let now = Timestamp::from_millis(0);
        let first = TicketChanges::from_value(&json!({"subject": "S", "urgency": "high", "sla_solution_time": 60}));
        let mut ticket = first.unwrap().create(1, now).unwrap();
        assert_eq!((ticket.status.as_str(), ticket.urgency.as_deref()), ("open", Some("high")));
        TicketChanges::from_value(&json!({"status": "closed", "urgency": null})).unwrap().apply(&mut ticket);
        assert_eq!((ticket.status.as_str(), ticket.urgency, ticket.sla_solution_time), ("closed", None, Some(60)));
    }

    #[test]
    fn a_wrong_field_is_named() {
        for (value, path) in [
            (json!({"statsu": "x"}), "statsu"),
            (json!({"status": 1}), "status"),
            (json!({"status": " "}), "status"),
            (json!({"custom_field_values": [{"custom_field_id": "x"}]}), "custom_field_values[0].custom_field_id"),
        ] {
            assert_eq!(TicketChanges::from_value(&value).unwrap_err().path, path);
        }
        assert_eq!(TicketChanges::default().create(1, Timestamp::default()).unwrap_err().path, "subject");
    }
}
