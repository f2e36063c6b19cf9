use serde::{Deserialize, Serialize};

use crate::nullable::given;
use crate::{KeyId, SpaceId, Timestamp, User};

/// The permissions of a key. No role includes another, except as described here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything in the space, including keys, plugins, sources and webhooks.
    Admin,
    /// Reads everything, changes automations and records, sends events.
    Editor,
    /// Reads everything except secrets and keys.
    Viewer,
    /// Sends events, nothing else.
    Ingest,
}

impl Role {
    /// Whether it may read the space.
    pub fn reads(self) -> bool {
        !matches!(self, Self::Ingest)
    }

    /// Whether it may change automations and records.
    pub fn edits(self) -> bool {
        matches!(self, Self::Admin | Self::Editor)
    }

    /// Whether it may send events.
    pub fn ingests(self) -> bool {
        !matches!(self, Self::Viewer)
    }

    /// Whether it may change keys, plugins, sources and webhooks.
    pub fn administers(self) -> bool {
        matches!(self, Self::Admin)
    }

    /// Whether it has all permissions of another role.
    pub fn includes(self, other: Self) -> bool {
        [Self::reads, Self::edits, Self::ingests, Self::administers].iter().all(|may| may(self) || !may(other))
    }

    /// Its name as in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Editor => "editor",
            Self::Viewer => "viewer",
            Self::Ingest => "ingest",
        }
    }
}

/// A stored API key: enough to recognize the key, not enough to use it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ApiKey {
    /// Its id in the API.
    pub id: KeyId,
    /// The space it is bound to.
    pub space: SpaceId,
    /// Its display name.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// The user that it stands for, who is shown as the author of the changes made with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<User>,
    /// The first characters of the key, to tell keys apart in a list.
    pub prefix: String,
    /// SHA-256 of the key, in hex. Keys contain 256 random bits, so a plain digest reveals nothing.
    pub digest: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// When it expires. `None`: it is valid until it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The key that replaced it in a rotation, beside which it is valid until it expires. `None`: it is current.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<KeyId>,
}

/// A change of a key.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyChange {
    /// See [`ApiKey::user`]. `Some(None)` removes the user.
    #[serde(default, deserialize_with = "given")]
    pub user: Option<Option<User>>,
}

impl ApiKey {
    /// The longest lifetime of a key, in seconds: ten years.
    pub const MAX_LIFE_SECONDS: u64 = 10 * 366 * 86_400;

    /// Whether it belongs to the configuration of the space: neither replaced nor expired. The others expire by
    /// themselves.
    pub fn is_current(&self, now: Timestamp) -> bool {
        self.replaced_by.is_none() && !self.has_expired(now)
    }

    /// The keys that the one with this id has replaced, directly or not: they are revoked with it.
    pub fn replaced<'k>(id: &KeyId, keys: &[&'k Self]) -> Vec<&'k Self> {
        let mut found: Vec<&'k Self> = Vec::new();
        let mut newer = vec![id.clone()];
        while let Some(id) = newer.pop() {
            for key in keys.iter().copied().filter(|key| key.replaced_by.as_ref() == Some(&id)) {
                if found.iter().all(|known| known.id != key.id) {
                    newer.push(key.id.clone());
                    found.push(key);
                }
            }
        }
        found
    }

    /// Whether the key has expired.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_role_includes_roles_with_a_subset_of_its_permissions() {
        let all = [Role::Admin, Role::Editor, Role::Viewer, Role::Ingest];
        let included = |role: Role| all.into_iter().filter(|other| role.includes(*other)).collect::<Vec<_>>();
        assert_eq!(included(Role::Admin), all);
        assert_eq!(included(Role::Editor), [Role::Editor, Role::Viewer, Role::Ingest]);
        assert_eq!((included(Role::Viewer), included(Role::Ingest)), (vec![Role::Viewer], vec![Role::Ingest]));
    }

    #[test]
    fn a_key_is_current_until_it_is_replaced_or_expires_and_older_records_are_current() {
        let now = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
        let stored = |more: serde_json::Value| -> ApiKey {
            let mut key = json!({"id": "key_1", "space": "main", "name": "k", "role": "viewer", "prefix": "hw_",
                "digest": "00", "created_at": "2025-01-01T00:00:00Z", "last_used_at": null});
            key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            serde_json::from_value(key).unwrap()
        };
        for (more, is_current) in [
            (json!({}), true),
            (json!({"expires_at": "2026-01-01T00:00:01Z"}), true),
            (json!({"expires_at": "2026-01-01T00:00:00Z"}), false),
            (json!({"expires_at": "2026-01-01T00:00:01Z", "replaced_by": "key_2"}), false),
        ] {
            assert_eq!(stored(more.clone()).is_current(now), is_current, "{more}");
        }
        let key = |id: &str, newer: &str| stored(json!({"id": id, "replaced_by": newer}));
        // The last two replace each other. No store contains this, but it must not hang.
        let all = [key("key_1", "key_2"), key("key_2", "key_3"), key("key_4", "key_5"), key("key_5", "key_4")];
        let all: Vec<&ApiKey> = all.iter().collect();
        for (id, ids) in
            [("key_3", vec!["key_2", "key_1"]), ("key_2", vec!["key_1"]), ("key_1", vec![]), ("key_9", vec![])]
        {
            let found = ApiKey::replaced(&KeyId::from(id), &all);
            assert_eq!(found.iter().map(|key| key.id.as_str()).collect::<Vec<_>>(), ids, "{id}");
        }
        assert_eq!(ApiKey::replaced(&KeyId::from("key_4"), &all).len(), 2);
        let replaced = stored(json!({"replaced_by": "key_2"}));
        assert_eq!(serde_json::to_value(&replaced).unwrap()["replaced_by"], "key_2");
    }
}
