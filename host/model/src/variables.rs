//! Variables in parameters: `{{event.data.issue.key}}`.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::{Event, Mistake, SpaceId, TICKET, Timestamp, json_size};

/// The first words that a variable may begin with.
const ROOTS: [&str; 10] =
    ["event", "analytics_event", "ticket", "record", "steps", "item", "index", "input", "space", "now"];

/// The values of variables.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    values: Map<String, Value>,
}

/// Why variables cannot be replaced.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VariableError {
    /// A variable has no value.
    #[error("`{{{{{variable}}}}}`: {message}")]
    Missing {
        /// The variable.
        variable: String,
        /// What was found instead.
        message: String,
    },
    /// Their values are too large together: one variable may occur a hundred times.
    #[error("with its variables filled in it has more than {MAX_RENDERED} bytes: name fewer, or smaller, values")]
    TooLarge,
}

/// Maximum size in bytes of a value whose variables are filled in.
const MAX_RENDERED: usize = 8 * 1024 * 1024;

impl Scope {
    /// The variables that every run has.
    pub fn new(event: &Event, space: &SpaceId, now: Timestamp) -> Self {
        let data = event.data_value();
        let mut envelope = event.envelope();
        envelope.insert("data".to_owned(), data.clone());
        let mut analytics = Map::new();
        analytics.insert("service".to_owned(), event.source.as_str().into());
        analytics.insert("trigger_event_type".to_owned(), event.event_type.as_str().into());
        analytics.insert("attributes".to_owned(), data);
        let mut values = Map::new();
        values.insert("event".to_owned(), Value::Object(envelope));
        values.insert("analytics_event".to_owned(), Value::Object(analytics));
        values.insert("space".to_owned(), space.as_str().into());
        values.insert("now".to_owned(), now.to_string().into());
        Self { values }
    }

    /// Adds the record that the event is about, as `record`; a ticket as `ticket` too.
    pub fn set_record(&mut self, kind: &str, record: Value) {
        if kind == TICKET {
            self.values.insert(kind.to_owned(), record.clone());
        }
        self.values.insert("record".to_owned(), record);
    }

    /// Adds a value under a first word of its own.
    pub fn set(&mut self, root: &str, value: Value) {
        self.values.insert(root.to_owned(), value);
    }

    /// Adds the results of the steps so far.
    pub fn set_steps(&mut self, steps: Map<String, Value>) {
        self.values.insert("steps".to_owned(), Value::Object(steps));
    }

    /// Adds the current item of a step with `for_each`, and its index, counted from 0.
    pub fn set_item(&mut self, item: Value, index: u32) {
        self.values.insert("item".to_owned(), item);
        self.values.insert("index".to_owned(), index.into());
    }

    /// Adds the input of a workflow.
    pub fn set_input(&mut self, input: Value) {
        self.values.insert("input".to_owned(), input);
    }

    /// The value at a dotted path.
    pub fn find(&self, path: &str) -> Result<&Value, VariableError> {
        let missing = |message: String| VariableError::Missing { variable: path.to_owned(), message };
        let mut words = path.split('.');
        let root = words.next().unwrap_or_default();
        let Some(mut value) = self.values.get(root) else {
            return Err(missing(if ROOTS.contains(&root) {
                format!("there is no `{root}` for this event")
            } else {
                format!("a variable begins with one of {}", ROOTS.join(", "))
            }));
        };
        let mut walked = root.to_owned();
        for word in words {
            let next = match value {
                Value::Object(object) => object.get(word),
                Value::Array(list) => word.parse::<usize>().ok().and_then(|place| list.get(place)),
                _ => None,
            };
            let Some(next) = next else {
                return Err(missing(format!("`{walked}` has no `{word}`: it {}", described(value))));
            };
            value = next;
            walked.push('.');
            walked.push_str(word);
        }
        Ok(value)
    }
}

pub(crate) fn described(value: &Value) -> String {
    match value {
        Value::Object(object) if object.is_empty() => "is an empty object".to_owned(),
        Value::Object(object) => {
            let mut text = "has".to_owned();
            for (place, name) in object.keys().take(20).enumerate() {
                let _ =
                    write!(text, "{} {}", if place == 0 { "" } else { "," }, name.chars().take(40).collect::<String>());
            }
            if object.len() > 20 {
                let _ = write!(text, " and {} more", object.len() - 20);
            }
            text
        }
        Value::Array(list) => format!("is a list of {}", list.len()),
        other => format!("is {}", other.to_string().chars().take(80).collect::<String>()),
    }
}

