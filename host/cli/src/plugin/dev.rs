//! `hookwright plugin dev`: a plugin's folder followed. What does not build or fails a case never reaches the server.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use clap::Args;
use hookwright_cases::FOLDER;
use hookwright_model::{Clock as _, SystemClock};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use super::artifact::Artifact;
use super::engine::Workshop;
use super::{author, lifecycle, test, transfer};
use crate::failed::{Done, Failed, at, problem};
use crate::remote::{Connection, Remote};
use crate::screen::{self, span};

#[derive(Args)]
pub(crate) struct Dev {
    /// The plugin's folder
    #[arg(default_value = ".", value_name = "DIR")]
    dir: PathBuf,
    /// The name that the plugin gets [default: the component's file name]
    #[arg(long, value_parser = super::name)]
    name: Option<String>,
    /// The folder of the cases [default: DIR/cases, if it is there]
    #[arg(long, value_name = "DIR")]
    cases: Option<PathBuf>,
    /// Build by this command, run by `sh` in the folder, instead of as `hookwright plugin build` does
    #[arg(long, value_name = "COMMAND", requires = "component")]
    build: Option<String>,
    /// The component that the command makes; without a command, one that something else makes
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
    /// Grant whatever each version wants
    #[arg(long)]
    approve: bool,
    #[command(flatten)]
    connection: Connection,
}

/// How long nothing must change before the work begins.
const QUIET: Duration = Duration::from_millis(150);
/// How much of what a command complained of is shown, in lines.
const COMPLAINT: usize = 20;
/// Folders that builds fill.
const MADE: [&str; 5] = ["target", "node_modules", "__pycache__", "dist", "zig-out"];

/// What is followed.
struct Folder {
    path: PathBuf,
    /// The component, if it is not `hookwright plugin build` that makes it.
    component: Option<PathBuf>,
    /// Whether something else makes the component, so that it is followed itself.
    waits: bool,
}

pub(crate) fn run(dev: &Dev) -> Done {
    let path = dev.dir.canonicalize().map_err(|error| at(&dev.dir, &error))?;
    let component = dev.component.as_ref().map(|file| path.join(file));
    let folder = Folder { waits: dev.build.is_none() && component.is_some(), path, component };
    let remote = dev.connection.open()?;
    let workshop = Workshop::with_user_cache()?;
    let (_watcher, changes) = follow(&folder)?;
    tell(format_args!("following {}; the server is {}", folder.path.display(), remote.base()));
    let mut pushed = None;
    loop {
        let state = folder.state();
        match round(dev, &folder, &workshop, &remote, pushed.as_deref()) {
            Ok(Some(digest)) => pushed = Some(digest),
            Ok(None) => {}
            Err(error) => tell(error),
        }
        while folder.state() == state {
            settle(&changes)?;
        }
    }
}

/// Builds, tests and pushes once; the digest of what was pushed, if anything was.
fn round(
    dev: &Dev,
    folder: &Folder,
    workshop: &Workshop,
    remote: &Remote,
    pushed: Option<&str>,
) -> Result<Option<String>, Failed> {
    let began = Instant::now();
    let artifact = Artifact::read(&build(dev, folder)?)?;
    let size = u64::try_from(artifact.bytes.len()).unwrap_or(u64::MAX);
    let plugin = workshop.load(artifact.bytes.clone())?;
    tell(format_args!(
        "{} {} ({}) built in {}",
        plugin.manifest().name,
        plugin.manifest().version,
        screen::bytes(size),
        span(began.elapsed())
    ));
    let default = folder.path.join(FOLDER);
    if let Some(cases) = dev.cases.as_deref().or_else(|| default.is_dir().then_some(&*default)) {
        let reports = test::reports(workshop, &plugin, &hookwright_cases::read(cases)?);
        let failed: Vec<_> = reports.iter().filter(|report| !report.passed()).collect();
        if !failed.is_empty() {
            failed.iter().for_each(|report| test::show(report));
            let message =
                format!("{} of {} cases failed: the version before stays in use", failed.len(), reports.len());
            return Err(problem("case.failed", message));
        }
        tell(format_args!("{} cases passed", reports.len()));
    }
    if pushed == Some(plugin.digest()) {
        tell("the component is the same as before");
        return Ok(None);
    }
    let name = dev.name.clone().map_or_else(|| artifact.name(), Ok)?;
    let answer = transfer::send(remote, &artifact, &name, dev.approve, None)?;
    tell(lifecycle::outcome(&answer));
    Ok(Some(plugin.digest().to_owned()))
}

