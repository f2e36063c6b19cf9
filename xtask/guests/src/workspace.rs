//! Building a cargo workspace of plugins.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::TARGET;
use crate::component::{encode, write_if_different};
use crate::error::BuildError;
use crate::toolchain::{Kind, Toolchain};

/// One finished component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The package's name without a leading `hookwright-`, which is also the file's name.
    pub name: String,
    /// The path of the component.
    pub path: PathBuf,
    /// Whether this build changed the file.
    pub changed: bool,
}

/// What to build, and where to.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The folder with the workspace's or the single crate's `Cargo.toml`.
    pub workspace: &'a Path,
    /// The folder for cargo's intermediate files, best the same for every workspace: what takes longest to compile, the
    /// bindings generator, is then compiled once. Each toolchain uses a folder of its own in it.
    pub target: &'a Path,
    /// The folder that gets the components.
    pub out: &'a Path,
    /// Only these packages; all of the workspace when empty.
    pub packages: &'a [&'a str],
    /// Whether the lock file must be up to date, as it is in what is checked in; else cargo brings it up to date.
    pub locked: bool,
    /// Whether the components keep the names of their functions, which backtraces show.
    pub names: bool,
}

/// Builds every plugin of the workspace at `workspace` (the first-party ones stand in `plugins/`).
///
/// Cargo's own output goes to standard error. A component file is written only when its bytes change.
///
/// # Errors
/// See [`build_workspace`].
pub fn build(toolchain: &Toolchain, workspace: &Path, target: &Path, out: &Path) -> Result<Vec<Built>, BuildError> {
    let request = Request { workspace, target, out, packages: &[], locked: true, names: false };
    build_workspace(toolchain, &request)
}

/// Builds the plugins that `request` asks for: each package whose library is a `cdylib` becomes `NAME.wasm`.
///
/// # Errors
/// Cargo cannot be started or fails, a module is not a component, a file cannot be written, or there is no plugin.
pub fn build_workspace(toolchain: &Toolchain, request: &Request<'_>) -> Result<Vec<Built>, BuildError> {
    let modules = compile(toolchain, request)?;
    if modules.is_empty() {
        return Err(BuildError::Nothing { workspace: request.workspace.into() });
    }
    let mut built = Vec::new();
    for (package, module) in modules {
        let name = package.strip_prefix("hookwright-").unwrap_or(&package).to_owned();
        let path = request.out.join(format!("{name}.wasm"));
        let changed = write_if_different(&path, &encode(&module, request.names)?)?;
        built.push(Built { name, path, changed });
    }
    built.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(built)
}

/// Runs cargo and answers package names with the core modules that they became.
fn compile(toolchain: &Toolchain, request: &Request<'_>) -> Result<Vec<(String, PathBuf)>, BuildError> {
    let file = |path: &Path, doing| {
        let path = path.to_owned();
        move |source| BuildError::File { path, doing, source }
    };
    let workspace = request.workspace.canonicalize().map_err(file(request.workspace, "looking for the plugins"))?;
    std::fs::create_dir_all(request.target).map_err(file(request.target, "making the target directory"))?;
    let target = request
        .target
        .canonicalize()
        .map_err(file(request.target, "looking for the target directory"))?
        .join(toolchain.folder());
    let locked = if request.locked { ["--locked"].as_slice() } else { &[] };
    // The sources of dependencies must be unpacked before their folders can be remapped.
    let mut fetch = toolchain.cargo();
    fetch.current_dir(&workspace).arg("fetch").args(locked).args(["--quiet", "--target", TARGET]);
    run(&mut fetch, "cargo fetch", &workspace)?;

    let mut cargo = toolchain.cargo();
    cargo.current_dir(&workspace).arg("build").args(locked).args(["--release", "--lib", "--target", TARGET]);
    cargo.arg("--message-format=json-render-diagnostics").arg("--target-dir").arg(&target);
    if request.packages.is_empty() {
        cargo.arg("--workspace");
    }
    for package in request.packages {
        cargo.args(["--package", package]);
    }
    if toolchain.builds_std() {
        cargo.arg("-Zbuild-std=std,panic_abort");
    }
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags(toolchain, &workspace).join("\u{1f}"));
    let messages = run(&mut cargo, "cargo build", &workspace)?;
    Ok(messages.lines().filter_map(artifact).collect())
}