/// Whether any string in `value` contains a variable.
pub fn has_variables(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("{{"),
        Value::Array(list) => list.iter().any(has_variables),
        Value::Object(object) => object.values().any(has_variables),
        _ => false,
    }
}

/// Whether any variable in `value` begins with `root`.
pub fn mentions(value: &Value, root: &str) -> bool {
    match value {
        Value::String(text) => pieces(text).any(|piece| match piece {
            Piece::Variable(path) => path.split('.').next() == Some(root),
            Piece::Text(_) | Piece::Open => false,
        }),
        Value::Array(list) => list.iter().any(|part| mentions(part, root)),
        Value::Object(object) => object.values().any(|part| mentions(part, root)),
        _ => false,
    }
}

/// The literal parts of `text` around its variables. `None` if it is one variable and nothing else.
pub fn written(text: &str) -> Option<Vec<&str>> {
    let mut parts = pieces(text);
    if let (Some(Piece::Variable(_)), None) = (parts.next(), parts.next()) {
        return None;
    }
    let parts = pieces(text).filter_map(|piece| match piece {
        Piece::Text(text) => Some(text),
        Piece::Open => Some("{{"),
        Piece::Variable(_) => None,
    });
    Some(parts.collect())
}

/// The second words of the variables in `text` that begin with `root`.
pub fn named<'a>(text: &'a str, root: &str) -> Vec<&'a str> {
    let names = pieces(text).filter_map(|piece| match piece {
        Piece::Variable(path) => path.strip_prefix(root)?.strip_prefix('.')?.split('.').next(),
        Piece::Text(_) | Piece::Open => None,
    });
    names.collect()
}

/// Whether any variable in `value` names the step `name`, or all steps.
pub fn names_step(value: &Value, name: &str) -> bool {
    match value {
        Value::String(text) => pieces(text).any(|piece| match piece {
            Piece::Variable(path) => {
                let mut words = path.split('.');
                words.next() == Some("steps") && words.next().is_none_or(|word| word == name)
            }
            Piece::Text(_) | Piece::Open => false,
        }),
        Value::Array(list) => list.iter().any(|part| names_step(part, name)),
        Value::Object(object) => object.values().any(|part| names_step(part, name)),
        _ => false,
    }
}

/// `value` with every variable replaced. A string that is one variable and nothing else gets the type of the variable's
/// value.
///
/// # Errors
/// A variable has no value, or their values exceed the maximum size.
pub fn render(value: &Value, scope: &Scope) -> Result<Value, VariableError> {
    filled(value, scope, &mut Room(MAX_RENDERED))
}

/// Bytes that remain for values.
struct Room(usize);

impl Room {
    fn take(&mut self, bytes: usize) -> Result<(), VariableError> {
        self.0 = self.0.checked_sub(bytes).ok_or(VariableError::TooLarge)?;
        Ok(())
    }
}

fn filled(value: &Value, scope: &Scope, room: &mut Room) -> Result<Value, VariableError> {
    Ok(match value {
        Value::String(text) if text.contains("{{") => render_text(text, scope, room)?,
        Value::Array(list) => {
            Value::Array(list.iter().map(|part| filled(part, scope, room)).collect::<Result<_, _>>()?)
        }
        Value::Object(object) => Value::Object(
            object
                .iter()
                .map(|(name, part)| Ok((name.clone(), filled(part, scope, room)?)))
                .collect::<Result<_, _>>()?,
        ),
        other => other.clone(),
    })
}

fn render_text(text: &str, scope: &Scope, room: &mut Room) -> Result<Value, VariableError> {
    let mut parts = pieces(text);
    if let (Some(Piece::Variable(path)), None) = (parts.next(), parts.next()) {
        let value = scope.find(path)?;
        // Counted before it is copied.
        room.take(json_size(value))?;
        return Ok(value.clone());
    }
    let mut rendered = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => rendered.push_str(text),
            Piece::Open => rendered.push_str("{{"),
            Piece::Variable(path) => {
                let value = scope.find(path)?;
                room.take(json_size(value))?;
                match value {
                    Value::String(text) => rendered.push_str(text),
                    Value::Null => {}
                    other => {
                        let _ = write!(rendered, "{other}");
                    }
                }
            }
        }
    }
    Ok(Value::String(rendered))
}

