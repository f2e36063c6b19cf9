//! Who changed a record.

use serde::{Deserialize, Serialize};

use crate::{ApiKey, User};

/// The author of a change. What is unknown is omitted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// The id of the API key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The key's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_name: Option<String>,
    /// The user that the key stood for when the change was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<User>,
    /// The automation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub automation: Option<String>,
    /// The run of the automation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The plugin that the run called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// The name of the source whose URL was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

impl Author {
    /// The holder of a key.
    pub fn of_key(key: &ApiKey) -> Self {
        Self {
            key: Some(key.id.to_string()),
            key_name: Some(key.name.clone()),
            user: key.user.clone(),
            ..Self::default()
        }
    }

    /// The author as one string.
    pub fn label(&self) -> String {
        let known = [("key", &self.key), ("automation", &self.automation), ("source", &self.source)];
        let label = known.iter().find_map(|(what, id)| id.as_ref().map(|id| format!("{what} {id}")));
        label.unwrap_or_else(|| "server".to_owned())
    }
}
