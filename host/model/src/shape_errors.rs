//! All errors in the shape of a JSON text at once: values of a wrong type, unknown fields and missing ones.
//!
//! A deserializer stops at the first error. So the part at which it stopped is removed, or a missing value is inserted,
//! and the rest is parsed again. Errors that only follow from such a change are not reported.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::{Mistake, Mistakes};

/// Maximum number of times that the text is parsed again, which is the maximum number of errors.
const MAX_ROUNDS: usize = 64;
/// Maximum number of bytes that are parsed again. It bounds the work that a caller can cause to milliseconds.
const MAX_READ: usize = 1024 * 1024;

/// The prefixes of the library's messages about fields.
const MISSING: &str = "missing field `";
const UNKNOWN: &str = "unknown field `";

/// A part of a path, such as `then[1].wait`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PathPart {
    /// A member of an object.
    Member(String),
    /// An element of a list, counted from 0.
    Element(usize),
}

use PathPart::{Element, Member};

/// An error of a deserializer.
#[derive(Debug)]
pub(crate) struct Fault {
    /// The path, with indices in the parsed text.
    pub(crate) path: Vec<PathPart>,
    /// The reason.
    pub(crate) message: String,
}

/// The errors in `bytes`, at most [`MAX_ROUNDS`] of them and fewer in a large text. The deserializer reported `first`;
/// `again` returns what it reports for another text.
pub(crate) fn all(bytes: &[u8], first: Fault, again: impl Fn(&[u8]) -> Option<Fault>) -> Mistakes {
    let mut found = Mistakes::default();
    let rounds = MAX_READ.checked_div(bytes.len()).unwrap_or(MAX_ROUNDS).min(MAX_ROUNDS);
    if rounds == 0 {
        found.add(text_of(&first.path), first.message);
        return found;
    }
    let Ok(whole) = serde_json::from_slice::<Value>(bytes) else {
        found.add(text_of(&first.path), first.message);
        return found;
    };
    let mut rest = Rest { whole: Part::new(whole), broken: Vec::new(), substitutes: Vec::new() };
    let mut fault = Some(first);
    for round in 1..=rounds {
        let Some(next) = fault.take() else { break };
        let (mistake, goes_on) = rest.take_out(next);
        found.0.extend(mistake);
        if !goes_on || round == rounds {
            break;
        }
        let mut text = String::new();
        rest.whole.write(&mut text);
        fault = again(text.as_bytes());
    }
    found
}

/// JSON from which parts are removed. Elements of lists keep the indices that they have in the text.
enum Part {
    Leaf(Value),
    List(Vec<(usize, Part)>),
    Object(Vec<(String, Part)>),
}

impl Part {
    fn new(value: Value) -> Self {
        match value {
            Value::Array(items) => Self::List(items.into_iter().map(Self::new).enumerate().collect()),
            Value::Object(members) => {
                Self::Object(members.into_iter().map(|(name, member)| (name, Self::new(member))).collect())
            }
            leaf => Self::Leaf(leaf),
        }
    }

    fn write(&self, text: &mut String) {
        match self {
            Self::Leaf(value) => text.push_str(&value.to_string()),
            Self::List(items) => {
                text.push('[');
                for (place, (_, item)) in items.iter().enumerate() {
                    text.push_str(if place > 0 { "," } else { "" });
                    item.write(text);
                }
                text.push(']');
            }
            Self::Object(members) => {
                text.push('{');
                for (place, (name, member)) in members.iter().enumerate() {
                    text.push_str(if place > 0 { "," } else { "" });
                    text.push_str(&Value::from(name.as_str()).to_string());
                    text.push(':');
                    member.write(text);
                }
                text.push('}');
            }
        }
    }

    fn inner(&self, part: &PathPart) -> Option<&Self> {
        match (self, part) {
            (Self::List(items), Element(index)) => items.iter().find(|(place, _)| place == index).map(|(_, item)| item),
            (Self::Object(members), Member(name)) => {
                members.iter().find(|(known, _)| known == name).map(|(_, member)| member)
            }
            _ => None,
        }
    }

    fn at(&self, path: &[PathPart]) -> Option<&Self> {
        path.iter().try_fold(self, |outer, part| outer.inner(part))
    }

    fn at_mut(&mut self, path: &[PathPart]) -> Option<&mut Self> {
        let Some((part, rest)) = path.split_first() else { return Some(self) };
        let inner = match (self, part) {
            (Self::List(items), Element(index)) => {
                items.iter_mut().find(|(place, _)| place == index).map(|(_, item)| item)
            }
            (Self::Object(members), Member(name)) => {
                members.iter_mut().find(|(known, _)| known == name).map(|(_, member)| member)
            }
            _ => None,
        };
        inner?.at_mut(rest)
    }

