//! The approximate memory size of values, good enough to bound it.

use serde_json::Value;

/// The overhead of a node of a value besides its text, in bytes.
const NODE: usize = 16;

/// The approximate size of a value in bytes: at least that of its strings and numbers, and an overhead for every node,
/// so that a list of a million nulls is counted as well.
pub fn json_size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => NODE,
        Value::Number(number) => NODE.max(number.as_str().len()),
        Value::String(text) => text.len().saturating_add(NODE),
        Value::Array(items) => items.iter().map(json_size).fold(NODE, usize::saturating_add),
        Value::Object(fields) => {
            let sizes = fields.iter().map(|(name, value)| name.len().saturating_add(json_size(value)));
            sizes.fold(NODE, usize::saturating_add)
        }
    }
}

/// The same for serialized JSON. The text is only scanned, which costs far less than parsing it. `None`: it is
/// truncated, or its brackets do not match.
pub(crate) fn text_size(json: &str) -> Option<usize> {
    let (mut size, mut depth) = (0_usize, 0_usize);
    let mut rest = json.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' => {}
            b'}' | b']' => depth = depth.checked_sub(1)?,
            b'{' | b'[' => {
                depth = depth.saturating_add(1);
                size = size.saturating_add(NODE);
            }
            b'"' => {
                let (length, after) = string_size(rest)?;
                rest = after;
                // Before a colon it is a member's name, not a value.
                let node = if after.trim_ascii_start().first() == Some(&b':') { 0 } else { NODE };
                size = size.saturating_add(length).saturating_add(node);
            }
            // A number or a literal.
            _ => {
                let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r');
                let length = rest.iter().position(ends).unwrap_or(rest.len());
                rest = rest.get(length..)?;
                size = size.saturating_add(NODE.max(length.saturating_add(1)));
            }
        }
    }
    (depth == 0 && size > 0).then_some(size)
}

/// Bytes of the string whose opening quote precedes `rest`, and what follows its closing quote.
fn string_size(mut rest: &[u8]) -> Option<(usize, &[u8])> {
    let mut size = 0_usize;
    loop {
        let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
        size = size.saturating_add(plain);
        let (mark, after) = rest.get(plain..)?.split_first()?;
        if *mark == b'"' {
            return Some((size, after));
        }
        let (escape, after) = after.split_first()?;
        rest = after;
        let mut bytes = 1;
        if *escape == b'u' {
            let (digits, after) = after.split_at_checked(4)?;
            rest = after;
            bytes = match u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()? {
                0..=0x7f => 1,
                0x80..=0x7ff => 2,
                // A surrogate pair, which is one character of four bytes.
                0xd800..=0xdbff => 4,
                0xdc00..=0xdfff => 0,
                _ => 3,
            };
        }
        size = size.saturating_add(bytes);
    }
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_counts_for_its_digits() {
        for (digits, size) in [(1, NODE), (16, NODE), (17, 17), (1000, 1000)] {
            assert_eq!(json_size(&serde_json::from_str(&"7".repeat(digits)).unwrap()), size, "{digits}");
        }
    }

    #[test]
    fn every_node_counts() {
        for (value, least) in [(json!("abc"), 3), (json!({"name": "value"}), 9), (json!(vec![Value::Null; 1000]), 8000)]
        {
            assert!(json_size(&value) >= least, "{value}");
        }
    }

    #[test]
    fn serialized_json_counts_as_much_as_its_value() {
        for text in [
            r#"{"a":[1,-2.5e10,null,true,""],"b\n":{"c\"":"é \" \\ \/ \t \u0001 \u00e9 \u20ac \ud83d\ude00 😀"},"":{}}"#,
            " { \"a\" : [ 1 , \"b\" , false ] } ",
            "12345678901234567890123.10",
            "[-1234567890.12345678901234567890, 1]",
            r#""x:y,{""#,
            "null",
            "[]",
        ] {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(text_size(text), Some(json_size(&value)), "{text}");
            assert_eq!(text_size(&value.to_string()), Some(json_size(&value)), "{value}");
        }
        for cut in ["", " ", "{", "]", "{\"a\":[1}", "\"a", "[\"\\", "[\"\\u12\"]", "{\"a\":\"b"] {
            assert_eq!(text_size(cut), None, "{cut}");
        }
    }
}
