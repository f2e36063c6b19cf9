//! A receiver that plays every trick, and what the client must say of each: the answer, or an error with its stage.
//! Everything is on loopback and bounded by times that are far shorter than a trick lasts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod answers;
mod connections;
mod places;
mod proxies;
mod tls;
mod tokens;

use std::time::Duration;

use bytes::Bytes;
use hookwright_egress::{Answer, Egress, EgressPolicy, Failed, Outgoing, Stage};
use http::Method;
use url::Url;

/// How long a request has that must run out of time.
/// Before that it connects, and perhaps gets a part of the answer, also on a busy machine.
const SHORT: Duration = Duration::from_secs(3);
/// How long all others have: only a machine that stands still needs so much.
const LONG: Duration = Duration::from_secs(120);

/// A client that may reach the receivers.
fn egress() -> Egress {
    egress_with(EgressPolicy::default())
}

/// The same, with further settings.
fn egress_with(policy: EgressPolicy) -> Egress {
    let allow_networks = ["127.0.0.0/8", "::1/128"].map(|network| network.parse().unwrap()).into();
    Egress::new(EgressPolicy { allow_networks, allow_http: true, ..policy }).unwrap()
}

/// A POST with a small body.
fn post(url: &str, timeout: Duration) -> Outgoing {
    Outgoing {
        body: Bytes::from_static(b"{\"type\":\"ticket.closed\"}"),
        timeout,
        ..Outgoing::new(Method::POST, Url::parse(url).unwrap())
    }
}

/// What a request came to, for a table.
#[derive(Debug, PartialEq, Eq)]
enum Came {
    /// Status, body, whether it was cut.
    Answer(u16, String, bool),
    /// Code and stage.
    Failed(&'static str, Stage),
}

fn came(sent: &Result<Answer, Failed>) -> Came {
    match sent {
        Ok(answer) => Came::Answer(answer.status, String::from_utf8_lossy(&answer.body).into_owned(), answer.truncated),
        Err(failed) => Came::Failed(failed.code(), failed.stage),
    }
}

fn answer(status: u16, body: &str) -> Came {
    Came::Answer(status, body.to_owned(), false)
}
