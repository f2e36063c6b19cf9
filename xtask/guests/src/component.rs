//! Converts a core module to a component, and reads a component's imports and exports.

use std::path::Path;

use wit_component::ComponentEncoder;

use crate::error::BuildError;
use crate::room::with_room;

/// The imports and exports of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Names of the imported interfaces, such as `hookwright:plugin/tickets@0.1.0`, in order.
    pub imports: Vec<String>,
    /// Names of the exported interfaces.
    pub exports: Vec<String>,
}

/// A core module without debug sections; with `names`, function names are kept, which backtraces show.
/// `None` if the bytes are not a module.
#[must_use]
pub fn without_debugging(module: &[u8], names: bool) -> Option<Vec<u8>> {
    let (preamble, mut rest) = module.split_at_checked(PREAMBLE)?;
    let mut result = preamble.to_vec();
    while let Some((&id, after)) = rest.split_first() {
        let (size, after) = leb128(after)?;
        let (section, after) = after.split_at_checked(size)?;
        let whole = rest.get(..rest.len().checked_sub(after.len())?)?;
        rest = after;
        let is_dropped = id == CUSTOM && {
            let (size, after) = leb128(section)?;
            let name = after.get(..size)?;
            name.starts_with(b".debug_") || (name == b"name" && !names)
        };
        if !is_dropped {
            result.extend_from_slice(whole);
        }
    }
    Some(result)
}

/// Bytes before the first section: the magic number and the version.
const PREAMBLE: usize = 8;
/// The number of a custom section.
const CUSTOM: u8 = 0;

/// A number in LEB128 and what follows it.
fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut number = 0_usize;
    for (place, byte) in bytes.iter().enumerate().take(5) {
        number |= usize::from(byte & 0x7f).checked_shl(u32::try_from(place).ok()?.checked_mul(7)?)?;
        if byte & 0x80 == 0 {
            return Some((number, bytes.get(place.checked_add(1)?..)?));
        }
    }
    None
}

/// Converts the core module at `path` to a component and checks it; with `names`, function names are kept.
///
/// # Errors
/// The file cannot be read, or it carries no WIT world, or it lacks one of the world's exports.
pub(crate) fn encode(path: &Path, names: bool) -> Result<Vec<u8>, BuildError> {
    let mut module = std::fs::read(path).map_err(|source| BuildError::File {
        path: path.into(),
        doing: "reading the compiled module",
        source,
    })?;
    if let Some(bare) = without_debugging(&module, names) {
        module = bare;
    }
    if let Some(roomy) = with_room(&module) {
        module = roomy;
    }
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

/// Writes `bytes` to `path` unless the file already has them, so that its modification time does not change.
///
/// The write is atomic: to a temporary file, which is then renamed. Returns whether it was written.
///
/// # Errors
/// The folder cannot be created, or the file cannot be written.
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
    std::fs::rename(&beside, path).map_err(failed("renaming the component"))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_the_same_bytes_is_not_rewritten() {
        let folder = std::env::temp_dir().join(format!("hookwright-guests-{}", std::process::id()));
        let path = folder.join("x.wasm");
        assert!(write_if_different(&path, b"one").unwrap());
        assert!(!write_if_different(&path, b"one").unwrap());
        assert!(write_if_different(&path, b"two").unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn only_debug_sections_are_removed() {
        let section = |id: u8, name: &str, body: &[u8]| {
            let mut inside = vec![u8::try_from(name.len()).unwrap()];
            inside.extend_from_slice(name.as_bytes());
            inside.extend_from_slice(body);
            let mut section = vec![id, u8::try_from(inside.len()).unwrap()];
            section.extend(inside);
            section
        };
        let head = b"\0asm\x01\0\0\0".to_vec();
        let (debug, name, kept) =
            (section(0, ".debug_info", b"xyz"), section(0, "name", b"n"), section(0, "component-type:x", b"t"));
        let module = [head.clone(), debug, name.clone(), kept.clone()].concat();
        assert_eq!(without_debugging(&module, false).unwrap(), [head.clone(), kept.clone()].concat());
        assert_eq!(without_debugging(&module, true).unwrap(), [head, name, kept].concat());
        for end in 0..module.len() {
            // A part of a module is none, or a shorter one; nothing is read past its end.
            let _ = without_debugging(&module[..end], true);
        }
        assert_eq!(without_debugging(&module[..module.len() - 1], true), None);
    }

    #[test]
    fn bytes_that_are_not_a_component_are_rejected() {
        assert!(describe(b"hello").unwrap_err().contains("not a component"));
    }
}
