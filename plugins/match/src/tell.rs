//! Values as people read them in a reason: JSON, and never more than a line of it.

use std::io::{self, Write};

use serde_json::Value;

/// Bytes of a value that a reason shows.
const SHOWN: usize = 250;

/// The value as compact JSON, cut at [`SHOWN`] bytes. What would be cut is not even written.
pub(crate) fn brief(value: &Value) -> String {
    let mut sink = Sink { kept: Vec::new() };
    let complete = serde_json::to_writer(&mut sink, value).is_ok();
    let text = String::from_utf8_lossy(&sink.kept);
    if complete {
        return text.into_owned();
    }
    // The cut may have gone through a character.
    format!("{}…", text.trim_end_matches(char::REPLACEMENT_CHARACTER))
}

/// Takes [`SHOWN`] bytes and refuses the rest, which ends the writing.
struct Sink {
    kept: Vec<u8>,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = SHOWN.saturating_sub(self.kept.len());
        let taken = bytes.get(..room).unwrap_or(bytes);
        if taken.is_empty() && !bytes.is_empty() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.kept.extend_from_slice(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_short_value_stands_whole_and_a_long_one_is_cut() {
        assert_eq!(brief(&json!({"a": [1, "x", null]})), r#"{"a":[1,"x",null]}"#);
        let long = brief(&json!("ü".repeat(1000)));
        assert!(long.len() <= SHOWN + '…'.len_utf8() && long.starts_with("\"üü") && long.ends_with("ü…"), "{long}");
        assert!(brief(&json!(vec![0; 100_000])).len() < 300);
    }
}
