//! Connections that are kept, shared, closed in between; HTTP/2.

use std::sync::Arc;
use std::time::Duration;

use hookwright_egress::{Http2, IDLE_PER_DESTINATION, Outgoing, Stage, TransportSettings};
use hookwright_receiver::{Receiver, Reply, Step, answer as whole};
use http::Version;

use crate::{Came, LONG, SHORT, answer, came, egress, post};

#[tokio::test]
async fn a_pooled_connection_has_no_connect_time() {
    let receiver = Receiver::playing(None, [Step::Request, whole("200 OK", "", "ok"), Step::Again]);
    let egress = egress();
    for number in 0..5 {
        let answer = egress.send(post(&receiver.url("/"), LONG)).await.unwrap();
        let timing = answer.timing;
        assert_eq!(timing.reused, number > 0);
        assert_eq!((timing.dns.is_some(), timing.connect.is_some()), (number == 0, number == 0), "{timing:?}");
        assert!(timing.first_byte.unwrap() <= timing.total, "{timing:?}");
        assert_eq!(answer.http_version, Version::HTTP_11);
    }
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn timing_parts_measure_their_stages() {
    let slow = [Step::Request, Step::Pause(Duration::from_millis(200)), whole("200 OK", "", "ok"), Step::Again];
    let receiver = Receiver::playing(None, slow);
    let egress = egress();
    for reused in [false, true] {
        let timing = egress.send(post(&receiver.url("/"), LONG)).await.unwrap().timing;
        assert_eq!(timing.reused, reused);
        let opening = timing.dns.unwrap_or(0) + timing.connect.unwrap_or(0);
        let first_byte = timing.first_byte.unwrap();
        assert!(first_byte >= 200_000, "{timing:?}");
        assert!(opening + first_byte <= timing.total + 1_000, "{timing:?}");
    }
}

#[tokio::test]
async fn a_connection_that_another_request_opened_counts_as_reused() {
    // The first request holds its connection; the second one opens another, and is then given the first one's.
    let receiver = Receiver::serving(None, |request| Reply {
        after: Duration::from_millis(if request.path == "/slow" { 300 } else { 0 }),
        ..Reply::new(200, request.connection.to_string())
    });
    let egress = Arc::new(egress());
    let many = (0..20).map(|number| {
        let (egress, url) = (Arc::clone(&egress), receiver.url(if number % 2 == 0 { "/slow" } else { "/" }));
        tokio::spawn(async move { egress.send(post(&url, LONG)).await.unwrap() })
    });
    let mut opened = 0;
    for answer in futures_util::future::join_all(many).await {
        let timing = answer.unwrap().timing;
        assert_eq!(timing.reused, timing.connect.is_none(), "{timing:?}");
        assert_eq!(timing.reused, timing.dns.is_none(), "{timing:?}");
        opened += usize::from(!timing.reused);
    }
    assert!(opened <= receiver.connections(), "{opened} of {}", receiver.connections());
    // Of the connections that are kept, each is somebody's from before.
    for _ in 0..5 {
        assert!(egress.send(post(&receiver.url("/"), LONG)).await.unwrap().timing.reused);
    }
}

#[tokio::test]
async fn the_number_of_idle_connections_is_limited() {
    // Long enough for all of them to be in flight together.
    let receiver = Receiver::serving(None, |_| Reply { after: Duration::from_secs(4), ..Reply::new(200, "ok") });
    let egress = egress();
    let at_once = || {
        futures_util::future::join_all(
            (0..IDLE_PER_DESTINATION + 24).map(|_| egress.send(post(&receiver.url("/"), LONG))),
        )
    };
    for (round, kept) in [(1, 0), (2, IDLE_PER_DESTINATION)] {
        let reused = at_once().await.into_iter().filter(|sent| sent.as_ref().unwrap().timing.reused).count();
        assert_eq!(reused, kept, "round {round}");
        // Until the connections are back, those who wait would be given them.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test]
async fn connections_closed_after_each_response_lose_no_request() {
    let receiver = Receiver::playing(None, [Step::Request, whole("200 OK", "", "ok")]);
    let egress = egress();
    for number in 0..200 {
        let sent = egress.send(Outgoing { repeatable: true, ..post(&receiver.url("/"), LONG) }).await;
        assert_eq!(came(&sent), answer(200, "ok"), "{number}: {sent:?}");
    }
    // The receiver read each request once, but for those that were on their way as it closed, which it never read.
    assert_eq!(receiver.seen().len(), 200);
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_replaced() {
    let receiver = Receiver::playing(None, [Step::Request, whole("200 OK", "", "ok")]);
    let egress = egress();
    for _ in 0..3 {
        let timing = egress.send(post(&receiver.url("/"), LONG)).await.unwrap().timing;
        assert!(!timing.reused);
        while receiver.open() > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        // The end of the connection is here by now; this lets it be seen.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(receiver.connections(), 3);
}

#[tokio::test]
async fn a_request_on_a_closed_connection_is_retried_only_if_idempotent() {
    // Each connection answers once, reads a second request and hangs up on it.
    let receiver = Receiver::playing(None, [Step::Request, whole("200 OK", "", "ok"), Step::Request]);
    let egress = egress();
    let once = || post(&receiver.url("/"), LONG);
    assert_eq!(came(&egress.send(once()).await), answer(200, "ok"));
    let sent = egress.send(once()).await;
    assert_eq!(came(&sent), Came::Failed("answer.incomplete", Stage::Headers));
    let timing = sent.unwrap_err().timing;
    assert!(timing.reused && timing.dns.is_none() && timing.connect.is_none(), "{timing:?}");
    assert_eq!(receiver.seen().len(), 2);

    assert_eq!(came(&egress.send(once()).await), answer(200, "ok"));
    let again = egress.send(Outgoing { repeatable: true, ..once() }).await;
    assert_eq!(came(&again), answer(200, "ok"));
    assert!(!again.unwrap().timing.reused);
    assert_eq!(receiver.seen().len(), 5);
}

#[tokio::test]
async fn a_failed_fresh_connection_is_not_retried() {
    let receiver = Receiver::playing(None, [Step::Request]);
    let sent = egress().send(Outgoing { repeatable: true, ..post(&receiver.url("/"), LONG) }).await;
    assert_eq!(came(&sent), Came::Failed("answer.incomplete", Stage::Headers));
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn a_connection_with_a_truncated_or_malformed_response_is_not_reused() {
    let long = whole("200 OK", "", &"x".repeat(1000));
    let longer =
        Step::send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n!");
    for steps in [long, longer] {
        let receiver = Receiver::playing(None, [Step::Request, steps, Step::Again]);
        let egress = egress();
        for _ in 0..3 {
            let outgoing = Outgoing { body_limit: 10, repeatable: true, ..post(&receiver.url("/"), LONG) };
            let answer = egress.send(outgoing).await.unwrap();
            assert!(!answer.timing.reused);
            assert!(matches!(&answer.body[..], b"ok" | b"xxxxxxxxxx"));
        }
        assert_eq!(receiver.connections(), 3);
    }
}

#[tokio::test]
async fn a_slow_receiver_does_not_delay_others() {
    let slow = Receiver::playing(None, [Step::Request, Step::Hang]);
    let quick = Receiver::playing(None, [Step::Request, whole("200 OK", "", "ok"), Step::Again]);
    let egress = Arc::new(egress());
    let hanging: Vec<_> = (0..200)
        .map(|_| {
            let (egress, url) = (Arc::clone(&egress), slow.url("/"));
            tokio::spawn(async move { egress.send(post(&url, Duration::from_secs(600))).await })
        })
        .collect();
    while slow.seen().len() < 200 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for _ in 0..20 {
        assert_eq!(came(&egress.send(post(&quick.url("/"), LONG)).await), answer(200, "ok"));
    }
    for task in hanging {
        assert!(!task.is_finished());
        task.abort();
    }
}

#[tokio::test]
async fn http_2_with_prior_knowledge_works_without_tls() {
    let receiver = Receiver::serving(None, |request| Reply::new(200, format!("{} {}", request.http2, request.path)));
    let egress = egress();
    for (http2, version, body) in
        [(Http2::PriorKnowledge, Version::HTTP_2, "true /x"), (Http2::Auto, Version::HTTP_11, "false /x")]
    {
        let transport = egress.transport(&TransportSettings { http2, ..TransportSettings::default() }).unwrap();
        let outgoing = Outgoing { transport: Some(transport), ..post(&receiver.url("/x"), LONG) };
        let answer = egress.send(outgoing).await.unwrap();
        assert_eq!((answer.http_version, &answer.body[..]), (version, body.as_bytes()));
    }
}

#[tokio::test]
async fn http_2_has_the_same_limits() {
    let receiver = Receiver::serving(None, |request| match request.path.as_str() {
        "/many" => Reply { fields: (0..500).map(|n| (format!("x-{n}"), "1".into())).collect(), ..Reply::default() },
        "/long" => Reply { fields: vec![("x-long".into(), "x".repeat(80_000))], ..Reply::default() },
        "/longer" => Reply { fields: vec![("x-long".into(), "x".repeat(1_000_000))], ..Reply::default() },
        "/body" => Reply::new(200, vec![b'x'; 1_000_000]),
        "/slow" => Reply { after: LONG, ..Reply::default() },
        "/broken" => Reply { breaks: true, ..Reply::new(200, "and so on") },
        _ => Reply::new(200, "ok"),
    });
    let egress = egress();
    let transport = TransportSettings { http2: Http2::PriorKnowledge, ..TransportSettings::default() };
    let transport = egress.transport(&transport).unwrap();
    for (path, timeout, expected) in [
        ("/", LONG, answer(200, "ok")),
        ("/many", LONG, Came::Failed("answer.head_too_large", Stage::Headers)),
        ("/body", LONG, Came::Answer(200, "xxxxxxxxxx".into(), true)),
        ("/broken", LONG, Came::Failed("answer.reset", Stage::Body)),
        ("/slow", SHORT, Came::Failed("timeout", Stage::Headers)),
        ("/long", LONG, Came::Failed("answer.head_too_large", Stage::Headers)),
        ("/longer", LONG, Came::Failed("protocol.error", Stage::Headers)),
        ("/", LONG, answer(200, "ok")),
    ] {
        let transport = Some(transport.clone());
        let outgoing = Outgoing { transport, body_limit: 10, ..post(&receiver.url(path), timeout) };
        let sent = egress.send(outgoing).await;
        assert_eq!(came(&sent), expected, "{path}: {sent:?}");
    }
}
