//! Finds a WebAssembly toolchain on this machine and builds plugins with it.
//!
//! [`Toolchain::find`] only looks; [`Toolchain::find_or_install`] installs what is missing. [`build`] compiles the
//! first-party plugins, [`build_workspace`] any other cargo workspace of plugins, and [`js`] a plugin written in
//! JavaScript. Each writes finished components, `NAME.wasm`, which the server loads as they are.
//!
//! The server's build script calls this crate too, so it has few dependencies, prints nothing by itself, and starts cargo
//! without the variables of the cargo that runs it.

mod command;
mod component;
mod debian;
mod error;
pub mod js;
mod room;
mod rustup;
mod toolchain;
mod workspace;

pub use component::{Component, describe, without_debugging};
pub use error::{BuildError, MissingTarget};
pub use room::with_room;
pub use toolchain::Toolchain;
pub use workspace::{Built, Request, build, build_workspace};

/// The one target that plugins in Rust are built for. Its standard library needs no libc, so the finished component
/// imports what the plugin calls and nothing else: no WASI.
pub const TARGET: &str = "wasm32-unknown-unknown";
