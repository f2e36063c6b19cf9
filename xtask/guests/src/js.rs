//! Building a plugin written in JavaScript: the script and the QuickJS engine become one component.
//!
//! The tool is `componentize-qjs` from npm, in the version that the plugin's own `package-lock.json` names. It needs
//! node and npm; nothing is installed outside of the scratch folder.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::command::{clean, on_path};
use crate::component::write_if_different;
use crate::error::BuildError;
use crate::workspace::Built;

/// The tool's package on npm, and the program that it brings.
const TOOL: &str = "componentize-qjs";

/// What to build, and where to.
#[derive(Debug, Clone)]
pub struct Script<'a> {
    /// The component's name, which is also the file's name and the world's.
    pub name: &'a str,
    /// The plugin's folder, with `NAME.js`, `package.json`, `package-lock.json` and `wit/world.wit`.
    pub folder: &'a Path,
    /// The folder of the WIT package `hookwright:plugin` that the world refers to.
    pub wit: &'a Path,
    /// A folder for what npm installs and for the joined WIT. It may be kept between builds.
    pub scratch: &'a Path,
    /// The folder that gets the component.
    pub out: &'a Path,
}

/// Builds the component; `report` gets progress messages.
///
/// # Errors
/// node or npm is missing, npm cannot install the tool, or the tool refuses the script.
pub fn build(script: &Script<'_>, report: &mut dyn FnMut(&str)) -> Result<Built, BuildError> {
    let scratch = script.scratch.join(script.name);
    std::fs::create_dir_all(&scratch).map_err(failed(&scratch, "making the scratch folder"))?;
    let scratch = scratch.canonicalize().map_err(failed(&scratch, "looking for the scratch folder"))?;
    let path = script.out.join(format!("{}.wasm", script.name));
    let inputs = inputs(script)?;
    let stamp = scratch.join("inputs");
    if path.exists() && std::fs::read_to_string(&stamp).is_ok_and(|last| last == inputs) {
        return Ok(Built { name: script.name.to_owned(), path, changed: false });
    }
    let tool = install(script, &scratch, report)?;
    let wit = join_wit(script, &scratch)?;

    let entry = script.folder.join(format!("{}.js", script.name));
    let entry = entry.canonicalize().map_err(failed(&entry, "looking for the script"))?;
    let raw = scratch.join("component.wasm");
    let mut command = clean(tool);
    command.current_dir(&scratch).arg("--wit").arg(wit).args(["--world", script.name]).arg("--js").arg(&entry);
    // Without --sync the component needs the async ABI; without --stub-wasi it imports WASI, which plugins do not get.
    command.args(["--sync", "--stub-wasi", "--minify"]).arg("--output").arg(&raw);
    run(&mut command, &format!("{TOOL} on {}", entry.display()), "correct what it names")?;

    let bytes = std::fs::read(&raw).map_err(failed(&raw, "reading the finished component"))?;
    let changed = write_if_different(&path, &bytes)?;
    std::fs::write(&stamp, inputs).map_err(failed(&stamp, "recording what was built"))?;
    Ok(Built { name: script.name.to_owned(), path, changed })
}

/// What the component is made of, as one number: the tool snapshots a running engine, so no two builds give the same
/// bytes, and building again what has not changed would look like a change.
fn inputs(script: &Script<'_>) -> Result<String, BuildError> {
    let mut files = wit_files(script.wit)?;
    files.extend([
        script.folder.join(format!("{}.js", script.name)),
        script.folder.join("package-lock.json"),
        script.folder.join("wit/world.wit"),
    ]);
    let mut hasher = DefaultHasher::new();
    for file in files {
        std::fs::read(&file).map_err(failed(&file, "reading what the plugin is made of"))?.hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

/// The files of a WIT package, in order of their names.
fn wit_files(folder: &Path) -> Result<Vec<PathBuf>, BuildError> {
    let entries = std::fs::read_dir(folder).map_err(failed(folder, "reading the WIT package"))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "wit"));
    files.sort();
    Ok(files)
}

fn failed(path: &Path, doing: &'static str) -> impl FnOnce(std::io::Error) -> BuildError + use<> {
    let path = path.to_owned();
    move |source| BuildError::File { path, doing, source }
}

/// Installs what the lock file names, unless that was done before, and answers the tool's path.
fn install(script: &Script<'_>, scratch: &Path, report: &mut dyn FnMut(&str)) -> Result<PathBuf, BuildError> {
    let mut npm = None;
    for program in ["node", "npm"] {
        npm = Some(on_path(program).ok_or_else(|| BuildError::Missing {
            program: program.into(),
            what: "plugins in JavaScript",
            remedy: "install Node.js 20 or newer with npm (on Debian, as root: apt-get install -y nodejs npm)".into(),
        })?);
    }
    let mut changed = false;
    for name in ["package.json", "package-lock.json"] {
        let from = script.folder.join(name);
        let bytes = std::fs::read(&from).map_err(failed(&from, "reading which version of the tool to use"))?;
        changed |= write_if_different(&scratch.join(name), &bytes)?;
    }
    let tool = scratch.join("node_modules/.bin").join(TOOL);
    if changed || !tool.exists() {
        report(&format!("Installing {TOOL} from npm for {}", script.name));
        // Not `npm ci`: that refuses a lock file which cannot name the tool's optional packages for machines that its
        // makers have not built it for. This keeps to the lock file's versions and digests all the same.
        let mut command = clean(npm.unwrap_or_else(|| "npm".into()));
        command.current_dir(scratch).args([
            "install",
            "--no-save",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--loglevel=error",
        ]);
        run(&mut command, "npm install", "check that npm reaches its registry")?;
    }
    if tool.exists() {
        return Ok(tool);
    }
    Err(BuildError::Missing {
        program: TOOL.into(),
        what: "plugins in JavaScript",
        remedy: format!("add it to devDependencies in {}", script.folder.join("package.json").display()),
    })
}

/// Lays the plugin's world and the package that it refers to as the WIT tools want them: `world.wit` and `deps/`.
fn join_wit(script: &Script<'_>, scratch: &Path) -> Result<PathBuf, BuildError> {
    let joined = scratch.join("wit");
    if joined.exists() {
        std::fs::remove_dir_all(&joined).map_err(failed(&joined, "removing the last build's WIT"))?;
    }
    let package = joined.join("deps/hookwright-plugin");
    std::fs::create_dir_all(&package).map_err(failed(&package, "making a folder"))?;
    let world = script.folder.join("wit/world.wit");
    std::fs::copy(&world, joined.join("world.wit")).map_err(failed(&world, "reading the plugin's world"))?;
    for from in wit_files(script.wit)? {
        let to = package.join(from.file_name().unwrap_or_default());
        std::fs::copy(&from, to).map_err(failed(&from, "copying the WIT package"))?;
    }
    Ok(joined)
}

/// Runs a program whose standard output nobody needs; its complaints are shown.
fn run(command: &mut Command, what: &str, remedy: &str) -> Result<(), BuildError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status().map_err(|source| BuildError::Start {
        program,
        source,
        remedy: "check that node works: node --version".into(),
    })?;
    if status.success() {
        return Ok(());
    }
    Err(BuildError::Failed {
        what: what.into(),
        status: status.to_string(),
        remedy: format!("see its output above; {remedy}"),
    })
}
