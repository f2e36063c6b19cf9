//! Which of two values is further on.

use std::cmp::Ordering;

use hookwright_sdk::time;
use serde_json::Value;

/// A value as a cursor is sent: a string, or a number as it is written.
pub(crate) fn text(json: &str) -> Option<String> {
    match serde_json::from_str(json).ok()? {
        Value::String(text) => Some(text),
        // Unchanged, so that no digit is lost.
        Value::Number(_) => Some(json.to_owned()),
        _ => None,
    }
}

/// The order of two cursors: as numbers, as times, else as texts.
pub(crate) fn order(a: &str, b: &str) -> Ordering {
    if let (Ok(a), Ok(b)) = (a.parse::<i128>(), b.parse::<i128>()) {
        return a.cmp(&b);
    }
    if let (Ok(x), Ok(y)) = (a.parse::<f64>(), b.parse::<f64>()) {
        return x.total_cmp(&y);
    }
    if let (Some(x), Some(y)) = (time::unix_seconds(a), time::unix_seconds(b)) {
        return x.cmp(&y).then_with(|| a.cmp(b));
    }
    a.cmp(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_compared_by_its_type() {
        for (less, greater) in [
            ("9", "10"),
            ("9007199254740992", "9007199254740993"),
            ("1.5", "10.25"),
            ("2026-01-01T10:00:00+02:00", "2026-01-01T09:00:00Z"),
            ("2026-01-01T09:00:00.100Z", "2026-01-01T09:00:00.200Z"),
            ("a9", "b1"),
        ] {
            assert_eq!((order(less, greater), order(greater, less)), (Ordering::Less, Ordering::Greater), "{less}");
        }
        assert_eq!(text("\"a\\n\"").as_deref(), Some("a\n"));
        assert_eq!(text("1.50").as_deref(), Some("1.50"));
        assert_eq!((text("null"), text("[1]")), (None, None));
    }
}
