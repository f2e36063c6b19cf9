//! Finds the validation errors of an object beyond the first one: the invalid part is removed, and the rest is
//! validated again. Errors that only follow from a removed part are not reported.

use std::collections::BTreeMap;

use PathPart::{Element, Member};
use hookwright_model::Mistake;
use serde_json::{Map, Value, json};

use crate::configuration::state::Section;

/// How often an object is validated again.
pub(crate) const MAX_ROUNDS: usize = 32;

/// How deep a removed part may be: `then[1].wait`.
const MAX_DEPTH: usize = 3;

/// The fields that name a step; the first one that it has counts.
const NAMING: [&str; 3] = ["name", "action", "transform"];

/// A name that is valid in every section.
const PLACEHOLDER: &str = "placeholder";

/// A part of a path, such as `then[1].wait`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum PathPart {
    Member(String),
    Element(usize),
}

/// An object of a document from which invalid parts are removed.
pub(crate) struct Mending {
    section: Section,
    item: Map<String, Value>,
    /// Paths of invalid parts, with the indexes of the document.
    broken: Vec<Vec<PathPart>>,
    /// Indexes in the document of elements that were removed from the list in a field, ascending.
    removed: BTreeMap<String, Vec<usize>>,
}

impl Mending {
    pub(crate) fn new(section: Section, item: Map<String, Value>) -> Self {
        Self { section, item, broken: Vec::new(), removed: BTreeMap::new() }
    }

    /// Replaces an invalid name, which was reported, with a valid one, so that the rest is validated.
    pub(crate) fn rename(&mut self) {
        self.broken.push(vec![Member("name".to_owned())]);
        self.item.insert("name".to_owned(), PLACEHOLDER.into());
    }

    /// The name of the object, whether valid or not.
    pub(crate) fn name(&self) -> Option<&Value> {
        self.item.get("name")
    }

    /// What is left of the object.
    pub(crate) fn item(&self) -> Map<String, Value> {
        self.item.clone()
    }

    /// Removes invalid parts. Returns those validation errors that do not follow from parts that were removed before,
    /// with their paths in the document, and whether there is more to validate.
    pub(crate) fn remove_invalid(&mut self, mistakes: Vec<Mistake>) -> (Vec<Mistake>, bool) {
        let (mut found, mut paths) = (Vec::new(), Vec::new());
        for Mistake { path, message } in mistakes {
            let path = self.in_document(&path);
            let parts = parts_of(&path);
            if !self.follows(&parts) {
                found.push(Mistake { path, message });
            }
            paths.push(parts);
        }
        let mut goes_on = false;
        for parts in paths {
            if self.remove(&parts) {
                goes_on = true;
            } else if !parts.is_empty() {
                self.broken.push(parts);
            }
        }
        (found, goes_on && !self.is_void())
    }

    /// Converts a path in the remaining object to a path in the document.
    fn in_document(&self, path: &str) -> String {
        let counted = path.split_once('[').and_then(|(field, rest)| {
            let (number, rest) = rest.split_once(']')?;
            let mut index = number.parse::<usize>().ok()?;
            for gone in self.removed.get(field)? {
                if *gone <= index {
                    index = index.saturating_add(1);
                }
            }
            Some(format!("{field}[{index}]{rest}"))
        });
        counted.unwrap_or_else(|| path.to_owned())
    }

    /// Whether an error at this path may be a consequence of a removed part.
    fn follows(&self, path: &[PathPart]) -> bool {
        let field = field_of(path);
        self.broken.iter().any(|broken| {
            let cause = field_of(broken);
            broken.starts_with(path) || path.starts_with(broken) || dependents(self.section, cause).contains(&field)
        })
    }

    /// Whether something is invalid without which nothing else can be validated.
    fn is_void(&self) -> bool {
        let decides = match self.section {
            Section::Plugins => "name",
            Section::Webhooks => "profile",
            Section::Sources => "kind",
            _ => return false,
        };
        self.broken.iter().any(|broken| field_of(broken) == decides)
    }

    /// Removes the part at a path, or its parent if the part was removed before.
    fn remove(&mut self, path: &[PathPart]) -> bool {
        for length in (1..=path.len().min(MAX_DEPTH)).rev() {
            let Some(target) = path.get(..length) else { continue };
            if !self.broken.iter().any(|broken| broken == target) && self.cut(target) {
                self.broken.push(target.to_vec());
                return true;
            }
        }
        false
    }

