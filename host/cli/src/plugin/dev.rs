//! `hookwright plugin dev`: watches a plugin's folder. A version that does not build or fails a case is not pushed.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use clap::Args;
use hookwright_author::Profile;
use hookwright_cases::FOLDER;
use hookwright_model::{Clock as _, SystemClock};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use super::artifact::Artifact;
use super::engine::Workshop;
use super::transfer::InstallOptions;
use super::{author, lifecycle, test, transfer};
use crate::failed::{Done, Failed, at, problem};
use crate::remote::{Connection, Remote};
use crate::screen::{self, span};

#[derive(Args)]
pub(crate) struct Dev {
    /// The plugin's folder
    #[arg(default_value = ".", value_name = "DIR")]
    dir: PathBuf,
    /// The plugin's name on the server [default: the component's file name]
    #[arg(long, value_parser = super::name)]
    name: Option<String>,
    /// The folder of the cases [default: DIR/cases, if it exists]
    #[arg(long, value_name = "DIR")]
    cases: Option<PathBuf>,
    /// Build with this command, run by `sh` in the folder, instead of `hookwright plugin build`
    #[arg(long, value_name = "COMMAND", requires = "component")]
    build: Option<String>,
    /// The component that the command builds; without a command, one that another program builds
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
    /// Grant everything that each version requests
    #[arg(long)]
    approve: bool,
    #[command(flatten)]
    connection: Connection,
}

/// How long the folder must be unchanged before a build starts.
const DEBOUNCE: Duration = Duration::from_millis(150);
/// The maximum number of lines of a failed command's output that are shown.
const MAX_OUTPUT_LINES: usize = 20;
/// Folders that builds write to.
const MADE: [&str; 5] = ["target", "node_modules", "__pycache__", "dist", "zig-out"];

/// What is watched.
struct Folder {
    path: PathBuf,
    /// The component, if it is not built by `hookwright plugin build`.
    component: Option<PathBuf>,
    /// Whether another program builds the component, so that the file itself is watched.
    waits: bool,
}

pub(crate) fn run(dev: &Dev) -> Done {
    let path = dev.dir.canonicalize().map_err(|error| at(&dev.dir, &error))?;
    let component = dev.component.as_ref().map(|file| path.join(file));
    let folder = Folder { waits: dev.build.is_none() && component.is_some(), path, component };
    let remote = dev.connection.open()?;
    let workshop = Workshop::with_user_cache()?;
    let (_watcher, changes) = follow(&folder)?;
    report(format_args!("watching {}; server: {}", folder.path.display(), remote.base()));
    let mut pushed = None;
    loop {
        let state = folder.state();
        match round(dev, &folder, &workshop, &remote, pushed.as_deref()) {
            Ok(Some(digest)) => pushed = Some(digest),
            Ok(None) => {}
            Err(error) => report(error),
        }
        while folder.state() == state {
            settle(&changes)?;
        }
    }
}

/// Builds, tests and pushes once; returns the digest if a version was pushed.
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
    report(format_args!(
        "{} {} ({}) built in {}",
        plugin.manifest().name,
        plugin.manifest().version,
        screen::bytes(size),
        span(began.elapsed())
    ));
    let default = folder.path.join(FOLDER);
    if let Some(cases) = dev.cases.as_deref().or_else(|| default.is_dir().then_some(&*default)) {
        let files = hookwright_cases::read(cases)?;
        let passed = test::pass(workshop, &plugin, &files, "the previous version stays live")?;
        report(format_args!("{passed} cases passed"));
    }
    if pushed == Some(plugin.digest()) {
        report("the component is unchanged");
        return Ok(None);
    }
    let name = dev.name.clone().map_or_else(|| artifact.name(), Ok)?;
    let answer =
        transfer::send(remote, &artifact, &name, InstallOptions { approve: dev.approve, dev: true, key: None })?;
    report(lifecycle::outcome(&answer));
    Ok(Some(plugin.digest().to_owned()))
}

/// Builds the component; returns its path.
fn build(dev: &Dev, folder: &Folder) -> Result<PathBuf, Failed> {
    let Some(component) = &folder.component else { return author::build(&folder.path, Profile::Dev) };
    if let Some(command) = &dev.build {
        let made = Command::new("sh").arg("-c").arg(command).current_dir(&folder.path).output();
        let made = made.map_err(|error| problem("build.failed", format!("`{command}` cannot be run: {error}")))?;
        if !made.status.success() {
            let said = [made.stdout, made.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            let lines: Vec<&str> = said.lines().collect();
            let end = lines.get(lines.len().saturating_sub(MAX_OUTPUT_LINES)..).unwrap_or_default().join("\n");
            return Err(problem("build.failed", format!("`{command}` ended with {}\n{end}", made.status)));
        }
    }
    Ok(component.clone())
}

/// Prints an event with its time (UTC).
fn report(text: impl std::fmt::Display) {
    let now = SystemClock.now().to_string();
    screen::line(format_args!("{} {text}", now.get(11..19).unwrap_or_default()));
}

/// Watches the folder, and the component if it is elsewhere, until the watcher is dropped.
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

/// Waits for a change, and then until there are no further ones.
fn settle(changes: &Receiver<()>) -> Result<(), Failed> {
    let gone = || problem("file.unusable", "the folder can no longer be watched");
    changes.recv().map_err(|_| gone())?;
    loop {
        match changes.recv_timeout(DEBOUNCE) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => return Ok(()),
            Err(RecvTimeoutError::Disconnected) => return Err(gone()),
        }
    }
}

impl Folder {
    /// A fingerprint of the folder's contents, without build output.
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

/// A file's name, size and modification time.
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
    fn build_output_does_not_count_as_a_change() {
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
