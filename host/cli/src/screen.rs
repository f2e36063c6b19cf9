//! What commands show: lines and tables on standard output, progress and complaints on standard error.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

/// Shows a line. Nobody reading it is no failure.
pub(crate) fn line(text: impl Display) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// Shows a line beside the output, for whoever watches.
pub(crate) fn note(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Shows a value as indented JSON.
pub(crate) fn json(value: &Value) {
    line(format_args!("{value:#}"));
}

/// Shows rows under their headings, in columns as wide as they need to be.
pub(crate) fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) {
    let mut widths = headings.map(|heading| heading.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let shown = |cells: Vec<&str>| {
        let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    line(shown(headings.to_vec()));
    for row in rows {
        line(shown(row.iter().map(String::as_str).collect()));
    }
}

/// Shows a name with its value, the values below one another.
pub(crate) fn field(name: &str, value: impl Display) {
    line(format_args!("{name:<14} {value}"));
}

/// Says that something takes a while, on a terminal only, until it is dropped.
pub(crate) struct Busy(ProgressBar);

impl Busy {
    /// Begins.
    pub(crate) fn with(what: impl Into<String>) -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.set_message(what.into());
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Bytes for people, with one digit behind the point.
#[allow(clippy::cast_precision_loss, reason = "one digit is shown")]
pub(crate) fn bytes(count: u64) -> String {
    const KIB: f64 = 1024.0;
    let count = count as f64;
    if count < KIB {
        format!("{count} B")
    } else if count < KIB * KIB {
        format!("{:.1} KiB", count / KIB)
    } else {
        format!("{:.1} MiB", count / KIB / KIB)
    }
}

/// A span of time for people, with three digits or so.
pub(crate) fn span(span: Duration) -> String {
    let micros = span.as_secs_f64() * 1e6;
    if micros < 1_000.0 {
        format!("{micros:.1} us")
    } else if micros < 1_000_000.0 {
        format!("{:.2} ms", micros / 1e3)
    } else {
        format!("{:.2} s", micros / 1e6)
    }
}

/// A text in a value, or nothing.
pub(crate) fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The texts of a list in a value, separated by commas, or a hyphen.
pub(crate) fn list(value: &Value, name: &str) -> String {
    let items = value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let items: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
    if items.is_empty() { "-".to_owned() } else { items.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_spans_are_for_people() {
        for (count, shown) in [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 * 1024 * 1024, "3.0 MiB")] {
            assert_eq!(bytes(count), shown);
        }
        for (us, shown) in [(0, "0.0 us"), (12, "12.0 us"), (1_500, "1.50 ms"), (2_000_000, "2.00 s")] {
            assert_eq!(span(Duration::from_micros(us)), shown);
        }
    }

    #[test]
    fn what_is_missing_in_an_answer_is_shown_as_nothing() {
        let answer = serde_json::json!({"name": "match", "kinds": ["condition", "action"], "size": 7});
        assert_eq!((text(&answer, "name"), text(&answer, "size")), ("match", ""));
        assert_eq!((list(&answer, "kinds"), list(&answer, "wants")), ("condition, action".to_owned(), "-".to_owned()));
    }
}
