//! Proposes an automation for a received event, ready to be saved: for providers without a source plugin.

use serde_json::{Map, Value, json};

use crate::request::begin;
use crate::{Event, EventPattern};

/// Names of fields that describe what happened, the most specific first. Compared without `_`, `-` and case.
const TELLING: [&str; 20] = [
    "eventtype",
    "eventname",
    "event",
    "type",
    "action",
    "objectkind",
    "topic",
    "kind",
    "trigger",
    "method",
    "command",
    "operation",
    "name",
    "status",
    "state",
    "object",
    "category",
    "level",
    "severity",
    "priority",
];
/// Maximum number of conditions.
const MOST_CONDITIONS: usize = 3;
/// Maximum number of fields that the step passes on.
const MOST_FIELDS: usize = 10;
/// Maximum depth and number of the fields that are searched.
const DEEPEST: usize = 4;
const MOST_SEEN: usize = 500;
/// Maximum length in bytes of a string that is compared.
const LONGEST: usize = 100;

/// The body of `POST /v1/automations` for an automation that matches events such as this one: conditions on the fields
/// that describe what happened, and one step without side effects, which emits `noticed.TYPE` with the event's data.
pub fn proposed_automation(event: &Event) -> Value {
    let data = event.data_value();
    let mut found = Vec::new();
    scalars(&data, &mut Vec::new(), &mut found);
    let mut telling: Vec<(usize, &Vec<String>, &Value)> = found
        .iter()
        .filter_map(|(path, value)| {
            let name = path.last()?.replace(['_', '-'], "").to_ascii_lowercase();
            let rank = TELLING.iter().position(|known| *known == name)?;
            let says = match value {
                Value::String(text) => !text.is_empty() && text.len() <= LONGEST && !text.contains(char::is_control),
                Value::Bool(_) => true,
                _ => false,
            };
            says.then_some((
                path.len().saturating_sub(1).saturating_mul(TELLING.len()).saturating_add(rank),
                path,
                value,
            ))
        })
        .collect();
    telling.sort_by_key(|(rank, ..)| *rank);
    telling.truncate(MOST_CONDITIONS);
    let condition =
        |path: String, value: &Value| json!({"condition": "match", "with": {"path": path, "equals": value}});
    let mut all = vec![condition("event.source".to_owned(), &event.source.as_str().into())];
    let is_pattern = event.event_type.parse::<EventPattern>().is_ok() && !event.event_type.contains('*');
    let on = if is_pattern { event.event_type.as_str() } else { "*" };
    if !is_pattern {
        all.push(condition("event.type".to_owned(), &event.event_type.as_str().into()));
    }
    all.extend(telling.iter().map(|(_, path, value)| condition(format!("data.{}", path.join(".")), value)));
    let mut passed = Map::new();
    passed.insert("event".to_owned(), "{{event.id}}".into());
    for (path, _) in found.iter().take(MOST_FIELDS) {
        passed.insert(path.join("_"), format!("{{{{event.data.{}}}}}", path.join(".")).into());
    }
    if found.is_empty() {
        passed.insert("data".to_owned(), "{{event.data}}".into());
    }
    let mut with = json!({"type": begin(&format!("noticed.{}", event.event_type), 256), "data": passed});
    if let (Some(_), Some(with)) = (&event.subject, with.as_object_mut()) {
        with.insert("subject".to_owned(), "{{event.subject}}".into());
    }
    let values = telling.iter().map(|(_, _, value)| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    let name: Vec<String> = std::iter::once(format!("{}: {}", event.source, event.event_type)).chain(values).collect();
    json!({
        "name": begin(&name.join(" "), 200),
        "on": [on],
        "when": {"all": all},
        "then": [{"action": "event-emit", "with": with}],
        "enabled": true,
    })
}

/// Strings, numbers and booleans in objects whose names can be written in a path without brackets.
fn scalars(value: &Value, path: &mut Vec<String>, found: &mut Vec<(Vec<String>, Value)>) {
    let is_plain = |name: &str| {
        let mut letters = name.chars();
        letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
            && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
            && name.len() <= LONGEST
    };
    for (name, value) in value.as_object().into_iter().flatten().filter(|(name, _)| is_plain(name)) {
        if found.len() >= MOST_SEEN {
            return;
        }
        path.push(name.clone());
        match value {
            Value::Object(_) if path.len() < DEEPEST => scalars(value, path, found),
            Value::String(_) | Value::Number(_) | Value::Bool(_) => found.push((path.clone(), value.clone())),
            _ => {}
        }
        path.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AutomationInput, EventDraft, SpaceId, Timestamp};

    fn proposed(event_type: &str, data: &Value) -> Value {
        let draft = EventDraft::json(event_type, "CRM, new", None, data, None);
        let event = draft.accept(&SpaceId::main(), Timestamp::from_millis(0)).unwrap();
        let proposal = proposed_automation(&event);
        serde_json::from_value::<AutomationInput>(proposal.clone()).unwrap();
        proposal
    }

    #[test]
    fn specific_fields_become_conditions_and_present_fields_are_passed_on() {
        let data = json!({"id": 7, "Event-Name": "x", "action": "opened", "issue": {"state": "open", "title": "T",
            "user": {"name": "ann", "deep": {"name": "ann"}}}, "labels": ["a"], "status": "A\nB", "a.b": 1});
        let proposal = proposed("inbox.received", &data);
        let condition =
            |path: &str, value: &str| json!({"condition": "match", "with": {"path": path, "equals": value}});
        assert_eq!(
            proposal,
            json!({
                "name": "CRM, new: inbox.received opened open ann", "on": ["inbox.received"],
                "when": {"all": [
                    condition("event.source", "CRM, new"), condition("data.action", "opened"),
                    condition("data.issue.state", "open"), condition("data.issue.user.name", "ann"),
                ]},
                "then": [{"action": "event-emit", "with": {"type": "noticed.inbox.received", "data": {
                    "event": "{{event.id}}", "id": "{{event.data.id}}", "action": "{{event.data.action}}",
                    "issue_state": "{{event.data.issue.state}}", "issue_title": "{{event.data.issue.title}}",
                    "issue_user_name": "{{event.data.issue.user.name}}",
                    "issue_user_deep_name": "{{event.data.issue.user.deep.name}}",
                    "status": "{{event.data.status}}"}}}],
                "enabled": true,
            })
        );
    }

    #[test]
    fn an_event_without_specific_fields_still_makes_an_automation() {
        for data in [json!("text"), json!([1]), json!({}), json!(null), json!({"x y": 1})] {
            let proposal = proposed("a", &data);
            assert_eq!(proposal["when"]["all"].as_array().unwrap().len(), 1, "{proposal}");
            assert_eq!(proposal["then"][0]["with"]["data"]["data"], "{{event.data}}");
        }
        let odd = proposed("a b*", &json!({"type": "t"}));
        assert_eq!((&odd["on"], odd["when"]["all"].as_array().unwrap().len()), (&json!(["*"]), 3));
        let wide: Map<String, Value> = (0..5000).map(|n| (format!("f{n}"), n.into())).collect();
        assert_eq!(proposed("a", &wide.into())["then"][0]["with"]["data"].as_object().unwrap().len(), 11);
    }
}
