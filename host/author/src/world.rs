//! The WIT worlds: Hookwright's own package, which is in this program, and the world that a plugin's folder may add.

use std::path::Path;

use wit_bindgen_core::wit_parser::{PackageId, Resolve, SourceMap, WorldId};

use crate::error::AuthorError;
use crate::files;
use crate::settings::Settings;

/// A plugin's world, from the folder.
pub(crate) const WORLD: &str = "wit/world.wit";

/// A world and what it refers to.
pub(crate) struct World {
    pub(crate) resolve: Resolve,
    pub(crate) id: WorldId,
}

/// Finds the world that a plugin is built for.
///
/// # Errors
/// The folder's WIT is wrong, or there is no such world.
pub(crate) fn of(folder: &Path, settings: &Settings) -> Result<World, AuthorError> {
    let mut resolve = Resolve::default();
    let mut packages = vec![push_plugin_package(&mut resolve)?];
    let own = folder.join(WORLD);
    if own.is_file() {
        let text = std::fs::read_to_string(&own).map_err(AuthorError::file(&own, "reading the plugin's world"))?;
        packages.insert(0, push(&mut resolve, &settings.world, &[(WORLD, &text)])?);
    }
    let found = packages.iter().find_map(|package| resolve.packages.get(*package)?.worlds.get(&settings.world));
    let Some(id) = found.copied() else {
        let known: Vec<&str> = packages
            .iter()
            .filter_map(|package| resolve.packages.get(*package))
            .flat_map(|package| package.worlds.keys().map(String::as_str))
            .collect();
        let reason = format!("there is no such world: write one of {} in hookwright.toml", known.join(", "));
        return Err(AuthorError::World { world: settings.world.clone(), reason });
    };
    Ok(World { resolve, id })
}

/// Adds the package `hookwright:plugin`.
///
/// # Errors
/// None that a test would not find.
pub(crate) fn push_plugin_package(resolve: &mut Resolve) -> Result<PackageId, AuthorError> {
    push(resolve, "hookwright:plugin", files::WIT)
}

/// Adds a package of files with their texts.
///
/// # Errors
/// [`AuthorError::World`] with what the parser said and where.
pub(crate) fn push(resolve: &mut Resolve, world: &str, files: &[(&str, &str)]) -> Result<PackageId, AuthorError> {
    let wrong = |reason: String| AuthorError::World { world: world.to_owned(), reason };
    let mut map = SourceMap::default();
    for (path, text) in files {
        map.push_str(path, *text);
    }
    let group = map.parse().map_err(|(map, error)| wrong(error.render(&map)))?;
    resolve.push_group(group).map_err(|error| wrong(format!("{error:#}")))
}

/// Writes the worlds as the tools of other languages want them: `world.wit` and `deps/`.
///
/// # Errors
/// A file cannot be written, or the plugin has no world of its own.
pub(crate) fn lay_out(folder: &Path, settings: &Settings, to: &Path) -> Result<(), AuthorError> {
    let own = folder.join(WORLD);
    let text = if own.is_file() {
        std::fs::read_to_string(&own).map_err(AuthorError::file(&own, "reading the plugin's world"))?
    } else {
        format!(
            "package local:{name};\n\nworld {world} {{\n  include hookwright:plugin/{world}@0.1.0;\n}}\n",
            name = settings.name,
            world = settings.world
        )
    };
    files::write(&to.join("world.wit"), &text)?;
    for (path, text) in files::WIT {
        files::write(&to.join("deps/hookwright-plugin").join(path), text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::{Kind, Language};

    fn settings(world: &str) -> Settings {
        let (name, entry) = ("x".to_owned(), "src/plugin.c".to_owned());
        Settings { name, kind: Kind::Action, language: Language::C, world: world.to_owned(), entry }
    }

    #[test]
    fn a_world_is_the_packages_or_the_folders() {
        let folder = tempfile::tempdir().unwrap();
        for kind in Kind::ALL {
            assert!(of(folder.path(), &settings(&format!("{kind}-plugin"))).is_ok(), "{kind}");
        }
        let own = "package a:b; world narrow { import hookwright:plugin/log@0.1.0; }";
        files::write(&folder.path().join(WORLD), own).unwrap();
        assert!(of(folder.path(), &settings("narrow")).is_ok());
        assert!(of(folder.path(), &settings("action-plugin")).is_ok());
    }

    #[test]
    fn a_world_that_is_not_there_or_wrong_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let error = of(folder.path(), &settings("verb-plugin")).err().unwrap();
        assert_eq!(error.code(), "world.invalid");
        assert!(error.to_string().contains("action-plugin"), "{error}");
        files::write(&folder.path().join(WORLD), "package a:b; world x { import hookwright:plugin/nothing@0.1.0; }")
            .unwrap();
        let error = of(folder.path(), &settings("x")).err().unwrap();
        assert!(error.to_string().contains("nothing"), "{error}");
    }
}
