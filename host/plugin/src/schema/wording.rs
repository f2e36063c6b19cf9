//! Messages of validation errors: the value that was found, and the remedy. The schema library's own messages name
//! keywords of the schema, which the sender of a value has never seen.

use std::fmt::{self, Write as _};

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use serde_json::Value;

use super::validator::dotted_from;
use crate::cut::{cut, prefix};

/// The maximum length of a value in a message, of the options of an enum, and of every other message, in characters.
const MAX_VALUE: usize = 80;
const MAX_OPTIONS: usize = 300;
const MAX_MESSAGE: usize = 300;

/// The message of an error of `schema`, without the path of the value.
pub(super) fn message(schema: &Value, error: &ValidationError<'_>) -> String {
    let text = untruncated(schema, error);
    // The value and the options are truncated separately, so that a long value does not displace the options.
    if matches!(error.kind(), Kind::Enum { .. }) { text } else { cut(&text, MAX_MESSAGE) }
}

fn untruncated(schema: &Value, error: &ValidationError<'_>) -> String {
    let value = || shown(error.instance(), MAX_VALUE);
    let give = |what: &str| format!("is `{}`: give {what}", value());
    match error.kind() {
        Kind::Required { property } => {
            format!("`{}` is missing: give it a value", property.as_str().unwrap_or_default())
        }
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            format!("has unknown fields: leave out {}", listed(unexpected))
        }
        Kind::UnevaluatedItems { unexpected } => {
            format!("has items that are not allowed: leave out {}", listed(unexpected))
        }
        Kind::Type { kind } => give(&types(kind)),
        Kind::Enum { options } => give(&format!("one of {}", shown(options, MAX_OPTIONS))),
        Kind::Constant { expected_value } => give(&format!("`{}`", shown(expected_value, MAX_MESSAGE))),
        Kind::Maximum { limit } => give(&format!("at most {limit}")),
        Kind::Minimum { limit } => give(&format!("at least {limit}")),
        Kind::ExclusiveMaximum { limit } => give(&format!("less than {limit}")),
        Kind::ExclusiveMinimum { limit } => give(&format!("more than {limit}")),
        Kind::MultipleOf { multiple_of } => give(&format!("a multiple of {multiple_of}")),
        Kind::MaxLength { limit } => give(&format!("at most {limit} characters")),
        Kind::MinLength { limit } => give(&format!("at least {limit} characters")),
        Kind::Pattern { pattern } => give(&format!("a string that matches `{pattern}`")),
        Kind::Format { format } => give(&format!("a valid {format}")),
        Kind::MaxItems { limit } => format!("has {} items: give at most {limit}", size(error.instance())),
        Kind::MinItems { limit } => format!("has {} items: give at least {limit}", size(error.instance())),
        Kind::MaxProperties { limit } => format!("has {} fields: give at most {limit}", size(error.instance())),
        Kind::MinProperties { limit } => format!("has {} fields: give at least {limit}", size(error.instance())),
        Kind::UniqueItems => "has the same item more than once: give each item once".to_owned(),
        Kind::Contains => contains(schema, error),
        Kind::AdditionalItems { limit } => format!("has too many items: give at most {limit}"),
        Kind::FalseSchema => "is not allowed here: leave it out".to_owned(),
        Kind::Not { .. } => format!("is `{}`, which is a form that is not allowed: give another value", value()),
        Kind::PropertyNames { error } => format!("has a field whose name {}", untruncated(schema, error)),
        Kind::OneOfMultipleValid { .. } if error.instance().is_object() => {
            "has several of the forms of which exactly one is allowed: leave out the fields of the others".to_owned()
        }
        Kind::OneOfMultipleValid { .. } => format!(
            "is `{}`, which has several of the forms of which exactly one is allowed: give a value of one form only",
            value()
        ),
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
            format!("has none of the {} allowed forms: {}", context.len(), reasons(schema, error, context))
        }
        _ => shown(error, MAX_MESSAGE),
    }
}

/// The message about the number of items that match a form. The library reports `contains`, `minContains` and
/// `maxContains` as the same kind of error; the end of the path in the schema tells which of them it is.
fn contains(schema: &Value, error: &ValidationError<'_>) -> String {
    let (parent, keyword) = error.schema_path().as_str().rsplit_once('/').unwrap_or_default();
    let parent = schema.pointer(parent);
    let limit = |keyword: &str| parent.and_then(|parent| parent.get(keyword)).and_then(Value::as_u64);
    match (keyword, limit(keyword)) {
        ("minContains", Some(least)) => format!("has too few items of the required form: give at least {least}"),
        ("minContains", None) => "has too few items of the required form: give more".to_owned(),
        ("maxContains", Some(most)) if limit("minContains").is_some() => {
            format!("has too many items of the required form: give at most {most}")
        }
        // Without `minContains`, a list without any such item is reported under `maxContains` as well.
        ("maxContains", Some(most)) if u64::try_from(size(error.instance())).is_ok_and(|size| size > most) => {
            format!("has none or too many items of the required form: give at least 1 and at most {most}")
        }
        ("maxContains", None) => "has none or too many items of the required form: give more or fewer".to_owned(),
        _ => "has no item of the required form: add one".to_owned(),
    }
}

