//! JSON values as the texts that they came as, so that no number loses a digit and nothing is read that is not asked for.

use std::borrow::Cow;

use serde_json::value::RawValue;

/// One JSON value, without whitespace around it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Json<'j>(pub(crate) &'j str);

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Truth,
    Number,
    Text,
    List,
    Object,
}

impl<'j> Json<'j> {
    pub(crate) fn kind(self) -> Kind {
        match self.0.as_bytes().first() {
            Some(b'"') => Kind::Text,
            Some(b'[') => Kind::List,
            Some(b'{') => Kind::Object,
            Some(b't' | b'f') => Kind::Truth,
            Some(b'-' | b'0'..=b'9') => Kind::Number,
            _ => Kind::Null,
        }
    }

    /// The characters of a string.
    pub(crate) fn text(self) -> Option<Cow<'j, str>> {
        let inside = self.0.strip_prefix('"')?.strip_suffix('"')?;
        if !inside.contains('\\') {
            return Some(Cow::Borrowed(inside));
        }
        serde_json::from_str(self.0).ok().map(Cow::Owned)
    }

    /// A string, or a number or truth value as it is written.
    pub(crate) fn written(self) -> Option<Cow<'j, str>> {
        match self.kind() {
            Kind::Text => self.text(),
            Kind::Number | Kind::Truth => Some(Cow::Borrowed(self.0)),
            Kind::Null | Kind::List | Kind::Object => None,
        }
    }

    /// The elements of a list.
    pub(crate) fn elements(self) -> Option<Vec<Self>> {
        if self.kind() != Kind::List {
            return None;
        }
        let elements: Vec<&RawValue> = serde_json::from_str(self.0).ok()?;
        Some(elements.into_iter().map(|element| Self(element.get())).collect())
    }

    /// The members of an object.
    pub(crate) fn members(self) -> Option<std::collections::BTreeMap<Cow<'j, str>, Self>> {
        if self.kind() != Kind::Object {
            return None;
        }
        let members: std::collections::BTreeMap<Cow<'j, str>, &RawValue> = serde_json::from_str(self.0).ok()?;
        Some(members.into_iter().map(|(name, value)| (name, Self(value.get()))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_what_its_text_says() {
        for (text, kind, written) in [
            ("null", Kind::Null, None),
            ("true", Kind::Truth, Some("true")),
            ("-1.50", Kind::Number, Some("-1.50")),
            (r#""a\u0041\n""#, Kind::Text, Some("aA\n")),
            (r#""""#, Kind::Text, Some("")),
            ("[1]", Kind::List, None),
            ("{}", Kind::Object, None),
        ] {
            let json = Json(text);
            assert_eq!((json.kind(), json.written().as_deref()), (kind, written), "{text}");
        }
        let elements = Json(r#"[1, "x", {"a": [2]}]"#).elements().unwrap();
        assert_eq!(elements.iter().map(|one| one.0).collect::<Vec<_>>(), ["1", "\"x\"", "{\"a\": [2]}"]);
        let members = Json(r#"{"a": 1, "b\n": 2, "a": 3}"#).members().unwrap();
        assert_eq!(
            members.iter().map(|(name, one)| (name.as_ref(), one.0)).collect::<Vec<_>>(),
            [("a", "3"), ("b\n", "2")]
        );
    }
}
