//! JavaScript and TypeScript: the script and the QuickJS engine become one component.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::json;

use super::{Work, shapes};
use crate::error::AuthorError;
use crate::files;
use crate::language::Language;
use crate::process::run;
use crate::tool::Tool;
use crate::world;

/// What modules of the host begin with.
const HOST: &str = "hookwright:plugin/";
/// The folder of the modules that stand before the host's, beside the scripts.
const CHECKED: &str = "hookwright_host";
/// The module that the component is made of: it imports the runtime, then the plugin.
const ENTRY: &str = "hookwright_entry.js";

/// Makes a component of the plugin's script and the modules that it imports.
///
/// # Errors
/// A tool is missing or complains, or a module is imported that is not there.
pub(super) fn build(work: &Work<'_>) -> Result<Vec<u8>, AuthorError> {
    let language = work.settings.language;
    let wit = work.target.join("wit");
    world::lay_out(&work.folder, &work.settings, &wit)?;
    // What runs stands in one folder: the plugin's modules and the SDK's, so that each finds the others by `./`.
    let scripts = work.target.join("js");
    let entry = work.entry();
    let source = entry.parent().unwrap_or(&work.folder);
    if scripts.exists() {
        std::fs::remove_dir_all(&scripts).map_err(AuthorError::file(&scripts, "removing the last build"))?;
    }
    if language == Language::TypeScript {
        let compiled = work.target.join("ts");
        if compiled.exists() {
            std::fs::remove_dir_all(&compiled).map_err(AuthorError::file(&compiled, "removing the last build"))?;
        }
        let mut command = work.tools.command(Tool::TypeScript, language)?;
        command.current_dir(&work.folder).args(["-p", "."]).arg("--outDir").arg(&compiled);
        run(&mut command, &format!("checking the types of {}", work.settings.name))?;
        copy(work, &compiled, &scripts, 0)?;
    } else {
        copy(work, source, &scripts, 0)?;
    }
    for (name, text) in files::under(files::SDKS, "javascript").filter(|(name, _)| name.ends_with(".js")) {
        files::write(&scripts.join(name), text)?;
    }
    let name = Path::new(entry.file_stem().unwrap_or_default()).with_extension("js");
    wrap(work, &scripts, &name.to_string_lossy())?;

    let raw = work.target.join("raw.wasm");
    let mut command = work.tools.command(Tool::ComponentizeQjs, language)?;
    command.current_dir(&work.target).arg("--wit").arg(&wit).args(["--world", world::BUILD]);
    command.arg("--js").arg(scripts.join(ENTRY)).arg("--module-root").arg(&scripts);
    // Without --sync the component needs the async ABI; without --stub-wasi it imports WASI, which plugins do not get. Not
    // minified: an exception names the line that it came from.
    command.args(["--sync", "--stub-wasi"]).arg("--output").arg(&raw);
    run(&mut command, &format!("making a component of {}", work.settings.name))?;
    std::fs::read(&raw).map_err(AuthorError::file(&raw, "reading the finished component"))
}

/// Writes the modules that stand between the plugin and the host: one for each interface that it may import, and the entry.
fn wrap(work: &Work<'_>, scripts: &Path, plugin: &str) -> Result<(), AuthorError> {
    let world = world::built(&work.folder, &work.settings)?;
    for interface in shapes::interfaces(&world, false) {
        let mut text = format!("import * as host from '{}';\n", interface.id);
        text.push_str("import { imported } from '../hookwright_runtime.js';\n");
        for function in &interface.functions {
            let name = &function.name;
            let parameters = json!(function.parameters);
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "export const {name} = imported('{}.{name}', (...given) => host.{name}(...given), {parameters});",
                interface.name
            );
        }
        files::write(&scripts.join(CHECKED).join(format!("{}.js", interface.name)), &text)?;
    }
    let mut text =
        format!("import {{ exported }} from './hookwright_runtime.js';\nimport * as plugin from './{plugin}';\n");
    for interface in shapes::interfaces(&world, true) {
        let functions: Vec<_> = interface
            .functions
            .iter()
            .map(|function| json!([function.name, function.answer, function.fails]))
            .collect();
        let name = shapes::camel(&interface.name);
        let _ = writeln!(text, "export const {name} = exported('{name}', plugin.{name}, {});", json!(functions));
    }
    files::write(&scripts.join(ENTRY), &text)
}

/// Copies the scripts of a folder and of the folders in it, each importing the checked modules instead of the host's.
fn copy(work: &Work<'_>, from: &Path, to: &Path, depth: usize) -> Result<(), AuthorError> {
    let known = known(work)?;
    let entries = std::fs::read_dir(from).map_err(AuthorError::file(from, "looking for scripts"))?;
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() {
            copy(work, &path, &to.join(name), depth.saturating_add(1))?;
        } else if path.extension().is_some_and(|extension| extension == "js") {
            let text = std::fs::read_to_string(&path).map_err(AuthorError::file(&path, "reading a script"))?;
            let text = pointed(&text, depth, &known).map_err(|reason| AuthorError::Module { path, reason })?;
            files::write(&to.join(name), &text)?;
        }
    }
    Ok(())
}

