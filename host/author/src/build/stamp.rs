//! A fingerprint of a component's inputs: unchanged inputs are not built again.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use super::{Work, sdk_of};
use crate::error::AuthorError;
use crate::files;

/// Folders of build output, dependencies and tests.
const PASSED_OVER: [&str; 5] = ["target", "node_modules", "__pycache__", "cases", ".git"];

/// What this program does with the inputs. It is raised when the same inputs make another component.
const REVISION: u32 = 2;

/// The fingerprint of all inputs of the component of `work`: the folder's files, the WIT, the SDK, the adapter,
/// and the versions of the tools.
///
/// # Errors
/// A file cannot be read.
pub(super) fn of(work: &Work<'_>) -> Result<String, AuthorError> {
    let mut hasher = DefaultHasher::new();
    let language = work.settings.language;
    for tool in language.needs() {
        tool.name().hash(&mut hasher);
    }
    env!("CARGO_PKG_VERSION").hash(&mut hasher);
    REVISION.hash(&mut hasher);
    files::WIT.hash(&mut hasher);
    files::ADAPTER.hash(&mut hasher);
    files::under(files::SDKS, sdk_of(language)).for_each(|file| file.hash(&mut hasher));
    let mut found = BTreeMap::new();
    gather(&work.folder, &work.folder, &mut found)?;
    found.hash(&mut hasher);
    Ok(format!("{:016x}", hasher.finish()))
}

fn gather(top: &Path, folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) -> Result<(), AuthorError> {
    let entries = std::fs::read_dir(folder).map_err(AuthorError::file(folder, "reading the plugin"))?;
    for entry in entries.flatten() {
        let path = entry.path();
        if PASSED_OVER.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        if path.is_dir() {
            gather(top, &path, found)?;
        } else {
            let name = path.strip_prefix(top).unwrap_or(&path).to_string_lossy().into_owned();
            found.insert(name, std::fs::read(&path).map_err(AuthorError::file(&path, "reading the plugin"))?);
        }
    }
    Ok(())
}
