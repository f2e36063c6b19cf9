//! Through a CONNECT proxy.

use hookwright_egress::{EgressPolicy, Outgoing, Proxy, Stage, TransportSettings};
use hookwright_receiver::{Authority, Receiver, Step, Tls, Validity, answer as whole};

use crate::{Came, LONG, SHORT, answer, came, egress, egress_with, post};

/// `Basic user:pass word`.
const CREDENTIALS: &str = "Basic dXNlcjpwYXNzIHdvcmQ=";

fn through(url: String) -> TransportSettings {
    TransportSettings { proxy: Some(url.into()), ..TransportSettings::default() }
}

fn server_wide(url: &str) -> EgressPolicy {
    EgressPolicy { proxy: Some(Proxy::parse(url).unwrap()), ..EgressPolicy::default() }
}

#[tokio::test]
async fn a_request_uses_its_configured_proxy() {
    let authority = Authority::new("ours");
    let identity = authority.server("localhost", Validity::Now);
    let script = || [Step::Request, whole("200 OK", "", "ok"), Step::Again];
    for tls in [None, Some(Tls::new(&identity))] {
        let with_tls = tls.is_some();
        let receiver = Receiver::playing(tls, script());
        let proxy = Receiver::proxying(Some(CREDENTIALS));
        let url = format!("http://user:pass%20word@127.0.0.1:{}", proxy.port());
        let settings = TransportSettings { ca_certificates: vec![authority.pem()], ..through(url) };
        let egress = egress();
        let transport = egress.transport(&settings).unwrap();
        for number in 0..2 {
            let transport = Some(transport.clone());
            let sent = egress.send(Outgoing { transport, ..post(&receiver.url("/x"), LONG) }).await;
            assert_eq!(came(&sent), answer(200, "ok"));
            let timing = sent.unwrap().timing;
            assert_eq!((timing.reused, timing.connect.is_some()), (number > 0, number == 0));
            assert_eq!(timing.tls.is_some(), with_tls && number == 0);
        }
        let seen = proxy.seen();
        assert_eq!(seen.len(), 1);
        assert!(seen[0].head.starts_with(&format!("CONNECT localhost:{} HTTP/1.1\r\n", receiver.port())));
        // What is for the proxy reaches nobody else.
        assert!(receiver.seen().iter().all(|seen| seen.field("proxy-authorization").is_none()));
    }
}

#[tokio::test]
async fn the_servers_proxy_is_used_except_for_no_proxy() {
    let receiver = Receiver::playing(None, [Step::Request, whole("200 OK", "", "ok"), Step::Again]);
    let proxy = Receiver::proxying(None);
    let policy = server_wide(&format!("http://127.0.0.1:{}", proxy.port()));
    let sent = egress_with(policy.clone()).send(post(&receiver.url("/"), LONG)).await;
    assert_eq!((came(&sent), proxy.connections()), (answer(200, "ok"), 1));
    let without = EgressPolicy { no_proxy: vec!["localhost".into()], ..policy };
    let sent = egress_with(without).send(post(&receiver.url("/"), LONG)).await;
    assert_eq!((came(&sent), proxy.connections()), (answer(200, "ok"), 1));
}

#[tokio::test]
async fn a_disallowed_target_is_rejected_before_the_proxy_is_contacted() {
    let proxy = Receiver::proxying(None);
    let policy = EgressPolicy { allow_http: true, ..server_wide(&format!("http://127.0.0.1:{}", proxy.port())) };
    let egress = hookwright_egress::Egress::new(policy).unwrap();
    let sent = egress.send(post("http://localhost:1/", LONG)).await;
    assert_eq!(came(&sent), Came::Failed("address.refused", Stage::Check));
    assert_eq!(proxy.connections(), 0);
}