    fn cut(&mut self, target: &[PathPart]) -> bool {
        match target {
            [Member(field)] => match placeholder(self.section, field) {
                Some(value) => {
                    self.item.insert(field.clone(), value);
                    self.removed.remove(field);
                    true
                }
                None => self.item.shift_remove(field).is_some(),
            },
            [Member(field), Member(name)] => {
                let inside = self.item.get_mut(field).and_then(Value::as_object_mut);
                inside.is_some_and(|inside| inside.shift_remove(name).is_some())
            }
            [Member(field), Element(index)] => {
                let Some(place) = self.place_of(field, *index) else { return false };
                let Some(list) = self.item.get_mut(field).and_then(Value::as_array_mut) else { return false };
                let Some(element) = list.get_mut(place) else { return false };
                if holds_steps(field) {
                    *element = waiting(element);
                    return true;
                }
                list.remove(place);
                let removed = self.removed.entry(field.clone()).or_default();
                removed.push(*index);
                removed.sort_unstable();
                true
            }
            // The name of a step must stay known, because later steps may refer to it.
            [Member(field), Element(_), Member(name)] if holds_steps(field) && NAMING.contains(&name.as_str()) => false,
            [Member(field), Element(index), Member(name)] => {
                let Some(place) = self.place_of(field, *index) else { return false };
                let list = self.item.get_mut(field).and_then(Value::as_array_mut);
                let inside = list.and_then(|list| list.get_mut(place)).and_then(Value::as_object_mut);
                inside.is_some_and(|inside| inside.shift_remove(name).is_some())
            }
            _ => false,
        }
    }

    /// The present index of an element of a list. `None`: it was removed.
    fn place_of(&self, field: &str, index: usize) -> Option<usize> {
        let removed = self.removed.get(field).map(Vec::as_slice).unwrap_or_default();
        if removed.contains(&index) {
            return None;
        }
        index.checked_sub(removed.iter().filter(|gone| **gone < index).count())
    }
}

fn parts_of(path: &str) -> Vec<PathPart> {
    let mut parts = Vec::new();
    for piece in path.split('.') {
        let (name, elements) = piece.split_once('[').unwrap_or((piece, ""));
        if !name.is_empty() {
            parts.push(Member(name.to_owned()));
        }
        let numbers = elements.split('[').filter_map(|number| number.trim_end_matches(']').parse().ok());
        parts.extend(numbers.map(Element));
    }
    parts
}

fn field_of(path: &[PathPart]) -> &str {
    match path.first() {
        Some(Member(field)) => field,
        _ => "",
    }
}

fn holds_steps(field: &str) -> bool {
    ["then", "steps"].contains(&field)
}

/// A step that does nothing, in place of one with the same name.
fn waiting(step: &Value) -> Value {
    let name = NAMING.iter().find_map(|field| step.get(*field).and_then(Value::as_str));
    json!({"wait": {"seconds": 0}, "name": name.unwrap_or("wait")})
}

/// A valid value for a required field.
fn placeholder(section: Section, field: &str) -> Option<Value> {
    match (section, field) {
        (Section::Automations, "then") | (Section::Workflows, "steps") => Some(json!([waiting(&Value::Null)])),
        (Section::Automations, "on") | (Section::Webhooks, "events") => Some(json!([PLACEHOLDER])),
        (Section::Webhooks, "url") => Some("https://placeholder.example/".into()),
        (Section::WebhookPolicies, "signing") => Some(json!({"kind": "standard"})),
        (Section::Keys, "role") => Some("viewer".into()),
        (Section::Kinds, "fields") => Some(json!({})),
        (_, "name") => Some(PLACEHOLDER.into()),
        _ => None,
    }
}

