//! The first-party plugins, compiled to components, as bytes in the binary, so that the server is a single file. The
//! build script compiles them from `plugins/`.

use std::io::{self, Read as _};

use flate2::read::ZlibDecoder;

/// Each first-party component: its name, which is the name it is installed under, and its bytes, compressed (RFC 1950).
/// Sorted by name.
static PACKED: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/components.rs"));

/// The first-party components by name.
///
/// # Errors
///
/// The program's file is damaged. The error names the plugin.
pub fn components() -> io::Result<Vec<(&'static str, Vec<u8>)>> {
    let unpacked = |(name, packed): &(&'static str, &[u8])| {
        let mut component = Vec::new();
        ZlibDecoder::new(*packed).read_to_end(&mut component).map_err(|error| {
            let message =
                format!("the plugin `{name}` in the program's file is damaged: {error}; install the program again");
            io::Error::new(error.kind(), message)
        })?;
        Ok((*name, component))
    };
    PACKED.iter().map(unpacked).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first bytes of a component (Component Model, binary format): the magic number, then version 13 of layer 1.
    const PREAMBLE: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn every_first_party_plugin_is_in_the_binary() {
        let names: Vec<&str> = PACKED.iter().map(|(name, _)| *name).collect();
        assert_eq!(
            names,
            [
                "capsule",
                "cel",
                "cloudevents",
                "email-send",
                "event-emit",
                "event-pattern",
                "form-to-json",
                "github",
                "gitlab",
                "hmac",
                "http-request",
                "inbox",
                "jira",
                "jq",
                "jsonpath-pick",
                "jsonschema",
                "match",
                "note-add",
                "poll",
                "raw",
                "record-create",
                "record-find",
                "record-update",
                "shopify",
                "slack",
                "slack-post",
                "standard",
                "standard-webhooks",
                "stripe",
                "support-service",
                "template",
                "ticket-update",
                "token",
                "uspacy",
                "webhook-call",
                "workflow-start",
                "xml-to-json",
                "xurrent"
            ]
        );
    }

    #[test]
    fn each_of_them_is_a_component() {
        for (name, bytes) in components().unwrap() {
            assert!(bytes.starts_with(PREAMBLE), "{name} begins with {:?}", &bytes[..bytes.len().min(8)]);
        }
    }
}
