//! The cost of validating a value by a schema, estimated before the validation.
//!
//! A schema comes with a plugin, and a few lines of it can refer to one another so that validating a small value takes
//! practically for ever, or overflows the stack. So the references of a schema are bounded when it is compiled, and
//! each value is first walked together with the schema, counting every subschema that would be applied.

use serde_json::{Map, Value};

use super::patterns::Patterns;

/// Maximum number of references of a schema.
const REFERENCES: usize = 500;
/// Maximum number of regular expressions of a schema. Each may take a mebibyte.
const PATTERNS: usize = 100;
/// Maximum number of applied subschemas for one set of parameters.
const STEPS: u32 = 1_000_000;
/// Maximum nesting depth of applied subschemas.
const DEPTH: u32 = 1_000;

/// Rejects constructs whose cost is unbounded or unknown.
///
/// # Errors
/// A sentence about what must be written in another way.
pub(super) fn check_references(schema: &Value) -> Result<Patterns, String> {
    let mut counts = Counts::default();
    check_part(schema, true, &mut counts)?;
    Ok(counts.patterns)
}

#[derive(Default)]
struct Counts {
    references: usize,
    patterns: Patterns,
}

fn check_part(schema: &Value, root: bool, counts: &mut Counts) -> Result<(), String> {
    match schema {
        Value::Array(list) => list.iter().try_for_each(|part| check_part(part, false, counts)),
        Value::Object(object) => object.iter().try_for_each(|(keyword, value)| {
            match (keyword.as_str(), value) {
                ("pattern", Value::String(pattern)) => counts.patterns.add(pattern)?,
                ("patternProperties", Value::Object(patterns)) => {
                    patterns.keys().try_for_each(|pattern| counts.patterns.add(pattern))?;
                }
                _ => {}
            }
            if counts.patterns.count() > PATTERNS {
                return Err(format!("it has more than {PATTERNS} regular expressions: write it with fewer"));
            }
            match (keyword.as_str(), value.as_str()) {
                ("$ref", Some(target)) => {
                    counts.references = counts.references.saturating_add(1);
                    if counts.references > REFERENCES {
                        return Err(format!("it has more than {REFERENCES} references: write it with fewer"));
                    }
                    if target != "#" && !target.starts_with("#/") {
                        let target = crate::cut::cut(target, 200);
                        return Err(format!(
                            "`$ref` is `{target}`: references must stay inside it, such as `#/$defs/name`"
                        ));
                    }
                }
                ("$dynamicRef" | "$recursiveRef", Some(_)) => {
                    return Err(format!("`{keyword}` is not supported: use `$ref`, such as `#/$defs/name`"));
                }
                ("$id", Some(_)) if !root => return Err("`$id` is only supported at the root".to_owned()),
                _ => {}
            }
            check_part(value, false, counts)
        }),
        _ => Ok(()),
    }
}

/// The cost of validating `value`. `None` if it exceeds the maximum.
pub(super) fn work(schema: &Value, patterns: &Patterns, value: &Value) -> Option<u32> {
    let mut walk = Walk { root: schema, patterns, steps: STEPS };
    walk.apply(schema, value, DEPTH)?;
    Some(STEPS.saturating_sub(walk.steps))
}

struct Walk<'s> {
    root: &'s Value,
    patterns: &'s Patterns,
    steps: u32,
}

