//! Which values variables may have at each position, by the schema of the parameters.
//!
//! The value of a variable is data. Where the schema gives an object a special meaning besides plain text (`"text"` or
//! `{"secret": "name"}`), data that happens to be such an object must not get that meaning, and no data may choose a
//! secret. This is checked before any plugin sees the parameters, so it holds for every plugin whose schema describes
//! its parameters.

use hookwright_model::{Mistake, has_variables};
use serde_json::{Map, Value};

use super::addresses;
use super::validator::MISTAKES;

/// The keyword of a parameter that must be literal, without variables: the name of a secret, an instruction.
const LITERAL: &str = "x-hookwright-literal";
/// The keyword of a parameter in which, at any depth, the values of variables are scalars: an object or a list would be
/// an instruction there.
const SCALAR: &str = "x-hookwright-scalar";
/// The keyword of a parameter with mail addresses, in a string or in a list of strings: the value of a variable in them
/// is at most a part of one name or one address.
const ADDRESSES: &str = "x-hookwright-addresses";
/// The member that names a secret by convention, as the SDKs read it.
const BY_CONVENTION: &str = "secret";
/// Maximum number of subschemas that are examined for one set of parameters.
const STEPS: u32 = 1_000_000;
/// Maximum depth of the walk through the values.
const DEPTH: u32 = 300;

/// The validation errors at the positions of variables in `with`: where variables are not allowed at all, and, if
/// `filled` is given, where their values are not allowed.
pub(super) fn check(root: &Value, verbatim: &[String], with: &Value, filled: Option<&Value>) -> Vec<Mistake> {
    let mut walk = Walk { root, steps: STEPS, mistakes: Vec::new() };
    let mut top = Place::default();
    walk.expand(root, &mut top.schemas);
    for (name, part) in with.as_object().into_iter().flatten().filter(|(name, _)| !verbatim.contains(name)) {
        let place = walk.member(&top, name);
        walk.literal(&place, part, filled.and_then(|filled| filled.get(name)), name, DEPTH);
    }
    walk.mistakes.truncate(MISTAKES);
    walk.mistakes
}

/// Names that come from variables, in parameters that name a secret by their own name, and that `with` does not contain
/// literally. No call gets a secret by such a name, even if the plugin's schema does not mark the parameter.
pub(super) fn names_from_data(with: &Value, filled: &Value) -> Vec<String> {
    let mut found = Vec::new();
    gather(with, filled, false, DEPTH, &mut found);
    found.retain(|name| !is_written(with, name));
    found.sort();
    found.dedup();
    found
}

fn gather(with: &Value, filled: &Value, secret: bool, depth: u32, found: &mut Vec<String>) {
    let Some(depth) = depth.checked_sub(1) else { return };
    match (with, filled) {
        (Value::String(_), _) if has_variables(with) => gather_data(filled, secret, depth, found),
        (Value::Object(with), Value::Object(filled)) => {
            for (name, part) in with {
                let Some(filled) = filled.get(name) else { continue };
                gather(part, filled, secret || names_secret(name), depth, found);
            }
        }
        (Value::Array(with), Value::Array(filled)) => {
            with.iter().zip(filled).for_each(|(part, filled)| gather(part, filled, secret, depth, found));
        }
        _ => {}
    }
}

fn gather_data(data: &Value, secret: bool, depth: u32, found: &mut Vec<String>) {
    let Some(depth) = depth.checked_sub(1) else { return };
    match data {
        Value::String(text) if secret && text.len() <= 256 => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| gather_data(item, secret, depth, found)),
        Value::Object(members) => {
            members.iter().for_each(|(name, part)| gather_data(part, secret || names_secret(name), depth, found));
        }
        _ => {}
    }
}

fn names_secret(name: &str) -> bool {
    name.to_ascii_lowercase().contains(BY_CONVENTION)
}

/// Whether `with` contains `name` as a string of its own.
fn is_written(with: &Value, name: &str) -> bool {
    match with {
        Value::String(text) => text == name,
        Value::Array(items) => items.iter().any(|item| is_written(item, name)),
        Value::Object(members) => members.values().any(|part| is_written(part, name)),
        _ => false,
    }
}

/// The rules of the schema for one position.
#[derive(Default)]
struct Place<'s> {
    /// Every subschema that may apply to it.
    schemas: Vec<&'s Map<String, Value>>,
    /// Whether it must be literal: it names a secret, or is an instruction.
    literal: bool,
    /// Whether only scalars are allowed as data here.
    scalar: bool,
    /// Whether it contains mail addresses.
    addresses: bool,
}

