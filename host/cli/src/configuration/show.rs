//! A plan as people read it.

use std::io::IsTerminal as _;

use serde_json::Value;

use crate::screen::{self, text};

/// The maximum length of a value that is shown, in characters.
const MAX_VALUE_LENGTH: usize = 160;

/// A sign with its colour on terminals (ECMA-48, section 8.3.117).
struct Paint(bool);

impl Paint {
    fn for_output() -> Self {
        let is_wanted = std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
        Self(is_wanted && std::io::stdout().is_terminal())
    }

    fn line(&self, action: &str, text: &str) {
        let colour = match action {
            "create" => 32,
            "change" => 33,
            "delete" => 31,
            _ => 0,
        };
        if self.0 && colour > 0 {
            screen::colored(colour, text);
        } else {
            screen::line(text);
        }
    }
}

pub(super) fn plan(plan: &Value) {
    let paint = Paint::for_output();
    for change in list(plan, "changes") {
        for line in lines(change) {
            paint.line(text(change, "action"), &line);
        }
    }
    for left in list(plan, "left_alone") {
        screen::note(format_args!(
            "left alone: {} {}: {}",
            kind(left),
            screen::list(left, "ids"),
            text(left, "reason")
        ));
    }
    screen::line(summary(plan));
}

pub(super) fn applied(applied: &Value) {
    for shown in list(applied, "shown") {
        screen::line(format_args!(
            "{} `{}`: {} {} (shown only this once)",
            kind(shown),
            text(shown, "name"),
            text(shown, "field"),
            text(shown, "value")
        ));
    }
    screen::line("Done.");
}

fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The kind of an object, in words.
fn kind(thing: &Value) -> String {
    text(thing, "kind").replace('_', " ")
}

/// The change of an object, with the changed fields.
fn lines(change: &Value) -> Vec<String> {
    let (sign, verb) = match text(change, "action") {
        "create" => ('+', "is created"),
        "change" => ('~', "is changed"),
        "delete" => ('-', "is deleted"),
        _ => return Vec::new(),
    };
    let mut lines = vec![format!("{sign} {} `{}` {verb}", kind(change), text(change, "name"))];
    let fields = if sign == '-' { &[] } else { list(change, "fields") };
    for field in fields {
        let path = text(field, "path");
        lines.push(match (field.get("from"), field.get("to")) {
            (Some(from), Some(to)) => format!("    ~ {path}: {} -> {}", short(from), short(to)),
            (None, Some(to)) => format!("    + {path}: {}", short(to)),
            (Some(from), None) => format!("    - {path}: {}", short(from)),
            (None, None) => format!("    ~ {path}"),
        });
    }
    lines
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= MAX_VALUE_LENGTH {
        return text;
    }
    format!("{}...", text.chars().take(MAX_VALUE_LENGTH).collect::<String>())
}

fn summary(plan: &Value) -> String {
    let count = |action: &str| plan.get("summary").and_then(|all| all.get(action)).and_then(Value::as_u64).unwrap_or(0);
    let [create, change, delete, unchanged] = ["create", "change", "delete", "unchanged"].map(count);
    if create == 0 && change == 0 && delete == 0 {
        return format!("No changes: {unchanged} objects match the files.");
    }
    format!("{create} to create, {change} to change, {delete} to delete, {unchanged} unchanged.")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_is_shown_field_by_field() {
        let change = json!({"kind": "automation", "name": "a", "action": "change", "fields": [
            {"path": "on[0]", "from": "x", "to": "y"}, {"path": "when", "to": {}}, {"path": "rate", "from": 1}]});
        assert_eq!(
            lines(&change),
            ["~ automation `a` is changed", "    ~ on[0]: \"x\" -> \"y\"", "    + when: {}", "    - rate: 1"]
        );
        assert!(lines(&json!({"action": "unchanged"})).is_empty());
        let plan = json!({"summary": {"create": 1, "change": 2, "delete": 0, "unchanged": 3}});
        assert_eq!(summary(&plan), "1 to create, 2 to change, 0 to delete, 3 unchanged.");
    }
}
