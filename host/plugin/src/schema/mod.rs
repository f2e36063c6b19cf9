//! The JSON Schema (2020-12) of a plugin's parameters, and of an event's data.

mod addresses;
mod apart;
mod data;
mod effort;
mod filled;
mod input;
mod patterns;
mod validator;
mod wording;

use std::fmt::Write as _;

use hookwright_model::{Mistake, has_variables};
use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::paths::{Location, LocationSegment};
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use patterns::Patterns;
use validator::{MISTAKES, compile, dotted};

pub use data::DataSchema;
pub use input::InputSchema;

/// The keyword of a parameter in which the host replaces no variables: `{{` is left to the plugin.
const VERBATIM: &str = "x-hookwright-verbatim";

/// The keyword of a parameter that is a path: if it refers to the record that the event is about, the host puts the
/// value at the path into the parameter that the keyword names.
const PATH: &str = "x-hookwright-path";

/// The keyword of a parameter that names the record to which paths refer, in place of the one that the event is about.
const RECORD: &str = "x-hookwright-record";

/// The keyword of a parameter whose value is the name of a workflow or of a kind of record of the space.
const NAME_OF: &str = "x-hookwright-name-of";

/// The kind of object that a parameter names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameOf {
    /// A workflow.
    Workflow,
    /// A kind of record.
    Kind,
}

impl NameOf {
    fn read(keyword: &Value) -> Option<Self> {
        match keyword.as_str()? {
            "workflow" => Some(Self::Workflow),
            "kind" => Some(Self::Kind),
            _ => None,
        }
    }
}

/// A compiled schema.
pub(crate) struct Schema {
    validator: Validator,
    source: Value,
    patterns: Patterns,
    verbatim: Vec<String>,
    paths: Vec<(String, String)>,
    record: Option<String>,
    names: Vec<(String, NameOf)>,
    /// Names of the top-level parameters, for error messages about unknown ones.
    known: Vec<String>,
}

impl Schema {
    /// Compiles it. No references are fetched, and expressions are matched in linear time.
    ///
    /// # Errors
    /// A sentence about what is wrong with the schema.
    pub(crate) fn new(schema: &Value) -> Result<Self, String> {
        let patterns = effort::check_references(schema)
            .map_err(|why| format!("`parameters` is not a usable JSON Schema: {why}"))?;
        let validator = compile(schema).map_err(|why| format!("`parameters` is not a usable JSON Schema{why}"))?;
        let properties = schema.get("properties").and_then(Value::as_object);
        let properties = || properties.into_iter().flatten();
        let verbatim = properties()
            .filter(|(_, property)| property.get(VERBATIM) == Some(&Value::Bool(true)))
            .map(|(name, _)| name.clone())
            .collect();
        let path = |(name, property): (&String, &Value)| Some((name.clone(), property.get(PATH)?.as_str()?.to_owned()));
        let paths = properties().filter_map(path).collect();
        let record = properties()
            .find(|(_, property)| property.get(RECORD) == Some(&Value::Bool(true)))
            .map(|(name, _)| name.clone());
        let named = |(name, property): (&String, &Value)| Some((name.clone(), NameOf::read(property.get(NAME_OF)?)?));
        let names = properties().filter_map(named).collect();
        let source = schema.clone();
        Ok(Self {
            validator,
            source,
            patterns,
            verbatim,
            paths,
            record,
            names,
            known: properties().map(|(name, _)| name.clone()).collect(),
        })
    }

    /// Top-level parameters in which the host replaces no variables.
    pub(crate) fn verbatim(&self) -> &[String] {
        &self.verbatim
    }

    /// Top-level parameters that are paths, each with the parameter into which the host puts the value that it found.
    pub(crate) fn paths(&self) -> &[(String, String)] {
        &self.paths
    }

    /// The top-level parameter that names the record to which the paths refer.
    pub(crate) fn record(&self) -> Option<&str> {
        self.record.as_deref()
    }

    /// Top-level parameters that name an object of the space, each with the kind of object.
    pub(crate) fn names(&self) -> &[(String, NameOf)] {
        &self.names
    }

