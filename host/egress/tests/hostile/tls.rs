//! TLS that fails in each of its ways, and certificates that are set for one destination.

use std::time::Duration;

use hookwright_egress::{Http2, Outgoing, Stage, TransportSettings};
use hookwright_receiver::{Authority, Identity, Receiver, Reply, Step, Tls, Validity, answer as whole};
use http::Version;

use crate::{Came, LONG, SHORT, answer, came, egress, post};

fn trusting(authority: &Authority) -> TransportSettings {
    TransportSettings { ca_certificates: vec![authority.pem()], ..TransportSettings::default() }
}

/// What a request with these settings comes to.
async fn with(settings: &TransportSettings, url: &str, timeout: Duration) -> Came {
    let egress = egress();
    let transport = Some(egress.transport(settings).unwrap());
    let sent = egress.send(Outgoing { transport, ..post(url, timeout) }).await;
    if let Err(failed) = &sent {
        assert!(failed.timing.connect.is_some(), "{failed:?}");
        assert_eq!(failed.timing.tls.is_some(), failed.stage != Stage::Tls, "{failed:?}");
    }
    came(&sent)
}

#[tokio::test]
async fn an_invalid_certificate_is_rejected_with_the_reason() {
    let ours = Authority::new("ours");
    let others = Authority::new("others");
    let trusted = trusting(&ours);
    for (name, identity, settings, code) in [
        ("expired", ours.server("localhost", Validity::Past), &trusted, "tls.expired"),
        ("not valid yet", ours.server("localhost", Validity::Future), &trusted, "tls.expired"),
        ("for another name", ours.server("other.example", Validity::Now), &trusted, "tls.wrong_name"),
        ("self-signed", Identity::self_signed("localhost"), &trusted, "tls.unknown_issuer"),
        ("of another authority", others.server("localhost", Validity::Now), &trusted, "tls.unknown_issuer"),
        (
            "of an authority that is not set",
            ours.server("localhost", Validity::Now),
            &TransportSettings::default(),
            "tls.unknown_issuer",
        ),
        ("for clients", ours.client("localhost"), &trusted, "tls.certificate_invalid"),
    ] {
        let receiver = Receiver::playing(Some(Tls::new(&identity)), [Step::Request, whole("200 OK", "", "ok")]);
        let expected = Came::Failed(code, Stage::Tls);
        assert_eq!(with(settings, &receiver.url("/"), LONG).await, expected, "{name}");
        assert!(receiver.seen().is_empty(), "{name}: the request was sent");
    }
}

#[tokio::test]
async fn a_custom_authority_can_extend_or_replace_the_public_ones() {
    let authority = Authority::new("ours");
    let identity = authority.server("localhost", Validity::Now);
    let receiver = Receiver::playing(Some(Tls::new(&identity)), [Step::Request, whole("200 OK", "", "ok")]);
    for public_authorities in [true, false] {
        let settings = TransportSettings { public_authorities, ..trusting(&authority) };
        assert_eq!(with(&settings, &receiver.url("/"), LONG).await, answer(200, "ok"));
    }
    // The name is checked against the address, too.
    let by_address = format!("https://127.0.0.1:{}/", receiver.port());
    let expected = Came::Failed("tls.wrong_name", Stage::Tls);
    assert_eq!(with(&trusting(&authority), &by_address, LONG).await, expected);
}

/// A ServerHello that chooses TLS 1.0 (RFC 2246, section 7.4.1.3).
fn tls_1_0() -> Step {
    let mut hello = vec![3, 1];
    hello.extend_from_slice(&[7; 32]);
    hello.extend_from_slice(&[0, 0x00, 0x2f, 0]);
    let length = u8::try_from(hello.len()).unwrap();
    Step::send([&[22, 3, 1, 0, length + 4, 2, 0, 0, length][..], &hello].concat())
}

#[tokio::test]
async fn a_failed_handshake_reports_the_reason() {
    // A fatal alert: protocol_version (RFC 8446, section 6).
    let no_version = Step::send(&[21, 3, 1, 0, 2, 2, 70][..]);
    for (name, steps, timeout, code) in [
        ("hangs", vec![Step::Hang], SHORT, "tls.timeout"),
        ("reads the greeting and hangs", vec![Step::Anything, Step::Hang], SHORT, "tls.timeout"),
        ("hangs up", vec![Step::Anything], LONG, "tls.failed"),
        ("resets", vec![Step::Anything, Step::Reset], LONG, "tls.failed"),
        ("speaks HTTP", vec![Step::Anything, whole("400 Bad Request", "", "")], LONG, "tls.failed"),
        ("has TLS 1.0 only", vec![Step::Anything, tls_1_0(), Step::Hang], LONG, "tls.incompatible"),
        ("has no version in common", vec![Step::Anything, no_version, Step::Hang], LONG, "tls.incompatible"),
    ] {
        let receiver = Receiver::playing(None, steps);
        let url = receiver.url("/").replace("http://", "https://");
        let came = with(&TransportSettings::default(), &url, timeout).await;
        assert_eq!(came, Came::Failed(code, Stage::Tls), "{name}");
    }
}

