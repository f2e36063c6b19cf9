//! The tools of a space, for clients of Uspacy's REST API: the kind of record behind each path, the fields of its
//! responses, and how input is mapped. They are data: `catalogue/uspacy-tools.json`.

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{FieldType, RecordKind, UserId};

/// Every name by which access can be granted.
pub const ACCESS_WORDS: [&str; 6] = ["crm", "tasks", "chats", "activities", "newsfeed", "comments"];

/// One resource of a tool.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// The prefix of its paths.
    path: String,
    /// The rest of the path: its name, then its aliases.
    names: Vec<String>,
    /// The kind of record behind it.
    kind: String,
    /// The names that grant access to it.
    access: Vec<String>,
    /// The defaults of a new record.
    #[serde(default)]
    made: Map<String, Value>,
    /// The field with the user who created a record.
    maker: String,
    /// Another field with the same default.
    also: Option<String>,
    /// The field with the user who changed it.
    changer: Option<String>,
    /// Fields that are ignored in input, so that a response can be sent back.
    read_only: Vec<String>,
    /// The fields of a response in their order: the name of each, and its value where it is absent.
    fields: Map<String, Value>,
}

static TOOLS: LazyLock<Vec<Tool>> =
    LazyLock::new(|| serde_json::from_str(include_str!("../catalogue/uspacy-tools.json")).unwrap_or_default());

/// The target of a path.
#[derive(Clone, Copy, Debug)]
pub struct ToolPath<'p> {
    /// The resource.
    pub tool: &'static Tool,
    /// The id of one object. `None`: all of them.
    pub id: Option<&'p str>,
}

impl<'p> ToolPath<'p> {
    /// Parses the path after an incoming webhook's URL, such as `/tasks/v1/tasks/816`. `None` if there is no such
    /// resource.
    pub fn parse(path: &'p str) -> Option<Self> {
        let path = path.strip_suffix('/').unwrap_or(path);
        TOOLS.iter().find_map(|tool| {
            let rest = path.strip_prefix(tool.path.as_str())?.strip_prefix('/')?;
            let (name, id) = rest.split_once('/').map_or((rest, None), |(name, id)| (name, Some(id)));
            let fits = tool.names.iter().any(|known| known == name);
            let fits = fits && id.is_none_or(|id| !id.is_empty() && !id.contains('/'));
            fits.then_some(Self { tool, id })
        })
    }
}

impl Tool {
    /// The kind of record behind it.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The names of which any grants access to it.
    pub fn access(&self) -> &[String] {
        &self.access
    }

    /// A record as its clients see it: each field with the type that they expect, then its other fields.
    pub fn shown(&self, record: &Value) -> Value {
        let mut shown = Map::new();
        for (name, rule) in &self.fields {
            let (form, none) = (rule.get(0).and_then(Value::as_str), rule.get(1));
            let value = record.get(name).filter(|value| !value.is_null() && value.as_str() != Some(""));
            let value = value.map(|value| client_value(value, form.unwrap_or_default()));
            shown.insert(name.clone(), value.or_else(|| none.cloned()).unwrap_or_default());
        }
        for (name, value) in record.as_object().into_iter().flatten() {
            if !shown.contains_key(name) {
                shown.insert(name.clone(), value.clone());
            }
        }
        Value::Object(shown)
    }

    /// The fields of a new record that this user creates.
    pub fn make(&self, kind: &RecordKind, sent: Map<String, Value>, user: &UserId) -> Map<String, Value> {
        let mut fields = self.taken(kind, sent);
        fields.retain(|_, value| !value.is_null());
        for (name, value) in &self.made {
            fields.entry(name.clone()).or_insert_with(|| value.clone());
        }
        if let Some(also) = &self.also {
            fields.entry(also.clone()).or_insert_with(|| self.user(also, user));
        }
        fields.insert(self.maker.clone(), self.user(&self.maker, user));
        fields
    }

    /// The changes of a record by this user. Empty: the input contains no field that can be changed.
    pub fn change(&self, kind: &RecordKind, sent: Map<String, Value>, user: &UserId) -> Map<String, Value> {
        let mut changes = self.taken(kind, sent);
        if let (Some(changer), false) = (&self.changer, changes.is_empty()) {
            changes.insert(changer.clone(), self.user(changer, user));
        }
        changes
    }

