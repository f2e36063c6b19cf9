//! The traits that a plugin implements: what it says of itself, and the one function of its kind.

use serde::de::DeserializeOwned;

use crate::{Event, Failure, Message, Outcome, Reception, Request, Transformed, Verdict};

/// The manifest of a plugin.
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

/// The interface of every plugin.
pub trait Plugin {
    /// The plugin's manifest.
    const MANIFEST: Manifest;

    /// The parameters: an automation's `with`. Use [`serde_json::Value`] or a map if any are accepted.
    ///
    /// A value that cannot be read is answered for the plugin, with code `parameters.invalid` and the field's name.
    type Parameters: DeserializeOwned;
}

/// Decides whether an event concerns an automation.
pub trait Condition: Plugin {
    /// Returns whether the condition is true, and the compared values.
    ///
    /// # Errors
    /// The parameters are not valid. A value that the event lacks makes the condition false; it is not an error.
    fn evaluate(event: &Event, parameters: Self::Parameters) -> Result<Verdict, Failure>;
}

/// Does something about an event.
///
/// The changes that it requests commit together with the step, or not at all.
pub trait Action: Plugin {
    /// Does the work.
    ///
    /// # Errors
    /// Why it failed, and whether a retry can help.
    fn run(event: &Event, parameters: Self::Parameters) -> Result<Outcome, Failure>;
}

/// Gives a message another shape: one that leaves the server, or the payload between two steps.
pub trait Transform: Plugin {
    /// Returns the message to send, or why it is dropped.
    ///
    /// # Errors
    /// Why the transform failed, and whether a retry can help.
    fn apply(event: &Event, message: Message, parameters: Self::Parameters) -> Result<Transformed, Failure>;
}

/// Receives a provider's HTTP requests.
pub trait Source: Plugin {
    /// Verifies the request, and returns its events, or why it is refused.
    ///
    /// # Errors
    /// Why the condition could not be evaluated, such as a missing setting or secret.
    fn receive(request: &Request, parameters: Self::Parameters) -> Result<Reception, Failure>;
}
