//! Parameters that are one thing or a list of such things.

use serde::de::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// One value, or a list of them: `"a"` and `["a", "b"]`.
///
/// What is a list is a list of values in any case: the members of no value are taken from a list by their position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Several<T>(Vec<T>);

impl<T> Several<T> {
    /// All of them, in order.
    #[must_use]
    pub fn all(&self) -> &[T] {
        &self.0
    }

    /// All of them, taken out.
    #[must_use]
    pub fn into_all(self) -> Vec<T> {
        self.0
    }
}

impl<'de, T: for<'v> Deserialize<'v>> Deserialize<'de> for Several<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Box::<RawValue>::deserialize(deserializer)?;
        let read = if json.get().starts_with('[') { read(json.get()) } else { read(json.get()).map(|one| vec![one]) };
        read.map(Self).map_err(serde::de::Error::custom)
    }
}

/// Reads JSON text, whose objects are read from objects only.
pub(crate) fn read<'j, T: Deserialize<'j>>(json: &'j str) -> Result<T, String> {
    let mut reader = serde_json::Deserializer::from_str(json);
    T::deserialize(hookwright_json::Strict(&mut reader)).map_err(|error| {
        let message = error.to_string();
        let message = message.rfind(" at line ").and_then(|at| message.get(..at)).unwrap_or(&message);
        hookwright_json::plain(message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Text;

    #[test]
    fn one_value_is_a_list_of_one() {
        for (json, texts) in
            [(r#""a""#, vec!["a"]), (r#"["a", 1.10]"#, vec!["a", "1.10"]), ("[]", vec![]), ("7", vec!["7"])]
        {
            let several: Several<Text> = serde_json::from_str(json).unwrap();
            assert_eq!(several.all().iter().map(Text::as_str).collect::<Vec<_>>(), texts, "{json}");
        }
        for json in ["null", "{}", r#"["a", ["b"]]"#, r#"["a", null]"#] {
            assert!(serde_json::from_str::<Several<Text>>(json).is_err(), "{json}");
        }
    }
}
