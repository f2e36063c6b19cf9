//! From a plugin's folder to a component.
//!
//! All output is in `target/` of the folder: `sdk/` (what the plugin's source refers to), the
//! compilers' output, and `NAME.wasm`, the component.

mod c;
mod component;
mod exports;
mod go;
mod python;
mod rust;
mod script;
mod shapes;
mod stamp;
mod webassembly;
mod work;

use std::path::{Path, PathBuf};

use crate::error::AuthorError;
use crate::files;
use crate::language::{Kind, Language};
use crate::settings::Settings;
use crate::tools::Tools;
pub use work::Profile;
use work::{Work, sdk_of};

/// A finished component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The plugin's name.
    pub name: String,
    /// What it is for.
    pub kind: Kind,
    /// What it is written in.
    pub language: Language,
    /// The path of the component.
    pub path: PathBuf,
    /// Whether anything was built: an unchanged folder is not built again.
    pub changed: bool,
}

/// Builds the plugin of a folder with the tools of the user; see [`build_with`].
///
/// # Errors
/// See [`build_with`].
pub fn build(folder: &Path) -> Result<PathBuf, AuthorError> {
    build_with(folder, &Tools::of_the_user(), Profile::Release, &mut |_| ()).map(|built| built.path)
}

/// Builds the plugin of a folder into `target/NAME.wasm`, or `target/dev/NAME.wasm` for its author;
/// `report` gets progress messages.
///
/// # Errors
/// The settings are invalid, a tool is missing (with the command that installs it), the compiler fails (with
/// its output), or its result does not match the plugin's world.
pub fn build_with(
    folder: &Path,
    tools: &Tools,
    profile: Profile,
    report: &mut dyn FnMut(&str),
) -> Result<Built, AuthorError> {
    let settings = Settings::read(folder)?;
    let folder = folder.canonicalize().map_err(AuthorError::file(folder, "looking for the plugin"))?;
    let target = folder.join("target");
    let made = match profile {
        Profile::Dev => target.join("dev"),
        Profile::Release => target.clone(),
    };
    let path = made.join(format!("{}.wasm", settings.name));
    let work = Work { folder, settings, tools, target, profile };
    work.prepare()?;
    let inputs = stamp::of(&work)?;
    let stamp = made.join("inputs");
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
/// The settings are invalid or a file cannot be written.
pub(crate) fn prepare(folder: &Path) -> Result<(), AuthorError> {
    let settings = Settings::read(folder)?;
    let target = folder.join("target");
    let profile = Profile::default();
    Work { folder: folder.to_owned(), settings, tools: &Tools::of_the_user(), target, profile }.prepare()
}

impl Work<'_> {
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
