//! Stops a build at its start on a machine that cannot build WebAssembly plugins. All of it happens in `build.rs`.
//!
//! The server carries the first-party plugins inside, so a machine without a WebAssembly toolchain cannot build it. That
//! must not come out after ten minutes of compiling what the server stands on. The crates under `weights/` see to it.
