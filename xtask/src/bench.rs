//! `cargo xtask bench`: the benchmarks, of this checkout's server or of two servers in alternation.

use std::path::{Path, PathBuf};
use std::process::Command;

use hookwright_guests::Toolchain;

use crate::ask::ask;
use crate::checkout::Checkout;
use crate::command::{cargo, run as start};
use crate::stage::Stages;
use crate::stop::Stop;
use crate::{dist, plugins, setup};

/// The task; `arguments` are the benchmarks' own. What is measured is the server as it is shipped.
pub(crate) fn run(checkout: &Checkout, arguments: &[String]) -> Result<(), Stop> {
    match arguments {
        [only] if only == "help" => {
            build_program(checkout)?;
            start(program(checkout).arg("help"))
        }
        [first, a, b, ..] if first == "compare" => compare(checkout, arguments, a, b),
        _ => measure(checkout, arguments),
    }
}

fn measure(checkout: &Checkout, arguments: &[String]) -> Result<(), Stop> {
    let mut stages = Stages::new(5);
    let toolchain = stages.run("WebAssembly toolchain", setup::toolchain)?;
    stages.run("plugins", || plugins::first_party(checkout, &toolchain))?;
    stages.run("programs that measure", || checked_program(checkout, arguments))?;
    stages.run("server", || start(&mut dist::build(checkout, None)))?;
    stages.last("benchmarks", || {
        let mut command = program(checkout);
        command.args(arguments).env("HOOKWRIGHT_BIN", dist::binary(checkout, None));
        start(command.env("HOOKWRIGHT_PLUGINS", checkout.plugins()))
    })
}

fn compare(checkout: &Checkout, arguments: &[String], a: &str, b: &str) -> Result<(), Stop> {
    let mut stages = Stages::new(6);
    let toolchain = stages.run("WebAssembly toolchain", setup::toolchain)?;
    stages.run("plugins", || plugins::first_party(checkout, &toolchain))?;
    stages.run("programs that measure", || checked_program(checkout, arguments))?;
    let a = stages.run("server A", || Side::of(checkout, &toolchain, a))?;
    let b = stages.run("server B", || Side::of(checkout, &toolchain, b))?;
    stages.last("benchmarks", || {
        let mut command = program(checkout);
        command.args(arguments);
        command.env("HOOKWRIGHT_BIN_A", a.binary).env("HOOKWRIGHT_PLUGINS_A", a.plugins);
        start(command.env("HOOKWRIGHT_BIN_B", b.binary).env("HOOKWRIGHT_PLUGINS_B", b.plugins))
    })
}

fn program(checkout: &Checkout) -> Command {
    Command::new(checkout.program("hookwright-bench"))
}

fn build_program(checkout: &Checkout) -> Result<(), Stop> {
    start(cargo(checkout).args(["build", "--release", "--locked", "--workspace", "--bin", "hookwright-bench"]))
}

/// Builds the program, and has it check its arguments before servers are built, which takes minutes.
fn checked_program(checkout: &Checkout, arguments: &[String]) -> Result<(), Stop> {
    build_program(checkout)?;
    start(program(checkout).arg("check").args(arguments))
}

/// One of two servers that are compared.
struct Side {
    binary: PathBuf,
    plugins: PathBuf,
}

impl Side {
    /// The binary with this path, with the plugins of this checkout beside it, or the commit of this name, built.
    fn of(checkout: &Checkout, toolchain: &Toolchain, name: &str) -> Result<Self, Stop> {
        let path = Path::new(name);
        if path.is_file() {
            let binary = path.canonicalize().map_err(|error| Stop::file(path, &error))?;
            return Ok(Self { binary, plugins: checkout.plugins() });
        }
        let own = worktree(checkout, &commit(checkout, name)?)?;
        let side = Self { binary: dist::binary(&own, None), plugins: own.plugins() };
        if side.binary.is_file() {
            println!("    {} was built before", checkout.shown(&side.binary));
            return Ok(side);
        }
        // The binary last, so that it is there only if everything is.
        plugins::first_party(&own, toolchain)?;
        start(&mut dist::build(&own, None))?;
        Ok(side)
    }
}

/// The full hash of a commit.
fn commit(checkout: &Checkout, name: &str) -> Result<String, Stop> {
    let (root, revision) = (checkout.root.to_string_lossy(), format!("{name}^{{commit}}"));
    ask("git", &["-C", &root, "rev-parse", "--verify", "--quiet", &revision])
        .ok_or_else(|| Stop::new(format!("`{name}` is neither the path of a file nor a commit of this checkout")))
}

/// A checkout of a commit, with a target folder of its own.
fn worktree(checkout: &Checkout, commit: &str) -> Result<Checkout, Stop> {
    let root = checkout.target.join("bench").join(commit);
    if !root.join("Cargo.toml").is_file() {
        let mut git = Command::new("git");
        // Forced, since a worktree whose folder was removed is still registered.
        git.arg("-C").arg(&checkout.root).args(["worktree", "add", "--force", "--detach"]).arg(&root).arg(commit);
        start(&mut git)?;
    }
    Ok(Checkout { target: root.join("target"), root, linter: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_resolved_and_anything_else_is_named() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let checkout = Checkout { target: root.join("target"), root, linter: None };
        let stop = commit(&checkout, "no-such-commit").unwrap_err().to_string();
        assert!(stop.contains("`no-such-commit` is neither"), "{stop}");
        // A checkout from an archive has no commits.
        if let Ok(head) = commit(&checkout, "HEAD") {
            assert!(head.len() >= 40 && head.bytes().all(|byte| byte.is_ascii_hexdigit()), "{head}");
        }
    }
}
