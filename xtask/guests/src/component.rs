//! From a core module to a finished component, and what a component says of itself.

use std::path::Path;

use wit_component::ComponentEncoder;

use crate::error::BuildError;

/// What a finished component asks for and offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Names of the imported interfaces, such as `hookwright:plugin/tickets@0.1.0`, in order.
    pub imports: Vec<String>,
    /// Names of the exported interfaces.
    pub exports: Vec<String>,
}

/// Makes a component of the core module at `path` and checks it.
///
/// # Errors
/// The file cannot be read, or it carries no WIT world, or it lacks one of the world's exports.
pub(crate) fn encode(path: &Path) -> Result<Vec<u8>, BuildError> {
    let module = std::fs::read(path).map_err(|source| BuildError::File {
        path: path.into(),
        doing: "reading the compiled module",
        source,
    })?;
    ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| BuildError::Component { path: path.into(), reason: format!("{error:#}") })
}

/// Reads the imports and exports out of a component's bytes.
///
/// # Errors
/// A sentence that says why the bytes are not a component.
pub fn describe(bytes: &[u8]) -> Result<Component, String> {
    let decoded = wit_component::decode(bytes).map_err(|error| format!("not a component: {error:#}"))?;
    let wit_component::DecodedWasm::Component(resolve, world) = decoded else {
        return Err("not a component but a WIT package".into());
    };
    let world = resolve.worlds.get(world).ok_or("the component has no world")?;
    let names = |items: &mut dyn Iterator<Item = String>| items.collect::<Vec<_>>();
    Ok(Component {
        imports: names(&mut world.imports.keys().map(|key| resolve.name_world_key(key))),
        exports: names(&mut world.exports.keys().map(|key| resolve.name_world_key(key))),
    })
}

/// Writes `bytes` to `path` unless they stand there already, so that what watches the file's time sees no change.
///
/// The file appears whole: it is written beside its place and then renamed. Answers whether it was written.
///
/// # Errors
/// The folder cannot be made, or the file cannot be written.
pub(crate) fn write_if_different(path: &Path, bytes: &[u8]) -> Result<bool, BuildError> {
    if std::fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(false);
    }
    let failed = |doing| move |source| BuildError::File { path: path.into(), doing, source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed("making its folder"))?;
    }
    let beside = path.with_extension(format!("wasm.{}", std::process::id()));
    std::fs::write(&beside, bytes).map_err(failed("writing the component"))?;
    std::fs::rename(&beside, path).map_err(failed("putting the component in its place"))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_already_holds_the_bytes_is_left_alone() {
        let folder = std::env::temp_dir().join(format!("hookwright-guests-{}", std::process::id()));
        let path = folder.join("x.wasm");
        assert!(write_if_different(&path, b"one").unwrap());
        assert!(!write_if_different(&path, b"one").unwrap());
        assert!(write_if_different(&path, b"two").unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn bytes_that_are_no_component_are_told_so() {
        assert!(describe(b"hello").unwrap_err().contains("not a component"));
    }
}
