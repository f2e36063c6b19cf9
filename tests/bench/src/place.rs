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
    /// The plugins that the program has compiled.
    pub(crate) compiled: TempDir,
    /// The folder of this program: on the disk that the build is on, never in memory as `/tmp` can be.
    folder: PathBuf,
}

impl Place {
    /// `HOOKWRIGHT_BIN` and `HOOKWRIGHT_PLUGINS` say where; without them, it is where `cargo xtask build` puts them.
    pub(crate) fn find() -> Result<Self, Failed> {
        let folder = own_folder()?;
        let binary = named("HOOKWRIGHT_BIN").unwrap_or_else(|| folder.join("hookwright"));
        Self::of(folder, binary, None)
    }

    /// One of two servers that are compared, `A` or `B`: `HOOKWRIGHT_BIN_A` and `HOOKWRIGHT_PLUGINS_A` say where it is;
    /// without them, `name` is the path of its binary, and the plugins are those of [`find`](Self::find).
    pub(crate) fn side(side: &str, name: &str) -> Result<Self, Failed> {
        let binary = named(&format!("HOOKWRIGHT_BIN_{side}")).unwrap_or_else(|| PathBuf::from(name));
        Self::of(own_folder()?, binary, named(&format!("HOOKWRIGHT_PLUGINS_{side}")))
    }

    fn of(folder: PathBuf, binary: PathBuf, plugins: Option<PathBuf>) -> Result<Self, Failed> {
        let plugins = plugins.or_else(|| named("HOOKWRIGHT_PLUGINS")).unwrap_or_else(|| folder.join("../plugins"));
        let (component, small) = (plugins.join("match.wasm"), plugins.join("ticket-update.wasm"));
        let examples = named("HOOKWRIGHT_EXAMPLES").unwrap_or_else(|| folder.join("../plugins-examples"));
        for file in [&binary, &component, &small] {
            if !file.is_file() {
                return Err(format!("{} is missing: run `cargo xtask build` first", file.display()).into());
            }
        }
        // As seen from any folder: a name without a slash would be looked up in PATH.
        let binary = binary.canonicalize()?;
        let compiled = in_folder(&folder)?;
        Ok(Self { binary, component, small, examples, compiled, folder })
    }

    /// A folder of its own, removed when it is dropped.
    pub(crate) fn fresh(&self) -> Result<TempDir, Failed> {
        in_folder(&self.folder)
    }
}

fn in_folder(folder: &Path) -> Result<TempDir, Failed> {
    Ok(tempfile::Builder::new().prefix("bench-").tempdir_in(folder)?)
}

fn own_folder() -> Result<PathBuf, Failed> {
    let program = std::env::current_exe()?;
    Ok(program.parent().unwrap_or(Path::new(".")).to_owned())
}

fn named(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from)
}
