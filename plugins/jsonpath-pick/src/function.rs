//! The functions `match` and `search` (RFC 9535, sections 2.4.6 and 2.4.7), with a small engine for regular expressions.

use regex_lite::Regex;
use serde_json::Value;
use serde_json_path::functions::{LogicalType, ValueType};

/// Whether the whole of a string is matched by an I-Regexp (RFC 9485).
#[serde_json_path::function(name = "match")]
fn match_whole(text: ValueType, pattern: ValueType) -> LogicalType {
    holds(&text, &pattern, |inner| format!("^(?:{inner})$"))
}

/// Whether a part of a string is.
#[serde_json_path::function(name = "search")]
fn search_part(text: ValueType, pattern: ValueType) -> LogicalType {
    holds(&text, &pattern, |inner| format!("(?:{inner})"))
}

/// What is not text, and what is not a regular expression, is not matched: the RFC wants no failure for either.
fn holds(text: &ValueType<'_>, pattern: &ValueType<'_>, whole: impl Fn(&str) -> String) -> LogicalType {
    let (Some(Value::String(text)), Some(Value::String(pattern))) = (text.as_value(), pattern.as_value()) else {
        return LogicalType::False;
    };
    Regex::new(&whole(&dots(pattern))).is_ok_and(|regex| regex.is_match(text)).into()
}

/// A dot of an I-Regexp stands for any character but a line feed and a carriage return.
fn dots(pattern: &str) -> String {
    let mut changed = String::with_capacity(pattern.len());
    let (mut escaped, mut in_class) = (false, false);
    for character in pattern.chars() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => in_class = true,
            ']' => in_class = false,
            '.' if !in_class => {
                changed.push_str("[^\\n\\r]");
                continue;
            }
            _ => {}
        }
        changed.push(character);
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dot_does_not_match_a_line_end() {
        for (pattern, expected) in
            [("a.b", r"a[^\n\r]b"), (r"a\.b", r"a\.b"), ("[.]", "[.]"), (r"[\].].", r"[\].][^\n\r]")]
        {
            assert_eq!(dots(pattern), expected);
        }
    }
}