    /// Removes the part at a path. False: it does not exist, or is the whole.
    fn remove(&mut self, path: &[PathPart]) -> bool {
        let Some((last, outer)) = path.split_last() else { return false };
        match (self.at_mut(outer), last) {
            (Some(Self::List(items)), Element(index)) => {
                let before = items.len();
                items.retain(|(place, _)| place != index);
                items.len() < before
            }
            (Some(Self::Object(members)), Member(name)) => {
                let before = members.len();
                members.retain(|(known, _)| known != name);
                members.len() < before
            }
            _ => false,
        }
    }

    /// Sets a member of an object. False: there is no such object.
    fn put(&mut self, path: &[PathPart], value: Value) -> bool {
        let Some((Member(name), outer)) = path.split_last() else { return false };
        let Some(Self::Object(members)) = self.at_mut(outer) else { return false };
        members.retain(|(known, _)| known != name);
        members.push((name.clone(), Self::new(value)));
        true
    }
}

/// The remainder of a JSON text.
struct Rest {
    whole: Part,
    /// Paths of removed and inserted parts, with indices of the original text.
    broken: Vec<Vec<PathPart>>,
    /// Paths of inserted values, each with the number of the value that is tried there.
    substitutes: Vec<(Vec<PathPart>, usize)>,
}

impl Rest {
    /// Removes the part at which the deserializer stopped. Returns the error, unless it follows from an earlier one,
    /// and whether the rest can be parsed again.
    fn take_out(&mut self, Fault { path, message }: Fault) -> (Option<Mistake>, bool) {
        let mut path = self.in_text(path);
        if let Some(name) = named(&message, MISSING) {
            path.push(Member(name.to_owned()));
            let mistake = (!self.follows(&path)).then(|| Mistake::new(text_of(&path), "is missing"));
            let goes_on = self.put_in(path);
            return (mistake, goes_on);
        }
        // An object whose form is decided by one of its members is reported as a whole.
        if let Some(inner) = named(&message, UNKNOWN).map(|name| Member(name.to_owned()))
            && path.last() != Some(&inner)
            && self.whole.at(&path).is_some_and(|object| object.inner(&inner).is_some())
        {
            path.push(inner);
        }
        if let Some(place) = self.substitutes.iter().rposition(|(known, _)| path.starts_with(known)) {
            return (None, self.put_in_another(place, &message));
        }
        let mistake = (!self.follows(&path)).then(|| Mistake::new(text_of(&path), message));
        let goes_on = self.remove(path);
        (mistake, goes_on)
    }

    /// Translates a path in the remainder to one in the original text.
    fn in_text(&self, path: Vec<PathPart>) -> Vec<PathPart> {
        let mut at = Some(&self.whole);
        let mut translated = Vec::with_capacity(path.len());
        for part in path {
            let part = match (at, part) {
                (Some(Part::List(items)), Element(index)) => {
                    Element(items.get(index).map_or(index, |(place, _)| *place))
                }
                (_, part) => part,
            };
            at = at.and_then(|outer| outer.inner(&part));
            translated.push(part);
        }
        translated
    }

    /// Whether an error at this path may be caused by a removal.
    fn follows(&self, path: &[PathPart]) -> bool {
        self.broken.iter().any(|broken| broken.starts_with(path) || path.starts_with(broken))
    }

    /// Removes the part at a path, or its parent if it does not exist.
    fn remove(&mut self, mut path: Vec<PathPart>) -> bool {
        while !path.is_empty() {
            if self.whole.remove(&path) {
                self.broken.push(path);
                return true;
            }
            path.pop();
        }
        false
    }

    /// Inserts a missing value, so that the fields beside it are checked as well.
    fn put_in(&mut self, path: Vec<PathPart>) -> bool {
        let is_put = substitute(0, "").is_some_and(|value| self.whole.put(&path, value));
        self.broken.push(path.clone());
        self.substitutes.push((path, 0));
        is_put
    }

    /// Inserts another value where the deserializer did not accept the last one, according to the message.
    fn put_in_another(&mut self, place: usize, message: &str) -> bool {
        let Some((path, tried)) = self.substitutes.get_mut(place) else { return false };
        *tried = tried.saturating_add(1);
        if let Some(value) = substitute(*tried, message) {
            return self.whole.put(path, value);
        }
        // None of them is valid there, so other errors in the object are not found.
        let mut outer = path.clone();
        outer.pop();
        self.remove(outer)
    }
}

/// A value in place of a missing one, by the number of values that were tried before.
fn substitute(tried: usize, message: &str) -> Option<Value> {
    Some(match tried {
        0 => json!("a"),
        1 => json!(choice(message).unwrap_or("2000-01-01T00:00:00Z")),
        2 => json!(1),
        3 => json!({}),
        4 => json!(true),
        5 => json!([]),
        _ => return None,
    })
}

/// The first of the strings that a message lists as expected.
fn choice(message: &str) -> Option<&str> {
    let (found, expected) = message.rsplit_once(", expected ")?;
    if found.starts_with("unknown variant ") { expected.split('`').nth(1) } else { None }
}