/// Why each form does not match: its first error, with its path from the value of `error`. Forms that do not fit into
/// the message are omitted.
fn reasons(schema: &Value, error: &ValidationError<'_>, forms: &[Vec<ValidationError<'static>>]) -> String {
    let mut reasons = String::new();
    for first in forms.iter().filter_map(|errors| errors.first()) {
        if reasons.len() >= MAX_MESSAGE {
            break;
        }
        if !reasons.is_empty() {
            reasons.push_str("; or ");
        }
        let path = dotted_from(error.instance_path(), error.instance(), first.instance_path());
        if !path.is_empty() {
            let _ = write!(reasons, "`{path}` ");
        }
        reasons.push_str(&message(schema, first));
    }
    reasons
}

/// Names or items, as many as fit into a message.
fn listed(all: &[String]) -> String {
    let mut text = String::new();
    for one in all {
        if text.len() >= MAX_MESSAGE {
            break;
        }
        let _ = write!(text, "{}`{}`", if text.is_empty() { "" } else { ", " }, cut(one, MAX_VALUE));
    }
    text
}

/// The JSON of `value`, truncated after `most` characters. A value may have megabytes, and a message quotes it once for
/// each form that does not match, so the truncated part is never serialized.
fn shown(value: &impl fmt::Display, most: usize) -> String {
    let mut start = Start { text: String::new(), most };
    // An error only means that the value is longer than the limit.
    let _ = write!(start, "{value}");
    cut(&start.text, most)
}

/// Collects the start of a string, up to one character more than `most`, and refuses the rest.
struct Start {
    text: String,
    most: usize,
}

impl fmt::Write for Start {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        // A character has at most four bytes, so at least one fits in beyond the limit.
        let room = self.most.saturating_add(4).saturating_sub(self.text.len());
        self.text.push_str(prefix(part, room));
        if self.text.len() > self.most { Err(fmt::Error) } else { Ok(()) }
    }
}

fn types(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(one) => article(&one.to_string()),
        TypeKind::Multiple(several) => {
            several.iter().map(|one| article(&one.to_string())).collect::<Vec<_>>().join(" or ")
        }
    }
}

fn article(name: &str) -> String {
    match name {
        "integer" => "an integer".to_owned(),
        "array" => "a list".to_owned(),
        "object" => "an object".to_owned(),
        "boolean" => "true or false".to_owned(),
        "null" => "null".to_owned(),
        "string" => "a string".to_owned(),
        other => format!("a {other}"),
    }
}

