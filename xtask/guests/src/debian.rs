//! Debian's compiler with its matching standard library source, for machines on which rustup has no network access.
//!
//! The library is compiled together with the first plugin (`-Zbuild-std`, about a minute). That is an unstable
//! option, which `RUSTC_BOOTSTRAP` opens for this one compiler; its version is fixed by the distribution.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::command::{on_path, run_bounded};

/// The packages, as apt names them.
pub(crate) const PACKAGES: [&str; 3] = ["rustc-web", "rust-web-src", "lld"];

/// The timeout for apt to fetch its lists, and then for the packages (about 200 MB).
const APT_LIMIT: Duration = Duration::from_secs(600);

/// The files that the build needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Debian {
    /// Cargo of the packages.
    pub(crate) cargo: PathBuf,
    /// The compiler of the packages.
    pub(crate) rustc: PathBuf,
    /// The linker for WebAssembly.
    pub(crate) linker: PathBuf,
    /// The standard library's source: the path that the compiler is given, and the one that a link there leads to.
    pub(crate) sources: [PathBuf; 2],
}

impl Debian {
    /// Looks for the files of the packages.
    ///
    /// # Errors
    /// A one-line reason that names the first missing file.
    pub(crate) fn find() -> Result<Self, String> {
        let found = |path: &str| {
            let path = Path::new(path);
            if path.exists() {
                Ok(path.to_owned())
            } else {
                Err(format!("Debian's {} are not all installed (no {})", PACKAGES.join(", "), path.display()))
            }
        };
        found("/usr/lib/rustlib/src/rust/library/std/Cargo.toml")?;
        let source = found("/usr/lib/rustlib/src/rust")?;
        let resolved =
            source.canonicalize().map_err(|error| format!("{} cannot be read: {error}", source.display()))?;
        Ok(Self {
            cargo: found("/usr/bin/cargo")?,
            rustc: found("/usr/bin/rustc")?,
            linker: found("/usr/bin/wasm-ld")?,
            sources: [source, resolved],
        })
    }

    /// A cargo without the environment of rustup and of the calling cargo.
    pub(crate) fn command(&self) -> Command {
        let mut command = crate::command::clean(&self.cargo);
        for name in ["RUSTUP_TOOLCHAIN", "RUST_RECURSION_COUNT"] {
            command.env_remove(name);
        }
        command.env("PATH", "/usr/bin:/bin").env("RUSTC", &self.rustc).env("RUSTC_BOOTSTRAP", "1");
        command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", &self.linker);
        command
    }
}

/// The command that a person would type.
pub(crate) fn by_hand() -> String {
    format!("apt-get update && apt-get install -y {}", PACKAGES.join(" "))
}

/// Installs the packages, as root or through `sudo -n`.
///
/// # Errors
/// A one-line reason: no apt, no right to use it, or what apt said.
pub(crate) fn install() -> Result<(), String> {
    let apt = on_path("apt-get").ok_or("there is no apt-get on PATH")?;
    let mut prefix: Vec<std::ffi::OsString> = Vec::new();
    if !is_root() {
        prefix.push(on_path("sudo").ok_or("apt-get needs root, and there is no sudo")?);
        prefix.push("-n".into());
    }
    prefix.push(apt);
    for arguments in [["update", "-q"].as_slice(), ["install", "-y", "-q", "--no-install-recommends"].as_slice()] {
        let mut words = prefix.iter();
        let mut command = Command::new(words.next().ok_or("there is no apt-get on PATH")?);
        command.args(words).args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        if arguments.first() == Some(&"install") {
            command.args(PACKAGES);
        }
        let ended = run_bounded(&mut command, APT_LIMIT)?;
        if !ended.status.success() {
            return Err(format!("apt-get {} failed: {}", arguments.first().unwrap_or(&""), ended.last_line()));
        }
    }
    Ok(())
}

/// Whether this process may install packages itself.
fn is_root() -> bool {
    run_bounded(Command::new("id").arg("-u"), Duration::from_secs(5)).is_ok_and(|ended| ended.output.trim() == "0")
}
