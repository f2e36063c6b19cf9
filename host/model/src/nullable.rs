//! Fields of what callers send to create or change an object (a merge, RFC 7396): absent, null or with a value. An absent
//! field keeps its value. Null removes it, which restores the default, and is refused where the object needs a value.

use serde::{Deserialize, Deserializer};

/// The message for a null in a required field.
pub const NOT_NULL: &str = "is null, which is not a value for this field: give one, or leave the field out to keep the \
                            present one";

/// Reads a field that null removes: `Some(None)` is null, `None` (by `#[serde(default)]`) is absent.
///
/// # Errors
/// The value is not a `T`.
pub fn given<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

/// Reads a field that the object needs: null is refused, `None` (by `#[serde(default)]`) is absent.
///
/// # Errors
/// The value is null, or not a `T`.
pub fn required<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let value = Option::<T>::deserialize(deserializer)?;
    value.map(Some).ok_or_else(|| serde::de::Error::custom(NOT_NULL))
}

/// Reads a field whose null is a value like any other: `None` (by `#[serde(default)]`) is absent only.
///
/// # Errors
/// The value is not a `T`.
pub fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::parse_json;

    #[derive(Debug, Default, PartialEq, Eq, Deserialize)]
    struct Thing {
        #[serde(default, deserialize_with = "given")]
        note: Option<Option<String>>,
        #[serde(default, deserialize_with = "required")]
        name: Option<String>,
        #[serde(default, deserialize_with = "present")]
        data: Option<Value>,
    }

    #[test]
    fn null_differs_from_an_absent_field_and_is_refused_where_a_value_is_needed() {
        let read = |text: &str| parse_json::<Thing>(text.as_bytes());
        assert_eq!(read("{}"), Ok(Thing::default()));
        assert_eq!(read(r#"{"note": null}"#), Ok(Thing { note: Some(None), ..Thing::default() }));
        let both = Thing { note: Some(Some("a".to_owned())), name: Some("b".to_owned()), data: None };
        assert_eq!(read(r#"{"note": "a", "name": "b"}"#), Ok(both));
        let data = |value: Value| Ok(Thing { data: Some(value), ..Thing::default() });
        assert_eq!(read(r#"{"data": null}"#), data(Value::Null));
        assert_eq!(read(r#"{"data": "a"}"#), data("a".into()));
        let error = read(r#"{"name": null, "note": 5}"#).unwrap_err();
        let paths: Vec<&str> = error.0.iter().map(|mistake| mistake.path.as_str()).collect();
        assert_eq!(paths, ["name", "note"], "{error}");
        assert!(error.to_string().contains("name: is null"), "{error}");
    }
}