/// The field that a message of the library names after this prefix.
fn named<'m>(message: &'m str, words: &str) -> Option<&'m str> {
    let rest = message.strip_prefix(words)?;
    rest.rsplit_once("`, expected ").or_else(|| rest.rsplit_once('`')).map(|(name, _)| name)
}

/// A path as messages show it.
pub(crate) fn text_of(path: &[PathPart]) -> String {
    let mut text = String::new();
    for part in path {
        let _ = match part {
            Member(name) if text.is_empty() => write!(text, "{name}"),
            Member(name) => write!(text, ".{name}"),
            Element(index) => write!(text, "[{index}]"),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::MAX_ROUNDS;
    use crate::{EventPattern, Role, SigningPolicy, Step, Timestamp, When, parse_json};

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Whole {
        name: String,
        count: u32,
        role: Role,
        since: Timestamp,
        pattern: EventPattern,
        inner: Inner,
        #[serde(default)]
        list: Vec<Inner>,
        signing: Option<SigningPolicy>,
        when: Option<When>,
        #[serde(default)]
        steps: Vec<Step>,
        pair: Option<(u8, u8)>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Inner {
        a: bool,
        b: Vec<String>,
        c: Option<u8>,
    }

    fn paths(text: &str) -> Vec<String> {
        let mistakes = parse_json::<Whole>(text.as_bytes()).unwrap_err();
        mistakes.0.into_iter().map(|mistake| mistake.path).collect()
    }

    #[test]
    fn every_missing_field_is_reported_whatever_its_type() {
        let all = ["name", "count", "role", "since", "pattern", "inner"];
        assert_eq!(paths("{}"), all);
        let with_inner = r#"{"inner": {}, "list": [{}, {"a": true, "b": []}, {"b": []}]}"#;
        let mut expected = vec!["inner.a", "inner.b", "list[0].a", "list[0].b", "list[2].a"];
        expected.extend(["name", "count", "role", "since", "pattern"]);
        assert_eq!(paths(with_inner), expected);
        let message = parse_json::<Whole>(b"{}").unwrap_err().to_string();
        assert!(message.starts_with("name: is missing; count: is missing; "), "{message}");
    }

    #[test]
    fn wrong_types_unknown_fields_and_missing_ones_are_reported_together() {
        let text = r#"{"name": 5, "colour": "red", "count": "x", "role": "owner", "pattern": "a..b", "inner": [],
            "list": [7, {"a": 1, "b": ["x", 2, {}], "d": 1}, {"a": true, "b": [], "c": 300}]}"#;
        assert_eq!(
            paths(text),
            [
                "name",
                "colour",
                "count",
                "role",
                "pattern",
                "inner",
                "list[0]",
                "list[1].a",
                "list[1].b[1]",
                "list[1].b[2]",
                "list[1].d",
                "list[2].c",
                "since",
            ]
        );
    }

    #[test]
    fn consequences_of_another_error_are_not_reported() {
        let whole = |more: &str| {
            format!(
                r#"{{"name": "a", "count": 1, "role": "viewer", "since": "2026-01-01T00:00:00Z", "pattern": "a",
                "inner": {{"a": true, "b": []}}, {more}}}"#
            )
        };
        assert!(parse_json::<Whole>(whole(r#""pair": [1, 2]"#).as_bytes()).is_ok());
        for (more, expected) in [
            (r#""pair": [1, "x"]"#, &["pair[1]"][..]),
            (
                r#""steps": [{"actoin": "a"}, {"wait": 5}, {"action": "a", "on_error": 7, "if": {"all": [{"any": 1}]}}]"#,
                &["steps[0].actoin", "steps[1].wait", "steps[2].on_error", "steps[2].if.all[0].any"],
            ),
            (r#""when": {"condition": "match", "whit": {}}, "steps": 1"#, &["when.whit", "steps"]),
            (
                r#""signing": {"kind": "jwt", "expires": 1}, "steps": {}"#,
                &["signing.expires", "signing.algorithm", "steps"],
            ),
            (r#""signing": {"kind": "none", "x": 1, "y": 2}"#, &["signing.x", "signing.y"]),
        ] {
            assert_eq!(paths(&whole(more)), expected, "{more}");
        }
    }

    #[test]
    fn a_value_that_is_not_an_object_is_one_error() {
        for text in ["[]", "7", "null", "\"x\""] {
            assert_eq!(paths(text), [""], "{text}");
        }
    }

    #[test]
    fn a_large_text_is_not_parsed_again_for_each_of_its_errors() {
        let found = |sevens: usize| paths(&format!(r#"{{"list": [{}]}}"#, vec!["7"; sevens].join(","))).len();
        assert_eq!(found(5000), MAX_ROUNDS, "10 KB");
        assert_eq!(found(50_000), 10, "100 KB");
        assert_eq!(found(1_000_000), 1, "2 MB are not even taken apart");
    }
}