enum Piece<'a> {
    Text(&'a str),
    Variable(&'a str),
    /// `{{` without `}}`: the rest is literal text.
    Open,
}

fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    let mut unclosed = false;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if unclosed {
            return Some(Piece::Text(std::mem::take(&mut rest)));
        }
        let Some(after) = rest.strip_prefix("{{") else {
            let (before, after) = rest.split_at(rest.find("{{").unwrap_or(rest.len()));
            rest = after;
            return Some(Piece::Text(before));
        };
        let Some((path, after_close)) = after.split_once("}}") else {
            // No later `{{` is closed either. The rest is not searched again at each of them: the work would grow with
            // the square of the length.
            (rest, unclosed) = (after, true);
            return Some(Piece::Open);
        };
        rest = after_close;
        Some(Piece::Variable(path.trim()))
    })
}

/// Variables that are available besides those of every run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Names<'a> {
    /// Steps whose results are available.
    pub steps: &'a [String],
    /// Whether there is an item: `item` and `index`.
    pub item: bool,
    /// Whether there is an input: `input`.
    pub input: bool,
    /// Whether secrets may be named: `secrets.NAME`.
    pub secrets: bool,
}

/// Checks the variables in `value`, at `path`: closed, not empty, with a known first word, and of the steps only those
/// in `steps`.
pub fn check_variables(value: &Value, path: &str, steps: &[String]) -> Vec<Mistake> {
    check_names(value, path, Names { steps, ..Names::default() })
}

/// The same, with the variables in `names` besides.
pub fn check_names(value: &Value, path: &str, names: Names<'_>) -> Vec<Mistake> {
    match value {
        Value::String(text) => {
            pieces(text).filter_map(|piece| mistake_in(&piece, names)).map(|m| Mistake::new(path, m)).collect()
        }
        Value::Array(list) => list
            .iter()
            .enumerate()
            .flat_map(|(place, part)| check_names(part, &format!("{path}[{place}]"), names))
            .collect(),
        Value::Object(object) => {
            object.iter().flat_map(|(name, part)| check_names(part, &format!("{path}.{name}"), names)).collect()
        }
        _ => Vec::new(),
    }
}

