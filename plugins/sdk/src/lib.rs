//! Write a Hookwright plugin in a page of Rust.
//!
//! A plugin is a WebAssembly component of one of four kinds. Each kind is a trait here: [`Condition`] decides whether
//! an automation fires for an event, [`Action`] executes a step, [`Transform`] transforms a payload,
//! and [`Source`] receives a provider's HTTP requests. Implement [`Plugin`] (the plugin's manifest) and the
//! trait of its kind, then name the type in the kind's export macro.
//!
//! # A whole plugin
//!
//! `Cargo.toml` needs `crate-type = ["cdylib"]` under `[lib]`, this crate, and `serde` with its `derive` feature.
//!
//! ```
//! use hookwright_sdk::{Action, Event, Failure, Manifest, Outcome, Plugin, log, tickets};
//! use serde_json::json;
//!
//! struct Escalate;
//!
//! #[derive(serde::Deserialize)]
//! struct Parameters {
//!     ticket: hookwright_sdk::Id,
//!     #[serde(default)]
//!     reason: Option<String>,
//! }
//!
//! impl Plugin for Escalate {
//!     const MANIFEST: Manifest = Manifest {
//!         name: "escalate",
//!         version: env!("CARGO_PKG_VERSION"),
//!         summary: "Makes a ticket urgent and says why",
//!         parameters: r#"{
//!             "type": "object",
//!             "required": ["ticket"],
//!             "properties": {
//!                 "ticket": {"type": ["string", "integer"]},
//!                 "reason": {"type": "string"}
//!             },
//!             "additionalProperties": false
//!         }"#,
//!         hints: &[],
//!     };
//!     type Parameters = Parameters;
//! }
//!
//! impl Action for Escalate {
//!     fn run(event: &Event, parameters: Parameters) -> Result<Outcome, Failure> {
//!         let Some(ticket) = tickets::get(&parameters.ticket)? else {
//!             return Ok(Outcome::skipped(format!("there is no ticket {}", parameters.ticket)));
//!         };
//!         if ticket["priority"] == "urgent" {
//!             return Ok(Outcome::skipped("it is urgent already"));
//!         }
//!         let ticket = tickets::update(&parameters.ticket, &json!({"priority": "urgent"}))?;
//!         if let Some(reason) = parameters.reason {
//!             tickets::add_note(&parameters.ticket, &reason, false)?;
//!         }
//!         log::info("made urgent", &[("event", &event.id)]);
//!         Outcome::done(&json!({"subject": ticket["subject"]}))
//!     }
//! }
//!
//! hookwright_sdk::export_action!(Escalate);
//!
//! /// On the build machine the same code runs against a mock of the host.
//! use hookwright_sdk::testing;
//! testing::Host::default().with_ticket("7", json!({"subject": "Printer", "priority": "low"})).install();
//! let event = testing::event("monitor.alarm", json!({"disk": "full"}));
//! let outcome = testing::run::<Escalate>(&event, json!({"ticket": 7, "reason": "The disk is full"}));
//! assert_eq!(outcome, Ok(Outcome::Done(r#"{"subject":"Printer"}"#.into())));
//! assert_eq!(testing::ticket("7")["priority"], "urgent");
//! ```
//!
//! # What a plugin may reach
//!
//! Capabilities are imports: a plugin that calls [`tickets`] needs the capability `tickets`, and one that does not call
//! it does not import it. [`log`], [`clock`], [`random`], [`config`], [`crypto`] and [`encoding`] may be used by every
//! kind; [`secrets`], [`kv`] and [`http`] by actions and sources; [`records`], [`tickets`], [`events`], [`mail`] and
//! [`workflows`] by actions. Nothing else is there: no files, no environment, no sockets, no clock but the host's.
//!
//! # Receiving
//!
//! What sources of many providers do alike (reading a body, checking a signature and its age, naming the event) stands
//! in [`inbound`]; what actions that call other systems do alike, in [`outbound`]; what transforms do alike that give a
//! message the shape of another system, in [`outgoing`].
//!
//! # Failing
//!
//! Return a [`Failure`]; `?` passes one of the host's on. A panic ends the call too: its message and its place are in the
//! plugin's log.

// The export macros name this crate by its outside name, also inside it.
extern crate self as hookwright_sdk;

pub mod addresses;
#[doc(hidden)]
pub mod bindings;
mod bounded;
pub mod dates;
mod event;
mod export;
mod failure;
mod host;
mod id;
pub mod inbound;
mod message;
pub mod outbound;
mod outcome;
pub mod outgoing;
mod parameters;
mod path;
mod plugin;
mod reception;
mod seek;
mod several;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod text;
pub mod time;

#[doc(hidden)]
pub use wit_bindgen::rt as runtime;

pub use hookwright_json as json;

#[doc(hidden)]
pub use export::glue;

pub use bounded::shorten;
pub use event::Event;
pub use failure::Failure;
pub use host::{
    clock, config, crypto, encoding, events, http, kv, log, mail, random, records, secrets, tickets, workflows,
};
pub use id::Id;
pub use message::{Message, Transformed};
pub use outcome::{Outcome, Verdict};
pub use parameters::present;
pub use path::{Missing, Path};
pub use plugin::{Action, Condition, Manifest, Plugin, Source, Transform};
pub use reception::{Answer, Draft, Intake, Reception, Refusal, Request};
pub use several::Several;
pub use text::Text;

/// The name under which a source's plugin finds the secret that the source was created with.
pub const SIGNING_SECRET: &str = "signing-secret";

/// Names with their values, in order. Names may be repeated.
pub type Pairs = Vec<(String, String)>;

/// The first value under `name`, in any letter case (RFC 9110, section 5.1).
#[must_use]
pub fn first<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}
