use serde::{Deserialize, Serialize};

use crate::nullable::given;
use crate::{KeyId, SpaceId, Timestamp, User};

/// What the holder of a key may do. Each role includes nothing of the others but what is said here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything in the space: keys, plugins, sources and webhooks too.
    Admin,
    /// Reads all, changes automations and records, sends events.
    Editor,
    /// Reads all but secrets and keys.
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

    /// Whether it may do all that another role may.
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

/// An API key as stored: enough to recognise it, not enough to use it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ApiKey {
    /// Names the key in the API.
    pub id: KeyId,
    /// The space it is bound to.
    pub space: SpaceId,
    /// What its owner calls it.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The user that it stands for, who is shown as the one who makes the changes that are made with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<User>,
    /// The first characters of the key, to tell keys apart in a list.
    pub prefix: String,
    /// SHA-256 of the key, in hex. Keys hold 256 random bits, so a plain digest gives nothing away.
    pub digest: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// From when on it is refused; `None`: it works until it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The key that a rotation made in its place, beside which it works until it expires; `None`: it is current.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<KeyId>,
}

/// What changes of a key.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyChange {
    /// See [`ApiKey::user`]; `Some(None)`: it stands for none from now on.
    #[serde(default, deserialize_with = "given")]
    pub user: Option<Option<User>>,
}

impl ApiKey {
    /// The longest life that a key can be given, in seconds: ten years.
    pub const MAX_LIFE_SECONDS: u64 = 10 * 366 * 86_400;

    /// Whether it is one of the keys that the space is configured with: neither replaced nor expired. The others end by
    /// themselves.
    pub fn is_current(&self, now: Timestamp) -> bool {
        self.replaced_by.is_none() && !self.has_expired(now)
    }

    /// Those of the keys that the one of this id has replaced, one after the other: they end with it.
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

    /// Whether the key is past its end.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_role_includes_those_that_may_nothing_that_it_may_not() {
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
        // The last two replace each other, which no store has, and must not hang.
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