/// The fields whose validation is meaningless once a field was removed.
fn dependents(section: Section, field: &str) -> &'static [&'static str] {
    match (section, field) {
        (Section::Webhooks, "event" | "events") => &["event", "events", "embed"],
        (Section::Webhooks, "transform") => &["with"],
        (Section::Webhooks, "signing") => &["secret", "secret_name", "handshake"],
        (Section::Webhooks, "policy") => &["signing", "handshake"],
        (Section::WebhookPolicies, "signing") => &["secret", "secret_name"],
        (Section::Schedules, "cron" | "every_seconds" | "timezone") => &["cron", "every_seconds", "timezone"],
        (Section::Schedules, "type" | "workflow" | "for_each") => &["type", "data", "for_each", "workflow", "input"],
        (Section::EventTypes, "schema") => &["example", "strict"],
        (Section::Kinds, "fields") => {
            &["created", "updated", "stage", "status", "closed", "completed", "verbs", "example"]
        }
        (Section::Plugins, "name" | "digest" | "policy") => &["digest", "policy"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mending(section: Section, item: &Value) -> Mending {
        Mending::new(section, item.as_object().unwrap().clone())
    }

    /// Removes the parts at these paths; returns the paths that are reported.
    fn round(mending: &mut Mending, paths: &[&str]) -> Vec<String> {
        let (found, goes_on) =
            mending.remove_invalid(paths.iter().map(|path| Mistake::new(*path, "is wrong")).collect());
        assert!(goes_on, "{paths:?}");
        found.into_iter().map(|mistake| mistake.path).collect()
    }

    #[test]
    fn an_invalid_step_is_replaced_and_consequential_errors_are_not_reported() {
        let item = json!({"name": "a", "on": ["x"], "then": [
            {"action": "a", "on_error": 5}, {"wait": 5, "name": "pause"}, {"action": "none"}]});
        let mut mending = mending(Section::Automations, &item);
        assert_eq!(round(&mut mending, &["then[0].on_error"]), ["then[0].on_error"]);
        assert_eq!(mending.item()["then"][0], json!({"action": "a"}));
        assert_eq!(round(&mut mending, &["then[1].wait"]), ["then[1].wait"]);
        assert_eq!(round(&mut mending, &["then[1]"]), Vec::<String>::new());
        assert_eq!(round(&mut mending, &["then[2].action"]), ["then[2].action"]);
        assert_eq!(mending.item()["then"][1], json!({"wait": {"seconds": 0}, "name": "pause"}));
        assert_eq!(mending.item()["then"][2], json!({"wait": {"seconds": 0}, "name": "none"}));
    }

    #[test]
    fn paths_use_the_list_indexes_of_the_document() {
        let mut mending = mending(Section::Automations, &json!({"name": "a", "on": [1, "x", 2, "y..z"]}));
        assert_eq!(round(&mut mending, &["on[0]"]), ["on[0]"]);
        assert_eq!(round(&mut mending, &["on[1]"]), ["on[2]"]);
        assert_eq!(round(&mut mending, &["on[1]"]), ["on[3]"]);
        assert_eq!(mending.item()["on"], json!(["x"]));
    }

    #[test]
    fn required_fields_are_replaced_by_placeholders_and_the_loop_ends() {
        let mut mending = mending(Section::Keys, &json!({"name": "k", "role": 5, "rolle": "x"}));
        assert_eq!(round(&mut mending, &["rolle"]), ["rolle"]);
        assert_eq!(round(&mut mending, &["role"]), ["role"]);
        assert_eq!(Value::Object(mending.item()), json!({"name": "k", "role": "viewer"}));
        let (found, goes_on) = mending.remove_invalid(vec![Mistake::new("role", "again"), Mistake::new("", "whole")]);
        assert_eq!((found.len(), goes_on), (0, false));
    }

    #[test]
    fn an_invalid_name_is_replaced_so_that_the_rest_is_validated() {
        let item = json!({"name": "A b", "steps": 5, "colour": "red"});
        let mut named = mending(Section::Workflows, &item);
        assert_eq!(round(&mut named, &["name"]), ["name"]);
        assert_eq!(named.item()["name"], PLACEHOLDER);
        assert_eq!(round(&mut named, &["name", "steps", "colour"]), ["steps", "colour"]);
        let mut unnamed = mending(Section::Kinds, &json!({"fields": {"a": {"type": "text"}, "b": {"min": "x"}}}));
        unnamed.rename();
        assert_eq!(round(&mut unnamed, &["name", "fields.a.type"]), ["fields.a.type"]);
        assert_eq!(round(&mut unnamed, &["verbs.moved", "fields.b.min", "noun"]), ["fields.b.min", "noun"]);
        assert_eq!(Value::Object(unnamed.item()), json!({"fields": {}, "name": PLACEHOLDER}));
    }

    #[test]
    fn an_error_skips_only_the_checks_that_depend_on_its_field() {
        let item = json!({"name": "s", "cron": 5, "workflow": "w"});
        let mut mending = mending(Section::Schedules, &item);
        assert_eq!(round(&mut mending, &["cron"]), ["cron"]);
        assert_eq!(round(&mut mending, &["every_seconds", "workflow"]), ["workflow"]);
    }
}
