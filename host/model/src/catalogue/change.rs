use serde_json::{Map, Value};

/// Fields whose change is told by a verb of its own. Each verb is told once, whichever of its fields changed.
const FIELDS: [(&str, &[&str]); 6] = [
    ("status-changed", &["status"]),
    (
        "moved",
        &[
            "stage",
            "stage_id",
            "stageId",
            "milestone",
            "milestone_id",
            "milestoneId",
            "kanban_stage_id",
            "kanbanStageId",
            "agile_board_column",
            "agile_board_column_id",
        ],
    ),
    ("team-changed", &["team", "team_id"]),
    ("member-changed", &["member", "member_id"]),
    ("manager-changed", &["manager", "manager_id"]),
    ("major-incident-status-changed", &["major_incident_status"]),
];

/// Statuses, in small letters, and fields of a date that say that a record is closed or completed.
const ENDS: [(&str, &[&str], &[&str]); 2] = [
    ("closed", &["closed", "won", "lost"], &["closed_at", "closedAt", "closed_on", "closedOn", "closedDate"]),
    ("completed", &["completed", "done"], &["completed_at", "completedAt", "completed_on", "completedOn"]),
];

/// What a change of a record's fields is told as: verbs of native event types, `updated` first; none if nothing changed.
///
/// | verb | when |
/// |---|---|
/// | `updated` | a field other than `updated_at` changed |
/// | `status-changed`, `team-changed`, `member-changed`, `manager-changed`, `major-incident-status-changed` | that field did |
/// | `moved` | the stage, milestone or column did |
/// | `closed`, `completed` | the status became such a one, or the date of it was set |
pub fn verbs_of_change(before: &Value, after: &Value) -> Vec<&'static str> {
    let nothing = Map::new();
    let (before, after) = (before.as_object().unwrap_or(&nothing), after.as_object().unwrap_or(&nothing));
    let differs = |name: &str| present(before, name) != present(after, name);
    if !before.keys().chain(after.keys()).any(|name| name != "updated_at" && differs(name)) {
        return Vec::new();
    }
    let mut verbs = vec!["updated"];
    verbs.extend(FIELDS.iter().filter(|(_, names)| names.iter().any(|name| differs(name))).map(|(verb, _)| *verb));
    for (verb, statuses, dates) in ENDS {
        let ended = |record: &Map<String, Value>| {
            let status = present(record, "status").and_then(Value::as_str).map(str::to_lowercase);
            status.is_some_and(|status| statuses.contains(&status.as_str()))
                || dates.iter().any(|date| present(record, date).is_some_and(|date| date.as_str() != Some("")))
        };
        if !ended(before) && ended(after) {
            verbs.push(verb);
        }
    }
    verbs
}

/// A field's value, where it has one.
fn present<'r>(record: &'r Map<String, Value>, name: &str) -> Option<&'r Value> {
    record.get(name).filter(|value| !value.is_null())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_change_is_told_by_each_of_its_verbs_once() {
        for (before, after, verbs) in [
            (json!({"a": 1}), json!({"a": 1, "updated_at": "x"}), vec![]),
            (json!({"a": null}), json!({}), vec![]),
            (json!({"a": 1}), json!({"a": 2}), vec!["updated"]),
            (json!({"a": 1}), json!({}), vec!["updated"]),
            (json!({"status": "open"}), json!({"status": "pending"}), vec!["updated", "status-changed"]),
            (json!({"status": "OPEN"}), json!({"status": "CLOSED"}), vec!["updated", "status-changed", "closed"]),
            (json!({"status": "closed"}), json!({"status": "lost"}), vec!["updated", "status-changed"]),
            (
                json!({"status": "open"}),
                json!({"status": "completed", "completedAt": "2026-01-01"}),
                vec!["updated", "status-changed", "completed"],
            ),
            (json!({"closedOn": null}), json!({"closedOn": "2026-01-01"}), vec!["updated", "closed"]),
            (json!({"closed_at": ""}), json!({"closed_at": 1}), vec!["updated", "closed"]),
            (
                json!({"stage": "a", "stage_id": 1, "milestone": {"id": 1}}),
                json!({"stage": "b", "stage_id": 2, "milestone": {"id": 2}}),
                vec!["updated", "moved"],
            ),
            (
                json!({"team": {"id": 1}, "member_id": 1, "manager": "a"}),
                json!({"team": {"id": 2}, "member_id": 2, "manager": "b", "major_incident_status": "proposed"}),
                vec!["updated", "team-changed", "member-changed", "manager-changed", "major-incident-status-changed"],
            ),
            (json!(1), json!(2), vec![]),
        ] {
            assert_eq!(verbs_of_change(&before, &after), verbs, "{before} {after}");
        }
    }
}
