//! A plugin to begin with.

use std::path::Path;

use crate::build;
use crate::error::AuthorError;
use crate::files;
use crate::language::{Kind, Language};
use crate::settings::check_name;

/// What stands in templates for the plugin's name, and for the name as an identifier.
const NAME: &str = "plugin-name";
const IDENTIFIER: &str = "plugin_name";

/// Writes a plugin of a kind and a language that builds at once: its source, `hookwright.toml`, the WIT, a case for
/// `hookwright plugin test`, and a page that says what to do with it.
///
/// # Errors
/// The name is none, there is no template, or the folder is not empty.
pub fn scaffold(name: &str, kind: Kind, language: Language, folder: &Path) -> Result<(), AuthorError> {
    check_name(name)?;
    if !language.kinds().contains(&kind) {
        return Err(AuthorError::NoTemplate { kind: kind.name(), language: language.title() });
    }
    if std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) || folder.is_file() {
        return Err(AuthorError::NotEmpty { folder: folder.into() });
    }
    let filled = |text: &str| {
        let text = text.replace(NAME, name).replace(IDENTIFIER, &name.replace('-', "_"));
        text.replace("plugin-kind", kind.name()).replace("plugin-language", language.name()).replace("Plugin-Language", language.title())
    };
    // What every plugin has, what every one of the kind has, and what the language's own has.
    let own = format!("{}/{}", language.name(), kind.name());
    let shared = format!("{}/every", language.name());
    let of_kind = format!("every/{}", kind.name());
    for part in ["every/every", &of_kind, &shared, &own] {
        for (path, text) in files::under(files::TEMPLATES, part) {
            let path = path.strip_suffix(".template").unwrap_or(path);
            files::write(&folder.join(path), &filled(text))?;
        }
    }
    for (path, text) in files::WIT {
        files::write(&folder.join("wit/0.1.0").join(path), text)?;
    }
    if language == Language::Rust {
        for (path, text) in files::RUST_SDK {
            files::write(&folder.join("vendor/hookwright-sdk/src").join(path), text)?;
        }
    }
    build::prepare(folder)
}
