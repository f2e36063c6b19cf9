//! Rust: with the toolchain that the server itself is built with.

use std::fs::File;
use std::path::Path;

use hookwright_guests::{Request, Toolchain, build_workspace};

use super::Work;
use crate::error::AuthorError;

/// Compiles the crate in the plugin's folder.
///
/// # Errors
/// No toolchain here builds WebAssembly, or cargo complains, on standard error.
pub(super) fn build(work: &Work<'_>) -> Result<Vec<u8>, AuthorError> {
    let manifest = work.folder.join("./Cargo.toml");
    let text = std::fs::read_to_string(&manifest).map_err(AuthorError::file(&manifest, "reading the crate"))?;
    let wrong = |reason: String| AuthorError::Settings { path: manifest.clone(), reason };
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| wrong(error.to_string()))?;
    let package = table
        .get("package")
        .and_then(|package| package.get("name")?.as_str())
        .ok_or_else(|| wrong("it has no package name: write `name` under `[package]`".to_owned()))?;
    let toolchain = Toolchain::find()?;
    let out = work.target.join("crate");
    // One folder for all plugins of the user: what they stand on is compiled once.
    let target = work.tools.root().join("rust");
    let _building = lock(&target)?;
    let request = Request {
        workspace: &work.folder,
        target: &target,
        out: &out,
        packages: &[package],
        locked: is_ci() && has_lock_file(&work.folder),
        names: work.keeps_names(),
    };
    let built = build_workspace(&toolchain, &request)?;
    let wanted = package.strip_prefix("hookwright-").unwrap_or(package);
    let path = built.into_iter().find(|one| one.name == wanted).map(|one| one.path);
    let path = path.ok_or_else(|| wrong("its library is not a `cdylib`: add crate-type under `[lib]`".to_owned()))?;
    std::fs::read(&path).map_err(AuthorError::file(&path, "reading the finished component"))
}

/// Whether this is a build of continuous integration, where the lock file is what counts: nothing that is not in it is
/// built. Elsewhere a new version or dependency in `Cargo.toml` finds its way into it.
fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false" && value != "0")
}

/// Whether there is a lock file to hold the build to. A plugin that was just created has none, and its first build writes it,
/// in continuous integration too.
fn has_lock_file(folder: &Path) -> bool {
    folder.ancestors().any(|folder| folder.join("Cargo.lock").is_file())
}

/// Keeps others from building in the folder until it is dropped: two plugins may have the same name.
fn lock(target: &Path) -> Result<File, AuthorError> {
    std::fs::create_dir_all(target).map_err(AuthorError::file(target, "making a folder"))?;
    let path = target.join("building");
    let file = File::create(&path).map_err(AuthorError::file(&path, "waiting for another build"))?;
    file.lock().map_err(AuthorError::file(&path, "waiting for another build"))?;
    Ok(file)
}
