//! From a provider's words to the ones of an event's envelope, within the host's bounds.

use crate::{crypto, shorten};

/// Maximum length of an event type, in bytes; the host accepts 256.
const LONGEST_TYPE: usize = 200;
/// Maximum length of an id and of a subject, in bytes.
const LONGEST_ID: usize = 256;
const LONGEST_SUBJECT: usize = 1024;
/// Bytes of a name that a provider could mean.
const LONGEST_NAME: usize = 100;

/// Whether a string is one word: ASCII letters, digits, hyphens and underscores.
#[must_use]
pub fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= LONGEST_NAME
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Words joined by dots, as event types are: slashes and colons become dots, anything else that is not a letter, digit,
/// hyphen or underscore an underscore. Empty where no letter or digit is in it.
///
/// ```
/// use hookwright_sdk::inbound::dotted;
/// assert_eq!(dotted("orders/create"), "orders.create");
/// assert_eq!(dotted("Merge Request  Hook"), "Merge_Request_Hook");
/// assert_eq!(dotted(" //..! "), "");
/// ```
#[must_use]
pub fn dotted(text: &str) -> String {
    let mut kept = String::new();
    for character in text.trim().chars() {
        let character = match character {
            '/' | ':' | '.' => '.',
            other if other.is_alphanumeric() || matches!(other, '-' | '_') => other,
            _ => '_',
        };
        let last = kept.chars().next_back();
        let repeats = matches!(character, '.' | '_') && (last == Some(character) || last == Some('.'));
        if repeats || (last.is_none() && character == '.') {
            continue;
        }
        if kept.len() + character.len_utf8() > LONGEST_TYPE {
            break;
        }
        kept.push(character);
    }
    let kept = kept.trim_end_matches(['.', '_']);
    if kept.chars().any(char::is_alphanumeric) { kept.to_owned() } else { String::new() }
}

/// A provider's id as the host takes it. One that is too long, or has control characters, is replaced by its SHA-256, so
/// that a repeat is still known. None for an empty one.
#[must_use]
pub fn event_id(text: &str) -> Option<String> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    if text.len() <= LONGEST_ID && !text.chars().any(char::is_control) {
        return Some(text.to_owned());
    }
    let digest = crypto::digest("sha256", text.as_bytes()).ok()?;
    Some(format!("sha256:{}", crate::encoding::hex_encode(&digest)))
}

/// What an event is about, as the host takes it: without control characters, and cut where it is too long. None for an
/// empty text.
#[must_use]
pub fn subject(text: &str) -> Option<String> {
    let clean: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    (!clean.trim().is_empty()).then(|| shorten(&clean, LONGEST_SUBJECT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_words_joined_by_dots() {
        for (text, expected) in [
            ("invoice.paid", "invoice.paid"),
            ("jira:issue_updated", "jira.issue_updated"),
            ("orders/create/", "orders.create"),
            ("..a..b..", "a.b"),
            ("größe geändert", "größe_geändert"),
            ("a\n\tb", "a_b"),
            ("a._b", "a.b"),
            ("", ""),
            ("***", ""),
        ] {
            assert_eq!(dotted(text), expected, "{text:?}");
        }
        assert!(dotted(&"ü".repeat(1000)).len() <= LONGEST_TYPE);
    }

    #[test]
    fn ids_and_subjects_stay_within_the_hosts_bounds() {
        assert_eq!(event_id(" evt_1 ").as_deref(), Some("evt_1"));
        assert_eq!(event_id(" "), None);
        let long = event_id(&"x".repeat(257)).unwrap();
        assert!(long.starts_with("sha256:") && long.len() == 71, "{long}");
        assert_ne!(event_id("a\nb"), event_id("a\nc"));
        assert_eq!(subject("a\nb").as_deref(), Some("a b"));
        assert_eq!(subject("\n"), None);
        assert!(subject(&"ü".repeat(2000)).unwrap().len() <= LONGEST_SUBJECT);
    }
}
