//! Messages in the form of Amazon SNS for HTTP subscribers: the JSON document, the string that is signed and the header
//! fields are those of the Amazon SNS developer guide, "Parsing Amazon SNS message formats" and "Verifying the
//! signatures".

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hookwright_model::{SnsPolicy, SnsVersion};
use serde::Serialize;

use crate::error::SigningError;
use crate::keys::{Algorithm, Key};
use crate::signed::{Signed, SnsKind, Unsigned, check_header, sign_with};

/// The maximum length of a subject, in characters.
const MOST_SUBJECT: usize = 100;

impl SnsKind {
    fn name(self) -> &'static str {
        match self {
            Self::Notification => "Notification",
            Self::SubscriptionConfirmation => "SubscriptionConfirmation",
            Self::UnsubscribeConfirmation => "UnsubscribeConfirmation",
        }
    }
}

/// The document, with the fields in Amazon's order.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Document<'a> {
    #[serde(rename = "Type")]
    kind: &'a str,
    message_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    topic_arn: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    message: &'a str,
    #[serde(rename = "SubscribeURL", skip_serializing_if = "Option::is_none")]
    subscribe_url: Option<&'a str>,
    timestamp: &'a str,
    signature_version: &'a str,
    signature: String,
    #[serde(rename = "SigningCertURL")]
    signing_cert_url: &'a str,
    #[serde(rename = "UnsubscribeURL", skip_serializing_if = "Option::is_none")]
    unsubscribe_url: Option<&'a str>,
}

impl Document<'_> {
    /// The string that is signed: the names and values that are present, each on a separate line, sorted by name.
    /// Values are unescaped.
    fn string_to_sign(&self) -> String {
        [
            ("Message", Some(self.message)),
            ("MessageId", Some(self.message_id)),
            ("Subject", self.subject),
            ("SubscribeURL", self.subscribe_url),
            ("Timestamp", Some(self.timestamp)),
            ("Token", self.token),
            ("TopicArn", Some(self.topic_arn)),
            ("Type", Some(self.kind)),
        ]
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| format!("{name}\n{value}\n")))
        .collect()
    }
}

pub(crate) fn sign(
    policy: &SnsPolicy,
    newest: &(String, Key),
    unsigned: &Unsigned<'_>,
) -> Result<Signed, SigningError> {
    let envelope = unsigned.envelope.ok_or(SigningError::Envelope("content"))?;
    let topic_arn = policy.topic_arn.as_deref().unwrap_or(envelope.topic_arn);
    check_header("the topic", topic_arn)?;
    let confirms = envelope.kind != SnsKind::Notification;
    if confirms && envelope.token.is_none() {
        return Err(SigningError::Envelope("token"));
    }
    if confirms && envelope.subscribe_url.is_none() {
        return Err(SigningError::Envelope("subscribe URL"));
    }
    let subject = envelope.subject.map(one_line).filter(|subject| !confirms && !subject.is_empty());
    let timestamp = unsigned.time.to_string();
    let (signature_version, algorithm) = match policy.signature_version {
        SnsVersion::V1 => ("1", Algorithm::RsaSha1),
        SnsVersion::V2 => ("2", Algorithm::RsaSha256),
    };
    let mut document = Document {
        kind: envelope.kind.name(),
        message_id: unsigned.id,
        token: envelope.token.filter(|_| confirms),
        topic_arn,
        subject: subject.as_deref(),
        message: std::str::from_utf8(unsigned.body).map_err(|_| SigningError::NotText("sns"))?,
        subscribe_url: envelope.subscribe_url.filter(|_| confirms),
        timestamp: &timestamp,
        signature_version,
        signature: String::new(),
        signing_cert_url: envelope.certificate_url,
        unsubscribe_url: envelope.unsubscribe_url.filter(|_| !confirms),
    };
    document.signature = STANDARD.encode(sign_with(newest, algorithm, &[document.string_to_sign().as_bytes()])?);
    let body = serde_json::to_vec(&document).map_err(|_| SigningError::Failed(newest.0.clone()))?;
    let headers = [
        ("x-amz-sns-message-type", document.kind),
        ("x-amz-sns-message-id", document.message_id),
        ("x-amz-sns-topic-arn", document.topic_arn),
    ];
    Ok(Signed {
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        content_type: "text/plain; charset=UTF-8".to_owned(),
        body: Bytes::from(body),
    })
}

/// A subject on one line of bounded length.
fn one_line(subject: &str) -> String {
    let plain: String = subject.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST_SUBJECT).collect();
    plain.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document<'a>(kind: SnsKind) -> Document<'a> {
        Document {
            kind: kind.name(),
            message_id: "id-1",
            token: None,
            topic_arn: "arn:aws:sns:us-west-2:123456789012:MyTopic",
            subject: None,
            message: "My Test\n\"Message\"",
            subscribe_url: None,
            timestamp: "2012-04-25T21:49:25.719Z",
            signature_version: "1",
            signature: String::new(),
            signing_cert_url: "https://example.com/a.pem",
            unsubscribe_url: Some("https://example.com/unsubscribe"),
        }
    }

    #[test]
    fn the_string_to_sign_is_that_of_the_developer_guide() {
        let plain = "Message\nMy Test\n\"Message\"\nMessageId\nid-1\nTimestamp\n2012-04-25T21:49:25.719Z\n\
                     TopicArn\narn:aws:sns:us-west-2:123456789012:MyTopic\nType\nNotification\n";
        assert_eq!(document(SnsKind::Notification).string_to_sign(), plain);

        let with_subject = Document { subject: Some("Hello"), ..document(SnsKind::Notification) };
        assert_eq!(with_subject.string_to_sign(), plain.replace("Timestamp\n", "Subject\nHello\nTimestamp\n"));

        for kind in [SnsKind::SubscriptionConfirmation, SnsKind::UnsubscribeConfirmation] {
            let confirmation = Document {
                token: Some("233"),
                subscribe_url: Some("https://example.com/c?Token=233"),
                ..document(kind)
            };
            let wanted = plain
                .replace("Timestamp\n", "SubscribeURL\nhttps://example.com/c?Token=233\nTimestamp\n")
                .replace("TopicArn\n", "Token\n233\nTopicArn\n")
                .replace("Notification", kind.name());
            assert_eq!(confirmation.string_to_sign(), wanted);
        }
    }

    #[test]
    fn a_subject_is_one_line_of_at_most_a_hundred_characters() {
        assert_eq!(one_line(" a\nb\u{7} "), "a b");
        assert_eq!(one_line(&"ä".repeat(200)).chars().count(), 100);
    }
}