    /// The validation errors of `parameters`.
    pub(crate) fn check(&self, parameters: &Value) -> Vec<Mistake> {
        let Some(work) = effort::work(&self.source, &self.patterns, parameters) else { return too_much() };
        apart::check(work, || self.mistakes(parameters)).unwrap_or_else(too_much)
    }

    fn mistakes(&self, parameters: &Value) -> Vec<Mistake> {
        if self.validator.is_valid(parameters) {
            return Vec::new();
        }
        let mistakes = self.validator.iter_errors(parameters).take(MISTAKES);
        mistakes.map(|error| self.mistake(parameters, &error)).collect()
    }

    /// The validation errors of `parameters` that do not depend on the values of variables.
    pub(crate) fn check_template(&self, parameters: &Value) -> Vec<Mistake> {
        let Some(work) = effort::work(&self.source, &self.patterns, parameters) else { return too_much() };
        let check = || {
            let mut mistakes = filled::check(&self.source, &self.verbatim, parameters, None);
            if self.validator.is_valid(parameters) {
                return mistakes;
            }
            let errors = self.validator.iter_errors(parameters);
            let lasting = errors.filter(|error| !self.depends_on_variables(parameters, error));
            mistakes.extend(lasting.map(|error| self.mistake(parameters, &error)).take(MISTAKES));
            mistakes
        };
        apart::check(work, check).unwrap_or_else(too_much)
    }

    /// The validation errors of `filled`, which is `parameters` with the variables filled in.
    pub(crate) fn check_filled(&self, parameters: &Value, filled: &Value) -> Vec<Mistake> {
        let Some(work) = effort::work(&self.source, &self.patterns, filled) else { return too_much() };
        let check = || {
            // A value that is not allowed here is a better message than that no alternative of the schema matches.
            let mistakes = filled::check(&self.source, &self.verbatim, parameters, Some(filled));
            if mistakes.is_empty() { self.mistakes(filled) } else { mistakes }
        };
        apart::check(work, check).unwrap_or_else(too_much)
    }

    /// Names of secrets that come from data, not from `parameters` themselves.
    pub(crate) fn names_from_data(&self, parameters: &Value, filled: &Value) -> Vec<String> {
        filled::names_from_data(parameters, filled)
    }

    /// Whether the error may disappear once the variables have values.
    fn depends_on_variables(&self, parameters: &Value, error: &ValidationError<'_>) -> bool {
        let path = error.instance_path();
        let (Some(value), false) = (found(parameters, path), self.is_verbatim(path)) else { return false };
        match value {
            Value::String(_) => has_variables(value),
            Value::Object(_) | Value::Array(_) => {
                let whole = matches!(
                    error.kind(),
                    Kind::AnyOf { .. }
                        | Kind::OneOfMultipleValid { .. }
                        | Kind::OneOfNotValid { .. }
                        | Kind::Not { .. }
                        | Kind::Constant { .. }
                        | Kind::Enum { .. }
                        | Kind::Contains
                        | Kind::UniqueItems
                        | Kind::UnevaluatedItems { .. }
                        | Kind::UnevaluatedProperties { .. }
                );
                (whole || is_conditional(error)) && self.has_variables(parameters, path, value)
            }
            // A literal value can only be invalid because of a variable if another value decides about it.
            _ => is_conditional(error) && self.has_variables(parameters, &Location::new(), parameters),
        }
    }

    fn has_variables(&self, parameters: &Value, path: &Location, value: &Value) -> bool {
        match parameters {
            Value::Object(object) if path.is_empty() => {
                object.iter().any(|(name, value)| !self.verbatim.contains(name) && has_variables(value))
            }
            _ => has_variables(value),
        }
    }

    fn is_verbatim(&self, path: &Location) -> bool {
        match path.segments().next() {
            Some(LocationSegment::Property(name)) => self.verbatim.iter().any(|verbatim| *verbatim == name),
            _ => false,
        }
    }

