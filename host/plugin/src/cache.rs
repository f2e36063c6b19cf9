//! The cache of machine code.
//!
//! A file is named by the digest of the component and a digest of everything that the machine code depends on, so a new
//! release or another processor does not find the files of the old one. It begins with the digest of the rest: code is
//! only loaded from verified bytes. A file that cannot be used is ignored; no error here prevents a plugin from being
//! loaded.

use std::fs::{DirBuilder, File};
use std::hash::{Hash as _, Hasher};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};
use wasmtime::component::Component;

use crate::error::EngineError;

/// The first bytes of a file, with the version of its layout.
const MAGIC: &[u8; 8] = b"hwcwasm1";
/// The magic and a SHA-256.
const HEADER: usize = 40;
/// Maximum number of files after the start of the engine. The oldest are evicted.
const FILES: usize = 4096;
const EXTENSION: &str = "cwasm";

/// The directory.
pub(crate) struct Cache {
    dir: PathBuf,
    /// Identifies the engine: its release, its settings, the processor.
    engine: String,
}

impl Cache {
    /// Uses `dir`, which is created if it does not exist, accessible to the server's user only.
    pub(crate) fn open(dir: &Path, engine: &wasmtime::Engine) -> Result<Self, EngineError> {
        let failed = |source| EngineError::CacheDir { dir: dir.to_owned(), source };
        private(dir).map_err(failed)?;
        let mut hasher = Sha256Hasher(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let mut name = hex::encode(hasher.0.finalize());
        name.truncate(16);
        let cache = Self { dir: dir.to_owned(), engine: name };
        cache.tidy();
        Ok(cache)
    }

    /// The compiled form of the component with this digest, if it is cached and intact.
    pub(crate) fn load(&self, engine: &wasmtime::Engine, digest: &str) -> Option<Component> {
        let path = self.path(digest);
        let file = match std::fs::read(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(%error, "a compiled plugin cannot be read: it is compiled again");
                return None;
            }
        };
        let Some(code) = checked(&file) else {
            tracing::warn!(digest, "a compiled plugin was damaged: it is compiled again");
            return None;
        };
        load_checked(engine, code)
            .inspect_err(|error| tracing::warn!(%error, digest, "a compiled plugin does not fit: it is compiled again"))
            .ok()
    }

    /// Whether the compiled form of the component with this digest is cached.
    pub(crate) fn has(&self, digest: &str) -> bool {
        self.path(digest).exists()
    }

    /// Stores the compiled form of a component: `code`, if a child process compiled it.
    pub(crate) fn keep(&self, digest: &str, component: &Component, code: Option<Vec<u8>>) {
        let code = code.map_or_else(|| component.serialize().map_err(io::Error::other), Ok);
        let kept = code.and_then(|code| self.write(digest, &code));
        if let Err(error) = kept {
            tracing::warn!(%error, digest, "a compiled plugin cannot be cached: it will be compiled again at the next start");
        }
    }

    fn write(&self, digest: &str, code: &[u8]) -> io::Result<()> {
        let path = self.path(digest);
        let beside = self.dir.join(format!(".{digest}.{}", uuid::Uuid::new_v4().simple()));
        let written = File::create_new(&beside)
            .and_then(|mut file| {
                file.write_all(MAGIC)?;
                file.write_all(&Sha256::digest(code))?;
                file.write_all(code)?;
                file.sync_all()
            })
            .and_then(|()| std::fs::rename(&beside, &path));
        if written.is_err() {
            let _ = std::fs::remove_file(&beside);
        }
        written
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.dir.join(format!("{digest}-{}.{EXTENSION}", self.engine))
    }

    /// Removes files of other releases, partially written files, and the oldest beyond the maximum.
    fn tidy(&self) {
        let Ok(entries) = std::fs::read_dir(&self.dir) else { return };
        let ours = format!("-{}.{EXTENSION}", self.engine);
        let mut kept = Vec::new();
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.ends_with(&ours) {
                let modified = entry.metadata().and_then(|data| data.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
                kept.push((modified, entry.path()));
            } else if is_a_cache_name(&name) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
        kept.sort_unstable();
        for (_, path) in kept.iter().rev().skip(FILES) {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Whether this is the name of a cache file, of this release or another.
fn is_a_cache_name(name: &str) -> bool {
    let rest = name.strip_prefix('.').unwrap_or(name);
    rest.get(..64).is_some_and(|digest| digest.bytes().all(|byte| byte.is_ascii_hexdigit()))
        && (name.starts_with('.') || name.ends_with(".cwasm"))
}

/// Creates `dir` if it does not exist, accessible to its owner only.
#[cfg(unix)]
fn private(dir: &Path) -> io::Result<()> {
    use std::fs::Permissions;
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    std::fs::set_permissions(dir, Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn private(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).create(dir)
}

/// The content after the header, if it is intact.
fn checked(file: &[u8]) -> Option<&[u8]> {
    let (header, code) = file.split_at_checked(HEADER)?;
    let digest = header.strip_prefix(MAGIC)?;
    (*Sha256::digest(code) == *digest).then_some(code)
}

/// Makes a component from machine code. `code` must be what [`Cache::keep`] wrote, verified by [`checked`], or the
/// output of the process that compiles.
#[allow(
    unsafe_code,
    reason = "wasmtime runs whatever bytes it is given here. These were written by this server into a directory that \
              only its user can write, carry a digest that was compared over these very bytes in memory, or were \
              read from a process of this very program, and never come from a request: components that arrive \
              precompiled are refused. wasmtime itself compares version, settings and processor."
)]
pub(crate) fn load_checked(engine: &wasmtime::Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: see the reason above.
    unsafe { Component::deserialize(engine, code) }
}

struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Not used: the whole digest is taken.
    fn finish(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_intact_files_are_read() {
        let mut file = MAGIC.to_vec();
        file.extend_from_slice(&Sha256::digest(b"code"));
        file.extend_from_slice(b"code");
        assert_eq!(checked(&file), Some(&b"code"[..]));
        assert_eq!(checked(&file[..43]), None);
        assert_eq!(checked(&file[..9]), None);
        for place in 0..file.len() {
            let mut damaged = file.clone();
            damaged[place] ^= 1;
            assert_eq!(checked(&damaged), None, "{place}");
        }
    }

    #[test]
    fn only_files_of_a_cache_are_tidied_away() {
        let digest = "0a".repeat(32);
        assert!(is_a_cache_name(&format!("{digest}-0123456789abcdef.cwasm")));
        assert!(is_a_cache_name(&format!(".{digest}.0123")));
        assert!(!is_a_cache_name("notes.cwasm"));
        assert!(!is_a_cache_name(&digest));
    }
}
