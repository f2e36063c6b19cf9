use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A pattern of event types: words joined by dots, where `*` matches one word, or all that follow if it is the last.
/// `jira.*` matches `jira.issue.closed`, `github.*.opened` matches `github.issues.opened`, `*` matches everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EventPattern(String);

impl EventPattern {
    /// The pattern as a string.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the pattern matches an event type.
    pub fn takes(&self, event_type: &str) -> bool {
        let mut words = event_type.split('.');
        let mut parts = self.0.split('.').peekable();
        while let Some(part) = parts.next() {
            match words.next() {
                None => return false,
                Some(_) if part == "*" && parts.peek().is_none() => return true,
                Some(word) if part == "*" || part == word => {}
                Some(_) => return false,
            }
        }
        words.next().is_none()
    }
}

impl FromStr for EventPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let shown = || crate::abridged(text);
        if text.is_empty() || text.len() > 256 {
            return Err(format!("`{}` is not a valid event type: give 1 to 256 characters", shown()));
        }
        for part in text.split('.') {
            if part.is_empty() {
                return Err(format!("`{}` has an empty word: write words joined by single dots", shown()));
            }
            if part != "*" && part.contains('*') {
                return Err(format!("`{}`: `*` must be a whole word, as in `jira.*`", shown()));
            }
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(format!("`{}` has a blank: event types have none", shown()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for EventPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for EventPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for EventPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Finds the items whose patterns match a type. The time depends on the words of the type, not on the number of
/// patterns.
#[derive(Clone, Debug)]
pub struct PatternIndex<T> {
    root: Node<T>,
}

#[derive(Clone, Debug)]
struct Node<T> {
    words: HashMap<Box<str>, Node<T>>,
    any: Option<Box<Node<T>>>,
    /// Patterns that end here.
    exact: Vec<T>,
    /// Patterns that end here with `*`.
    rest: Vec<T>,
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self { words: HashMap::new(), any: None, exact: Vec::new(), rest: Vec::new() }
    }
}

impl<T> Default for PatternIndex<T> {
    fn default() -> Self {
        Self { root: Node::default() }
    }
}

impl<T: Clone + Ord> PatternIndex<T> {
    /// Adds `item` under `pattern`.
    pub fn insert(&mut self, pattern: &EventPattern, item: T) {
        let mut node = &mut self.root;
        let mut parts = pattern.0.split('.').peekable();
        while let Some(part) = parts.next() {
            if part == "*" {
                if parts.peek().is_none() {
                    node.rest.push(item);
                    return;
                }
                node = node.any.get_or_insert_with(Box::default);
            } else {
                node = node.words.entry(part.into()).or_default();
            }
        }
        node.exact.push(item);
    }

    /// Removes `item` from under `pattern`.
    pub fn remove(&mut self, pattern: &EventPattern, item: &T) {
        let parts: Vec<&str> = pattern.0.split('.').collect();
        prune(&mut self.root, &parts, item);
    }

    /// The items that match `event_type`, each once, in order.
    pub fn find(&self, event_type: &str) -> Vec<T> {
        let mut found = Vec::new();
        collect(&self.root, event_type.split('.'), &mut found);
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// Removes `item` along the path. Returns whether `node` is empty then.
fn prune<T: Ord>(node: &mut Node<T>, parts: &[&str], item: &T) -> bool {
    match parts {
        [] => node.exact.retain(|other| other != item),
        ["*"] => node.rest.retain(|other| other != item),
        ["*", rest @ ..] => {
            if node.any.as_deref_mut().is_some_and(|next| prune(next, rest, item)) {
                node.any = None;
            }
        }
        [word, rest @ ..] => {
            if node.words.get_mut(*word).is_some_and(|next| prune(next, rest, item)) {
                node.words.remove(*word);
            }
        }
    }
    node.words.is_empty() && node.any.is_none() && node.exact.is_empty() && node.rest.is_empty()
}

fn collect<T: Clone>(node: &Node<T>, mut words: std::str::Split<'_, char>, found: &mut Vec<T>) {
    let Some(word) = words.next() else {
        found.extend_from_slice(&node.exact);
        return;
    };
    found.extend_from_slice(&node.rest);
    if let Some(next) = node.words.get(word) {
        collect(next, words.clone(), found);
    }
    if let Some(next) = &node.any {
        collect(next, words, found);
    }
}

#[cfg(test)]
pub(crate) mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[(&str, &str, bool)] = &[
        ("jira.ticket_completed", "jira.ticket_completed", true),
        ("jira.*", "jira.ticket_completed", true),
        ("jira.*", "jira.issue.closed", true),
        ("jira.*", "jira", false),
        ("jira.*", "jirax.issue", false),
        ("*", "anything.at.all", true),
        ("*", "party/created", true),
        ("github.*.opened", "github.issues.opened", true),
        ("github.*.opened", "github.issues.closed", false),
        ("github.*.opened", "github.opened", false),
        ("a.b", "a.b.c", false),
        ("*.created", "ticket.created", true),
    ];

    #[test]
    fn the_index_agrees_with_the_pattern() {
        for (pattern, event_type, takes) in TABLE {
            let pattern: EventPattern = pattern.parse().unwrap();
            assert_eq!(pattern.takes(event_type), *takes, "{pattern} {event_type}");
            let mut index = PatternIndex::default();
            index.insert(&pattern, 1);
            index.insert(&pattern, 1);
            assert_eq!(index.find(event_type), if *takes { vec![1] } else { vec![] }, "{pattern} {event_type}");
            index.remove(&pattern, &1);
            assert!(index.find(event_type).is_empty() && index.root.words.is_empty(), "{pattern}");
        }
    }

    #[test]
    fn a_pattern_that_cannot_be_meant_is_refused() {
        for text in ["", "a..b", ".", "ji*", "a b", &"x".repeat(257)] {
            assert!(text.parse::<EventPattern>().is_err(), "{text}");
        }
    }
}
