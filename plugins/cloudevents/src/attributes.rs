//! The context attributes of an event.

use hookwright_sdk::Event;

/// Attributes that are not extensions (CloudEvents 1.0.2, section 3.1 and the JSON format).
const TAKEN: [&str; 8] = ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data"];

/// Extensions that are passed on.
const MOST: usize = 64;

/// Attributes with their values but `datacontenttype`, required ones first.
pub(crate) fn attributes(event: &Event) -> Vec<(String, String)> {
    let mut all = vec![
        ("specversion".to_owned(), "1.0".to_owned()),
        ("id".to_owned(), event.id.clone()),
        ("source".to_owned(), uri_reference(&event.source)),
        ("type".to_owned(), event.event_type.clone()),
    ];
    all.extend(event.subject.iter().map(|subject| ("subject".to_owned(), subject.clone())));
    all.push(("time".to_owned(), event.time.clone()));
    let before = all.len();
    for (name, value) in &event.attributes {
        let fits = (1..=64).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            && !value.is_empty()
            && !value.chars().any(char::is_control);
        let is_new = !TAKEN.contains(&name.as_str()) && !all.iter().any(|(other, _)| other == name);
        if fits && is_new && all.len() < before + MOST {
            all.push((name.clone(), value.clone()));
        }
    }
    all
}

/// A source as a URI-reference (RFC 3986, section 4.1): what none may hold is percent-encoded.
fn uri_reference(source: &str) -> String {
    let mut encoded = String::with_capacity(source.len());
    for byte in source.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
