//! Go: the compiler makes a WASI module; the SDK, which is a module of its own without dependencies, is the binding.

use wit_component::StringEncoding;

use super::{Work, component};
use crate::error::AuthorError;
use crate::language::Language;
use crate::process::run;
use crate::tools::Tool;

/// Compiles the module in the plugin's folder.
///
/// # Errors
/// Go is missing or complains, or the module is not what the world asks for.
pub(super) fn build(work: &Work<'_>) -> Result<Vec<u8>, AuthorError> {
    let core = work.target.join("core.wasm");
    let mut command = work.tools.command(Tool::Go, Language::Go)?;
    command.current_dir(&work.folder).args(["build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o"]);
    command.arg(&core).arg(".");
    // Another toolchain than the one that was found is not fetched. The user's own settings for modules stay.
    command.envs([("GOOS", "wasip1"), ("GOARCH", "wasm"), ("GOTOOLCHAIN", "local"), ("GOFLAGS", "-buildvcs=false")]);
    if std::env::var_os("GOCACHE").is_none() {
        command.env("GOCACHE", work.tools.root().join("go"));
    }
    run(&mut command, &format!("compiling {}", work.settings.name))?;
    component::encode(work, &core, Some(StringEncoding::UTF8))
}
