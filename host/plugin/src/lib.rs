//! Plugins: WebAssembly components that decide and act, each call in a fresh instance and within limits.
//!
//! [`Engine`] compiles and runs them, [`Registry`] knows which name stands for which, [`Plugin`] is one that can be
//! called, [`folder`] keeps a directory of them in step. What a plugin may reach is linked by what it imports: one file
//! in `capability` each. What differs between released versions of the WIT package stands in one folder a version.
//!
//! This is the only room that names wasmtime, and nothing of it shows outside.

mod access;
mod cache;
mod capability;
#[cfg(test)]
mod cost;
mod engine;
mod error;
mod exchange;
pub mod folder;
mod grant;
mod guest;
mod inspect;
mod load;
mod manifest;
mod meter;
mod options;
mod output;
mod plugin;
mod registry;
mod schema;
mod state;
mod stop;
mod trust;
mod v0_1_0;
mod versions;
mod warm;

pub use access::{Access, remedy};
pub use engine::Engine;
pub use error::{EngineError, LoadError};
pub use exchange::{
    Allowed, Answer, Call, Called, Intake, Message, Outbound, OutboundRequest, OutboundResponse, Pairs, Reception,
    Secrets, SourceDraft, SourceRequest, Transformed, Usage, Workflows,
};
pub use meter::Meter;
pub use options::EngineOptions;
pub use plugin::Plugin;
pub use registry::{FailedVersion, Listed, Registry, Scope, check_name};
pub use schema::{DataSchema, InputSchema};
pub use trust::{Trust, signed_text};
