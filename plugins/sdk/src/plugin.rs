//! The traits that a plugin implements: what it says of itself, and the one function of its kind.

use serde::de::DeserializeOwned;

use crate::{Event, Failure, Message, Outcome, Reception, Request, Transformed, Verdict};

/// What a plugin says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manifest {
    /// The name that automations use: lower-case letters, digits and hyphens.
    pub name: &'static str,
    /// Semantic version, best `env!("CARGO_PKG_VERSION")`.
    pub version: &'static str,
    /// One line for lists.
    pub summary: &'static str,
    /// JSON Schema (2020-12) of the parameters, as text. The host checks parameters against it before it calls.
    pub parameters: &'static str,
    /// An open list: `("documentation", URL)`, `("icon", NAME)`, `("instance", "warm")`.
    pub hints: &'static [(&'static str, &'static str)],
}

/// What every plugin has, whatever its kind.
pub trait Plugin {
    /// What the plugin says of itself.
    const MANIFEST: Manifest;

    /// What an automation gives under `with`. Use [`serde_json::Value`] or a map where anything goes.
    ///
    /// A value that cannot be read is answered for the plugin, with code `parameters.invalid` and the field's name.
    type Parameters: DeserializeOwned;
}

/// Decides whether an event concerns an automation.
pub trait Condition: Plugin {
    /// Says yes or no, and what was compared with what.
    ///
    /// # Errors
    /// The question makes no sense with these parameters. That the event lacks something is a no, not an error.
    fn evaluate(event: &Event, parameters: Self::Parameters) -> Result<Verdict, Failure>;
}

/// Does something about an event.
///
/// Changes that it asks the host for commit together with the step, or not at all.
pub trait Action: Plugin {
    /// Does the work.
    ///
    /// # Errors
    /// What kept it from being done, and whether trying again can help.
    fn run(event: &Event, parameters: Self::Parameters) -> Result<Outcome, Failure>;
}

/// Gives a message another shape: one that leaves the server, or the payload between two steps.
pub trait Transform: Plugin {
    /// Answers the message to send, or why it is not wanted.
    ///
    /// # Errors
    /// What kept it from being transformed, and whether trying again can help.
    fn apply(event: &Event, message: Message, parameters: Self::Parameters) -> Result<Transformed, Failure>;
}

/// Receives a provider's HTTP requests.
pub trait Source: Plugin {
    /// Verifies the request, and says which events it brings or why it is refused.
    ///
    /// # Errors
    /// What kept it from being looked at, such as a setting or a secret that the operator has not given.
    fn receive(request: &Request, parameters: Self::Parameters) -> Result<Reception, Failure>;
}
