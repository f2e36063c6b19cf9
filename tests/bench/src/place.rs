//! Where the server's program and the built plugins are, and where measurements may write.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::Failed;

pub(crate) struct Place {
    /// The program `hookwright`.
    pub(crate) binary: PathBuf,
    /// The built component `match`.
    pub(crate) component: PathBuf,
    /// A built component that is small.
    pub(crate) small: PathBuf,
    /// The folder with the built examples.
    pub(crate) examples: PathBuf,
    /// The folder of this program: on the disk that the build is on, never in memory as `/tmp` can be.
    folder: PathBuf,
}

impl Place {
    /// `HOOKWRIGHT_BIN` and `HOOKWRIGHT_PLUGINS` say where; without them, it is where `cargo xtask build` puts them.
    pub(crate) fn find() -> Result<Self, Failed> {
        let program = std::env::current_exe()?;
        let folder = program.parent().unwrap_or(Path::new(".")).to_owned();
        let named = |name| std::env::var_os(name).map(PathBuf::from);
        let binary = named("HOOKWRIGHT_BIN").unwrap_or_else(|| folder.join("hookwright"));
        let plugins = named("HOOKWRIGHT_PLUGINS").unwrap_or_else(|| folder.join("../plugins"));
        let (component, small) = (plugins.join("match.wasm"), plugins.join("ticket-update.wasm"));
        let examples = named("HOOKWRIGHT_EXAMPLES").unwrap_or_else(|| folder.join("../plugins-examples"));
        for file in [&binary, &component, &small] {
            if !file.is_file() {
                return Err(format!("{} is missing: run `cargo xtask build` first", file.display()).into());
            }
        }
        Ok(Self { binary, component, small, examples, folder })
    }

    /// A folder of its own, removed when it is dropped.
    pub(crate) fn fresh(&self) -> Result<TempDir, Failed> {
        Ok(tempfile::Builder::new().prefix("bench-").tempdir_in(&self.folder)?)
    }
}
