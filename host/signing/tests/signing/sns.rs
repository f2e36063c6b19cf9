use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hookwright_signing::{Signed, SigningError, SnsEnvelope, SnsKind, Unsigned};
use rsa::pkcs8::DecodePublicKey as _;
use rsa::signature::Verifier as _;
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::Sha256;
use x509_cert::der::{DecodePem as _, Encode as _};

use super::{BODY, envelope, header, policy, rsa, signer, unsigned};

fn sign(version: &str, envelope: SnsEnvelope<'_>) -> (Signed, Value) {
    let policy = policy(json!({"kind": "sns", "signature_version": version}));
    let message = Unsigned { envelope: Some(envelope), ..unsigned(&BODY) };
    let signed = signer(&policy, &[&rsa(&policy)]).sign(&message).unwrap();
    let document = serde_json::from_slice(&signed.body).unwrap();
    (signed, document)
}

/// Verifies with the key in the certificate, as receivers do.
fn verifies(document: &Value, text: &str) -> bool {
    let pem = rsa(&policy(json!({"kind": "sns"}))).public.unwrap().certificate_pem.unwrap();
    let certificate = x509_cert::Certificate::from_pem(pem).unwrap();
    let info = certificate.tbs_certificate.subject_public_key_info.to_der().unwrap();
    let key = rsa::RsaPublicKey::from_public_key_der(&info).unwrap();
    let bytes = STANDARD.decode(document["Signature"].as_str().unwrap()).unwrap();
    let signature = rsa::pkcs1v15::Signature::try_from(bytes.as_slice()).unwrap();
    match document["SignatureVersion"].as_str().unwrap() {
        "1" => rsa::pkcs1v15::VerifyingKey::<Sha1>::new(key).verify(text.as_bytes(), &signature).is_ok(),
        "2" => rsa::pkcs1v15::VerifyingKey::<Sha256>::new(key).verify(text.as_bytes(), &signature).is_ok(),
        other => panic!("version {other}"),
    }
}

#[test]
fn a_notification_carries_the_body_as_its_message() {
    for version in ["1", "2"] {
        let (signed, document) = sign(version, envelope(SnsKind::Notification));
        let names: Vec<&String> = document.as_object().unwrap().keys().collect();
        assert_eq!(
            names,
            [
                "Type",
                "MessageId",
                "TopicArn",
                "Subject",
                "Message",
                "Timestamp",
                "SignatureVersion",
                "Signature",
                "SigningCertURL",
                "UnsubscribeURL"
            ]
        );
        assert_eq!(document["Message"].as_str().unwrap().as_bytes(), BODY);
        assert_eq!(document["SigningCertURL"], "https://hooks.example/keys/1.pem");
        assert_eq!(signed.content_type, "text/plain; charset=UTF-8");
        assert_eq!(header(&signed, "x-amz-sns-message-type"), "Notification");
        assert_eq!(header(&signed, "x-amz-sns-message-id"), "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk");
        assert_eq!(header(&signed, "x-amz-sns-topic-arn"), "arn:aws:sns:local:main:tickets");
        let text = format!(
            "Message\n{}\nMessageId\nmsg_27UH4WbU6Z5A5EzD8u03UvzRbpk\nSubject\nHello\nTimestamp\n2022-04-07T21:39:13.042Z\n\
             TopicArn\narn:aws:sns:local:main:tickets\nType\nNotification\n",
            std::str::from_utf8(&BODY).unwrap()
        );
        assert!(verifies(&document, &text), "{document}");
        assert!(!verifies(&document, &text.replace("Hello", "Bye")));
    }
}

#[test]
fn a_confirmation_contains_its_token_and_url() {
    for (kind, name) in [
        (SnsKind::SubscriptionConfirmation, "SubscriptionConfirmation"),
        (SnsKind::UnsubscribeConfirmation, "UnsubscribeConfirmation"),
    ] {
        let (signed, document) = sign("2", envelope(kind));
        assert_eq!(document["Type"], name);
        assert_eq!(document["Token"], "t0k3n");
        assert_eq!(document["SubscribeURL"], "https://hooks.example/confirm?Token=t0k3n");
        assert!(document.get("Subject").is_none() && document.get("UnsubscribeURL").is_none(), "{document}");
        assert_eq!(header(&signed, "x-amz-sns-message-type"), name);
        let text = format!(
            "Message\n{}\nMessageId\nmsg_27UH4WbU6Z5A5EzD8u03UvzRbpk\nSubscribeURL\n\
             https://hooks.example/confirm?Token=t0k3n\nTimestamp\n2022-04-07T21:39:13.042Z\nToken\nt0k3n\n\
             TopicArn\narn:aws:sns:local:main:tickets\nType\n{name}\n",
            std::str::from_utf8(&BODY).unwrap()
        );
        assert!(verifies(&document, &text), "{document}");
    }
}

#[test]
fn the_certificate_is_for_signatures_and_does_not_expire() {
    let pem = rsa(&policy(json!({"kind": "sns"}))).public.unwrap().certificate_pem.unwrap();
    let certificate = x509_cert::Certificate::from_pem(pem).unwrap().tbs_certificate;
    assert_eq!(certificate.issuer, certificate.subject);
    assert_eq!(certificate.validity.not_after.to_string(), "9999-12-31T23:59:59Z");
    let (critical, usage) = certificate.get::<x509_cert::ext::pkix::KeyUsage>().unwrap().unwrap();
    assert!(critical && usage.digital_signature() && !usage.key_cert_sign());
}

#[test]
fn the_policys_topic_takes_precedence_over_the_callers() {
    let policy = policy(json!({"kind": "sns", "topic_arn": "arn:aws:sns:eu-west-1:1:mine"}));
    let message = Unsigned { envelope: Some(envelope(SnsKind::Notification)), ..unsigned(&BODY) };
    let signed = signer(&policy, &[&rsa(&policy)]).sign(&message).unwrap();
    assert_eq!(header(&signed, "x-amz-sns-topic-arn"), "arn:aws:sns:eu-west-1:1:mine");
}

#[test]
fn missing_envelope_fields_are_reported() {
    let policy = policy(json!({"kind": "sns"}));
    let signer = signer(&policy, &[&rsa(&policy)]);
    let confirmation = envelope(SnsKind::SubscriptionConfirmation);
    let body = Bytes::from_static(b"\xff");
    for (message, error) in [
        (unsigned(&BODY), SigningError::Envelope("content")),
        (
            Unsigned { envelope: Some(SnsEnvelope { token: None, ..confirmation }), ..unsigned(&BODY) },
            SigningError::Envelope("token"),
        ),
        (
            Unsigned { envelope: Some(SnsEnvelope { subscribe_url: None, ..confirmation }), ..unsigned(&BODY) },
            SigningError::Envelope("subscribe URL"),
        ),
        (Unsigned { envelope: Some(envelope(SnsKind::Notification)), ..unsigned(&body) }, SigningError::NotText("sns")),
    ] {
        assert_eq!(signer.sign(&message).unwrap_err(), error);
    }
}
