//! What a capability is, and what the files of all of them share.

use hookwright_model::{Failure, Kind, Workbench};
use wasmtime::component::Linker;

use crate::state::State;

/// For capabilities that harm nobody.
pub(super) const EVERY_KIND: &[Kind] = &[Kind::Condition, Kind::Action, Kind::Transform, Kind::Source];

/// Something that a plugin may be given.
pub(crate) struct Capability {
    /// The interface that it is imported by.
    pub(crate) interface: &'static str,
    /// Which kinds of plugin get it.
    pub(crate) kinds: &'static [Kind],
    /// How it is linked, for each version of the WIT package that has it.
    pub(crate) links: &'static [Link],
}

impl Capability {
    /// Whether it harms nobody, so that every plugin has it without being granted it.
    pub(crate) fn is_basic(&self) -> bool {
        self.kinds.len() == EVERY_KIND.len()
    }
}

/// One version of a capability.
pub(crate) struct Link {
    /// The version of the WIT package.
    pub(crate) version: &'static str,
    /// Puts the functions into a linker.
    pub(crate) add: fn(&mut Linker<State>) -> wasmtime::Result<()>,
}

/// What every function returns that can be called: the inner failure is the plugin's to handle, the outer error ends
/// the call.
pub(super) type Host<T, F> = wasmtime::Result<Result<T, F>>;

impl State {
    /// Where this call's changes are made, if the plugin may use the capability.
    pub(super) fn changing(&mut self, capability: &Capability) -> Result<&mut Workbench, Failure> {
        self.call.access.interface(capability.interface)?;
        self.call.workbench.as_mut().ok_or_else(|| {
            let message = "nothing can be read or changed in this call: it is not made for a step of a run";
            Failure::permanent("capability.unavailable", message)
        })
    }
}

/// `text` cut for a message.
pub(super) fn shown(text: &str) -> String {
    crate::cut::cut(text, 80)
}

/// Reads JSON that a plugin handed over as `what`.
pub(super) fn parameters(what: &str, json: &str) -> Result<serde_json::Value, Failure> {
    hookwright_model::json_span(json.as_bytes(), what)
        .map_err(|mistake| mistake.to_string())
        .and_then(|()| serde_json::from_str(json).map_err(|error| format!("{what}: {error}")))
        .map_err(|message| Failure::permanent(Failure::PARAMETERS_INVALID, message))
}
