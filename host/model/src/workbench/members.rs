//! A JSON object that is composed of serialized values, which need not be parsed and serialized again.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::{Map, Value};

/// A member: its name, and the JSON of its value.
type Member<'t> = (Cow<'t, str>, Cow<'t, str>);

/// The members of an object, in their order.
#[derive(Clone, Default)]
pub(super) struct Members<'t>(Vec<Member<'t>>);

impl<'t> Members<'t> {
    /// The members of an object.
    pub(super) fn of(fields: &'t Map<String, Value>) -> Self {
        let member = |(name, value): (&'t String, &'t Value)| -> Member<'t> {
            (Cow::Borrowed(name.as_str()), Cow::Owned(value.to_string()))
        };
        Self(fields.iter().map(member).collect())
    }

    /// Appends a member, or replaces the one with its name.
    pub(super) fn put(&mut self, name: impl Into<Cow<'t, str>>, json: impl Into<Cow<'t, str>>) {
        let (name, json) = (name.into(), json.into());
        match self.0.iter_mut().find(|(other, _)| *other == name) {
            Some((_, known)) => *known = json,
            None => self.0.push((name, json)),
        }
    }

    /// The object as JSON.
    pub(super) fn json(&self) -> String {
        let sizes = self.0.iter().map(|(name, json)| name.len().saturating_add(json.len()).saturating_add(4));
        let mut text = String::with_capacity(sizes.fold(2, usize::saturating_add));
        text.push('{');
        for (place, (name, json)) in self.0.iter().enumerate() {
            if place > 0 {
                text.push(',');
            }
            let _ = write!(text, "{}:", Value::from(&**name));
            text.push_str(json);
        }
        text.push('}');
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_of_serialized_values_equals_one_of_values() {
        let mut values = Map::new();
        let mut members = Members::default();
        assert_eq!(members.json(), "{}");
        // A replaced member keeps its position.
        for (name, value) in
            [("id", json!(7)), ("a \"b\"\n", json!({"c": [1, null]})), ("id", json!("é")), ("", json!(1.50))]
        {
            members.put(name, value.to_string());
            values.insert(name.to_owned(), value);
        }
        let whole = Value::Object(values.clone()).to_string();
        assert_eq!((members.json(), Members::of(&values).json()), (whole.clone(), whole));
    }
}
