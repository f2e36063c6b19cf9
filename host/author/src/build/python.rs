//! Python: the source, the interpreter and the bindings become one component.

use super::Work;
use crate::error::AuthorError;
use crate::language::Language;
use crate::process::run;
use crate::tools::Tool;
use crate::world;

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
    let raw = work.target.join("raw.wasm");
    let mut command = work.tools.command(Tool::ComponentizePy, Language::Python)?;
    command.current_dir(&work.target).arg("-d").arg(&wit).args(["-w", &work.settings.world]);
    // Without --stub-wasi it imports WASI, which plugins do not get.
    command.arg("componentize").arg("--stub-wasi").arg("-p").arg(source).arg("-p").arg(work.sdk());
    command.arg(module).arg("-o").arg(&raw);
    run(&mut command, &format!("making a component of {}", work.settings.name))?;
    std::fs::read(&raw).map_err(AuthorError::file(&raw, "reading the finished component"))
}
