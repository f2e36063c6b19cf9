//! Concurrency groups: how many runs of one automation may be in progress at a time.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::variables::{Names, Scope, check_names, mentions, render};
use crate::whole::whole;
use crate::{Event, Mistakes, SpaceId, Timestamp};

/// Limits concurrent runs with the same key. They run in the order of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object such as {\"key\": \"{{event.subject}}\", \"most\": 1}")]
pub struct Concurrency {
    /// The key of the concurrency group, with variables of the event.
    pub key: String,
    /// How many of them may be in progress, from 1.
    #[serde(default = "one", deserialize_with = "whole::<_, 1, MOST>")]
    pub most: u32,
}

fn one() -> u32 {
    1
}

/// The concurrency group of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane {
    /// The group's key.
    pub key: String,
    /// How many of its runs may be in progress.
    pub most: u32,
}

/// Maximum number of characters of a key. A longer one is truncated.
const KEY_CHARS: usize = 256;
const MOST: u32 = 1000;

impl Concurrency {
    /// The key of the event's group. A variable without a value makes it empty: such runs share one group.
    pub fn key_for(&self, event: &Event, space: &SpaceId) -> String {
        let mut scope = Scope::new(event, space, Timestamp::from_millis(0));
        if let Some(input) = event.data_value().get_mut("input") {
            scope.set_input(input.take());
        }
        let key = match render(&Value::from(self.key.as_str()), &scope) {
            Ok(Value::String(text)) => text,
            Ok(Value::Null) | Err(_) => String::new(),
            Ok(other) => other.to_string(),
        };
        key.chars().filter(|c| *c != '\0').take(KEY_CHARS).collect()
    }

    pub(crate) fn check(&self, names: Names<'_>, mistakes: &mut Mistakes) {
        let key = Value::from(self.key.as_str());
        if self.key.is_empty() || self.key.chars().count() > 1024 {
            mistakes.add("concurrency.key", "give 1 to 1024 characters, such as \"{{event.subject}}\"");
        }
        if let Some(root) = ["ticket", "record", "now"].iter().find(|root| mentions(&key, root)) {
            let message = format!("`{root}` is not known when the event is accepted: take what the event has");
            mistakes.add("concurrency.key", message);
        }
        mistakes.0.extend(check_names(&key, "concurrency.key", names));
        if !(1..=MOST).contains(&self.most) {
            mistakes.add("concurrency.most", format!("is {}: give 1 to {MOST}", self.most));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::EventDraft;

    #[test]
    fn a_key_is_rendered_from_the_event() {
        let data = json!({"id": 7, "long": "x".repeat(1000)});
        let event = EventDraft::json("a.b", "s", Some("ticket/7".to_owned()), &data, None)
            .accept(&SpaceId::main(), Timestamp::from_millis(0))
            .unwrap();
        for (template, key) in [
            ("{{event.subject}}", "ticket/7".to_owned()),
            ("{{event.data.id}}", "7".to_owned()),
            ("same for all", "same for all".to_owned()),
            ("{{event.data.none}}", String::new()),
            ("{{event.data.long}}", "x".repeat(256)),
        ] {
            let concurrency = Concurrency { key: template.to_owned(), most: 1 };
            assert_eq!(concurrency.key_for(&event, &SpaceId::main()), key, "{template}");
        }
    }

    #[test]
    fn a_key_that_is_not_known_in_time_is_refused() {
        for (key, most, path) in [
            ("", 1, "concurrency.key"),
            ("{{ticket.id}}", 1, "concurrency.key"),
            ("{{steps.a.result}}", 1, "concurrency.key"),
            ("{{event.id}}", 0, "concurrency.most"),
        ] {
            let mut mistakes = Mistakes::default();
            Concurrency { key: key.to_owned(), most }.check(Names::default(), &mut mistakes);
            assert_eq!(mistakes.0.iter().map(|m| m.path.as_str()).collect::<Vec<_>>(), [path], "{key}");
        }
    }
}
