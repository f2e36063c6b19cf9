//! Components as files: the path, the signatures, the cases.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use hookwright_author::Profile;
use hookwright_cases::{CaseFile, FOLDER};

use super::author;
use crate::failed::{Failed, at, problem};

/// A component that was read.
pub(crate) struct Artifact {
    /// The file.
    pub(crate) path: PathBuf,
    /// What is in it.
    pub(crate) bytes: Bytes,
    /// The folder of the plugin that it was built from, if it was.
    folder: Option<PathBuf>,
}

impl Artifact {
    /// Reads a component, or builds it if a plugin's folder is given.
    pub(crate) fn of(given: &Path) -> Result<Self, Failed> {
        Self::built(given, Profile::Release)
    }

    /// The same for a profile.
    pub(crate) fn built(given: &Path, profile: Profile) -> Result<Self, Failed> {
        if given.is_dir() {
            let path = author::build(given, profile)?;
            return Ok(Self { folder: Some(given.to_owned()), ..Self::read(&path)? });
        }
        Self::read(given)
    }

    /// Reads a component.
    pub(crate) fn read(path: &Path) -> Result<Self, Failed> {
        let bytes = std::fs::read(path).map_err(|error| at(path, &error))?;
        Ok(Self { path: path.to_owned(), bytes: bytes.into(), folder: None })
    }

    /// The name that the plugin gets: that of its file.
    pub(crate) fn name(&self) -> Result<String, Failed> {
        let stem = self.path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        super::name(&stem).map_err(|_| {
            let message = format!("the file {} does not name a plugin: give a name with --name", self.path.display());
            problem("plugin.name_invalid", message)
        })
    }

    /// The signatures in the file beside it, one a line.
    pub(crate) fn signatures(&self) -> Result<Vec<String>, Failed> {
        let path = signature_path(&self.path);
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(at(&path, &error)),
        }
    }

    /// The folder with its cases: in the plugin's folder, or beside the component, or beside the `target` that it is in.
    pub(crate) fn cases_folder(&self) -> Option<PathBuf> {
        let beside = self.path.parent().map(Path::to_owned);
        let made =
            beside.as_deref().map(|folder| folder.parent().filter(|_| folder.ends_with("dev")).unwrap_or(folder));
        let above = made.filter(|folder| folder.ends_with("target")).and_then(Path::parent);
        let places = [self.folder.as_deref(), beside.as_deref(), above];
        places.into_iter().flatten().map(|folder| folder.join(FOLDER)).find(|folder| folder.is_dir())
    }

    /// Its cases.
    pub(crate) fn cases(&self, given: Option<&Path>) -> Result<Vec<CaseFile>, Failed> {
        let folder = given.map(Path::to_owned).or_else(|| self.cases_folder()).ok_or_else(|| {
            let message =
                format!("there is no folder `{FOLDER}` beside {}: name one with --cases", self.path.display());
            problem("case.unreadable", message)
        })?;
        Ok(hookwright_cases::read(&folder)?)
    }
}

/// The file with the signatures of a component.
pub(crate) fn signature_path(component: &Path) -> PathBuf {
    let mut path = component.as_os_str().to_owned();
    path.push(".sig");
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_and_signatures_are_found_beside_the_component() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir_all(root.join("target")).unwrap();
        let path = root.join("target/my-plugin.wasm");
        std::fs::write(&path, "x").unwrap();
        let artifact = Artifact::read(&path).unwrap();
        assert_eq!(artifact.name().unwrap(), "my-plugin");
        assert!(artifact.signatures().unwrap().is_empty());
        assert!(artifact.cases_folder().is_none());
        std::fs::create_dir(root.join("cases")).unwrap();
        assert_eq!(artifact.cases_folder().unwrap(), root.join("cases"));
        std::fs::write(root.join("target/my-plugin.wasm.sig"), "AAAA\n\n BBBB \n").unwrap();
        assert_eq!(artifact.signatures().unwrap(), ["AAAA", "BBBB"]);
        std::fs::write(root.join("My Plugin.wasm"), "x").unwrap();
        assert!(Artifact::read(&root.join("My Plugin.wasm")).unwrap().name().is_err());
        assert!(Artifact::read(&root.join("none.wasm")).err().unwrap().to_string().contains("none.wasm"));
    }
}
