//! From the host's JSON text to a plugin's own parameter type, with a failure that names the field.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use crate::Failure;

/// Reads a plugin's parameters.
///
/// # Errors
/// A permanent failure with code `parameters.invalid` that names the field and what was expected of it.
pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    let mut json = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(hookwright_json::Strict(&mut json)).map_err(|error| {
        let path = error.path().to_string();
        let message = hookwright_json::plain(&without_position(&error.into_inner().to_string()));
        let what = if path == "." {
            "the parameters are not valid".to_owned()
        } else {
            format!("parameter `{path}` is not valid")
        };
        Failure::permanent("parameters.invalid", format!("{what}: {message}. Correct it in the automation's `with`"))
    })
}

/// Reads a parameter whose null is a value like any other, where an `Option` would take null for absent.
///
/// # Errors
/// Those of the value.
pub fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// The host makes the text, so its line and column are not useful.
fn without_position(message: &str) -> String {
    message.rfind(" at line ").and_then(|at| message.get(..at)).unwrap_or(message).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Sample {
        url: String,
        #[serde(default)]
        limits: Vec<Limit>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[allow(dead_code)]
    struct Limit {
        ms: u32,
    }

    #[test]
    fn a_failure_names_the_field_and_what_was_expected() {
        for (text, said) in [
            (r#"{"limits":[]}"#, "the parameters are not valid: missing field `url`"),
            (r#"{"url":7}"#, "parameter `url` is not valid: invalid type: the number `7`, expected a string"),
            (
                r#"{"url":"u","limits":[{"ms":1},{"ms":"x"}]}"#,
                r#"parameter `limits[1].ms` is not valid: invalid type: the string "x", expected a whole number from 0 to 4294967295"#,
            ),
            (r#"["u"]"#, "the parameters are not valid: invalid type: a list, expected an object"),
            (
                r#"{"url":"u","limits":[[1]]}"#,
                "parameter `limits[0]` is not valid: invalid type: a list, expected an object",
            ),
            (r#"{"url":"u","urll":1}"#, "unknown field `urll`, expected `url` or `limits`"),
        ] {
            let failure = parse::<Sample>(text).unwrap_err();
            assert_eq!(failure.code, "parameters.invalid");
            assert!(failure.message.contains(said), "{text}: {}", failure.message);
            assert!(!failure.can_retry());
        }
    }
}