/// The interfaces that the plugin's world has.
fn known(work: &Work<'_>) -> Result<BTreeSet<String>, AuthorError> {
    let world = world::built(&work.folder, &work.settings)?;
    let interfaces = [false, true].into_iter().flat_map(|exported| shapes::interfaces(&world, exported));
    Ok(interfaces.map(|interface| interface.name).collect())
}

/// A script whose imports of the host lead to the checked modules.
///
/// # Errors
/// What is wrong with a module that it imports, and what to do.
fn pointed(script: &str, depth: usize, known: &BTreeSet<String>) -> Result<String, String> {
    let up = if depth == 0 { "./".to_owned() } else { "../".repeat(depth) };
    let mut result = String::with_capacity(script.len());
    for line in script.split_inclusive('\n') {
        let Some((before, quote, module, after)) = specifier(line) else {
            result.push_str(line);
            continue;
        };
        if let Some(rest) = module.strip_prefix(HOST) {
            let name = rest.split('@').next().unwrap_or(rest);
            if !known.contains(name) {
                return Err(format!(
                    "it imports `{module}`, which the plugin's world lacks: add `import hookwright:plugin/{name}@0.1.0;` to {}",
                    world::WORLD
                ));
            }
            // What is on the same line stays there: exceptions name lines.
            result.push_str(&format!("{before}{quote}{up}{CHECKED}/{name}.js{quote}{after}"));
        } else if module.starts_with('.') {
            result.push_str(line);
        } else {
            return Err(format!(
                "it imports `{module}`, and packages of npm are not bundled: bundle it into one file first, as \
                 `npx esbuild src/plugin.js --bundle --format=esm --external:hookwright:* --external:./hookwright.js \
                 --external:./json.js --outfile=bundle/plugin.js` does, and name that as `entry` in hookwright.toml"
            ));
        }
    }
    Ok(result)
}

/// The module that a line imports, between what stands before and after it.
fn specifier(line: &str) -> Option<(&str, char, &str, &str)> {
    let start = line.trim_start();
    let begins = ["import ", "import{", "import\"", "import'", "import*", "export {", "export{", "export *", "}"];
    if !begins.iter().any(|begin| start.starts_with(begin)) {
        return None;
    }
    let from = line.rfind(" from ").map(|place| place.saturating_add(" from ".len()));
    let bare = || start.starts_with("import").then(|| line.find("import").map(|place| place.saturating_add(6)))?;
    let place = from.or_else(bare)?;
    let (before, rest) = line.split_at_checked(place)?;
    let trimmed = rest.trim_start();
    let quote = trimmed.chars().next().filter(|quote| ['\'', '"'].contains(quote))?;
    let (module, after) = trimmed.get(1..)?.split_once(quote)?;
    // A string that only looks like an import.
    (!before.contains(['\'', '"', '`'])).then_some((before, quote, module, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_imports_are_rewritten_and_others_are_rejected() {
        let known = BTreeSet::from(["kv".to_owned()]);
        for (script, depth, wanted) in [
            (
                "import { get } from 'hookwright:plugin/kv@0.1.0';\n",
                0,
                "import { get } from './hookwright_host/kv.js';\n",
            ),
            (
                "import * as kv from \"hookwright:plugin/kv@0.1.0\"\n",
                1,
                "import * as kv from \"../hookwright_host/kv.js\"\n",
            ),
            (
                "import {\n  get,\n} from 'hookwright:plugin/kv@0.1.0';",
                0,
                "import {\n  get,\n} from './hookwright_host/kv.js';",
            ),
            ("export { x } from './x.js'; // from 'y'\n", 0, "export { x } from './x.js'; // from 'y'\n"),
            ("} // \"a from 'b'\n", 0, "} // \"a from 'b'\n"),
            ("import './other.js';\nconst x = \" from 'y'\";\n", 0, "import './other.js';\nconst x = \" from 'y'\";\n"),
        ] {
            assert_eq!(pointed(script, depth, &known).as_deref(), Ok(wanted), "{script}");
        }
        let lacking = pointed("import { send } from 'hookwright:plugin/http@0.1.0';", 0, &known).unwrap_err();
        assert!(lacking.contains("add `import hookwright:plugin/http@0.1.0;` to wit/world.wit"), "{lacking}");
        for script in ["import dayjs from 'dayjs';", "import 'left-pad';"] {
            assert!(pointed(script, 0, &known).unwrap_err().contains("esbuild"), "{script}");
        }
    }
}
