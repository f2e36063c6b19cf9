//! Binary mode (HTTP protocol binding, section 3.1).

use hookwright_sdk::outgoing::Payload;
use hookwright_sdk::{Event, Message};

use crate::attributes::attributes;

/// The message with the data as its body and the attributes in its headers. `ce-` headers that it had are replaced.
pub(crate) fn message(event: &Event, mut message: Message, payload: Payload, content_type: String) -> Message {
    message.headers.retain(|(name, _)| !name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("ce-")));
    let fields = attributes(event).into_iter().map(|(name, value)| (format!("ce-{name}"), encoded(&value)));
    message.headers.extend(fields);
    message.with_body(content_type, payload.into_bytes())
}

/// A value in a header (section 3.1.3.2): space, double quote, percent and what is not printable ASCII is percent-encoded
/// as UTF-8, in upper case.
fn encoded(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'"' | b'%' | 0..=0x20 | 0x7f..=0xff => text.push_str(&format!("%{byte:02X}")),
            plain => text.push(char::from(plain)),
        }
    }
    text
}