fn mistake_in(piece: &Piece<'_>, names: Names<'_>) -> Option<String> {
    let path = match piece {
        Piece::Text(_) => return None,
        Piece::Open => return Some("`{{` is not closed: write `}}` after the variable".to_owned()),
        Piece::Variable(path) => *path,
    };
    let shown = crate::abridged(path);
    if path.split('.').any(|word| word.is_empty() || word.trim() != word) {
        return Some(format!("`{{{{{shown}}}}}` is not a variable: write words joined by dots, such as event.data.id"));
    }
    let mut words = path.split('.');
    let root = words.next().unwrap_or_default();
    if names.secrets && root == "secrets" && words.clone().next().is_some() {
        return None;
    }
    if !ROOTS.contains(&root) {
        return Some(format!("`{shown}`: a variable begins with one of {}", ROOTS.join(", ")));
    }
    match root {
        "steps" => {
            let (name, steps) = (words.next().unwrap_or_default(), names.steps);
            if !steps.iter().any(|step| step == name) {
                let known = if steps.is_empty() { "there is none".to_owned() } else { steps.join(", ") };
                let name = crate::abridged(name);
                return Some(format!("`{shown}`: no earlier step is called `{name}`; earlier steps: {known}"));
            }
            None
        }
        "item" | "index" if !names.item => Some(format!("`{shown}`: only a step with `for_each` has an `{root}`")),
        "input" if !names.input => Some(format!("`{shown}`: only a workflow has an input")),
        _ => None,
    }
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::EventDraft;

    fn scope() -> Scope {
        let data = json!({"id": 42, "key": "OPS-1", "labels": ["a", "b"], "none": null});
        let event = EventDraft::json("jira.closed", "jira", None, &data, None)
            .accept(&SpaceId::main(), Timestamp::from_millis(0))
            .unwrap();
        let mut scope = Scope::new(&event, &SpaceId::main(), Timestamp::from_millis(0));
        scope.set_steps(serde_json::from_value(json!({"first": {"result": {"n": 1}}})).unwrap());
        scope
    }

    #[test]
    fn a_value_is_filled_in_as_often_as_there_is_room_for_it() {
        let mut scope = scope();
        scope.set_item(json!("x".repeat(1024 * 1024)), 0);
        assert!(render(&json!(vec!["{{item}}"; 7]), &scope).is_ok());
        for too_many in
            [json!(vec!["{{item}}"; 8]), json!("{{item}} ".repeat(8)), json!({"a": vec!["<{{item}}>"; 1000]})]
        {
            assert_eq!(render(&too_many, &scope), Err(VariableError::TooLarge));
        }
    }

    #[test]
    fn long_numbers_count_for_their_digits() {
        let mut scope = scope();
        scope.set_item(serde_json::from_str(&"9".repeat(1000)).unwrap(), 0);
        assert!(render(&json!("{{item}} ".repeat(8000)), &scope).is_ok());
        for too_many in [json!("{{item}} ".repeat(10_000)), json!(vec!["{{item}}"; 10_000])] {
            assert_eq!(render(&too_many, &scope), Err(VariableError::TooLarge));
        }
    }

    #[test]
    fn a_string_full_of_unclosed_variables_is_parsed_once_and_reported_once() {
        let text = "{{".repeat(1000);
        assert_eq!(pieces(&text).count(), 2);
        assert_eq!(render(&json!(text), &scope()), Ok(json!(text)));
        assert_eq!(check_variables(&json!(text), "with", &[]).len(), 1);
        assert_eq!(render(&json!("{{event.data.id}} {{ {{"), &scope()), Ok(json!("42 {{ {{")));
    }

    #[test]
    fn variables_are_replaced() {
        for (template, expected) in [
            (json!("{{analytics_event.attributes.id}}"), json!(42)),
            (json!("{{ event.data.id }}"), json!(42)),
            (json!("#{{event.data.id}} {{event.data.key}}{{event.data.none}}"), json!("#42 OPS-1")),
            (json!({"a": ["{{event.data.labels}}", "{{event.data.labels.1}}"]}), json!({"a": [["a", "b"], "b"]})),
            (json!("{{steps.first.result.n}}"), json!(1)),
            (json!("{{space}} {{event.type}} {{analytics_event.service}}"), json!("main jira.closed jira")),
            (json!("plain {{ not closed"), json!("plain {{ not closed")),
            (json!(7), json!(7)),
        ] {
            assert_eq!(render(&template, &scope()), Ok(expected), "{template}");
        }
    }

    #[test]
    fn a_missing_path_is_reported_with_what_exists() {
        let error = render(&json!("x {{analytics_event.attributes.issue.id}}"), &scope()).unwrap_err();
        let VariableError::Missing { variable, message } = error else { panic!("{error}") };
        assert_eq!(variable, "analytics_event.attributes.issue.id");
        assert!(message.contains("`analytics_event.attributes` has no `issue`: it has id, key"), "{message}");
        assert!(scope().find("event.data.id.x").unwrap_err().to_string().contains("is 42"));
        assert!(scope().find("event.data.labels.7").unwrap_err().to_string().contains("list of 2"));
        assert!(scope().find("ticket.id").unwrap_err().to_string().contains("no `ticket`"));
    }

    #[test]
    fn a_variable_that_cannot_be_meant_is_refused() {
        let steps = ["first".to_owned()];
        for (text, part) in [
            ("{{evnt.data}}", "begins with one of"),
            ("{{}}", "not a variable"),
            ("{{event..data}}", "not a variable"),
            ("{{event.data", "not closed"),
            ("{{steps.second.result}}", "earlier steps: first"),
            ("{{item.id}}", "only a step with `for_each`"),
            ("{{index}}", "only a step with `for_each`"),
            ("{{input.lead}}", "only a workflow"),
        ] {
            let found = check_variables(&json!({"a": [text]}), "then[0].with", &steps);
            assert_eq!(found.len(), 1, "{text}");
            assert_eq!(found[0].path, "then[0].with.a[0]");
            assert!(found[0].message.contains(part), "{}", found[0]);
        }
        assert!(check_variables(&json!("{{steps.first.result}} {{now}}"), "", &steps).is_empty());
    }

    #[test]
    fn secrets_are_named_only_where_that_is_permitted() {
        let names = Names { secrets: true, ..Names::default() };
        for (text, mistakes) in [
            ("{{secrets.token}}", 0),
            ("{{secrets}}", 1),
            ("{{secrets.token}} {{data.secrets}}", 1),
            ("{{secrets.token}} {{secrets.other}} {{event.id}}", 0),
        ] {
            assert_eq!(check_names(&json!(text), "", names).len(), mistakes, "{text}");
        }
        assert_eq!(check_variables(&json!("{{secrets.token}}"), "", &[]).len(), 1);
    }

    #[test]
    fn mentions_looks_at_first_words_only() {
        assert!(mentions(&json!(["{{ticket.id}}"]), "ticket"));
        assert!(!mentions(&json!("{{event.data.ticket}} ticket"), "ticket"));
    }
}
