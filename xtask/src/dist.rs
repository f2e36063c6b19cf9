//! `cargo xtask dist`: the release binaries, one for machines with glibc and one that needs no library at all.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::ask::ask;
use crate::checkout::Checkout;
use crate::command::{cargo, run as start};
use crate::stage::Stages;
use crate::stop::Stop;
use crate::{setup, tools};

/// The target of the binary that is linked statically.
const MUSL: &str = "x86_64-unknown-linux-musl";

/// The task. `--glibc` and `--musl` build one of the two.
pub(crate) fn run(checkout: &Checkout, arguments: &[String]) -> Result<(), Stop> {
    let (glibc, musl) = match arguments {
        [] => (true, true),
        [only] if only == "--glibc" => (true, false),
        [only] if only == "--musl" => (false, true),
        _ => {
            let given = arguments.join(" ");
            return Err(Stop::new(format!("`{given}`: give `--glibc`, `--musl` or nothing, which builds both")));
        }
    };
    let mut stages = Stages::new(1 + usize::from(glibc) + 3 * usize::from(musl));
    stages.run("WebAssembly toolchain", setup::toolchain)?;
    if glibc {
        stages.run("server", || start(&mut build(checkout, None)))?;
    }
    if musl {
        stages.run("musl toolchain", musl_toolchain)?;
        stages.run("static server", || start(&mut build(checkout, Some(MUSL))))?;
        stages.run("start in an empty root", || starts_alone(&binary(checkout, Some(MUSL))))?;
    }
    for target in
        [(glibc, None), (musl, Some(MUSL))].into_iter().filter_map(|(wanted, target)| wanted.then_some(target))
    {
        let path = binary(checkout, target);
        let bytes = std::fs::metadata(&path).map_err(|error| Stop::file(&path, &error))?.len();
        println!("{}: {}", checkout.shown(&path), size(bytes));
    }
    Ok(())
}

pub(crate) fn build(checkout: &Checkout, target: Option<&str>) -> Command {
    let mut command = cargo(checkout);
    command.args(["build", "--profile", "dist", "--locked", "--package", "hookwright"]);
    if let Some(target) = target {
        command.args(["--target", target]);
    }
    command
}

pub(crate) fn binary(checkout: &Checkout, target: Option<&str>) -> PathBuf {
    let folder = target.map_or_else(|| checkout.target.clone(), |target| checkout.target.join(target));
    folder.join("dist").join(format!("hookwright{}", std::env::consts::EXE_SUFFIX))
}

/// Makes sure that Rust's standard library and a C compiler for musl are there.
fn musl_toolchain() -> Result<(), Stop> {
    let folder = ask("rustc", &["--print", "target-libdir", "--target", MUSL]);
    if !folder.is_some_and(|folder| Path::new(&folder).is_dir()) {
        println!("    Rust's standard library for {MUSL} is missing: asking rustup for it");
        start(Command::new("rustup").args(["target", "add", MUSL])).map_err(|stop| {
            Stop::new(format!("{stop}. The static binary needs it: run `rustup target add {MUSL}` where rustup works"))
        })?;
    }
    if ask("musl-gcc", &["--version"]).is_none() {
        tools::apt(&["musl-tools"], "musl-gcc is not on PATH")?;
    }
    Ok(())
}

/// Starts the binary in a root directory that holds nothing else, so a library that it needed would be missing.
fn starts_alone(binary: &Path) -> Result<(), Stop> {
    let root = std::env::temp_dir().join(format!("hookwright-empty-root-{}", std::process::id()));
    let made = std::fs::create_dir_all(&root).and_then(|()| std::fs::copy(binary, root.join("hookwright")));
    made.map_err(|error| Stop::file(&root, &error))?;
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--root"]).arg(&root).args(["/hookwright", "--version"]);
    let started = start(&mut command);
    std::fs::remove_dir_all(&root).map_err(|error| Stop::file(&root, &error))?;
    started.map_err(|stop| Stop::new(format!("the static binary does not start in an empty root directory: {stop}")))
}

/// A size as a person reads it.
fn size(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_decimal() {
        for (bytes, text) in [(0, "0.0 MB"), (45_060_000, "45.0 MB"), (999_999, "0.9 MB")] {
            assert_eq!(size(bytes), text);
        }
    }
}
