use serde_json::{Map, Value, json};

const STATUS: &str = "status-changed";
const MOVED: &str = "moved";
const CLOSED: &str = "closed";

/// Fields whose change has a verb of its own. Each verb is reported once, whichever of its fields changed.
const FIELDS: [(&str, &[&str]); 6] = [
    (STATUS, &["status"]),
    (
        MOVED,
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

/// Statuses, in lower case, and date fields that mean that a record is closed or completed.
const ENDS: [(&str, &[&str], &[&str]); 2] = [
    (CLOSED, &["closed", "won", "lost"], &["closed_at", "closedAt", "closed_on", "closedOn", "closedDate"]),
    ("completed", &["completed", "done"], &["completed_at", "completedAt", "completed_on", "completedOn"]),
];

/// The verbs that a change of a record is reported as: `updated` first, each with what the data of its event contains
/// besides the record. Empty if nothing changed.
///
/// | verb | when | data |
/// |---|---|---|
/// | `updated` | a field other than `updated_at` changed | `changes`: each such field with `from` and `to` |
/// | `status-changed`, `team-changed`, `member-changed`, `manager-changed`, `major-incident-status-changed` | that field did | `from`, `to` |
/// | `moved` | the stage, milestone or column did | `from`, `to` |
///
/// For a reference with an id, such as a team or a milestone, only another id is such a change; a new name is `updated`
/// only.
///
/// | verb | when | data |
/// |---|---|---|
/// | `closed`, `completed` | the status became such a one, or the date of it was set | `changes` |
pub fn events_of_change(before: &Value, after: &Value) -> Vec<(&'static str, Map<String, Value>)> {
    events_by(&Rules::default(), before, after)
}

/// The configuration of a kind for its changes. Empty: the names above.
#[derive(Default)]
pub(crate) struct Rules<'k> {
    /// The field with the instant of the last change, besides `updated_at`.
    pub(crate) updated: Option<&'k str>,
    /// The field whose change is reported as `status-changed`.
    pub(crate) status: Option<&'k str>,
    /// The field whose change is reported as `moved`.
    pub(crate) stage: Option<&'k str>,
    /// Statuses that close a record.
    pub(crate) closed: Option<&'k [String]>,
    /// Statuses that complete it.
    pub(crate) completed: Option<&'k [String]>,
}

/// The same by the rules of a kind.
pub(crate) fn events_by(rules: &Rules<'_>, before: &Value, after: &Value) -> Vec<(&'static str, Map<String, Value>)> {
    let nothing = Map::new();
    let (before, after) = (before.as_object().unwrap_or(&nothing), after.as_object().unwrap_or(&nothing));
    let added = after.keys().filter(|name| !before.contains_key(*name));
    let changes: Map<String, Value> = before
        .keys()
        .chain(added)
        .filter(|name| *name != "updated_at" && rules.updated != Some(name.as_str()))
        .filter(|name| present(before, name) != present(after, name))
        .map(|name| (name.clone(), json!({"from": before.get(name), "to": after.get(name)})))
        .collect();
    if changes.is_empty() {
        return Vec::new();
    }
    let all = || Map::from_iter([("changes".to_owned(), Value::Object(changes.clone()))]);
    let mut events = vec![("updated", all())];
    for (verb, names) in FIELDS {
        let own = match verb {
            STATUS => rules.status,
            MOVED => rules.stage,
            _ => None,
        };
        let names = own.as_ref().map_or(names, std::slice::from_ref);
        let change = names.iter().filter_map(|name| changes.get(*name)?.as_object()).find(|change| is_another(change));
        events.extend(change.map(|change| (verb, change.clone())));
    }
    for (verb, statuses, dates) in ENDS {
        let ended = |record: &Map<String, Value>| {
            let status = present(record, rules.status.unwrap_or("status")).and_then(Value::as_str);
            let own = if verb == CLOSED { rules.closed } else { rules.completed };
            status.map(str::to_lowercase).is_some_and(|status| match own {
                Some(own) => own.iter().any(|one| one.to_lowercase() == status),
                None => statuses.contains(&status.as_str()),
            }) || dates.iter().any(|date| present(record, date).is_some_and(|date| date.as_str() != Some("")))
        };
        if !ended(before) && ended(after) {
            events.push((verb, all()));
        }
    }
    events
}

/// Whether a reference with an id, such as a stage or a team, now refers to another object. A renamed one is the same.
fn is_another(change: &Map<String, Value>) -> bool {
    let identity = |side: &str| {
        let value = change.get(side).filter(|value| !value.is_null())?;
        Some(value.get("id").filter(|id| !id.is_null()).unwrap_or(value))
    };
    identity("from") != identity("to")
}

/// A field's value, where it has one.
fn present<'r>(record: &'r Map<String, Value>, name: &str) -> Option<&'r Value> {
    record.get(name).filter(|value| !value.is_null())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_verb_of_a_change_is_reported_once() {
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
            (
                json!({"milestone": {"id": 1, "name": "Bid"}, "team": {"id": 5, "name": "A"}}),
                json!({"milestone": {"id": 1, "name": "Offer"}, "team": {"id": 5, "name": "B"}}),
                vec!["updated"],
            ),
            (json!({"milestone": {"id": 1}}), json!({"milestone": {"id": 2}}), vec!["updated", "moved"]),
            (json!({"milestone": {"id": 1, "name": "Bid"}}), json!({"milestone": 1}), vec!["updated"]),
            (json!({"milestone": {"name": "Bid"}}), json!({"milestone": {"name": "Offer"}}), vec!["updated", "moved"]),
            (json!({"milestone": null}), json!({"milestone": {"id": 1}}), vec!["updated", "moved"]),
            (json!(1), json!(2), vec![]),
        ] {
            let told: Vec<&str> = events_of_change(&before, &after).into_iter().map(|(verb, _)| verb).collect();
            assert_eq!(told, verbs, "{before} {after}");
        }
    }

    #[test]
    fn each_event_has_the_previous_and_the_new_value() {
        let before = json!({"id": 1, "status": "open", "team": null, "gone": 1, "updated_at": 1});
        let after = json!({"id": 1, "status": "closed", "team": "Desk", "updated_at": 2});
        let changes = json!({"changes": {
            "status": {"from": "open", "to": "closed"},
            "team": {"from": null, "to": "Desk"},
            "gone": {"from": 1, "to": null},
        }});
        let told = events_of_change(&before, &after).into_iter().map(|(verb, more)| (verb, Value::Object(more)));
        assert_eq!(
            told.collect::<Vec<_>>(),
            [
                ("updated", changes.clone()),
                ("status-changed", json!({"from": "open", "to": "closed"})),
                ("team-changed", json!({"from": null, "to": "Desk"})),
                ("closed", changes),
            ]
        );
    }
}
