//! Free space of the file system.

use std::path::Path;

/// Space on a file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Space {
    /// The space that the server may still use.
    pub(crate) free: u64,
    /// The total size.
    pub(crate) size: u64,
}

/// The space on the file system of a file or folder; `None` where it is unknown.
#[cfg(unix)]
pub(crate) fn space(path: &Path) -> Option<Space> {
    let stat = rustix::fs::statvfs(path).ok()?;
    // Space that is reserved for the superuser does not count.
    Some(Space { free: stat.f_bavail.saturating_mul(stat.f_frsize), size: stat.f_blocks.saturating_mul(stat.f_frsize) })
}

#[cfg(not(unix))]
pub(crate) fn space(_: &Path) -> Option<Space> {
    None
}
