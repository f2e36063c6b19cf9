//! Places where nobody is, or that are not to be reached.

use std::net::Ipv4Addr;

use hookwright_egress::{Egress, EgressPolicy, Reach, Stage};
use hookwright_receiver::{Receiver, Step, answer as whole, full_backlog};
use tokio::net::TcpSocket;

use crate::{Came, LONG, SHORT, answer, came, egress, post};

#[tokio::test]
async fn a_closed_port_refuses_the_connection() {
    // Bound, so that nobody else gets the port, and not listening.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let port = socket.local_addr().unwrap().port();
    let sent = egress().send(post(&format!("http://127.0.0.1:{port}/"), LONG)).await;
    assert_eq!(came(&sent), Came::Failed("connect.refused", Stage::Connect));
    let failed = sent.unwrap_err();
    assert!(failed.to_string().contains(&format!("127.0.0.1:{port} refused")), "{failed}");
    assert_eq!((failed.timing.dns, failed.timing.connect, failed.timing.first_byte), (None, None, None));
}

#[tokio::test]
async fn a_connection_attempt_times_out() {
    let (port, _kept) = full_backlog().await;
    let sent = egress().send(post(&format!("http://127.0.0.1:{port}/"), SHORT)).await;
    assert_eq!(came(&sent), Came::Failed("connect.timeout", Stage::Connect), "{sent:?}");
    let failed = sent.unwrap_err();
    assert_eq!(failed.to_string(), format!("no connection within {} ms", SHORT.as_millis()));
    assert!(u128::from(failed.timing.total) >= SHORT.as_micros(), "{failed:?}");
}

#[tokio::test]
async fn a_name_without_an_address_is_not_resolved() {
    let sent = egress().send(post("http://nowhere.invalid/", LONG)).await;
    assert_eq!(came(&sent), Came::Failed("name.unresolved", Stage::Resolve));
    assert!(sent.unwrap_err().to_string().contains("nowhere.invalid"));
}

#[tokio::test]
async fn a_name_that_resolves_to_loopback_is_rejected_unless_allowed() {
    let receiver = Receiver::playing(None, [Step::Request, whole("200 OK", "", "ok"), Step::Again]);
    let strict = Egress::new(EgressPolicy { allow_http: true, ..EgressPolicy::default() }).unwrap();
    for (url, stage) in [
        (receiver.url("/"), Stage::Check),
        (format!("http://127.0.0.1:{}/", receiver.port()), Stage::Check),
        (format!("http://[::ffff:127.0.0.1]:{}/", receiver.port()), Stage::Check),
    ] {
        let sent = strict.send(post(&url, LONG)).await;
        assert_eq!(came(&sent), Came::Failed("address.refused", stage), "{url}");
    }
    assert_eq!(receiver.connections(), 0);
    for reach in [Reach::Public, Reach::ListedNetworks] {
        let sent = egress().send_within(reach, post(&receiver.url("/"), LONG)).await;
        assert_eq!(came(&sent), answer(200, "ok"));
    }
}

#[tokio::test]
async fn connections_to_public_addresses_and_allowed_networks_are_not_shared() {
    let receiver = Receiver::playing(None, [Step::Request, whole("200 OK", "", "ok"), Step::Again]);
    let egress = egress();
    for reach in [Reach::Public, Reach::ListedNetworks] {
        let answer = egress.send_within(reach, post(&receiver.url("/"), LONG)).await.unwrap();
        assert!(!answer.timing.reused, "{reach:?}");
    }
    assert_eq!(receiver.connections(), 2);
}
