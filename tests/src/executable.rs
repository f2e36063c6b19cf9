//! Executable files that a test makes for itself.
//!
//! They are written by another process. A process that another thread forks while this one has the file open for writing
//! inherits the descriptor until it executes its own program, and for that time the kernel refuses to execute the file
//! (`ETXTBSY`, "Text file busy").

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Writes an executable script.
///
/// # Panics
/// If the file cannot be written.
#[track_caller]
pub fn script(path: &Path, lines: &str) {
    let mut install = Command::new("install");
    let mut child = install.args(["-m", "755", "/dev/stdin"]).arg(path).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let status = child.wait().unwrap();
    assert!(status.success(), "{}: {status}", path.display());
}

/// Copies a program.
///
/// # Panics
/// If it cannot be copied.
#[track_caller]
pub fn copy(from: &Path, to: &Path) {
    let status = Command::new("install").args(["-m", "755"]).args([from, to]).status().unwrap();
    assert!(status.success(), "{}: {status}", to.display());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails within a few rounds if this process writes the file itself.
    #[test]
    fn a_new_program_can_be_executed_while_other_threads_start_processes() {
        let folder = tempfile::tempdir().unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !done.load(std::sync::atomic::Ordering::Relaxed) {
                        Command::new("true").status().unwrap();
                    }
                });
            }
            let results: Vec<std::io::Result<_>> = (0..50)
                .flat_map(|n| {
                    let (written, copied) = (folder.path().join(format!("s{n}")), folder.path().join(format!("c{n}")));
                    script(&written, "#!/bin/sh\nexit 0\n");
                    copy(Path::new("/bin/true"), &copied);
                    [Command::new(written).status(), Command::new(copied).status()]
                })
                .collect();
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            for result in results {
                assert!(result.unwrap().success());
            }
        });
    }
}
