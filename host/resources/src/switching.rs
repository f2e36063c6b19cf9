//! Disabling an object is never refused: it must be possible to stop it even if it is no longer valid, for example
//! because of a new check.

use serde::Serialize;
use serde_json::Value;

/// The fields that change besides when an object is disabled.
const IGNORED_FIELDS: [&str; 11] = [
    "dead",
    "enabled",
    "paused",
    "revision",
    "state_at",
    "state_by",
    "state_reason",
    "status",
    "switched",
    "updated_at",
    "version",
];

/// Whether an object is disabled and otherwise unchanged, so that it need not be valid.
pub(crate) fn only_switched_off<T: Serialize>(was: &T, is: &T, enabled: bool) -> bool {
    !enabled && matches!((bare(was), bare(is)), (Some(was), Some(is)) if was == is)
}

fn bare<T: Serialize>(object: &T) -> Option<Value> {
    let mut value = serde_json::to_value(object).ok()?;
    let members = value.as_object_mut()?;
    members.retain(|name, _| !IGNORED_FIELDS.contains(&name.as_str()));
    Some(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_pure_disable_skips_validation() {
        let was = json!({"name": "a", "enabled": true, "revision": 1, "on": ["x"]});
        assert!(only_switched_off(&was, &json!({"name": "a", "enabled": false, "revision": 2, "on": ["x"]}), false));
        assert!(!only_switched_off(&was, &json!({"name": "a", "enabled": false, "revision": 2, "on": ["y"]}), false));
        assert!(!only_switched_off(&was, &was, true), "it is on");
        assert!(!only_switched_off(&was, &json!({"name": "a", "enabled": false, "revision": 2}), false));
    }
}
