//! From a plugin's folder to a component.
//!
//! Everything that is made stands in `target/` of the folder: `sdk/` (what the plugin's source refers to), what the
//! compilers make, and `NAME.wasm`, the component.

mod c;
mod component;
mod exports;
mod go;
mod python;
mod rust;
mod script;
mod stamp;
mod webassembly;

use std::path::{Path, PathBuf};

use crate::error::AuthorError;
use crate::files;
use crate::language::{Kind, Language};
use crate::settings::Settings;
use crate::tools::Tools;

/// A finished component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The plugin's name.
    pub name: String,
    /// What it is for.
    pub kind: Kind,
    /// What it is written in.
    pub language: Language,
    /// Where the component stands.
    pub path: PathBuf,
    /// Whether anything was built: a folder in which nothing changed is left alone.
    pub changed: bool,
}

/// What one build works with.
pub(crate) struct Work<'a> {
    /// The plugin's folder, without links in its path.
    folder: PathBuf,
    settings: Settings,
    tools: &'a Tools,
    /// The folder for what is made, `target/` in the plugin's.
    target: PathBuf,
}

/// Builds the plugin of a folder with the tools of the user; see [`build_with`].
///
/// # Errors
/// See [`build_with`].
pub fn build(folder: &Path) -> Result<PathBuf, AuthorError> {
    build_with(folder, &Tools::of_the_user(), &mut |_| ()).map(|built| built.path)
}

/// Builds the plugin of a folder into `target/NAME.wasm`; `report` is told what takes time.
///
/// # Errors
/// The settings are wrong, a tool is missing (told with the command that installs it), the compiler complains (told with
/// what it said), or what it made is not what the plugin's world asks for.
pub fn build_with(folder: &Path, tools: &Tools, report: &mut dyn FnMut(&str)) -> Result<Built, AuthorError> {
    let settings = Settings::read(folder)?;
    let folder = folder.canonicalize().map_err(AuthorError::file(folder, "looking for the plugin"))?;
    let target = folder.join("target");
    let path = target.join(format!("{}.wasm", settings.name));
    let work = Work { folder, settings, tools, target };
    work.prepare()?;
    let inputs = stamp::of(&work)?;
    let stamp = work.target.join("inputs");
    let mut changed = false;
    if !path.is_file() || std::fs::read_to_string(&stamp).map_or(true, |last| last != inputs) {
        let Settings { name, language, .. } = &work.settings;
        report(&format!("Building {name} ({language})"));
        let component = work.component()?;
        files::write_bytes(&path, &component)?;
        files::write(&stamp, &inputs)?;
        changed = true;
    }
    let Settings { name, kind, language, .. } = work.settings;
    Ok(Built { name, kind, language, path, changed })
}

/// Writes what a plugin's source refers to, which is all that an editor needs.
///
/// # Errors
/// The settings are wrong or a file cannot be written.
pub(crate) fn prepare(folder: &Path) -> Result<(), AuthorError> {
    let settings = Settings::read(folder)?;
    let target = folder.join("target");
    Work { folder: folder.to_owned(), settings, tools: &Tools::of_the_user(), target }.prepare()
}

impl Work<'_> {
    /// Where the language's SDK stands.
    fn sdk(&self) -> PathBuf {
        self.target.join("sdk")
    }

    /// The source file to begin with.
    fn entry(&self) -> PathBuf {
        self.folder.join(self.settings.entry.trim_start_matches("./"))
    }

    fn prepare(&self) -> Result<(), AuthorError> {
        let language = self.settings.language;
        for (path, text) in files::under(files::SDKS, sdk_of(language)) {
            files::write(&self.sdk().join(path), text)?;
        }
        match language {
            Language::C | Language::Cpp => c::bindings(self),
            _ => Ok(()),
        }
    }

    fn component(&self) -> Result<Vec<u8>, AuthorError> {
        match self.settings.language {
            Language::Rust => rust::build(self),
            Language::JavaScript | Language::TypeScript => script::build(self),
            Language::Python => python::build(self),
            Language::Go => go::build(self),
            Language::C | Language::Cpp => c::build(self),
            Language::Zig => webassembly::zig(self),
            Language::AssemblyScript => webassembly::assemblyscript(self),
        }
    }
}

/// The folder of a language's SDK: TypeScript's is JavaScript's.
fn sdk_of(language: Language) -> &'static str {
    match language {
        Language::TypeScript => "javascript",
        other => other.name(),
    }
}