    fn mistake(&self, parameters: &Value, error: &ValidationError<'_>) -> Mistake {
        let path = dotted(parameters, error.instance_path());
        let inside = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        match error.kind() {
            Kind::Required { property } => {
                Mistake::new(inside(property.as_str().unwrap_or_default()), "is missing: give it a value")
            }
            Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
                let name = unexpected.first().map(String::as_str).unwrap_or_default();
                let known = if error.instance_path().is_empty() { self.known.as_slice() } else { &[] };
                let remedy = if known.is_empty() {
                    "leave it out".to_owned()
                } else {
                    format!("the parameters are {}", known.join(", "))
                };
                Mistake::new(inside(name), format!("unknown parameter: {remedy}"))
            }
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => match alternatives(context) {
                Some(names) => Mistake::new(path, format!("give one of {names}")),
                None => Mistake::new(path, wording::message(&self.source, error)),
            },
            _ => Mistake::new(path, wording::message(&self.source, error)),
        }
    }
}

fn too_much() -> Vec<Mistake> {
    let message = "checking this against the plugin's JSON Schema takes too long: give less data, or simplify the plugin's schema";
    vec![Mistake::new("", message)]
}

/// Whether the error comes from a conditional part of the schema.
fn is_conditional(error: &ValidationError<'_>) -> bool {
    error.schema_path().segments().any(|segment| {
        matches!(&segment, LocationSegment::Property(name) if ["then", "else", "dependentSchemas"].contains(&name.as_ref()))
    })
}

