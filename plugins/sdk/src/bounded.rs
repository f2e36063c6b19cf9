//! Abridges text for people.

/// Bytes of a verdict's or a drop's reason that are kept.
pub(crate) const REASON: usize = 1024;

/// At most `limit` bytes of `text`, cut between characters, with `…` where something was left out.
///
/// ```
/// assert_eq!(hookwright_sdk::shorten("short", 10), "short");
/// assert_eq!(hookwright_sdk::shorten("gröber als erlaubt", 8), "gröb…");
/// ```
#[must_use]
pub fn shorten(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut end = limit.saturating_sub('…'.len_utf8());
    while end > 0 && !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut kept = text.get(..end).unwrap_or_default().to_owned();
    kept.push('…');
    kept
}
