//! Go: the compiler makes a WASI module; the SDK, which is a module of its own without dependencies, is the binding.

use wit_component::StringEncoding;

use super::{Work, component};
use crate::error::AuthorError;
use crate::language::Language;
use crate::process::run;
use crate::tool::Tool;

/// Compiles the module in the plugin's folder.
///
/// # Errors
/// Go is missing or fails, or the module does not match the world.
pub(super) fn build(work: &Work<'_>) -> Result<Vec<u8>, AuthorError> {
    let core = work.target.join("core.wasm");
    let mut command = work.tools.command(Tool::Go, Language::Go)?;
    command.current_dir(&work.folder).args(["build", "-buildmode=c-shared", "-trimpath", "-ldflags=-w", "-o"]);
    command.arg(&core).arg(".");
    // No other toolchain than the one that was found is downloaded. The user's settings for modules are kept.
    command.envs([("GOOS", "wasip1"), ("GOARCH", "wasm"), ("GOTOOLCHAIN", "local"), ("GOFLAGS", "-buildvcs=false")]);
    if std::env::var_os("GOCACHE").is_none() {
        command.env("GOCACHE", work.tools.root().join("go"));
    }
    run(&mut command, &format!("compiling {}", work.settings.name))?;
    component::encode(work, &core, Some(StringEncoding::UTF8))
}