/// The parameters of which each alternative requires another one, if they require nothing else.
fn alternatives(context: &[Vec<ValidationError<'static>>]) -> Option<String> {
    let mut names = String::new();
    for errors in context {
        let [error] = errors.as_slice() else { return None };
        let Kind::Required { property } = error.kind() else { return None };
        let _ = write!(names, "{}`{}`", if names.is_empty() { "" } else { ", " }, property.as_str()?);
    }
    (!names.is_empty()).then_some(names)
}

fn found<'v>(value: &'v Value, path: &Location) -> Option<&'v Value> {
    path.segments().try_fold(value, |value, segment| match segment {
        LocationSegment::Property(name) => value.get(name.as_ref()),
        LocationSegment::Index(place) => value.get(place),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Schema {
        Schema::new(&json!({
            "type": "object",
            "required": ["id"],
            "properties": {
                "id": {"type": ["string", "integer"]},
                "count": {"type": "integer", "maximum": 10},
                "items": {"type": "array", "items": {"type": "object", "properties": {"x": {"enum": ["a", "b"]}}}},
                "program": {"type": "string", "maxLength": 5, "x-hookwright-verbatim": true},
                "where": {"type": "string", "x-hookwright-path": "there"},
                "flow": {"type": "string", "x-hookwright-name-of": "workflow"},
                "kind": {"type": "string", "x-hookwright-name-of": "kind"},
                "other": {"type": "string", "x-hookwright-name-of": "planet"},
                "pattern": {"pattern": "^[a-z]+$"}
            },
            "additionalProperties": false
        }))
        .unwrap()
    }

    #[test]
    fn a_mistake_names_the_parameter_and_the_remedy() {
        for (parameters, path, part) in [
            (json!({}), "id", "is missing"),
            (json!({"id": true}), "id", "is `true`: give"),
            (json!({"id": 1, "count": "x"}), "count", "is `\"x\"`: give an integer"),
            (json!({"id": 1, "count": 11}), "count", "10"),
            (json!({"id": 1, "items": [{}, {"x": "c"}]}), "items[1].x", "one of [\"a\",\"b\"]"),
            (json!({"id": 1, "ID": 1}), "ID", "the parameters are id, count"),
            (json!({"id": 1, "pattern": "A"}), "pattern", "^[a-z]+$"),
            (json!([]), "", "an object"),
        ] {
            let mistakes = schema().check(&parameters);
            assert_eq!(mistakes.len(), 1, "{mistakes:?}");
            assert_eq!(mistakes[0].path, path);
            assert!(mistakes[0].message.contains(part), "{}", mistakes[0]);
        }
        assert!(schema().check(&json!({"id": "7", "count": 3})).is_empty());
    }

    #[test]
    fn the_value_of_a_variable_is_not_guessed() {
        for (parameters, mistakes) in [
            (json!({"id": "{{event.data.id}}", "count": "{{event.data.n}}"}), 0),
            (json!({"id": 1, "items": "{{event.data.items}}"}), 0),
            (json!({"id": 1, "items": [{"x": "{{event.data.x}}"}]}), 0),
            (json!({"id": 1, "items": [{"x": "c"}, {"x": "{{event.data.x}}"}]}), 1),
            (json!({"count": "{{event.data.n}}"}), 1),
            (json!({"id": 1, "another": "{{event.data.n}}"}), 1),
            (json!({"id": 1, "program": "{{if}}"}), 1),
            (json!({"id": 1, "program": "{{a}"}), 0),
        ] {
            let found = schema().check_template(&parameters);
            assert_eq!(found.len(), mistakes, "{parameters} {found:?}");
        }
        assert_eq!(schema().verbatim(), ["program"]);
        assert_eq!(schema().paths(), [("where".to_owned(), "there".to_owned())]);
        assert_eq!(
            schema().names(),
            [("flow".to_owned(), NameOf::Workflow), ("kind".to_owned(), NameOf::Kind)],
            "an unknown word is none"
        );
    }

    #[test]
    fn alternatives_are_named_and_wait_for_variables() {
        let one_of = Schema::new(&json!({
            "properties": {"path": {"type": "string"}},
            "oneOf": [{"required": ["equals"]}, {"required": ["gt"]}],
            "if": {"properties": {"kind": {"const": "a"}}, "required": ["kind"]},
            "then": {"required": ["b"]}
        }))
        .unwrap();
        assert_eq!(one_of.check(&json!({"path": "x"}))[0].message, "give one of `equals`, `gt`");
        assert_eq!(one_of.check_template(&json!({"path": "x"})).len(), 1);
        assert!(one_of.check_template(&json!({"path": "{{event.data.path}}"})).is_empty());
        assert_eq!(one_of.check(&json!({"equals": 1, "kind": "a"}))[0].path, "b");
        assert!(one_of.check_template(&json!({"equals": "{{now}}", "kind": "a"})).is_empty());
    }

    #[test]
    fn an_expression_that_would_take_for_ever_is_refused() {
        for pattern in ["(?=a)b", "(a{1000}){1000}", "("] {
            assert!(Schema::new(&json!({"pattern": pattern})).is_err(), "{pattern}");
        }
        let endless = Schema::new(&json!({"pattern": "^(a+)+$"})).unwrap();
        assert_eq!(endless.check(&json!(format!("{}!", "a".repeat(5000)))).len(), 1);
    }

    /// On a stack as small as those of the server's threads.
    #[test]
    fn a_schema_that_refers_to_itself_or_again_and_again_ends() {
        let chain = |length: usize| {
            let link = |at: usize| (format!("l{at}"), json!({"allOf": [{"$ref": format!("#/$defs/l{}", at + 1)}]}));
            let mut defs: serde_json::Map<String, Value> = (0..length).map(link).collect();
            defs.insert(format!("l{length}"), json!({"type": "object"}));
            json!({"$defs": defs, "$ref": "#/$defs/l0"})
        };
        let schemas = [
            json!({"$ref": "#"}),
            json!({"allOf": [{"$ref": "#"}]}),
            json!({"anyOf": [{"$ref": "#"}, {"type": "string"}]}),
            json!({"not": {"$ref": "#"}}),
            json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}),
            json!({"if": {"$ref": "#"}, "then": false}),
            json!({"unevaluatedProperties": false, "allOf": [{"$ref": "#"}]}),
            chain(490),
            chain(6000),
        ];
        let thread = std::thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(move || {
            for schema in schemas {
                if let Ok(schema) = Schema::new(&schema) {
                    schema.check(&json!({"a": 1}));
                    schema.check_template(&json!({"a": "{{now}}"}));
                }
            }
        });
        thread.unwrap().join().unwrap();
    }
}
