//! Answers that are late, broken, endless or odd.

use std::time::Duration;

use hookwright_egress::{Outgoing, Stage};
use hookwright_receiver::{Receiver, Step, answer as whole, bomb, gzip, head};

use crate::{Came, LONG, SHORT, answer, came, egress, post};

/// The request is read, then this is played.
fn after_request(steps: &[Step]) -> Vec<Step> {
    [&[Step::Request], steps].concat()
}

fn drip(text: &str) -> Step {
    Step::Drip(text.to_owned().into(), Duration::from_millis(50))
}

/// Runs rows of a table side by side.
async fn check(rows: Vec<(&'static str, Vec<Step>, Duration, Came)>) {
    let egress = egress();
    let rows = rows.into_iter().map(|(name, steps, timeout, expected)| {
        let egress = &egress;
        async move {
            let receiver = Receiver::playing(None, steps);
            let sent = egress.send(post(&receiver.url("/"), timeout)).await;
            assert_eq!(came(&sent), expected, "{name}: {sent:?}");
            let timing = match &sent {
                Ok(answer) => answer.timing,
                Err(failed) => failed.timing,
            };
            assert!(timing.dns.is_some() && timing.connect.is_some() && timing.tls.is_none(), "{name}: {timing:?}");
            assert!(!timing.reused && timing.total > 0, "{name}: {timing:?}");
            match expected {
                Came::Answer(..) | Came::Failed(_, Stage::Body) => assert!(timing.first_byte.is_some(), "{name}"),
                // A head came, and was refused.
                Came::Failed("answer.malformed" | "answer.head_too_large", _) => {}
                Came::Failed(..) => assert_eq!(timing.first_byte, None, "{name}"),
            }
            if timeout == SHORT {
                assert!(u128::from(timing.total) >= SHORT.as_micros(), "{name}: {timing:?}");
            }
        }
    });
    futures_util::future::join_all(rows).await;
}

#[tokio::test]
async fn a_timeout_is_reported_with_the_stage_it_occurred_in() {
    let headers = || Came::Failed("timeout", Stage::Headers);
    let body = || Came::Failed("timeout", Stage::Body);
    let partial = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc";
    let slow = format!("HTTP/1.1 200 OK\r\nX-Slow: {}\r\n\r\n", "x".repeat(100));
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(20);
    check(vec![
        ("accepts and reads nothing", vec![Step::Pause(LONG)], SHORT, headers()),
        ("never answers", after_request(&[Step::Hang]), SHORT, headers()),
        ("hangs in its head", after_request(&[Step::send("HTTP/1.1 200 OK\r\nConte"), Step::Hang]), SHORT, headers()),
        ("hangs in its body", after_request(&[Step::send(partial), Step::Hang]), SHORT, body()),
        ("hangs before its body", after_request(&[head("200 OK", "Content-Length: 1\r\n"), Step::Hang]), SHORT, body()),
        ("drips its head", after_request(&[drip(&slow)]), SHORT, headers()),
        (
            "drips its body",
            after_request(&[head("200 OK", "Content-Length: 99\r\n"), drip(&"x".repeat(99))]),
            SHORT,
            body(),
        ),
        ("says only that it is about to", after_request(&[drip(&hints), Step::Hang]), SHORT, headers()),
    ])
    .await;
}

#[tokio::test]
async fn malformed_responses_have_distinct_errors() {
    let many = "X-Field: 1\r\n".repeat(10_000);
    let long = format!("X-Field: {}\r\n", "x".repeat(1024 * 1024));
    let ok = "Content-Length: 10\r\n";
    let part = || Step::send("abc");
    check(vec![
        ("resets at once", vec![Step::Reset], LONG, Came::Failed("answer.reset", Stage::Headers)),
        ("resets", after_request(&[Step::Reset]), LONG, Came::Failed("answer.reset", Stage::Headers)),
        (
            "resets in its head",
            after_request(&[Step::send("HTTP/1.1 200 OK\r\nCon"), Step::Reset]),
            LONG,
            Came::Failed("answer.reset", Stage::Headers),
        ),
        (
            "resets in its body",
            after_request(&[head("200 OK", ok), part(), Step::Reset]),
            LONG,
            Came::Failed("answer.reset", Stage::Body),
        ),
        ("hangs up", after_request(&[]), LONG, Came::Failed("answer.incomplete", Stage::Headers)),
        (
            "hangs up in its head",
            after_request(&[Step::send("HTTP/1.1 200 OK\r\nCon")]),
            LONG,
            Came::Failed("answer.incomplete", Stage::Headers),
        ),
        (
            "is shorter than it says",
            after_request(&[head("200 OK", ok), part()]),
            LONG,
            Came::Failed("answer.incomplete", Stage::Body),
        ),
        (
            "ends in a chunk",
            after_request(&[head("200 OK", "Transfer-Encoding: chunked\r\n"), Step::send("5\r\nabc")]),
            LONG,
            Came::Failed("answer.incomplete", Stage::Body),
        ),
        (
            "has a chunk of no size",
            after_request(&[head("200 OK", "Transfer-Encoding: chunked\r\n"), Step::send("zz\r\nabc\r\n")]),
            LONG,
            Came::Failed("answer.malformed", Stage::Body),
        ),
        (
            "has two kinds of length",
            after_request(&[
                head("200 OK", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"),
                Step::send("3\r\nabc\r\n0\r\n\r\n"),
            ]),
            LONG,
            Came::Failed("answer.malformed", Stage::Headers),
        ),
        (
            "has two lengths",
            after_request(&[head("200 OK", "Content-Length: 3\r\nContent-Length: 4\r\n"), part()]),
            LONG,
            Came::Failed("answer.malformed", Stage::Headers),
        ),
        (
            "has a length that is not a number",
            after_request(&[head("200 OK", "Content-Length: many\r\n"), part()]),
            LONG,
            Came::Failed("answer.malformed", Stage::Headers),
        ),
        (
            "is not valid HTTP",
            after_request(&[Step::send("SSH-2.0-OpenSSH_9.6\r\n")]),
            LONG,
            Came::Failed("answer.malformed", Stage::Headers),
        ),
        (
            "has 10,000 header fields",
            after_request(&[head("200 OK", &many)]),
            LONG,
            Came::Failed("answer.head_too_large", Stage::Headers),
        ),
        (
            "has a header field of 1 MiB",
            after_request(&[head("200 OK", &long)]),
            LONG,
            Came::Failed("answer.head_too_large", Stage::Headers),
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_valid_response_is_returned_whatever_its_status() {
    let early = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n";
    check(vec![
        ("200", after_request(&[whole("200 OK", "", "ok")]), LONG, answer(200, "ok")),
        ("1xx first", after_request(&[Step::send(early), whole("200 OK", "", "ok")]), LONG, answer(200, "ok")),
        ("204", after_request(&[head("204 No Content", "")]), LONG, answer(204, "")),
        ("410", after_request(&[whole("410 Gone", "", "gone")]), LONG, answer(410, "gone")),
        ("500", after_request(&[whole("500 Internal Server Error", "", "oh")]), LONG, answer(500, "oh")),
        (
            "chunked",
            after_request(&[
                head("200 OK", "Transfer-Encoding: chunked\r\n"),
                Step::send("2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"),
            ]),
            LONG,
            answer(200, "abc"),
        ),
        ("until the end", after_request(&[head("200 OK", ""), Step::send("abc")]), LONG, answer(200, "abc")),
        ("HTTP/1.0", after_request(&[Step::send("HTTP/1.0 200 OK\r\n\r\nold")]), LONG, answer(200, "old")),
        (
            "longer than it says",
            after_request(&[Step::send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more"), Step::Hang]),
            LONG,
            answer(200, "ok"),
        ),
    ])
    .await;
}

#[tokio::test]
async fn retry_after_is_returned() {
    let limited = whole("429 Too Many Requests", "Retry-After: 120\r\n", "");
    let receiver = Receiver::playing(None, after_request(&[limited]));
    let answer = egress().send(post(&receiver.url("/"), LONG)).await.unwrap();
    assert_eq!((answer.status, answer.headers["retry-after"].to_str().unwrap()), (429, "120"));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let target = Receiver::playing(None, after_request(&[whole("200 OK", "", "here")]));
    let egress = egress();
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let location = format!("Location: {}\r\n", target.url("/there"));
        let receiver = Receiver::playing(None, after_request(&[whole(status, &location, "")]));
        let answer = egress.send(post(&receiver.url("/"), LONG)).await.unwrap();
        assert_eq!(answer.status.to_string(), status[..3]);
        assert_eq!(answer.headers["location"].to_str().unwrap(), target.url("/there"));
    }
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn an_endless_body_is_read_up_to_the_limit() {
    let gibibyte = 1024 * 1024 * 1024;
    let flood = Step::Flood(vec![b'x'; 64 * 1024].into(), gibibyte);
    let length = format!("Content-Length: {gibibyte}\r\n");
    for fields in ["", length.as_str()] {
        let receiver = Receiver::playing(None, after_request(&[head("200 OK", fields), flood.clone()]));
        let answer = egress().send(Outgoing { body_limit: 10_000, ..post(&receiver.url("/"), LONG) }).await.unwrap();
        assert_eq!((answer.body.len(), answer.truncated), (10_000, true));
        // What was under way fits into the buffers of the two sockets.
        assert!(receiver.sent() < 32 * 1024 * 1024, "{} bytes were sent", receiver.sent());
    }
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_complete() {
    let receiver = Receiver::playing(None, after_request(&[whole("200 OK", "", &"x".repeat(1000))]));
    for (limit, kept, truncated) in [(1000, 1000, false), (999, 999, true), (0, 0, true)] {
        let answer = egress().send(Outgoing { body_limit: limit, ..post(&receiver.url("/"), LONG) }).await.unwrap();
        assert_eq!((answer.body.len(), answer.truncated), (kept, truncated), "limit {limit}");
    }
}

#[tokio::test]
async fn a_compressed_body_is_decoded_only_on_request() {
    let coded = |coding: &str, body: Vec<u8>| {
        let head = head("200 OK", &format!("Content-Encoding: {coding}\r\nContent-Length: {}\r\n", body.len()));
        Receiver::playing(None, after_request(&[head, Step::send(body)]))
    };
    let egress = egress();
    let plain = b"{\"ok\":true}".repeat(10);

    let receiver = coded("gzip", gzip(&plain));
    let kept = egress.send(post(&receiver.url("/"), LONG)).await.unwrap();
    assert_eq!((&kept.body[..], kept.encoding.as_deref()), (&gzip(&plain)[..], Some("gzip")));
    assert_eq!(receiver.seen()[0].field("accept-encoding"), None);

    let receiver = coded("gzip", gzip(&plain));
    let decoded = egress.send(Outgoing { decode: true, ..post(&receiver.url("/"), LONG) }).await.unwrap();
    assert_eq!((&decoded.body[..], decoded.encoding.as_deref()), (&plain[..], None));
    assert_eq!(receiver.seen()[0].field("accept-encoding"), Some("gzip, deflate"));

    let receiver = coded("br", b"anything".to_vec());
    let unknown = egress.send(Outgoing { decode: true, ..post(&receiver.url("/"), LONG) }).await.unwrap();
    assert_eq!((&unknown.body[..], unknown.encoding.as_deref()), (&b"anything"[..], Some("br")));

    let receiver = coded("gzip", b"no gzip at all".to_vec());
    let sent = egress.send(Outgoing { decode: true, ..post(&receiver.url("/"), LONG) }).await;
    assert_eq!(came(&sent), Came::Failed("answer.undecodable", Stage::Body));
}

#[tokio::test]
async fn a_compression_bomb_is_stopped_at_the_limit() {
    let bomb = bomb(64);
    assert!(bomb.len() < 128 * 1024);
    let fields = format!("Content-Encoding: gzip\r\nContent-Length: {}\r\n", bomb.len());
    let receiver = Receiver::playing(None, after_request(&[head("200 OK", &fields), Step::send(bomb)]));
    let outgoing = Outgoing { decode: true, body_limit: 128 * 1024, ..post(&receiver.url("/"), LONG) };
    let answer = egress().send(outgoing).await.unwrap();
    assert_eq!((answer.body.len(), answer.truncated), (128 * 1024, true));
    assert!(answer.body.iter().all(|byte| *byte == 0));
}
