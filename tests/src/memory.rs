//! Servers that may take only so much memory: in a memory cgroup where one can be made, and measured in any case.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A memory cgroup of its own. It is removed when this is dropped, once nothing is in it.
#[derive(Debug)]
pub struct MemoryGroup {
    path: PathBuf,
}

impl MemoryGroup {
    /// Makes one for so many bytes. None where that is not permitted, which is said: then the peak that the kernel
    /// measured is all that bounds the server ([`crate::Server::peak_memory`]).
    pub fn new(bytes: u64) -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("hookwright-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let (root, limit) = [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")]
            .into_iter()
            .find(|(root, _)| Path::new(root).join("cgroup.procs").exists())?;
        let group = Self { path: Path::new(root).join(name) };
        let made = std::fs::create_dir(&group.path)
            .and_then(|()| std::fs::write(group.path.join(limit), bytes.to_string()))
            .inspect_err(|error| eprintln!("no memory cgroup, so only the peak is measured: {error}"));
        made.is_ok().then_some(group)
    }

    /// Puts a process into it.
    pub fn take(&self, process: u32) {
        std::fs::write(self.path.join("cgroup.procs"), process.to_string()).unwrap();
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.path);
    }
}

/// The most memory that a process has had resident so far, in bytes.
pub fn peak(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the kernel measures it");
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() * 1024
}

/// Has the kernel measure that from now on: the most so far is what is resident now.
pub fn forget_peak(process: u32) {
    std::fs::write(format!("/proc/{process}/clear_refs"), "5")
        .expect("the kernel forgets the peak of a process of ours");
}
