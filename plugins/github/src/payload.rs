//! The parts of a payload from which the event's envelope is made.
//!
//! Payloads reach megabytes, so the rest is checked to be JSON and otherwise passed over.

use hookwright_sdk::inbound::{self, Perhaps};
use serde::Deserialize;

/// The part of the payload that the envelope uses.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The action, if the payload has it as a string.
    pub(crate) action: Option<String>,
    /// `owner/name`.
    pub(crate) repository: Option<String>,
    /// The organization's login.
    pub(crate) organization: Option<String>,
}

#[derive(Deserialize)]
struct Members {
    #[serde(default)]
    action: Perhaps<String>,
    #[serde(default)]
    repository: Perhaps<Repository>,
    #[serde(default)]
    organization: Perhaps<Organization>,
}

#[derive(Deserialize)]
struct Repository {
    full_name: String,
}

#[derive(Deserialize)]
struct Organization {
    login: String,
}

impl Head {
    /// Reads a payload's text.
    ///
    /// # Errors
    /// A sentence: it is not JSON, and where, or it is not an object.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let Members { action, repository, organization } = inbound::head(text)?;
        Ok(Self {
            action: action.0,
            repository: repository.0.map(|repository| repository.full_name),
            organization: organization.0.map(|organization| organization.login),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(action: Option<&str>, repository: Option<&str>, organization: Option<&str>) -> Head {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Head { action: owned(action), repository: owned(repository), organization: owned(organization) }
    }

    #[test]
    fn the_parts_are_found_where_they_have_their_usual_shape() {
        for (text, expected) in [
            (
                r#"{"action":"opened","repository":{"id":1,"full_name":"a/b"},"organization":{"login":"a"}}"#,
                head(Some("opened"), Some("a/b"), Some("a")),
            ),
            (r#" {"zen":"Design for failure.","hook":{"id":1}}"#, head(None, None, None)),
            (r#"{"action":{"nested":1},"repository":"a/b","organization":null}"#, head(None, None, None)),
            (r#"{"action":"cre\u0061ted"}"#, head(Some("created"), None, None)),
        ] {
            assert_eq!(Head::read(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_payload_that_is_not_a_json_object_is_refused_at_any_depth() {
        for text in [
            "",
            "[]",
            "\"x\"",
            "{",
            r#"{"a":[1,2}"#,
            r#"{"a":1} x"#,
            r#"{"a":{"b":tru}}"#,
            r#"{"a":"\q"}"#,
            r#"{"repository":{"x":}}"#,
        ] {
            assert!(Head::read(text).is_err(), "{text}");
        }
    }
}