    /// A user's id in the type of the field.
    fn user(&self, field: &str, user: &UserId) -> Value {
        let form = self.fields.get(field).and_then(|rule| rule.get(0)).and_then(Value::as_str);
        let id = match user {
            UserId::Number(number) => Value::from(*number),
            UserId::Text(text) => text.as_str().into(),
        };
        client_value(&id, form.unwrap_or_default())
    }

    /// The input without ignored fields, each value in the type of the record's kind.
    fn taken(&self, kind: &RecordKind, sent: Map<String, Value>) -> Map<String, Value> {
        let sent = sent.into_iter().filter(|(name, _)| !self.read_only.contains(name));
        let taken = sent.map(|(name, value)| {
            let types = kind.declaration().fields.get(&name).map(|field| field.types.all());
            let value = match types {
                Some(types) => fitted(value, types),
                None => value,
            };
            (name, value)
        });
        taken.collect()
    }
}

/// A value in the type that a client expects.
fn client_value(value: &Value, form: &str) -> Value {
    match (form, value) {
        // A reference to another record is its id.
        ("number" | "text", Value::Object(other)) => other.get("id").map_or(Value::Null, |id| client_value(id, form)),
        ("number", Value::String(text)) => text.parse::<i64>().map_or_else(|_| value.clone(), Value::from),
        ("text", Value::Number(number)) => number.to_string().into(),
        ("text", Value::Bool(truth)) => truth.to_string().into(),
        ("texts", Value::Array(list)) => list.iter().map(|one| client_value(one, "text")).collect(),
        _ => value.clone(),
    }
}

