//! Rust: with the toolchain that the server itself is built with.

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
        .ok_or_else(|| wrong("it names no package: write `name` under `[package]`".to_owned()))?;
    let toolchain = Toolchain::find()?;
    let out = work.target.join("crate");
    let request =
        Request { workspace: &work.folder, target: &work.target.join("guest"), out: &out, packages: &[package] };
    let built = build_workspace(&toolchain, &request)?;
    let wanted = package.strip_prefix("hookwright-").unwrap_or(package);
    let path = built.into_iter().find(|one| one.name == wanted).map(|one| one.path);
    let path = path.ok_or_else(|| wrong("its library is no `cdylib`: add crate-type under `[lib]`".to_owned()))?;
    std::fs::read(&path).map_err(AuthorError::file(&path, "reading the finished component"))
}
