//! Validates manifests of plugins.

use hookwright_model::{Manifest, json_span};

use crate::error::LoadError;
use crate::exchange::Pairs;
use crate::schema::Schema;

/// Maximum length of the JSON Schema of the parameters, in bytes.
const SCHEMA: usize = 256 * 1024;
/// Maximum length of the one-line summary, in bytes.
const SUMMARY: usize = 1024;
/// Maximum number of hints, and length of each.
const HINTS: usize = 64;

/// The result of `describe`, of any WIT version.
pub(crate) struct Described {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) summary: String,
    pub(crate) parameters: String,
    pub(crate) hints: Pairs,
}

impl Described {
    /// The manifest and its compiled schema of parameters.
    pub(crate) fn check(self) -> Result<(Manifest, Schema), LoadError> {
        let invalid = |message: String| Err(LoadError::ManifestInvalid(message));
        if self.name.trim().is_empty() || self.name.len() > 64 || self.name.chars().any(char::is_control) {
            return invalid(format!("`name` is `{}`: give it 1 to 64 characters", shown(&self.name)));
        }
        if let Err(error) = semver::Version::parse(&self.version) {
            let shown = shown(&self.version);
            return invalid(format!(
                "`version` is `{shown}`, which is not a semantic version ({error}): write one such as 1.0.0"
            ));
        }
        if self.summary.len() > SUMMARY || self.summary.chars().any(char::is_control) {
            return invalid(format!(
                "`summary` has {} bytes: give it one line of at most {SUMMARY}",
                self.summary.len()
            ));
        }
        if self.hints.len() > HINTS || self.hints.iter().any(|(name, value)| name.len() + value.len() > SUMMARY) {
            return invalid(format!(
                "{} hints: give at most {HINTS}, of at most {SUMMARY} bytes each",
                self.hints.len()
            ));
        }
        if self.parameters.len() > SCHEMA {
            let size = self.parameters.len();
            return invalid(format!("`parameters` has {size} bytes: give a JSON Schema of at most {SCHEMA}"));
        }
        let read = json_span(self.parameters.as_bytes(), "")
            .map_err(|mistake| mistake.to_string())
            .and_then(|()| serde_json::from_str(&self.parameters).map_err(|error| error.to_string()));
        let parameters = match read {
            Ok(parameters) => parameters,
            Err(error) => {
                let shown = shown(&self.parameters);
                return invalid(format!(
                    "`parameters` cannot be read ({error}): `{shown}`; give a JSON Schema, such as {{}}"
                ));
            }
        };
        let schema = Schema::new(&parameters).map_err(LoadError::ManifestInvalid)?;
        let manifest =
            Manifest { name: self.name, version: self.version, summary: self.summary, parameters, hints: self.hints };
        Ok((manifest, schema))
    }
}

fn shown(text: &str) -> String {
    crate::cut::cut(text, 80)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described() -> Described {
        Described {
            name: "match".to_owned(),
            version: "1.2.3-rc.1".to_owned(),
            summary: "Compares".to_owned(),
            parameters: "{}".to_owned(),
            hints: Vec::new(),
        }
    }

    #[test]
    fn an_invalid_manifest_is_reported_with_the_remedy() {
        assert!(described().check().is_ok());
        for (wrong, part) in [
            (Described { name: " ".to_owned(), ..described() }, "`name`"),
            (Described { version: "1.0".to_owned(), ..described() }, "`1.0`, which is not a semantic version"),
            (Described { summary: "a\nb".to_owned(), ..described() }, "one line"),
            (Described { parameters: "{".to_owned(), ..described() }, "is not JSON"),
            (Described { parameters: "[]".to_owned(), ..described() }, "JSON Schema"),
            (Described { parameters: "[".repeat(500), ..described() }, "levels deep"),
            (Described { parameters: "{\"type\":\"strin\"}".to_owned(), ..described() }, "JSON Schema"),
            (Described { parameters: "{\"$ref\":\"http://a.example/\"}".to_owned(), ..described() }, "a.example"),
        ] {
            let Err(error) = wrong.check() else { panic!("taken: {part}") };
            assert_eq!(error.code(), "plugin.manifest_invalid");
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
