//! The WIT worlds: Hookwright's own package, which is in this program, and the world that a plugin's folder may add.

use std::path::Path;

use wit_bindgen_core::wit_parser::{PackageId, Resolve, SourceMap, WorldId};

use crate::error::AuthorError;
use crate::files;
use crate::settings::Settings;

/// A plugin's world, from the folder.
pub(crate) const WORLD: &str = "wit/world.wit";

/// The world that scripts are built for: the plugin's own with the imports of the language's runtime.
pub(crate) const BUILD: &str = "hookwright-build";

/// The interfaces that the runtimes of scripts need: the clock, random numbers and the log are the host's. Every plugin
/// may import them.
const RUNTIME: [&str; 3] = ["clock", "log", "random"];

/// A world and what it refers to.
pub(crate) struct World {
    pub(crate) resolve: Resolve,
    pub(crate) id: WorldId,
}

/// Finds the world that a plugin is built for.
///
/// # Errors
/// The folder's WIT is invalid, or the world does not exist.
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
/// None in practice: the input is part of this program, and a test covers it.
pub(crate) fn push_plugin_package(resolve: &mut Resolve) -> Result<PackageId, AuthorError> {
    push(resolve, "hookwright:plugin", files::WIT)
}

/// Adds a package of files with their texts.
///
/// # Errors
/// [`AuthorError::World`] with the parser's message and position.
pub(crate) fn push(resolve: &mut Resolve, world: &str, files: &[(&str, &str)]) -> Result<PackageId, AuthorError> {
    let wrong = |reason: String| AuthorError::World { world: world.to_owned(), reason };
    let mut map = SourceMap::default();
    for (path, text) in files {
        map.push_str(path, *text);
    }
    let group = map.parse().map_err(|(map, error)| wrong(error.render(&map)))?;
    resolve.push_group(group).map_err(|error| wrong(error.render(&resolve.source_map)))
}

/// The world that scripts are built for: [`BUILD`].
///
/// # Errors
/// The folder's WIT is invalid, or the world does not exist.
pub(crate) fn built(folder: &Path, settings: &Settings) -> Result<World, AuthorError> {
    let own = own(folder, settings)?;
    let mut resolve = Resolve::default();
    push_plugin_package(&mut resolve)?;
    let package = push(&mut resolve, &settings.world, &[(WORLD, &own), ("build.wit", &build_world(&own, settings))])?;
    let found = resolve.packages.get(package).and_then(|package| package.worlds.get(BUILD).copied());
    let missing = || AuthorError::World { world: settings.world.clone(), reason: "it is not there".to_owned() };
    Ok(World { resolve, id: found.ok_or_else(missing)? })
}

/// The package of the plugin's folder; an empty one if the folder has none.
fn own(folder: &Path, settings: &Settings) -> Result<String, AuthorError> {
    let path = folder.join(WORLD);
    if path.is_file() {
        return std::fs::read_to_string(&path).map_err(AuthorError::file(&path, "reading the plugin's world"));
    }
    Ok(format!("package local:{};\n", settings.name))
}

/// The plugin's world with the imports of script runtimes, as another world of the folder's package.
fn build_world(own: &str, settings: &Settings) -> String {
    let world = &settings.world;
    // A world of the folder takes precedence over one of the package with the same name.
    let is_own = own.split("world ").skip(1).any(|rest| rest.split(['{', ' ', '\n']).next() == Some(world));
    let world = if is_own { world.clone() } else { format!("hookwright:plugin/{world}@0.1.0") };
    let runtime: String = RUNTIME.map(|name| format!("  import hookwright:plugin/{name}@0.1.0;\n")).concat();
    format!("world {BUILD} {{\n  include {world};\n{runtime}}}\n")
}

/// Writes the worlds as the tools of other languages want them, with [`BUILD`]: `world.wit`, `build.wit` and `deps/`.
///
/// # Errors
/// A file cannot be written.
pub(crate) fn lay_out(folder: &Path, settings: &Settings, to: &Path) -> Result<(), AuthorError> {
    let own = own(folder, settings)?;
    files::write(&to.join("world.wit"), &own)?;
    files::write(&to.join("build.wit"), &build_world(&own, settings))?;
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
    fn a_world_comes_from_the_package_or_the_folder() {
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
    fn scripts_are_built_for_their_world_and_the_imports_of_the_runtime() {
        let folder = tempfile::tempdir().unwrap();
        let imports = |world: &World| -> Vec<String> {
            let world = &world.resolve.worlds[world.id];
            world.imports.keys().map(|key| format!("{key:?}")).collect()
        };
        let whole = built(folder.path(), &settings("condition-plugin")).unwrap();
        let own = "package a:b;\nworld plugin {\n  import hookwright:plugin/kv@0.1.0;\n}\n";
        files::write(&folder.path().join(WORLD), own).unwrap();
        let narrow = built(folder.path(), &settings("plugin")).unwrap();
        assert!(imports(&narrow).len() < imports(&whole).len());
        // kv with the types that it stands on, and clock, log and random.
        assert_eq!(imports(&narrow).len(), 5, "{:?}", imports(&narrow));
        assert!(built(folder.path(), &settings("action-plugin")).is_ok());
        assert!(built(folder.path(), &settings("verb-plugin")).is_err());
    }

    #[test]
    fn a_missing_or_invalid_world_is_reported() {
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
