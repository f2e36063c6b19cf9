use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Number, Value};

use crate::nullable::present;
use crate::{Mistakes, Timestamp};

/// Maximum number of reported validation errors of one value.
const TOLD: usize = 20;

/// A field of a kind of record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// The type of its value: one type, or any of several.
    #[serde(rename = "type")]
    pub types: Types,
    /// Its description, a sentence of at most 1024 bytes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Whether it is required.
    #[serde(default, skip_serializing_if = "is_false")]
    pub required: bool,
    /// Whether it may be null.
    #[serde(default, skip_serializing_if = "is_false")]
    pub nullable: bool,
    /// Whether it is indexed: lists that filter by its value read only the matching records.
    #[serde(default, skip_serializing_if = "is_false")]
    pub indexed: bool,
    /// Its default in a new record, which may be null.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// The allowed values, at most 100. Empty: any value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Value>,
    /// The minimum: bytes of a string without surrounding whitespace, entries of a list, or the number itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<i64>,
    /// The maximum: bytes of a string, entries of a list, or the number itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<i64>,
    /// The entries of a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<Box<Field>>,
    /// The fields of an object. Empty: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Fields>,
    /// Whether an object with `fields` may have others beside them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more_fields: Option<bool>,
    /// The kind of record that a reference names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde requires the signature")]
fn is_false(value: &bool) -> bool {
    !value
}

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldType {
    /// A string.
    String,
    /// An integer.
    Integer,
    /// A number.
    Number,
    /// A boolean.
    Boolean,
    /// A day: `2026-11-21`.
    Date,
    /// An instant as a string, RFC 3339.
    Timestamp,
    /// An instant as whole seconds since 1970.
    Seconds,
    /// A list.
    List,
    /// An object.
    Object,
    /// Another record: its id, a number or a string, or an object with its `id`.
    Reference,
    /// Any JSON.
    Any,
}

impl FieldType {
    /// Its name in declarations.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::Seconds => "seconds",
            Self::List => "list",
            Self::Object => "object",
            Self::Reference => "reference",
            Self::Any => "any",
        }
    }

    /// A description of its values, for messages.
    fn looks(self) -> &'static str {
        match self {
            Self::String => "a string",
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Boolean => "true or false",
            Self::Date => "a date such as \"2026-11-21\"",
            Self::Timestamp => "an RFC 3339 time such as \"2026-11-21T17:55:00Z\"",
            Self::Seconds => "whole seconds since 1970",
            Self::List => "a list",
            Self::Object => "an object",
            Self::Reference => "an id, or an object with an `id`",
            Self::Any => "any JSON",
        }
    }

    pub(super) fn fits(self, value: &Value) -> bool {
        match self {
            Self::String => value.is_string(),
            Self::Integer | Self::Seconds => value.as_number().is_some_and(is_whole),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::Date => value.as_str().is_some_and(is_date),
            Self::Timestamp => value.as_str().is_some_and(|text| Timestamp::parse(text).is_some()),
            Self::List => value.is_array(),
            Self::Object => value.is_object(),
            Self::Reference => {
                let id = value.as_object().map_or(Some(value), |object| object.get("id"));
                id.is_some_and(|id| id.is_string() || id.as_number().is_some_and(is_whole))
            }
            Self::Any => true,
        }
    }

    /// Whether it can be indexed.
    pub(super) fn is_scalar(self) -> bool {
        !matches!(self, Self::List | Self::Object | Self::Any)
    }

    pub(crate) fn is_numeric(self) -> bool {
        matches!(self, Self::Integer | Self::Number | Self::Seconds)
    }
}

fn is_whole(number: &Number) -> bool {
    number.is_i64() || number.is_u64()
}

/// Whether a string is a calendar date, `YYYY-MM-DD` (RFC 3339, full-date).
pub(crate) fn is_date(text: &str) -> bool {
    text.len() == 10 && Timestamp::parse(&format!("{text}T00:00:00Z")).is_some()
}

/// One type, or several of which a value must have one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "a type or a list of types: string, integer, number, boolean, date, timestamp, seconds, list, object, reference, any"
)]
pub enum Types {
    /// One type.
    One(FieldType),
    /// Any of these types.
    Several(Vec<FieldType>),
}

impl Types {
    /// All types.
    pub fn all(&self) -> &[FieldType] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Several(several) => several,
        }
    }

    /// Whether one of them is `wanted`.
    pub fn has(&self, wanted: FieldType) -> bool {
        self.all().contains(&wanted)
    }
}

impl Field {
    /// A field of one type, and defaults for the rest.
    pub(super) fn plain(types: FieldType, description: &str) -> Self {
        Self {
            types: Types::One(types),
            description: description.to_owned(),
            required: false,
            nullable: false,
            indexed: false,
            default: None,
            values: Vec::new(),
            min: None,
            max: None,
            items: None,
            fields: None,
            more_fields: None,
            kind: None,
        }
    }

