//! `hookwright.toml`: what a plugin's folder holds.

use std::path::{Component, Path};

use serde::Deserialize;

use crate::error::AuthorError;
use crate::language::{Kind, Language};

/// The file's name.
pub(crate) const SETTINGS_FILE: &str = "./hookwright.toml";

/// Characters of a plugin's name.
const MAX_NAME_LENGTH: usize = 64;

/// What a plugin's folder holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The plugin's name, which the finished component's file has too.
    pub name: String,
    /// What it is for.
    pub kind: Kind,
    /// What it is written in.
    pub language: Language,
    /// The WIT world it is built for: one of the package `hookwright:plugin`, or one of `wit/world.wit` in the folder.
    pub world: String,
    /// The source file to begin with, from the folder.
    pub entry: String,
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSettings {
    name: String,
    kind: String,
    language: String,
    world: Option<String>,
    entry: Option<String>,
}

impl Settings {
    /// Reads the settings of a folder.
    ///
    /// # Errors
    /// There is no such file, it is not TOML, or one of its fields is missing, unknown or wrong.
    pub fn read(folder: &Path) -> Result<Self, AuthorError> {
        let path = folder.join(SETTINGS_FILE.trim_start_matches("./"));
        let wrong = |reason: String| AuthorError::Settings { path: path.clone(), reason };
        let text = std::fs::read_to_string(&path).map_err(|error| {
            let hint = "start one with `hookwright plugin new`, or change to a plugin's folder";
            wrong(format!("{error}: {hint}"))
        })?;
        let written: RawSettings = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        check_name(&written.name)?;
        let (kind, language) = (Kind::parse(&written.kind)?, Language::parse(&written.language)?);
        let entry = written.entry.unwrap_or_else(|| default_entry(language).to_owned());
        let inside =
            Path::new(&entry).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !inside {
            return Err(wrong(format!("`entry` is `{entry}`: name a file inside of the folder")));
        }
        let world = written.world.unwrap_or_else(|| format!("{}-plugin", kind.name()));
        Ok(Self { name: written.name, kind, language, world, entry })
    }
}

/// The source file of a language if the settings name none.
pub(crate) fn default_entry(language: Language) -> &'static str {
    match language {
        Language::Rust => "src/lib.rs",
        Language::JavaScript => "src/plugin.js",
        Language::TypeScript | Language::AssemblyScript => "src/plugin.ts",
        Language::Python => "src/plugin.py",
        Language::Go => "./main.go",
        Language::C => "src/plugin.c",
        Language::Cpp => "src/plugin.cpp",
        Language::Zig => "src/plugin.zig",
    }
}

/// Checks a plugin's name: lower case letters, digits and hyphens, beginning with a letter.
///
/// # Errors
/// [`AuthorError::Name`].
pub(crate) fn check_name(name: &str) -> Result<(), AuthorError> {
    let wrong = |reason| Err(AuthorError::Name { value: name.to_owned(), reason });
    if name.is_empty() || name.len() > MAX_NAME_LENGTH {
        return wrong("write 1 to 64 characters");
    }
    if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
        return wrong("write lower case letters, digits and hyphens");
    }
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || name.ends_with('-') || name.contains("--") {
        return wrong("begin with a letter, and put a hyphen only between letters and digits");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Settings, AuthorError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("hookwright.toml"), text).unwrap();
        Settings::read(folder.path())
    }

    #[test]
    fn three_fields_are_sufficient() {
        let settings = read("name = \"a-b\"\nkind = \"action\"\nlanguage = \"zig\"\n").unwrap();
        assert_eq!((settings.world.as_str(), settings.entry.as_str()), ("action-plugin", "src/plugin.zig"));
    }

    #[test]
    fn invalid_settings_are_reported_with_the_field_and_the_value() {
        for (text, said) in [
            ("", "name"),
            ("name = \"A\"\nkind = \"action\"\nlanguage = \"c\"", "`A`"),
            ("name = \"a\"\nkind = \"verb\"\nlanguage = \"c\"", "`verb`"),
            ("name = \"a\"\nkind = \"action\"\nlanguage = \"cobol\"", "`cobol`"),
            ("name = \"a\"\nkind = \"action\"\nlanguage = \"c\"\nentry = \"../x.c\"", "`../x.c`"),
            ("name = \"a\"\nkind = \"action\"\nlanguage = \"c\"\nentry = \"/x.c\"", "`/x.c`"),
            ("name = \"a\"\nkind = \"action\"\nlanguage = \"c\"\nwrold = \"x\"", "wrold"),
            ("name = 7", "string"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn a_folder_without_settings_is_reported_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let error = Settings::read(folder.path()).unwrap_err();
        assert_eq!(error.code(), "settings.invalid");
        assert!(error.to_string().contains("hookwright plugin new"), "{error}");
    }

    #[test]
    fn names_follow_the_rules_of_the_host() {
        for name in ["a", "close-ticket", "x9", &"a".repeat(64)] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "9a", "-a", "a-", "a--b", "a_b", "ä", "a b", "a/b", &"a".repeat(65)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