/// A value in the types of a field: clients send empty strings for absent values, and numbers as strings.
fn fitted(value: Value, types: &[FieldType]) -> Value {
    let takes = |wanted: &[FieldType]| types.iter().any(|one| wanted.contains(one));
    if takes(&[FieldType::Any]) {
        return value;
    }
    match value {
        Value::String(text) if text.is_empty() && !takes(&[FieldType::String]) => Value::Null,
        Value::String(text) if !takes(&[FieldType::String, FieldType::Reference]) => {
            let number = takes(&[FieldType::Integer, FieldType::Seconds, FieldType::Number]);
            match text.parse::<i64>() {
                Ok(whole) if number => whole.into(),
                _ => text.into(),
            }
        }
        Value::Number(number) if types == [FieldType::String] => number.to_string().into(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Timestamp, builtin_kind};

    fn at(path: &str) -> ToolPath<'_> {
        ToolPath::parse(path).unwrap_or_else(|| panic!("nothing is at {path}"))
    }

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    /// The response to a client that creates a record.
    fn made(path: &str, sent: Value) -> Value {
        let tool = at(path).tool;
        let kind = builtin_kind(tool.kind()).unwrap();
        let fields = tool.make(kind, object(sent), &UserId::Number(1));
        tool.shown(&kind.make(414, fields, Timestamp::from_millis(1_732_627_155_000)).unwrap())
    }

    #[test]
    fn every_tool_has_a_kind_and_words_that_are_known() {
        assert_eq!(TOOLS.len(), 8);
        for tool in TOOLS.iter() {
            let kind = builtin_kind(tool.kind()).unwrap_or_else(|| panic!("{} is not a kind", tool.kind()));
            assert!(tool.access().iter().all(|word| ACCESS_WORDS.contains(&word.as_str())), "{tool:?}");
            for (name, rule) in &tool.fields {
                let form = rule[0].as_str().unwrap();
                assert!(["number", "text", "texts", "any"].contains(&form), "{name}");
            }
            for name in [Some(&tool.maker), tool.also.as_ref(), tool.changer.as_ref()].into_iter().flatten() {
                assert!(tool.fields.contains_key(name), "{name}");
            }
            // The kind's own example is returned in full, and the response can be sent back.
            let example = &kind.declaration().example;
            let shown = tool.shown(example);
            let back = tool.change(kind, object(shown.clone()), &UserId::Number(1));
            let after = kind.change(example, back, crate::Merge::Fields, Timestamp::from_millis(0));
            assert!(after.is_ok(), "{}: {after:?}", tool.kind());
        }
        for word in ACCESS_WORDS {
            assert!(TOOLS.iter().any(|tool| tool.access().iter().any(|one| one == word)), "{word} opens nothing");
        }
    }

    #[test]
    fn paths_are_those_of_the_article_and_their_kin() {
        for (path, kind, id) in [
            ("/tasks/v1/tasks/816", "task", Some("816")),
            ("/tasks/v1/tasks", "task", None),
            ("/tasks/v1/tasks/", "task", None),
            ("/crm/v1/entities/leads", "lead", None),
            ("/crm/v1/entities/lead", "lead", None),
            ("/crm/v1/entities/deals/7", "deal", Some("7")),
            ("/crm/v1/entities/contacts", "contact", None),
            ("/crm/v1/entities/companies", "company", None),
            ("/activities/v1/activities/1", "activity", Some("1")),
            ("/newsfeed/v1/posts", "post", None),
            ("/comments/v1/comments", "comment", None),
        ] {
            let found = at(path);
            assert_eq!((found.tool.kind(), found.id), (kind, id), "{path}");
        }
        for path in
            ["", "/", "/crm", "/crm/v1/entities", "/crm/v1/entities/users", "/tasks/v1/tasks/1/2", "/tasks/v1/tasksx"]
        {
            assert!(ToolPath::parse(path).is_none(), "{path}");
        }
    }

    #[test]
    fn a_lead_is_answered_as_in_the_article() {
        let lead = made("/crm/v1/entities/leads", json!({"owner": 390, "title": "Lead", "comments": "qwerty"}));
        let kind = builtin_kind("lead").unwrap();
        // The kind's example is the article's answer.
        assert_eq!(lead.to_string(), kind.declaration().example.to_string(), "in its order too");
    }

    #[test]
    fn numbers_and_strings_have_the_types_that_clients_expect() {
        let task = made(
            "/tasks/v1/tasks",
            json!({"title": "T", "responsibleId": 2, "parentId": "250", "deadline": "", "kanbanStageId": 11,
                "accomplicesIds": [2, "3"], "id": "9", "createdDate": 1, "priority": null}),
        );
        assert_eq!(task["id"], "414");
        assert_eq!(task["createdDate"], 1_732_627_155);
        assert_eq!((&task["setterId"], &task["createdBy"]), (&json!("1"), &json!("1")));
        assert_eq!((&task["responsibleId"], &task["parentId"]), (&json!("2"), &json!(250)));
        assert_eq!((&task["kanbanStageId"], &task["accomplicesIds"]), (&json!("11"), &json!(["2", "3"])));
        assert_eq!((&task["deadline"], &task["closedDate"], &task["priority"]), (&json!(0), &Value::Null, &json!("")));
        let lead = at("/crm/v1/entities/leads").tool.shown(&json!({"id": 1, "owner": {"id": "u7"}, "mine": [1]}));
        assert_eq!((&lead["owner"], &lead["mine"]), (&json!("u7"), &json!([1])));
    }

    #[test]
    fn read_only_fields_are_ignored() {
        let tool = at("/crm/v1/entities/leads/1").tool;
        let kind = builtin_kind("lead").unwrap();
        let changes =
            tool.change(kind, object(json!({"id": 9, "created_by": 7, "table_name": "x"})), &UserId::Number(1));
        assert!(changes.is_empty());
        let changes = tool.change(
            kind,
            object(json!({"title": "New", "kanban_stage_id": "2", "changed_by": 7})),
            &UserId::Number(5),
        );
        assert_eq!(Value::Object(changes), json!({"title": "New", "kanban_stage_id": 2, "changed_by": 5}));
        for (id, shown) in [("usr_7", json!("usr_7")), ("7", json!(7))] {
            let by = UserId::Text(id.to_owned());
            let changes = tool.change(kind, object(json!({"title": "New"})), &by);
            assert_eq!(changes["changed_by"], shown, "a user's id may be a string");
            let made = tool.make(kind, object(json!({"title": "New"})), &by);
            assert_eq!(made["created_by"], shown);
            kind.make(1, made, Timestamp::from_millis(0)).unwrap();
        }
    }
}
