//! Reads the cases of a folder.

use std::path::{Path, PathBuf};

use hookwright_model::parse_json;

use crate::case::Case;
use crate::error::CaseError;

/// The name of the folder with a plugin's cases.
pub const FOLDER: &str = "cases";

/// A case and the file that it came from.
#[derive(Debug)]
pub struct CaseFile {
    /// The file's name without `.json`, the name of the case.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// The case, or what is wrong with the file.
    pub case: Result<Case, CaseError>,
}

/// Reads every `*.json` in a folder, in the order of the names. A file that is not a valid case is returned with its
/// error.
///
/// # Errors
/// The folder cannot be read, or has no cases.
pub fn read(folder: &Path) -> Result<Vec<CaseFile>, CaseError> {
    let unreadable = |reason: String| CaseError::Unreadable { path: folder.to_owned(), reason };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| unreadable(error.to_string()))? {
        let path = entry.map_err(|error| unreadable(error.to_string()))?.path();
        if path.extension().is_some_and(|extension| extension == "json") && path.is_file() {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(unreadable("it has no cases: write one, such as `does-what-it-should.json`".to_owned()));
    }
    paths.sort();
    Ok(paths.into_iter().map(|path| read_one(&path)).collect())
}

/// Reads one file.
pub fn read_one(path: &Path) -> CaseFile {
    let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    CaseFile { name, case: case(path), path: path.to_owned() }
}

fn case(path: &Path) -> Result<Case, CaseError> {
    let bytes = std::fs::read(path)
        .map_err(|error| CaseError::Unreadable { path: path.to_owned(), reason: error.to_string() })?;
    let invalid = |reason: String| CaseError::Invalid { path: path.to_owned(), reason };
    let case: Case = parse_json(&bytes).map_err(|mistake| invalid(mistake.to_string()))?;
    case.check().map_err(|mistakes| invalid(mistakes.to_string()))?;
    Ok(case)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read_in_order_including_invalid_files() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()).unwrap_err().code(), "case.unreadable");
        for (name, text) in [
            ("b.json", "{"),
            ("a.json", "{\"expect\":{\"done\":1}}"),
            ("c.txt", "-"),
            ("c.json", "{\"expect\":{\"x\":1}}"),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let files = read(folder.path()).unwrap();
        let shown: Vec<(&str, Option<&str>)> =
            files.iter().map(|file| (file.name.as_str(), file.case.as_ref().err().map(CaseError::code))).collect();
        assert_eq!(shown, [("a", None), ("b", Some("case.invalid")), ("c", Some("case.invalid"))]);
        assert!(read(&folder.path().join("none")).unwrap_err().to_string().contains("none"));
    }
}
