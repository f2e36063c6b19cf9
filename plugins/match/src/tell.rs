//! Values as people read them in a reason: JSON without whitespace, and never more than a line of it.

use hookwright_sdk::shorten;

use crate::json::{Json, Kind};

/// Bytes of a value that a reason shows.
const SHOWN: usize = 250;

/// The value as compact JSON, cut at [`SHOWN`] bytes. What would be cut is not even looked at.
pub(crate) fn brief(value: Json<'_>) -> String {
    if value.kind() == Kind::Text
        && value.0.contains('\\')
        && value.0.len() <= SHOWN
        && let Some(text) = value.text()
    {
        return serde_json::to_string(&text).unwrap_or_default();
    }
    let mut shown = String::new();
    let (mut inside, mut escaped) = (false, false);
    for character in value.0.chars() {
        if shown.len() > SHOWN {
            break;
        }
        if !inside && character.is_ascii_whitespace() {
            continue;
        }
        shown.push(character);
        if escaped {
            escaped = false;
        } else if character == '\\' {
            escaped = true;
        } else if character == '"' {
            inside = !inside;
        }
    }
    shorten(&shown, SHOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_value_is_shown_in_full_and_a_long_one_is_truncated() {
        assert_eq!(brief(Json("{\"a\": [1,\n \"x \\\" y\", null]}")), r#"{"a":[1,"x \" y",null]}"#);
        assert_eq!(brief(Json(r#""\u00fc""#)), "\"ü\"");
        let long = format!("\"{}\"", "ü".repeat(1000));
        let long = brief(Json(&long));
        assert!(long.len() <= SHOWN + '…'.len_utf8() && long.starts_with("\"üü") && long.ends_with("ü…"), "{long}");
        assert!(brief(Json(&format!("[{}0]", "0, ".repeat(100_000)))).len() < 300);
    }
}
