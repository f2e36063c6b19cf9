//! Where in a document something is, for people.

use hookwright_sdk::Failure;

/// A failure with the line and column of what is wrong.
pub(crate) fn failure(code: &str, text: &str, at: u64, problem: &str) -> Failure {
    let at = usize::try_from(at).unwrap_or(usize::MAX).min(text.len());
    let mut end = at;
    while end > 0 && !text.is_char_boundary(end) {
        end -= 1;
    }
    let before = text.get(..end).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Failure::permanent(code, format!("line {line}, column {column} of the XML: {problem}"))
}