/// The number of items or fields.
fn size(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.len(),
        Value::Object(fields) => fields.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn first(schema: &Value, value: &Value) -> String {
        let validator = jsonschema::validator_for(schema).unwrap();
        message(schema, &validator.iter_errors(value).next().unwrap())
    }

    #[test]
    fn a_message_names_the_value_and_the_remedy() {
        for (schema, value, expected) in [
            (json!({"type": "integer"}), json!("x"), "is `\"x\"`: give an integer"),
            (json!({"maximum": 10}), json!(11), "is `11`: give at most 10"),
            (json!({"minLength": 3}), json!("ab"), "is `\"ab\"`: give at least 3 characters"),
            (json!({"pattern": "^[a-z]+$"}), json!("A"), "is `\"A\"`: give a string that matches `^[a-z]+$`"),
            (json!({"const": 1}), json!(2), "is `2`: give `1`"),
            (json!({"maxItems": 1}), json!([1, 2]), "has 2 items: give at most 1"),
            (json!({"required": ["id"]}), json!({}), "`id` is missing: give it a value"),
            (
                json!({"properties": {"b": {}}, "additionalProperties": false}),
                json!({"a": 1}),
                "has unknown fields: leave out `a`",
            ),
            (
                json!({"properties": {"c": {}}, "additionalProperties": false}),
                json!({"a": 1, "b": 2}),
                "has unknown fields: leave out `a`, `b`",
            ),
            (
                json!({"prefixItems": [{"type": "integer"}], "unevaluatedItems": false}),
                json!([1, "x", {"a": 2}]),
                "has items that are not allowed: leave out `\"x\"`, `{\"a\":2}`",
            ),
        ] {
            assert_eq!(first(&schema, &value), expected);
        }
    }

    #[test]
    fn one_of_is_explained_by_the_forms_that_are_allowed() {
        let schema = json!({"oneOf": [
            {"type": "string"},
            {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}
        ]});
        let found = first(&schema, &json!({"id": "7"}));
        assert!(found.starts_with("has none of the 2 allowed forms: is "), "{found}");
        assert!(found.ends_with("; or `id` is `\"7\"`: give an integer"), "{found}");
        let both = json!({"oneOf": [{"required": ["a"]}, {"required": ["b"]}]});
        let found = first(&both, &json!({"a": 1, "b": 2}));
        assert!(found.contains("exactly one is allowed: leave out"), "{found}");
        let found = first(&json!({"oneOf": [{"minimum": 1}, {"minimum": 2}]}), &json!(5));
        assert_eq!(
            found,
            "is `5`, which has several of the forms of which exactly one is allowed: give a value of one form only"
        );
    }

    #[test]
    fn the_number_of_items_of_a_form_is_too_small_or_too_large() {
        let integers = |mut schema: Value| {
            schema["contains"] = json!({"type": "integer"});
            schema
        };
        for (limits, value, expected) in [
            (json!({}), json!(["a"]), "has no item of the required form: add one"),
            (json!({"minContains": 2}), json!([1, "a"]), "has too few items of the required form: give at least 2"),
            (
                json!({"minContains": 2, "maxContains": 3}),
                json!([1]),
                "has too few items of the required form: give at least 2",
            ),
            (
                json!({"minContains": 1, "maxContains": 2}),
                json!([1, 2, 3]),
                "has too many items of the required form: give at most 2",
            ),
            (json!({"maxContains": 1}), json!([]), "has no item of the required form: add one"),
            (json!({"maxContains": 1}), json!(["a"]), "has no item of the required form: add one"),
            (
                json!({"maxContains": 1}),
                json!([1, 2]),
                "has none or too many items of the required form: give at least 1 and at most 1",
            ),
        ] {
            let schema = integers(limits);
            assert_eq!(first(&schema, &value), expected, "{schema}");
            let referred = json!({"$defs": {"a/b": schema}, "properties": {"list": {"$ref": "#/$defs/a~1b"}}});
            assert_eq!(first(&referred, &json!({"list": value})), expected, "{referred}");
        }
    }

    #[test]
    fn the_paths_in_the_forms_of_a_part_start_at_that_part() {
        let number = json!({"properties": {"id": {"type": "integer"}}});
        let schema = json!({"properties": {"items": {"items": {"anyOf": [{"type": "string"}, number]}}}});
        assert_eq!(
            first(&schema, &json!({"items": ["a", {"id": "7"}]})),
            "has none of the 2 allowed forms: is `{\"id\":\"7\"}`: give a string; or `id` is `\"7\"`: give an integer"
        );
        let inner = json!({"oneOf": [{"type": "string"}, {"items": {"type": "integer"}}]});
        let nested = json!({"properties": {"list": inner}});
        let schema = json!({"items": {"anyOf": [{"type": "string"}, nested]}});
        assert_eq!(
            first(&schema, &json!(["a", {"list": ["x"]}])),
            "has none of the 2 allowed forms: is `{\"list\":[\"x\"]}`: give a string; or `list` has none of the 2 allowed \
             forms: is `[\"x\"]`: give a string; or `[0]` is `\"x\"`: give an integer"
        );
    }

    #[test]
    fn a_long_value_leaves_the_options_their_room() {
        let options: Vec<_> = (0..100).map(|n| format!("option {n}")).collect();
        let found = first(&json!({"enum": options}), &json!("x".repeat(1000)));
        let (value, options) = found.split_once(": give one of ").unwrap();
        assert_eq!(value, format!("is `\"{}…`", "x".repeat(MAX_VALUE - 1)));
        assert!(options.starts_with("[\"option 0\",") && options.ends_with('…'), "{options}");
        assert_eq!(options.len(), MAX_OPTIONS + "…".len());
    }

    #[test]
    fn no_more_is_written_than_a_message_shows() {
        struct Endless;
        impl fmt::Display for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    f.write_str("ä")?;
                }
            }
        }
        assert_eq!(shown(&Endless, 5), "ää…");
        assert_eq!(shown(&json!([1, 2]), 5), "[1,2]");
        assert_eq!(shown(&json!([1, 23]), 5), "[1,23…");

        let forms: Vec<_> = (0..1000).map(|n| json!({"minimum": n})).collect();
        let schema = json!({"anyOf": forms});
        let validator = jsonschema::validator_for(&schema).unwrap();
        let value = json!(-1);
        let error = validator.iter_errors(&value).next().unwrap();
        let Kind::AnyOf { context } = error.kind() else { panic!("{error}") };
        assert_eq!(context.len(), 1000);
        assert!(reasons(&schema, &error, context).len() < 2 * MAX_MESSAGE);
        assert_eq!(message(&schema, &error).len(), MAX_MESSAGE + "…".len());
    }
}
