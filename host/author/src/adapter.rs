//! Hookwright's adapter for runtimes that were compiled for WASI preview 1, ready for the component encoder.

use std::path::Path;

use wit_bindgen_core::wit_parser::Resolve;
use wit_component::{StringEncoding, embed_component_metadata};

use crate::error::AuthorError;
use crate::files;
use crate::world;

/// The module's name in what those runtimes import.
pub(crate) const NAME: &str = "wasi_snapshot_preview1";

/// The adapter as a core module that names its world.
///
/// # Errors
/// None in practice: its parts are in this program, and a test covers them.
pub(crate) fn module() -> Result<Vec<u8>, AuthorError> {
    let path = Path::new("wit/adapter");
    let wrong = |reason: String| AuthorError::Component { path: path.into(), reason };
    let mut module =
        wat::parse_str(files::text(files::ADAPTER, "preview1.wat")).map_err(|error| wrong(error.to_string()))?;
    let mut resolve = Resolve::default();
    world::push_plugin_package(&mut resolve)?;
    let package = world::push(&mut resolve, "world.wit", &[("world.wit", files::text(files::ADAPTER, "world.wit"))])?;
    let chosen = resolve.select_world(&[package], Some("preview1")).map_err(|error| wrong(format!("{error:#}")))?;
    embed_component_metadata(&mut module, &resolve, chosen, StringEncoding::UTF8)
        .map_err(|error| wrong(format!("{error:#}")))?;
    Ok(module)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wit_component::ComponentEncoder;

    /// The imports of a component that is made of a module which calls these functions of WASI.
    fn imports(calls: &str) -> Vec<String> {
        let text = format!("(module {calls} (memory (export \"memory\") 1) (func (export \"run\")))");
        let mut module = wat::parse_str(text).unwrap();
        let mut resolve = Resolve::default();
        let package = world::push(&mut resolve, "w", &[("w", "package a:b; world w { export run: func(); }")]).unwrap();
        let chosen = resolve.select_world(&[package], Some("w")).unwrap();
        embed_component_metadata(&mut module, &resolve, chosen, StringEncoding::UTF8).unwrap();
        let encoder = ComponentEncoder::default().validate(true).module(&module).unwrap();
        let mut encoder = encoder.adapter(NAME, &super::module().unwrap()).unwrap();
        hookwright_guests::describe(&encoder.encode().unwrap()).unwrap().imports
    }

    fn import(name: &str, parameters: &str) -> String {
        format!("(import \"{NAME}\" \"{name}\" (func (param {parameters}) (result i32)))")
    }

    #[test]
    fn only_called_functions_are_imported() {
        let (clock, random, log) =
            ("hookwright:plugin/clock@0.1.0", "hookwright:plugin/random@0.1.0", "hookwright:plugin/log@0.1.0");
        let types = "hookwright:plugin/types@0.1.0";
        let others = |imports: Vec<String>| imports.into_iter().filter(|name| name != types).collect::<Vec<_>>();
        assert_eq!(others(imports("")), Vec::<String>::new());
        assert_eq!(others(imports(&import("fd_close", "i32"))), Vec::<String>::new());
        assert_eq!(others(imports(&import("clock_time_get", "i32 i64 i32"))), [clock]);
        assert_eq!(others(imports(&import("random_get", "i32 i32"))), [random]);
        assert_eq!(others(imports(&import("fd_write", "i32 i32 i32 i32"))), [log]);
        let all = import("fd_write", "i32 i32 i32 i32") + &import("clock_time_get", "i32 i64 i32");
        assert_eq!(others(imports(&all)), [clock, log]);
    }
}
