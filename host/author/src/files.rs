//! The texts that scaffolds and builds write, as `(path, text)`.

use std::path::Path;

use crate::error::AuthorError;

include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// The files of `set` whose path begins with `folder`, without it.
pub(crate) fn under<'a>(
    set: &'a [(&'static str, &'static str)],
    folder: &'a str,
) -> impl Iterator<Item = (&'static str, &'static str)> + 'a {
    set.iter().filter_map(move |(path, text)| Some((path.strip_prefix(folder)?.strip_prefix('/')?, *text)))
}

/// The text of one file of `set`; empty if it does not exist, which a test rules out.
pub(crate) fn text(set: &[(&'static str, &'static str)], path: &str) -> &'static str {
    set.iter().find(|(name, _)| *name == path).map_or("", |(_, text)| text)
}

/// Writes a string unless the file already has it, so that its modification time does not change.
///
/// # Errors
/// The folder or the file cannot be written.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), AuthorError> {
    write_bytes(path, text.as_bytes()).map(|_| ())
}

/// Writes bytes atomically unless the file already has them; returns whether it did.
///
/// # Errors
/// The folder or the file cannot be written.
pub(crate) fn write_bytes(path: &Path, bytes: &[u8]) -> Result<bool, AuthorError> {
    if std::fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(false);
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(AuthorError::file(folder, "making a folder"))?;
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    std::fs::write(&beside, bytes).map_err(AuthorError::file(path, "writing it"))?;
    std::fs::rename(&beside, path).map_err(AuthorError::file(path, "renaming it"))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_is_requested_by_name_exists() {
        assert!(text(ADAPTER, "preview1.wat").contains("(module"));
        assert!(text(ADAPTER, "world.wit").contains("world preview1"));
        assert_eq!(WIT.len(), 4);
        assert!(RUST_SDK.iter().any(|(path, _)| *path == "lib.rs"));
    }
}