#[tokio::test]
async fn the_configured_client_certificate_is_presented() {
    let authority = Authority::new("ours");
    let others = Authority::new("others");
    let identity = authority.server("localhost", Validity::Now);
    let script = [Step::Request, whole("200 OK", "", "ok"), Step::Again];
    let receiver = Receiver::playing(Some(Tls::mutual(&identity, &authority)), script);
    let shown = |identity: Identity| TransportSettings {
        client_certificate: Some(identity.certificate),
        client_key: Some(identity.key.into()),
        ..trusting(&authority)
    };
    let refused = || Came::Failed("tls.client_certificate", Stage::Headers);
    for (name, settings, expected) in [
        ("none", trusting(&authority), refused()),
        ("of another authority", shown(others.client("hookwright")), refused()),
        ("the right one", shown(authority.client("hookwright")), answer(200, "ok")),
    ] {
        assert_eq!(with(&settings, &receiver.url("/"), LONG).await, expected, "{name}");
    }
    assert_eq!(receiver.seen().len(), 1);
}

#[tokio::test]
async fn connections_with_a_client_certificate_are_not_shared() {
    let authority = Authority::new("ours");
    let identity = authority.server("localhost", Validity::Now);
    let script = [Step::Request, whole("200 OK", "", "ok"), Step::Again];
    let receiver = Receiver::playing(Some(Tls::mutual(&identity, &authority)), script);
    let client = authority.client("hookwright");
    let shown = TransportSettings {
        client_certificate: Some(client.certificate),
        client_key: Some(client.key.into()),
        ..trusting(&authority)
    };
    let egress = egress();
    let mut reused = Vec::new();
    for (settings, succeeds) in [(&shown, true), (&trusting(&authority), false), (&shown, true)] {
        let transport = Some(egress.transport(settings).unwrap());
        let sent = egress.send(Outgoing { transport, ..post(&receiver.url("/"), LONG) }).await;
        assert_eq!(sent.is_ok(), succeeds, "{sent:?}");
        reused.extend(sent.ok().map(|answer| answer.timing.reused));
    }
    assert_eq!(reused, [false, true]);
}

#[tokio::test]
async fn a_key_that_does_not_match_its_certificate_is_rejected() {
    let authority = Authority::new("ours");
    let settings = TransportSettings {
        client_certificate: Some(authority.client("one").certificate),
        client_key: Some(authority.client("other").key.into()),
        ..TransportSettings::default()
    };
    let error = egress().transport(&settings).unwrap_err();
    assert_eq!(error.code(), "transport.invalid");
    assert!(error.to_string().contains("client_key: does not fit"), "{error}");
}

#[tokio::test]
async fn http_2_is_negotiated_unless_it_is_disabled() {
    let authority = Authority::new("ours");
    let identity = authority.server("localhost", Validity::Now);
    let receiver =
        Receiver::serving(Some(Tls::new(&identity)), |request| Reply::new(200, request.connection.to_string()));
    let egress = egress();
    for (http2, version) in
        [(Http2::Auto, Version::HTTP_2), (Http2::Never, Version::HTTP_11), (Http2::PriorKnowledge, Version::HTTP_2)]
    {
        let transport = egress.transport(&TransportSettings { http2, ..trusting(&authority) }).unwrap();
        let outgoing = || Outgoing { transport: Some(transport.clone()), ..post(&receiver.url("/"), LONG) };
        let first = egress.send(outgoing()).await.unwrap();
        assert_eq!(first.http_version, version);
        assert!(first.timing.tls.is_some() && !first.timing.reused, "{:?}", first.timing);
        let many = futures_util::future::join_all((0..10).map(|_| egress.send(outgoing()))).await;
        for answer in many.into_iter().map(Result::unwrap) {
            assert_eq!(answer.http_version, version);
            if version == Version::HTTP_2 {
                assert_eq!(answer.body, first.body, "one connection carries all");
                assert!(answer.timing.reused && answer.timing.tls.is_none());
            }
        }
    }
}
