//! C and C++: bindings from the generators of `wit-bindgen`, compiled by Zig, which brings the C library.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::{Work, component};
use crate::error::AuthorError;
use crate::files;
use crate::language::Language;
use crate::process::run;
use crate::tool::Tool;
use crate::world;
use wit_bindgen_core::Files;

/// Bytes of the stack, which stands at the start of memory. The compiler's own choice is 1 MiB or more.
const STACK: u32 = 128 * 1024;

/// Writes the bindings of the plugin's world: a header of the world's name and its implementation.
///
/// # Errors
/// The world is wrong, or a file cannot be written.
pub(super) fn bindings(work: &Work<'_>) -> Result<(), AuthorError> {
    let mut world = world::of(&work.folder, &work.settings)?;
    let mut generated = Files::default();
    let mut generator = if work.settings.language == Language::C {
        wit_bindgen_c::Opts::default().build()
    } else {
        wit_bindgen_cpp::Opts::default().build(None)
    };
    generator
        .generate(&mut world.resolve, world.id, &mut generated)
        .map_err(|error| AuthorError::World { world: work.settings.world.clone(), reason: format!("{error:#}") })?;
    for (name, bytes) in generated.iter() {
        let path = work.target.join("bindings").join(name);
        match std::str::from_utf8(bytes) {
            Ok(text) if name.ends_with(".cpp") => files::write_bytes(&path, freed(text).as_bytes())?,
            _ => files::write_bytes(&path, bytes)?,
        };
    }
    Ok(())
}

/// The generated C++ with the memory of lists given back: this release of the generator takes the elements out of a list
/// that was handed over and forgets the list itself, a few bytes each call, which an instance that is kept adds up.
fn freed(generated: &str) -> String {
    let mut text = String::with_capacity(generated.len());
    let mut list: Option<String> = None;
    for line in generated.lines() {
        text.push_str(line);
        text.push('\n');
        let code = line.trim();
        if let Some(number) = list.take_if(|_| code == "}") {
            let indent = line.split('}').next().unwrap_or_default();
            text.push_str(indent);
            // Writing to a String cannot fail.
            let _ = writeln!(text, "if (_len{number} > 0) free((void*) _base{number});");
        }
        let number = code.strip_prefix("_result").and_then(|rest| rest.split_once(".initialize(i, "));
        if let Some((number, _)) = number.filter(|(number, _)| number.bytes().all(|byte| byte.is_ascii_digit())) {
            list = Some(number.to_owned());
        }
    }
    text
}

/// Compiles every source file of `src/` together with the bindings.
///
/// # Errors
/// Zig is missing or complains, or the module is not what the world asks for.
pub(super) fn build(work: &Work<'_>) -> Result<Vec<u8>, AuthorError> {
    let language = work.settings.language;
    let (compiler, extension, options): (_, _, &[&str]) = if language == Language::C {
        ("cc", "c", &["-std=c17"])
    } else {
        // The bindings write lists over the memory of the values that they are made of.
        ("c++", "cpp", &["-std=c++23", "-fno-exceptions", "-fno-rtti", "-fno-strict-aliasing"])
    };
    let folder = work.entry().parent().map_or_else(|| work.folder.clone(), Path::to_owned);
    let mut sources = sources(&folder, extension)?;
    let bindings = work.target.join("bindings");
    sources.extend(self::sources(&bindings, extension)?);
    // The object holds the world's type and no code.
    sources.extend(self::sources(&bindings, "o")?);
    sources.extend(self::sources(&work.sdk(), extension)?);
    let core = work.target.join("core.wasm");
    let mut command = work.tools.command(Tool::Zig, language)?;
    command.current_dir(&work.folder).arg(compiler).args(["-target", "wasm32-wasi", "-mexec-model=reactor"]);
    command.args(options).args(["-Oz", "-flto", "-Wall", "-Wextra", "-Wno-unused-parameter"]);
    command.arg(format!("-Wl,--stack,{STACK}"));
    // Zig leaves assertions out of what it makes small. A failed one names its file as seen from the plugin's folder.
    command.arg("-UNDEBUG").arg(format!("-ffile-prefix-map={}/=", work.folder.display()));
    command.arg("-I").arg(work.sdk()).arg("-isystem").arg(work.target.join("bindings"));
    command.args(sources).arg("-o").arg(&core);
    run(&mut command, &format!("compiling {}", work.settings.name))?;
    component::encode(work, &core, None)
}

/// The files of a folder with an extension, in order. A folder that is not there has none.
fn sources(folder: &Path, extension: &str) -> Result<Vec<PathBuf>, AuthorError> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(folder).map_err(AuthorError::file(folder, "looking for source files"))?;
    let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    found.retain(|path| path.extension().is_some_and(|found| found == extension));
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lowered_list_is_freed() {
        let generated =
            "  for (unsigned i=0; i<_len4; ++i) {\n    _result4.initialize(i, std::move(_e4));\n  }\n  done();\n";
        let expected = "  }\n  if (_len4 > 0) free((void*) _base4);\n  done();\n";
        assert!(freed(generated).ends_with(expected), "{}", freed(generated));
        assert_eq!(freed("{\n}\n"), "{\n}\n");
    }
}
