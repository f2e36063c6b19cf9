//! The definition of a capability, and helpers that all capabilities share.

use hookwright_model::{Failure, Kind, Workbench};
use wasmtime::component::Linker;

use crate::state::State;

/// For harmless capabilities.
pub(super) const EVERY_KIND: &[Kind] = &[Kind::Condition, Kind::Action, Kind::Transform, Kind::Source];

/// A capability of plugins.
pub(crate) struct Capability {
    /// The name of its interface.
    pub(crate) interface: &'static str,
    /// The kinds of plugin that may import it.
    pub(crate) kinds: &'static [Kind],
    /// Its linking, for each version of the WIT package that has it.
    pub(crate) links: &'static [Link],
}

impl Capability {
    /// Whether it is harmless, so that every plugin has it without a grant.
    pub(crate) fn is_basic(&self) -> bool {
        self.kinds.len() == EVERY_KIND.len()
    }
}

/// One version of a capability.
pub(crate) struct Link {
    /// The version of the WIT package.
    pub(crate) version: &'static str,
    /// Adds the functions to a linker.
    pub(crate) add: fn(&mut Linker<State>) -> wasmtime::Result<()>,
}

/// The result of every host function: the plugin handles the inner failure; the outer error ends the call.
pub(super) type Host<T, F> = wasmtime::Result<Result<T, F>>;

impl State {
    /// The workbench of this call, if the plugin may use the capability.
    pub(super) fn changing(&mut self, capability: &Capability) -> Result<&mut Workbench, Failure> {
        self.call.access.interface(capability.interface)?;
        self.call.workbench.as_mut().ok_or_else(|| {
            let message = "nothing can be read or changed in this call: it is not made for a step of a run";
            Failure::permanent("capability.unavailable", message)
        })
    }
}

/// `text`, truncated for a message.
pub(super) fn shown(text: &str) -> String {
    crate::cut::cut(text, 80)
}

/// Parses JSON that a plugin passed as `what`.
pub(super) fn parameters(what: &str, json: &str) -> Result<serde_json::Value, Failure> {
    hookwright_model::json_span(json.as_bytes(), what)
        .map_err(|mistake| mistake.to_string())
        .and_then(|()| serde_json::from_str(json).map_err(|error| format!("{what}: {error}")))
        .map_err(|message| Failure::permanent(Failure::PARAMETERS_INVALID, message))
}
