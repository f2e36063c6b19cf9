//! Creates plugins from templates.

use std::path::Path;

use crate::build;
use crate::error::AuthorError;
use crate::files;
use crate::language::{Kind, Language};
use crate::settings::check_name;

/// The placeholders in templates for the plugin's name, and for the name as an identifier.
const NAME: &str = "plugin-name";
const IDENTIFIER: &str = "plugin_name";

/// Writes a plugin of a kind and a language that can be built at once: its source, `hookwright.toml`, the WIT, a case for
/// `hookwright plugin test`, and a README.
///
/// # Errors
/// The name is invalid, there is no template, or the folder is not empty.
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
        text.replace("plugin-kind", kind.name())
            .replace("plugin-language", language.name())
            .replace("Plugin-Language", language.title())
    };
    // The files of every plugin, of the kind, and of the language.
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
        for (package, sources) in [("hookwright-sdk", files::RUST_SDK), ("hookwright-json", files::RUST_JSON)] {
            for (path, text) in sources {
                files::write(&folder.join("vendor").join(package).join("src").join(path), text)?;
            }
        }
    }
    build::prepare(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    /// Every file below a folder, with its text.
    fn gather(folder: &Path, found: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                gather(&path, found);
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                found.push((path.display().to_string(), text));
            }
        }
    }

    #[test]
    fn every_template_is_complete() {
        for language in Language::ALL {
            for kind in language.kinds() {
                let top = tempfile::tempdir().unwrap();
                let folder = top.path().join("new");
                scaffold("close-ticket", *kind, language, &folder).unwrap();
                let settings = Settings::read(&folder).unwrap();
                assert_eq!(
                    (settings.name.as_str(), settings.kind, settings.language),
                    ("close-ticket", *kind, language),
                    "{language} {kind}"
                );
                assert!(folder.join(&settings.entry).is_file(), "{language} {kind}: {}", settings.entry);
                assert!(crate::world::of(&folder, &settings).is_ok(), "{language} {kind}");
                let mut files = Vec::new();
                gather(&folder, &mut files);
                for (path, text) in &files {
                    for word in [NAME, IDENTIFIER, "plugin-kind", "plugin-language", "Plugin-Language"] {
                        assert!(!text.contains(word) || path.contains("/target/"), "{path} contains {word}");
                    }
                    assert!(!path.ends_with(".template"), "{path}");
                }
                let case = files.iter().find(|(path, _)| path.contains("/cases/")).unwrap();
                let case: serde_json::Value = serde_json::from_str(&case.1).unwrap();
                assert!(case["expect"].is_object(), "{language} {kind}");
            }
        }
    }

    #[test]
    fn existing_files_are_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("notes"), "mine").unwrap();
        let error = scaffold("x", Kind::Action, Language::C, folder.path()).unwrap_err();
        assert_eq!(error.code(), "folder.not_empty");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn missing_templates_and_invalid_names_are_rejected() {
        let folder = tempfile::tempdir().unwrap();
        let error = scaffold("x", Kind::Source, Language::Zig, folder.path()).unwrap_err();
        assert_eq!(error.code(), "template.not_found");
        let error = scaffold("X y", Kind::Action, Language::Zig, folder.path()).unwrap_err();
        assert_eq!(error.code(), "option.invalid");
    }

    #[test]
    fn the_rust_sdk_of_a_new_plugin_has_the_dependencies_of_the_sdk() {
        let names = |text: &str| -> Vec<String> {
            let lines = text.lines().skip_while(|line| *line != "[dependencies]");
            let names = lines.filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.to_owned());
            names.collect()
        };
        let template = include_str!("../templates/rust/every/vendor/hookwright-sdk/Cargo.toml.template");
        let sdk = include_str!("../../../plugins/sdk/Cargo.toml");
        assert_eq!(names(template), names(sdk));
    }
}