/// Makes the component; returns where it stands.
fn build(dev: &Dev, folder: &Folder) -> Result<PathBuf, Failed> {
    let Some(component) = &folder.component else { return author::build(&folder.path) };
    if let Some(command) = &dev.build {
        let made = Command::new("sh").arg("-c").arg(command).current_dir(&folder.path).output();
        let made = made.map_err(|error| problem("build.failed", format!("`{command}` cannot be run: {error}")))?;
        if !made.status.success() {
            let said = [made.stdout, made.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            let lines: Vec<&str> = said.lines().collect();
            let end = lines.get(lines.len().saturating_sub(COMPLAINT)..).unwrap_or_default().join("\n");
            return Err(problem("build.failed", format!("`{command}` ended with {}\n{end}", made.status)));
        }
    }
    Ok(component.clone())
}

/// Says what happened, and when (UTC).
fn tell(text: impl std::fmt::Display) {
    let now = SystemClock.now().to_string();
    screen::line(format_args!("{} {text}", now.get(11..19).unwrap_or_default()));
}

/// Begins to follow the folder, and the component if it lies elsewhere, for as long as the watcher lives.
fn follow(folder: &Folder) -> Result<(RecommendedWatcher, Receiver<()>), Failed> {
    let (told, changes) = channel();
    let mut watcher = notify::recommended_watcher(move |_| {
        // Nobody listens any more: the command ends.
        let _ = told.send(());
    })?;
    watcher.watch(&folder.path, RecursiveMode::Recursive)?;
    if let Some(beside) = folder.component.as_deref().filter(|_| folder.waits).and_then(Path::parent)
        && !beside.starts_with(&folder.path)
    {
        watcher.watch(beside, RecursiveMode::NonRecursive)?;
    }
    Ok((watcher, changes))
}

/// Waits for a change, and then until no further one comes.
fn settle(changes: &Receiver<()>) -> Result<(), Failed> {
    let gone = || problem("file.unusable", "the folder can no longer be followed");
    changes.recv().map_err(|_| gone())?;
    loop {
        match changes.recv_timeout(QUIET) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => return Ok(()),
            Err(RecvTimeoutError::Disconnected) => return Err(gone()),
        }
    }
}

impl Folder {
    /// Stands for what is in the folder: another number, other contents. What builds make is left out.
    fn state(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.add(&self.path, &mut hasher);
        if let Some(component) = self.component.as_deref().filter(|_| self.waits) {
            stamp(component, &mut hasher);
        }
        hasher.finish()
    }

    fn add(&self, folder: &Path, hasher: &mut DefaultHasher) {
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort_unstable();
        for path in paths {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if name.starts_with('.') || MADE.contains(&name.as_str()) || self.component.as_deref() == Some(&path) {
                continue;
            }
            if path.is_dir() {
                self.add(&path, hasher);
            } else {
                stamp(&path, hasher);
            }
        }
    }
}

/// A file's name, size and time of change.
fn stamp(path: &Path, hasher: &mut DefaultHasher) {
    path.hash(hasher);
    if let Ok(about) = std::fs::metadata(path) {
        about.len().hash(hasher);
        about.modified().ok().hash(hasher);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_build_makes_is_no_change() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let file = |name: &str, text: &str| {
            std::fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            std::fs::write(root.join(name), text).unwrap();
        };
        file("src/lib.rs", "1");
        let built = Folder { path: root.to_owned(), component: Some(root.join("out.wasm")), waits: false };
        let waiting = Folder { path: root.to_owned(), component: Some(root.join("out.wasm")), waits: true };
        let (before, waiting_before) = (built.state(), waiting.state());
        for name in ["target/a/b", ".git/x", "node_modules/y", "out.wasm"] {
            file(name, "made");
            assert_eq!(built.state(), before, "{name}");
        }
        assert_ne!(waiting.state(), waiting_before, "a component that something else makes is followed");
        file("src/lib.rs", "12");
        assert_ne!(built.state(), before);
        let changed = built.state();
        file("cases/new.json", "{}");
        assert_ne!(built.state(), changed);
    }
}
