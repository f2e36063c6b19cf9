//! Elements becoming JSON while they are read.

use serde_json::{Map, Value};

/// An element that is not closed yet.
pub(crate) struct Element {
    pub(crate) name: String,
    members: Map<String, Value>,
    text: String,
    /// Whether whitespace around its text stays.
    pub(crate) keeps_space: bool,
}

impl Element {
    pub(crate) fn new(name: &str, keeps_space: bool) -> Self {
        Self { name: name.to_owned(), members: Map::new(), text: String::new(), keeps_space }
    }

    pub(crate) fn set_attribute(&mut self, name: &str, value: &str) {
        self.members.insert(format!("@{name}"), value.into());
    }

    pub(crate) fn add_text(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Adds an element inside of this one.
    pub(crate) fn add_element(&mut self, name: String, value: Value, arrays: &[String]) {
        let is_list = arrays.contains(&name);
        match self.members.get_mut(&name) {
            // An element never becomes a list by itself, so a list that is there has the earlier ones.
            Some(Value::Array(before)) => before.push(value),
            Some(one) => {
                let first = one.take();
                *one = Value::Array(vec![first, value]);
            }
            None => {
                let value = if is_list { Value::Array(vec![value]) } else { value };
                self.members.insert(name, value);
            }
        }
    }

    /// The element as JSON.
    pub(crate) fn close(self) -> (String, Value) {
        let text = if self.keeps_space { self.text.as_str() } else { self.text.trim_matches(is_space) };
        if self.members.is_empty() {
            return (self.name, text.into());
        }
        let mut members = self.members;
        // Whitespace between elements lays a document out; it says nothing.
        if !text.trim_matches(is_space).is_empty() {
            members.insert("#text".into(), text.into());
        }
        (self.name, Value::Object(members))
    }
}

/// Whitespace of XML (XML 1.0, section 2.3).
pub(crate) fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r')
}
