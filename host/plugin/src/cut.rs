//! Truncates strings for messages.

/// The longest part from the start of `text` that has at most `most` bytes and ends between characters.
pub(crate) fn prefix(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default()
}

/// `text`, with an ellipsis if it has more than `most` bytes.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if text.len() <= most { text.to_owned() } else { format!("{}…", prefix(text, most)) }
}
