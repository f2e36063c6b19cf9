//! Python: the source, the interpreter and the bindings become one component.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{Work, shapes};
use crate::error::AuthorError;
use crate::files;
use crate::language::Language;
use crate::process::run;
use crate::tool::Tool;
use crate::world;

/// The module that the component is made of: it imports the runtime, then the plugin.
const ENTRY: &str = "hookwright_entry";

/// Makes a component of the plugin's module.
///
/// # Errors
/// componentize-py is missing or complains.
pub(super) fn build(work: &Work<'_>) -> Result<Vec<u8>, AuthorError> {
    let wit = work.target.join("wit");
    world::lay_out(&work.folder, &work.settings, &wit)?;
    let entry = work.entry();
    let module = entry.file_stem().unwrap_or_default();
    let source = entry.parent().unwrap_or(&work.folder);
    let text = std::fs::read_to_string(&entry).map_err(AuthorError::file(&entry, "reading the plugin"))?;
    if let Some(name) = lacking(&text, &known(work)?) {
        let reason = format!(
            "it imports `{name}`, which the plugin's world lacks: add `import hookwright:plugin/{name}@0.1.0;` to {}",
            world::WORLD
        );
        return Err(AuthorError::Module { path: entry, reason });
    }
    let python = work.target.join("python");
    let name = module.to_string_lossy();
    files::write(&python.join(format!("{ENTRY}.py")), &entry_of(work, &name)?)?;
    let raw = work.target.join("raw.wasm");
    let mut command = work.tools.command(Tool::ComponentizePy, Language::Python)?;
    command.current_dir(&work.target).arg("-d").arg(&wit).args(["-w", world::BUILD]);
    // Without --stub-wasi it imports WASI, which plugins do not get.
    command.arg("componentize").arg("--stub-wasi").arg("-p").arg(source).arg("-p").arg(work.sdk());
    command.arg("-p").arg(&python).arg(ENTRY).arg("-o").arg(&raw);
    run(&mut command, &format!("making a component of {}", work.settings.name))?;
    std::fs::read(&raw).map_err(AuthorError::file(&raw, "reading the finished component"))
}

/// The interfaces that the plugin may import.
fn known(work: &Work<'_>) -> Result<BTreeSet<String>, AuthorError> {
    let world = world::built(&work.folder, &work.settings)?;
    Ok(shapes::interfaces(&world, false).into_iter().map(|interface| interface.name).collect())
}

/// The first interface of the host that a module imports and that is not `known`.
fn lacking(module: &str, known: &BTreeSet<String>) -> Option<String> {
    let mut wanted: Vec<&str> = Vec::new();
    for (place, _) in module.match_indices("from wit_world.imports") {
        let rest = module.get(place..)?.strip_prefix("from wit_world.imports")?;
        if let Some(rest) = rest.strip_prefix('.') {
            wanted.extend(rest.split_whitespace().next());
        } else if let Some(rest) = rest.trim_start().strip_prefix("import") {
            let rest = rest.trim_start();
            let names = match rest.strip_prefix('(') {
                Some(rest) => rest.split(')').next()?,
                None => rest.lines().next()?,
            };
            wanted.extend(names.split(',').filter_map(|name| name.split('#').next()?.split_whitespace().next()));
        }
    }
    wanted.into_iter().map(|name| name.replace('_', "-")).find(|name| !known.contains(name))
}

/// The entry's text: each exported class of the plugin, with its calls guarded.
fn entry_of(work: &Work<'_>, module: &str) -> Result<String, AuthorError> {
    let mut text = format!("import hookwright_runtime\nimport {module} as plugin\n\n");
    let world = world::built(&work.folder, &work.settings)?;
    for interface in shapes::interfaces(&world, true) {
        let name = shapes::camel(&format!("-{}", interface.name));
        let call = |function: &shapes::Shaped| {
            format!("(\"{}\", {})", function.name, if function.fails { "True" } else { "False" })
        };
        let calls: Vec<String> = interface.functions.iter().map(call).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name} = hookwright_runtime.exported(plugin, \"{name}\", [{}])", calls.join(", "));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_that_the_world_lacks_is_reported() {
        let known = BTreeSet::from(["kv".to_owned(), "types".to_owned()]);
        for (module, wanted) in [
            ("from wit_world.imports import kv, http as web\n", Some("http")),
            ("from wit_world.imports import (\n    kv,\n    mail,\n)\n", Some("mail")),
            ("from wit_world.imports.types import Manifest\nfrom wit_world.imports import kv as store\n", None),
            ("from wit_world.imports.tickets import get\n", Some("tickets")),
            ("import json\n", None),
        ] {
            assert_eq!(lacking(module, &known).as_deref(), wanted, "{module}");
        }
    }
}
