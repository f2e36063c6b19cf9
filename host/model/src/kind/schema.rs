//! Kinds as JSON Schema (2020-12).

use serde_json::{Map, Value, json};

use super::field::{Field, FieldType, Fields};

/// The schema of a record of these fields.
pub(super) fn of_record(description: &str, fields: &Fields, more: bool) -> Value {
    let mut schema = Map::new();
    schema.insert("description".to_owned(), description.into());
    schema.insert("type".to_owned(), "object".into());
    schema.insert("required".to_owned(), required(fields));
    schema.insert("properties".to_owned(), properties(fields));
    if !more {
        schema.insert("additionalProperties".to_owned(), false.into());
    }
    Value::Object(schema)
}

fn required(fields: &Fields) -> Value {
    fields.iter().filter(|(name, field)| field.required || *name == "id").map(|(name, _)| name).collect()
}

fn properties(fields: &Fields) -> Value {
    Value::Object(fields.iter().map(|(name, field)| (name.to_owned(), of_field(field))).collect())
}

fn of_field(field: &Field) -> Value {
    let mut schema = Map::new();
    if !field.description.is_empty() {
        schema.insert("description".to_owned(), field.description.clone().into());
    }
    if let Some(types) = types(field) {
        schema.insert("type".to_owned(), types);
    }
    // A format beside several types would apply to every string.
    if let [one] = field.types.all()
        && let Some(format) = format(*one)
    {
        schema.insert("format".to_owned(), format.into());
    }
    if let Some(default) = &field.default {
        schema.insert("default".to_owned(), default.clone());
    }
    if !field.values.is_empty() {
        let null = field.nullable.then_some(Value::Null);
        schema.insert("enum".to_owned(), field.values.iter().cloned().chain(null).collect());
    }
    for one in field.types.all() {
        bounds(*one, field, &mut schema);
    }
    if let Some(items) = &field.items {
        schema.insert("items".to_owned(), of_field(items));
    }
    if let Some(fields) = &field.fields {
        schema.insert("properties".to_owned(), properties(fields));
        let required: Vec<&str> = fields.iter().filter(|(_, field)| field.required).map(|(name, _)| name).collect();
        if !required.is_empty() {
            schema.insert("required".to_owned(), json!(required));
        }
        if field.more_fields == Some(false) {
            schema.insert("additionalProperties".to_owned(), false.into());
        }
    }
    Value::Object(schema)
}

/// The bounds as keywords of the type. A string has at least as many bytes as characters.
fn bounds(one: FieldType, field: &Field, schema: &mut Map<String, Value>) {
    let (least, most) = match one {
        FieldType::String => (None, Some("maxLength")),
        FieldType::List => (Some("minItems"), Some("maxItems")),
        FieldType::Integer | FieldType::Number | FieldType::Seconds => (Some("minimum"), Some("maximum")),
        _ => (None, None),
    };
    for (word, bound) in [(least, field.min), (most, field.max)] {
        if let (Some(word), Some(bound)) = (word, bound) {
            schema.insert(word.to_owned(), bound.into());
        }
    }
}

/// JSON types. Empty: any.
fn types(field: &Field) -> Option<Value> {
    let mut names: Vec<&str> = Vec::new();
    for one in field.types.all() {
        let own: &[&str] = match one {
            FieldType::String | FieldType::Date | FieldType::Timestamp => &["string"],
            FieldType::Integer | FieldType::Seconds => &["integer"],
            FieldType::Number => &["number"],
            FieldType::Boolean => &["boolean"],
            FieldType::List => &["array"],
            FieldType::Object => &["object"],
            FieldType::Reference => &["integer", "string", "object"],
            FieldType::Any => return None,
        };
        names.extend(own.iter().filter(|name| !names.contains(*name)).copied().collect::<Vec<_>>());
    }
    if field.nullable || field.default == Some(Value::Null) {
        names.push("null");
    }
    match names.as_slice() {
        [one] => Some(Value::from(*one)),
        several => Some(json!(several)),
    }
}

fn format(one: FieldType) -> Option<&'static str> {
    match one {
        FieldType::Date => Some("date"),
        FieldType::Timestamp => Some("date-time"),
        _ => None,
    }
}
