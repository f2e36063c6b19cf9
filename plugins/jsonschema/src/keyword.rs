//! What stands beside each keyword of a schema, and which of it is a schema again.

use hookwright_sdk::shorten;
use serde_json::Value;

/// What a keyword's value must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Schema,
    /// A list of schemas, not empty.
    Schemas,
    /// Names with a schema each.
    Named,
    /// As `Named`, where the names are regular expressions.
    Patterned,
    /// A schema, or in older drafts a list of them.
    SchemaOrSchemas,
    /// Names with a schema or a list of names each.
    Dependencies,
    /// A whole number, 0 or more.
    Count,
    Number,
    /// A number greater than 0.
    Divisor,
    Text,
    Boolean,
    Regex,
    /// A list of strings.
    Texts,
    /// Names with a list of strings each.
    NamedTexts,
    /// A type's name, or a list of them.
    Types,
    List,
}

const TYPES: [&str; 7] = ["null", "boolean", "object", "array", "number", "string", "integer"];

/// The shape of a keyword's value. None for what is not a keyword, or says nothing about what is valid.
pub(crate) fn shape(keyword: &str) -> Option<Shape> {
    Some(match keyword {
        "additionalProperties"
        | "unevaluatedProperties"
        | "unevaluatedItems"
        | "propertyNames"
        | "contains"
        | "not"
        | "if"
        | "then"
        | "else"
        | "additionalItems"
        | "contentSchema" => Shape::Schema,
        "allOf" | "anyOf" | "oneOf" | "prefixItems" => Shape::Schemas,
        "items" => Shape::SchemaOrSchemas,
        "properties" | "dependentSchemas" | "$defs" | "definitions" => Shape::Named,
        "patternProperties" => Shape::Patterned,
        "dependencies" => Shape::Dependencies,
        "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" | "minContains"
        | "maxContains" => Shape::Count,
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => Shape::Number,
        "multipleOf" => Shape::Divisor,
        "$id" | "$ref" | "$anchor" | "$dynamicRef" | "$dynamicAnchor" | "$schema" | "format" => Shape::Text,
        "uniqueItems" => Shape::Boolean,
        "pattern" => Shape::Regex,
        "required" => Shape::Texts,
        "dependentRequired" => Shape::NamedTexts,
        "type" => Shape::Types,
        "enum" => Shape::List,
        _ => return None,
    })
}

/// What is wrong with a keyword's value, not looking into the schemas in it.
pub(crate) fn problem(shape: Shape, value: &Value) -> Option<String> {
    let is_text_list = |value: &Value| value.as_array().is_some_and(|items| items.iter().all(Value::is_string));
    let is_type = |value: &Value| value.as_str().is_some_and(|name| TYPES.contains(&name));
    let (is_right, wanted) = match shape {
        // Whether these are schemas is found when they are read.
        Shape::Schema => (true, ""),
        Shape::SchemaOrSchemas => (true, ""),
        Shape::Schemas => (value.as_array().is_some_and(|items| !items.is_empty()), "a list of schemas, not empty"),
        Shape::Named | Shape::Patterned => (value.is_object(), "an object with a schema for each name"),
        Shape::Dependencies => (value.is_object(), "an object"),
        Shape::Count => (
            value.as_u64().is_some() || value.as_f64().is_some_and(|real| real >= 0.0 && real.fract() == 0.0),
            "a whole number, 0 or more",
        ),
        Shape::Number => (value.is_number(), "a number"),
        Shape::Divisor => (value.as_f64().is_some_and(|real| real > 0.0), "a number greater than 0"),
        Shape::Text | Shape::Regex => (value.is_string(), "a string"),
        Shape::Boolean => (value.is_boolean(), "true or false"),
        Shape::Texts => (is_text_list(value), "a list of strings"),
        Shape::NamedTexts => (
            value.as_object().is_some_and(|members| members.values().all(is_text_list)),
            "an object with a list of strings for each name",
        ),
        Shape::Types => (
            is_type(value) || value.as_array().is_some_and(|items| !items.is_empty() && items.iter().all(is_type)),
            "one of null, boolean, object, array, number, string, integer, or a list of these",
        ),
        Shape::List => (value.is_array(), "a list"),
    };
    (!is_right).then(|| format!("is {}: give {wanted}", shorten(&value.to_string(), 200)))
}
