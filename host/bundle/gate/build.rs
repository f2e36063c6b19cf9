//! Looks for a WebAssembly toolchain. If there is none, fails with the command that installs it.

use std::path::Path;

// Includes files of `hookwright-guests`, which cannot be a dependency because it would be compiled too late.
#[path = "../../../xtask/guests/src/command.rs"]
#[allow(dead_code, reason = "a part of it installs and builds, which is not done here")]
mod command;
#[path = "../../../xtask/guests/src/debian.rs"]
#[allow(dead_code, reason = "a part of it installs, which is not done here")]
mod debian;
#[path = "../../../xtask/guests/src/rustup.rs"]
#[allow(dead_code, reason = "a part of it installs, which is not done here")]
mod rustup;

/// The name that those files have for the target of plugins.
const TARGET: &str = "wasm32-unknown-unknown";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for file in ["command.rs", "debian.rs", "rustup.rs"] {
        println!("cargo::rerun-if-changed={}", Path::new("../../../xtask/guests/src").join(file).display());
    }
    let Err(active) = rustup::installed() else { return };
    let Err(debian) = debian::Debian::find() else { return };
    println!(
        "cargo::error=Hookwright carries plugins that are compiled to WebAssembly, and no toolchain here can do that: \
         {active}; {debian}. To install one, run: cargo xtask setup"
    );
}
