//! A directory of components: `match.wasm` becomes the plugin `match`, found by every space.
//!
//! A file is loaded once it has not changed for a moment, so one that is still being written is not loaded, and one
//! that is renamed into place is loaded as a whole. A file that cannot be loaded is listed with its error, while the
//! previous version stays live. Removing a file removes its plugin. Besides the notifications of the operating system,
//! the directory is scanned every few seconds, because some file systems send none.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::error::LoadError;
use crate::hashed::HashedComponent;
use crate::registry::{Registry, Scope, check_name};

/// How long a file must be unchanged before it is loaded.
const STILL: Duration = Duration::from_millis(200);
/// The interval of scans of the directory.
const ROUND: Duration = Duration::from_secs(5);
/// Maximum number of queued names. Others are found by the next scan.
const WAITING: usize = 1024;
/// How often a changing file is checked again at the start of the server.
const PATIENCE: u32 = 10;
/// Maximum number of files.
const FILES: usize = 1000;

/// The reason for which a directory cannot be watched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// It cannot be read.
    #[error("the plugin folder `{}` cannot be read: {source}: make it a directory that the server can read", dir.display())]
    Unreadable {
        /// The directory.
        dir: PathBuf,
        /// The error.
        source: std::io::Error,
    },
    /// The operating system cannot watch it.
    #[error("the plugin folder `{}` cannot be watched: {source}: raise the limit on watched files (fs.inotify)", dir.display())]
    Unwatched {
        /// The directory.
        dir: PathBuf,
        /// The error.
        source: notify::Error,
    },
    /// There is no tokio runtime.
    #[error("the plugin folder can only be watched from within a tokio runtime")]
    NoRuntime,
}

/// Keeps the registry synchronized with the directory until it is dropped.
#[must_use = "the directory is watched for as long as this lives"]
pub struct FolderWatch {
    _watcher: RecommendedWatcher,
    task: JoinHandle<()>,
}

impl Drop for FolderWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Loads every component in `dir`. Returns the names that changed, including those whose component could not be loaded:
/// [`Registry::list`] contains the errors.
///
/// # Errors
/// The directory cannot be read.
pub async fn scan(dir: &Path, registry: &Registry) -> Result<Vec<String>, FolderError> {
    let mut keeper = Keeper { dir: dir.to_owned(), registry, seen: HashMap::new() };
    let mut changed = Vec::new();
    for name in keeper.names().await? {
        for _ in 0..PATIENCE {
            match keeper.sync(&name).await {
                Synced::Same => break,
                Synced::Changed => {
                    changed.push(name);
                    break;
                }
                Synced::Moving => tokio::time::sleep(STILL).await,
            }
        }
    }
    Ok(changed)
}

/// Loads the content of `dir` and every later change of it. `on_change` gets each name that changed, even if its new
/// component cannot be loaded.
///
/// # Errors
/// The directory cannot be read or watched.
pub fn watch(
    dir: PathBuf,
    registry: Arc<Registry>,
    on_change: impl Fn(&str) + Send + Sync + 'static,
) -> Result<FolderWatch, FolderError> {
    let runtime = tokio::runtime::Handle::try_current().map_err(|_| FolderError::NoRuntime)?;
    std::fs::read_dir(&dir).map_err(|source| FolderError::Unreadable { dir: dir.clone(), source })?;
    let (told, waiting) = mpsc::channel(WAITING);
    let tell = move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else { return };
        if is_change(event.kind) {
            for name in event.paths.iter().filter_map(|path| plugin_name(path)) {
                // The queue is full: the next scan finds it.
                let _ = told.try_send(name);
            }
        }
    };
    let unwatched = |source| FolderError::Unwatched { dir: dir.clone(), source };
    let mut watcher = notify::recommended_watcher(tell).map_err(unwatched)?;
    watcher.watch(&dir, RecursiveMode::NonRecursive).map_err(unwatched)?;
    let task = runtime.spawn(keep(dir, registry, waiting, on_change));
    Ok(FolderWatch { _watcher: watcher, task })
}

/// Whether an event can mean a change of content. Reading a file is an event too.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

/// `match` for `.../match.wasm`. Hidden files are ignored: programs write to them before they rename.
fn plugin_name(path: &Path) -> Option<String> {
    let stem = path.file_name()?.to_str()?.strip_suffix(".wasm")?;
    (!stem.is_empty() && !stem.starts_with('.')).then(|| stem.to_owned())
}

async fn keep(
    dir: PathBuf,
    registry: Arc<Registry>,
    mut told: mpsc::Receiver<String>,
    on_change: impl Fn(&str) + Send + Sync + 'static,
) {
    let mut keeper = Keeper { dir, registry: registry.as_ref(), seen: HashMap::new() };
    let mut due: HashMap<String, Instant> = HashMap::new();
    let mut round = tokio::time::interval(ROUND);
    round.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let next = due.values().min().copied();
        tokio::select! {
            name = told.recv() => match name {
                Some(name) => { due.insert(name, Instant::now() + STILL); }
                None => return,
            },
            _ = round.tick() => match keeper.names().await {
                Ok(names) => for name in names { due.entry(name).or_insert_with(Instant::now); },
                Err(error) => tracing::warn!(%error, "the plugins that are loaded from the folder stay loaded"),
            },
            () = tokio::time::sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {
                let now = Instant::now();
                let ready: Vec<String> = due.iter().filter(|(_, at)| **at <= now).map(|(name, _)| name.clone()).collect();
                for name in ready {
                    due.remove(&name);
                    match keeper.sync(&name).await {
                        Synced::Same => {}
                        Synced::Changed => on_change(&name),
                        Synced::Moving => { due.insert(name, Instant::now() + STILL); }
                    }
                }
            }
        }
    }
}

