//! The first-party plugins, compiled to components, as bytes in the binary: so the server is one file to copy, and runs
//! with no other file present. The build script compiles them from `plugins/`.

/// Each first-party component: its name, which is the name it is installed under, and its bytes. Sorted by name.
pub static COMPONENTS: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/components.rs"));

#[cfg(test)]
mod tests {
    use super::COMPONENTS;

    /// How a component begins (Component Model, binary format): the magic number, then version 13 of layer 1.
    const PREAMBLE: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn every_first_party_plugin_is_in_the_binary() {
        let names: Vec<&str> = COMPONENTS.iter().map(|(name, _)| *name).collect();
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
        for (name, bytes) in COMPONENTS {
            assert!(bytes.starts_with(PREAMBLE), "{name} begins with {:?}", &bytes[..bytes.len().min(8)]);
        }
    }
}