    /// Adds the validation errors of a value, each with its path and the remedy.
    pub fn check(&self, path: &str, value: &Value, mistakes: &mut Mistakes) {
        if mistakes.0.len() >= TOLD {
            return;
        }
        if value.is_null() {
            if !self.nullable && self.default != Some(Value::Null) && !self.types.has(FieldType::Any) {
                mistakes.add(path, format!("cannot be null: give {}", self.looks()));
            }
            return;
        }
        if !self.types.all().iter().any(|one| one.fits(value)) {
            mistakes.add(path, format!("is {}: give {}", shown(value), self.looks()));
            return;
        }
        if !self.values.is_empty() && !self.values.contains(value) {
            let values: Vec<String> = self.values.iter().map(ToString::to_string).collect();
            mistakes.add(path, format!("is {}: give one of {}", shown(value), values.join(", ")));
            return;
        }
        self.check_bounds(path, value, mistakes);
        match value {
            Value::Array(entries) => {
                for (place, entry) in entries.iter().enumerate() {
                    if let Some(items) = &self.items {
                        items.check(&format!("{path}[{place}]"), entry, mistakes);
                    }
                }
            }
            Value::Object(object) => {
                if let Some(fields) = &self.fields {
                    fields.check(path, object, self.more_fields.unwrap_or(true), mistakes);
                }
            }
            _ => {}
        }
    }

    fn check_bounds(&self, path: &str, value: &Value, mistakes: &mut Mistakes) {
        let (least, most) = (self.min, self.max);
        match value {
            Value::String(text) => {
                let bytes = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX);
                match (least, most) {
                    (Some(least), _) if bytes(text.trim()) < least => {
                        let said = if text.trim().is_empty() {
                            "is empty".into()
                        } else {
                            format!("has {} bytes", bytes(text))
                        };
                        let characters = if least == 1 { "character".to_owned() } else { format!("{least} bytes") };
                        let wanted = if least == 1 { "one " } else { "" };
                        mistakes.add(path, format!("{said}: give it at least {wanted}{characters}"));
                    }
                    (_, Some(most)) if bytes(text) > most => {
                        mistakes.add(path, format!("has {} bytes: at most {most}", bytes(text)));
                    }
                    _ => {}
                }
            }
            Value::Array(entries) => {
                let count = i64::try_from(entries.len()).unwrap_or(i64::MAX);
                if least.is_some_and(|least| count < least) || most.is_some_and(|most| count > most) {
                    mistakes.add(path, format!("has {count} entries: {}", between(least, most)));
                }
            }
            Value::Number(number) => {
                #[allow(clippy::cast_precision_loss, reason = "bounds beyond 2^53 are as good as none")]
                let outside = |bound: i64, number: f64| number - bound as f64;
                let value = number.as_f64().unwrap_or(f64::MAX);
                if least.is_some_and(|least| outside(least, value) < 0.0)
                    || most.is_some_and(|most| outside(most, value) > 0.0)
                {
                    mistakes.add(path, format!("is {number}: {}", between(least, most)));
                }
            }
            _ => {}
        }
    }

    /// Adds the defaults of nested objects.
    pub(super) fn fill(&self, value: &mut Value) {
        match value {
            Value::Array(entries) => {
                if let Some(items) = &self.items {
                    entries.iter_mut().for_each(|entry| items.fill(entry));
                }
            }
            Value::Object(object) => {
                if let Some(fields) = &self.fields {
                    fields.fill(object);
                }
            }
            _ => {}
        }
    }

    fn looks(&self) -> String {
        let looks: Vec<&str> = self.types.all().iter().map(|one| one.looks()).collect();
        let null = if self.nullable { " or null" } else { "" };
        format!("{}{null}", looks.join(", or "))
    }
}

fn between(least: Option<i64>, most: Option<i64>) -> String {
    match (least, most) {
        (Some(least), Some(most)) => format!("give {least} to {most}"),
        (Some(least), None) => format!("at least {least}"),
        (None, Some(most)) => format!("at most {most}"),
        (None, None) => "any".to_owned(),
    }
}

/// The beginning of a value, for messages.
pub(super) fn shown(value: &Value) -> String {
    format!("`{}`", crate::abridged(&value.to_string()))
}

/// Fields by name, in the order in which they were declared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields(Vec<(String, Field)>);

