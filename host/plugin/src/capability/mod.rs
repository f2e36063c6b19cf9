//! What a plugin may reach beyond its own memory. Each capability is one file here: what it does, which kinds of plugin
//! get it, and how it is linked in each version of the WIT package. To add one, write its file and list it in [`ALL`].

mod clock;
mod config;
mod crypto;
mod encoding;
mod events;
mod http;
mod log;
mod random;
mod tickets;

use hookwright_model::Kind;
use wasmtime::component::Linker;

use crate::state::State;

/// Every capability there is.
pub(crate) const ALL: [&Capability; 9] = [
    &log::CAPABILITY,
    &clock::CAPABILITY,
    &random::CAPABILITY,
    &config::CAPABILITY,
    &crypto::CAPABILITY,
    &encoding::CAPABILITY,
    &tickets::CAPABILITY,
    &events::CAPABILITY,
    &http::CAPABILITY,
];

/// For capabilities that harm nobody.
const EVERY_KIND: &[Kind] = &[Kind::Condition, Kind::Action, Kind::Transform, Kind::Source];

/// Something that a plugin may be given.
pub(crate) struct Capability {
    /// The interface that it is imported by.
    pub(crate) interface: &'static str,
    /// Which kinds of plugin get it.
    pub(crate) kinds: &'static [Kind],
    /// How it is linked, for each version of the WIT package that has it.
    pub(crate) links: &'static [Link],
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
type Host<T, F> = wasmtime::Result<Result<T, F>>;

/// `text` cut for a message.
fn shown(text: &str) -> String {
    crate::output::cut(text, 80)
}

/// Reads JSON that a plugin handed over as `what`.
fn parameters(what: &str, json: &str) -> Result<serde_json::Value, hookwright_model::Failure> {
    hookwright_model::json_span(json.as_bytes(), what)
        .map_err(|mistake| mistake.to_string())
        .and_then(|()| serde_json::from_str(json).map_err(|error| format!("{what}: {error}")))
        .map_err(|message| hookwright_model::Failure::permanent("parameters.invalid", message))
}
