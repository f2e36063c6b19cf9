//! Plugins: WebAssembly components, each call of which runs in a fresh instance and within limits.
//!
//! [`Engine`] compiles and runs them, [`Registry`] finds them by name, [`Plugin`] is one that can be called, [`folder`]
//! loads a directory of them. Capabilities are linked according to a plugin's imports: one file in `capability` each.
//! What differs between released versions of the WIT package is in one folder a version.
//!
//! This is the only crate that uses wasmtime, and none of its types are public.

mod access;
mod blocking;
mod cache;
mod call;
mod capability;
mod compile;
mod content;
#[cfg(test)]
mod cost;
mod cut;
mod engine;
mod error;
mod exchange;
mod expansion;
pub mod folder;
mod grant;
mod guest;
mod hashed;
mod inspect;
mod limits;
mod load;
mod manifest;
mod memory;
mod meter;
mod options;
mod outbound;
mod output;
mod plugin;
mod registry;
mod retained;
mod schema;
mod secrets;
mod state;
mod stop;
mod tries;
mod trust;
mod v0_1_0;
mod versions;
mod warm;

/// Log directives that prevent the code generator and the engine from flooding a log at `debug`.
pub const ENGINE_LOG_CAPS: &str = "cranelift_codegen=warn,cranelift_frontend=warn,cranelift_wasm=warn,regalloc2=warn,\
    wasmtime=warn,wasmtime_environ=warn,wasmtime_internal_cranelift=warn";

pub use access::{Access, remedy};
pub use call::{Call, Called, Workflows};
pub use capability::check_interfaces;
pub use compile::{CompilerSettings, compile_component};
pub use content::{ACCEPTED_CODINGS, ContentError, decode as decode_content, is_encoded};
pub use engine::Engine;
pub use error::{EngineError, LoadError};
pub use exchange::{Answer, Intake, Message, Pairs, Reception, SourceDraft, SourceRequest, Transformed};
pub use hashed::HashedComponent;
pub use memory::Held;
pub use meter::{Meter, Usage};
pub use options::{CompilerProcess, EngineOptions};
pub use outbound::{Allowed, Outbound, OutboundRequest, OutboundResponse};
pub use plugin::Plugin;
pub use registry::{FailedVersion, Listed, Registry, Scope, check_name};
pub use retained::Retained;
pub use schema::{DataSchema, InputSchema, NameOf};
pub use secrets::Secrets;
pub use tries::Tries;
pub use trust::{Trust, signed_text};
pub use warm::Shared;
