//! The JSON Schema (2020-12) of an event's data.

use hookwright_model::Mistake;
use jsonschema::Validator;
use serde_json::Value;

use super::patterns::Patterns;
use super::validator::{MISTAKES, compile, dotted};
use super::{apart, effort, wording};

/// A compiled schema of data. No references are fetched, and validation takes bounded time.
pub struct DataSchema {
    validator: Validator,
    source: Value,
    patterns: Patterns,
}

impl DataSchema {
    /// Compiles it.
    ///
    /// # Errors
    /// A sentence about what is wrong with the schema.
    pub fn new(schema: &Value) -> Result<Self, String> {
        let unusable = |why: String| format!("is not a usable JSON Schema{why}");
        let patterns = effort::check_references(schema).map_err(|why| unusable(format!(": {why}")))?;
        let validator = compile(schema).map_err(unusable)?;
        Ok(Self { validator, source: schema.clone(), patterns })
    }

    /// The validation errors of `value`, each with its path from `root`. Empty if it is valid.
    pub fn check(&self, root: &str, value: &Value) -> Vec<Mistake> {
        let too_much = || vec![Mistake::new(root, "takes too long to check: send less, or write a simpler schema")];
        let Some(work) = effort::work(&self.source, &self.patterns, value) else { return too_much() };
        let check = || {
            if self.validator.is_valid(value) {
                return Vec::new();
            }
            let mistakes = self.validator.iter_errors(value).take(MISTAKES).map(|error| {
                let path = dotted(value, error.instance_path());
                let joint = if path.is_empty() || path.starts_with('[') { "" } else { "." };
                Mistake::new(format!("{root}{joint}{path}"), wording::message(&self.source, &error))
            });
            mistakes.collect()
        };
        apart::check(work, check).unwrap_or_else(too_much)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn validation_errors_are_reported_with_their_paths() {
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
