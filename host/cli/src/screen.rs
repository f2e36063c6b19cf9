//! Output of commands: lines and tables on standard output, progress and errors on standard error.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};
use std::io::{self, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

/// Prints a line. A closed pipe is not an error.
pub(crate) fn line(text: impl Display) {
    let _ = writeln!(io::stdout().lock(), "{}", printable(&text.to_string()));
}

/// Shows a line in a color of the terminal (ECMA-48, SGR).
pub(crate) fn colored(color: u8, text: &str) {
    let _ = writeln!(io::stdout().lock(), "\u{1b}[{color}m{}\u{1b}[0m", printable(text));
}

/// Prints a note to standard error.
pub(crate) fn note(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{}", printable(&text.to_string()));
}

/// The text with terminal control characters escaped: names and messages come from
/// other users, and an escape sequence could rewrite the screen or the clipboard. The escapes are those of JSON.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    let acts = |c: char| {
        (c.is_control() && !matches!(c, '\n' | '\t'))
            // Marks that reorder what is shown (Unicode Standard Annex 9).
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
    };
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if acts(c) {
            let _ = write!(shown, "\\u{:04x}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
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

/// A progress indicator, shown only on a terminal, until it is dropped.
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

/// Human-readable bytes, with one decimal.
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

/// A human-readable duration, with about three digits.
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

/// A string in a value, or nothing.
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
    fn sizes_and_durations_are_human_readable() {
        for (count, shown) in [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 * 1024 * 1024, "3.0 MiB")] {
            assert_eq!(bytes(count), shown);
        }
        for (us, shown) in [(0, "0.0 us"), (12, "12.0 us"), (1_500, "1.50 ms"), (2_000_000, "2.00 s")] {
            assert_eq!(span(Duration::from_micros(us)), shown);
        }
    }

    #[test]
    fn control_characters_are_escaped() {
        for (text, shown) in [
            ("plain\ttext\n", "plain\ttext\n"),
            ("\u{1b}]0;owned\u{7}", "\\u001b]0;owned\\u0007"),
            ("a\rb\u{9b}2J", "a\\u000db\\u009b2J"),
            ("txt\u{202e}exe", "txt\\u202eexe"),
        ] {
            assert_eq!(printable(text), shown);
        }
    }

    #[test]
    fn missing_fields_of_a_response_are_shown_as_empty() {
        let answer = serde_json::json!({"name": "match", "kinds": ["condition", "action"], "size": 7});
        assert_eq!((text(&answer, "name"), text(&answer, "size")), ("match", ""));
        assert_eq!((list(&answer, "kinds"), list(&answer, "wants")), ("condition, action".to_owned(), "-".to_owned()));
    }
}
