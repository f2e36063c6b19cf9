//! Fails a build at its start on a machine that cannot build WebAssembly plugins. All of it happens in `build.rs`.
//!
//! The server contains the first-party plugins, so a machine without a WebAssembly toolchain cannot build it. The build
//! should fail before the server's dependencies are compiled, not ten minutes later. The crates under `weights/` ensure
//! that.