impl Place<'_> {
    /// Whether an object would be an instruction here: the schema accepts a scalar, or an object with declared members.
    fn is_directive(&self) -> bool {
        let scalar = self.schemas.iter().any(|schema| {
            ["string", "number", "integer", "boolean"].iter().any(|name| takes(schema, name))
                || schema.get("const").is_some_and(is_scalar)
                || schema.get("enum").and_then(Value::as_array).is_some_and(|options| options.iter().any(is_scalar))
        });
        scalar && self.schemas.iter().any(|schema| declares_members(schema))
    }

    fn is_open(&self) -> bool {
        self.schemas.is_empty() && !self.literal && !self.scalar
    }
}

fn is_scalar(value: &Value) -> bool {
    !matches!(value, Value::Object(_) | Value::Array(_))
}

fn takes(schema: &Map<String, Value>, name: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(one)) => one == name,
        Some(Value::Array(several)) => several.iter().any(|one| one.as_str() == Some(name)),
        _ => false,
    }
}

fn declares_members(schema: &Map<String, Value>) -> bool {
    let says = ["properties", "required", "patternProperties", "additionalProperties", "propertyNames"];
    (takes(schema, "object") || !schema.contains_key("type"))
        && says.iter().any(|keyword| schema.contains_key(*keyword))
}

struct Walk<'s> {
    root: &'s Value,
    steps: u32,
    mistakes: Vec<Mistake>,
}

impl<'s> Walk<'s> {
    /// Every subschema that may apply to the same value as `schema` does, conditional ones included.
    fn expand(&mut self, schema: &'s Value, into: &mut Vec<&'s Map<String, Value>>) {
        let Value::Object(schema) = schema else { return };
        if into.iter().any(|known| std::ptr::eq(*known, schema)) {
            return;
        }
        let Some(steps) = self.steps.checked_sub(1) else { return };
        self.steps = steps;
        into.push(schema);
        for (keyword, part) in schema {
            match keyword.as_str() {
                "$ref" => {
                    let target = part.as_str().and_then(|target| self.root.pointer(target.strip_prefix('#')?));
                    if let Some(target) = target {
                        self.expand(target, into);
                    }
                }
                "allOf" | "anyOf" | "oneOf" => {
                    part.as_array().into_iter().flatten().for_each(|part| self.expand(part, into));
                }
                "if" | "then" | "else" => self.expand(part, into),
                "dependentSchemas" | "dependencies" => {
                    part.as_object().into_iter().flatten().for_each(|(_, part)| self.expand(part, into));
                }
                _ => {}
            }
        }
    }

