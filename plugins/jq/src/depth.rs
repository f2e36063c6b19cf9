//! A bound on how deeply JSON may be nested, since reading it recurses.

/// Lists and objects inside each other; `serde_json` has the same bound.
pub(crate) const DEEPEST: usize = 128;

/// Whether `json` is nested more deeply than [`DEEPEST`]. What is not JSON is not this function's concern.
pub(crate) fn is_too_deep(json: &[u8]) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in json {
        match (in_text, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_text = !in_text,
            (false, b'[' | b'{') => {
                depth += 1;
                if depth > DEEPEST {
                    return true;
                }
            }
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_count_only_outside_of_strings() {
        assert!(!is_too_deep(b"[[[]]]"));
        assert!(!is_too_deep(format!("{}{}", "[".repeat(128), "]".repeat(128)).as_bytes()));
        assert!(is_too_deep("[".repeat(129).as_bytes()));
        assert!(!is_too_deep(format!("\"\\\"{}\"", "[".repeat(500)).as_bytes()));
        assert!(!is_too_deep("[]".repeat(500).as_bytes()));
    }
}
