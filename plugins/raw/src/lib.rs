//! The transform `raw`: the event's data as received, with the media type that it came with.
//!
//! JSON goes out digit by digit. A payload that was no JSON goes out as the text or the bytes that it was, not as the JSON
//! text that stands for it in the event's data.

use hookwright_sdk::outgoing::{self, Payload};
use hookwright_sdk::{Event, Failure, Manifest, Message, Plugin, Transform, Transformed};
use serde::Deserialize;

struct Raw;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    content_type: Option<String>,
}

impl Plugin for Raw {
    const MANIFEST: Manifest = Manifest {
        name: "raw",
        version: env!("CARGO_PKG_VERSION"),
        summary: "The payload as received",
        parameters: include_str!("parameters.json"),
        hints: &[],
    };
    type Parameters = Parameters;
}

impl Transform for Raw {
    fn apply(event: &Event, message: Message, parameters: Parameters) -> Result<Transformed, Failure> {
        let (payload, carried) = Payload::of(event, &message);
        let content_type = parameters.content_type.unwrap_or(carried);
        let content_type = outgoing::checked_media_type(&content_type)?.to_owned();
        Ok(Transformed::Send(message.with_body(content_type, payload.into_bytes())))
    }
}

hookwright_sdk::export_transform!(Raw);

#[cfg(test)]
mod tests {
    use super::*;
    use hookwright_sdk::testing::{self, apply};
    use serde_json::{Value, json};

    fn sent(carried: Option<&str>, body: &[u8], parameters: Value) -> Result<Message, Failure> {
        let mut event = testing::event("upload.received", json!(null));
        event.attributes = carried.map(|carried| ("content-type".into(), carried.into())).into_iter().collect();
        let message = Message {
            headers: vec![("x-a".into(), "1".into())],
            content_type: "application/json".into(),
            body: body.into(),
        };
        match apply::<Raw>(&event, message, parameters)? {
            Transformed::Send(message) => Ok(message),
            Transformed::Drop(reason) => panic!("dropped: {reason}"),
        }
    }

    #[test]
    fn a_payload_is_sent_unchanged() {
        for (carried, body, content_type, bytes) in [
            (
                None,
                &b" {\"n\": 1.0000000000000000001}"[..],
                "application/json",
                &b" {\"n\": 1.0000000000000000001}"[..],
            ),
            (Some("application/vnd.x+json"), b"{}", "application/vnd.x+json", b"{}"),
            (Some("text/csv"), b"\"a,b\\n1,2\\n\"", "text/csv", b"a,b\n1,2\n"),
            (Some("image/png"), b"\"/wA=\"", "image/png", b"\xff\0"),
        ] {
            let message = sent(carried, body, json!({})).unwrap();
            assert_eq!((message.content_type.as_str(), message.body.as_slice()), (content_type, bytes));
            assert_eq!(message.headers, [("x-a".to_owned(), "1".to_owned())]);
        }
    }

    #[test]
    fn another_media_type_can_be_named() {
        let message = sent(None, b"{}", json!({"content_type": "application/x.own+json"})).unwrap();
        assert_eq!((message.content_type.as_str(), message.text()), ("application/x.own+json", Some("{}")));
        for wrong in ["json", "text/plain\r\nx: y", "", &format!("a/{}", "x".repeat(255))] {
            let failure = sent(None, b"{}", json!({"content_type": wrong})).unwrap_err();
            assert_eq!(failure.code, "parameters.invalid", "{wrong}");
        }
    }
}
