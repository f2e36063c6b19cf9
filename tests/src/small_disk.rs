//! Small disks that a test can fill. The store's own tests include this file, so it uses nothing else of this crate.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A small file system, which is unmounted when this is dropped. It is mounted in a separate user namespace, which
/// needs no privileges, and reached through the process that holds the namespace.
#[derive(Debug)]
pub struct SmallDisk {
    holder: Child,
    folder: tempfile::TempDir,
}

impl SmallDisk {
    /// Mounts a file system of this size, in the notation of `mount`, such as `24m`.
    ///
    /// # Panics
    /// If it cannot be mounted, with the reason.
    #[track_caller]
    pub fn mount(size: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // `cat` ends when this process does, which closes its standard input.
        let script = format!(
            "mount -t tmpfs -o size={size},mode=0700 tmpfs {} && echo mounted && exec cat",
            folder.path().display()
        );
        let mut unshare = Command::new("unshare");
        unshare.args(["--map-root-user", "--mount", "sh", "-c", &script]);
        unshare.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut holder = unshare.spawn().expect("`unshare` of util-linux can be started");
        let (mut answer, mut error) = (String::new(), String::new());
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut answer).unwrap();
        if answer.trim() != "mounted" {
            holder.stderr.take().unwrap().read_to_string(&mut error).unwrap();
            panic!("no small disk can be mounted, since user namespaces are not permitted here: {error}");
        }
        Self { holder, folder }
    }

    /// The folder that it is mounted at.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{}", self.holder.id(), self.folder.path().display()))
    }

    /// Fills it to the last byte with an unrelated file and returns that file's path.
    pub fn fill(&self) -> PathBuf {
        let ballast = self.path().join("ballast");
        let mut file = File::create(&ballast).unwrap();
        while file.write_all(&[1; 4096]).is_ok() {}
        ballast
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