#[tokio::test]
async fn only_the_proxy_of_a_destination_must_be_at_an_allowed_address() {
    let proxy = Receiver::proxying(None);
    let url = format!("http://127.0.0.1:{}", proxy.port());
    let strict = |policy| hookwright_egress::Egress::new(EgressPolicy { allow_http: true, ..policy }).unwrap();
    // Nobody listens at the target, and the proxy says so itself.
    let target = EgressPolicy { allow_networks: vec!["127.0.0.2/32".parse().unwrap()], ..EgressPolicy::default() };
    let listed = EgressPolicy { proxy_networks: vec!["127.0.0.1/32".parse().unwrap()], ..target.clone() };
    let operator = EgressPolicy { proxy: Some(Proxy::parse(&url).unwrap()), ..target.clone() };
    for (name, policy, own, connections, expected) in [
        ("not listed", target, true, 0, Came::Failed("address.refused", Stage::Resolve)),
        ("listed", listed, true, 1, Came::Failed("proxy.failed", Stage::Proxy)),
        ("the operator's", operator, false, 2, Came::Failed("proxy.failed", Stage::Proxy)),
    ] {
        let egress = strict(policy);
        let transport = own.then(|| egress.transport(&through(url.clone())).unwrap());
        let sent = egress.send(Outgoing { transport, ..post("http://127.0.0.2:1/", LONG) }).await;
        assert_eq!(came(&sent), expected, "{name}: {sent:?}");
        assert_eq!(proxy.connections(), connections, "{name}");
    }
}

#[tokio::test]
async fn proxy_errors_are_distinguished_from_target_errors() {
    let receiver = Receiver::playing(None, [Step::Request, whole("200 OK", "", "ok")]);
    let wants_others = Receiver::proxying(Some("Basic b3RoZXI6b3RoZXI="));
    let works = Receiver::proxying(None);
    // A port that was just given back may be somebody else's by now.
    let nobody = 9;
    let silent = Receiver::playing(None, [Step::Request, Step::Hang]);
    let no_http = Receiver::playing(None, [Step::Request, Step::send("220 mail.example ESMTP\r\n")]);
    let endless = Receiver::playing(None, [Step::Request, Step::Flood(vec![b'x'; 1000].into(), 1_000_000)]);
    let hangs_up = Receiver::playing(None, [Step::Request]);
    let eager = Receiver::playing(
        None,
        [Step::Request, Step::send("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), Step::Hang],
    );
    let failed = |stage| Came::Failed("proxy.failed", stage);
    let gone = format!("http://localhost:{nobody}/");
    for (name, port, target, timeout, expected, part) in [
        ("refuses", wants_others.port(), receiver.url("/"), LONG, failed(Stage::Proxy), "407"),
        ("does not reach the target", works.port(), gone, LONG, failed(Stage::Proxy), "502"),
        ("is not there", nobody, receiver.url("/"), LONG, failed(Stage::Connect), "cannot be reached"),
        ("is silent", silent.port(), receiver.url("/"), SHORT, Came::Failed("connect.timeout", Stage::Proxy), "proxy"),
        ("speaks no HTTP", no_http.port(), receiver.url("/"), LONG, failed(Stage::Proxy), "not HTTP"),
        ("never ends", endless.port(), receiver.url("/"), LONG, failed(Stage::Proxy), "proxy"),
        ("hangs up", hangs_up.port(), receiver.url("/"), LONG, failed(Stage::Proxy), "without a response"),
        ("answers too much", eager.port(), receiver.url("/"), LONG, failed(Stage::Proxy), "before the request"),
    ] {
        let egress = egress();
        let transport = egress.transport(&through(format!("http://me:hush@127.0.0.1:{port}"))).unwrap();
        let sent = egress.send(Outgoing { transport: Some(transport), ..post(&target, timeout) }).await;
        assert_eq!(came(&sent), expected, "{name}: {sent:?}");
        let message = sent.unwrap_err().to_string();
        assert!(message.contains(part) && !message.contains("hush"), "{name}: {message}");
    }
    assert_eq!(receiver.connections(), 0);
}
