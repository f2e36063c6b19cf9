//! Starting other programs: without the variables of the cargo around us, and not for longer than allowed.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Variables that belong to the user's own settings and stay although their names look like cargo's own.
const KEPT_VARIABLES: [&str; 8] = [
    "CARGO_HOME",
    "CARGO_HTTP_",
    "CARGO_NET_",
    "CARGO_REGISTRIES_",
    "CARGO_REGISTRY_",
    "CARGO_SOURCE_",
    "CARGO_TERM_",
    "RUSTUP_HOME",
];

/// Variables that cargo sets for a build script and that would affect a nested build.
const REMOVED_VARIABLES: [&str; 13] = [
    "DEBUG",
    "HOST",
    "LD_LIBRARY_PATH",
    "MAKEFLAGS",
    "MAKELEVEL",
    "NUM_JOBS",
    "OPT_LEVEL",
    "OUT_DIR",
    "PROFILE",
    "RUSTDOC",
    "RUSTDOCFLAGS",
    "RUSTFLAGS",
    "TARGET",
];

/// Whether a variable of the environment comes from the calling cargo rather than from the user.
fn is_outer_cargo(name: &str) -> bool {
    if KEPT_VARIABLES.iter().any(|kept| name == *kept || (kept.ends_with('_') && name.starts_with(kept))) {
        return false;
    }
    REMOVED_VARIABLES.contains(&name)
        || name.starts_with("CARGO")
        || name.starts_with("DEP_")
        || name == "RUSTC"
        || name.starts_with("RUSTC_")
}

/// A command with this process's environment, without the variables of the calling cargo.
pub(crate) fn clean(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_outer_cargo) {
            command.env_remove(name);
        }
    }
    command
}

/// The result of a bounded command.
pub(crate) struct Ended {
    /// Its exit status.
    pub(crate) status: ExitStatus,
    /// What it wrote on standard output and then on standard error, at most [`MAX_OUTPUT_BYTES`] bytes of each.
    pub(crate) output: String,
}

impl Ended {
    /// The last line with content: the most useful line of a failed installer.
    pub(crate) fn last_line(&self) -> &str {
        let lines = || self.output.lines().map(str::trim).filter(|line| !line.is_empty());
        lines()
            .rfind(|line| line.starts_with("error") || line.starts_with("E:"))
            .or_else(|| lines().next_back())
            .unwrap_or("no output")
    }
}

/// The maximum number of bytes of a program's output in a message.
const MAX_OUTPUT_BYTES: u64 = 256 * 1024;

/// Runs a command quietly and kills it after `limit`.
///
/// # Errors
/// A one-line reason: the program does not exist, or it took longer than `limit`.
pub(crate) fn run_bounded(command: &mut Command, limit: Duration) -> Result<Ended, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{name} could not be started: {error}"))?;
    let out = child.stdout.take().map(collect);
    let err = child.stderr.take().map(collect);
    let Some(status) = wait(&mut child, limit).map_err(|error| format!("{name}: {error}"))? else {
        return Err(format!("{name} did not finish within {} s", limit.as_secs()));
    };
    let output =
        [out, err].into_iter().flatten().filter_map(|reader| reader.join().ok()).collect::<Vec<_>>().join("\n");
    Ok(Ended { status, output })
}

/// Reads a stream to its end on a thread of its own, since a full pipe would stop the program that writes it.
fn collect(mut stream: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        // Read errors are ignored: the output is only used in a message.
        let _ = stream.by_ref().take(MAX_OUTPUT_BYTES).read_to_end(&mut kept);
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
        String::from_utf8_lossy(&kept).into_owned()
    })
}

/// Waits for a child; `None` if it had to be killed.
fn wait(child: &mut Child, limit: Duration) -> std::io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() >= limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A program's path, looked up on `PATH` the way a shell does.
pub(crate) fn on_path(program: &str) -> Option<OsString> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file()).map(OsString::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_the_outer_cargo_are_removed_and_the_users_are_kept() {
        for name in [
            "CARGO",
            "CARGO_PKG_NAME",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_TARGET_DIR",
            "RUSTC",
            "RUSTC_WRAPPER",
            "RUSTFLAGS",
            "TARGET",
            "OUT_DIR",
            "DEP_Z_ROOT",
        ] {
            assert!(is_outer_cargo(name), "{name} should go");
        }
        for name in [
            "PATH",
            "HOME",
            "CARGO_HOME",
            "CARGO_NET_OFFLINE",
            "CARGO_HTTP_PROXY",
            "RUSTUP_TOOLCHAIN",
            "RUSTUP_HOME",
            "CARGO_TERM_COLOR",
        ] {
            assert!(!is_outer_cargo(name), "{name} should stay");
        }
    }

    #[test]
    fn a_command_that_takes_too_long_is_killed() {
        let start = Instant::now();
        let answer = run_bounded(Command::new("sleep").arg("60"), Duration::from_millis(200));
        assert!(answer.is_err_and(|reason| reason.contains("did not finish within")));
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn the_line_with_the_error_is_reported() {
        let answer = run_bounded(
            Command::new("sh").args(["-c", "echo error: no such thing >&2; echo hint >&2; exit 3"]),
            Duration::from_secs(10),
        );
        assert_eq!(answer.map(|ended| ended.last_line().to_owned()), Ok("error: no such thing".to_owned()));
    }
}
