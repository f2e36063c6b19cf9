//! Zig and AssemblyScript, whose compilers make WebAssembly without a runtime. Their SDKs are the bindings.

use wit_component::StringEncoding;

use super::{Work, component, exports};
use crate::error::AuthorError;
use crate::files;
use crate::language::Language;
use crate::process::run;
use crate::tool::Tool;

/// Bytes of the stack; Zig's own choice is 16 MiB.
const STACK: u32 = 128 * 1024;

/// Compiles a plugin in Zig.
///
/// # Errors
/// Zig is missing or complains, or the module is not what the world asks for.
pub(super) fn zig(work: &Work<'_>) -> Result<Vec<u8>, AuthorError> {
    let core = work.target.join("core.wasm");
    let mut command = work.tools.command(Tool::Zig, Language::Zig)?;
    command.current_dir(&work.target).arg("build-exe").args(["--name", "core"]);
    // Safe: an index out of bounds or an overflow ends the call with a message instead of reading what stands there.
    command.args(["-target", "wasm32-freestanding", "-O", "ReleaseSafe", "-fno-entry", "-rdynamic", "-fno-strip"]);
    command.arg("--stack").arg(STACK.to_string()).arg("--cache-dir").arg(work.target.join("zig-cache"));
    command
        .args(["--dep", "hookwright", "--dep", "plugin"])
        .arg(format!("-Mroot={}", work.sdk().join("root.zig").display()));
    command.args(["--dep", "hookwright"]).arg(format!("-Mplugin={}", work.entry().display()));
    command.arg(format!("-Mhookwright={}", work.sdk().join("hookwright.zig").display()));
    run(&mut command, &format!("compiling {}", work.settings.name))?;
    component::encode(work, &core, Some(StringEncoding::UTF8))
}

/// Compiles a plugin in AssemblyScript, whose texts are UTF-16.
///
/// # Errors
/// AssemblyScript is missing or complains, or the module is not what the world asks for.
pub(super) fn assemblyscript(work: &Work<'_>) -> Result<Vec<u8>, AuthorError> {
    let core = work.target.join("core.wasm");
    let mut command = work.tools.command(Tool::AssemblyScript, Language::AssemblyScript)?;
    // The SDK's exports call the plugin's functions, which they find in this file.
    let entry = work.settings.entry.trim_start_matches("./").trim_end_matches(".ts");
    files::write(&work.sdk().join("plugin").with_extension("ts"), &format!("export * from \"../../{entry}\";\n"))?;
    command.current_dir(&work.folder).arg(format!("target/sdk/{}.ts", work.settings.kind));
    command.args(["--optimizeLevel", "3", "--shrinkLevel", "1", "--runtime", "minimal", "--debug"]);
    for name in ["abort", "console"] {
        command.arg("--use").arg(format!("{name}=target/sdk/runtime/{name}"));
    }
    command.arg("--outFile").arg(&core);
    run(&mut command, &format!("compiling {}", work.settings.name))?;
    exports::rename(&core)?;
    component::encode(work, &core, Some(StringEncoding::UTF16))
}
