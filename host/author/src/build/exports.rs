//! The names of a core module's exports, for languages that can only export identifiers.

use std::path::Path;

use crate::error::AuthorError;

/// The names that an SDK exports, and those that the component encoder expects.
const NAMES: [(&str, &str); 6] = [
    ("metadata_describe", "hookwright:plugin/metadata@0.1.0#describe"),
    ("metadata_described", "cabi_post_hookwright:plugin/metadata@0.1.0#describe"),
    ("condition_evaluate", "hookwright:plugin/condition@0.1.0#evaluate"),
    ("condition_evaluated", "cabi_post_hookwright:plugin/condition@0.1.0#evaluate"),
    ("action_run", "hookwright:plugin/action@0.1.0#run"),
    ("action_ran", "cabi_post_hookwright:plugin/action@0.1.0#run"),
];

/// Bytes of the preamble, and the number of the section with the exports (WebAssembly core specification, 5.5).
const PREAMBLE: usize = 8;
const EXPORTS: u8 = 7;

/// Renames the exports of the module at `path` to their names in the component.
///
/// # Errors
/// The file cannot be read or written, or is damaged.
pub(super) fn rename(path: &Path) -> Result<(), AuthorError> {
    let module = std::fs::read(path).map_err(AuthorError::file(path, "reading the compiled module"))?;
    let renamed = renamed(&module)
        .ok_or_else(|| AuthorError::Component { path: path.into(), reason: "its sections are damaged".to_owned() })?;
    std::fs::write(path, renamed).map_err(AuthorError::file(path, "writing the compiled module"))
}

/// The module with its exports renamed; `None` if it is damaged.
fn renamed(module: &[u8]) -> Option<Vec<u8>> {
    let (preamble, mut rest) = module.split_at_checked(PREAMBLE)?;
    let mut result = preamble.to_vec();
    while let Some((&id, after)) = rest.split_first() {
        let (size, after) = number(after)?;
        let (section, after) = after.split_at_checked(size)?;
        rest = after;
        let section = if id == EXPORTS { exports(section)? } else { section.to_vec() };
        result.push(id);
        push_number(&mut result, section.len());
        result.extend(section);
    }
    Some(result)
}

/// The section of exports with other names.
fn exports(section: &[u8]) -> Option<Vec<u8>> {
    let (count, mut rest) = number(section)?;
    let mut result = Vec::with_capacity(section.len());
    push_number(&mut result, count);
    for _ in 0..count {
        let (size, after) = number(rest)?;
        let (name, after) = after.split_at_checked(size)?;
        // One byte says what is exported, and a number which.
        let (&what, which) = after.split_first()?;
        let (_, after) = number(which)?;
        let index = which.get(..which.len().checked_sub(after.len())?)?;
        rest = after;
        let name = NAMES.iter().find(|(own, _)| own.as_bytes() == name).map_or(name, |(_, other)| other.as_bytes());
        push_number(&mut result, name.len());
        result.extend(name);
        result.push(what);
        result.extend(index);
    }
    rest.is_empty().then_some(result)
}

/// A number in LEB128 and what follows it.
fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut number = 0_usize;
    for (place, byte) in bytes.iter().enumerate().take(5) {
        number |= usize::from(byte & 0x7f).checked_shl(u32::try_from(place).ok()?.checked_mul(7)?)?;
        if byte & 0x80 == 0 {
            return Some((number, bytes.get(place.checked_add(1)?..)?));
        }
    }
    None
}

/// Writes a number in LEB128.
fn push_number(to: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        to.push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
        number >>= 7;
    }
    to.push(u8::try_from(number).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exports_are_renamed() {
        let text = |name: &str| {
            format!(
                "(module (memory (export \"memory\") 1) (func (export \"{name}\") (param i32)) (func (export \"cabi_realloc\")))"
            )
        };
        let module = wat::parse_str(text("action_ran")).unwrap();
        let wanted = wat::parse_str(text("cabi_post_hookwright:plugin/action@0.1.0#run")).unwrap();
        assert_eq!(renamed(&module).unwrap(), wanted);
        assert_eq!(renamed(&wanted).unwrap(), wanted);
    }

    #[test]
    fn a_damaged_module_is_rejected() {
        let module = wat::parse_str("(module (func (export \"action_run\")))").unwrap();
        for end in 0..module.len() {
            // Some of the beginnings are whole modules; none may be read past its end.
            let _ = renamed(&module[..end]);
        }
        assert_eq!(renamed(&module[..4]), None);
        assert_eq!(renamed(&module[..module.len() - 1]), None);
    }

    #[test]
    fn leb128_numbers_are_round_tripped() {
        for number in [0, 1, 127, 128, 300, 16_384, 4_000_000] {
            let mut bytes = Vec::new();
            push_number(&mut bytes, number);
            assert_eq!(super::number(&bytes), Some((number, &[][..])));
        }
        assert_eq!(number(&[0x80, 0x80]), None);
    }
}
