//! JavaScript and TypeScript: the script and the QuickJS engine become one component.

use std::path::Path;

use super::Work;
use crate::error::AuthorError;
use crate::files;
use crate::language::Language;
use crate::process::run;
use crate::tools::Tool;
use crate::world;

/// Makes a component of the plugin's script and the modules that it imports.
///
/// # Errors
/// A tool is missing or complains.
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
        let mut command = work.tools.command(Tool::TypeScript, language)?;
        command.current_dir(&work.folder).args(["-p", "."]).arg("--outDir").arg(&scripts);
        run(&mut command, &format!("checking the types of {}", work.settings.name))?;
    } else {
        copy(source, &scripts)?;
    }
    copy(&work.sdk(), &scripts)?;

    let name = Path::new(entry.file_stem().unwrap_or_default()).with_extension("js");
    let raw = work.target.join("raw.wasm");
    let mut command = work.tools.command(Tool::ComponentizeQjs, language)?;
    command.current_dir(&work.target).arg("--wit").arg(&wit).args(["--world", &work.settings.world]);
    command.arg("--js").arg(scripts.join(name)).arg("--module-root").arg(&scripts);
    // Without --sync the component needs the async ABI; without --stub-wasi it imports WASI, which plugins do not get.
    command.args(["--sync", "--stub-wasi", "--minify"]).arg("--output").arg(&raw);
    run(&mut command, &format!("making a component of {}", work.settings.name))?;
    std::fs::read(&raw).map_err(AuthorError::file(&raw, "reading the finished component"))
}

/// Copies the scripts of a folder and of the folders in it.
fn copy(from: &Path, to: &Path) -> Result<(), AuthorError> {
    let entries = std::fs::read_dir(from).map_err(AuthorError::file(from, "looking for scripts"))?;
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() {
            copy(&path, &to.join(name))?;
        } else if path.extension().is_some_and(|extension| extension == "js") {
            let text = std::fs::read_to_string(&path).map_err(AuthorError::file(&path, "reading a script"))?;
            files::write(&to.join(name), &text)?;
        }
    }
    Ok(())
}
