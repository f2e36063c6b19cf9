//! Tables in Markdown, made to be copied into a page.

use std::fmt;

/// A table; numbers stand right.
pub(crate) struct Table {
    title: String,
    head: Vec<String>,
    /// How many of the columns are labels, which come first.
    labels: usize,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(title: impl Into<String>, head: Vec<String>, labels: usize) -> Self {
        Self { title: title.into(), head, labels, rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n**{}**\n", self.title)?;
        writeln!(f, "| {} |", self.head.join(" | "))?;
        let rule: Vec<&str> =
            (0..self.head.len()).map(|place| if place < self.labels { "---" } else { "---:" }).collect();
        writeln!(f, "|{}|", rule.join("|"))?;
        for row in &self.rows {
            writeln!(f, "| {} |", row.join(" | "))?;
        }
        Ok(())
    }
}

/// A whole number with commas: `46,120`.
pub(crate) fn count(value: f64) -> String {
    let digits = format!("{:.0}", value.max(0.0));
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with two or three digits that count.
pub(crate) fn short(value: f64) -> String {
    if value.abs() >= 100.0 {
        format!("{value:.0}")
    } else if value.abs() >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_human_readable() {
        assert_eq!([0.4, 999.0, 1000.0, 1_234_567.0].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0.123, 12.34, 123.4].map(short), ["0.12", "12.3", "123"]);
    }

    #[test]
    fn a_table_is_markdown() {
        let mut table = Table::new("T", vec!["a".into(), "b".into()], 1);
        table.row(vec!["1".into(), "2".into()]);
        assert_eq!(table.to_string(), "\n**T**\n\n| a | b |\n|---|---:|\n| 1 | 2 |\n");
    }
}
