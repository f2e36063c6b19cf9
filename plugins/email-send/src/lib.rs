//! The action `email-send`: sends a mail.
//!
//! `{"to": "Ada <ada@example.com>", "subject": "Ticket 7", "text": "It is closed."}`, with `cc`, `bcc`, `reply_to`, `html`
//! and `attachments`. The result is `{"mail": ID}`. The mail is queued when the step commits, so that it is not sent for
//! a step that fails.

mod letter;

use hookwright_sdk::{Action, Event, Failure, Manifest, Outcome, Plugin, mail};
use serde_json::json;

use crate::letter::Parameters;

struct EmailSend;

impl Plugin for EmailSend {
    const MANIFEST: Manifest = Manifest {
        name: "email-send",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Sends a mail",
        parameters: include_str!("parameters.json"),
        hints: &[],
    };
    type Parameters = Parameters;
}

impl Action for EmailSend {
    fn run(_event: &Event, parameters: Parameters) -> Result<Outcome, Failure> {
        let id = mail::send(&parameters.letter()?)?;
        Outcome::done(&json!({"mail": id}))
    }
}

hookwright_sdk::export_action!(EmailSend);

#[cfg(test)]
mod tests;
