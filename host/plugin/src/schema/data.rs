//! The JSON Schema (2020-12) of an event's data.

use hookwright_model::Mistake;
use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use super::{MISTAKES, PATTERN, dotted, effort};

/// A compiled schema of data. Nothing is fetched for it, and checking a value takes bounded time.
pub struct DataSchema {
    validator: Validator,
    source: Value,
}

impl DataSchema {
    /// Compiles it.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the schema.
    pub fn new(schema: &Value) -> Result<Self, String> {
        let unusable = |place: &str, why: String| format!("is no JSON Schema that can be used{place}: {why}");
        effort::check_references(schema).map_err(|why| unusable("", why))?;
        let validator = jsonschema::options()
            .offline()
            .with_pattern_options(PatternOptions::regex().size_limit(PATTERN))
            .build(schema)
            .map_err(|error| {
                let place = dotted(schema, error.instance_path());
                let place = if place.is_empty() { String::new() } else { format!(" at `{place}`") };
                unusable(&place, crate::output::cut(&error.to_string(), 300))
            })?;
        Ok(Self { validator, source: schema.clone() })
    }

    /// What does not fit in `value`, each with its path from `root`; nothing if all does.
    pub fn check(&self, root: &str, value: &Value) -> Vec<Mistake> {
        if !effort::is_bounded(&self.source, value) {
            return vec![Mistake::new(root, "takes too long to check: send less, or write a simpler schema")];
        }
        if self.validator.is_valid(value) {
            return Vec::new();
        }
        let mistakes = self.validator.iter_errors(value).take(MISTAKES).map(|error| {
            let path = dotted(value, error.instance_path());
            let joint = if path.is_empty() || path.starts_with('[') { "" } else { "." };
            Mistake::new(format!("{root}{joint}{path}"), crate::output::cut(&error.to_string(), 300))
        });
        mistakes.collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_does_not_fit_is_named_with_its_path() {
        let schema = json!({"type": "object", "required": ["id"], "properties": {
            "id": {"type": "integer"}, "items": {"type": "array", "items": {"type": "string"}}}});
        let schema = DataSchema::new(&schema).unwrap();
        assert!(schema.check("data", &json!({"id": 1, "items": ["a"]})).is_empty());
        for (value, path) in [
            (json!({}), "data"),
            (json!([]), "data"),
            (json!({"id": "x"}), "data.id"),
            (json!({"id": 1, "items": ["a", 2]}), "data.items[1]"),
        ] {
            let mistakes = schema.check("data", &value);
            assert_eq!(mistakes.first().map(|one| one.path.as_str()), Some(path), "{mistakes:?}");
        }
    }

    #[test]
    fn a_schema_that_is_none_or_reaches_outside_is_refused() {
        for (schema, part) in [
            (json!({"type": "objekt"}), "type"),
            (json!({"$ref": "https://example.com/schema"}), "$ref"),
            (json!({"pattern": "("}), "pattern"),
        ] {
            let said = DataSchema::new(&schema).err().unwrap();
            assert!(said.contains(part), "{said}");
        }
    }
}