    fn member(&mut self, place: &Place<'s>, name: &str) -> Place<'s> {
        let mut inner = Place { scalar: place.scalar, ..Place::default() };
        for schema in &place.schemas {
            let declared = schema.get("properties").and_then(|properties| properties.get(name));
            if let Some(declared) = declared {
                inner.literal |= name == BY_CONVENTION;
                self.expand(declared, &mut inner.schemas);
            }
            let patterns = schema.get("patternProperties").and_then(Value::as_object);
            for (_, part) in patterns.into_iter().flatten() {
                self.expand(part, &mut inner.schemas);
            }
            if declared.is_none() {
                for keyword in ["additionalProperties", "unevaluatedProperties"] {
                    schema.get(keyword).into_iter().for_each(|part| self.expand(part, &mut inner.schemas));
                }
            }
        }
        marked(inner)
    }

    fn item(&mut self, place: &Place<'s>, at: usize) -> Place<'s> {
        let mut inner =
            Place { scalar: place.scalar, literal: place.literal, addresses: place.addresses, ..Place::default() };
        for schema in &place.schemas {
            let own = schema.get("prefixItems").and_then(|items| items.get(at));
            let rest = ["items", "contains", "unevaluatedItems"].into_iter().filter_map(|keyword| schema.get(keyword));
            own.into_iter().chain(rest).for_each(|part| self.expand(part, &mut inner.schemas));
        }
        marked(inner)
    }

    /// A part of the parameters as configured in the automation.
    fn literal(&mut self, place: &Place<'s>, with: &Value, filled: Option<&Value>, path: &str, depth: u32) {
        let Some(depth) = depth.checked_sub(1) else { return };
        match with {
            Value::String(text) if has_variables(with) => {
                if place.addresses {
                    self.addresses(text, filled, path);
                }
                self.data(place, filled, path, depth);
            }
            Value::Object(members) => {
                for (name, part) in members {
                    let inner = self.member(place, name);
                    let filled = filled.and_then(|filled| filled.get(name));
                    self.literal(&inner, part, filled, &format!("{path}.{name}"), depth);
                }
            }
            Value::Array(items) => {
                for (at, part) in items.iter().enumerate() {
                    let inner = self.item(place, at);
                    let filled = filled.and_then(|filled| filled.get(at));
                    self.literal(&inner, part, filled, &format!("{path}[{at}]"), depth);
                }
            }
            _ => {}
        }
    }

    /// Mail addresses in a string with variables.
    fn addresses(&mut self, text: &str, filled: Option<&Value>, path: &str) {
        match filled {
            Some(Value::String(filled)) => {
                let wrong = addresses::wrong(text, filled).map(|why| Mistake::new(path, why));
                self.mistakes.extend(wrong);
            }
            Some(Value::Array(items)) => {
                for (at, item) in items.iter().enumerate() {
                    let wrong = item.as_str().and_then(|item| addresses::wrong(text, item));
                    if let Some(why) = wrong {
                        self.mistakes.push(Mistake::new(format!("{path}[{at}]"), why));
                        return;
                    }
                }
            }
            _ => {}
        }
    }

    /// The value of a variable, or a part of it.
    fn data(&mut self, place: &Place<'s>, value: Option<&Value>, path: &str, depth: u32) {
        if place.is_open() || self.mistakes.len() >= MISTAKES {
            return;
        }
        if place.literal {
            let message =
                "must be written out in the automation, as the name of a secret must: it cannot be a variable";
            self.mistakes.push(Mistake::new(path, message));
            return;
        }
        // A value that is too deep to be examined is not taken for harmless.
        let (what, depth) = match (value, depth.checked_sub(1)) {
            (Some(Value::Object(_)), depth) => ("an object", depth),
            (Some(Value::Array(_)), depth) => ("a list", depth),
            _ => return,
        };
        let (false, Some(depth)) = (place.scalar || place.is_directive() || self.steps == 0, depth) else {
            let message = format!("is {what} from a variable: give a string, a number, true or false");
            self.mistakes.push(Mistake::new(path, message));
            return;
        };
        match value {
            Some(Value::Object(members)) => {
                for (name, part) in members {
                    let inner = self.member(place, name);
                    self.data(&inner, Some(part), &format!("{path}.{}", crate::cut::cut(name, 80)), depth);
                }
            }
            Some(Value::Array(items)) => {
                for (at, part) in items.iter().enumerate() {
                    let inner = self.item(place, at);
                    self.data(&inner, Some(part), &format!("{path}[{at}]"), depth);
                }
            }
            _ => {}
        }
    }
}

/// Applies the keywords of the position itself.
fn marked(place: Place<'_>) -> Place<'_> {
    let says = |keyword| place.schemas.iter().any(|schema| schema.get(keyword) == Some(&Value::Bool(true)));
    Place {
        literal: place.literal || says(LITERAL),
        scalar: place.scalar || says(SCALAR),
        addresses: place.addresses || says(ADDRESSES),
        ..place
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As in `http-request`, besides positions of every other kind.
    fn schema() -> Value {
        json!({
            "type": "object",
            "properties": {
                "url": {"type": "string"},
                "form": {"type": "object", "additionalProperties": {"$ref": "#/$defs/values"}},
                "json": {},
                "to": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
                "files": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
                "token_secret": {"type": "string", "x-hookwright-literal": true},
                "auth": {"type": "object", "properties": {"secret": {"type": "string"}}},
                "pattern": {"type": "object", "x-hookwright-scalar": true},
                "program": {"type": "string", "x-hookwright-verbatim": true},
                "cc": {"$ref": "#/$defs/addresses"}
            },
            "$defs": {
                "addresses": {"x-hookwright-addresses": true, "type": ["string", "array"], "items": {"type": "string"}},
                "value": {"anyOf": [{"type": ["string", "number", "boolean"]}, {
                    "type": "object", "required": ["secret"], "additionalProperties": false,
                    "properties": {"secret": {"type": "string"}, "prefix": {"type": "string"}}
                }]},
                "values": {"anyOf": [{"$ref": "#/$defs/value"}, {"type": "array", "items": {"$ref": "#/$defs/value"}}]}
            }
        })
    }

    fn wrong(with: Value, filled: Option<Value>) -> Vec<String> {
        let verbatim = ["program".to_owned()];
        check(&schema(), &verbatim, &with, filled.as_ref()).into_iter().map(|mistake| mistake.path).collect()
    }

    #[test]
    fn data_is_refused_where_an_object_is_an_instruction() {
        let secret = json!({"secret": "financial", "prefix": "leak: "});
        let list = json!(["financial", "leak: "]);
        let v = "{{event.data.x}}";
        for (with, filled, at) in [
            (json!({"form": {"text": v}}), json!({"form": {"text": secret}}), Some("form.text")),
            (json!({"form": {"text": v}}), json!({"form": {"text": list}}), Some("form.text")),
            (json!({"form": {"text": [v, "b"]}}), json!({"form": {"text": [secret, "b"]}}), Some("form.text[0]")),
            (json!({"form": {"text": [v]}}), json!({"form": {"text": [list]}}), Some("form.text[0]")),
            (json!({"form": v}), json!({"form": {"text": secret}}), Some("form.text")),
            (json!({"form": v}), json!({"form": {"a": [secret]}}), Some("form.a")),
            (
                json!({"pattern": {"state": [v]}}),
                json!({"pattern": {"state": [{"exists": true}]}}),
                Some("pattern.state[0]"),
            ),
            (json!({"pattern": v}), json!({"pattern": {"state": [{"exists": true}]}}), Some("pattern")),
            (json!({"auth": v}), json!({"auth": secret}), Some("auth.secret")),
            (json!({"cc": v}), json!({"cc": "a@b, evil@b"}), Some("cc")),
            (json!({"cc": v}), json!({"cc": ["a@b", "c@d, evil@b"]}), Some("cc[1]")),
            (json!({"cc": ["a@b", v]}), json!({"cc": ["a@b", "c@d, evil@b"]}), Some("cc[1]")),
            (json!({"cc": ["a@b, c@d", v]}), json!({"cc": ["a@b, c@d", "A <c@d>"]}), None),
            (json!({"cc": v}), json!({"cc": ["a@b", "c@d"]}), None),
            // Data at positions of data.
            (json!({"form": {"text": v}}), json!({"form": {"text": "a"}}), None),
            (
                json!({"form": {"text": [v, {"secret": "own"}]}}),
                json!({"form": {"text": [7, {"secret": "own"}]}}),
                None,
            ),
            (json!({"form": v}), json!({"form": {"a": "1", "b": true}}), None),
            (json!({"json": v}), json!({"json": {"text": secret, "list": [secret]}}), None),
            (json!({"json": {"a": [v]}}), json!({"json": {"a": [secret]}}), None),
            (json!({"to": v}), json!({"to": ["a@example.com"]}), None),
            (json!({"files": v}), json!({"files": [{"name": "a"}]}), None),
            (json!({"pattern": {"state": [v]}}), json!({"pattern": {"state": ["open"]}}), None),
            (json!({"program": v}), json!({"program": v}), None),
            (
                json!({"url": 1, "form": {"text": {"secret": "own"}}}),
                json!({"form": {"text": {"secret": "own"}}}),
                None,
            ),
        ] {
            let found = wrong(with.clone(), Some(filled.clone()));
            assert_eq!(found, at.map(str::to_owned).into_iter().collect::<Vec<_>>(), "{with} {filled}");
        }
    }

    #[test]
    fn a_secret_is_named_by_the_automation_alone() {
        for (with, at) in [
            (json!({"token_secret": "{{event.data.x}}"}), "token_secret"),
            (json!({"token_secret": "key-{{event.data.x}}"}), "token_secret"),
            (json!({"form": {"a": {"secret": "{{event.data.x}}"}}}), "form.a.secret"),
            (json!({"form": {"a": ["b", {"secret": "{{event.data.x}}"}]}}), "form.a[1].secret"),
            (json!({"auth": {"secret": "{{event.data.x}}"}}), "auth.secret"),
        ] {
            assert_eq!(wrong(with.clone(), None), [at], "{with}");
        }
        for with in [
            json!({"token_secret": "own", "form": {"a": {"secret": "own", "prefix": "{{event.data.x}}"}}}),
            json!({"json": {"secret": "{{event.data.x}}"}}),
        ] {
            assert_eq!(wrong(with.clone(), None), [""; 0], "{with}");
        }
    }

    #[test]
    fn names_from_data_are_distinguished_from_literal_ones() {
        let v = "{{event.data.x}}";
        for (with, filled, names) in [
            (json!({"a": v}), json!({"a": {"secret": "financial"}}), vec!["financial"]),
            (json!({"a": {"b": [v]}}), json!({"a": {"b": [{"deep": {"secret": ["financial"]}}]}}), vec!["financial"]),
            (json!({"api_secret": v}), json!({"api_secret": "financial"}), vec!["financial"]),
            (json!({"a": v, "b": "financial"}), json!({"a": {"secret": "financial"}, "b": "financial"}), vec![]),
            (json!({"a": v}), json!({"a": "financial"}), vec![]),
            (json!({"a": {"secret": "own"}}), json!({"a": {"secret": "own"}}), vec![]),
        ] {
            assert_eq!(names_from_data(&with, &filled), names, "{with} {filled}");
        }
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let schema = json!({"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {
            "anyOf": [{"type": "string"}, {"$ref": "#/$defs/a"}, {"items": {"$ref": "#/$defs/a"}}],
            "additionalProperties": {"$ref": "#/$defs/a"}
        }}});
        let deep = (0..250).fold(json!(1), |inner, _| json!([inner]));
        let found = check(&schema, &[], &json!({"a": "{{event.data}}"}), Some(&json!({"a": deep})));
        assert_eq!(found.len(), 1);
    }
}
