//! Examines a component's bytes before anything is compiled or executed.

use wasmparser::{ComponentTypeRef, Encoding, Parser, Payload, TypeBounds};

use crate::error::LoadError;
use crate::expansion::{Expansion, malformed};

/// Maximum number of functions of a component. A whole Python interpreter has some 20,000.
const FUNCTIONS: u32 = 200_000;
/// Maximum size of one function, in bytes. The time to compile it is worse than linear.
const FUNCTION: usize = 2 * 1024 * 1024;
/// Maximum number of imports and exports that are examined.
const NAMES: usize = 1000;
/// Maximum nesting depth of components and modules.
const DEPTH: usize = 32;

/// The interfaces of a component.
pub(crate) struct Interfaces {
    /// Its imports, in order.
    pub(crate) imports: Vec<Import>,
    /// Its exports.
    pub(crate) exports: Vec<String>,
}

/// An import of a component.
pub(crate) struct Import {
    /// Such as `hookwright:plugin/log@0.1.0`.
    pub(crate) name: String,
    /// Whether it is an interface, not a function or a component.
    pub(crate) is_interface: bool,
}

/// Reads the interfaces of a component of at most `most` bytes.
///
/// # Errors
/// It is too large, is not a component, or is damaged.
pub(crate) fn inspect(bytes: &[u8], most: usize) -> Result<Interfaces, LoadError> {
    if bytes.len() > most {
        return Err(LoadError::TooLarge { size: u64::try_from(bytes.len()).unwrap_or(u64::MAX), most });
    }
    if wasmtime::Engine::detect_precompiled(bytes).is_some() {
        return Err(LoadError::Precompiled);
    }
    if !bytes.starts_with(b"\0asm") {
        return Err(LoadError::NotWasm(beginning(bytes)));
    }
    // Version and layer: 1 and 0 are a core module of any release.
    if bytes.get(4..8) == Some(&[1, 0, 0, 0]) {
        return Err(LoadError::CoreModule);
    }
    read(bytes)
}

fn read(bytes: &[u8]) -> Result<Interfaces, LoadError> {
    let mut found = Interfaces { imports: Vec::new(), exports: Vec::new() };
    let (mut depth, mut functions) = (0_usize, 0_u32);
    let mut expansion = Expansion::default();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(|error| malformed(&error))?;
        expansion.take(&payload)?;
        match payload {
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => return Err(LoadError::CoreModule),
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                depth = depth.saturating_add(1);
                if depth > DEPTH {
                    return Err(LoadError::Malformed(format!("modules are nested more than {DEPTH} levels deep")));
                }
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CodeSectionStart { count, .. } => {
                functions = functions.saturating_add(count);
                if functions > FUNCTIONS {
                    let message =
                        format!("it has more than {FUNCTIONS} functions: leave out what the plugin does not need");
                    return Err(LoadError::CompileFailed(message));
                }
            }
            Payload::CodeSectionEntry(body) if body.range().len() > FUNCTION => {
                let message = format!("one of its functions has more than {FUNCTION} bytes: split it");
                return Err(LoadError::CompileFailed(message));
            }
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    let import = import.map_err(|error| malformed(&error))?;
                    // A type that equals one of the component's own is not an import.
                    if !matches!(import.ty, ComponentTypeRef::Type(TypeBounds::Eq(_))) {
                        let is_interface = matches!(import.ty, ComponentTypeRef::Instance(_));
                        found.imports.push(Import { name: import.name.name.to_owned(), is_interface });
                    }
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    found.exports.push(export.map_err(|error| malformed(&error))?.name.name.to_owned());
                }
            }
            _ => {}
        }
        if found.imports.len() + found.exports.len() > NAMES {
            return Err(LoadError::Malformed(format!("it has more than {NAMES} imports and exports")));
        }
    }
    Ok(found)
}

/// What is wrong with the bytes of a component that could not be compiled, if the bytes are the reason.
pub(crate) fn defect(bytes: &[u8]) -> Option<LoadError> {
    wasmparser::Validator::new().validate_all(bytes).err().map(|error| malformed(&error))
}

fn beginning(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "nothing: it is empty".to_owned();
    }
    let start = bytes.get(..16).unwrap_or(bytes);
    match std::str::from_utf8(start) {
        Ok(text) if !text.chars().any(char::is_control) => format!("`{text}`"),
        _ => hex::encode(start),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nested components that each instantiate the previous one twice.
    fn doubled(levels: usize, how: &str) -> Vec<u8> {
        let mut text = String::from("(component $c0)");
        for level in 1..=levels {
            let before = level - 1;
            let instance = match how {
                "inline" => format!("(instance (instantiate $c{before})) (instance (instantiate $c{before}))"),
                "outer alias" => format!(
                    "(alias outer $whole $c{before} (component $own)) (instance (instantiate $own)) (instance (instantiate \
                     $own))"
                ),
                _ => format!(
                    "(alias outer $whole $c{before} (component $own)) (export $named \"c\" (component $own)) (instance \
                     (instantiate $named)) (instance (instantiate $named))"
                ),
            };
            text = if how == "inline" {
                format!("(component $c{level} {text} {instance})")
            } else {
                format!("{text} (component $c{level} {instance})")
            };
        }
        wat::parse_str(format!("(component $whole {text} (instance (instantiate $c{levels})))")).unwrap()
    }

    #[test]
    fn the_size_of_a_component_includes_its_instances() {
        for how in ["inline", "outer alias", "export"] {
            assert!(read(&doubled(8, how)).is_ok(), "{how}");
            let bytes = doubled(24, how);
            assert!(bytes.len() < 20_000, "{how}: {}", bytes.len());
            let Err(error) = read(&bytes) else { panic!("{how}: taken") };
            assert_eq!(error.code(), "plugin.compile_failed", "{how}: {error}");
            assert!(error.to_string().contains("once every component in it is instantiated"), "{error}");
        }
    }

    #[test]
    fn components_that_come_from_outside_are_not_instantiated() {
        for text in [
            "(component (component $a (import \"c\" (component $c)) (instance (instantiate $c))) (component $b) (instance \
             (instantiate $a (with \"c\" (component $b)))))",
            "(component (component $a (component $in) (export \"c\" (component $in))) (instance $i (instantiate $a)) (alias \
             export $i \"c\" (component $c)) (instance (instantiate $c)))",
        ] {
            let Err(error) = read(&wat::parse_str(text).unwrap()) else { panic!("taken: {text}") };
            assert!(error.to_string().contains("pass none on"), "{error}");
        }
    }

    #[test]
    fn bytes_that_are_not_a_component_are_recognized() {
        for (bytes, code, part) in [
            (&b""[..], "plugin.not_wasm", "empty"),
            (b"(component)", "plugin.not_wasm", "`(component)`"),
            (b"PK\x03\x04", "plugin.not_wasm", "504b0304"),
            (b"\0asm\x01\0\0\0", "plugin.core_module", "wasm-tools component new"),
            (b"\0asm\x0d\0\x01\0\x07", "plugin.malformed", "damaged"),
            (b"\0asm\x63\0\x01\0", "plugin.malformed", "damaged"),
            (&[b'x'; 200], "plugin.too_large", "200 bytes: at most 100"),
        ] {
            let Err(error) = inspect(bytes, 100) else { panic!("taken: {bytes:?}") };
            assert_eq!(error.code(), code, "{error}");
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