impl Fields {
    /// The field with this name.
    pub fn get(&self, name: &str) -> Option<&Field> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, field)| field)
    }

    /// All fields.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Field)> {
        self.0.iter().map(|(name, field)| (name.as_str(), field))
    }

    /// Their number.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names, for messages.
    pub(super) fn names(&self) -> String {
        self.0.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn put_first(&mut self, name: &str, field: Field) {
        self.0.insert(0, (name.to_owned(), field));
    }

    pub(super) fn put_last(&mut self, name: &str, field: Field) {
        self.0.push((name.to_owned(), field));
    }

    fn check(&self, path: &str, object: &Map<String, Value>, more: bool, mistakes: &mut Mistakes) {
        for (name, field) in self.iter() {
            match object.get(name) {
                Some(value) => field.check(&format!("{path}.{name}"), value, mistakes),
                None if field.required => {
                    mistakes.add(format!("{path}.{name}"), format!("is missing: give {}", field.looks()));
                }
                None => {}
            }
        }
        if !more {
            for name in object.keys().filter(|name| self.get(name).is_none()) {
                let name = crate::abridged(name);
                mistakes.add(format!("{path}.{name}"), format!("is not a field here: the fields are {}", self.names()));
            }
        }
        mistakes.0.truncate(TOLD);
    }

    pub(super) fn fill(&self, object: &mut Map<String, Value>) {
        for (name, field) in self.iter() {
            match (object.get_mut(name), &field.default) {
                (Some(value), _) => field.fill(value),
                (None, Some(default)) => {
                    object.insert(name.to_owned(), default.clone());
                }
                (None, None) => {}
            }
        }
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, field) in &self.0 {
            map.serialize_entry(name, field)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of fields")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Fields::default();
                while let Some((name, field)) = map.next_entry::<String, Field>()? {
                    if fields.get(&name).is_some() {
                        return Err(A::Error::custom(format!("the field `{name}` is given twice")));
                    }
                    fields.put_last(&name, field);
                }
                Ok(fields)
            }
        }

        deserializer.deserialize_map(Reader)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mistakes(field: Value, value: Value) -> Vec<String> {
        let field: Field = serde_json::from_value(field).unwrap();
        let mut mistakes = Mistakes::default();
        field.check("f", &value, &mut mistakes);
        mistakes.0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_type_accepts_its_values_only() {
        for (name, good, bad) in [
            ("string", vec![json!("")], vec![json!(1), json!(null), json!([])]),
            ("integer", vec![json!(-1), json!(u64::MAX)], vec![json!(1.5), json!("1")]),
            ("number", vec![json!(1), json!(1.5)], vec![json!("1.5"), json!(true)]),
            ("boolean", vec![json!(true)], vec![json!(0), json!("true")]),
            ("date", vec![json!("2024-02-29")], vec![json!("2023-02-29"), json!("2024-2-9"), json!("today"), json!(1)]),
            ("timestamp", vec![json!("2026-11-21T17:55:00+01:00")], vec![json!("2026-11-21"), json!(1)]),
            ("seconds", vec![json!(0)], vec![json!(0.5), json!("0")]),
            ("list", vec![json!([1])], vec![json!({})]),
            ("object", vec![json!({})], vec![json!([])]),
            (
                "reference",
                vec![json!(7), json!("u7"), json!({"id": 7, "name": "x"})],
                vec![json!({"name": "x"}), json!(7.5), json!(true)],
            ),
            ("any", vec![json!(null), json!(1), json!({})], vec![]),
        ] {
            for value in good {
                assert_eq!(mistakes(json!({"type": name}), value.clone()), [""; 0], "{name} {value}");
            }
            for value in bad {
                assert_eq!(mistakes(json!({"type": name}), value.clone()).len(), 1, "{name} {value}");
            }
        }
    }

    #[test]
    fn a_mistake_names_the_path_the_value_and_the_remedy() {
        for (field, value, expected) in [
            (json!({"type": "integer"}), json!("x"), "f: is `\"x\"`: give a whole number"),
            (json!({"type": ["integer", "string"]}), json!(true), "f: is `true`: give a whole number, or a string"),
            (json!({"type": "string", "min": 1}), json!(" "), "f: is empty: give it at least one character"),
            (json!({"type": "string", "max": 2}), json!("abc"), "f: has 3 bytes: at most 2"),
            (json!({"type": "integer", "min": 0, "max": 9}), json!(10), "f: is 10: give 0 to 9"),
            (json!({"type": "list", "max": 1}), json!([1, 2]), "f: has 2 entries: at most 1"),
            (json!({"type": "string", "values": ["a", "b"]}), json!("c"), "f: is `\"c\"`: give one of \"a\", \"b\""),
            (json!({"type": "list", "items": {"type": "string"}}), json!(["a", 1]), "f[1]: is `1`: give a string"),
            (
                json!({"type": "object", "more_fields": false, "fields": {"a": {"type": "string"}}}),
                json!({"b": 1}),
                "f.b: is not a field here: the fields are a",
            ),
            (
                json!({"type": "object", "fields": {"a": {"type": "string", "required": true}}}),
                json!({"b": 1}),
                "f.a: is missing: give a string",
            ),
        ] {
            assert_eq!(mistakes(field, value), [expected]);
        }
        assert_eq!(mistakes(json!({"type": "list", "items": {"type": "string"}}), json!(vec![1; 1000])).len(), TOLD);
    }

    #[test]
    fn a_declaration_reads_back_as_it_was_written() {
        let declared =
            json!({"b": {"type": "string", "default": null}, "a": {"type": ["seconds", "string"], "nullable": true}});
        let fields: Fields = serde_json::from_value(declared.clone()).unwrap();
        assert_eq!(serde_json::to_string(&fields).unwrap(), declared.to_string(), "in the same order");
        assert_eq!(fields.get("b").unwrap().default, Some(Value::Null));
        assert_eq!(fields.get("a").unwrap().default, None);
        assert!(serde_json::from_str::<Fields>(r#"{"a": {"type": "string"}, "a": {"type": "string"}}"#).is_err());
    }
}
