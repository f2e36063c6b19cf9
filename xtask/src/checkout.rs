//! Paths: the checkout, and cargo's target folder.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::ask::ask;
use crate::stop::Stop;

/// The folders that tasks work in.
#[derive(Debug, Clone)]
pub(crate) struct Checkout {
    /// The top of the checkout.
    pub(crate) root: PathBuf,
    /// Cargo's target folder, `target` unless it is set otherwise.
    pub(crate) target: PathBuf,
    /// The compiler that also lints, if builds are to use it for the workspace's crates.
    pub(crate) linter: Option<PathBuf>,
}

impl Checkout {
    /// Finds the checkout, from cargo's word or upwards from the present folder, and the target folder, from where
    /// this program stands in it.
    pub(crate) fn find() -> Result<Self, Stop> {
        let from_cargo =
            std::env::var_os("CARGO_MANIFEST_DIR").and_then(|xtask| Some(Path::new(&xtask).parent()?.to_owned()));
        let here = std::env::current_dir().map_err(|error| Stop::new(format!("the present folder: {error}")))?;
        let root = from_cargo
            .into_iter()
            .chain(here.ancestors().map(Path::to_owned))
            .find(|folder| folder.join("xtask/Cargo.toml").is_file() && folder.join("plugins/Cargo.toml").is_file())
            .ok_or_else(|| Stop::new("this folder is not in a Hookwright checkout: change to one"))?;
        let program =
            std::env::current_exe().map_err(|error| Stop::new(format!("this program's own path: {error}")))?;
        let target = program.ancestors().nth(2).map_or_else(|| root.join("target"), Path::to_owned);
        Ok(Self { root, target, linter: None })
    }

    /// The same checkout, where every build by cargo also lints the workspace's crates and fails on the first warning. Beside a
    /// build, `cargo clippy` would check all dependencies once more.
    pub(crate) fn linting(&self) -> Result<Self, Stop> {
        let name = format!("clippy-driver{}", std::env::consts::EXE_SUFFIX);
        let linter = Path::new(&cargo()).with_file_name(&name);
        let linter = if linter.is_file() { linter } else { name.into() };
        if ask(&linter.to_string_lossy(), &["--version"]).is_none() {
            return Err(Stop::new("clippy is missing: run `rustup component add clippy`"));
        }
        Ok(Self { linter: Some(linter), ..self.clone() })
    }

    /// The server.
    pub(crate) fn binary(&self) -> PathBuf {
        self.program("hookwright")
    }

    /// A program of the workspace.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.target.join("release").join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
    }

    /// The first-party components.
    pub(crate) fn plugins(&self) -> PathBuf {
        self.target.join("plugins")
    }

    /// The components of `examples/`.
    pub(crate) fn examples(&self) -> PathBuf {
        self.target.join("plugins-examples")
    }

    /// Cargo's intermediate files of components, which the server's own build shares.
    pub(crate) fn guests(&self) -> PathBuf {
        self.target.join("guests")
    }

    /// The compilers of other languages.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// Python packages for tests.
    pub(crate) fn venv(&self) -> PathBuf {
        self.target.join("venv")
    }

    /// Packages of npm and PyPI for tests, where there are any.
    pub(crate) fn clients(&self) -> PathBuf {
        self.root.join("tests/clients")
    }

    /// A path as seen from the checkout: shorter to read.
    pub(crate) fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }
}

/// The cargo that started this program.
pub(crate) fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}