/// Starts cargo with its standard error shown, and answers its standard output.
fn run(cargo: &mut std::process::Command, what: &str, workspace: &Path) -> Result<String, BuildError> {
    let program = cargo.get_program().to_string_lossy().into_owned();
    let output = cargo.stdin(Stdio::null()).stderr(Stdio::inherit()).output().map_err(|source| BuildError::Start {
        program,
        source,
        remedy: "Install Rust with cargo".into(),
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(BuildError::Failed {
        what: format!("{what} in {}", workspace.display()),
        status: output.status.to_string(),
        remedy: "see its output above".into(),
    })
}

/// The package's name and its module, out of one line of cargo's messages.
fn artifact(line: &str) -> Option<(String, PathBuf)> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    if message.get("reason")?.as_str()? != "compiler-artifact" {
        return None;
    }
    let kinds = message.pointer("/target/kind")?.as_array()?;
    if !kinds.iter().any(|kind| kind == "cdylib") {
        return None;
    }
    let files = message.get("filenames")?.as_array()?;
    let module = files.iter().filter_map(|file| file.as_str()).find(|file| file.ends_with(".wasm"))?;
    // `path+file:///folder/match#hookwright-match@0.1.0`, or without the name where the folder has the same one.
    let id = message.get("package_id")?.as_str()?;
    let (place, version) = id.rsplit_once('#')?;
    let name = version.split_once('@').map_or_else(|| place.rsplit('/').next(), |(name, _)| Some(name))?;
    Some((name.to_owned(), PathBuf::from(module)))
}

/// Flags that keep this machine's paths out of the components: panic messages name source files.
fn flags(toolchain: &Toolchain, workspace: &Path) -> Vec<String> {
    let mut flags = vec![remap(workspace, "plugins")];
    // Path dependencies of an example stand outside its own workspace.
    if let Some(parent) = workspace.parent() {
        flags.insert(0, remap(parent, ""));
    }
    for source in registry_sources() {
        flags.push(remap(&source, "crates"));
    }
    if let Kind::Debian(debian) = &toolchain.kind {
        flags.extend(debian.sources.iter().map(|source| remap(source, "rust")));
        flags.push("-Clinker-flavor=wasm-ld".into());
    }
    flags
}

fn remap(from: &Path, to: &str) -> String {
    format!("--remap-path-prefix={}={to}", from.display())
}

/// The folders in which cargo unpacks the sources of dependencies, one for each registry.
fn registry_sources() -> Vec<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let Some(Ok(entries)) = home.map(|home| std::fs::read_dir(home.join("registry/src"))) else { return Vec::new() };
    entries.flatten().map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_about_a_plugin_gives_its_package_and_module() {
        let line = r#"{"reason":"compiler-artifact","package_id":"path+file:///w/plugins/match#hookwright-match@0.1.0",
            "target":{"kind":["cdylib"]},"filenames":["/t/hookwright_match.wasm"]}"#;
        assert_eq!(artifact(line), Some(("hookwright-match".into(), "/t/hookwright_match.wasm".into())));
        let same = r#"{"reason":"compiler-artifact","package_id":"path+file:///w/spin#0.1.0","target":{"kind":["cdylib","rlib"]},"filenames":["/t/spin.wasm"]}"#;
        assert_eq!(artifact(same), Some(("spin".into(), "/t/spin.wasm".into())));
    }

    #[test]
    fn other_messages_are_ignored() {
        for line in [
            "",
            "not json",
            r#"{"reason":"build-finished","success":true}"#,
            r#"{"reason":"compiler-artifact","package_id":"a#b@1.0.0","target":{"kind":["lib"]},"filenames":["/t/libb.rlib"]}"#,
        ] {
            assert_eq!(artifact(line), None, "{line}");
        }
    }
}