impl Walk<'_> {
    /// Counts the matching of an expression. `None`: it exceeds the maximum.
    fn matched(&mut self, pattern: &str, text: &str) -> Option<()> {
        self.steps = self.steps.checked_sub(self.patterns.work(pattern, text))?;
        Some(())
    }

    /// `None`: it exceeds the maximum.
    fn apply(&mut self, schema: &Value, value: &Value, depth: u32) -> Option<()> {
        self.steps = self.steps.checked_sub(1)?;
        let depth = depth.checked_sub(1)?;
        let Value::Object(schema) = schema else { return Some(()) };
        for (keyword, part) in schema {
            match keyword.as_str() {
                "$ref" => {
                    let target = part.as_str().and_then(|target| self.root.pointer(target.strip_prefix('#')?));
                    if let Some(target) = target {
                        self.apply(target, value, depth)?;
                    }
                }
                "allOf" | "anyOf" | "oneOf" => {
                    part.as_array().into_iter().flatten().try_for_each(|part| self.apply(part, value, depth))?;
                }
                "not" | "if" | "then" | "else" => self.apply(part, value, depth)?,
                "dependentSchemas" | "dependencies" => {
                    part.as_object().into_iter().flatten().try_for_each(|(_, part)| self.apply(part, value, depth))?;
                }
                "pattern" => {
                    if let (Some(pattern), Some(text)) = (part.as_str(), value.as_str()) {
                        self.matched(pattern, text)?;
                    }
                }
                _ => match value {
                    Value::Object(fields) => self.apply_to_fields(keyword, part, fields, depth)?,
                    Value::Array(items) => self.apply_to_items(keyword, part, items, depth)?,
                    _ => {}
                },
            }
        }
        Some(())
    }

    fn apply_to_fields(&mut self, keyword: &str, part: &Value, fields: &Map<String, Value>, depth: u32) -> Option<()> {
        let parts = || part.as_object().into_iter().flatten();
        match keyword {
            "properties" => fields
                .iter()
                .filter_map(|(name, value)| Some((part.get(name)?, value)))
                .try_for_each(|(part, value)| self.apply(part, value, depth)),
            "patternProperties" => parts().try_for_each(|(pattern, part)| {
                fields.iter().try_for_each(|(name, value)| {
                    self.matched(pattern, name)?;
                    self.apply(part, value, depth)
                })
            }),
            "additionalProperties" | "unevaluatedProperties" => {
                fields.values().try_for_each(|value| self.apply(part, value, depth))
            }
            "propertyNames" => fields.keys().try_for_each(|name| self.apply(part, &Value::from(name.as_str()), depth)),
            _ => Some(()),
        }
    }

    fn apply_to_items(&mut self, keyword: &str, part: &Value, items: &[Value], depth: u32) -> Option<()> {
        match (keyword, part) {
            ("items" | "prefixItems", Value::Array(parts)) => {
                parts.iter().zip(items).try_for_each(|(part, value)| self.apply(part, value, depth))
            }
            ("items" | "additionalItems" | "unevaluatedItems" | "contains", part) => {
                items.iter().try_for_each(|value| self.apply(part, value, depth))
            }
            _ => Some(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn is_bounded(schema: &Value, value: &Value) -> bool {
        work(schema, &check_references(schema).unwrap(), value).is_some()
    }

    fn doubling(levels: usize) -> Value {
        let mut defs = Map::new();
        for level in 0..levels {
            let next = json!({"$ref": format!("#/$defs/l{}", level + 1)});
            defs.insert(format!("l{level}"), json!({"allOf": [next.clone(), next]}));
        }
        defs.insert(format!("l{levels}"), json!({"type": "object"}));
        json!({"$defs": defs, "$ref": "#/$defs/l0"})
    }

    #[test]
    fn exponential_references_are_detected() {
        assert!(check_references(&doubling(60)).is_ok());
        assert!(is_bounded(&doubling(10), &json!({})));
        assert!(!is_bounded(&doubling(60), &json!({})));
        let nested = json!({"properties": {"a": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}}});
        let mut deep = json!(1);
        for _ in 0..60 {
            deep = json!({"a": deep});
        }
        assert!(is_bounded(&nested, &json!({"a": {"a": {"a": 1}}})));
        assert!(!is_bounded(&nested, &deep));
    }

    #[test]
    fn honest_schemas_are_bounded() {
        let tree = json!({
            "type": "object",
            "properties": {"all": {"type": "array", "items": {"$ref": "#"}}, "path": {"type": "string"}},
            "anyOf": [{"required": ["all"]}, {"required": ["path"]}],
            "additionalProperties": false
        });
        let leaves = vec![json!({"path": "a"}); 10_000];
        assert!(is_bounded(&tree, &json!({"all": [{"all": leaves}]})));
    }

    #[test]
    fn a_long_string_and_an_expression_of_many_states_exceed_the_limit_together() {
        let schema = json!({"properties": {"text": {"pattern": "a[ab]{3000}[^ab]"}, "word": {"pattern": "^[a-z]+$"}}});
        assert!(is_bounded(&schema, &json!({"text": "a".repeat(1000)})));
        assert!(!is_bounded(&schema, &json!({"text": "a".repeat(10_000)})));
        assert!(is_bounded(&schema, &json!({"word": "a".repeat(1_000_000)})), "a simple one takes a mebibyte");
        let names = json!({"patternProperties": {"a[ab]{3000}[^ab]": true}});
        assert!(!is_bounded(&names, &json!({"a".repeat(10_000): 1})));
        let names = json!({"propertyNames": {"pattern": "a[ab]{3000}[^ab]"}});
        assert!(!is_bounded(&names, &json!({"a".repeat(10_000): 1})));
    }

    #[test]
    fn references_stay_inside() {
        for schema in [
            json!({"$ref": "https://a.example/"}),
            json!({"items": {"$ref": "#anchor"}}),
            json!({"items": {"$dynamicRef": "#x"}}),
            json!({"items": {"$id": "https://a.example/"}}),
            Value::from(vec![json!({"$ref": "#"}); 501]),
            Value::from((0..101).map(|n| json!({"pattern": format!("a{n}")})).collect::<Vec<_>>()),
            Value::from((0..90).map(|n| json!({"pattern": format!("a[ab]{{3000}}[^ab]{n}")})).collect::<Vec<_>>()),
        ] {
            assert!(check_references(&schema).is_err(), "{schema}");
        }
        assert!(check_references(&json!({"$id": "https://a.example/", "properties": {"$ref": {"$ref": "#"}}})).is_ok());
    }
}