#[derive(PartialEq, Eq)]
enum Synced {
    Same,
    Changed,
    /// The file is being written.
    Moving,
}

/// Distinguishes states of a file without reading it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    size: u64,
    modified: Option<SystemTime>,
    /// The file's identity: another one may have been renamed to its path.
    file: u64,
}

struct Keeper<'r> {
    dir: PathBuf,
    registry: &'r Registry,
    /// Files whose current state was processed.
    seen: HashMap<String, Stamp>,
}

impl Keeper<'_> {
    /// The names of all files, and of all plugins whose file may be gone.
    async fn names(&self) -> Result<BTreeSet<String>, FolderError> {
        let failed = |source| FolderError::Unreadable { dir: self.dir.clone(), source };
        let mut entries = tokio::fs::read_dir(&self.dir).await.map_err(failed)?;
        let mut names: BTreeSet<String> = self.registry.names(&Scope::Folder).into_iter().collect();
        let mut files = 0_usize;
        while let Some(entry) = entries.next_entry().await.map_err(failed)? {
            if let Some(name) = plugin_name(&entry.path()) {
                files = files.saturating_add(1);
                if files > FILES {
                    tracing::warn!("the plugin folder has more than {FILES} components: the others are left out");
                    break;
                }
                names.insert(name);
            }
        }
        Ok(names)
    }

    /// Synchronizes one name with its file.
    async fn sync(&mut self, name: &str) -> Synced {
        let path = self.dir.join(format!("{name}.wasm"));
        let Some(stamp) = stamp(&path).await else {
            self.seen.remove(name);
            return if self.registry.deactivate(&Scope::Folder, name) { Synced::Changed } else { Synced::Same };
        };
        if self.seen.get(name) == Some(&stamp) {
            return Synced::Same;
        }
        if is_fresh(stamp) {
            // It was written just now, and may be written again.
            return Synced::Moving;
        }
        let most = self.registry.engine().options().max_component_bytes;
        let bytes = match read(&path, stamp.size, most).await {
            Ok(bytes) => bytes,
            Err(error) => return self.note(name, stamp, "", error),
        };
        if self::stamp(&path).await != Some(stamp) {
            return Synced::Moving;
        }
        let component = match HashedComponent::of(bytes).await {
            Ok(component) => component,
            Err(error) => return self.note(name, stamp, "", error),
        };
        let digest = component.digest().to_owned();
        let known = match self.registry.find(&Scope::Folder, name) {
            Some((_, Some(failed))) => failed.digest == digest,
            Some((Some(plugin), None)) => plugin.digest() == digest,
            _ => false,
        };
        if known {
            self.seen.insert(name.to_owned(), stamp);
            return Synced::Same;
        }
        let loaded = match check_name(name) {
            Ok(()) => self.registry.prepare_signed(component, &signatures(&path)).await,
            Err(error) => Err(error),
        };
        if self::stamp(&path).await != Some(stamp) {
            return Synced::Moving;
        }
        match loaded.and_then(|(plugin, _)| self.registry.activate(Scope::Folder, name, plugin)) {
            Ok(_) => {
                self.seen.insert(name.to_owned(), stamp);
                Synced::Changed
            }
            Err(error) => self.note(name, stamp, &digest, error),
        }
    }

    fn note(&mut self, name: &str, stamp: Stamp, digest: &str, error: LoadError) -> Synced {
        tracing::warn!(plugin = name, code = error.code(), %error, "a component in the plugin folder cannot be used");
        self.seen.insert(name.to_owned(), stamp);
        self.registry.failed(Scope::Folder, name, digest, error);
        Synced::Changed
    }
}

/// The signatures beside a component, one a line of `NAME.wasm.sig`.
fn signatures(path: &Path) -> Vec<String> {
    let beside = path.with_extension("wasm.sig");
    let text = std::fs::read_to_string(beside).unwrap_or_default();
    text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}

async fn stamp(path: &Path) -> Option<Stamp> {
    let data = tokio::fs::metadata(path).await.ok()?;
    #[cfg(unix)]
    let file = std::os::unix::fs::MetadataExt::ino(&data);
    #[cfg(not(unix))]
    let file = 0;
    data.is_file().then(|| Stamp { size: data.len(), modified: data.modified().ok(), file })
}

/// Whether the file changed so recently that it may change again with the same modification time.
fn is_fresh(stamp: Stamp) -> bool {
    stamp.modified.and_then(|at| SystemTime::now().duration_since(at).ok()).is_some_and(|age| age < STILL / 2)
}

async fn read(path: &Path, size: u64, most: usize) -> Result<Bytes, LoadError> {
    if usize::try_from(size).map_or(true, |size| size > most) {
        return Err(LoadError::TooLarge { size, most });
    }
    let bytes = tokio::fs::read(path).await.map_err(|error| LoadError::Unreadable(error.to_string()))?;
    Ok(Bytes::from(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_visible_wasm_files_are_plugins() {
        for (path, name) in [
            ("/p/match.wasm", Some("match")),
            ("/p/.match.wasm", None),
            ("/p/match.wasm.tmp", None),
            ("/p/.wasm", None),
            ("/p/match", None),
        ] {
            assert_eq!(plugin_name(Path::new(path)).as_deref(), name, "{path}");
        }
    }
}
