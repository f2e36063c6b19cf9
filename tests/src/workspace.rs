//! Where things stand: the binary under test, the components, and the sources that the tests read.

use std::path::{Path, PathBuf};

/// The root of the workspace.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The server's binary: `HOOKWRIGHT_BIN`, else the release build of this workspace.
///
/// # Panics
/// If there is none, with the command that makes it.
pub fn binary() -> PathBuf {
    let path = given("HOOKWRIGHT_BIN", "target/release/hookwright");
    assert!(path.is_file(), "there is no {}: build it with `cargo xtask build`", path.display());
    path
}

/// The bytes of a first-party component, such as `match`.
pub fn plugin(name: &str) -> Vec<u8> {
    component(&given("HOOKWRIGHT_PLUGINS", "target/plugins"), name)
}

/// The bytes of a component that is built from `examples/`.
pub fn example(name: &str) -> Vec<u8> {
    component(&given("HOOKWRIGHT_EXAMPLES", "target/plugins-examples"), name)
}

/// A file of the workspace as text.
pub fn source(path: &str) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The places where the server can be made to die, as its source lists them.
pub fn fault_points() -> Vec<String> {
    let source = source("host/store/src/fault.rs");
    let (_, list) = source.split_once("pub const FAULT_POINTS").expect("fault.rs lists FAULT_POINTS");
    let (list, _) = list.split_once("];").expect("the list ends");
    let points: Vec<String> = list.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    assert!(points.len() >= 10, "{points:?}");
    points
}

/// The folder for the caches of a user who builds plugins, which all tests share: what plugins in Rust stand on is compiled once
/// for all of them, as it is for a user.
///
/// # Panics
/// If there is no checkout.
pub fn user_cache() -> PathBuf {
    root().canonicalize().expect("the checkout is there").join("target/tmp/user-cache")
}

/// Compiled plugins that servers of these tests share, so that each of them starts fast.
pub(crate) fn compiled() -> PathBuf {
    root().join("target/tmp/compiled-plugins")
}

fn component(folder: &Path, name: &str) -> Vec<u8> {
    let path = folder.join(format!("{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}: build it with `cargo xtask test`", path.display()))
}

fn given(variable: &str, default: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| root().join(default), PathBuf::from)
}
