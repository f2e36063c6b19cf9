//! `hookwright compile-component`: the process that the server starts to compile a component, within limits that the
//! operating system enforces.

use std::io::{stdin, stdout};
use std::process::ExitCode;

use clap::Args;
use hookwright_plugin::{CompilerProcess, CompilerSettings, compile_component};

use crate::failed::Done;

/// The name of the command.
const NAME: &str = "compile-component";
/// The maximum address space, in bytes: several times what the largest components need.
#[cfg(unix)]
const MAX_MEMORY: u64 = 4 * 1024 * 1024 * 1024;
/// The maximum processor time over all cores, in seconds.
#[cfg(unix)]
const MAX_CPU: u64 = 240;

/// The arguments, which only the server passes.
#[derive(Args)]
pub(crate) struct Compile {
    stack_bytes: String,
    memory_reservation: String,
}

/// This program as the compiler command.
pub(crate) fn process() -> std::io::Result<CompilerProcess> {
    // On Linux, the running file, even if it has been replaced by another version since.
    let itself = std::path::PathBuf::from("/proc/self/exe");
    let program = if itself.exists() { itself } else { std::env::current_exe()? };
    Ok(CompilerProcess { program, arguments: vec![NAME.to_owned()] })
}

/// Compiles the component on standard input.
pub(crate) fn run(compile: &Compile) -> Done {
    bound()?;
    let settings = CompilerSettings::from_arguments(&compile.stack_bytes, &compile.memory_reservation)
        .ok_or("the compiler settings are not numbers: only the server itself runs this command")?;
    compile_component(settings, stdin().lock(), stdout().lock())?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(unix)]
fn bound() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    for (resource, most) in [(Resource::As, MAX_MEMORY), (Resource::Cpu, MAX_CPU), (Resource::Core, 0)] {
        let maximum = getrlimit(resource).maximum.map_or(most, |maximum| maximum.min(most));
        setrlimit(resource, Rlimit { current: Some(maximum), maximum: Some(maximum) })?;
    }
    // If memory runs out, the kernel should kill this process before the server. Other systems lack this file.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    Ok(())
}

#[cfg(not(unix))]
fn bound() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    Ok(())
}
