//! The result of an accepted request: its event, and the response.

use hookwright_sdk::{Answer, Draft, Intake, Pairs, Reception, Request, inbound};

/// Headers that are stored with the event.
const KEPT: [&str; 4] = ["content-type", "user-agent", "x-slack-retry-num", "x-slack-retry-reason"];

/// One event, answered so that Slack shows nothing to anybody.
pub(crate) fn taken(request: &Request, draft: Draft, answer: Answer) -> Reception {
    let attributes: Pairs = inbound::kept(request, &KEPT).into_iter().chain(draft.attributes).collect();
    Reception::Accepted(Intake { events: vec![Draft { attributes, ..draft }], answer })
}

/// An answer without a body.
pub(crate) fn nothing() -> Answer {
    Answer { status: 200, headers: Pairs::new(), body: Vec::new() }
}

/// The attributes that have a value.
pub(crate) fn attributes<const N: usize>(named: [(&str, Option<String>); N]) -> Pairs {
    named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
