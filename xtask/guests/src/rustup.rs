//! The active toolchain: does its compiler have the target's standard library, and can rustup add it?

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::TARGET;
use crate::command::{clean, on_path, run_bounded};

/// The timeout for rustup to fetch the target (about 20 MB).
const RUSTUP_LIMIT: Duration = Duration::from_secs(120);

/// The timeout for a compiler to print the path of its libraries.
const PRINT_LIMIT: Duration = Duration::from_secs(30);

/// The compiler of the calling cargo, or the one on PATH.
fn active_rustc() -> OsString {
    std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())
}

/// The cargo that belongs to the active compiler.
pub(crate) fn active_cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Where the active compiler keeps the target's standard library, if it has it.
///
/// # Errors
/// A one-line reason why it cannot be used.
pub(crate) fn installed() -> Result<PathBuf, String> {
    let rustc = active_rustc();
    let ended = run_bounded(clean(&rustc).args(["--print", "target-libdir", "--target", TARGET]), PRINT_LIMIT)?;
    if !ended.status.success() {
        return Err(format!("{} does not know the target {TARGET}: {}", rustc.to_string_lossy(), ended.last_line()));
    }
    let folder = PathBuf::from(ended.output.lines().next().unwrap_or_default().trim());
    if has_core(&folder) {
        return Ok(folder);
    }
    Err(format!("the active rustc has no standard library for {TARGET} (nothing in {})", folder.display()))
}

/// A folder may exist and be empty, so the library itself is looked for.
fn has_core(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| {
        entry.file_name().to_str().is_some_and(|name| name.starts_with("libcore-") && name.ends_with(".rlib"))
    })
}

/// Lets rustup add the target to the active toolchain.
///
/// # Errors
/// A one-line reason: rustup is missing or failed.
pub(crate) fn add_target() -> Result<(), String> {
    let rustup = on_path("rustup").ok_or("there is no rustup on PATH")?;
    let ended = run_bounded(clean(rustup).args(["target", "add", TARGET]), RUSTUP_LIMIT)?;
    if ended.status.success() {
        return Ok(());
    }
    Err(format!("rustup could not add {TARGET}: {}", ended.last_line()))
}
